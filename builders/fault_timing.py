"""Faults of timing, of the strokes that stand on the grid by themselves."""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.schema import HANDS
from sousa.builders.strokes import Strokes
from sousa.builders.trend import Floats, Trend, contrasts, fit

PLACES: Final = 48
"""Places within a beat that are told apart; 32nds and triplets of 16ths have their own."""

FINE_PLACES: Final = 960
"""Places at which an added stroke hardly ever meets a notated one."""

BY_CHANCE: Final = 0.5
"""Mean square of the least of the offsets of `_offset` under scatter alone, about, relative to that
of a mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How far the timing is from perfect; everything is 0 when it is not.

    Attributes:
        offset_ms: Size of the offset that all of the performance shares.
        scatter_ms: Standard deviation around offset, drift and places.
        drift: Tempo deviation as a share, RMS over the strokes.
        unevenness_ms: Deviation of the places within the beat from each other, RMS.
        hand_scatter_ms: RMS of the scatter of the left and of the right hand.
        stretch: Least and greatest factor by which the drift lengthens time; 1 lies within.
    """

    offset_ms: float
    scatter_ms: float
    drift: float
    unevenness_ms: float
    hand_scatter_ms: tuple[float, float]
    stretch: tuple[float, float]


def is_intended(strokes: Strokes, tempo_bpm: float) -> NDArray[np.bool_]:
    """Return which strokes stand on the grid and are notated, `(strokes,)`.

    An added stroke has nothing that it should have been: it is its own intention, at a place in
    the beat where nothing else is.
    """
    intended = strokes.is_primary
    primary = np.flatnonzero(intended)
    if not len(primary):
        return intended
    place = _beats_and_places(strokes.intended_time_ms[primary], tempo_bpm, FINE_PLACES)[1]
    alone = np.bincount(place)[place] == 1
    on_time = strokes.actual_time_ms[primary] == strokes.intended_time_ms[primary]
    as_loud = strokes.actual_velocity[primary] == strokes.intended_velocity[primary]
    added = primary[alone & on_time & as_loud]
    if len(added) < len(primary):
        intended[added] = False
    return intended


def judge(strokes: Strokes, intended: NDArray[np.bool_], tempo_bpm: float) -> Timing:
    """Return the faults of timing.

    Args:
        strokes: All strokes of a clip.
        intended: As from `is_intended`, at least one.
        tempo_bpm: Quarter notes per minute.
    """
    own = intended & (strokes.diddle_position != 2)
    grid = np.flatnonzero(own if own.any() else intended)
    time_ms, error_ms = strokes.intended_time_ms[grid], strokes.timing_error_ms[grid]
    start_ms = float(time_ms.min())
    span_ms = float(time_ms.max()) - start_ms or 1.0
    time = (time_ms - start_ms) / span_ms
    beat, place = _beats_and_places(time_ms, tempo_bpm, PLACES)
    used, place = np.unique(place, return_inverse=True)
    if len(grid) < 2 * len(used) + 2:  # too few to tell an uneven place from scatter
        used, place = used[:1], np.zeros_like(place)
    trend = fit(error_ms, place, time, len(used))
    deviation, unevenness_ms = contrasts(error_ms - trend.curve(time), place, beat)
    slope = trend.curve.slope(time) / span_ms
    return Timing(
        offset_ms=_offset(error_ms, time, start_ms / span_ms, trend, deviation),
        scatter_ms=sqrt(trend.variance),
        drift=sqrt(float(slope @ slope) / len(grid)),
        unevenness_ms=unevenness_ms,
        hand_scatter_ms=_by_hand(trend.residual, strokes.hand[grid]),
        stretch=(1 + min(0.0, float(slope.min())), 1 + max(0.0, float(slope.max()))),
    )


def _beats_and_places(
    time_ms: Floats, tempo_bpm: float, places: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the beat, from 0, and the place within it, of times on the grid."""
    beats = (time_ms - time_ms.min()) * (tempo_bpm / 60_000)
    beat, place = np.divmod(np.rint(beats * places).astype(np.intp), places)
    return beat, place


def _offset(
    error_ms: Floats, time: Floats, lead_in: float, trend: Trend, deviation: Floats
) -> float:
    """Return the size of the offset that nothing else explains.

    A drift is on time at the start of the clip, at the first stroke or on the average, and uneven
    places are so at some place or on the average. The offset is the least that is left of the mean
    error when each of these is taken for what was meant.

    Args:
        error_ms: Timing errors.
        time: From 0, the first stroke, to 1.
        lead_in: Length of the lead-in, in the same unit.
        trend: Of the errors.
        deviation: Of each place from the others, in ms.
    """
    mean = float(error_ms.sum()) / len(error_ms)
    first = mean - float(trend.curve(time).sum()) / len(time)
    start = first + float(trend.curve(np.array(-lead_in)))
    offsets = np.add.outer([mean, first, start], np.append(deviation, 0.0))
    least = float(np.abs(offsets).min())
    return sqrt(max(0.0, least**2 - BY_CHANCE * trend.variance / len(error_ms)))


def _by_hand(residual: Floats, hand: NDArray[np.int8]) -> tuple[float, float]:
    count = np.maximum(np.bincount(hand, minlength=len(HANDS)), 1)
    left, right = np.sqrt(np.bincount(hand, residual**2, len(HANDS)) / count).tolist()
    return left, right
