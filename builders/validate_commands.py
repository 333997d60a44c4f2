"""The command that checks datasets: `sousa validate`."""

import argparse
import json
import sys
from typing import Final

from sousa.builders import judged
from sousa.builders.cli import WRONG_DATA
from sousa.builders.options import add_workers, check_workers, folder
from sousa.builders.progress import Progress
from sousa.builders.validate import num_rows, validate


def _add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=folder, metavar="OUT", help="a dataset's folder")
    parser.add_argument("--all", action="store_true", help="check the audio of every row")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    add_workers(parser)


def _validate(options: argparse.Namespace) -> int:
    check_workers(options.workers)
    with Progress(num_rows(options.out), "rows") as progress:
        report = validate(
            options.out, every=options.all, workers=options.workers, progress=progress
        )
    if options.json:
        json.dump(report.to_json(), sys.stdout, indent=1, allow_nan=False)
        sys.stdout.write("\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in report.lines())
    if not report.is_good:
        return WRONG_DATA
    judged.remember(options.out)
    return 0


OPTIONS: Final = {"validate": _add_validate}
RUN: Final = {"validate": _validate}
