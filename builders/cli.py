"""The command line: `sousa build`, `validate`, `card`, `info`.

Exit codes: 0 done, 1 the data is wrong, 2 the command is wrong, 130 interrupted. A mistake prints
one line that says what is wrong, where, and what to do.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NoReturn

from sousa.builders.build import build
from sousa.builders.labels import SCORE_SETS
from sousa.builders.plan import PRESET_SIZES, Plan, make_plan
from sousa.builders.progress import Progress
from sousa.builders.rudiments import RUDIMENTS
from sousa.builders.schema import CONFIGS, SPLITS
from sousa.builders.tokens import COLUMNS as TOKEN_COLUMNS
from sousa.builders.validate import num_rows, validate
from sousa.builders.workers import ENGINES

DONE, WRONG_DATA, WRONG_COMMAND, INTERRUPTED = 0, 1, 2, 130

CARDS: Final = "sousa.cards"
"""Is downstream of the builders, so it is loaded by name and never imported."""


class CommandError(Exception):
    """What is wrong on the command line itself."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as cleanly as for Ctrl-C
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = " ".join(["sousa", *(word for word in words[:1] if word in _COMMANDS)])
    try:
        options = _parser().parse_args(words)
        return int(options.run(options))
    except CommandError as error:
        return _complain(f"{name}: {error}; see `{name} --help`", WRONG_COMMAND)
    except KeyboardInterrupt:
        return _complain(f"{name}: interrupted; the same command goes on from here", INTERRUPTED)
    except (OSError, ValueError, RuntimeError) as error:
        return _complain(f"{name}: {_line(error)}", WRONG_DATA)


def _complain(line: str, code: int) -> int:
    sys.stderr.write(line + "\n")
    return code


def _line(error: Exception) -> str:
    """Return an error as one line, with the file that an operating system's error is about."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sousa", description="Datasets of drum performances: build, check, describe."
    )
    parser.add_argument("--version", action="version", version=version("sousa-datasets"))
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for name, (add_options, run, help_) in _COMMANDS.items():
        command = commands.add_parser(name, help=help_, description=help_)
        add_options(command)
        command.set_defaults(run=run)
    return parser


def _add_build(parser: argparse.ArgumentParser) -> None:
    number: Any = {"type": int, "metavar": "N"}
    sizes = ", ".join(PRESET_SIZES)
    parser.add_argument("out", type=Path, metavar="OUT", help="a new, empty or unfinished folder")
    parser.add_argument("--preset", default="small", help=f"size: {sizes} (default: small)")
    parser.add_argument("--players", **number, help="players, instead of the preset's")
    parser.add_argument("--tempos", **number, help="tempos of each player and rudiment")
    parser.add_argument("--variants", **number, help="recordings of each performance")
    parser.add_argument("--rudiments", type=_names, default=tuple(RUDIMENTS), metavar="A,B")
    parser.add_argument("--seed", type=int, default=42, help="of all chance (default: 42)")
    parser.add_argument("--configs", type=_names, default=CONFIGS, help=", ".join(CONFIGS))
    tokens = ", ".join(TOKEN_COLUMNS)
    parser.add_argument("--tokens", type=_names, default=("grid",), help=f"of {tokens}")
    parser.add_argument("--score-set", default="v1", help=", ".join(SCORE_SETS))
    parser.add_argument("--splits", type=_names, default=SPLITS, help="all three, or train")
    parser.add_argument("--kit", help="one kit for all clips, or sf2:FILE for a SoundFont")
    parser.add_argument("--workers", type=int, default=_cores(), metavar="N", help="processes")
    parser.add_argument("--engine", default="processes", help=", ".join(ENGINES))
    parser.add_argument("--overwrite", action="store_true", help="replace another dataset")


def _build(options: argparse.Namespace) -> int:
    plan = _plan(options)
    if options.workers < 1:
        raise CommandError(f"--workers must be at least 1, got {options.workers}")
    if options.engine not in ENGINES:
        raise CommandError(f"--engine must be of {', '.join(ENGINES)}; got {options.engine!r}")
    with Progress(plan.num_clips, "clips") as progress:
        build(
            plan,
            options.out,
            workers=options.workers,
            engine=options.engine,
            overwrite=options.overwrite,
            progress=progress,
        )
    _of_cards("card", "write")(options.out)
    return DONE


def _plan(options: argparse.Namespace) -> Plan:
    try:
        return make_plan(
            options.preset,
            {name: getattr(options, name) for name in ("players", "tempos", "variants")},
            rudiments=options.rudiments,
            seed=options.seed,
            configs=options.configs,
            tokens=options.tokens,
            score_set=options.score_set,
            splits=options.splits,
            kit=options.kit,
        )
    except (ValueError, OSError) as error:
        raise CommandError(_line(error)) from error


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="a dataset's folder")


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="OUT|org/name", help="a folder, or a Hub id")


def _add_validate(parser: argparse.ArgumentParser) -> None:
    _add_folder(parser)
    parser.add_argument("--all", action="store_true", help="check the audio of every row")


def _validate(options: argparse.Namespace) -> int:
    with Progress(num_rows(options.out), "rows") as progress:
        report = validate(options.out, every=options.all, progress=progress)
    sys.stdout.writelines(f"{line}\n" for line in report.lines())
    return WRONG_DATA if report.findings else DONE


def _card(options: argparse.Namespace) -> int:
    _of_cards("card", "write")(options.out)
    return DONE


def _info(options: argparse.Namespace) -> int:
    sys.stdout.write(_of_cards("info", "describe")(options.source))
    return DONE


_COMMANDS: Final[dict[str, tuple[Callable[..., None], Callable[..., int], str]]] = {
    "build": (_add_build, _build, "Render a dataset from nothing."),
    "validate": (_add_validate, _validate, "Check everything in a dataset; exit 1 if any fails."),
    "card": (_add_folder, _card, "Write README.md from what the shards hold."),
    "info": (_add_source, _info, "Show what is in a dataset, in one screen."),
}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _of_cards(module: str, function: str) -> Any:
    return getattr(import_module(f"{CARDS}.{module}"), function)
