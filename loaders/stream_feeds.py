"""Jobs for streams: every row once, step by step, in bounded memory."""

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice, pairwise, repeat
from typing import Any, NamedTuple, Self
from zlib import crc32

from sousa.loaders.chunks import Listed, Pick, picks_of
from sousa.loaders.feeds import Crop, Next, crop_key
from sousa.loaders.fetched import Job
from sousa.loaders.samplers import Place, ranks, step_bounds
from sousa.loaders.streams import Stream

Picks = list[Pick]


@dataclass(frozen=True, slots=True)
class Batching:
    """How rows become batches.

    Attributes:
        batch_size: Rows of a full batch.
        drop_last: Leave out the last step where its batches are not full.
        shuffle: Whether the order is random.
        seed: Together with the epoch it fixes the random order.
        ranks: This process and how many share the rows; None asks `torch.distributed`.
    """

    batch_size: int
    drop_last: bool
    shuffle: bool
    seed: int
    ranks: tuple[int | None, int | None]

    @property
    def rank(self) -> int:
        """This process."""
        return ranks(*self.ranks)[0]

    @property
    def world_size(self) -> int:
        """How many processes share the rows."""
        return ranks(*self.ranks)[1]

    def key(self) -> dict[str, Any]:
        """Return what decides which rows are in which batch."""
        return {
            "batch_size": self.batch_size,
            "seed": self.seed,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }


class StreamFeed(ABC):
    """Jobs for a stream. All ranks read it, and each makes its own batches of every step.

    Args:
        stream: The rows.
        batching: How they become batches.
        crop: Which part of each clip; None for whole ones.
    """

    reads = True

    def __init__(self, stream: Stream, batching: Batching, crop: Crop | None = None) -> None:
        self.stream = stream
        self.batching = batching
        self.crop = crop
        self._stop: threading.Event | None = None

    def stopping(self, stop: threading.Event) -> Self:
        """Return this feed, which reads no longer than until `stop` is set."""
        stopping = copy.copy(self)
        stopping._stop = stop
        return stopping

    @property
    def rows(self) -> int | None:
        """Rows of an epoch, where their number tells that of the batches and is known."""
        return self.stream.length

    @abstractmethod
    def jobs(self, place: Place) -> Iterator[Next]:
        """Yield the jobs of an epoch from a place on."""

    def total(self, epoch: int) -> int:  # noqa: ARG002 - the same in every epoch
        """Return how many batches an epoch has.

        Raises:
            TypeError: If nobody knows.
        """
        if self.rows is None:
            raise TypeError("nobody knows how many batches this stream has before it was read")
        return len(self.bounds(self.rows)) - 1

    def key(self) -> Mapping[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        return self.batching.key() | crop_key(self.crop)

    def bounds(self, rows: int) -> list[int]:
        """Return where each step of so many rows begins, and where the last one ends."""
        own = self.batching
        found = step_bounds(rows, own.batch_size, own.world_size, drop_last=own.drop_last)
        return [int(bound) for bound in found]

    def job(self, epoch: int, picks: Picks) -> Job:
        """Return the job of a batch of rows."""
        if self.crop is None:
            return Job(picks=picks)
        names = [crc32(repr(chunk.places.where(row)).encode()) for chunk, row in picks]
        return Job(picks=picks, cuts=self.crop.cuts(epoch, names))

    def windows(self, place: Place) -> Iterator[tuple[Picks, dict[str, Any]]]:
        """Yield windows of rows from a place on, each with the state to begin there again."""
        own = self.batching
        found = self.stream.windows(
            own.seed, place.epoch, shuffle=own.shuffle, state=place.window, stop=self._stop
        )
        with closing(found) as windows:
            for window in windows:
                yield picks_of(window.table, Listed(window.rows)), window.state


class Waiting(NamedTuple):
    """A row that has no batch yet, and where it comes from.

    Attributes:
        pick: The row.
        window: The state of its window.
        row: Its position there.
    """

    pick: Pick
    window: dict[str, Any]
    row: int


class RowFeed(StreamFeed):
    """Every row once an epoch, by the rules of `RowBatchSampler`."""

    def jobs(self, place: Place) -> Iterator[Next]:
        """Yield the jobs of an epoch from a place on: it begins to read there."""
        own, world_size = self.batching, self.batching.world_size
        step = own.batch_size * world_size
        # So many rows must follow a full step: else the last one would borrow some of it, or
        # nobody would know that this was the last.
        more = step if own.drop_last else world_size
        rows = self._waiting(place)
        waiting: list[Waiting] = []
        ended = False
        while not ended:
            waiting += islice(rows, step + more - len(waiting))
            ended = len(waiting) < step + more
            bounds = self.bounds(len(waiting)) if ended else [0, step]
            for start, end in pairwise(bounds):
                place = place.after(1, world_size)
                if ended and end == bounds[-1]:
                    after = Place(place.epoch + 1)
                else:
                    after = place._replace(window=waiting[end].window, row=waiting[end].row)
                yield Next(after, self._own(place.epoch, waiting[start:end]))
            del waiting[: bounds[-1]]

    def _waiting(self, place: Place) -> Iterator[Waiting]:
        """Yield the rows of an epoch from a place on."""
        first = place.row
        for picks, state in self.windows(place):
            for row in range(first, len(picks)):
                yield Waiting(picks[row], state, row)
            first = 0

    def _own(self, epoch: int, step: Sequence[Waiting]) -> Job:
        """Return this rank's job of a step."""
        rank, world_size = self.batching.rank, self.batching.world_size
        start, end = (len(step) * each // world_size for each in (rank, rank + 1))
        return self.job(epoch, [waiting.pick for waiting in step[start:end]])


class ReplayedFeed(StreamFeed):
    """Jobs that follow from all that was read before them.

    To resume, the epoch is read from its start, though nothing is decoded.
    """

    def jobs(self, place: Place) -> Iterator[Next]:
        """Yield the jobs of an epoch from a place on, by going through all that was before."""
        own = self.batching
        past = [world_size for world_size, steps in place.past for _ in range(steps)]
        worlds = chain(past, repeat(own.world_size))
        with closing(self.steps(place.epoch, worlds)) as steps:
            followed = pairwise(chain(steps, [[]]))  # no batches of nobody: the end
            for step, following in islice(followed, len(past), None):
                place = place.after(1, len(step))
                after = place if following else Place(place.epoch + 1)
                yield Next(after, self.job(place.epoch, step[own.rank]))

    @abstractmethod
    def steps(self, epoch: int, worlds: Iterator[int]) -> Generator[list[Picks]]:
        """Yield an epoch's steps, each a batch of each rank.

        Args:
            epoch: Which one.
            worlds: For each step, how many ranks take part; it has no end.
        """
