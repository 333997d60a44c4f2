"""Sequences of tokens become batches, with the order, places and ranks of our other loaders."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import Any, Final, NamedTuple, cast

import numpy as np
import torch

from sousa.loaders.arguments import checked_ranks, choose_device, choose_workers
from sousa.loaders.checks import check_flag, check_function
from sousa.loaders.chunks import Pick
from sousa.loaders.collate import Batch, emptied
from sousa.loaders.dataset import SOUSADataset
from sousa.loaders.feeds import Feed, IndexFeed, Next
from sousa.loaders.fetched import Collate, Fetched, Job, Maker
from sousa.loaders.loader import PREFETCH, Delivery, Loader
from sousa.loaders.samplers import Place, RowBatchSampler, Stored, whole
from sousa.loaders.source import Data
from sousa.loaders.stream_feeds import Batching, Picks, RowFeed
from sousa.loaders.streams import Stream
from sousa.loaders.token_chunks import Drawn, TokenChunk
from sousa.loaders.token_collate import TokenCollator
from sousa.loaders.token_dataset import TokenDataset, TokenStream
from sousa.loaders.token_sequences import Flat

SEQUENCES: Final = 3
"""What a random generator is for; `windows` has others."""


class TokenPick(NamedTuple):
    """One sequence of a window of rows."""

    chunk: TokenChunk
    row: int


class TokenJob(NamedTuple):
    """A batch that is to be made.

    Attributes:
        rows: Numbers of sequences, or none, where rows were read from a stream:
        picks: Those sequences.
        epoch: By which rows are changed.
    """

    rows: Sequence[int]
    picks: Sequence[TokenPick]
    epoch: int


class TokenIndexFeed(IndexFeed):
    """Jobs for sequences that have numbers."""

    def jobs(self, place: Place) -> Iterator[Next]:
        """Yield the jobs of an epoch from a place on."""
        for after, job in IndexFeed.jobs(self, place):
            yield Next(after, cast("Job", TokenJob(job.rows, (), place.epoch)))


class TokenStreamFeed(RowFeed):
    """Every sequence of a stream once an epoch, by the rules of `RowBatchSampler`.

    Each window of rows becomes sequences by itself, so that a place is that of a window and the
    number of a sequence in it.

    Args:
        dataset: The stream.
        batching: How sequences become batches.
    """

    def __init__(self, dataset: TokenStream, batching: Batching) -> None:
        super().__init__(cast("Stream", dataset.stream), batching)
        self._dataset = dataset

    @property
    def rows(self) -> int | None:
        """Nobody knows how many sequences there are."""
        return None

    def jobs(self, place: Place) -> Iterator[Next]:
        """Yield the jobs of an epoch from a place on."""
        self._dataset.begin()
        for after, job in super().jobs(place):
            picks = cast("Sequence[TokenPick]", job.picks)
            yield Next(after, cast("Job", TokenJob((), picks, place.epoch)))

    def windows(self, place: Place) -> Iterator[tuple[Picks, dict[str, Any]]]:
        """Yield the sequences of windows of rows, each with the state to begin there again."""
        own = self.batching
        found = self.stream.windows(
            own.seed, place.epoch, shuffle=own.shuffle, state=place.window, stop=self._stop
        )
        with closing(found) as windows:
            for window in windows:
                chunk = self._dataset.made(window)
                order = np.arange(len(chunk))
                if own.shuffle:
                    key = [own.seed, place.epoch, SEQUENCES, window.state["windows"]]
                    order = np.random.default_rng(key).permutation(order)
                picks = [TokenPick(chunk, number) for number in order.tolist()]
                yield cast("list[Pick]", picks), window.state


class TokenMaker(Maker):
    """Makes batches of sequences, in any thread.

    Args:
        dataset: What to read. Of a dataset a loader asks only what this one has, too.
        collator: Makes batches.
        batch_transform: Called with each batch, last.
    """

    def __init__(
        self,
        dataset: TokenDataset,
        collator: Collate,
        batch_transform: Callable[[Batch], Batch] | None,
    ) -> None:
        super().__init__(cast("SOUSADataset", dataset), collator, batch_transform=batch_transform)
        self.tokens = dataset
        self.collator = collator

    def __call__(self, job: Job) -> Fetched:
        """Return the batch of a job."""
        started = time.perf_counter()
        wanted = cast("TokenJob", job)
        groups = self._groups(wanted) or [(self.tokens.chunk(), [])]  # nothing is left for a rank
        plain = not self.tokens.transforms or not groups[0][1]
        if isinstance(self.collator, TokenCollator) and plain:
            batch, tokens = self._gathered(groups, wanted.epoch, self.collator)
        else:
            batch, tokens = self._of_samples(groups, wanted.epoch)
        size = max((each.numel() for each in parts_of(batch) if torch.is_tensor(each)), default=0)
        if self.batch_transform is not None:
            batch = self.batch_transform(batch)
        sequences = sum(len(numbers) for _, numbers in groups)
        taken = time.perf_counter() - started
        return Fetched(batch, sequences, [], 0, min(tokens, size), size, taken)

    def _groups(self, job: TokenJob) -> list[tuple[TokenChunk, list[int]]]:
        """Return the sequences of a job, by what was read together."""
        if job.rows:
            return [(self.tokens.chunk(), list(job.rows))]
        groups: list[tuple[TokenChunk, list[int]]] = []
        for chunk, number in job.picks:
            if not groups or groups[-1][0] is not chunk:
                groups.append((chunk, []))
            groups[-1][1].append(number)
        return groups

    def _of_samples(
        self, groups: Sequence[tuple[TokenChunk, list[int]]], epoch: int
    ) -> tuple[Batch, int]:
        """Return the batch of samples that the user's functions have had."""
        samples = [
            dict(sample)
            for chunk, each in groups
            for sample in self.tokens.samples(chunk, each or [0], epoch)
        ]
        tokens = sum(len(sample["input_ids"]) for sample in samples)
        batch = self.collator(samples)
        return (batch, tokens) if groups[0][1] else (emptied(batch), 0)

    def _gathered(
        self,
        groups: Sequence[tuple[TokenChunk, list[int]]],
        epoch: int,
        collator: TokenCollator,
    ) -> tuple[Batch, int]:
        """Return the batch of sequences, without samples in between."""
        parts = [chunk.drawn(each, self.tokens.augment, epoch) for chunk, each in groups]
        drawn = parts[0] if len(parts) == 1 else put_together(parts)
        batch = collator.batch(
            drawn.flat, drawn.more, packed=self.tokens.packed, targets=drawn.targets
        )
        return batch, len(drawn.flat.ids)


def parts_of(batch: Any) -> Iterable[Any]:
    """Return what is in a batch, which a collator of the user's own may have made otherwise."""
    return batch.values() if isinstance(batch, Mapping) else ()


def put_together(parts: Sequence[Drawn]) -> Drawn:
    """Return the content of several parts of a batch as one."""
    flat = joined([part.flat for part in parts])
    more: Batch = {}
    for name, first in parts[0].more.items():
        values = [part.more[name] for part in parts]
        more[name] = torch.cat(values) if torch.is_tensor(first) else list(chain(*values))
    targets = [part.targets for part in parts if part.targets is not None]
    return Drawn(flat, more, joined(targets) if targets else None)


def joined(flats: Sequence[Flat]) -> Flat:
    """Return the tokens of several, one after the other."""
    return Flat(*(np.concatenate(each) for each in zip(*flats, strict=True)))


def create_token_dataloader(  # noqa: PLR0913 - as create_dataloader
    dataset: TokenDataset | Data,
    batch_size: int = 16,
    shuffle: bool = True,  # noqa: FBT001, FBT002 - as create_dataloader
    num_workers: int = 0,
    *,
    collator: Collate | None = None,
    seed: int = 0,
    drop_last: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
    device: str | torch.device | None = None,
    pin_memory: bool = True,
    batch_transform: Callable[[Batch], Batch] | None = None,
    progress: bool = False,
) -> Loader:
    """Return a loader of batches of sequences, with the guarantees of `create_dataloader`.

    The order is a function of `seed` and epoch, every sequence comes once an epoch over all ranks,
    and the loader resumes exactly from any batch by `state_dict` and `load_state_dict`. A state is
    refused by other data, another tokenizer, or sequences that are cut otherwise.

    Args:
        dataset: A `TokenDataset`, or what makes one with its defaults.
        batch_size: Sequences of a batch.
        shuffle: Random order, another one each epoch; else stored order.
        num_workers: Threads that make batches ahead; 0 makes them in the thread that asks, which
            is fastest, unless rows are changed by `augment`.
        collator: Makes batches; None is `TokenCollator` with the tokenizer's PAD. Any other
            function is called with a list of samples.
        seed: At least 0.
        drop_last: Leave out the last batches of an epoch where they are not full.
        rank: This process; None asks `torch.distributed`.
        world_size: How many processes share the sequences; None asks `torch.distributed`.
        device: Where batches go; None leaves them in memory.
        pin_memory: Whether batches lie in pinned memory; only where CUDA is available.
        batch_transform: Called with each batch where it is made; returns what shall be the batch.
        progress: Show a bar.

    Raises:
        ValueError: If an argument is not as above, or no collator is given and no PAD is known.
        TypeError: If an argument is of another type.
    """
    tokens = dataset if isinstance(dataset, TokenDataset) else TokenDataset(dataset)
    flags = {"shuffle": shuffle, "drop_last": drop_last, "progress": progress}
    for name, flag in (flags | {"pin_memory": pin_memory}).items():
        check_flag(flag, name)
    check_function(collator, "collator")
    check_function(batch_transform, "batch_transform")
    if collator is None:
        if tokens.vocabulary is None:
            raise ValueError("no tokenizer tells which id is PAD: pass collator=TokenCollator(id)")
        collator = TokenCollator(tokens.vocabulary.special("PAD"))
    size, number = whole(batch_size, "batch_size", 1), whole(seed, "seed", 0)
    batching = Batching(size, drop_last, shuffle, number, checked_ranks(rank, world_size))
    maker = TokenMaker(tokens, collator, batch_transform)
    delivery = Delivery(
        choose_workers(num_workers),
        prefetch=PREFETCH,
        device=choose_device(device),
        progress=progress,
    )
    pinned = pin_memory and torch.cuda.is_available()
    return Loader(maker, token_feed(tokens, batching), delivery, pin_memory=pinned)


def token_feed(dataset: TokenDataset, batching: Batching) -> Feed:
    """Return what comes next, for sequences with numbers or for a stream."""
    if isinstance(dataset, TokenStream):
        return TokenStreamFeed(dataset, batching)
    rank, world_size = batching.ranks
    order = RowBatchSampler(
        cast("Stored", dataset),
        batching.batch_size,
        batching.drop_last,
        shuffle=batching.shuffle,
        seed=batching.seed,
        rank=rank,
        world_size=world_size,
    )
    return TokenIndexFeed(order)
