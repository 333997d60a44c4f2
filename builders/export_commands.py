"""The command `export`: the other way than `import`."""

import argparse
import sys
from contextlib import ExitStack
from typing import Final

from sousa.builders.export_sousa import export_sousa
from sousa.builders.options import folder
from sousa.builders.progress import Progress

SOUSA_HELP: Final = "Write a folder in the existing SOUSA layout, for what was written for it."


def _add_export(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(
        dest="kind", metavar="KIND", required=True, parser_class=type(parser)
    )
    sousa = kinds.add_parser("sousa", help=SOUSA_HELP, description=SOUSA_HELP, allow_abbrev=False)
    sousa.add_argument("out", type=folder, metavar="OUT", help="a dataset's folder")
    sousa.add_argument("target", type=folder, metavar="DST", help="a new or empty folder")


def _export(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        clips = export_sousa(
            options.out,
            options.target,
            progress=lambda total: stack.enter_context(Progress(total, "clips")),
        )
    sys.stdout.write(f"{clips:,} clips in {options.target}\n")
    return 0


OPTIONS: Final = {"export": _add_export}
RUN: Final = {"export": _export}
