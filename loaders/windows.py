"""Pieces of a stream become windows of rows, in an order that seed and epoch fix."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.groups import RemoteShards
from sousa.loaders.pages import Mark, Patience, Reader
from sousa.loaders.shards import Shards, joined, permuted

WINDOW_BYTES: Final = 64 * 2**20
"""Rows that are shuffled among each other."""

WINDOW_ROWS: Final = 8192
"""The same, where rows are small."""

FIRST_WINDOWS: Final = 3
"""Windows that are smaller, so that the first batch is there soon: an eighth, a quarter, a half."""

OPEN_PIECES: Final = 8
"""Pieces that are read at the same time: each holds a row group, each gives a share of a window."""

BLOCK_SHARDS: Final = 16
"""Shards whose pieces are permuted together."""

EPOCH, BLOCK, WINDOW = range(3)
"""What a random generator is for."""


DAMAGE: Final = (pa.ArrowException, FileNotFoundError, PermissionError)
"""What reading raises where it is no use to try again."""


@dataclass(frozen=True, slots=True)
class Losses:
    """What becomes of parts of a stream that cannot be read.

    Attributes:
        skip: Whether to go on without them.
        found: Those that were left out.
    """

    skip: bool
    found: dict[BrokenRow, None] = field(default_factory=dict)

    def add(self, place: str, row: int | None, error: Exception) -> None:
        """Note a part from one row on, or as a whole, or raise."""
        reason = " ".join(str(error).split()).rstrip(".")
        broken = BrokenRow(place, row, None, f"cannot be read: {reason}")
        if not self.skip:
            raise BrokenRowError(broken) from error
        self.found[broken] = None


@dataclass(frozen=True, slots=True)
class Window:
    """Some rows, in the order of use.

    Attributes:
        table: The wanted columns; `audio` is `struct<bytes, path>`.
        state: JSON values from which this window and all after it can be made again.
        rows: For each row, what it is read from and its position there.
    """

    table: pa.Table
    state: dict[str, Any]
    rows: list[tuple[str, int]]


class Pass:
    """One pass through an epoch: which pieces are open, and which come next.

    Args:
        shards: What to read.
        key: Seed and epoch.
        patience: How to read what may fail for a while.
        losses: What becomes of what cannot be read.
        shuffle: Whether to permute.
    """

    def __init__(
        self,
        shards: Shards | RemoteShards,
        key: tuple[int, int],
        patience: Patience,
        losses: Losses,
        *,
        shuffle: bool,
    ) -> None:
        self._shards = shards
        self._losses = losses
        self._key = key
        self._patience = patience
        self._shuffle = shuffle
        self._order = range(shards.count)
        if shuffle:
            self._order = self._rng(EPOCH).permutation(shards.count).tolist()
        self._block_shards = BLOCK_SHARDS if shuffle else 1
        self._alone = int(shuffle and shards.costly)  # blocks of one piece, at the beginning
        self._open: list[tuple[int, int, Reader]] = []
        self._block = -1
        self._pool: list[tuple[int, int]] = []  # shards and pieces of this block
        self._next = 0  # piece of the pool
        self._windows = 0
        self._rows = 0

    def state(self) -> dict[str, Any]:
        """Return where the next window begins, as JSON values."""
        marks = [(shard, number, reader.mark()) for shard, number, reader in self._open]
        return {
            "block": self._block,
            "next": self._next,
            "windows": self._windows,
            "rows": self._rows,
            "open": [[shard, number, mark.rows, mark.state] for shard, number, mark in marks],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go to where a window began."""
        self._windows, self._rows = state["windows"], state["rows"]
        self._block, self._next = state["block"], state["next"]
        self._pool = self._pieces(self._block) if self._block >= 0 else []
        for shard, number, rows, own in state["open"]:
            self._begin(shard, number, Mark(rows, own))

    def close(self) -> None:
        """Let go of all pieces."""
        for _, _, reader in self._open:
            reader.close()
        self._open.clear()

    def window(self) -> Window | None:
        """Return the next rows; a window without any where pieces ended, None at the end."""
        state = self.state()
        open_pieces = self._open_pieces()
        while len(self._open) < open_pieces and self._begin_next():
            pass
        if not self._open:
            return None
        most_bytes = self._most_bytes()
        share = most_bytes // len(self._open), max(1, WINDOW_ROWS // len(self._open))
        chunks: list[pa.Table] = []
        rows: list[tuple[str, int]] = []
        for entry in tuple(self._open):
            self._take(entry, share, chunks, rows)
        # Small pieces leave room for more.
        while (
            sum(chunk.nbytes for chunk in chunks) < most_bytes
            and len(rows) < WINDOW_ROWS
            and len(self._open) < open_pieces
            and self._begin_next()
        ):
            self._take(self._open[-1], share, chunks, rows)
        return self._put_together(chunks, rows, state)

    def _open_pieces(self) -> int:
        """Return how many pieces may be open: a share of a full window is the same of each."""
        if not self._shuffle:
            return 1
        return OPEN_PIECES >> (self._alone * max(0, FIRST_WINDOWS - self._windows))

    def _most_bytes(self) -> int:
        """Return how large the next window may be."""
        if not self._shuffle:
            return WINDOW_BYTES // OPEN_PIECES
        return WINDOW_BYTES >> max(0, FIRST_WINDOWS - self._windows)

    def _put_together(
        self, chunks: list[pa.Table], rows: list[tuple[str, int]], state: dict[str, Any]
    ) -> Window:
        """Return a window of what was read, permuted."""
        table = joined(chunks, self._shards.columns, self._shards.name)
        if self._shuffle:
            order = self._rng(WINDOW, self._windows).permutation(len(rows))
            table = permuted(table, order)
            rows = [rows[index] for index in order]
        self._windows += 1
        self._rows += len(rows)
        return Window(table, state, rows)

    def _take(
        self,
        entry: tuple[int, int, Reader],
        share: tuple[int, int],
        chunks: list[pa.Table],
        rows: list[tuple[str, int]],
    ) -> None:
        """Add a page of one piece to a window."""
        reader = entry[-1]
        first = reader.rows
        nbytes, most_rows = share
        try:
            reader.page(most_rows, nbytes, chunks)
        except DAMAGE as error:
            self._losses.add(reader.piece.place, reader.rows, error)
            reader.close()
            reader.ended = True
        if reader.ended:
            self._open.remove(entry)
        if self._shuffle:
            rows += [(reader.piece.place, row) for row in range(first, reader.rows)]
        else:
            first, end = self._rows + len(rows), self._rows + len(rows) + reader.rows - first
            rows += [(self._shards.name, row) for row in range(first, end)]

    def _begin(self, shard: int, number: int, mark: Mark) -> None:
        piece = self._shards.piece(shard, number, self._key[1], self._patience)
        self._open.append((shard, number, Reader(piece, mark, self._patience)))

    def _begin_next(self) -> bool:
        """Open one more piece, where there is one."""
        while self._next >= len(self._pool):
            if (self._block + 1 - self._alone) * self._block_shards >= self._shards.count:
                return False
            self._block += 1
            self._pool = self._pieces(self._block)
            self._next = 0
        self._begin(*self._pool[self._next], Mark())
        self._next += 1
        return True

    def _pieces(self, block: int) -> list[tuple[int, int]]:
        """Return the pieces of a block of shards, in the order of use.

        Where shards are costly to open, one piece of the first makes a block of its own, so that
        the first batch waits for no other shard.
        """
        if self._alone and block == 0:
            return self._permuted(self._order[:1], block)[:1]
        first = (block - self._alone) * self._block_shards
        pieces = self._permuted(self._order[first : first + self._block_shards], block)
        if self._alone and block == 1:
            begun = self._pieces(0)
            return [piece for piece in pieces if piece not in begun]
        return pieces

    def _permuted(self, shards: Sequence[int], block: int) -> list[tuple[int, int]]:
        """Return all pieces of some shards in the order of use."""
        with contextlib.suppress(*DAMAGE):  # said below, of each
            self._shards.prepare(shards, self._patience)
        pieces: list[tuple[int, int]] = []
        for shard in shards:
            try:
                numbers = self._shards.pieces(shard, self._patience)
            except DAMAGE as error:
                self._losses.add(f"{self._shards.name}, shard {shard}", None, error)
            else:
                pieces += [(shard, number) for number in range(numbers)]
        if not self._shuffle:
            return pieces
        return [pieces[index] for index in self._rng(BLOCK, block).permutation(len(pieces))]

    def _rng(self, *keys: int) -> np.random.Generator:
        return np.random.default_rng([*self._key, *keys])
