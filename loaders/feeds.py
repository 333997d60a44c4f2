"""Orders become jobs: which rows a batch has, and where the loader is after it."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, Self

from sousa.loaders.decode import Cut
from sousa.loaders.fetched import Job
from sousa.loaders.layout import hashed
from sousa.loaders.samplers import BatchOrder, Place

CROPS: Final = ("random", "start", "center")
"""Where a crop may be."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of every clip.

    Attributes:
        length_sec: How long it is.
        where: One of `CROPS`; `random` is a function of seed, epoch and row.
        seed: Of the loader.
    """

    length_sec: float
    where: str
    seed: int

    def cuts(self, epoch: int, rows: Sequence[int]) -> list[Cut]:
        """Return the cut of each row."""
        if self.where != "random":
            share = 0.0 if self.where == "start" else 0.5
            return [Cut(self.length_sec, share)] * len(rows)
        shares = hashed((self.seed, epoch, 0), rows)
        return [Cut(self.length_sec, share) for share in shares.tolist()]


class Next(NamedTuple):
    """One batch that is to be made.

    Attributes:
        place: Where the loader is after it.
        job: Its rows.
    """

    place: Place
    job: Job


class Feed(Protocol):
    """What comes next, for as long as an epoch lasts."""

    @property
    def reads(self) -> bool:
        """Whether jobs take time, because rows are read to make them."""

    def jobs(self, place: Place) -> Iterator[Next]:
        """Yield the jobs of an epoch from a place on."""

    def stopping(self, stop: threading.Event) -> Self:
        """Return this feed, whose jobs end where it would wait once `stop` is set."""

    def total(self, epoch: int) -> int:
        """Return how many batches an epoch has.

        Raises:
            TypeError: If nobody knows.
        """

    def key(self) -> Mapping[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""


@dataclass(frozen=True, slots=True)
class IndexFeed:
    """Jobs for rows that have numbers.

    Attributes:
        order: Batches of row numbers.
        crop: Which part of each clip; None for whole ones.
    """

    order: BatchOrder
    crop: Crop | None = None
    reads: bool = False

    def jobs(self, place: Place) -> Iterator[Next]:
        """Yield the jobs of an epoch from a place on."""
        epoch, world_size = place.epoch, self.order.world_size
        left = self.order.total(epoch, place.past)
        for steps, rows in enumerate(self.order.batches(epoch, place.past), start=1):
            after = Place(epoch + 1) if steps == left else place.after(steps, world_size)
            yield Next(after, Job(rows, cuts=self.crop.cuts(epoch, rows) if self.crop else ()))

    def stopping(self, stop: threading.Event) -> Self:  # noqa: ARG002 - nothing here waits
        """Return this feed."""
        return self

    def total(self, epoch: int) -> int:
        """Return how many batches an epoch has."""
        return self.order.total(epoch)

    def key(self) -> Mapping[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        return self.order.key() | crop_key(self.crop)


def crop_key(crop: Crop | None) -> dict[str, Any]:
    """Return what a state says about crops."""
    return {"crop": [crop.where, crop.length_sec]} if crop else {}
