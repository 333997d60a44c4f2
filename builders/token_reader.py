"""Ids read one after the other, and the events that they say."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.batches import (
    BEND_ZERO,
    DRUM_PITCHES,
    DRUMS_WHO,
    PEDAL,
    Instruments,
)
from sousa.builders.events import (
    DRUMS,
    THIRTY_SECONDS,
    TICK,
    TRACK,
    Events,
    Table,
    implied_durations,
)
from sousa.builders.vocabulary import DIGIT, Vocabulary

UNSTATED: Final = -1
"""Duration of a drum's note that is written without one."""

SEVEN_BITS: Final = range(128)


class TokenReader:
    """Takes ids from left to right; special tokens are passed over."""

    def __init__(self, ids: Iterable[int], vocabulary: Vocabulary) -> None:
        """Begin at the first id.

        Raises:
            ValueError: If one is not of the vocabulary.
        """
        body = vocabulary.without_specials(ids)
        names = [name for name, _ in vocabulary.families]
        place = vocabulary.family_of[body]
        firsts = np.array([first for first, _ in vocabulary.spans.values()])
        self._values = (body - firsts[place]).tolist() if len(body) else []
        self._families = [names[each] for each in place.tolist()]
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._values)

    @property
    def next(self) -> str:
        """Family of the next token; empty at the end."""
        return self._families[self._at] if self else ""

    def take(self, *families: str) -> int:
        """Return the place in its family of the next token, and go on.

        Raises:
            ValueError: If it is of another family.
        """
        if self.next not in families:
            wanted = " or ".join(families)
            raise ValueError(
                f"token {self._at} must be {wanted}, got {self.next or 'the end'}; "
                "special tokens are not counted"
            )
        self._at += 1
        return int(self._values[self._at - 1])

    def number(self, digits: int, allowed: range | None = None) -> int:
        """Return a number of so many digits.

        Raises:
            ValueError: If they are not all there, or make a number that is not allowed.
        """
        value = 0
        for _ in range(digits):
            value = value * DIGIT + self.take("Digit")
        if allowed is not None and value not in allowed:
            raise ValueError(
                f"the number that ends at token {self._at - 1} must be in [{allowed[0]}, "
                f"{allowed[-1]}], got {value}; special tokens are not counted"
            )
        return value

    def optional_number(self, digits: int, allowed: range | None = None) -> int:
        """Return a number if there is one, else 0; as `number`."""
        return self.number(digits, allowed) if self.next == "Digit" else 0

    def run(self, family: str, base: int) -> int:
        """Return the number that one or more tokens of a family are digits of."""
        value = self.take(family)
        while self.next == family:
            value = value * base + self.take(family)
        return value

    def instruments(self) -> Instruments:
        """Return the tracks of the header."""
        found: list[tuple[int, bool]] = []
        while self.next in ("Program", "Drums"):
            if self.next == "Program":
                found.append((self.take("Program"), False))
            else:
                self.take("Drums")
                found.append((self.optional_number(2, SEVEN_BITS), True))
        return tuple(found) or DRUMS


@dataclass
class Collected:
    """Events as they are found.

    Attributes:
        scale: Ticks to the quarter note.
        instruments: Of the tracks.
    """

    scale: int
    instruments: Instruments
    tempos: list[tuple[int, ...]] = field(default_factory=list)
    signatures: list[tuple[int, ...]] = field(default_factory=list)
    keys: list[tuple[int, ...]] = field(default_factory=list)
    controls: list[tuple[int, ...]] = field(default_factory=list)
    bends: list[tuple[int, ...]] = field(default_factory=list)
    notes: list[tuple[int, ...]] = field(default_factory=list)

    def track(self, reader: TokenReader) -> int:
        """Return the track that the next tokens name.

        Raises:
            ValueError: If there is no such track.
        """
        is_drum = reader.next == "Drums"
        who = DRUMS_WHO * is_drum + reader.take("Program", "Drums")
        alike = reader.optional_number(2)
        tracks = [
            track
            for track, (program, drum) in enumerate(self.instruments)
            if who == (DRUMS_WHO if drum else program)
        ]
        if alike >= len(tracks):
            name = "Drums" if is_drum else f"Program_{who}"
            raise ValueError(f"the header names {len(tracks)} tracks {name}, got number {alike}")
        return tracks[alike]

    def is_drum(self, track: int) -> bool:
        """Whether a track is one of drums."""
        return self.instruments[track][1]

    def events(self) -> Events:
        """Return the events in their order; drums get the durations that were not stated.

        Raises:
            ValueError: If a time is negative or too late.
        """
        notes = _of_tracks(self.notes, 5)
        unstated = np.flatnonzero(notes[:, -1] == UNSTATED)
        if len(unstated):
            most = np.full(len(notes), self.scale // THIRTY_SECONDS)
            usual = implied_durations(notes[:, TICK], notes[:, TRACK], most)
            notes[unstated, -1] = usual[unstated]
        return Events(
            ticks_per_quarter=self.scale,
            instruments=self.instruments,
            notes=_narrow(notes),
            tempos=_narrow(_table(self.tempos, 2)),
            signatures=_narrow(_table(self.signatures, 3)),
            keys=_narrow(_table(self.keys, 3)),
            controls=_narrow(_of_tracks(self.controls, 4)),
            bends=_narrow(_of_tracks(self.bends, 3)),
        )


def take_sound(reader: TokenReader) -> tuple[str, tuple[int, ...]]:
    """Read what sounds.

    Returns:
        The table of `Collected` it belongs in, and a pitch, a control's number and value, or a
        bend's value.

    Raises:
        ValueError: If the next tokens are none of them.
    """
    family = reader.next
    value = reader.take("Drum", "Pitch", "Control", "PedalOn", "PedalOff", "Bend")
    if family == "Drum":
        return "notes", (DRUM_PITCHES[value],)
    if family == "Pitch":
        return "notes", (value,)
    if family == "Bend":
        return "bends", (reader.number(4, range(2 * BEND_ZERO)) - BEND_ZERO,)
    if family == "Control":
        return "controls", (reader.number(2, SEVEN_BITS), reader.number(2, SEVEN_BITS))
    return "controls", (PEDAL, 127 * (family == "PedalOn"))


def take_note(reader: TokenReader, *, sticking: bool) -> int:
    """Return the velocity of a note, and pass over how it was played."""
    velocity = reader.take("Velocity") + 1
    if sticking:
        reader.take("Hand")
        reader.take("Stroke")
    return velocity


def _table(rows: list[tuple[int, ...]], width: int) -> NDArray[np.int64]:
    """Return events by tick, then track; the others stay in order."""
    table = np.array(rows, np.int64).reshape(-1, width)
    return table[np.argsort(table[:, TICK], kind="stable")]


def _of_tracks(rows: list[tuple[int, ...]], width: int) -> NDArray[np.int64]:
    table = np.array(rows, np.int64).reshape(-1, width)
    return table[np.lexsort((table[:, TRACK], table[:, TICK]))]


def _narrow(table: NDArray[np.int64]) -> Table:
    limits = np.iinfo(np.int32)
    if table.size and (table[0, TICK] < 0 or table.max() > limits.max):
        raise ValueError(f"times must be in [0, {limits.max}] ticks, got {table[:, TICK].tolist()}")
    return table.astype(np.int32)
