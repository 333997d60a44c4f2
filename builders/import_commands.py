"""The command `import`: which kinds of data can be taken in."""

import argparse
from importlib import import_module
from typing import Final

KINDS: Final = {
    "midi": ("sousa.builders.midi_commands", "Import a tree of MIDI files."),
    "sousa": ("sousa.builders.sousa_commands", "Import a folder in the existing SOUSA layout."),
    "audio": (
        "sousa.builders.audio_commands",
        "Import recordings with annotations.",
    ),
}
"""Module and one line of help of each kind. In the module, `OPTIONS` and `RUN` hold its functions,
as those of `cli.COMMANDS` do."""


def _add_import(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(
        dest="kind", metavar="KIND", required=True, parser_class=type(parser)
    )
    for kind, (module_name, help_) in KINDS.items():
        command = kinds.add_parser(kind, help=help_, description=help_, allow_abbrev=False)
        module = import_module(module_name)
        module.OPTIONS[kind](command)


def _import(options: argparse.Namespace) -> int:
    module_name, _ = KINDS[options.kind]
    return int(import_module(module_name).RUN[options.kind](options))


OPTIONS: Final = {"import": _add_import}
RUN: Final = {"import": _import}
