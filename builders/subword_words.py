"""Ids to words and back: each id a character, each event a word."""

from collections.abc import Container, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sousa.builders.vocabulary import Ids

LONGEST: Final = 128
"""Most ids of a word. A longer event is cut, else WordPiece takes minutes for it."""

FIRST_CHARACTER: Final = 0x10000
"""Stands for id 0: all ids behind it are characters too, none of them a surrogate."""


class Split(NamedTuple):
    """How ids of the base become words.

    Attributes:
        size: Ids of the base are below it.
        is_start: For each id whether it begins an event, `(size,)`.
    """

    size: int
    is_start: NDArray[np.bool_]

    def words(self, ids: NDArray[Any]) -> list[str]:
        """Return ids as words, each id a character.

        Raises:
            ValueError: If an id is not of the base.
        """
        if np.any(ids >= self.size):
            raise ValueError(f"ids must be below {self.size}, got {int(ids.max())}")
        text = as_text(ids)
        cuts = [0, *np.flatnonzero(self.is_start[ids]).tolist(), len(text)]
        return [
            text[at : min(at + LONGEST, stop)]
            for start, stop in pairwise(cuts)
            for at in range(start, stop, LONGEST)
        ]


def split_of(vocab: Mapping[str, int], starts: Container[str]) -> Split:
    """Return how ids of a vocabulary become words, which begin at tokens of some families."""
    size = 1 + max(vocab.values())
    is_start = np.zeros(size, bool)
    is_start[[id_ for name, id_ in vocab.items() if name.partition("_")[0] in starts]] = True
    return Split(size, is_start)


def as_text(ids: NDArray[Any]) -> str:
    """Return a character for each id."""
    return (ids.astype("<u4") + np.uint32(FIRST_CHARACTER)).tobytes().decode("utf-32-le")


def as_ids(text: str) -> Ids:
    """Return the id of each character."""
    characters = np.frombuffer(text.encode("utf-32-le"), "<u4")
    return (characters - np.uint32(FIRST_CHARACTER)).astype(np.uint16)
