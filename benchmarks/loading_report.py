"""Tables and a picture of who loads how fast."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from loading_peers import REFERENCE
from loading_rounds import Rates, fastest, ratio

mpl.use("Agg")
import matplotlib.pyplot as plt

TITLES = {"prepared": "audio_16k: 16 kHz WAV", "flac": "audio: 44.1 kHz FLAC to 16 kHz"}
NORMALISED = "peaks normalised"
"""In the names of those of ours who do more than the others."""

COLOURS = {"limit": "#bbbbbb", "ours": "#1f77b4", "peer": "#e0a458"}


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to reach.

    Attributes:
        what: In words.
        reached: What was measured; None where a peer for it is missing.
        form: How it is written.
        least: What it must be.
        aim: What it should be.
        fewer: Whether less is better.
    """

    what: str
    reached: float | None
    form: str
    least: float
    aim: float
    fewer: bool = False

    def verdict(self) -> str:
        """Return how far the goal was reached."""
        if self.reached is None:
            return "not measured"
        sign = -1 if self.fewer else 1
        if sign * self.reached >= sign * self.aim:
            return "aim"
        return "at least" if sign * self.reached >= sign * self.least else "**missed**"


@dataclass(frozen=True, slots=True)
class Standing:
    """How fast each entrant was.

    Attributes:
        rates: Clips per second, round by round.
        workers: Of each entrant.
    """

    rates: Rates
    workers: Mapping[str, int]

    @property
    def limit(self) -> str | None:
        """The fastest of the limits."""
        return fastest(self.rates, [name for name in self.rates if kind_of(name) == "limit"])

    @property
    def best_peer(self) -> str | None:
        """The fastest of the peers on the same data."""
        names = [name for name in self.rates if kind_of(name) == "peer" and name != REFERENCE]
        return fastest(self.rates, names)

    def ratio(self, name: str | None, other: str | None) -> float | None:
        """Return the median ratio of two entrants; None where one did not take part."""
        return ratio(self.rates, name, other)

    def by_rate(self) -> list[tuple[str, float]]:
        """Return names and median rates, the fastest first."""
        medians = {name: statistics.median(rates) for name, rates in self.rates.items()}
        return sorted(medians.items(), key=lambda item: -item[1])


def kind_of(name: str) -> str:
    """Return `limit`, `kernel`, `ours` or `peer`."""
    return next((kind for kind in ("limit", "kernel", "ours") if name.startswith(kind)), "peer")


def print_standing(title: str, standing: Standing) -> None:
    """Print who was how fast, and against the limit, the best peer and the reference style."""
    others = [name for name in (standing.limit, standing.best_peer, REFERENCE) if name]
    others = [name for name in others if name in standing.rates]
    print(f"## {title}\n")
    print("| | workers | clips/s |", *(f"against {name} |" for name in others))
    print("|---|---:|---:|" + "---:|" * len(others))
    for name, rate in standing.by_rate():
        ratios = (f"{standing.ratio(name, other):.3g} |" for other in others)
        print(f"| {name} | {standing.workers[name]} | {rate:,.0f} |", *ratios)
    print()


def print_goals(goals: list[Goal]) -> None:
    """Print what had to be reached and what was."""
    print("## against what it must reach\n")
    print("| | measured | at least | aim | reached |\n|---|---:|---:|---:|---|")
    for goal in goals:
        reached = "-" if goal.reached is None else goal.form.format(goal.reached)
        least, aim = goal.form.format(goal.least), goal.form.format(goal.aim)
        print(f"| {goal.what} | {reached} | {least} | {aim} | {goal.verdict()} |")


def save_picture(standings: Mapping[str, Standing], path: Path) -> None:
    """Draw everybody's rate as bars: the fastest limit, and ours as the others do the work.

    Raises:
        SystemExit: If nobody was compared.
    """
    if not standings:
        raise SystemExit("a picture needs rates: add prepared or flac to --only")
    figure, axes = plt.subplots(
        len(standings), figsize=(9, 3.6 * len(standings)), layout="constrained", squeeze=False
    )
    for axis, (section, standing) in zip(axes[:, 0], standings.items(), strict=True):
        bars = [
            (name, rate)
            for name, rate in reversed(standing.by_rate())
            if name == standing.limit
            or (kind_of(name) in ("ours", "peer") and NORMALISED not in name)
        ]
        names, rates = zip(*bars, strict=True)
        drawn = axis.barh(names, rates, color=[COLOURS[kind_of(name)] for name in names])
        axis.bar_label(drawn, labels=[f"{rate:,.0f}" for rate in rates], padding=3)
        axis.set_title(TITLES[section], loc="left")
        axis.set_xlabel("clips/s")
        axis.margins(x=0.12)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
