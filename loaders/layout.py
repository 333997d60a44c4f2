"""Orders of rows: functions of a seed and an epoch, kind to how the rows are stored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows lie: in groups that are read as a whole, some of which fit in memory.

    Attributes:
        sizes: Rows of each group, in stored order.
        open_groups: Groups that a shuffle may mix at a time.
    """

    sizes: tuple[int, ...]
    open_groups: int = 1

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.sizes)

    def shuffled(self, seed: int, epoch: int) -> Indices:
        """Return all rows in random order, each once.

        The rows of a window of at most `open_groups` are permuted, then those of the next one, so
        that each group is read once. Windows are as few and as equal as can be. Of neighbouring
        groups, as many as there are windows, each goes to another window: so every window is a
        fair sample of data that is sorted. With one window this is a uniformly random permutation.

        Examples:
            >>> Layout((2, 2, 2)).shuffled(seed=0, epoch=0)  # one group after the other
            array([3, 2, 4, 5, 0, 1])
        """
        rng = np.random.default_rng([seed, epoch])
        ends = np.cumsum(self.sizes, dtype=np.int64)
        groups = [np.arange(end - size, end) for end, size in zip(ends, self.sizes, strict=True)]
        if not groups:
            return np.empty(0, np.int64)
        windows = -(-len(groups) // self.open_groups)
        runs = np.tile(np.arange(windows), (-(-len(groups) // windows), 1))
        window_of = rng.permuted(runs, axis=1).ravel()[: len(groups)]
        rows = [
            np.concatenate([groups[group] for group in np.flatnonzero(window_of == window)])
            for window in range(windows)
        ]
        return np.concatenate([rng.permutation(of_window) for of_window in rows])


def hashed(keys: Sequence[int], numbers: Sequence[int] | Indices) -> npt.NDArray[np.float64]:
    """Return for each number a random one in [0, 1), by SplitMix64 (Steele, Lea and Flood, 2014).

    Where each row or batch needs chance of its own, a generator for each would cost more than
    what it decides.
    """
    mixed = np.asarray(numbers, np.uint64)
    for key in keys:
        mixed = mixed + np.uint64((key * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray((mixed >> np.uint64(11)) / 2.0**53)
