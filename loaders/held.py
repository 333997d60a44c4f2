"""Rows of a stream that wait in memory for their turn, by class."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sousa.loaders.chunks import Pick, taken
from sousa.loaders.labels import CLASSES
from sousa.loaders.rows import Declared, values_of
from sousa.loaders.shares import Counts, integer_shares


@dataclass(frozen=True, slots=True)
class Strata:
    """Which shares of a batch classes have.

    Attributes:
        by: A label column, or any column of strings.
        weights: Share of each class by its name; None makes the classes that were seen equal.
        policy: `oversample` or `undersample`.
    """

    by: str
    weights: Mapping[str, float] | None
    policy: str

    def weight(self, name: str) -> float:
        """Return the weight of a class.

        Raises:
            ValueError: If it has none.
        """
        if self.weights is None:
            return 1.0
        if name not in self.weights:
            raise ValueError(
                f"weights must have one for each {self.by}, got none for {name}: "
                "give it one, 0 leaves its rows out"
            )
        return self.weights[name]


@dataclass(eq=False)
class Stratum:
    """The rows of one class.

    Attributes:
        weight: Its share, more than 0.
        waiting: Rows that had no turn yet.
        used: Rows that had one and may have another, the longest ago first.
    """

    weight: float
    waiting: deque[Pick] = field(default_factory=deque)
    used: deque[Pick] = field(default_factory=deque)

    def held(self) -> int:
        """Return how many rows are in memory."""
        return len(self.waiting) + len(self.used)

    def crowd(self) -> float:
        """Return how many rows wait, in proportion to the weight."""
        return len(self.waiting) / self.weight


class Held:
    """Rows of a stream in memory, by class: in the order of the schema, or of the alphabet.

    Args:
        windows: The rows, in their order.
        strata: Which classes, and what to do where one is rarer than others.
        declared: What is declared about the columns.
        most_bytes: Rows that are held, at most a window more.

    Attributes:
        ended: Whether the stream has no more rows.
    """

    def __init__(
        self, windows: Iterator[list[Pick]], strata: Strata, declared: Declared, most_bytes: int
    ) -> None:
        self._windows = windows
        self._strata = strata
        self._declared = declared
        self._most_bytes = most_bytes
        self._by_name: dict[str, Stratum] = {}
        self._bytes = 0
        self.ended = False

    def shares(self) -> Counts:
        """Return the shares of the classes that were seen and have one, as integers."""
        weights = self._strata.weights
        return integer_shares(tuple(self._by_name), weights, weights or ())

    def left(self) -> Counts:
        """Return how many rows of each of these classes had no turn yet."""
        return np.array([len(stratum.waiting) for stratum in self._by_name.values()], np.int64)

    def fill(self, least_rows: int) -> None:
        """Read on while there is room, and whatever the room until `least_rows` wait."""
        while not self.ended and (self._has_room() or self.left().sum() < least_rows):
            self._read()

    def drop(self) -> None:
        """Let go of a row that had no turn, of the class that has most for its weight."""
        self._let_go(max(self._by_name.values(), key=Stratum.crowd).waiting)

    def draw(self, counts: Counts) -> list[Pick]:
        """Return the next so many rows of each class; where none wait, those used longest ago."""
        repeats = self._strata.policy == "oversample"
        picks: list[Pick] = []
        for stratum, count in zip(self._by_name.values(), counts.tolist(), strict=True):
            for _ in range(count):
                pick = self._let_go(stratum.waiting or stratum.used)
                picks.append(pick)
                if repeats:
                    self._keep(pick, stratum.used)
        return picks

    def _has_room(self) -> bool:
        """Return whether there is room, for which the class that has most forgets used rows."""
        while self._bytes >= self._most_bytes:
            largest = max(self._by_name.values(), key=Stratum.held)
            if not largest.used or largest.held() == 1:
                return False
            self._let_go(largest.used)
        return True

    def _keep(self, pick: Pick, rows: deque[Pick]) -> None:
        rows.append(pick)
        self._bytes += nbytes_of(pick)

    def _let_go(self, rows: deque[Pick]) -> Pick:
        pick = rows.popleft()
        self._bytes -= nbytes_of(pick)
        return pick

    def _read(self) -> None:
        """Take in a window, each class apart, so that no row keeps those of others in memory."""
        window = next(self._windows, None)
        if window is None:
            self.ended = True
            return
        chunk = window[0].chunk
        rows: dict[str, list[int]] = {}
        for row, value in enumerate(values_of(chunk.table[self._strata.by], self._strata.by)):
            rows.setdefault(self._name(value), []).append(row)
        for name, of_class in rows.items():
            if weight := self._strata.weight(name):
                stratum = self._stratum(name, weight)
                apart = taken(chunk, of_class)
                for row in range(len(of_class)):
                    self._keep(Pick(apart, row), stratum.waiting)

    def _stratum(self, name: str, weight: float) -> Stratum:
        """Return a class; one that was not seen before joins the others in its place."""
        if name not in self._by_name:
            found = {**self._by_name, name: Stratum(weight)}
            order = CLASSES.get(self._strata.by, ())
            place = {each: (order.index(each) if each in order else -1, each) for each in found}
            self._by_name = {each: found[each] for each in sorted(found, key=place.__getitem__)}
        return self._by_name[name]

    def _name(self, value: Any) -> str:
        by = self._strata.by
        if value is None:
            raise ValueError(f"{by} is null in some rows: filter them out first")
        if isinstance(value, ValueError):
            raise value
        if not isinstance(value, int | str):
            raise ValueError(f"{by} holds {value!r}, not classes")
        return str(self._declared.name(by, value))


def nbytes_of(pick: Pick) -> int:
    """Return how much memory a row takes, about."""
    return int(pick.chunk.nbytes // pick.chunk.table.num_rows)
