"""Rows of Parquet files by index: footers at opening, then clips where they are in the files."""

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sousa.loaders.chunks import Chunk, Clip, InFile, Pick, arrow_chunk
from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.kept import Kept
from sousa.loaders.layout import Layout
from sousa.loaders.mapped import (
    FAILURES,
    MappedClips,
    MappedFile,
    Stamp,
    check_unchanged,
    stamps_of,
)
from sousa.loaders.rows import AUDIO, Declared, check_columns
from sousa.loaders.values import ColumnChunk

KEPT_BYTES: Final = 256 * 2**20
"""Rows with clips that had to be copied out of their file, which a process keeps for the next."""

KEPT_LABELS: Final = 100_000
"""Rows without clips that a process keeps: up to about 50 MB."""

KEPT_FILES: Final = 64
"""Files that a process keeps open."""

LABEL_ROWS: Final = 256
"""Rows whose labels are read together, where their clips are used where they are."""

MAPPED_WINDOW: Final = 2**30
"""Row groups that a shuffle mixes, if they are used where they are: clean pages of files, which
the system may take."""

MAPPED_BYTES: Final = 4 * 2**30
"""Clips that stay mapped: the system may take such pages whenever it needs them, but to map them
anew costs a fifth of the time in which batches are made."""


@dataclass(frozen=True, slots=True)
class Part:
    """Row groups of one file that are read together.

    Attributes:
        path: The file.
        name: Its path as the system has it.
        stamp: What it was when it was opened first.
        groups: Their numbers.
        first: Position in the file of their first row.
        rows: How many rows they have.
        clips: Where the clips of each are, or nothing where they must be copied.
    """

    path: Path
    name: bytes
    stamp: Stamp
    groups: tuple[int, ...]
    first: int
    rows: int
    clips: tuple[ColumnChunk, ...]


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
        self._parts: list[Part] = []
        self._stamps: dict[Path, Stamp] = {}
        self._file_rows: list[int] = []
        self._footers: list[str] = []
        self.broken: list[BrokenRow] = []
        self.declared = Declared((), {}, None)
        sizes: list[int] = []
        largest, longest = 1, 1
        self._reset()
        for path in files:
            try:
                file = self._open(path)
            except FAILURES as error:
                self._leave_out(path, error, skip_broken=skip_broken)
                continue
            self._describe(path, file)
            footer = file.parquet.metadata
            groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
            rows = [group.num_rows for group in groups]
            self._parts += parts_of(path, file, rows)
            sizes += rows
            self._file_rows.append(sum(rows))
            largest = max([largest, *(group.total_byte_size for group in groups)])
            longest = max([longest, *rows])
        mapped = all(part.clips for part in self._parts)
        self.layout = Layout(tuple(sizes), open_groups(largest, longest, mapped=mapped))
        rows_of = np.array([part.rows for part in self._parts], np.int64)
        self._ends = np.cumsum(rows_of)
        self._starts = self._ends - rows_of

    def _describe(self, path: Path, file: MappedFile) -> None:
        """Take over what the first file declares; refuse files that do not fit it."""
        schema = file.parquet.schema_arrow
        self._columns = check_columns(schema, self._columns, str(path))
        declared = Declared.by(schema)
        if self._stamps and declared != self.declared:
            raise ValueError(f"{path} declares other labels or another rate than the files before")
        self.declared = declared
        self._stamps[path] = file.stamp
        self._footers.append(file.footer_hash())

    def _leave_out(self, path: Path, error: Exception, *, skip_broken: bool) -> None:
        """Note a file that cannot be read, or raise."""
        broken = unreadable(path, error)
        if not skip_broken:
            raise BrokenRowError(broken) from error
        if broken not in self.broken:
            self.broken.append(broken)

    def _reset(self) -> None:
        self._files: Kept[Path, MappedFile] = Kept(KEPT_FILES, lambda _: 1)
        self._labels: Kept[int, Chunk] = Kept(KEPT_LABELS, lambda chunk: chunk.table.num_rows)
        self._copies: Kept[tuple[Path, int], Chunk] = Kept(KEPT_BYTES, lambda chunk: chunk.nbytes)
        self._mapped_clips: Kept[int, MappedClips] = Kept(
            MAPPED_BYTES, lambda clips: clips.nbytes, MappedClips.forget
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what a spawned worker makes itself."""
        own = ("_files", "_labels", "_copies", "_mapped_clips")
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def pick(self, indices: Sequence[int]) -> list[Pick | BrokenRow]:
        """Return some rows, in the order of `indices`; broken ones say what is wrong."""
        parts = np.searchsorted(self._ends, indices, side="right")
        rows = np.asarray(indices) - self._starts[parts]
        numbers = set(parts.tolist())
        names = tuple({self._parts[at].name for at in numbers})
        now = dict(zip(names, stamps_of(names), strict=True))
        chunks = {at: self._chunk(at, now[self._parts[at].name]) for at in numbers}
        picks: list[Pick | BrokenRow] = []
        for number, row in zip(parts.tolist(), rows.tolist(), strict=True):
            if isinstance(chunk := chunks[number], str):
                part = self._parts[number]
                picks.append(BrokenRow(str(part.path), part.first + row, None, chunk))
            else:
                picks.append(Pick(chunk, row))
        return picks

    def _chunk(self, number: int, now: tuple[int, int, int] | None) -> Chunk | str:
        """Return the rows of a part whose file is now so, or why they cannot be read."""
        part = self._parts[number]
        try:
            if now != part.stamp:
                check_unchanged(part.path, part.stamp)  # says what happened
            if part.clips:
                chunk = self._labels.get(number, lambda: self._mapped(part))
                if isinstance(clips := chunk.clips, MappedClips) and clips.forgotten:
                    clips.forgotten = False
                    self._mapped_clips.get(number, lambda: clips)
                return chunk
            return self._copies_of(part).group(part.groups[0])
        except FAILURES as error:
            return unreadable(part.path, error).cause

    def _mapped(self, part: Part) -> Chunk:
        """Return the rows of a part, with clips where they are in the file."""
        file = self._open(part.path)
        clips = file.clips(part.clips, self._copies_of(part))
        table = file.read([name for name in self._columns if name != AUDIO], part.groups)
        return Chunk(table, clips, in_file(part), table.nbytes)

    def _copies_of(self, part: Part) -> "Copies":
        columns = (AUDIO,) if part.clips else self._columns
        return Copies(part, columns, self._files, self._copies)

    def column(
        self, name: str, *, skip_broken: bool = False
    ) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_]]:
        """Return one column of all rows, and which rows could be read; the others are null.

        Raises:
            BrokenRowError: If a file cannot be read, without `skip_broken`.
        """
        found: list[pa.ChunkedArray | None] = []
        for path in self._stamps:
            try:
                check_unchanged(path, self._stamps[path])
                found.append(self._open(path).read([name]).column(name))
            except FAILURES as error:
                self._leave_out(path, error, skip_broken=skip_broken)
                found.append(None)
        kind = next((column.type for column in found if column is not None), pa.null())
        chunks: list[pa.Array] = []
        for column, rows in zip(found, self._file_rows, strict=True):
            chunks += [pa.nulls(rows, kind)] if column is None else column.chunks
        read = np.array([column is not None for column in found], bool)
        return pa.chunked_array(chunks, kind), np.repeat(read, self._file_rows)

    def fingerprint(self) -> str:
        """Return a hash of the files' footers, and so of how many rows lie where."""
        return blake2b("".join(self._footers).encode(), digest_size=8).hexdigest()

    def _open(self, path: Path) -> MappedFile:
        return self._files.get(path, lambda: MappedFile(path, self._stamps.get(path)))


@dataclass(frozen=True, slots=True)
class Copies:
    """Rows of a part that are copied out of their file, a row group at a time.

    Attributes:
        part: Which rows.
        columns: What to read.
        files: Files that are kept open.
        kept: Row groups that were copied last.
    """

    part: Part
    columns: tuple[str, ...]
    files: Kept[Path, MappedFile]
    kept: Kept[tuple[Path, int], Chunk]

    def __getitem__(self, row: int) -> Clip | None:
        """Return the clip of one row, None where there is none.

        Raises:
            OSError: If it cannot be read.
        """
        sizes = [chunk.values for chunk in self.part.clips]
        at = bisect_right(list(accumulate(sizes)), row)
        try:
            return self.group(self.part.groups[at]).clips[row - sum(sizes[:at])]
        except FAILURES as error:
            raise OSError(unreadable(self.part.path, error).cause) from error

    def group(self, number: int) -> Chunk:
        """Return the rows of a row group; places are right for the part's first one.

        Raises:
            OSError, pyarrow.ArrowException: If the file is damaged.
        """
        return self.kept.get((self.part.path, number), lambda: self._copied(number))

    def _copied(self, number: int) -> Chunk:
        path = self.part.path
        file = self.files.get(path, lambda: MappedFile(path, self.part.stamp))
        return arrow_chunk(file.read(self.columns, [number]), in_file(self.part))


def open_groups(nbytes: int, rows: int, *, mapped: bool) -> int:
    """Return how many row groups a shuffle mixes; what is kept has room for two windows.

    Args:
        nbytes: Of the largest one.
        rows: Of the longest one.
        mapped: Whether all clips are used where they are.
    """
    window = MAPPED_WINDOW if mapped else KEPT_BYTES // 2
    return max(2, min(window // nbytes, KEPT_LABELS // 2 // rows))


def parts_of(path: Path, file: MappedFile, rows: Sequence[int]) -> list[Part]:
    """Return the parts in which the row groups of a file are read; `rows` are those of each."""
    parts: list[Part] = []
    name, first = os.fsencode(path), 0
    for number, size in enumerate(rows):
        clips = file.stored_clips(number)
        last = parts[-1] if parts else None
        if last and last.clips and clips and last.rows + size <= LABEL_ROWS:
            groups, places = (*last.groups, number), (*last.clips, clips)
            parts[-1] = replace(last, groups=groups, rows=last.rows + size, clips=places)
        else:
            places = (clips,) if clips else ()
            parts.append(Part(path, name, file.stamp, (number,), first, size, places))
        first += size
    return parts


def in_file(part: Part) -> InFile:
    """Return where the rows of a part are."""
    return InFile(str(part.path), range(part.first, part.first + part.rows))


def unreadable(path: Path, error: Exception) -> BrokenRow:
    """Return why a file cannot be read."""
    reason = " ".join(str(error).split()).rstrip(".")
    return BrokenRow(str(path), None, None, f"not a whole Parquet file: {reason}")
