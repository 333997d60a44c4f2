"""The command line.

Exit codes: 0 done, 1 the data is wrong, 2 the command is wrong, 130 interrupted. A mistake prints
one line that says what is wrong, where, and what to do.

Only what the command at hand needs is imported, so help comes at once. The modules of the
commands are loaded by name: those of the cards are downstream of the builders, which never
import them.
"""

import argparse
import re
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Final, NoReturn

TOKEN: Final = re.compile(r"(?<![\w/.-])hf_\w+")
"""What may be a token of the Hub, given where none belongs: never shown once more. Parts of
paths are none."""

WRONG_DATA, WRONG_COMMAND, INTERRUPTED = 1, 2, 130

COMMANDS: Final = {
    "build": ("sousa.builders.commands", "Render a dataset from nothing."),
    "import": ("sousa.builders.import_commands", "Make a dataset of data from elsewhere."),
    "export": ("sousa.builders.export_commands", "Write a dataset in another project's layout."),
    "tokenize": ("sousa.builders.tokenize_commands", "Add or replace a dataset's token columns."),
    "tokenizer": ("sousa.builders.subword_commands", "Train subwords on a token column."),
    "validate": (
        "sousa.builders.validate_commands",
        "Check everything in a dataset; exit 1 if any fails.",
    ),
    "card": ("sousa.cards.commands", "Write README.md from what the shards hold."),
    "push": ("sousa.cards.commands", "Publish a dataset on the Hub, or bring it up to date there."),
    "info": ("sousa.cards.commands", "Show what is in a dataset, in one screen."),
    "report": ("sousa.cards.report_commands", "Write one page to look at and listen to a dataset."),
}
"""Module and one line of help of each command. In the module, `OPTIONS` and `RUN` hold its
functions: the first adds its options to a parser, the second runs it and returns its exit code.
They raise `argparse.ArgumentError` for what is wrong on the command line itself. The options that
`RUN` gets have `faults`: commands of the cards cannot import the checks of the builders."""

BEGIN_ANEW: Final = frozenset({"validate", "card", "info", "report"})
"""Commands that do not go on where they were interrupted: they are short, or only read."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise argparse.ArgumentError(None, message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = " ".join(["sousa", *(word for word in words[:1] if word in COMMANDS)])
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as cleanly as for Ctrl-C
        options = _parser(words[:1]).parse_args(words)
        return int(options.run(options))
    except argparse.ArgumentError as error:
        return _complain(f"{name}: {error}; see `{name} --help`", WRONG_COMMAND)
    except KeyboardInterrupt:
        again = "begins anew" if BEGIN_ANEW.intersection(words[:1]) else "goes on from here"
        return _complain(f"{name}: interrupted; the same command {again}", INTERRUPTED)
    except (OSError, ValueError, RuntimeError) as error:
        return _complain(f"{name}: {one_line(error)}", WRONG_DATA)


def one_line(error: Exception) -> str:
    """Return an error as one line, with the file that an operating system's error is about."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())


def _complain(line: str, code: int) -> int:
    sys.stderr.write(TOKEN.sub("hf_***", line) + "\n")
    return code


def _parser(chosen: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of all commands; only the chosen one's module is loaded."""
    parser = _Parser(
        prog="sousa", description="Datasets of drum performances: build, check, describe."
    )
    parser.add_argument("--version", action="version", version=version("sousa-datasets"))
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for name, (module_name, help_) in COMMANDS.items():
        command = commands.add_parser(name, help=help_, description=help_, allow_abbrev=False)
        if name in chosen:
            module = import_module(module_name)
            module.OPTIONS[name](command)
            command.set_defaults(run=module.RUN[name], faults=_faults)
    return parser


def _faults(folder: Path) -> list[str]:
    found: list[str] = import_module("sousa.builders.judged").faults(folder)
    return found
