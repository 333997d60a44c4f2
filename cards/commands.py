"""The commands that describe datasets: `sousa card`, `sousa info`."""

import argparse
import sys
from pathlib import Path
from typing import Final

from sousa.cards import card, info


def _add_card(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="a dataset's folder")


def _card(options: argparse.Namespace) -> int:
    card.write(options.out)
    return 0


def _add_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="OUT|org/name", help="a folder, or a Hub id")


def _info(options: argparse.Namespace) -> int:
    sys.stdout.write(info.describe(options.source))
    return 0


OPTIONS: Final = {"card": _add_card, "info": _add_info}
RUN: Final = {"card": _card, "info": _info}
