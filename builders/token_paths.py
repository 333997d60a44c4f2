"""What may follow what within an event: the ways in which `grid` and `ms` tokens can be read.

A path is a generator: it yields which ids may come next, is sent the one that comes, and returns
where the sequence then is. The decoders read any path, and some more ways of writing the same.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from sousa.builders.batches import DRUM_PITCHES, DRUMS_WHO
from sousa.builders.schema import TICKS_PER_QUARTER
from sousa.builders.vocabulary import DIGIT, Vocabulary

MOST_TICKS: Final = 2**28 - 1
"""The latest time: the longest that MIDI can wait."""

SEVEN_BITS: Final = 127
BENDS: Final = 2**14 - 1

_NOTES: Final = ("Drum", "Pitch")
_OTHERS: Final = ("Control", "PedalOn", "PedalOff", "Bend")

_Returned = TypeVar("_Returned")


class Choice(NamedTuple):
    """Which ids may come next.

    Attributes:
        spans: First id and the one after the last, of each run of ids.
        may_end: Whether the event may be over, and something else come.
    """

    spans: tuple[tuple[int, int], ...]
    may_end: bool = False

    def holds(self, id_: int) -> bool:
        """Return whether an id is among them."""
        return any(first <= id_ < stop for first, stop in self.spans)


Path = Generator[Choice, int | None, _Returned]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sequence is between two events.

    Attributes:
        tracks: Program of each, 128 for drums.
        scale: Ticks to the quarter note.
        length: Of a bar, in ticks of 480 to the quarter note.
        now: Where the bar began, in such ticks; of `ms` the time, in steps of the clock. Below 0
            before the first bar.
        step: The lowest `Position` that does not go back.
        track: Of the event before.
        sounds: Whether there was a note.
    """

    tracks: tuple[int, ...]
    scale: int = TICKS_PER_QUARTER
    length: int = 0
    now: int = 0
    step: int = 0
    track: int = 0
    sounds: bool = False


class Paths:
    """What `grid` and `ms` have in common.

    Args:
        vocabulary: Of the tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._v = vocabulary
        self._sticking = "Hand" in vocabulary.spans

    def path(self, place: Place | None, *, hurry: bool) -> Path[Place]:
        """Return the path of the header, where there is no place yet, or of an event.

        Args:
            place: Where it begins.
            hurry: Offer only what leads to a note.
        """
        raise NotImplementedError

    def _span(self, family: str, first: int = 0, stop: int | None = None) -> tuple[int, int]:
        """Return the ids of a family, or of some of its values."""
        start, count = self._v.spans[family]
        return start + first, start + max(first, count if stop is None else min(stop, count))

    def _spans(self, *families: str) -> tuple[tuple[int, int], ...]:
        return tuple(self._span(family) for family in families)

    def _value(self, id_: int, family: str) -> int:
        """Return the place of an id in its family; below 0 or too large if it is of another."""
        return id_ - self._v.first(family)

    def _is(self, id_: int | None, family: str) -> bool:
        first, stop = self._span(family)
        return id_ is not None and first <= id_ < stop

    def _take(self, *spans: tuple[int, int]) -> Path[int]:
        """Take an id that there must be."""
        taken = yield Choice(spans)
        return -1 if taken is None else taken

    def _digits(self, value: int, rest: int, low: int, high: int) -> tuple[int, int]:
        """Return the digits that may follow a number's first ones, with so many after them."""
        size, begun = DIGIT**rest, value * DIGIT
        stop = high // size - begun + 1 if low <= high else 0
        return self._span("Digit", max(0, low // size - begun), stop)

    def _number(self, digits: int, low: int, high: int, first: int | None = None) -> Path[int]:
        """Take a number in [low, high]; its first digit may have been taken."""
        value = 0
        for rest in reversed(range(digits)):
            taken, first = first, None
            if taken is None:
                taken = yield from self._take(self._digits(value, rest, low, high))
            value = value * DIGIT + self._value(taken, "Digit")
        return value

    def _between(self, scale: int) -> tuple[int, int]:
        """Return the first digits of a number of ticks between two of the grid; maybe none."""
        return self._digits(0, 1, 1, -(-scale // TICKS_PER_QUARTER) - 1)

    def _fine(
        self, scale: int, *then: tuple[int, int], first: int | None = None
    ) -> Path[int | None]:
        """Take such ticks, if any, and what comes then, if there must be something.

        Args:
            scale: Ticks to the quarter note.
            then: What must come then; the event may be over where there is nothing.
            first: Their first digit, if it was taken.
        """
        if first is None:
            first = yield Choice((self._between(scale), *then), may_end=not then)
            if not self._is(first, "Digit"):
                return first
        yield from self._number(2, 1, -(-scale // TICKS_PER_QUARTER) - 1, first)
        return (yield from self._take(*then)) if then else None

    def _tracks(self, taken: int | None, *, hurry: bool) -> Path[tuple[int, ...]]:
        """Take the tracks of a header, the first of which may have been taken."""
        found: list[int] = []
        whos = () if hurry else self._spans("Program", "Drums")
        while taken is not None:
            if self._is(taken, "Drums"):
                found.append(DRUMS_WHO)
                kit = self._digits(0, 1, 1, SEVEN_BITS)
                taken = yield Choice((kit, *whos), may_end=True)
                if self._is(taken, "Digit"):
                    yield from self._number(2, 1, SEVEN_BITS, taken)
                    taken = yield Choice(whos, may_end=True)
            else:
                found.append(self._value(taken, "Program"))
                taken = yield Choice(whos, may_end=True)
        return tuple(found) or (DRUMS_WHO,)

    def _sounds(self, who: int, *, hurry: bool) -> tuple[tuple[int, int], ...]:
        """Return what a track may play."""
        if who != DRUMS_WHO:
            found: tuple[tuple[int, int], ...] = self._spans("Pitch")
        else:
            below = self._span("Pitch", 0, DRUM_PITCHES.start)
            found = (*self._spans("Drum"), below, self._span("Pitch", DRUM_PITCHES.stop))
        return found if hurry else (*found, *self._spans(*_OTHERS))

    def _whos(self, tracks: Iterable[int]) -> tuple[tuple[int, int], ...]:
        """Return the ids of the programs of some tracks."""
        return tuple(
            self._span("Drums") if who == DRUMS_WHO else self._span("Program", who, who + 1)
            for who in sorted(set(tracks))
        )

    def _sound(
        self, place: Place, *more: tuple[int, int], hurry: bool
    ) -> Path[tuple[int | None, int]]:
        """Take a track, if it is another one, and what sounds, or something else.

        Returns:
            The id of what it is, and its track.
        """
        track, tracks = place.track, place.tracks
        whos = self._whos(tracks) if len(tracks) > 1 else ()
        taken = yield Choice((*self._sounds(tracks[track], hurry=hurry), *whos, *more))
        if not (self._is(taken, "Drums") or self._is(taken, "Program")):
            return taken, track
        who = DRUMS_WHO
        if taken is not None and self._is(taken, "Program"):
            who = self._value(taken, "Program")
        alike = [number for number, each in enumerate(tracks) if each == who]
        offered = self._sounds(who, hurry=hurry)
        if len(alike) == 1:
            return (yield from self._take(*offered)), alike[0]
        which = self._digits(0, 1, 1, len(alike) - 1)
        taken = yield Choice((which, *offered))
        if not self._is(taken, "Digit"):
            return taken, alike[0]
        number = yield from self._number(2, 1, len(alike) - 1, taken)
        return (yield from self._take(*offered)), alike[number]

    def _details(self, what: int | None) -> Path[None]:
        """Take the numbers that belong to a control change or a bend."""
        if self._is(what, "Control"):
            yield from self._number(2, 0, SEVEN_BITS)
            yield from self._number(2, 0, SEVEN_BITS)
        elif self._is(what, "Bend"):
            yield from self._number(4, 0, BENDS)

    def _is_note(self, what: int | None) -> bool:
        return any(self._is(what, family) for family in _NOTES)

    def _stroke(self) -> Path[None]:
        """Take how a note was played, where that is told."""
        if self._sticking:
            yield from self._take(self._span("Hand"))
            yield from self._take(self._span("Stroke"))
