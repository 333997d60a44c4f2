"""The command `import sousa`: its options, and what runs it."""

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

from sousa.builders.arrangement import QUARANTINE
from sousa.builders.choices import chosen
from sousa.builders.cli import one_line
from sousa.builders.import_sousa import SKIP, STOP, Imported, import_sousa
from sousa.builders.options import (
    TOKENS_HELP,
    add_workers,
    check_workers,
    describe,
    folder,
    names,
)
from sousa.builders.progress import Progress
from sousa.builders.schema import CONFIGS
from sousa.builders.sousa_request import Request
from sousa.builders.tokens import parse_tokenizers


def _add_sousa(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=folder, metavar="SRC", help="the folder: labels, audio, midi"
    )
    parser.add_argument("out", type=folder, metavar="OUT", help="a new, empty or unfinished folder")
    configs = f"a list of {', '.join(CONFIGS)} (default: all that there are files for)"
    parser.add_argument("--configs", type=names, help=configs)
    parser.add_argument("--tokens", type=names, default=("grid",), help=TOKENS_HELP)
    parser.add_argument("--keep-midi", action="store_true", help="leave the snare on its channel")
    parser.add_argument("--resplit", action="store_true", help="make new splits, by player")
    parser.add_argument(
        "--on-error",
        choices=(STOP, SKIP),
        default=STOP,
        help="what to do with rows that cannot be imported (default: stop)",
    )
    parser.add_argument("--seed", type=int, default=42, help="of order and splits (default: 42)")
    add_workers(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace another dataset")


def _sousa(options: argparse.Namespace) -> int:
    check_workers(options.workers)
    request = _request(options)
    with ExitStack() as stack:

        def progress(unit: str, total: int) -> Callable[[int], None]:
            return stack.enter_context(Progress(total, unit))

        imported = import_sousa(
            options.source,
            options.out,
            request,
            workers=options.workers,
            on_error=options.on_error,
            overwrite=options.overwrite,
            describe=describe,
            progress=progress,
        )
    sys.stdout.writelines(f"{line}\n" for line in _summary(imported))
    return 0


def _request(options: argparse.Namespace) -> Request:
    try:
        configs = None
        if options.configs is not None:
            configs = chosen("configs", options.configs, CONFIGS)
        return Request(
            configs=configs,
            tokenizers=parse_tokenizers(options.tokens),
            resplit=options.resplit,
            keep_midi=options.keep_midi,
            seed=options.seed,
        )
    except (ValueError, OSError) as error:
        raise argparse.ArgumentError(None, one_line(error)) from error


def _summary(imported: Imported) -> list[str]:
    """Return what came of an import, and what did not."""
    left_out: dict[str, Any] = imported.left_out
    rows = ", ".join(f"{split} {count:,}" for split, count in imported.rows.items())
    lines = [f"rows: {rows}"]
    if left_out["split"] != "source":
        lines.append(SPLITS_MADE[left_out["split"]])
    if left_out["faults"]:
        lines.append(f"left out: {left_out['faults']:,} that cannot be imported, see {QUARANTINE}")
    if players := left_out["unknown_players"]:
        lines.append(
            f"in no split: {left_out['rows_of_unknown_players']:,} rows of {len(players):,} "
            f"players that splits.json does not name, such as {players[0]}; see {QUARANTINE}"
        )
    for name, what in (
        ("empty_splits", "empty splits"),
        ("without", "without"),
        ("ignored", "not understood, left out"),
    ):
        if left_out[name]:
            lines.append(f"{what}: {', '.join(left_out[name])}")
    return lines


SPLITS_MADE: Final = {
    "new": "splits: new ones, by player",
    "train": "splits: none in the source and too few players for new ones, so all is train",
}
OPTIONS: Final = {"sousa": _add_sousa}
RUN: Final = {"sousa": _sousa}
