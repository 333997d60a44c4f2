"""Options that several commands have, and what they check."""

import argparse
import os
from importlib import import_module
from pathlib import Path
from typing import Final

CARD: Final = "sousa.cards.card"
"""Writes the card of a folder; downstream of the builders, so loaded by name."""

TOKENS_HELP: Final = "a list such as grid,ms,remi:CONFIG.json"


def describe(out: Path) -> None:
    """Write the card of a folder."""
    import_module(CARD).write(out)


def folder(text: str) -> Path:
    """Return the folder that an argument names.

    Raises:
        argparse.ArgumentTypeError: If it is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("the name of a folder is needed, got ''")
    return Path(text)


def names(text: str) -> tuple[str, ...]:
    """Return the names of a comma list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add `--workers`: all cores unless it says otherwise."""
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--workers", type=int, default=cores, metavar="N", help="processes")


def check_workers(workers: int) -> None:
    """Refuse a number of workers.

    Raises:
        argparse.ArgumentError: If it is less than 1.
    """
    if workers < 1:
        raise argparse.ArgumentError(None, f"--workers must be at least 1, got {workers}")
