"""Rows that were read together: their columns, and the bytes of each clip."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from sousa.loaders.errors import BrokenRow
from sousa.loaders.labelling import Labels
from sousa.loaders.rows import AUDIO
from sousa.loaders.sound import Sound

Clip: TypeAlias = memoryview | pa.Buffer | bytes
"""An encoded audio file in memory."""


class Clips(Protocol):
    """The encoded clips of some rows."""

    def __getitem__(self, row: int, /) -> Clip | None:
        """Return the clip of one row, None where there is none.

        Raises:
            OSError: If it cannot be read.
        """


class Places(Protocol):
    """Where some rows are."""

    def where(self, row: int) -> tuple[str, int]:
        """Return the file of one row, and its position there."""


@dataclass(eq=False)
class Chunk:
    """Rows that were read together.

    Attributes:
        table: Their columns, but for the audio.
        clips: Their clips.
        places: For each row the file that it is in, or a name for data that is in no file of
            ours, and its position there.
        nbytes: Bytes of the table and of copied clips.
        labels: What is said about them, once somebody has worked it out.
        sounds: Clips that need no decoding, once somebody has found out; whole ones, of good rows.
    """

    table: pa.Table
    clips: Clips
    places: Places
    nbytes: int = 0
    labels: Labels | None = None
    sounds: dict[int, Sound] = field(default_factory=dict)


class Pick(NamedTuple):
    """One row of a chunk.

    Attributes:
        chunk: Rows that were read together.
        row: Position in the chunk.
    """

    chunk: Chunk
    row: int


class ArrowClips:
    """Clips in an Arrow column.

    Args:
        column: The encoded clips, `struct<bytes, path>`.
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._bytes = pc.struct_field(column, "bytes")

    def __getitem__(self, row: int) -> pa.Buffer | None:
        """Return the clip of one row, None where there is none."""
        return self._bytes[row].as_buffer()


class InFile(NamedTuple):
    """Rows of one file.

    Attributes:
        file: Its path, or a name.
        rows: Position of each row in it.
    """

    file: str
    rows: Sequence[int]

    def where(self, row: int) -> tuple[str, int]:
        """Return the file of one row, and its position there."""
        return self.file, int(self.rows[row])


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows of any files.

    Attributes:
        places: For each row its file and its position there.
    """

    places: Sequence[tuple[str, int]]

    def where(self, row: int) -> tuple[str, int]:
        """Return the file of one row, and its position there."""
        return self.places[row]


def arrow_chunk(table: pa.Table, places: Places) -> Chunk:
    """Return a table's rows as a chunk.

    Args:
        table: Columns, with `audio` as `struct<bytes, path>`.
        places: Where each row is.
    """
    clips = ArrowClips(table.column(AUDIO))
    return Chunk(table.drop_columns([AUDIO]), clips, places, table.nbytes)


def taken(chunk: Chunk, rows: Sequence[int]) -> Chunk:
    """Return some rows of a chunk without the others that were read with them.

    Clips become `bytes`: of what a thread that is gone has allocated with Arrow, its allocator
    keeps most.
    """
    found = [chunk.clips[row] for row in rows]
    clips = [None if clip is None else bytes(clip) for clip in found]
    table = chunk.table.take(list(rows)).combine_chunks()
    nbytes = table.nbytes + sum(len(clip) for clip in clips if clip is not None)
    return Chunk(table, clips, Listed([chunk.places.where(row) for row in rows]), nbytes)


def portable(picks: Sequence[Pick | BrokenRow]) -> list[Pick | BrokenRow]:
    """Return rows without the others that were read with them, for another process."""
    return [
        Pick(taken(pick.chunk, [pick.row]), 0) if isinstance(pick, Pick) else pick for pick in picks
    ]


def picks_of(table: pa.Table, places: Places) -> list[Pick]:
    """Return all rows of a table, which has `audio` as `struct<bytes, path>`."""
    chunk = arrow_chunk(table, places)
    return [Pick(chunk, row) for row in range(table.num_rows)]
