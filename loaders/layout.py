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

        Groups are permuted, then cut into windows of at most `open_groups`, as equal as can be,
        and the rows of each window are permuted. Rows of one window can be read with each group
        read once. Where all groups fit in one window, this is a uniformly random permutation.

        Examples:
            >>> Layout((2, 2, 2)).shuffled(seed=0, epoch=0)  # one group after the other
            array([5, 4, 0, 1, 2, 3])
        """
        rng = np.random.default_rng([seed, epoch])
        ends = np.cumsum(self.sizes, dtype=np.int64)
        groups = [np.arange(end - size, end) for end, size in zip(ends, self.sizes, strict=True)]
        shuffled = rng.permutation(len(groups))
        windows = np.array_split(shuffled, max(1, -(-len(groups) // self.open_groups)))
        mixed = [
            rng.permutation(np.concatenate([groups[group] for group in window]))
            for window in windows
            if len(window)
        ]
        return np.concatenate(mixed) if mixed else np.empty(0, np.int64)


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
