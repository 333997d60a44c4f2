"""The command that trains tokenizers: `tokenizer train`."""

import argparse
import sys
from contextlib import ExitStack
from typing import Final

from sousa.builders.options import add_workers, check_workers, describe, folder
from sousa.builders.progress import Progress
from sousa.builders.subword_tokens import MODELS
from sousa.builders.subword_training import Training, WrongTraining, trained
from sousa.builders.tokenize import tokenize


def _add(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=type(parser)
    )
    help_ = "Train subwords on a token column, and write them as a new one."
    train = actions.add_parser("train", help=help_, description=help_, allow_abbrev=False)
    train.add_argument("out", type=folder, metavar="OUT", help="a dataset's folder")
    train.add_argument("--column", default="tokens", help="the token column (default: tokens)")
    train.add_argument(
        "--vocab-size", type=int, default=2000, metavar="N", help="most ids (default: 2000)"
    )
    train.add_argument("--model", choices=tuple(MODELS), default="bpe", help="default: bpe")
    train.add_argument("--name", default="", help="the new column (default: COLUMN_MODEL)")
    train.add_argument(
        "--max-rows",
        type=int,
        default=100_000,
        metavar="N",
        help="most rows of split train to train on, drawn if there are more (default: 100000)",
    )
    train.add_argument("--seed", type=int, default=42, help="of the rows drawn (default: 42)")
    add_workers(train)


def _run(options: argparse.Namespace) -> int:
    check_workers(options.workers)
    try:
        training = Training(
            column=options.column,
            vocab_size=options.vocab_size,
            model=options.model,
            max_rows=options.max_rows,
            seed=options.seed,
            name=options.name,
        )
        found = trained(options.out, training)
    except WrongTraining as error:
        raise argparse.ArgumentError(None, str(error)) from error
    sys.stdout.write(
        f"{training.target}: {len(found.tokenizer.vocab):,} ids, "
        f"trained on {found.rows:,} of {found.of_rows:,} rows\n"
    )
    with ExitStack() as stack:
        tokenize(
            options.out,
            {training.target: found.tokenizer},
            workers=options.workers,
            describe=describe,
            progress=lambda total: stack.enter_context(Progress(total, "rows")),
        )
    return 0


OPTIONS: Final = {"tokenizer": _add}
RUN: Final = {"tokenizer": _run}
"""Functions of each command, as `cli` calls them."""
