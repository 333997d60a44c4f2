"""Stratified batches: classes have equal or given shares of each."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import datasets
import numpy as np

from sousa.loaders.classes import UNREAD, classes_of, known_classes
from sousa.loaders.layout import Indices, Layout, hashed
from sousa.loaders.samplers import BatchOrder, Past, Stored
from sousa.loaders.shares import POLICIES, Counts, Dealer, integer_shares, schedule
from sousa.loaders.source import DatasetSource

PLANNED: Final = 256
"""Batches that are drawn at a time: numpy takes as long for one as for many."""


class StratifiedBatchSampler(BatchOrder):
    """Batches in which classes have equal or given shares, each count within one row of it.

    With more classes than `batch_size` no batch can hold all; shares then hold within one over
    the fewest batches in which they can. The sampler goes into `create_dataloader(stratify=...)`
    or, as `batch_sampler`, into any DataLoader.

    Args:
        dataset: A `SOUSADataset`, or a `datasets.Dataset`.
        batch_size: Rows of a full batch.
        drop_last: Leave out the last step where its batches are not full.
        by: A label column, or any column of strings, such as `kit`.
        seed: Together with the epoch it fixes the random order.
        weights: Share of each class by its name; None makes the classes that are there equal.
        policy: `oversample` ends when every row was used; rarer classes repeat, and none of
            their rows comes twice before all came once. `undersample` repeats nothing and ends
            when a class is used up.
        rank: This process; None asks `torch.distributed`.
        world_size: How many processes share the rows; None asks `torch.distributed`.

    Raises:
        ValueError: If an argument is not as above.
        TypeError: If `dataset` or `weights` is of another type.
    """

    def __init__(  # noqa: PLR0913 - the contract
        self,
        dataset: Stored | datasets.Dataset,
        batch_size: int,
        drop_last: bool = False,  # noqa: FBT001, FBT002 - as in PyTorch
        *,
        by: str = "skill_tier",
        seed: int = 0,
        weights: Mapping[str, float] | None = None,
        policy: str = "oversample",
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, rank, world_size)
        if policy not in POLICIES:
            raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {policy!r}")
        if weights is not None and not isinstance(weights, Mapping):
            raise TypeError(f"weights must map names of classes to shares, got {weights!r}")
        self._layout, (self._class_of, names), known = classified(dataset, by)
        shares = integer_shares(names, weights, known)
        self._used = np.flatnonzero(shares)
        self._shares = shares[self._used]
        self._policy, self._drop_last = policy, drop_last
        self._plans: dict[tuple[Past, int], tuple[Counts, Counts]] = {}
        self._sizes = np.bincount(self._class_of[self._class_of != UNREAD], minlength=len(names))
        self._key = {
            "stratify": by,
            "weights": None if weights is None else {k: float(v) for k, v in weights.items()},
            "policy": policy,
            "drop_last": drop_last,
        }

    def _plan(self, past: Past) -> tuple[Counts, Counts]:
        """Return the rows of each class that were used, and the class counts of what is left.

        Returns:
            Counts `(classes,)`, and `(steps, ranks, classes)`.
        """
        key = past, self.world_size
        if key not in self._plans:
            self._plans = {key: self._planned(past)}  # of one pass at a time
        return self._plans[key]

    def _planned(self, past: Past) -> tuple[Counts, Counts]:
        sizes = self._sizes[self._used]
        used = np.zeros_like(sizes)
        legs, made = self.legs(past)
        for world_size, steps in legs:
            left = self._schedule(np.maximum(sizes - used, 0), world_size)
            used += left[:steps].sum(axis=(0, 1))
        left = self._schedule(np.maximum(sizes - used, 0), self.world_size)
        return used + left[:made].sum(axis=(0, 1)), left[made:]

    def _schedule(self, sizes: Counts, world_size: int) -> Counts:
        if not sizes.any():
            return np.empty((0, world_size, len(sizes)), np.int64)
        counts = schedule(
            sizes, Dealer(self._shares, self.size, world_size), self.size, self._policy
        )
        short = len(counts) > 0 and counts[-1, 0].sum() < self.size
        return counts[:-1] if self._drop_last and short else counts

    def batches(self, epoch: int, past: Past = ()) -> Iterator[list[int]]:
        """Yield the batches of an epoch that are left after what was used of it."""
        used, counts = self._plan(past)
        flat = counts.reshape(len(counts) * self.world_size, len(self._used))
        ends = used + np.cumsum(flat, axis=0)
        rows = self._class_rows(epoch, ends[-1] if len(ends) else used)
        starts, ends = (
            (ends - flat)[self.rank :: self.world_size],
            ends[self.rank :: self.world_size],
        )
        for first in range(0, len(ends), PLANNED):
            some = slice(first, first + PLANNED)
            yield from mixed((self.seed, epoch, 1), rows, starts[some], ends[some])

    def total(self, epoch: int, past: Past = ()) -> int:  # noqa: ARG002 - the same in every epoch
        """Return how many batches of an epoch are left after what was used of it."""
        return len(self._plan(past)[1])

    def _class_rows(self, epoch: int, needed: Indices) -> list[Indices]:
        """Return the rows of each class in the order of their use: all once, then all again."""
        order = self._layout.shuffled(self.seed, epoch)
        rng = np.random.default_rng([self.seed, epoch, 2])
        rows = []
        for number, length in zip(self._used, needed, strict=True):
            once = order[self._class_of[order] == number]
            again = np.tile(once, (max(0, -(-int(length) // len(once)) - 1), 1))
            rows.append(np.concatenate([once, rng.permuted(again, axis=1).ravel()]))
        return rows

    def key(self) -> dict[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        return super().key() | self._key


def mixed(
    keys: Sequence[int], rows: Sequence[Indices], starts: Counts, ends: Counts
) -> Iterator[list[int]]:
    """Yield batches, each with its rows in random order.

    Args:
        keys: What fixes the order, together with how many rows came before.
        rows: Those of each class, in the order of their use.
        starts: For each batch the first of each class that it has, `(batches, classes)`.
        ends: The first of each class that it has no more, `(batches, classes)`.
    """
    sizes = ends - starts
    first = starts - (np.cumsum(sizes, axis=0) - sizes)
    drawn = [
        of_class[np.repeat(first[:, at], sizes[:, at]) + np.arange(sizes[:, at].sum())]
        for at, of_class in enumerate(rows)
    ]
    batch_of = np.concatenate([np.repeat(np.arange(len(sizes)), of_each) for of_each in sizes.T])
    by_batch = np.argsort(batch_of, kind="stable")
    batch_ends = np.cumsum(sizes.sum(axis=1))
    before = starts.sum(axis=1) - np.append(0, batch_ends)[:-1]
    chance = hashed(keys, np.arange(len(by_batch)) + before[batch_of[by_batch]])
    order = by_batch[np.lexsort((chance, batch_of[by_batch]))]
    shuffled = np.concatenate(drawn)[order].tolist()
    for start, end in pairwise([0, *batch_ends.tolist()]):
        yield shuffled[start:end]


def classified(
    dataset: Stored | datasets.Dataset, by: str
) -> tuple[Layout, tuple[Indices, list[str]], tuple[str, ...]]:
    """Return how the rows of a dataset lie, their classes, and those that they may have.

    Raises:
        TypeError: If the dataset has no classes to ask for.
    """
    if isinstance(dataset, datasets.Dataset):
        source = DatasetSource(dataset, (by,), "datasets.Dataset")
        return source.layout, classes_of(source, by), known_classes(source.declared, by)
    if not isinstance(dataset, Stored):
        raise TypeError(
            "batches are made of a SOUSADataset or a datasets.Dataset, "
            f"got a {type(dataset).__name__}"
        )
    return dataset.layout, dataset.classes(by), dataset.known_classes(by)
