"""Rows of a shard as arrays, for checks that look at all of them at once."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Place(NamedTuple):
    """Where a row is.

    Attributes:
        file: Relative to the folder.
        row: Its number in the file.
        sample_id: Its own name; None where it has none.
    """

    file: str
    row: int
    sample_id: str | None = None

    def __str__(self) -> str:
        return f"{self.file} row {self.row} ({self.sample_id})"


@dataclass(frozen=True, slots=True)
class Places:
    """Several rows that something is about together."""

    rows: tuple[Place, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, self.rows))


@dataclass(frozen=True, eq=False)
class Lists:
    """Equally long lists of some rows, laid end to end.

    Attributes:
        starts: Where each row's entries begin, `(rows + 1,)`.
        fields: Entries by field; nulls are NaN.
    """

    starts: NDArray[np.int64]
    fields: dict[str, NDArray[Any]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.fields[name]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Entries of each row."""
        return np.diff(self.starts)

    @cached_property
    def row(self) -> NDArray[np.int64]:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """The place of each entry in its row."""
        return np.arange(self.starts[-1]) - self.starts[self.row]

    def first(self, bad: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
        """Yield each row that has a bad entry, and the first such entry of all entries."""
        entries = np.flatnonzero(bad)
        rows, firsts = np.unique(self.row[entries], return_index=True)
        yield from zip(rows.tolist(), entries[firsts].tolist(), strict=True)


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of one config.

    Attributes:
        config: Its name.
        places: File of each row, and the row in it.
        table: The columns.
    """

    config: str
    places: list[tuple[str, int]]
    table: pa.Table

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, column: str) -> bool:
        return column in self.table.column_names

    def __getitem__(self, column: str) -> NDArray[Any]:
        """Return a column of numbers; nulls are NaN."""
        return numbers(self.table[column].combine_chunks())

    def cells(self, column: str) -> list[Any]:
        """Return a column as Python values."""
        cells: list[Any] = self.table[column].to_pylist()
        return cells

    @cached_property
    def ids(self) -> list[str | None]:
        """The sample ids; none where there is no such column."""
        return self.cells("sample_id") if "sample_id" in self else [None] * len(self)

    def where(self, row: int) -> Place:
        """Return the file, row and sample of a row."""
        return Place(*self.places[row], self.ids[row])

    def without(self, left_out: Collection[int]) -> Self:
        """Return all but some of the rows."""
        if not left_out:
            return self
        kept = [row for row in range(len(self)) if row not in left_out]
        places = [self.places[row] for row in kept]
        return type(self)(self.config, places, self.table.take(pa.array(kept, pa.int64())))

    @cached_property
    def strokes(self) -> Lists:
        """The entries of `strokes`."""
        return self.lists("strokes")

    @cached_property
    def measures(self) -> Lists:
        """The entries of `measures`."""
        return self.lists("measures")

    @cached_property
    def mistakes(self) -> Lists:
        """The entries of `mistakes`."""
        return self.lists("mistakes")

    def lists(self, column: str) -> Lists:
        """Return a struct of lists that are known to be equally long; null holds no entries."""
        struct = self.table[column].combine_chunks()
        fields = dict(zip((f.name for f in struct.type), struct.flatten(), strict=True))
        stated = next(iter(fields.values())).value_lengths().fill_null(0)
        lengths = stated.to_numpy(zero_copy_only=False)
        return Lists(
            starts=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            fields={name: numbers(cell.flatten()) for name, cell in fields.items()},
        )


def numbers(array: pa.Array) -> NDArray[Any]:
    """Return an Arrow array of numbers or booleans as NumPy; nulls are NaN."""
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values
