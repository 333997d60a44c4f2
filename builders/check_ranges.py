"""Check of a whole dataset: do its performances vary as people do?

The ranges are those that the validator of the existing SOUSA generator takes from the literature it
cites: Fujii, Hirashima, Kudo, Ohtsuki, Nakamura and Oda 2011, "Synchronization error of drum kit
playing with a metronome at different tempi by professional drummers", Music Perception 28(5); Repp
2005, "Sensorimotor synchronization: a review of the tapping literature", Psychonomic Bulletin &
Review 12(6); Wing and Kristofferson 1973, "Response delays and the timing of discrete motor
responses", Perception & Psychophysics 14(1); Schmidt and Lee 2011, "Motor control and learning",
5th edition. They are looked at where a tier has `FEWEST_CLIPS` clips of `FEWEST_PLAYERS` players.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sousa.builders.findings import Whole
from sousa.builders.schema import RUDIMENTS, SKILL_TIERS

SOURCES: Final = "Fujii 2011, Repp 2005, Wing & Kristofferson 1973, Schmidt & Lee 2011"

RANGES: Final[Mapping[str, tuple[str, tuple[tuple[float, float], ...]]]] = {
    "timing_sd_ms": ("detrended timing SD, ms", ((35, 80), (20, 45), (8, 25), (5, 15))),
    "velocity_cv": (
        "velocity CV within a kind of stroke",
        ((0.18, 0.35), (0.12, 0.25), (0.08, 0.18), (0.05, 0.12)),
    ),
}
"""What is measured, and the range of its median in each tier, beginner to professional."""

CORRELATIONS: Final = (
    ("timing_accuracy", "timing_consistency", 0.5),
    ("timing_accuracy", "hand_balance", 0.3),
    ("timing_accuracy", "overall_score", 0.6),
    ("velocity_control", "accent_differentiation", 0.15),
    ("hand_balance", "overall_score", 0.4),
)
"""Scores that go together over clips, and least correlations."""

RISING: Final = ("timing_accuracy", "timing_consistency", "hand_balance")
"""Scores of which the means rise with the tier."""

FEWEST_CLIPS: Final = 100
FEWEST_PLAYERS: Final = 3
SIGMAS: Final = 2.0
"""Standard errors by which a correlation may fall short; clips of one player count as one."""

FEWEST_OF_RUDIMENT: Final = 40
"""Clips of a rudiment, over the tiers, that show whether it sets beginners apart."""


def check(every: pa.Table, sampled: pa.Table, *, built: bool) -> Whole:
    """Find tiers whose timing or velocities lie outside published ranges or out of order.

    A rudiment is looked at by the order of beginners and professionals in it.
    """
    del every, built
    if not {"skill_tier", "timing_sd_ms"} <= set(sampled.column_names):
        return Whole(0)
    tier = column(sampled, "skill_tier")
    judged = [each for each in range(len(SKILL_TIERS)) if _is_enough(sampled, tier == each)]
    if not judged:
        need = f"{FEWEST_CLIPS} clips of {FEWEST_PLAYERS} players"
        return Whole(0, figure=f"not judged: no tier has {need}")
    wrong: list[tuple[str, str]] = []
    figures: dict[str, Any] = {}
    for name in RANGES:
        wrong += _outside(name, column(sampled, name), tier, judged, figures)
    wrong += _unordered(sampled, tier, judged, figures)
    wrong += _unrelated(sampled, tier, judged, figures)
    wrong += _by_rudiment(sampled, tier, judged)
    worst = figures["timing_sd_ms"]
    said = ", ".join(f"{SKILL_TIERS[each][:3]} {worst[SKILL_TIERS[each]]:.3g}" for each in judged)
    figure = f"timing SD, ms: {said} ({SOURCES})"
    return Whole(int(np.isin(tier, judged).sum()), tuple(wrong), figure, figures)


def column(table: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a column of numbers; null is NaN."""
    values: NDArray[np.float64] = pc.cast(table[name], pa.float64()).to_numpy()
    return values


def _is_enough(table: pa.Table, chosen: NDArray[np.bool_]) -> bool:
    if "profile_id" not in table.column_names or chosen.sum() < FEWEST_CLIPS:
        return False
    return len(table["profile_id"].filter(pa.array(chosen)).unique()) >= FEWEST_PLAYERS


def _outside(
    name: str,
    values: NDArray[np.float64],
    tier: NDArray[np.float64],
    judged: list[int],
    figures: dict[str, Any],
) -> Iterator[tuple[str, str]]:
    what, ranges = RANGES[name]
    medians: dict[str, float] = {}
    for each in judged:
        known = values[(tier == each) & np.isfinite(values)]
        if not len(known):
            continue
        median, (low, high) = float(np.median(known)), ranges[each]
        medians[SKILL_TIERS[each]] = median
        if not low <= median <= high:
            yield (
                f"tier {SKILL_TIERS[each]}",
                f"median {what} is {median:.3g}, published {low:g}-{high:g} ({SOURCES})",
            )
    figures[name] = medians
    if list(medians.values()) != sorted(medians.values(), reverse=True):
        said = ", ".join(f"{tier} {value:.3g}" for tier, value in medians.items())
        yield "tiers", f"median {what} must fall with skill, is {said}"


def _unordered(
    table: pa.Table, tier: NDArray[np.float64], judged: list[int], figures: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    for name in (name for name in RISING if name in table.column_names):
        values = column(table, name)
        known = [values[(tier == each) & np.isfinite(values)] for each in judged]
        means = [float(each.mean()) for each in known if len(each)]
        figures[name] = dict(zip((SKILL_TIERS[each] for each in judged), means, strict=False))
        if means != sorted(means):
            said = ", ".join(f"{mean:.3g}" for mean in means)
            yield "tiers", f"mean {name} must rise with skill, is {said}"


def _unrelated(
    table: pa.Table, tier: NDArray[np.float64], judged: list[int], figures: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield scores that do not go together; all tiers are needed, as skill is what they share."""
    if len(judged) < len(SKILL_TIERS):
        return
    chosen = np.isin(tier, judged)
    for first, second, least in CORRELATIONS:
        if not {first, second} <= set(table.column_names):
            continue
        x, y = column(table, first), column(table, second)
        both = chosen & np.isfinite(x) & np.isfinite(y)
        if both.sum() < FEWEST_CLIPS or not (x[both].std() and y[both].std()):
            continue
        found = float(np.corrcoef(x[both], y[both])[0, 1])
        figures[f"{first} with {second}"] = found
        players = len(table["profile_id"].filter(pa.array(both)).unique())
        if found + SIGMAS * (1 - found**2) / np.sqrt(players) < least:
            yield "scores", f"{first} and {second} correlate by {found:.2f}, must by {least:g}"


def _by_rudiment(
    table: pa.Table, tier: NDArray[np.float64], judged: list[int]
) -> Iterator[tuple[str, str]]:
    if "rudiment_slug" not in table.column_names or len(judged) < 2:
        return
    rudiment, spread = column(table, "rudiment_slug"), column(table, "timing_sd_ms")
    for number, slug in enumerate(RUDIMENTS):
        ends = [spread[(rudiment == number) & (tier == each)] for each in (judged[0], judged[-1])]
        low, high = (each[np.isfinite(each)] for each in ends)
        if min(len(low), len(high)) * 2 < FEWEST_OF_RUDIMENT:
            continue
        if np.median(low) <= np.median(high):
            yield (
                f"rudiment {slug}",
                f"timing SD of {SKILL_TIERS[judged[0]]}s, {np.median(low):.3g} ms, must exceed "
                f"that of {SKILL_TIERS[judged[-1]]}s, {np.median(high):.3g} ms",
            )
