"""The command `import audio`: its options, and what runs it."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from sousa.builders.annotation_files import ENDINGS, JAMS, Given, given
from sousa.builders.annotations import Annotations
from sousa.builders.arrangement import QUARANTINE
from sousa.builders.audio_columns import KINDS, Field, decided
from sousa.builders.audio_plan import AudioPlan
from sousa.builders.audio_schema import CONFIGS
from sousa.builders.choices import chosen, refusal
from sousa.builders.cli import one_line
from sousa.builders.import_audio import ON_ERROR, STOP, found_in, import_audio
from sousa.builders.import_plan import shares
from sousa.builders.options import add_workers, check_workers, describe, folder, names
from sousa.builders.progress import Progress
from sousa.builders.schema import Struct

ABOUT: Final = """\
Annotations are a .pyjama file, a folder of JAMS files (or one, or a pattern such as 'J/*.jams'),
or a table, .csv or .tsv. A table has a column file (or path, filepath, filename) and further
columns of values; several rows of a file are several values. With a column onset_sec (or time,
onset, start), and perhaps duration_sec, each row with a time is an event. Paths count from DIR.
Text is a class where values repeat, unless --labels says otherwise; numbers stay numbers.
Names that are ours already, such as audio, get label_ before them.
"""


def _add_audio(parser: argparse.ArgumentParser) -> None:
    parser.epilog = ABOUT
    parser.add_argument(
        "source", type=folder, metavar="DIR", help="recordings: WAV, FLAC, OGG or MP3, of any rate"
    )
    parser.add_argument("out", type=folder, metavar="OUT", help="a new, empty or unfinished folder")
    parser.add_argument("--annotations", required=True, metavar="FILE", help=", ".join(ENDINGS))
    parser.add_argument(
        "--labels",
        type=names,
        default=(),
        metavar="A,B",
        help=f"annotations to take (default: all); A:KIND says what A is, of {', '.join(KINDS)}",
    )
    split = parser.add_mutually_exclusive_group()
    split.add_argument(
        "--split-by", metavar="A", help="keep all recordings with one value of A in one split"
    )
    split.add_argument(
        "--split-field", metavar="A", help="take the split from A: train, validation or test"
    )
    parser.add_argument(
        "--split",
        type=_shares,
        metavar="X[,X[,X]]",
        help="shares of train, validation, test (default: 0.8,0.1,0.1)",
    )
    parser.add_argument("--seed", type=int, default=42, help="of splits and order (default: 42)")
    parser.add_argument("--configs", type=names, default=CONFIGS, help=", ".join(CONFIGS))
    parser.add_argument(
        "--max-sec", type=float, default=3600.0, metavar="X", help="longest recording (3600)"
    )
    parser.add_argument(
        "--on-error",
        choices=ON_ERROR,
        default=STOP,
        help="what to do where a recording or an annotation cannot be imported (default: stop)",
    )
    add_workers(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace another dataset")


def _audio(options: argparse.Namespace) -> int:
    check_workers(options.workers)
    if options.split_field and options.split:
        raise argparse.ArgumentError(None, "--split-field names the splits: leave out --split")
    if not options.max_sec > 0:
        raise argparse.ArgumentError(None, f"--max-sec must be above 0, got {options.max_sec:g}")
    files, configs, wanted = _command(options)
    annotations = files.read()
    stems = files.kind == JAMS
    found = found_in(options.source, options.out, annotations, stems=stems)
    there = Annotations(found.annotations.entries, classes=annotations.classes)
    fields, deciding = _fields(there, wanted, options)
    plan = AudioPlan(
        files=found.files,
        listing_sha256=found.listing_sha256,
        annotations_sha256=files.sha256(),
        columns=tuple(each.column for each in fields),
        labels=tuple(_named(name, kind) for name, kind in wanted.items()),
        configs=configs,
        group=deciding if options.split_by else None,
        split_field=deciding if options.split_field else None,
        deciding=options.split_by or options.split_field,
        shares=options.split or AudioPlan.shares,
        seed=options.seed,
        max_sec=options.max_sec,
    )
    with ExitStack() as stack:

        def progress(unit: str, total: int) -> Callable[[int], None]:
            return stack.enter_context(Progress(total, unit))

        imported = import_audio(
            found,
            options.out,
            plan,
            fields,
            on_error=options.on_error,
            workers=options.workers,
            overwrite=options.overwrite,
            describe=describe,
            progress=progress,
        )
    rows = ", ".join(f"{split} {count:,}" for split, count in imported.rows.items())
    sys.stdout.write(f"rows: {rows}; rejected: {imported.rejected:,}, see {QUARANTINE}\n")
    return 0


def _command(options: argparse.Namespace) -> tuple[Given, tuple[str, ...], dict[str, str]]:
    """Return the files of annotations, the configs, and the labels with what they are."""
    wanted: dict[str, str] = {}
    try:
        for each in options.labels:
            name, _, kind = each.rpartition(":") if ":" in each else (each, "", "")
            if kind and kind not in KINDS:
                raise ValueError(refusal(f"the kind of --labels {name}", kind, KINDS))
            wanted[name] = kind
        return given(options.annotations), chosen("configs", options.configs, CONFIGS), wanted
    except ValueError as error:
        raise argparse.ArgumentError(None, one_line(error)) from error


def _named(name: str, kind: str) -> str:
    """Return a label as `--labels` takes it."""
    return f"{name}:{kind}" if kind or ":" in name else name


def _fields(
    annotations: Annotations, wanted: Mapping[str, str], options: argparse.Namespace
) -> tuple[list[Field], str | None]:
    """Return the columns, and which of them decides the splits."""
    option = "--split-by" if options.split_by else "--split-field"
    name = options.split_by or options.split_field
    try:
        if name is None:
            return decided(annotations, wanted), None
        allowed = sorted({label for entry in annotations.entries for label in entry.labels})
        if name not in allowed:
            raise ValueError(refusal(option, name, allowed))
        fields = decided(annotations, {**wanted, name: wanted.get(name, "")} if wanted else {})
        return fields, _column_of(name, fields)
    except ValueError as error:
        raise argparse.ArgumentError(None, one_line(error)) from error


def _column_of(name: str, fields: Sequence[Field]) -> str:
    found = (e for e in fields if e.source == name and not isinstance(e.column.type, Struct))
    return next(found).column.name


def _shares(text: str) -> tuple[float, float, float]:
    try:
        return shares(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be one to three shares in [0, 1] that sum to 1 or less, got {text!r}"
        ) from error


OPTIONS: Final = {"audio": _add_audio}
RUN: Final = {"audio": _audio}
