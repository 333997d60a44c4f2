"""Orders of rows: functions of a seed and an epoch, kind to how the rows are stored."""

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
