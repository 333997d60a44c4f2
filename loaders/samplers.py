"""Batches of row numbers: functions of seed and epoch, for each rank, from any batch on."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from operator import index
from typing import Any, Protocol, SupportsIndex, runtime_checkable

import datasets
import numpy as np
import torch.distributed
from torch.utils.data import Sampler

from sousa.loaders.classes import UNREAD, classes_of
from sousa.loaders.labels import CLASSES
from sousa.loaders.layout import Indices, Layout
from sousa.loaders.shares import POLICIES, Counts, Dealer, integer_shares, schedule
from sousa.loaders.source import DatasetSource


@runtime_checkable
class Stored(Protocol):
    """What an order needs to know of a `SOUSADataset`.

    Attributes:
        layout: How the rows lie.
    """

    layout: Layout

    def classes(self, column: str) -> tuple[Indices, list[str]]:
        """Return the class of every row, and the names of the classes."""


class BatchOrder(Sampler[list[int]]):
    """The batches of one rank, epoch after epoch.

    Each pass is the next epoch, unless `set_epoch` or `seek` says where it begins.

    Args:
        batch_size: Rows of a full batch, at least 1.
        seed: Together with the epoch it fixes the order; at least 0.
        rank: This process, in [0, world_size); None asks `torch.distributed`.
        world_size: How many processes share the rows; None asks `torch.distributed`.

    Raises:
        ValueError: If an argument is not as above.
    """

    def __init__(
        self, batch_size: int, seed: int, rank: int | None = None, world_size: int | None = None
    ) -> None:
        self.size = whole(batch_size, "batch_size", 1)
        self.seed = whole(seed, "seed", 0)
        self.rank, self.world_size = ranks(rank, world_size)
        self.place = (0, 0)

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be an epoch, from its first batch."""
        self.seek(epoch)

    def seek(self, epoch: int, batch: int = 0) -> None:
        """Let the next pass begin at a batch of an epoch."""
        if epoch < 0 or not 0 <= batch <= len(self):
            raise ValueError(f"no batch {batch} in epoch {epoch}: an epoch has {len(self)} batches")
        self.place = (index(epoch), index(batch))

    def __iter__(self) -> Iterator[list[int]]:
        """Return the batches of the pass that `place` is at; the one after it is the next epoch."""
        return self._begin(self.place)

    def _begin(self, place: tuple[int, int]) -> Iterator[list[int]]:
        # Only what is really begun counts as a pass: DataLoader makes one iterator for nothing.
        # The very tuple: whoever has sought a place since then, even an equal one, has it kept.
        if self.place is place:
            self.place = (place[0] + 1, 0)
        yield from self.batches(*place)

    @abstractmethod
    def batches(self, epoch: int, first: int = 0) -> Iterator[list[int]]:
        """Yield the batches of an epoch, from one of them on."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of batches of every epoch."""

    def key(self) -> dict[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        return {"batch_size": self.size, "seed": self.seed, "world_size": self.world_size}


class RowBatchSampler(BatchOrder):
    """Batches in which every row comes once an epoch, in stored or in shuffled order.

    Step by step the next `batch_size * world_size` rows are cut into a batch for each rank. The
    rows of the last step are cut evenly. It borrows rows of the step before, where it has fewer
    than ranks, so that every rank has the same number of batches, and none is empty.

    Args:
        dataset: What to read.
        batch_size: Rows of a full batch.
        drop_last: Leave out the last step where its batches are not full.
        shuffle: Whether the order is random.
        seed: Together with the epoch it fixes the random order.
        rank: This process; None asks `torch.distributed`.
        world_size: How many processes share the rows; None asks `torch.distributed`.
    """

    def __init__(  # noqa: PLR0913 - the options of a PyTorch sampler
        self,
        dataset: Stored,
        batch_size: int,
        drop_last: bool = False,  # noqa: FBT001, FBT002 - as in PyTorch
        *,
        shuffle: bool = True,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, rank, world_size)
        self._layout = dataset.layout
        self._shuffle = shuffle
        self._drop_last = drop_last
        rows = self._layout.rows
        self._bounds = step_bounds(rows, self.size, self.world_size, drop_last=drop_last)

    def batches(self, epoch: int, first: int = 0) -> Iterator[list[int]]:
        """Yield the batches of an epoch, from one of them on."""
        layout = self._layout
        order = layout.shuffled(self.seed, epoch) if self._shuffle else np.arange(layout.rows)
        for start, end in zip(self._bounds[first:-1], self._bounds[first + 1 :], strict=True):
            cuts = start + (end - start) * np.arange(self.world_size + 1) // self.world_size
            yield order[cuts[self.rank] : cuts[self.rank + 1]].tolist()

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def key(self) -> dict[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        return super().key() | {"shuffle": self._shuffle, "drop_last": self._drop_last}


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
        self._layout, self._class_of, names = classified(dataset, by)
        shares = integer_shares(names, weights, CLASSES.get(by, ()))
        self._used = np.flatnonzero(shares)
        self._counts = self._plan(shares[self._used], policy, drop_last=drop_last)
        self._key = {
            "stratify": by,
            "weights": None if weights is None else {k: float(v) for k, v in weights.items()},
            "policy": policy,
            "drop_last": drop_last,
        }

    def _plan(self, shares: Counts, policy: str, *, drop_last: bool) -> Counts:
        """Return the class counts of every batch, `(steps, ranks, classes)`."""
        if not len(self._used):
            return np.empty((0, self.world_size, 0), np.int64)
        sizes = np.bincount(self._class_of[self._class_of != UNREAD])[self._used]
        counts = schedule(sizes, Dealer(shares, self.size, self.world_size), self.size, policy)
        short = len(counts) > 0 and counts[-1, 0].sum() < self.size
        return counts[:-1] if drop_last and short else counts

    def batches(self, epoch: int, first: int = 0) -> Iterator[list[int]]:
        """Yield the batches of an epoch, from one of them on."""
        flat = self._counts.reshape(len(self) * self.world_size, len(self._used))
        ends = np.cumsum(flat, axis=0)
        rows = self._class_rows(epoch, ends[-1] if len(ends) else ends.sum(axis=0))
        for step in range(first, len(self)):
            batch = step * self.world_size + self.rank
            drawn = zip(rows, ends[batch] - flat[batch], ends[batch], strict=True)
            mixed = np.concatenate([of_class[start:end] for of_class, start, end in drawn])
            yield np.random.default_rng([self.seed, epoch, 1, batch]).permutation(mixed).tolist()

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

    def __len__(self) -> int:
        return len(self._counts)

    def key(self) -> dict[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        return super().key() | self._key


def classified(dataset: Stored | datasets.Dataset, by: str) -> tuple[Layout, Indices, list[str]]:
    """Return how the rows of a dataset lie, the class of each, and the names of the classes.

    Raises:
        TypeError: If the dataset has no classes to ask for.
    """
    if isinstance(dataset, datasets.Dataset):
        source = DatasetSource(dataset, (by,), "datasets.Dataset")
        return source.layout, *classes_of(source, by)
    if not isinstance(dataset, Stored):
        raise TypeError(
            "batches are made of a SOUSADataset or a datasets.Dataset, "
            f"got a {type(dataset).__name__}"
        )
    return dataset.layout, *dataset.classes(by)


def whole(value: int, name: str, least: int) -> int:
    """Return an integer of any library as a Python int.

    Raises:
        ValueError: If it is none, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex) or index(value) < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")
    return index(value)


def step_bounds(rows: int, batch_size: int, world_size: int, *, drop_last: bool) -> Indices:
    """Return where each step's rows begin, and where the last one's end.

    Examples:
        >>> step_bounds(21, 5, 4, drop_last=False)  # the last step borrows 3 rows for 4 ranks
        array([ 0, 17, 21])
        >>> step_bounds(21, 5, 4, drop_last=True)
        array([ 0, 20])
    """
    step = batch_size * world_size
    if drop_last:
        return np.arange(rows // step + 1) * step
    bounds = np.minimum(np.arange(-(-rows // step) + 1) * step, rows)
    if len(bounds) > 2:
        short = max(0, world_size - int(bounds[-1] - bounds[-2]))
        bounds[-2] -= min(short, (batch_size - 1) * world_size)
    return bounds


def ranks(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Return rank and number of ranks, as given or as `torch.distributed` has them.

    Raises:
        ValueError: If only one of the two is given, or rank is not in [0, world_size).
    """
    if rank is None and world_size is None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1
    if rank is None or world_size is None or not 0 <= rank < world_size:
        raise ValueError(f"rank must be in [0, world_size), got {rank = }, {world_size = }")
    return index(rank), index(world_size)
