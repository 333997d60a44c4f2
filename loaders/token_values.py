"""A column of token lists becomes one array of ids, and where each row begins."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sousa.loaders.layout import Indices
from sousa.loaders.token_vocabulary import Vocabulary

Ids = npt.NDArray[Any]
"""Token ids, of whatever unsigned or signed integers they are stored in."""


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Rows of tokens, one after the other.

    Attributes:
        values: All ids, `(tokens,)`, or `(tokens, k)` where each is of k vocabularies.
        offsets: Where each row begins, and where the last one ends, `(rows + 1,)`.
        nulls: Rows that were null, and have no tokens for that reason.
    """

    values: Ids
    offsets: Indices
    nulls: int = 0

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Indices:
        """Tokens of each row."""
        return np.diff(self.offsets)

    def row(self, number: int) -> Ids:
        """Return the ids of one row; it is not a copy."""
        return self.values[self.offsets[number] : self.offsets[number + 1]]

    def take(self, rows: Indices) -> "Ragged":
        """Return some rows, copied."""
        sizes = self.lengths[rows]
        ends = np.cumsum(sizes)
        at = np.arange(ends[-1] if len(ends) else 0)
        at += np.repeat(self.offsets[rows] - (ends - sizes), sizes)
        return Ragged(self.values[at], np.concatenate([[0], ends]))

    def crc(self) -> int:
        """Return a checksum of all of it."""
        first, last = self.offsets[0], self.offsets[-1]
        ids = np.ascontiguousarray(self.values[first:last])
        return zlib.crc32(ids.view(np.uint8).data, zlib.crc32(self.lengths.view(np.uint8).data))


def ragged(column: pa.ChunkedArray, name: str) -> Ragged:
    """Return the rows of a column of lists of integers, or of lists of such lists.

    Numbers are copied only where Arrow has them in several pieces.

    Raises:
        ValueError: If the column is of another type, or holds nulls within lists, or lists of
            different lengths within lists.
    """
    parts = [part(chunk, name) for chunk in column.chunks if len(chunk)]
    if not parts:
        check_type(column.type, name)
        return Ragged(np.empty(0, np.uint16), np.zeros(1, np.int64))
    if len(parts) == 1:
        return parts[0]
    widths = {each.values.shape[1:] for each in parts if len(each.values)} or {()}
    if len(widths) > 1:
        raise ValueError(f"{name} has ids of {sorted(widths)} vocabularies; it must be one number")
    lengths = np.concatenate([each.lengths for each in parts])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = [each.values[each.offsets[0] : each.offsets[-1]] for each in parts if len(each.values)]
    joined = np.concatenate(values) if values else parts[0].values
    return Ragged(joined, offsets, sum(each.nulls for each in parts))


def part(rows: Any, name: str) -> Ragged:
    """Return the rows of one piece of a column."""
    check_type(rows.type, name)
    lengths = pc.fill_null(pc.list_value_length(rows), 0).to_numpy().astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = rows.flatten()  # without what a null may hide
    if is_list(values.type):
        return Ragged(table_of(values, name), offsets, rows.null_count)
    if values.null_count:
        raise ValueError(f"{name} holds nulls among its ids: every token must be a number")
    return Ragged(values.to_numpy(zero_copy_only=False), offsets, rows.null_count)


def table_of(tokens: Any, name: str) -> Ids:
    """Return tokens of several vocabularies as `(tokens, k)`."""
    widths = pc.unique(pc.list_value_length(tokens)).to_pylist()
    ids = tokens.flatten()
    if len(widths) > 1 or None in widths or ids.null_count:
        raise ValueError(f"{name} must have equally many ids for each token, got {widths}")
    width = -1 if len(ids) else 1
    return np.asarray(ids.to_numpy(zero_copy_only=False)).reshape(len(tokens), width)


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is a list with offsets."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def check_type(kind: pa.DataType, name: str) -> None:
    """Refuse a column that holds no tokens.

    Raises:
        ValueError: If it is neither a list of integers nor a list of such lists.
    """
    inner = kind
    for _ in range(2):
        if is_list(inner):
            inner = inner.value_type
    if not is_list(kind) or not pa.types.is_integer(inner):
        raise ValueError(f"{name} holds {kind}, not lists of token ids: choose another column=")


def check_ids(rows: Ragged, vocabulary: Vocabulary, name: str) -> None:
    """Refuse ids that a tokenizer does not have.

    Raises:
        ValueError: If there is one.
    """
    ids = rows.values[rows.offsets[0] : rows.offsets[-1]]
    if not ids.size:
        return
    if ids.max() < vocabulary.size and ids.min() >= 0:
        return
    wrong = np.flatnonzero(((ids < 0) | (ids >= vocabulary.size)).reshape(len(ids), -1).any(axis=1))
    row = int(np.searchsorted(rows.offsets - rows.offsets[0], wrong[0], side="right")) - 1
    raise ValueError(
        f"{name}, row {row}: id {ids[wrong[0]].tolist()} is none of {vocabulary.name}, whose ids "
        f"are below {vocabulary.size}: these tokens are another tokenizer's"
    )


def row_keys(names: Sequence[Any]) -> npt.NDArray[np.uint64]:
    """Return a number for each row, by a name that tells it from others wherever it is read."""
    return np.fromiter((zlib.crc32(repr(name).encode()) for name in names), np.uint64, len(names))
