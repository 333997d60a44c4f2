"""Check of rows: are the figures of the measures those of their strokes?"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.check_rows import broken
from sousa.builders.strokes import LEFT, RIGHT
from sousa.builders.view import Lists, Rows

Floats = NDArray[np.float64]

TOLERANCE: Final = 1e-3
"""Largest difference, absolute and as a share: figures are stored as float32."""


def check_figures(rows: Rows, *, may_lack: bool = False) -> Iterator[tuple[int, str]]:
    """Find measures whose means and spreads are not those of the strokes from start to end.

    Args:
        rows: With `strokes` and `measures`.
        may_lack: Whether a figure may be missing.
    """
    m, s = rows.measures, rows.strokes
    start, end = m["stroke_start"], m["stroke_end"]
    sound = (start >= 0) & (end >= start) & (end <= s.lengths[m.row])
    size = np.where(sound, end - start, 0)
    measure = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(measure)) - np.repeat(np.cumsum(size) - size, size)
    stroke = (s.starts[m.row] + start)[measure] + place
    expected = _figures(s, stroke, measure, len(size))
    found = {name: m[name].astype(np.float64) for name in expected}
    rules = {
        f"{name} must be that of its strokes": sound
        & ~_same(found[name], figure)
        & ~(may_lack & np.isnan(found[name]))
        for name, figure in expected.items()
    }
    yield from broken(m, "measures", rules)


def _figures(
    strokes: Lists, stroke: NDArray[np.int64], measure: NDArray[np.int64], count: int
) -> dict[str, Floats]:
    """Return the figures of the measures that some strokes are in, as `labels.measures` has them.

    Args:
        strokes: Of all rows.
        stroke: Places of the strokes among them.
        measure: The measure each is in.
        count: Measures.
    """
    error_ms = strokes["timing_error_ms"][stroke].astype(np.float64)
    velocity = strokes["actual_velocity"][stroke].astype(np.float64)
    hand = strokes["hand"][stroke]

    def mean(values: Floats, chosen: Any = slice(None)) -> Floats:
        members = np.bincount(measure[chosen], minlength=count)
        return np.bincount(measure[chosen], values[chosen], count) / np.where(members, members, 1)

    def spread(values: Floats, middle: Floats) -> Floats:
        return np.sqrt(mean((values - middle[measure]) ** 2))

    def of_hand(values: Floats, which: int) -> Floats:
        plays = np.bincount(measure[hand == which], minlength=count) > 0
        return np.where(plays, mean(values, hand == which), np.nan)

    late, loud = mean(error_ms), mean(velocity)
    uneven = spread(velocity, loud)
    largest = np.zeros(count)
    np.maximum.at(largest, measure, np.abs(error_ms))
    return {
        "timing_mean_error_ms": late,
        "timing_std_ms": spread(error_ms, late),
        "timing_max_error_ms": largest,
        "velocity_mean": loud,
        "velocity_std": uneven,
        "velocity_consistency": np.where(loud > 0, 1 - uneven / np.maximum(loud, 1), 0),
        "lr_velocity_ratio": of_hand(velocity, LEFT) / of_hand(velocity, RIGHT),
        "lr_timing_diff_ms": of_hand(error_ms, LEFT) - of_hand(error_ms, RIGHT),
    }


def _same(found: Floats, wanted: Floats) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.isclose(
        found, wanted, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
    )
    return near
