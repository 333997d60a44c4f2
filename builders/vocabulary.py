"""Names and ids of tokens, and the tables that tokens of many files are laid out in."""

import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.schema import HANDS, STROKE_TYPES

Ids = NDArray[np.uint16]
Ints = NDArray[np.int64]

SPECIALS: Final = ("PAD", "BOS", "EOS", "MASK")
ABSENT: Final = -1
"""No token, where other rows of a table have one."""

DIGIT: Final = 16
"""Numbers that no family has an id for are written in digits of this base."""

Family = tuple[str, Sequence[object] | None]
"""A name and its values: `Pitch_0`, `Pitch_1`, ...; or a token of its own, such as `Bar`."""

SOUND: Final[tuple[Family, ...]] = (
    ("Pitch", range(128)),
    ("Program", range(128)),
    ("Drums", None),
    ("Control", None),
    ("PedalOn", None),
    ("PedalOff", None),
    ("Bend", None),
    ("Digit", range(DIGIT)),
)
"""What a file of any instruments needs beyond a drum's notes."""

STICKING: Final[tuple[Family, ...]] = (("Hand", HANDS), ("Stroke", STROKE_TYPES))


@dataclass(frozen=True)
class Vocabulary:
    """Families of tokens, each with consecutive ids, after the special tokens.

    Attributes:
        families: In order of their ids.
    """

    families: tuple[Family, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tokens in order of their ids."""
        return SPECIALS + tuple(
            token
            for name, values in self.families
            for token in ([name] if values is None else [f"{name}_{v}" for v in values])
        )

    @cached_property
    def ids(self) -> dict[str, int]:
        """The ids by token."""
        return {name: id_ for id_, name in enumerate(self.names)}

    @cached_property
    def spans(self) -> dict[str, tuple[int, int]]:
        """First id and number of ids of each family."""
        spans, first = {}, len(SPECIALS)
        for name, values in self.families:
            spans[name] = (first, 1 if values is None else len(values))
            first += spans[name][1]
        return spans

    @cached_property
    def family_of(self) -> NDArray[np.int64]:
        """Place of each id's family in `families`; special tokens have `ABSENT`."""
        sizes = [size for _, size in self.spans.values()]
        return np.repeat(np.arange(-1, len(sizes)), [len(SPECIALS), *sizes])

    def first(self, family: str) -> int:
        """Return the first id of a family."""
        return self.spans[family][0]

    def without_specials(self, ids: Iterable[int]) -> Ids:
        """Return ids without special tokens.

        Raises:
            ValueError: If they are no list of ids of this vocabulary.
        """
        found = whole_ids(ids, len(self.names))
        return found[found >= len(SPECIALS)]


def whole_ids(ids: Iterable[int], size: int) -> Ids:
    """Return ids of a vocabulary of some size.

    Raises:
        ValueError: If they are no list, or array of one dimension, of whole numbers below the size.
    """
    allowed = f"ids must be a list of whole numbers in [0, {size - 1}]"
    if hasattr(ids, "__array__"):
        array = np.asarray(ids)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(f"{allowed}, got an array of {array.dtype} of shape {array.shape}")
        wrong = np.flatnonzero((array < 0) | (array >= size)) if array.size else array
        if len(wrong):
            raise ValueError(f"{allowed}, got {array[wrong[0]]} in place {wrong[0]}")
        return array.astype(np.uint16)
    if isinstance(ids, str | bytes | bytearray) or not isinstance(ids, Iterable):
        raise ValueError(f"{allowed}, got {reprlib.repr(ids)}")
    found = list(ids)
    for place, id_ in enumerate(found):
        is_whole = isinstance(id_, int | np.integer) and not isinstance(id_, bool)
        if not (is_whole and 0 <= id_ < size):
            raise ValueError(f"{allowed}, got {reprlib.repr(id_)} in place {place}")
    return np.array(found, np.uint16)


class Layout:
    """Tokens of many events: a row for each event, a column for each place in it."""

    def __init__(self, rows: int) -> None:
        """Begin with so many rows of no tokens."""
        self._rows = rows
        self._columns: dict[int, NDArray[np.int16]] = {}

    def put(self, place: int, where: slice | Ints, ids: int | Ints) -> None:
        """Write one token in some rows; `ABSENT` leaves them without."""
        if place not in self._columns:
            self._columns[place] = np.full(self._rows, ABSENT, np.int16)
        self._columns[place][where] = ids

    def put_digits(self, places: range, where: slice | Ints, numbers: Ints, zero: int) -> None:
        """Write numbers in digits of base `DIGIT`, the most significant first."""
        for back, place in enumerate(reversed(places)):
            self.put(place, where, zero + (numbers >> 4 * back) % DIGIT)

    def put_long(self, places: range, where: Ints, numbers: Ints, zero: int, base: int) -> None:
        """Write numbers in digits of a base, of which leading zeros are left out."""
        for back, place in enumerate(reversed(places)):
            left = numbers // base**back
            is_there = left > 0 if back else np.ones(len(left), np.bool_)
            self.put(place, where[is_there], zero + left[is_there] % base)

    def flat(self, order: Ints) -> tuple[Ids, Ints]:
        """Return the tokens of the rows in some order, and how many each row has."""
        columns = [self._columns[place][order] for place in sorted(self._columns)]
        if not columns:
            return np.empty(0, np.uint16), np.zeros(len(order), np.int64)
        table = np.stack(columns, axis=1)
        present = table != ABSENT
        return table[present].astype(np.uint16), present.sum(axis=1)
