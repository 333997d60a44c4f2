"""The command `tokenize`."""

import argparse
from contextlib import ExitStack
from typing import Final

from sousa.builders.cli import one_line
from sousa.builders.options import TOKENS_HELP, add_workers, check_workers, describe, folder, names
from sousa.builders.progress import Progress
from sousa.builders.tokenize import tokenize
from sousa.builders.tokens import parse_tokenizers


def _add_tokenize(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=folder, metavar="OUT", help="a dataset's folder")
    parser.add_argument("--tokens", type=names, required=True, help=TOKENS_HELP)
    add_workers(parser)


def _tokenize(options: argparse.Namespace) -> int:
    check_workers(options.workers)
    if not options.tokens:
        raise argparse.ArgumentError(None, "--tokens must name at least one, such as grid")
    try:
        tokenizers = parse_tokenizers(options.tokens)
    except (ValueError, OSError) as error:
        raise argparse.ArgumentError(None, one_line(error)) from error
    with ExitStack() as stack:
        tokenize(
            options.out,
            tokenizers,
            workers=options.workers,
            describe=describe,
            progress=lambda total: stack.enter_context(Progress(total, "rows")),
        )
    return 0


OPTIONS: Final = {"tokenize": _add_tokenize}
RUN: Final = {"tokenize": _tokenize}
