"""The command `import midi`: its options, and what runs it."""

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from sousa.builders.arrangement import QUARANTINE
from sousa.builders.cli import one_line
from sousa.builders.import_midi import import_midi
from sousa.builders.import_plan import ImportPlan, shares
from sousa.builders.midi_limits import Limits
from sousa.builders.options import TOKENS_HELP, add_workers, check_workers, describe, names
from sousa.builders.progress import Progress
from sousa.builders.tokens import Tokenizer, parse_tokenizers

INT, FLOAT = {"type": int, "metavar": "N"}, {"type": float, "metavar": "X"}

LIMITS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "min_notes": (INT, "fewest notes (default: 1)"),
    "max_notes": (INT, "most notes"),
    "min_sec": (FLOAT, "shortest time to the end of the last note (default: 0.001)"),
    "max_sec": (FLOAT, "longest"),
    "max_silence_sec": (FLOAT, "longest time in which no note sounds"),
    "min_density": (FLOAT, "fewest notes a second"),
    "max_density": (FLOAT, "most notes a second"),
    "max_file_mb": (FLOAT, "largest file (default: 4)"),
    "max_events": (INT, "most events of all kinds (default: 1000000)"),
    "max_read_sec": (FLOAT, "time that a file may take (default: 60)"),
}
"""Options that filter files, as they are named in `Limits`."""


def _add_midi(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="DIR", help="the tree of MIDI files")
    parser.add_argument("out", type=Path, metavar="OUT", help="a new, empty or unfinished folder")
    parser.add_argument("--tokens", type=names, default=("grid",), help=TOKENS_HELP)
    split = parser.add_mutually_exclusive_group()
    split.add_argument(
        "--split",
        type=_shares,
        default=shares("0.9"),
        metavar="X[,X[,X]]",
        help="shares of train, validation, test; 0.9 leaves 0.05 each (default: 0.9)",
    )
    split.add_argument(
        "--split-by", choices=("folder",), help="take the splits from the top folders' names"
    )
    parser.add_argument("--seed", type=int, default=42, help="of splits and order (default: 42)")
    parser.add_argument("--keep-duplicates", action="store_true", help="keep all of equal files")
    for name, (kind, help_) in LIMITS.items():
        parser.add_argument(_flag(name), dest=name, help=help_, **kind)
    add_workers(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace another dataset")


def _midi(options: argparse.Namespace) -> int:
    check_workers(options.workers)
    if options.out.exists() and options.source.exists() and options.out.samefile(options.source):
        raise argparse.ArgumentError(None, "OUT must be another folder than DIR")
    given = {name: getattr(options, name) for name in LIMITS}
    try:
        limits = Limits(**{name: bound for name, bound in given.items() if bound is not None})
        tokenizers = _tokenizers(options.tokens)
    except (ValueError, OSError) as error:
        raise argparse.ArgumentError(None, one_line(error)) from error

    def plan_of(files: int, digest: str) -> ImportPlan:
        return ImportPlan(
            files=files,
            listing_sha256=digest,
            tokenizers=tokenizers,
            shares=None if options.split_by else options.split,
            seed=options.seed,
            keep_duplicates=options.keep_duplicates,
            limits=limits,
        )

    with ExitStack() as stack:

        def progress(unit: str, total: int) -> Callable[[int], None]:
            return stack.enter_context(Progress(total, unit))

        imported = import_midi(
            options.source,
            options.out,
            plan_of,
            workers=options.workers,
            overwrite=options.overwrite,
            describe=describe,
            progress=progress,
        )
    rows = ", ".join(f"{split} {count:,}" for split, count in imported.rows.items())
    sys.stdout.write(f"rows: {rows}; rejected: {imported.rejected:,}, see {QUARANTINE}\n")
    return 0


def _tokenizers(specs: tuple[str, ...]) -> dict[str, Tokenizer]:
    found = parse_tokenizers(specs)
    built = [each.type for each in found.values() if each.needs_strokes]
    if built:
        raise ValueError(f"--tokens {built[0]} needs labelled strokes, which MIDI files lack")
    return found


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shares(text: str) -> tuple[float, float, float]:
    try:
        return shares(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be one to three shares in [0, 1] that sum to 1 or less, got {text!r}"
        ) from error


OPTIONS: Final = {"midi": _add_midi}
RUN: Final = {"midi": _midi}
