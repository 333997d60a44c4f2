"""Batches of row numbers: functions of seed and epoch, for each rank, from any batch on."""

from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from operator import index
from typing import Any, NamedTuple, Protocol, SupportsIndex, runtime_checkable

import numpy as np
import torch.distributed
from torch.utils.data import Sampler

from sousa.loaders.layout import Indices, Layout


@runtime_checkable
class Stored(Protocol):
    """What an order needs to know of a `SOUSADataset`."""

    @property
    def layout(self) -> Layout:
        """How the rows lie."""

    def classes(self, column: str) -> tuple[Indices, list[str]]:
        """Return the class of every row, and the names of the classes."""

    def known_classes(self, column: str) -> tuple[str, ...]:
        """Return the classes that a column may hold, where the data or the schema says so."""


Past = tuple[tuple[int, int], ...]
"""What was already used of an epoch: (world size, steps made with it), one after the other."""


class Place(NamedTuple):
    """Where in the order of batches a pass begins.

    Attributes:
        epoch: The epoch, from 0.
        past: What was used of it; nothing at its start.
        window: For a stream, the state of the window of rows that comes next.
        row: For a stream, the row of that window that comes next.
    """

    epoch: int = 0
    past: Past = ()
    window: dict[str, Any] | None = None
    row: int = 0

    def after(self, steps: int, world_size: int) -> "Place":
        """Return the place some steps further on; a step is one batch of each rank."""
        before = self.past
        if before and before[-1][0] == world_size:
            steps, before = steps + before[-1][1], before[:-1]
        return Place(self.epoch, (*before, (world_size, steps)) if steps else before)


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
        self._ranks = rank, world_size
        ranks(rank, world_size)
        self.place = Place()

    @property
    def rank(self) -> int:
        """This process, in [0, world_size): asked anew, as a trainer may set ranks up later."""
        return ranks(*self._ranks)[0]

    @property
    def world_size(self) -> int:
        """How many processes share the rows."""
        return ranks(*self._ranks)[1]

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be an epoch, from its first batch.

        Raises:
            ValueError: If the epoch is no integer of at least 0.
        """
        self.seek(Place(whole(epoch, "epoch", 0)))

    def seek(self, place: Place) -> None:
        """Let the next pass begin at a place.

        Raises:
            ValueError: If nothing of the epoch is left there.
        """
        if place.past and self.total(place.epoch, place.past) < 1:
            raise ValueError(f"nothing is left of epoch {place.epoch} after {place.past}")
        self.place = place

    def __iter__(self) -> Iterator[list[int]]:
        """Return the batches of the pass that `place` is at; the one after it is the next epoch."""
        return self._begin(self.place)

    def _begin(self, place: Place) -> Iterator[list[int]]:
        # Only what is really begun counts as a pass: DataLoader makes one iterator for nothing.
        # The very tuple: whoever has sought a place since then, even an equal one, has it kept.
        if self.place is place:
            self.place = Place(place.epoch + 1)
        yield from self.batches(place.epoch, place.past)

    @abstractmethod
    def batches(self, epoch: int, past: Past = ()) -> Iterator[list[int]]:
        """Yield the batches of an epoch that are left after what was used of it."""

    @abstractmethod
    def total(self, epoch: int, past: Past = ()) -> int:
        """Return how many batches of an epoch are left after what was used of it."""

    def legs(self, past: Past) -> tuple[Past, int]:
        """Return the legs of an epoch that are over, and how many steps of the present one are."""
        if past and past[-1][0] == self.world_size:
            return past[:-1], past[-1][1]
        return past, 0

    def __len__(self) -> int:
        """Return the number of batches of the epoch that the next pass belongs to."""
        return self.total(self.place.epoch)

    def key(self) -> dict[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        return {"batch_size": self.size, "seed": self.seed}


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

    def _bounds(self, past: Past) -> Indices:
        """Return where the rows of each step begin that is left, and where the last one's end."""
        start, rows = 0, self._layout.rows
        legs, made = self.legs(past)
        for world_size, steps in legs:
            bounds = self._steps(rows - start, world_size)
            start += int(bounds[min(steps, len(bounds) - 1)])
        return start + self._steps(rows - start, self.world_size)[made:]

    def _steps(self, rows: int, world_size: int) -> Indices:
        return step_bounds(rows, self.size, world_size, drop_last=self._drop_last)

    def batches(self, epoch: int, past: Past = ()) -> Iterator[list[int]]:
        """Yield the batches of an epoch that are left after what was used of it."""
        layout = self._layout
        order = layout.shuffled(self.seed, epoch) if self._shuffle else np.arange(layout.rows)
        for start, end in pairwise(self._bounds(past)):
            cuts = start + (end - start) * np.arange(self.world_size + 1) // self.world_size
            yield order[cuts[self.rank] : cuts[self.rank + 1]].tolist()

    def total(self, epoch: int, past: Past = ()) -> int:  # noqa: ARG002 - the same in every epoch
        """Return how many batches of an epoch are left after what was used of it."""
        return len(self._bounds(past)) - 1

    def key(self) -> dict[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        return super().key() | {"shuffle": self._shuffle, "drop_last": self._drop_last}


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
