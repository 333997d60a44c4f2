"""Time signatures to bars: which bar an event is in, and where in it.

Ticks here are 480 to the quarter note. A signature that stands within a bar ends it: the next one
begins there. Events that lie at most half a step before a bar line belong to the bar after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.schema import TICKS_PER_QUARTER

STEPS_PER_QUARTER: Final = 12
STEP_TICKS: Final = TICKS_PER_QUARTER // STEPS_PER_QUARTER
EARLY_TICKS: Final = STEP_TICKS // 2
MOST_STEPS: Final = 144
"""Steps of the longest bar, 12/4; a longer one counts as several."""

FILE_SHIFT: Final = 36
"""Bits of a key; the place of its file is in those above."""

Ints = NDArray[np.int64]


@lru_cache
def bar_ticks(numerator: int, denominator: int) -> int:
    """Return the length of a bar; of a bar above 12/4, of the longest equal parts below it.

    Raises:
        ValueError: If a bar has no whole number of ticks.
    """
    whole, rest = divmod(numerator * 4 * TICKS_PER_QUARTER, max(1, denominator))
    if rest or whole < 1 or denominator < 1:
        raise ValueError(
            f"a time signature must be n/1 to n/128 with n above 0, got {numerator}/{denominator}"
        )
    parts = -(-whole // (MOST_STEPS * STEP_TICKS))
    return whole // next(n for n in range(parts, whole + 1) if whole % n == 0)


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """The stretches of some files under one signature each, file after file.

    Attributes:
        file: Place of the file.
        start: Where the first bar of each begins.
        length: Of its bars.
        since: Key of the first event that is counted in it, see `key`.
        on_line: Whether it begins at a bar line of the one before, or the file.
    """

    file: Ints
    start: Ints
    length: Ints
    since: Ints
    on_line: NDArray[np.bool_]

    def of(self, file: Ints, key: Ints) -> Ints:
        """Return the stretch of events, by file and key."""
        if len(self.file) == file.max(initial=-1) + 1 == self.file[-1] + 1:
            return file  # one signature a file
        mine, theirs = (f << FILE_SHIFT | k for f, k in ((self.file, self.since), (file, key)))
        return np.searchsorted(mine, theirs, side="right") - 1

    def bars(self, last_bar: Ints) -> Ints:
        """Return how many bars begin in each stretch.

        Args:
            last_bar: The bar of each stretch's last event; -1 where there is none.
        """
        follows = self.file[1:] == self.file[:-1]
        bars = last_bar + 1
        bars[1:] = np.where(follows, np.maximum(bars[1:], 1), bars[1:])
        passed = np.diff(self.start)
        # A stretch that is cut short has the bars that begin up to the event that cuts it.
        cut = (passed + EARLY_TICKS) // self.length[:-1] + 1
        whole = np.where(self.on_line[1:], passed // self.length[:-1], cut)
        bars[:-1] = np.where(follows, whole, bars[:-1])
        return bars


def key(tick: Ints) -> Ints:
    """Return what places events among bar lines: half a step after their onset."""
    return tick + EARLY_TICKS


def stretches(files: list[tuple[list[int], list[int], list[bool]]]) -> Stretches:
    """Return the stretches of some files.

    Args:
        files: Of each, where its signatures stand, the first at 0; how long their bars are; and
            whether the place is exact. One that is not never counts as on a bar line.
    """
    rows = [
        (file, *row)
        for file, (tick, length, exact) in enumerate(files)
        for row in _stretches(tick, length, exact)
    ]
    file, start, length, since, on_line = np.array(rows, np.int64).reshape(-1, 5).T
    return Stretches(file, start, length, since, on_line.astype(np.bool_))


def _stretches(
    tick: list[int], length: list[int], exact: list[bool]
) -> Iterator[tuple[int, int, int, bool]]:
    since = 0
    for i, start in enumerate(tick):
        passed = start - tick[i - 1] if i else 0
        on_line = passed > 0 and passed % length[i - 1] == 0 and exact[i] and start >= since
        since = start if on_line or not i else start + EARLY_TICKS
        yield start, length[i], since, on_line or not i


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Bar lines.

    Attributes:
        stretch: Where each is in.
        key: Its place among events.
        opens: Whether it begins the stretch.
        is_cut: Whether its key is that of the signature within a bar which it follows.
    """

    stretch: Ints
    key: Ints
    opens: NDArray[np.bool_]
    is_cut: NDArray[np.bool_]


def lines(stretches: Stretches, count: Ints) -> Lines:
    """Return the lines of so many bars in each stretch; one that cuts a bar begins with none."""
    stretch = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(stretch)) - np.repeat(np.cumsum(count) - count, count)
    shown = (number > 0) | stretches.on_line[stretch]
    stretch, number = stretch[shown], number[shown]
    start = stretches.start[stretch] + number * stretches.length[stretch]
    since = stretches.since[stretch]
    is_cut = ~stretches.on_line[stretch] & (start <= since)
    return Lines(stretch, np.maximum(start, since), number == 0, is_cut)
