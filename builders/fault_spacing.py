"""Faults of strokes that are judged by their distance from another: graces, diddles, bounces."""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.fault_timing import Timing
from sousa.builders.rudiments import Rudiment
from sousa.builders.strokes import NONE, Strokes
from sousa.builders.trend import Floats, beyond

SILENT: Final = 1.0
"""Fault where none of the strokes in question sounded: as if they fell on their primaries."""

SHORTEST_MS: Final = 1e-3
"""Least intended spacing, so that there is something to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """Relative errors of spacings; None where the rudiment has none of their kind."""

    flam: float | None
    drag: float | None
    diddle: float | None
    buzz: float | None


def judge(strokes: Strokes, rudiment: Rudiment, timing: Timing) -> Spacing:
    """Return the faults of spacing.

    Args:
        strokes: All strokes of a clip.
        rudiment: What was to be played; it says which faults there can be.
        timing: Its faults: drift may stretch spacings, scatter makes diddles uneven.
    """
    flam, drag = None, None
    if rudiment.has_flams or rudiment.has_drags:
        flam, drag = _graces(strokes, rudiment, timing)
    return Spacing(
        flam=flam,
        drag=drag,
        diddle=_diddles(strokes, timing) if rudiment.has_diddles else None,
        buzz=_bounces(strokes, timing) if rudiment.has_buzz else None,
    )


def _graces(
    strokes: Strokes, rudiment: Rudiment, timing: Timing
) -> tuple[float | None, float | None]:
    """Return the errors of single graces and of pairs."""
    grace = np.flatnonzero(strokes.is_grace_note & (strokes.parent_stroke_index != NONE))
    parent = strokes.parent_stroke_index[grace]
    error = np.abs(_errors(strokes, grace, parent, timing))
    pair = np.bincount(parent, minlength=len(strokes))[parent] > 1
    if not rudiment.has_flams:
        return None, _mean(error)  # a lonely grace has lost the other of its pair
    if not rudiment.has_drags:
        return _mean(error), None
    return _mean(error[~pair]), _mean(error[pair])


def _diddles(strokes: Strokes, timing: Timing) -> float:
    """Return the error of the second strokes: what they share, and more spread than scatter."""
    parts = np.flatnonzero(strokes.diddle_position != NONE)
    parts = parts[np.argsort(strokes.intended_time_ms[parts], kind="stable")]
    position = strokes.diddle_position[parts]
    whole = np.flatnonzero((position[:-1] == 1) & (position[1:] == 2))
    first, second = parts[whole], parts[whole + 1]
    gap_ms = strokes.intended_time_ms[second] - strokes.intended_time_ms[first]
    near = gap_ms < 1.5 * gap_ms.min(initial=np.inf)  # else two halves of different diddles
    first, second, gap_ms = first[near], second[near], gap_ms[near]
    error = _errors(strokes, first, second, timing)
    pairs = len(error)
    if not pairs:
        return SILENT
    mean = float(error.sum()) / pairs
    off = error - mean
    variance = float(off @ off) / max(pairs - 1, 1)
    shared = beyond(mean**2, variance / pairs)
    explained = 2 * timing.scatter_ms**2 / (float(gap_ms @ gap_ms) / pairs)
    own = max(0.0, variance - explained * (1 + 2 * sqrt(4 / pairs)))  # either varies by chance
    return sqrt(shared**2 + own)


def _bounces(strokes: Strokes, timing: Timing) -> float:
    """Return the error from each bounce to the next, the first stroke of the buzz included."""
    bounce = np.flatnonzero(strokes.is_bounce)
    parent = strokes.parent_stroke_index[bounce]
    order = np.lexsort((strokes.intended_time_ms[bounce], parent))
    bounce, parent = bounce[order], parent[order]
    first = np.diff(parent, prepend=NONE) != 0
    before = np.where(first, parent, np.concatenate([parent[:1], bounce[:-1]]))
    return _mean(np.abs(_errors(strokes, before, bounce, timing)))


def _errors(
    strokes: Strokes, first: NDArray[np.integer], second: NDArray[np.integer], timing: Timing
) -> Floats:
    """Return the relative errors of the time from some strokes to others.

    No error is counted between keeping the notated time and stretching with the tempo.
    """
    played = strokes.actual_time_ms[second] - strokes.actual_time_ms[first]
    intended = strokes.intended_time_ms[second] - strokes.intended_time_ms[first]
    ratio = np.round(played, 3) / np.maximum(np.round(intended, 3), SHORTEST_MS)
    low, high = timing.stretch
    errors: Floats = ratio - np.clip(ratio, low, high)
    return errors


def _mean(errors: Floats) -> float:
    return float(errors.sum()) / len(errors) if len(errors) else SILENT
