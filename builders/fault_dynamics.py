"""Faults of loudness, of all strokes but graces and bounces."""

from dataclasses import dataclass
from math import ceil, erfc, floor, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.schema import HANDS, STROKE_TYPES
from sousa.builders.strokes import LEFT, RIGHT, Strokes
from sousa.builders.trend import Curve, Floats, Trend, fit, shrunk

KINDS: Final = 2 * len(STROKE_TYPES)
"""Strokes are alike when they have the same type and are, or are not, second in a diddle."""

CELLS: Final = (KINDS, 2, len(HANDS))
"""Strokes are compared by kind, unaccented or accented, and hand."""

OUTLIER: Final = 3.5
"""Median distances from the quartile of its class at which a misplaced stroke is none of it: some
2.5 standard deviations from its mean."""

ROUNDS: Final = 3
"""Times that misplaced strokes are looked for, at most."""

FAINTEST: Final = 0.3
"""Share of the intended contrast that accents are taken to have at least: those that do not even
reach half of it are missed, however many they are."""

HALF_STEP: Final = 0.5
"""Velocities are whole numbers: up to half a step is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """How far the loudness is from perfect; everything is 0 when it is not.

    Attributes:
        scatter: Standard deviation of log velocity among like strokes, fade taken out.
        flatness: Share of the intended contrast of accents that is missing; 1 is no contrast.
        misplaced: Share of strokes that sound accented and should not, or the other way round.
        balance: Log ratio of left to right velocity; positive when the right hand is weak.
        fade: Fall of log velocity over the clip.
    """

    scatter: float
    flatness: float
    misplaced: float
    balance: float
    fade: float


@dataclass(frozen=True, slots=True, eq=False)
class _Loudness:
    """Loudness of the judged strokes, one entry for each."""

    velocity: NDArray[np.int32]
    intended: NDArray[np.int32]
    ratio: Floats
    """Log of actual over intended."""
    cell: NDArray[np.intp]
    accent: NDArray[np.bool_]
    hand: NDArray[np.int8]
    time: Floats
    """From 0, the first stroke, to 1, the last."""

    def trend(self, kept: NDArray[np.bool_]) -> Trend:
        """Return levels and curve of some of the strokes."""
        cells = KINDS * 2 * len(HANDS)
        return fit(self.ratio[kept], self.cell[kept], self.time[kept], cells)


def judge(strokes: Strokes, intended: NDArray[np.bool_]) -> Dynamics:
    """Return the faults of loudness.

    Args:
        strokes: All strokes of a clip.
        intended: The strokes to judge, at least one.
    """
    loudness = _loudness(strokes, np.flatnonzero(intended))
    asked = _asked_contrast(loudness)
    kept, wrong = np.ones_like(loudness.accent), np.zeros_like(loudness.accent)
    trend = _first_trend(loudness) if asked else loudness.trend(kept)
    for again in range(
        ROUNDS if asked else 0
    ):  # the fade, and who does not belong, tell each other
        wrong, outlier = _misplaced(loudness, trend.curve, FAINTEST * asked)
        if again and np.array_equal(kept, ~outlier):
            break
        if not _comparable(loudness.accent[~outlier]):
            kept = np.ones_like(kept)
            trend = loudness.trend(kept)
            break
        kept = ~outlier
        trend = loudness.trend(kept)
    scatter = _scatter(loudness.velocity[kept], trend)
    excess, variance = _excess_contrast(trend)
    heard = max(FAINTEST * asked, asked + excess)
    by_chance = erfc(heard / (sqrt(8) * scatter)) / 2 if asked and scatter else 0.0
    return Dynamics(
        scatter=scatter,
        flatness=max(0.0, -shrunk(excess, variance)) / asked if asked else 0.0,
        misplaced=max(0.0, int(np.count_nonzero(wrong)) / len(wrong) - by_chance),
        balance=shrunk(*_balance(trend)),
        fade=max(0.0, -trend.curve.line),
    )


def _first_trend(loudness: _Loudness) -> Trend:
    """Return the trend of accents or of other strokes, whichever are more even.

    Accents that are missed at one end of the clip must not pass for a fade.
    """
    trends = [loudness.trend(loudness.accent == which) for which in (False, True)]
    return min(trends, key=lambda trend: float(trend.residual @ trend.residual) / trend.freedom)


def _loudness(strokes: Strokes, judged: NDArray[np.intp]) -> _Loudness:
    time_ms = strokes.intended_time_ms[judged]
    start_ms, end_ms = float(time_ms.min()), float(time_ms.max())
    velocity = np.maximum(strokes.actual_velocity[judged], 1)
    intended = np.maximum(strokes.intended_velocity[judged], 1)
    kind = strokes.stroke_type[judged] + len(STROKE_TYPES) * (strokes.diddle_position[judged] == 2)
    accent, hand = strokes.is_accent[judged], strokes.hand[judged]
    return _Loudness(
        velocity=velocity,
        intended=intended,
        ratio=np.log(velocity / intended),
        cell=np.ravel_multi_index((kind, accent.astype(np.intp), hand), CELLS),
        accent=accent,
        hand=hand,
        time=(time_ms - start_ms) / (end_ms - start_ms or 1.0),
    )


def _asked_contrast(loudness: _Loudness) -> float:
    """Return the intended log ratio of accents to other strokes; 0 where there are not both."""
    level, accent = np.log(loudness.intended), loudness.accent
    if not _comparable(accent):
        return 0.0
    return max(0.0, float(level[accent].mean() - level[~accent].mean()))


def _comparable(accent: NDArray[np.bool_]) -> bool:
    """Return whether there are accents and other strokes."""
    return 0 < int(np.count_nonzero(accent)) < len(accent)


def _misplaced(
    loudness: _Loudness, curve: Curve, faintest: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which strokes sound like the other class, and which of them are outliers.

    The first lie more than one step of velocity past the middle between accents and other strokes
    of their hand. The second also lie farther from their own class than its scatter reaches.
    """
    level = np.log(loudness.velocity) - curve(loudness.time)
    accent, hand = loudness.accent, loudness.hand
    # Quartiles on the side away from the other class: more than half may be misplaced.
    taps = [_quantile(level[~accent & (hand == side)], 0.25) for side in (LEFT, RIGHT)]
    base = np.where(np.isnan(taps), np.nanmax(taps), taps)[hand]  # a hand may have accents only
    contrast = max(faintest, _quantile((level - base)[accent], 0.75))
    past = np.where(accent, base + contrast / 2 - level, level - base - contrast / 2)
    wrong = past > 1 / loudness.velocity
    away = np.abs(past + contrast / 2)
    return wrong, wrong & (away > OUTLIER * _quantile(away, 0.5))


def _quantile(values: Floats, share: float) -> float:
    """Return the value at a share of the sorted values, outwards in doubt; NaN of none."""
    if not len(values):
        return float("nan")
    place = share * (len(values) - 1)
    return float(np.sort(values)[ceil(place) if share > 0.5 else floor(place)])


def _scatter(velocity: NDArray[np.int32], trend: Trend) -> float:
    """Return the standard deviation of log velocity beyond what rounding explains."""
    expected = velocity / np.exp(trend.residual)
    off = np.maximum(np.abs(velocity - expected) - HALF_STEP, 0) / expected
    return sqrt(float(off @ off) / trend.freedom)


def _excess_contrast(trend: Trend) -> tuple[float, float]:
    """Return by how much the contrast of accents exceeds the intended one, and its variance.

    Compared within each hand, so that an unequal hand is no contrast; over both hands only where
    neither plays accents and other strokes.
    """
    count = trend.count.reshape(CELLS).sum(axis=0)
    total = (trend.count * trend.level).reshape(CELLS).sum(axis=0)
    if not (count[0] * count[1]).any():
        count, total = count.sum(axis=1, keepdims=True), total.sum(axis=1, keepdims=True)
    mean = total / np.maximum(count, 1)
    return _weighted(mean[1] - mean[0], count[1], count[0], trend.variance)


def _balance(trend: Trend) -> tuple[float, float]:
    """Return the mean log ratio of left to right over like strokes, and its variance."""
    count, level = trend.count.reshape(CELLS), trend.level.reshape(CELLS)
    if not (count[..., LEFT] * count[..., RIGHT]).any():
        level = (count * level).sum(axis=(0, 1))
        count = count.sum(axis=(0, 1))
        level = level / np.maximum(count, 1)
    difference = level[..., LEFT] - level[..., RIGHT]
    return _weighted(difference, count[..., LEFT], count[..., RIGHT], trend.variance)


def _weighted(
    difference: Floats, first: NDArray[np.integer], second: NDArray[np.integer], variance: float
) -> tuple[float, float]:
    """Return the mean of differences of two means each, and its variance; 0 where there are none.

    Args:
        difference: Of the means.
        first: How many values the first means are of.
        second: How many values the second means are of.
        variance: Of one value.
    """
    weight = first * second / np.maximum(first + second, 1)  # one over the variance of each
    total = float(weight.sum())
    if not total:
        return 0.0, 0.0
    return float((weight * difference).sum()) / total, variance / total
