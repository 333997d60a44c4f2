"""Ids to words and back: each id a character, each event a word."""

from collections.abc import Container, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sousa.builders.vocabulary import Ids

LONGEST: Final = 128
"""Most ids of a word. A longer event is cut, else WordPiece takes minutes for it."""

FIRST_CHARACTER: Final = 0x10000
"""Stands for id 0: all ids behind it are characters too, none of them a surrogate."""


BETWEEN_WORDS: Final = ord(" ")
BETWEEN_ROWS: Final = ord("\f")
"""What stands between words and rows while they are taken apart: no id's character."""


class Split(NamedTuple):
    """How ids of the base become words.

    Attributes:
        size: Ids of the base are below it.
        is_start: For each id whether it begins an event, `(size,)`.
    """

    size: int
    is_start: NDArray[np.bool_]

    def words(self, rows: Sequence[Ids]) -> list[list[str]]:
        """Return the words of rows, each id a character.

        Raises:
            ValueError: If an id is not of the base.
        """
        if not rows:
            return []
        ids = np.concatenate(rows)
        if np.any(ids >= self.size):
            raise ValueError(f"ids must be below {self.size}, got {int(ids.max())}")
        row_ends = np.cumsum([len(row) for row in rows])[:-1]
        begins = self.is_start[ids]
        begins[row_ends[row_ends < len(ids)]] = True
        cuts = np.flatnonzero(begins)
        cuts = _with_longest(cuts[cuts > 0], len(ids))
        marks = np.append(np.full(len(cuts), BETWEEN_WORDS), np.full(len(row_ends), BETWEEN_ROWS))
        marked = np.insert(characters(ids), np.append(cuts, row_ends), marks)
        return [row.split() for row in as_string(marked).split(chr(BETWEEN_ROWS))]


def _with_longest(cuts: NDArray[np.int64], stop: int) -> NDArray[np.int64]:
    """Return where words begin, so that none is too long; the first begins at 0."""
    sizes = np.diff(cuts, prepend=0, append=stop)
    if sizes.max() <= LONGEST:
        return cuts
    starts = [0, *cuts.tolist()]
    within = [
        np.arange(start, start + size, LONGEST)
        for start, size in zip(starts, sizes.tolist(), strict=True)
    ]
    return np.concatenate(within)[1:]


def split_of(vocab: Mapping[str, int], starts: Container[str]) -> Split:
    """Return how ids of a vocabulary become words, which begin at tokens of some families."""
    size = 1 + max(vocab.values())
    is_start = np.zeros(size, bool)
    is_start[[id_ for name, id_ in vocab.items() if name.partition("_")[0] in starts]] = True
    return Split(size, is_start)


def characters(ids: NDArray[Any]) -> NDArray[np.uint32]:
    """Return the code of the character of each id."""
    return ids.astype("<u4") + np.uint32(FIRST_CHARACTER)


def as_string(codes: NDArray[np.uint32]) -> str:
    """Return the characters of codes."""
    return codes.astype("<u4", copy=False).tobytes().decode("utf-32-le")


def as_text(ids: NDArray[Any]) -> str:
    """Return a character for each id."""
    return as_string(characters(ids))


def as_ids(text: str) -> Ids:
    """Return the id of each character."""
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    return (codes - np.uint32(FIRST_CHARACTER)).astype(np.uint16)
