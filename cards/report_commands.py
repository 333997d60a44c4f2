"""The command that shows a dataset to people: `sousa report`."""

import argparse
import sys
from pathlib import Path
from typing import Final

from sousa.cards import report
from sousa.cards.tables import size

MOST_CLIPS: Final = 200
"""Clips of one page: more, and browsers are slow."""


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=_folder, metavar="OUT", help="a dataset's folder")
    parser.add_argument(
        "--to",
        type=_page,
        metavar="FILE.html",
        help="the page (default: OUT-report.html beside OUT)",
    )
    parser.add_argument(
        "--clips",
        type=_count,
        default=report.CLIPS,
        metavar="N",
        help=f"clips to hear and see in full (default: {report.CLIPS})",
    )
    parser.add_argument(
        "--seed", type=_seed, default=report.SEED, metavar="S", help="of the choice of clips"
    )
    parser.add_argument("--split", type=_names, default=(), metavar="A,B", help="only these splits")


def _report(options: argparse.Namespace) -> int:
    if not options.out.is_dir():
        raise FileNotFoundError(
            f"a report is made of a folder, and there is none called {options.out}; a dataset on "
            "the Hub can be fetched first: `hf download org/name --repo-type dataset "
            "--local-dir FOLDER`"
        )
    whole = options.out.resolve()
    to = options.to or whole.with_name(f"{whole.name or 'dataset'}-report.html")
    wanted = report.Wanted(clips=options.clips, seed=options.seed, splits=options.split)
    written = report.write(options.out, to, wanted)
    sys.stdout.write(f"{to}, {size(written)}: open it with a browser\n")
    return 0


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("the name of a folder is needed, got ''")
    return Path(text)


def _page(text: str) -> Path:
    if not text.lower().endswith((".html", ".htm")):
        raise argparse.ArgumentTypeError(f"a file named *.html is needed, got {text!r}")
    return Path(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= MOST_CLIPS):
        raise argparse.ArgumentTypeError(f"a number from 0 to {MOST_CLIPS} is needed, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise argparse.ArgumentTypeError(f"a whole number from 0 is needed, got {text!r}")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"names are needed, such as train,test; got {text!r}")
    return names


OPTIONS: Final = {"report": _add_report}
RUN: Final = {"report": _report}
