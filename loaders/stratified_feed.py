"""Stratified jobs for streams: rows of each class wait in memory until it is their turn."""

from collections.abc import Generator, Iterator
from typing import Any, Final

import numpy as np

from sousa.loaders.classes import known_classes
from sousa.loaders.feeds import Crop
from sousa.loaders.held import Held, Strata
from sousa.loaders.samplers import Place
from sousa.loaders.shares import Counts, Dealer, integer_shares, schedule
from sousa.loaders.stream_feeds import Batching, Picks, ReplayedFeed
from sousa.loaders.streams import Stream

HELD_BYTES: Final = 128 * 2**20
"""Rows that may wait, or may be repeated."""

LEAST_STEPS: Final = 2
"""Steps whose rows may wait in any case."""


class StratifiedFeed(ReplayedFeed):
    """Batches of a stream in which classes have shares, each count within one row of it.

    The stream is read into memory, up to `HELD_BYTES`, and each step draws from what waits there.
    Where a stream fits, all is as with `StratifiedBatchSampler`. In a longer one, a class joins
    when its first row was read, and where memory is full, the class that has most gives way. With
    `oversample` it gives rows that were used; a class none of whose rows wait repeats those that
    are left. With `undersample` it gives rows that were not, where others lack them.

    Args:
        stream: The rows.
        batching: How they become batches.
        crop: Which part of each clip; None for whole ones.
        strata: Which shares classes have.

    Raises:
        ValueError: If a weight is negative, all are 0, or there is no such class.
    """

    def __init__(
        self, stream: Stream, batching: Batching, crop: Crop | None, strata: Strata
    ) -> None:
        super().__init__(stream, batching, crop)
        self._strata = strata
        if strata.weights is not None:
            known = known_classes(stream.declared, strata.by) or tuple(strata.weights)
            given = [name for name in known if name in strata.weights]
            integer_shares(given, strata.weights, known)

    @property
    def rows(self) -> None:
        """Nothing: the number of batches depends on the classes."""

    def key(self) -> dict[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        by, weights, policy = self._strata.by, self._strata.weights, self._strata.policy
        shares = None if weights is None else {k: float(v) for k, v in weights.items()}
        return {**super().key(), "stratify": by, "weights": shares, "policy": policy}

    def steps(self, epoch: int, worlds: Iterator[int]) -> Generator[list[Picks]]:
        """Yield an epoch's steps, each a batch of each rank, for these world sizes."""
        windows = (picks for picks, _ in self.windows(Place(epoch)))
        held = Held(windows, self._strata, self.stream.declared, HELD_BYTES)
        for number, counts in enumerate(self._planned(held, worlds)):
            rng = np.random.default_rng([self.batching.seed, epoch, 1, number])
            drawn = [held.draw(of_rank) for of_rank in counts]
            yield [[picks[at] for at in rng.permutation(len(picks))] for picks in drawn]

    def _planned(self, held: Held, worlds: Iterator[int]) -> Iterator[Counts]:
        """Yield the class counts of steps, `(ranks, classes)`, each drawn before the next."""
        world_size = yield from self._while_reading(held, worlds)
        while len(counts := self._rest(held, world_size)):
            for of_step in counts:
                yield of_step
                before, world_size = world_size, next(worlds)
                if world_size != before:
                    break
            else:
                return

    def _while_reading(self, held: Held, worlds: Iterator[int]) -> Generator[Counts, None, int]:
        """Yield the class counts of steps until all rows were read; return the world size then."""
        size, world_size = self.batching.batch_size, next(worlds)
        dealt_with, dealer = None, Dealer(np.ones(0, np.int64), size, 1)
        while True:
            held.fill(LEAST_STEPS * size * world_size)
            if held.ended:
                return world_size
            left = held.left()
            if dealt_with != (dealt_with := (world_size, len(left))):
                dealer = Dealer(held.shares(), size, world_size)
            counts = dealer.deal(size)
            if self._strata.policy == "undersample" and (counts.sum(axis=0) > left).any():
                held.drop()
                continue
            dealer.take(counts)
            yield counts
            world_size = next(worlds)

    def _rest(self, held: Held, world_size: int) -> Counts:
        """Return the class counts of the last steps, `(steps, ranks, classes)`."""
        own, left = self.batching, held.left()
        if not left.any():
            return np.empty((0, world_size, len(left)), np.int64)
        dealer = Dealer(held.shares(), own.batch_size, world_size)
        counts = schedule(left, dealer, own.batch_size, self._strata.policy)
        short = len(counts) > 0 and counts[-1, 0].sum() < own.batch_size
        return counts[:-1] if own.drop_last and short else counts
