"""Numbers of many rows to counts in bins, of which distributions are drawn."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sousa.builders.schema import SKILL_TIERS

EVERYBODY: Final = "all clips"
"""Stands for the tiers where a dataset has none."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Values counted into equal bins.

    Attributes:
        low: Where the first begins.
        high: Where the last ends.
        counts: Values in each.
    """

    low: float
    high: float
    counts: NDArray[np.int64]

    def with_values(self, values: NDArray[Any]) -> Self:
        """Return the bins with more values; NaN and what lies outside are left out."""
        there = values[~np.isnan(values)]
        new, _ = np.histogram(there, bins=len(self.counts), range=(self.low, self.high))
        return replace(self, counts=self.counts + new)

    def quantile(self, share: float) -> float:
        """Return the value below which a share of all lies, to a bin; NaN if there is none."""
        below = np.cumsum(self.counts)
        if not below[-1]:
            return float("nan")
        wanted = max(share * float(below[-1]), 1e-9)
        place = min(int(np.searchsorted(below, wanted)), len(below) - 1)
        inside = (wanted - (below[place] - self.counts[place])) / self.counts[place]
        return float(self.low + (self.high - self.low) * (place + inside) / len(below))


def by_tier(tiers: NDArray[Any] | None, rows: int) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each tier that there is, and which rows are of it.

    Args:
        tiers: Name of each row's; None where rows have none.
        rows: How many there are.
    """
    if tiers is None:
        yield EVERYBODY, np.ones(rows, np.bool_)
        return
    for tier in SKILL_TIERS:
        chosen = tiers == tier
        if chosen.any():
            yield tier, chosen


def numbers(column: pa.ChunkedArray | pa.Array, *, keep_nulls: bool = False) -> NDArray[np.float32]:
    """Return a column's finite numbers; others, or all of another type, are left out or NaN."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return np.full(len(column) if keep_nulls else 0, np.nan, np.float32)
    stored = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    with np.errstate(over="ignore"):  # becomes infinite, and is left out
        values: NDArray[np.float32] = stored.to_numpy().astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    return values if keep_nulls else values[~np.isnan(values)]
