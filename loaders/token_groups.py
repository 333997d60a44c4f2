"""Parquet files become rows of tokens, read some row groups at a time."""

import threading
from collections.abc import Callable, Collection, Generator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.parquet import unreadable
from sousa.loaders.rows import Declared

Columns = Callable[[Collection[str], str], tuple[str, ...]]
"""Chooses columns of those that are there; also told where that is."""

OPEN_GROUPS: Final = 8
"""Row groups whose sequences are shuffled among each other."""


class Piece(NamedTuple):
    """Some rows of a stream; what `sousa.loaders.windows.Window` has, too."""

    table: pa.Table
    state: dict[str, Any]
    rows: list[tuple[str, int]]


class Streamed(Protocol):
    """Rows that come some at a time."""

    @property
    def declared(self) -> Declared:
        """What is declared about the columns."""

    @property
    def broken(self) -> list[BrokenRow]:
        """Parts that could not be read."""

    def windows(
        self,
        seed: int,
        epoch: int,
        *,
        shuffle: bool,
        state: dict[str, Any] | None = None,
        stop: threading.Event | None = None,
    ) -> Generator[Any]:
        """Yield the rows of an epoch, in an order that seed and epoch fix, from a state on."""

    def fingerprint(self) -> str:
        """Return a hash that tells other data."""


class FolderStream:
    """The rows of Parquet files, read some row groups at a time.

    Shuffled, row groups are permuted and several are read together; their sequences are then
    permuted by whoever makes them. The place in an epoch is one number.

    Args:
        files: In the order of their rows.
        columns: Which columns to read of those that a file has.
        skip_broken: Leave out files that cannot be opened, instead of raising.

    Attributes:
        declared: What the first file declares.
        broken: Files that could not be read.
        length: How many rows there are.

    Raises:
        BrokenRowError: If a file cannot be opened and may not be left out.
        ValueError: If there are no such tokens.
    """

    def __init__(
        self, files: Sequence[Path], columns: Columns, *, skip_broken: bool = False
    ) -> None:
        self.broken: list[BrokenRow] = []
        self.declared = Declared((), {}, None)
        self._skip = skip_broken
        self._groups: list[tuple[Path, int, int]] = []
        self._columns: tuple[str, ...] = ()
        self.length = 0
        digest = blake2b(digest_size=8)
        for path in files:
            try:
                parquet = pq.ParquetFile(path)
            except (OSError, pa.ArrowException) as error:
                self._lose(path, error)
                continue
            with parquet:
                self._columns = columns(parquet.schema_arrow.names, str(path))
                self.declared = Declared.by(parquet.schema_arrow)
                footer = parquet.metadata
            sizes = [footer.row_group(at).num_rows for at in range(footer.num_row_groups)]
            ends = np.cumsum(sizes)
            firsts = (ends - sizes).tolist()
            self.length += footer.num_rows
            self._groups += [(path, at, first) for at, first in enumerate(firsts)]
            digest.update(repr([(path.name, sizes, footer.serialized_size)]).encode())
        self._digest = digest.hexdigest()

    def _lose(self, path: Path, error: Exception) -> None:
        broken = unreadable(path, error)
        if not self._skip:
            raise BrokenRowError(broken) from error
        if broken not in self.broken:
            self.broken.append(broken)

    def fingerprint(self) -> str:
        """Return a hash of how many rows lie where."""
        return self._digest

    def windows(
        self,
        seed: int,
        epoch: int,
        *,
        shuffle: bool,
        state: dict[str, Any] | None = None,
        stop: threading.Event | None = None,
    ) -> Generator[Piece]:
        """Yield the rows of an epoch from a state on, see `Streamed`."""
        order = np.arange(len(self._groups))
        if shuffle:
            order = np.random.default_rng([seed, epoch]).permutation(order)
        together = OPEN_GROUPS if shuffle else 1
        first = 0 if state is None else int(state["windows"])
        for number in range(first, -(-len(order) // together)):
            if stop is not None and stop.is_set():
                return
            chosen = order[number * together : (number + 1) * together]
            yield self._window([self._groups[at] for at in chosen], {"windows": number})

    def _window(self, groups: Sequence[tuple[Path, int, int]], state: dict[str, Any]) -> Piece:
        tables: list[pa.Table] = []
        rows: list[tuple[str, int]] = []
        for path, group, first in groups:
            try:
                with pq.ParquetFile(path) as parquet:
                    table = parquet.read_row_group(group, list(self._columns), use_threads=False)
            except (OSError, pa.ArrowException) as error:
                self._lose(path, error)
                continue
            tables.append(table.select(self._columns))
            rows += [(str(path), first + row) for row in range(table.num_rows)]
        empty = pa.table({name: pa.array([], pa.list_(pa.uint16())) for name in self._columns[:1]})
        return Piece(pa.concat_tables(tables) if tables else empty, state, rows)
