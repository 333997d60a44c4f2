"""The command that makes datasets: `sousa build`."""

import argparse
from typing import Any, Final

from sousa.builders.build import build
from sousa.builders.cli import one_line
from sousa.builders.labels import SCORE_SETS
from sousa.builders.options import add_workers, check_workers, describe, folder, names
from sousa.builders.plan import PRESET_SIZES, Plan, make_plan
from sousa.builders.progress import Progress
from sousa.builders.rudiments import RUDIMENTS
from sousa.builders.schema import CONFIGS, SPLITS
from sousa.builders.tokens import OWN_TYPES
from sousa.builders.workers import ENGINES


def _add_build(parser: argparse.ArgumentParser) -> None:
    number: Any = {"type": int, "metavar": "N"}
    sizes = ", ".join(PRESET_SIZES)
    tokens = ", ".join((*OWN_TYPES, "or a class of MidiTok as remi:CONFIG.json"))
    parser.add_argument("out", type=folder, metavar="OUT", help="a new, empty or unfinished one")
    parser.add_argument("--preset", default="small", help=f"size: {sizes} (default: small)")
    parser.add_argument("--players", **number, help="players, instead of the preset's")
    parser.add_argument("--tempos", **number, help="tempos of each player and rudiment")
    parser.add_argument("--variants", **number, help="recordings of each performance")
    parser.add_argument("--rudiments", type=names, default=tuple(RUDIMENTS), metavar="A,B")
    parser.add_argument("--seed", type=int, default=42, help="of all chance (default: 42)")
    parser.add_argument("--configs", type=names, default=CONFIGS, help=", ".join(CONFIGS))
    parser.add_argument("--tokens", type=names, default=("grid",), help=f"of {tokens}")
    parser.add_argument("--score-set", default="v1", help=", ".join(SCORE_SETS))
    parser.add_argument("--splits", type=names, default=SPLITS, help="all three, or train")
    parser.add_argument("--kit", help="one kit for all clips, or sf2:FILE for a SoundFont")
    add_workers(parser)
    parser.add_argument("--engine", default="processes", help=", ".join(ENGINES))
    parser.add_argument("--overwrite", action="store_true", help="replace another dataset")


def _build(options: argparse.Namespace) -> int:
    plan = _plan(options)
    check_workers(options.workers)
    if options.engine not in ENGINES:
        allowed = ", ".join(ENGINES)
        raise argparse.ArgumentError(None, f"--engine must be of {allowed}; got {options.engine!r}")
    with Progress(plan.num_clips, "clips") as progress:
        build(
            plan,
            options.out,
            workers=options.workers,
            engine=options.engine,
            overwrite=options.overwrite,
            describe=describe,
            progress=progress,
        )
    return 0


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
        raise argparse.ArgumentError(None, one_line(error)) from error


OPTIONS: Final = {"build": _add_build}
RUN: Final = {"build": _build}
