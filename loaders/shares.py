"""How many rows of each class go into each batch."""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from math import lcm
from typing import Final

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

NEVER: Final = -(2**62)
"""Less than anything that a class can be owed."""

POLICIES: Final = ("oversample", "undersample")
"""What to do when classes differ in size: repeat the rarer ones, or stop with the rarest."""

FINEST: Final = 1_000_000
"""Shares are whole multiples of one part in this many, so that counting is exact."""


def integer_shares(
    names: Sequence[str], weights: Mapping[str, float] | None, known: Collection[str] = ()
) -> Counts:
    """Return the shares of classes, as integers in proportion to their weights.

    Args:
        names: Classes that the data has.
        weights: A weight >= 0 for each of them; None makes them equal.
        known: Further classes that may have a weight, though the data has none of their rows.

    Raises:
        ValueError: If a class has no weight, a weight is negative, all are zero, or there is no
            such class.

    Examples:
        >>> integer_shares(["advanced", "beginner"], {"advanced": 0.5, "beginner": 1.5})
        array([1, 3])
    """
    if weights is None:
        return np.ones(len(names), np.int64)
    if unknown := [str(name) for name in weights if name not in (*names, *known)]:
        raise ValueError(
            f"weights must be for {', '.join(dict.fromkeys((*names, *known)))}; "
            f"got one for {', '.join(unknown)}"
        )
    given = [weights.get(name, -1.0) for name in names]
    if min(given, default=0) < 0 or max(given, default=1) <= 0 or not np.isfinite(given).all():
        raise ValueError(
            f"weights must be finite and >= 0 for each of {', '.join(names)}, and not all 0; "
            f"got {weights}"
        )
    exact = [Fraction(str(weight)) for weight in given]
    scale = lcm(*(weight.denominator for weight in exact))
    if scale * sum(exact) > FINEST:
        return np.maximum(np.rint(np.array(given) / sum(given) * FINEST), np.sign(given)).astype(
            int
        )
    return np.array([int(weight * scale) for weight in exact], np.int64)


class Dealer:
    """Deals the classes of batch after batch, in each batch within one row of the shares.

    Every rank has its own account of what each class is owed, so that shares also hold over the
    batches of each rank where there are more classes than rows in a batch. The rows of a batch
    that cannot be shared evenly go to the classes that are owed most (largest remainders, as in
    apportionment), and ranks begin at different classes.

    Args:
        shares: Integers in proportion to the shares.
        batch_size: Rows of a full batch.
        world_size: Number of ranks.
    """

    def __init__(self, shares: Counts, batch_size: int, world_size: int) -> None:
        classes = len(shares)
        self._shares = shares
        self._owed = np.zeros((world_size, classes), np.int64)
        first = np.arange(world_size)[:, None] * batch_size
        self._turn = (np.arange(classes) - first) % max(1, classes)

    def deal(self, size: int) -> Counts:
        """Return the counts of one batch of each rank, `(ranks, classes)`, without taking them."""
        total = int(self._shares.sum())
        counts = np.broadcast_to(size * self._shares // total, self._owed.shape).copy()
        left = size - int(counts[0].sum())
        uneven = size * self._shares % total > 0
        owed = self._owed + size * self._shares - counts * total
        key = np.where(uneven, owed * len(self._shares) - self._turn, NEVER)
        extra = np.argsort(-key, axis=1, kind="stable")[:, :left]
        np.put_along_axis(counts, extra, np.take_along_axis(counts, extra, 1) + 1, 1)
        return counts

    def take(self, counts: Counts) -> None:
        """Book the counts of one batch of each rank."""
        dealt = counts.sum(axis=1, keepdims=True)
        self._owed += dealt * self._shares - counts * self._shares.sum()


def schedule(sizes: Counts, dealer: Dealer, batch_size: int, policy: str) -> Counts:
    """Return the class counts of every batch of an epoch, `(steps, ranks, classes)`.

    All batches are full but those of the last step, which are as small as they can be
    (`oversample`) or as large as they can be (`undersample`), the same on all ranks.

    Args:
        sizes: Rows of each class that has a share.
        dealer: Deals the counts; it is used up.
        batch_size: Rows of a full batch.
        policy: `oversample` ends when every row was used, `undersample` when a class is used up.
    """
    steps: list[Counts] = []
    left = sizes.copy()
    while True:
        counts = dealer.deal(batch_size)
        dealt = counts.sum(axis=0)
        if (dealt >= left).all() if policy == "oversample" else (dealt > left).any():
            steps += last_step(left, dealer, batch_size, policy)
            return np.array(steps, np.int64).reshape(-1, *counts.shape)
        dealer.take(counts)
        left -= dealt
        steps.append(counts)


def last_step(left: Counts, dealer: Dealer, batch_size: int, policy: str) -> list[Counts]:
    """Return the counts of an epoch's last step: none, or one for each rank."""
    if policy == "undersample" and (left == 0).any():
        return []
    sizes = range(1, batch_size + 1)
    for size in sizes if policy == "oversample" else reversed(sizes):
        counts = dealer.deal(size)
        dealt = counts.sum(axis=0)
        if (dealt >= left).all() if policy == "oversample" else (dealt <= left).all():
            return [counts]
    return []
