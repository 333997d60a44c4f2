"""Tables to Parquet files that appear whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

LEAST_ROW_GROUP_BYTES: Final = 12_000_000
"""A row group is closed at this size when as much is still to come, so that none but the only one
of a small shard is below 10 MB, and none is above 40 MB."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A run of rows of one split: one Parquet file in each config."""

    split: str
    index: int
    count: int
    rows: int

    @property
    def name(self) -> str:
        """File name without suffix, such as `train-00000-of-00004`."""
        return f"{self.split}-{self.index:05d}-of-{self.count:05d}"


@dataclass(frozen=True, slots=True)
class Written:
    """A finished file, as the manifest records it.

    Attributes:
        path: From the dataset's folder, with slashes.
        rows: In the file.
        bytes: Its size.
        sha256: Of its content, hexadecimal.
    """

    path: str
    rows: int
    bytes: int
    sha256: str

    @classmethod
    def of(cls, root: Path, path: str, rows: int) -> Self:
        """Measure a file below `root`."""
        file = root / path
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        return cls(path, rows, file.stat().st_size, digest)


class RowGroups:
    """Gathers the rows of a shard into row groups of 12 to 40 MB, or one of the whole shard."""

    def __init__(self, rows: int) -> None:
        """Expect so many rows in all."""
        self._rows_left = rows
        self._pending: list[pa.Table] = []

    def add(self, table: pa.Table) -> Iterator[pa.Table]:
        """Take a few rows more; yield a row group if one is full."""
        self._pending.append(table)
        self._rows_left -= table.num_rows
        pending_rows = sum(table.num_rows for table in self._pending)
        pending_bytes = sum(table.nbytes for table in self._pending)
        to_come_bytes = self._rows_left * pending_bytes / pending_rows
        if self._rows_left == 0 or min(pending_bytes, to_come_bytes) >= LEAST_ROW_GROUP_BYTES:
            yield from self.rest()

    def rest(self) -> Iterator[pa.Table]:
        """Yield what is held as a row group: when fewer rows come than were expected."""
        if self._pending:
            yield pa.concat_tables(self._pending).combine_chunks()
        self._pending = []


class ShardFile:
    """Writes one Parquet file; use it as a context.

    Audio is stored as it is: neither compressed nor in dictionaries, which is what `datasets`
    writes and what the Hub can deduplicate. Tokens are compressed but in no dictionary: with one
    they take 3 % more than a byte each, without it 3 % less.
    """

    def __init__(self, path: Path, schema: pa.Schema, rows: int) -> None:
        """Open the file; `rows` is how many are to come in all."""
        self._groups = RowGroups(rows)
        leaves = _leaves(schema)
        plain = [leaf for leaf in leaves if leaf.startswith("audio.")]
        tokens = tuple(f"{field.name}." for field in schema if _of_ids(field.type))
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression={leaf: "NONE" if leaf in plain else "ZSTD" for leaf in leaves},
            use_dictionary=[leaf for leaf in leaves if not leaf.startswith(("audio.", *tokens))],
            write_page_index=True,
        )

    def write(self, table: pa.Table) -> None:
        """Add rows; they are held until a row group is full."""
        for group in self._groups.add(table):
            self.write_group(group)

    def write_group(self, table: pa.Table) -> None:
        """Add rows as one row group, at once; for a file that is written either way, not both."""
        self._writer.write_table(table, row_group_size=table.num_rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the footer; after an error close the file as far as that goes."""
        with suppress(OSError) if kind else nullcontext():
            try:
                for group in () if kind else self._groups.rest():
                    self.write_group(group)
                self._writer.close()
            finally:
                self._writer.is_open = False  # or it would try again when it is collected


def _of_ids(type_: pa.DataType) -> bool:
    """Return whether a column holds lists of ids, or lists of such lists."""
    inner = type_
    while pa.types.is_list(inner):
        inner = inner.value_type
    return bool(inner != type_ and inner == pa.uint16())


def _leaves(schema: pa.Schema) -> list[str]:
    """Return the paths of the leaf columns, as Parquet names them."""
    empty = pa.BufferOutputStream()
    pq.ParquetWriter(empty, schema).close()
    parquet = pq.ParquetFile(empty.getvalue()).schema
    return [parquet.column(index).path for index in range(len(parquet.names))]


@contextmanager
def atomic(path: Path, scratch: Path) -> Iterator[Path]:
    """Yield a path to write to; on success the file moves to `path` in one step.

    Args:
        path: Where the file shall appear.
        scratch: A folder on the same file system.
    """
    partial = scratch / f"{path.parent.name}-{path.name}.{os.getpid()}"
    try:
        yield partial
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, scratch: Path, text: str) -> None:
    """Write a small file that appears whole or not at all; leave it if it is as it should be."""
    if path.is_file() and path.read_bytes() == text.encode():
        return
    with atomic(path, scratch) as partial:
        partial.write_text(text, encoding="utf-8")
