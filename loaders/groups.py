"""Parquet files on the Hub become pieces of a stream: a row group each, read as far as needed."""

import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from sousa.loaders.kept import Kept
from sousa.loaders.pages import Patience, Piece
from sousa.loaders.ranges import PartialFile, Repository, Span
from sousa.loaders.remote import RemoteFile
from sousa.loaders.rows import AUDIO, Declared, check_columns, present
from sousa.loaders.shards import Traits, chunk_rows

TAIL_BYTES: Final = 64 * 2**10
"""What is asked for to find a footer, until it is known how long they are."""

KEPT_FOOTERS: Final = 64 * 2**20
"""Bytes of footers that a process keeps."""

FOOTERS_AT_ONCE: Final = 8
"""Footers that are asked for at the same time."""

BUFFER_BYTES: Final = 2**20
"""What Arrow asks of a column at a time."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a card says of files, and they are held to.

    Attributes:
        declared: About their columns; None if that is to be seen from the first file.
        rows: How many there are; None if they are to be counted.
    """

    declared: Declared | None = None
    rows: int | None = None


class RemoteShards:
    """Parquet files on the Hub as shards, and each row group as a piece.

    A file's footer is read when its first piece is needed, or all of them to count rows that no
    card has counted. Of a row group only the wanted columns are read, block by block.

    Args:
        repository: Where they are.
        files: In the order of their rows.
        columns: What to read.
        name: What to call all of it in errors.
        known: What is known beforehand.

    Attributes:
        count: Number of files.
        columns: What to read.
        name: What to call it.
        declared: What is declared about the columns.
        traits: What may be done with it.
        costly: A shard is not opened before it is needed.

    Raises:
        ValueError: If a column is missing.
        OSError: If the first footer is needed and cannot be had.
    """

    costly: Final = True
    traits: Final = Traits(("RemoteShards",), splits=True, resumes=False, shuffles=False)

    def __init__(
        self,
        repository: Repository,
        files: Sequence[RemoteFile],
        columns: tuple[str, ...],
        name: str,
        known: Known,
    ) -> None:
        self._repository = repository
        self._files = list(files)
        self.columns = columns
        self.name = name
        self.count = len(self._files)
        self._known_rows = known.rows
        self._rows: dict[int, int] = {}
        self._tail_bytes = TAIL_BYTES
        self._reset()
        if known.declared is not None:
            self.declared = known.declared
            self.columns = present(columns, known.declared.columns, name)
        elif self._files:
            schema = self._parsed(self._tail(0, Patience())).schema.to_arrow_schema()
            self.columns = check_columns(schema, columns, name)
            self.declared = Declared.by(schema)
        else:
            self.declared = Declared(columns, {}, None)

    def _reset(self) -> None:
        self._tails: Kept[int, bytes] = Kept(KEPT_FOOTERS, len)
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what another process makes itself."""
        return {name: own for name, own in vars(self).items() if name not in ("_tails", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._reset()

    def reading(self, columns: tuple[str, ...]) -> "RemoteShards":
        """Return the same files, of which other columns are read."""
        known = Known(self.declared, self._known_rows)
        also = RemoteShards(self._repository, self._files, columns, self.name, known)
        also._tails, also._rows = self._tails, self._rows
        return also

    def identity(self) -> list[str]:
        """Return what tells these files from any others, wherever they are."""
        return [file.oid for file in self._files]

    def length(self) -> int | None:
        """Return the rows of all files, by the card or by all footers; None if one is damaged.

        Raises:
            OSError: If footers are needed and cannot be had.
        """
        if self._known_rows is None:
            try:
                self.prepare(range(self.count), Patience())
            except pa.ArrowException:
                return None
            self._known_rows = sum(self._rows.values())
        return self._known_rows

    def check_length(self) -> None:
        """Hold the card to what the footers say, once all of them were read.

        Raises:
            ValueError: If it is wrong.
        """
        counted = sum(self._rows.values())
        if len(self._rows) == self.count and self._known_rows not in (None, counted):
            raise ValueError(
                f"the card of {self.name} counts {self._known_rows} rows, its files hold "
                f"{counted}: whoever owns it should write the card anew with `sousa card`"
            )

    def prepare(self, shards: Sequence[int], patience: Patience) -> None:
        """Read some footers that are needed together.

        Raises:
            Stopped: If reading was stopped.
            OSError, pyarrow.ArrowException: If one cannot be had, or is damaged.
        """
        new = [shard for shard in shards if shard not in self._rows]
        if new:
            with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
                list(pool.map(lambda shard: self.footer(shard, patience), new))

    def pieces(self, shard: int, patience: Patience) -> int:
        """Return the number of row groups of a file.

        Raises:
            Stopped: If reading was stopped.
            OSError, pyarrow.ArrowException: If its footer cannot be had, or is damaged.
        """
        return int(self.footer(shard, patience).num_row_groups)

    def piece(self, shard: int, number: int, epoch: int, patience: Patience) -> Piece:  # noqa: ARG002
        """Return a row group.

        Raises:
            OSError: If the footer is no longer known, and cannot be had.
        """
        rows = self.footer(shard, patience).row_group(number).num_rows
        place = f"{self._repository.place(self._files[shard])}, row group {number}"
        opened = partial(GroupRows, self, shard, number, patience)
        return Piece(place, opened, chunk_rows(self.columns), resumes=False, rows=rows)

    def opened(self, shard: int, needed: Sequence[Span], patience: Patience) -> PartialFile:
        """Return a file of which some is read."""
        return PartialFile(self._repository, self._files[shard], needed, patience)

    def footer(self, shard: int, patience: Patience) -> pq.FileMetaData:
        """Return what a file says of itself.

        Raises:
            Stopped: If reading was stopped.
            OSError, pyarrow.ArrowException: If it cannot be had, or is damaged.
            ValueError: If it declares something else than the others.
        """
        found = self._parsed(self._tail(shard, patience))
        if shard not in self._rows:
            schema = found.schema.to_arrow_schema()
            place = self._repository.place(self._files[shard])
            check_columns(schema, self.columns, place)
            declared = Declared.by(schema)
            if declared.labels_and_rate != self.declared.labels_and_rate:
                raise ValueError(f"{place} declares other labels or another rate than {self.name}")
            self._rows[shard] = found.num_rows
        return found

    def _parsed(self, tail: bytes) -> pq.FileMetaData:
        try:
            return pq.read_metadata(pa.BufferReader(tail))
        except OSError as error:
            raise pa.ArrowInvalid(str(error)) from error

    def _tail(self, shard: int, patience: Patience) -> bytes:
        """Return the end of a file, with all of its footer."""
        return self._tails.get(shard, lambda: self._read_tail(shard, patience))

    def _read_tail(self, shard: int, patience: Patience) -> bytes:
        file = self._files[shard]
        first = max(0, file.size - self._tail_bytes)
        tail = self._repository.read(file, (first, file.size), patience)
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if tail[-4:] != b"PAR1" or length > file.size:
            raise pa.ArrowInvalid("not a whole Parquet file: it has no footer")
        if length > len(tail):
            more = self._repository.read(file, (file.size - length, first), patience)
            tail = more + tail
        with self._lock:  # those of a dataset are much alike
            self._tail_bytes = max(self._tail_bytes, length + length // 8)
        return tail[-length:]


@dataclass(frozen=True, slots=True)
class GroupRows:
    """The rows of a row group on the Hub.

    Attributes:
        shards: What it belongs to.
        shard: Which file.
        number: Which row group.
        patience: How to read what may fail for a while.
    """

    shards: RemoteShards
    shard: int
    number: int
    patience: Patience

    def iter(self, batch_size: int) -> Generator[pa.Table]:
        """Yield the wanted columns of some rows at a time.

        Raises:
            Stopped: If reading was stopped.
            OSError: If they cannot be had.
            pyarrow.ArrowException: If they are damaged.
        """
        footer = self.shards.footer(self.shard, self.patience)
        group = footer.row_group(self.number)
        chunks = [group.column(number) for number in range(group.num_columns)]
        wanted = [chunk for chunk in chunks if is_wanted(chunk.path_in_schema, self.shards.columns)]
        file = self.shards.opened(self.shard, [span_of(chunk) for chunk in wanted], self.patience)
        rows = 0
        try:
            parquet = pq.ParquetFile(
                pa.PythonFile(file, mode="r"),
                metadata=footer,
                buffer_size=BUFFER_BYTES,
                pre_buffer=False,
            )
            for batch in parquet.iter_batches(
                batch_size,
                row_groups=[self.number],
                columns=[chunk.path_in_schema for chunk in wanted],
                use_threads=False,
            ):
                rows += batch.num_rows
                yield pa.Table.from_batches([batch])
        except OSError as error:
            if type(error) is OSError and error.errno is None:  # Arrow's own
                raise pa.ArrowInvalid(str(error)) from error
            raise
        if rows != group.num_rows:  # Arrow passes over pages of a type that it does not know
            raise pa.ArrowInvalid(f"{rows} of {group.num_rows} rows can be read")


def is_wanted(path: str, columns: Sequence[str]) -> bool:
    """Return whether a leaf of the schema is needed; the file names of clips are not."""
    return path.split(".")[0] in columns and path != f"{AUDIO}.path"


def span_of(chunk: pq.ColumnChunkMetaData) -> Span:
    """Return where a column of a row group is."""
    pages = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        pages.append(chunk.dictionary_page_offset)
    start = min(pages)
    return start, start + chunk.total_compressed_size
