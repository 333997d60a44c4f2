"""A Parquet file in memory: its footer, its columns, and where its clips are."""

import ctypes
import mmap
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from sousa.loaders.chunks import Clip, Clips
from sousa.loaders.rows import AUDIO
from sousa.loaders.values import ColumnChunk, stored_chunk, value_ranges

try:
    from sousa.loaders import unlocked
except ImportError:  # there was no compiler
    COMPILED = False
else:
    COMPILED = hasattr(unlocked, "stamps")

CLIPS: Final = f"{AUDIO}.bytes"
"""Path in the schema of the encoded clips."""

MADVISE: Final = getattr(ctypes.CDLL(None), "madvise", None) if os.name == "posix" else None
"""The system's function, for memory that `mmap` of Python did not map."""

FAILURES: Final = (pa.ArrowException, OSError)
"""What reading a damaged file raises."""


class Stamp(NamedTuple):
    """What changes when a file does.

    Attributes:
        inode: Number of the file.
        size: Its size in bytes.
        mtime_ns: When it was last written.
    """

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path | bytes) -> "Stamp":
        """Return a file's stamp as it is now.

        Raises:
            OSError: If there is no such file.
        """
        found = os.stat(path)  # noqa: PTH116 - a Path cannot be made of bytes
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


def stamps_of(paths: tuple[bytes, ...]) -> Sequence[tuple[int, int, int] | None]:
    """Return the stamp of each file as it is now, None where there is none."""
    return unlocked.stamps(paths) if COMPILED else [stamp_of(path) for path in paths]


def stamp_of(path: bytes) -> Stamp | None:
    """Return a file's stamp as it is now, None where there is none."""
    try:
        return Stamp.of(path)
    except OSError:
        return None


class MappedClips:
    """Clips where they are in a file.

    Args:
        file: The whole file.
        starts: Where each clip begins; below 0 if it must be copied.
        ends: Where it ends.
        copies: Those that must be copied.

    Attributes:
        nbytes: From the first of them to the end of the last.
        forgotten: Whether nobody counts their memory.
    """

    def __init__(
        self, file: memoryview, starts: Sequence[int], ends: Sequence[int], copies: Clips
    ) -> None:
        self._file = file
        self._starts = starts
        self._ends = ends
        self._copies = copies
        self._span = file[max(0, min(starts, default=0)) : max(ends, default=0)]
        self.nbytes = len(self._span)
        self.forgotten = True

    def forget(self) -> None:
        """Let the system have the memory of these clips; they can still be read."""
        forget(self._span)
        self.forgotten = True

    def __getitem__(self, row: int) -> Clip | None:
        """Return the clip of one row, None where there is none.

        Raises:
            OSError: If it cannot be read.
        """
        if self._starts[row] < 0:
            return self._copies[row]
        return self._file[self._starts[row] : self._ends[row]]


class MappedFile:
    """A Parquet file that is mapped into memory.

    Args:
        path: Where it is.
        stamp: What it was when it was opened first; None takes it as it is.

    Attributes:
        parquet: The file as pyarrow has it.
        stamp: What it was when it was mapped.

    Raises:
        OSError: If it cannot be read, or is not what it was.
        pyarrow.ArrowException: If it is no Parquet file.
    """

    def __init__(self, path: Path, stamp: Stamp | None = None) -> None:
        self.stamp = check_unchanged(path, stamp)
        self._view = mapped(path, self.stamp.size)
        check_unchanged(path, self.stamp)  # else it is the map of another file
        self.parquet = pq.ParquetFile(pa.BufferReader(pa.py_buffer(self._view)))
        self._lock = threading.Lock()  # pyarrow does not promise that threads may share a reader

    @cached_property
    def _clips(self) -> tuple[int, int] | None:
        """Number and maximal definition level of the column of clips, if it can be used as is."""
        schema = self.parquet.schema
        for number in range(len(schema)):
            column = schema.column(number)
            if column.path == CLIPS and not column.max_repetition_level:
                return number, column.max_definition_level
        return None

    def read(self, columns: Sequence[str], groups: Sequence[int] | None = None) -> pa.Table:
        """Return some columns, of some row groups or of all.

        Raises:
            OSError, pyarrow.ArrowException: If the file is damaged.
        """
        if groups is None:
            groups = range(self.parquet.num_row_groups)
        with self._lock:
            table = self.parquet.read_row_groups(list(groups), list(columns), use_threads=False)
        rows = sum(self.parquet.metadata.row_group(group).num_rows for group in groups)
        if table.num_rows != rows:  # pyarrow passes over pages of a type that it does not know
            raise OSError(f"{table.num_rows} of {rows} rows can be read")
        return table

    def footer_hash(self) -> str:
        """Return a hash of the footer: the schema, and size, place and range of every column."""
        size = int.from_bytes(self._view[-8:-4], "little")
        return blake2b(self._view[-8 - size :], digest_size=8).hexdigest()

    def stored_clips(self, group: int) -> ColumnChunk | None:
        """Return where a row group has its clips, if they may be used where they are."""
        if self._clips is None:
            return None
        return stored_chunk(self.parquet.metadata.row_group(group), self._clips[0])

    def clips(self, chunks: Sequence[ColumnChunk], copies: Clips) -> MappedClips:
        """Return the clips of some row groups.

        Args:
            chunks: Where those of each row group are.
            copies: The same clips; of it are those in pages that we do not understand.
        """
        levels = self._clips[1] if self._clips else 0
        starts: list[int] = []
        ends: list[int] = []
        for chunk in chunks:
            try:
                found = value_ranges(self._view, chunk, levels)
            except ValueError:  # pyarrow reads it, or says what is wrong
                found = [-1] * chunk.values, [-1] * chunk.values
            starts += found[0]
            ends += found[1]
        return MappedClips(self._view, starts, ends, copies)


def mapped(path: Path, nbytes: int) -> memoryview:
    """Return a file's first bytes, which can be used as long as somebody holds a view of them.

    PyTorch closes the file at once, unlike `mmap`, so that any number of files may be mapped; and
    it has none of it read ahead, unlike Arrow.

    Raises:
        OSError: If it cannot be read, or is shorter.
    """
    if not nbytes:
        raise OSError("0 bytes")
    with path.open("rb"):  # says what is wrong in the system's own words
        pass
    try:
        found = torch.from_file(str(path), shared=False, size=nbytes, dtype=torch.uint8)
    except RuntimeError as error:
        raise OSError(f"cannot be mapped into memory: {error}") from error
    return found.numpy().data.toreadonly()


def forget(view: memoryview) -> None:
    """Let the system have the memory in which pages of a mapped file are; they can still be read.

    They stay in the system's cache of files, as long as it has room, but count for us no more.
    """
    if MADVISE is None:
        return
    address = np.frombuffer(view, np.uint8).ctypes.data
    first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    size = (address + len(view)) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if size > 0:
        MADVISE(ctypes.c_void_p(first), ctypes.c_size_t(size), mmap.MADV_DONTNEED)


def check_unchanged(path: Path, stamp: Stamp | None) -> Stamp:
    """Return a file's stamp: reading a map of a file that was cut short kills the process.

    Raises:
        OSError: If it is not as given, or the file is not there.
    """
    now = Stamp.of(path)
    if stamp is not None and now != stamp:
        if now.size != stamp.size:
            raise OSError(f"changed from {stamp.size} to {now.size} bytes")
        raise OSError("written anew since it was opened")
    return now
