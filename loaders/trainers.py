"""What trainers ask of a loader: whether it knows ranks, its epoch, its last batch, its device."""

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain

import torch
from torch.utils.data import DistributedSampler

from sousa.loaders.collate import Batch, collate_fixed_length, collate_variable_length
from sousa.loaders.feeds import Feed, IndexFeed
from sousa.loaders.fetched import Collate, Maker
from sousa.loaders.samplers import Place, whole
from sousa.loaders.samples import Sample


class Course(DistributedSampler[int]):
    """Where a loader is, and which rows this rank has next.

    Lightning, Fabric and Ray leave a DataLoader with a `DistributedSampler` as it is, because it
    knows its ranks, and tell the sampler the epoch.

    Args:
        feed: What comes next.

    Attributes:
        following: Where the next pass begins.
        epoch: That of the pass under way, or of the last one, until another place is sought.
        place: Where the loader is: after the last batch that was yielded.
    """

    def __init__(self, feed: Feed) -> None:
        # Not the base's: it needs to know the ranks, which a trainer may set up later.
        self._feed = feed
        self.seek(Place())

    def seek(self, place: Place) -> None:
        """Let the next pass begin at a place."""
        self.place = place
        self.epoch = place.epoch
        self._follow(place)

    def begin(self) -> Place:
        """Return where the pass begins that begins now; the one after it is the next epoch."""
        self.place = place = self.following
        self.epoch = place.epoch
        self._follow(Place(place.epoch + 1))
        return place

    def _follow(self, place: Place) -> None:
        self.following = place
        if isinstance(self._feed, IndexFeed):
            # Whoever makes a plain DataLoader of our batch sampler gets the batches of this pass.
            self._feed.order.seek(place)

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be an epoch; a resumed place within this epoch is kept.

        Raises:
            ValueError: If the epoch is no integer of at least 0.
        """
        same = self.following.epoch == whole(epoch, "epoch", 0)
        self.seek(self.following if same else Place(whole(epoch, "epoch", 0)))

    def _batches(self) -> Iterator[list[int]]:
        if not isinstance(self._feed, IndexFeed):
            raise TypeError("a stream has no row numbers: iterate the loader")
        return self._feed.order.batches(self.following.epoch, self.following.past)

    def __iter__(self) -> Iterator[int]:
        """Yield the rows that this rank has in the next pass.

        Raises:
            TypeError: If rows of a stream have no numbers.
        """
        return chain.from_iterable(self._batches())

    def __len__(self) -> int:
        """Return how many rows this rank has in the next pass.

        Raises:
            TypeError: If rows of a stream have no numbers.
        """
        return sum(map(len, self._batches()))


def collator(maker: Maker) -> Collate:
    """Return what makes the maker's batches of samples, for whoever looks at `collate_fn`."""
    if maker.dataset.stream is not None:
        return refused
    collate = maker.collate
    if collate is None and maker.fixed_length is not None:
        collate = partial(collate_fixed_length, target_length=maker.fixed_length)
    collate = collate or collate_variable_length
    transform = maker.batch_transform
    return collate if transform is None else partial(transformed, collate, transform)


def refused(_: Sequence[Sample]) -> Batch:
    """Refuse samples of a stream: a DataLoader made anew of ours has them in stored order.

    Raises:
        TypeError: Always.
    """
    raise TypeError(
        "a stream has no batch sampler, so a DataLoader made of this one's attributes would have "
        "another order: iterate this one; to go on where it was, use its load_state_dict"
    )


def transformed(
    collate: Collate, transform: Callable[[Batch], Batch], samples: Sequence[Sample]
) -> Batch:
    """Return what a transform makes of the batch of these samples."""
    return transform(collate(samples))


def accelerator_device() -> torch.device | None:
    """Return the device of accelerate in this process; None where there is no accelerate."""
    if "accelerate" not in sys.modules:
        return None
    device = importlib.import_module("accelerate.state").PartialState().device
    return device if isinstance(device, torch.device) else torch.device(device)


@contextmanager
def announced(loader: object) -> Iterator[None]:
    """Let accelerate know that a loader is being iterated.

    It looks at the loader's `end_of_dataloader`, to bring gradients together after the last batch
    of an epoch however many it accumulates, and at its `remainder`, which it cuts off.
    """
    gradients = importlib.import_module("accelerate.state").GradientState()
    gradients._add_dataloader(loader)
    try:
        yield
    finally:
        gradients._remove_dataloader(loader)
