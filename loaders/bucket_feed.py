"""Jobs of rows of similar length, for streams."""

from collections.abc import Generator, Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from sousa.loaders.buckets import Batches, Recut, bucketed, dealt, evenly, filled, split
from sousa.loaders.feeds import Crop
from sousa.loaders.layout import Indices
from sousa.loaders.samplers import Place, whole
from sousa.loaders.stream_feeds import Batching, Picks, ReplayedFeed
from sousa.loaders.streams import Stream
from sousa.loaders.waves import Waves

SORTED_BYTES: Final = 64 * 2**20
"""Rows that are sorted together, or a window more: more pad less, and mix less."""


class BucketFeed(ReplayedFeed):
    """Every row once an epoch, beside rows of similar length, as `BucketBatchSampler` has it.

    Rows are sorted that were read one after the other, `SORTED_BYTES` at a time. The last step
    borrows rows of at most two steps before it, as more do not wait.

    Args:
        stream: The rows.
        batching: How they become batches.
        crop: Which part of each clip; None for whole ones.
        waves: Tells the length of each clip.
        max_samples: The largest batch in samples, padding included, instead of `batch_size`.

    Raises:
        ValueError: If `max_samples` is no integer of at least 1.
    """

    def __init__(
        self,
        stream: Stream,
        batching: Batching,
        crop: Crop | None,
        waves: Waves,
        max_samples: int | None = None,
    ) -> None:
        super().__init__(stream, batching, crop)
        self._waves = waves
        self._max_samples = None if max_samples is None else whole(max_samples, "max_samples", 1)

    @property
    def rows(self) -> int | None:
        """Rows of an epoch, where their number tells that of the batches and is known."""
        return self.stream.length if self._max_samples is None else None

    def key(self) -> dict[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        size = None if self._max_samples else self.batching.batch_size
        decoder = self._waves.decoder
        lengths = [decoder.rate_hz, decoder.resampler, self._waves.max_sec]
        changed = {"batch_size": size, "max_samples": self._max_samples, "lengths": lengths}
        return {**super().key(), "bucket": True, **changed}

    def steps(self, epoch: int, worlds: Iterator[int]) -> Generator[list[Picks]]:
        """Yield an epoch's steps, each a batch of each rank, for these world sizes."""
        waiting: list[Picks] = []
        world_size = next(worlds)
        for batch in self._batches(epoch):
            waiting.append(batch)
            if len(waiting) > 3 * world_size:
                yield waiting[:world_size]
                del waiting[:world_size]
                world_size = next(worlds)
        while waiting:
            steps = self._last(waiting, world_size)
            waiting = []
            for number, step in enumerate(steps, start=1):
                yield step
                before, world_size = world_size, next(worlds)
                if world_size != before:
                    waiting = [batch for later in steps[number:] for batch in later]
                    break

    def _batches(self, epoch: int) -> Iterator[Picks]:
        """Yield the batches of an epoch, before they are dealt to ranks."""
        own = self.batching
        rest: Picks = []
        for number, picks in enumerate(self._parts(epoch)):
            rows = rest + picks
            rng = np.random.default_rng([own.seed, epoch, 3, number]) if own.shuffle else None
            lengths = self._lengths(rows)
            if self._max_samples is None:
                full = len(rows) - len(rows) % own.batch_size
                batches = bucketed(np.arange(full), lengths, own.batch_size, 1, rng)
                rest = rows[full:]
            else:
                batches = filled(np.arange(len(rows)), lengths, self._max_samples, 1, rng)
            for batch in batches:
                yield [rows[row] for row in batch]
        if rest and not own.drop_last:
            yield rest

    def _parts(self, epoch: int) -> Iterator[Picks]:
        """Yield the rows of an epoch in the parts that are sorted."""
        part: Picks = []
        nbytes = 0
        for picks, _ in self.windows(Place(epoch)):
            part += picks
            nbytes += picks[0].chunk.nbytes
            if nbytes >= SORTED_BYTES:
                yield part
                part, nbytes = [], 0
        if part:
            yield part

    def _last(self, waiting: list[Picks], world_size: int) -> list[list[Picks]]:
        """Return the last steps of an epoch."""
        rows = [pick for batch in waiting for pick in batch]
        ends = np.cumsum([len(batch) for batch in waiting])
        batches: Batches = np.split(np.arange(len(rows)), ends[:-1])
        recut: Recut = split if self._max_samples else partial(evenly, lengths=self._lengths(rows))
        steps = dealt(batches, world_size, recut, drop_last=self.batching.drop_last)
        return [[[rows[row] for row in batch] for batch in step] for step in steps]

    def _lengths(self, rows: Picks) -> Indices:
        """Return the samples of each row.

        Raises:
            ValueError: If a row alone exceeds `max_samples`.
        """
        lengths = np.array([self._waves.stored_length(chunk.clips[row]) for chunk, row in rows])
        if self._max_samples is not None and lengths.max(initial=0) > self._max_samples:
            chunk, row = rows[int(lengths.argmax())]
            file, position = chunk.places.where(row)
            raise ValueError(
                f"a batch may have max_samples={self._max_samples} samples, {file}, row {position} "
                f"alone has {lengths.max()}; allow more, or truncate with max_length_sec"
            )
        return lengths
