"""Batches of clips of similar length, so that little of a batch is padding."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any, Final
from zlib import crc32

import numpy as np

from sousa.loaders.layout import Indices
from sousa.loaders.samplers import BatchOrder, Past, Stored, whole

Batches = list[Indices]
Chance = np.random.Generator | None
Recut = Callable[[Batches, int], Batches]

WINDOW: Final = 100
"""Batches, about, whose rows are sorted together: more pad less, and mix less."""


class BucketBatchSampler(BatchOrder):
    """Batches in which every row comes once an epoch, beside rows of similar length.

    The order of the epoch is cut into windows of about 100 batches, the rows of each window are
    sorted by length and cut into batches, and these are permuted. Rows that fill no batch are the
    last of the order, whatever their length, so that `drop_last` favours none. Step by step each
    rank has the next batch. The batches of the last step are cut anew where they are fewer than
    ranks, together with those of steps before it where they have fewer rows than ranks.

    Args:
        dataset: What to read.
        lengths: Of each row the samples that it has at most, `(rows,)`.
        batch_size: Rows of a full batch, where there is no `max_samples`.
        drop_last: Leave out the last step where its batches are not full.
        max_samples: The largest batch in samples, padding included, instead of `batch_size`.
        shuffle: Whether the order is random.
        seed: Together with the epoch it fixes the random order.
        rank: This process; None asks `torch.distributed`.
        world_size: How many processes share the rows; None asks `torch.distributed`.

    Raises:
        ValueError: If an argument is not as above, or a row alone exceeds `max_samples`.
    """

    def __init__(  # noqa: PLR0913 - the options of a PyTorch sampler
        self,
        dataset: Stored,
        lengths: Indices,
        batch_size: int,
        drop_last: bool = False,  # noqa: FBT001, FBT002 - as in PyTorch
        *,
        max_samples: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, rank, world_size)
        self._layout = dataset.layout
        self._lengths = np.ascontiguousarray(lengths, np.int64)
        if self._lengths.shape != (self._layout.rows,):
            raise ValueError(
                f"lengths must be one for each of {self._layout.rows} rows, "
                f"got an array of shape {self._lengths.shape}"
            )
        if max_samples is not None:
            max_samples = whole(max_samples, "max_samples", 1)
            check_fits(self._lengths, max_samples)
        self._max_samples = max_samples
        self._drop_last, self._shuffle = drop_last, shuffle
        self._recut: Recut = split if max_samples else partial(evenly, lengths=self._lengths)
        self._epoch: tuple[int, Batches] = (-1, [])

    def _cut(self, epoch: int) -> Batches:
        """Return the batches of an epoch, before they are dealt to ranks."""
        rows, rng = self._layout.rows, None
        order = np.arange(rows)
        if self._shuffle:
            order = self._layout.shuffled(self.seed, epoch)
            rng = np.random.default_rng([self.seed, epoch, 3])
        if self._max_samples is None:
            order = order[: rows - rows % self.size] if self._drop_last else order
            windows = window_count(rows // self.size)
            return bucketed(order, self._lengths, self.size, windows, rng)
        windows = window_count(int(self._lengths.sum()) // self._max_samples)
        return filled(order, self._lengths, self._max_samples, windows, rng)

    def _steps(self, epoch: int, past: Past) -> list[Batches]:
        """Return the steps that are left of an epoch after what was used of it."""
        held = self._epoch
        if held[0] != epoch:
            held = self._epoch = (epoch, self._cut(epoch))  # one at a time: len() is asked often
        rest = remaining(held[1], past, self._recut, drop_last=self._drop_last)
        return dealt(rest, self.world_size, self._recut, drop_last=self._drop_last)

    def batches(self, epoch: int, past: Past = ()) -> Iterator[list[int]]:
        """Yield the batches of an epoch that are left after what was used of it."""
        rank = self.rank
        for step in self._steps(epoch, past):
            yield step[rank].tolist()

    def total(self, epoch: int, past: Past = ()) -> int:
        """Return how many batches of an epoch are left after what was used of it."""
        return len(self._steps(epoch, past))

    def key(self) -> dict[str, Any]:
        """Return what, beside the data, decides which rows are in which batch."""
        return super().key() | {
            "batch_size": self.size if self._max_samples is None else None,
            "max_samples": self._max_samples,
            "shuffle": self._shuffle,
            "drop_last": self._drop_last,
            # Lengths follow from the data, but also from how it is resampled and truncated.
            "lengths_crc32": crc32(self._lengths.tobytes()),
        }


def window_count(batches: int) -> int:
    """Return into how many windows an epoch of about so many batches is cut.

    Few batches also make four windows, where these have at least 8 batches each: in a single one
    the same rows would come together in every epoch.
    """
    return max(1, round(batches / WINDOW), min(4, batches // 8))


def bucketed(
    order: Indices, lengths: Indices, batch_size: int, windows: int, rng: Chance
) -> Batches:
    """Return batches of `batch_size` rows of similar length; the last one may be smaller.

    Args:
        order: Row numbers.
        lengths: Samples of each row of the dataset.
        batch_size: Rows of a batch.
        windows: Parts of the order, of equally many batches, of which each is sorted.
        rng: Permutes the batches of each window; None leaves the longest first.

    Examples:
        >>> lengths = np.array([5, 1, 4, 1, 2])
        >>> bucketed(np.arange(5), lengths, batch_size=2, windows=1, rng=None)
        [array([0, 2]), array([1, 3]), array([4])]
    """
    full = len(order) - len(order) % batch_size
    batches: Batches = []
    for window in np.array_split(order[:full].reshape(-1, batch_size), windows):
        rows = longest_first(window.ravel(), lengths)
        batches += permuted(list(rows.reshape(-1, batch_size)), rng)
    return [*batches, order[full:]] if full < len(order) else batches


def filled(
    order: Indices, lengths: Indices, max_samples: int, windows: int, rng: Chance
) -> Batches:
    """Return batches, as `bucketed`, of at most `max_samples`: rows x samples of the longest row.

    From the longest row of a window on, each batch takes what fits: there is no way to have fewer
    batches. A row of no length counts as one sample.

    Raises:
        ValueError: If a row alone is too long.

    Examples:
        >>> filled(np.arange(5), np.array([5, 1, 4, 1, 2]), max_samples=8, windows=1, rng=None)
        [array([0]), array([2, 4]), array([1, 3])]
    """
    check_fits(lengths, max_samples)
    batches: Batches = []
    for window in np.array_split(order, windows):
        rows = longest_first(window, lengths)
        fit = (max_samples // np.maximum(lengths[rows], 1)).tolist()
        bounds = [0]
        while bounds[-1] < len(rows):
            bounds.append(bounds[-1] + fit[bounds[-1]])
        batches += permuted([rows[start:end] for start, end in pairwise(bounds)], rng)
    return batches


def check_fits(lengths: Indices, max_samples: int) -> None:
    """Refuse a row that no batch can hold.

    Raises:
        ValueError: If there is one.
    """
    if len(lengths) and lengths.max() > max_samples:
        row = int(lengths.argmax())
        raise ValueError(
            f"a batch may have max_samples={max_samples} samples, row {row} alone has up to "
            f"{lengths[row]}; allow more, or truncate with max_length_sec"
        )


def longest_first(rows: Indices, lengths: Indices) -> Indices:
    """Return rows by falling length; equally long ones stay in their order."""
    return rows[np.argsort(-lengths[rows], kind="stable")]


def permuted(batches: Batches, rng: Chance) -> Batches:
    """Return batches in random order; as they are without a generator."""
    return batches if rng is None else [batches[at] for at in rng.permutation(len(batches))]


def dealt(
    batches: Batches, world_size: int, recut: Recut, *, drop_last: bool = False
) -> list[Batches]:
    """Return the steps of an epoch, each of one batch for each rank.

    Args:
        batches: All batches, in order.
        world_size: Number of ranks.
        recut: Cuts batches into so many batches; `evenly` or `split`.
        drop_last: Leave out the last batches where they are fewer than ranks.

    Examples:
        >>> dealt([np.array([3, 1, 2])], 2, split)
        [[array([3, 1]), array([2])]]
    """
    steps = len(batches) // world_size
    if not drop_last and len(batches) % world_size:
        kept = kept_steps(batches, world_size)
        steps += 1
        tail = recut(batches[kept * world_size :], (steps - kept) * world_size)
        batches = batches[: kept * world_size] + tail
    return [batches[at : at + world_size] for at in range(0, steps * world_size, world_size)]


def kept_steps(batches: Batches, world_size: int) -> int:
    """Return how many steps keep their batches; the later ones are cut anew.

    These are the last step, where it has fewer batches than ranks, and the fewest before it
    that have rows to lend where it has fewer rows than ranks. Without such steps it stays short.
    """
    full, left = divmod(len(batches), world_size)
    if not left:
        return full
    spare = 0
    for step in range(full, -1, -1):
        here = batches[step * world_size : (step + 1) * world_size]
        spare += sum(map(len, here)) - world_size
        if spare >= 0:
            return step
    return full


def evenly(batches: Batches, count: int, lengths: Indices) -> Batches:
    """Return the rows of batches in so many batches that differ by at most one row.

    None is larger than the largest was, where these are at least as many as before.
    The longest rows of all come first.
    """
    rows = longest_first(np.concatenate(batches), lengths)
    bounds = len(rows) * np.arange(count + 1) // count
    return [rows[start:end] for start, end in pairwise(bounds)]


def split(batches: Batches, count: int) -> Batches:
    """Return batches in so many parts, at least one of each, by splitting those with most rows.

    Where rows of one batch are longer than those of another, `evenly` could exceed `max_samples`;
    a part has never more samples than its batch.
    """
    sizes, parts = np.array([len(batch) for batch in batches]), np.ones(len(batches), np.int64)
    for _ in range(count - len(batches)):
        parts[np.argmax(sizes / parts)] += 1
    pieces = zip(batches, parts.tolist(), strict=True)
    return [part for batch, number in pieces for part in np.array_split(batch, number)]


def remaining(batches: Batches, past: Past, recut: Recut, *, drop_last: bool = False) -> Batches:
    """Return the batches that are left of an epoch after steps with these world sizes.

    They are dealt as with `dealt`. What `drop_last` leaves out can still be used by fewer ranks.
    """
    for world_size, used in past:
        if drop_last or used <= kept_steps(batches, world_size):
            batches = batches[used * world_size :]
        else:
            left = dealt(batches, world_size, recut)[used:]
            batches = [batch for step in left for batch in step]
    return batches


def padding(lengths: Indices) -> float:
    """Return the share of a batch, in [0, 1), that is padding.

    Args:
        lengths: Samples of each of its rows.

    Examples:
        >>> padding(np.array([4, 1, 1]))
        0.5
    """
    padded = len(lengths) * int(lengths.max(initial=0))
    return 1 - int(lengths.sum()) / padded if padded else 0.0
