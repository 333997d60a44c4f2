"""Rows of Parquet files by index: footers at opening, then one row group at a time."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.layout import Layout
from sousa.loaders.rows import Declared, Rows, check_columns

CACHE_BYTES: Final = 256 * 2**20
"""Row groups that a process keeps for the next rows."""

FAILURES: Final = (pa.ArrowException, OSError)
"""What reading a damaged file raises."""

WINDOW_BYTES: Final = CACHE_BYTES // 2
"""Row groups that a shuffle mixes: half of the cache, so that windows can follow each other."""


class ParquetSource:
    """The rows of some Parquet files, one after the other.

    Args:
        files: In the order of their rows.
        columns: What to read.
        skip_broken: Leave out files that are no Parquet files, instead of raising.

    Attributes:
        layout: How the rows lie.
        declared: What the files declare about their columns.
        broken: Files that could not be read, with `skip_broken`.

    Raises:
        BrokenRowError: If a file cannot be opened.
        ValueError: If a file lacks a column.
    """

    def __init__(
        self, files: Sequence[Path], columns: tuple[str, ...], *, skip_broken: bool = False
    ) -> None:
        self._columns = columns
        self._groups: list[tuple[Path, int, int]] = []  # file, row group, its first row in the file
        self._bytes: dict[Path, int] = {}
        self._file_rows: list[int] = []
        self.broken: list[BrokenRow] = []
        self.declared = Declared((), {}, None)
        sizes: list[int] = []
        largest = 1
        for path in files:
            try:
                footer = self._open(path).metadata
            except FAILURES as error:
                self._leave_out(path, error, skip_broken=skip_broken)
                continue
            self._describe(path, footer.schema.to_arrow_schema())
            groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
            rows = [group.num_rows for group in groups]
            firsts = np.cumsum([0, *rows])[:-1].tolist()
            self._groups += [(path, number, first) for number, first in enumerate(firsts)]
            sizes += rows
            self._file_rows.append(sum(rows))
            largest = max([largest, *(group.total_byte_size for group in groups)])
        self.layout = Layout(tuple(sizes), max(2, WINDOW_BYTES // largest))
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self._reset()

    def _describe(self, path: Path, schema: pa.Schema) -> None:
        """Take over what the first file declares; refuse files that do not fit it."""
        check_columns(schema, self._columns, str(path))
        declared = Declared.by(schema)
        if self._bytes and declared != self.declared:
            raise ValueError(f"{path} declares other labels or another rate than the files before")
        self.declared = declared
        self._bytes[path] = path.stat().st_size

    def _leave_out(self, path: Path, error: Exception, *, skip_broken: bool) -> None:
        """Note a file that cannot be read, or raise."""
        broken = unreadable(path, error)
        if not skip_broken:
            raise BrokenRowError(broken) from error
        if broken not in self.broken:
            self.broken.append(broken)

    def _reset(self) -> None:
        self._cache: OrderedDict[int, Rows] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what a spawned worker makes itself."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_cache", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def where(self, index: int) -> tuple[str, int]:
        """Return the file that holds a row, and the row's position in it."""
        group, row = self._locate(index)
        path, _, first = self._groups[group]
        return str(path), first + row

    def rows(self, indices: Sequence[int]) -> list[dict[str, Any] | BrokenRow]:
        """Return some rows, in the order of `indices`; broken ones say what is wrong."""
        # Sorted, they come group by group, whatever the cache holds.
        found = {index: self._row(index) for index in sorted(set(indices))}
        return [found[index] for index in indices]

    def _row(self, index: int) -> dict[str, Any] | BrokenRow:
        group, row = self._locate(index)
        path, _, first = self._groups[group]
        try:
            return self._group(group)[row]
        except FAILURES as error:
            return unreadable(path, error)._replace(row=first + row)
        except ValueError as error:
            return BrokenRow(str(path), first + row, None, str(error))

    def column(
        self, name: str, *, skip_broken: bool = False
    ) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_]]:
        """Return one column of all rows, and which rows could be read; the others are null.

        Raises:
            BrokenRowError: If a file cannot be read, without `skip_broken`.
        """
        found: list[pa.ChunkedArray | None] = []
        for path in self._bytes:
            try:
                found.append(self._read(path, None, [name]).column(name))
            except FAILURES as error:
                self._leave_out(path, error, skip_broken=skip_broken)
                found.append(None)
        kind = next((column.type for column in found if column is not None), pa.null())
        chunks: list[pa.Array] = []
        for column, rows in zip(found, self._file_rows, strict=True):
            chunks += [pa.nulls(rows, kind)] if column is None else column.chunks
        read = np.array([column is not None for column in found], bool)
        return pa.chunked_array(chunks, kind), np.repeat(read, self._file_rows)

    def _locate(self, index: int) -> tuple[int, int]:
        group = int(np.searchsorted(self._ends, index, side="right"))
        return group, index - int(self._ends[group]) + self.layout.sizes[group]

    def _group(self, group: int) -> Rows:
        """Return a row group, from the cache where it is."""
        with self._lock:
            if group not in self._cache:
                path, number, _ = self._groups[group]
                self._cache[group] = Rows(self._read(path, number, list(self._columns)))
                while len(self._cache) > 1 and self._cached_bytes() > CACHE_BYTES:
                    self._cache.popitem(last=False)
            self._cache.move_to_end(group)
            return self._cache[group]

    def _cached_bytes(self) -> int:
        return sum(rows.nbytes for rows in self._cache.values())

    def _read(self, path: Path, group: int | None, columns: list[str]) -> pa.Table:
        """Return some columns of one row group, or of the whole file."""
        file = self._open(path)
        if group is None:
            return file.read(columns, use_threads=False)
        return file.read_row_group(group, columns, use_threads=False)

    def _open(self, path: Path) -> pq.ParquetFile:
        """Return a file, its size as it was: reading a map beyond its end kills the process."""
        if self._bytes.get(path, size := path.stat().st_size) != size:
            raise OSError(f"changed from {self._bytes[path]} to {size} bytes")
        return pq.ParquetFile(path, memory_map=True)


def unreadable(path: Path, error: Exception) -> BrokenRow:
    """Return why a file cannot be read."""
    reason = " ".join(str(error).split()).rstrip(".")
    return BrokenRow(str(path), None, None, f"not a whole Parquet file: {reason}")
