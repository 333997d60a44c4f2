"""The ways in which `grid` tokens can be read."""

from dataclasses import replace
from typing import Final

from sousa.builders import bars
from sousa.builders.batches import DRUMS_WHO
from sousa.builders.events import THIRTY_SECONDS
from sousa.builders.grid_vocabulary import LENGTHS, MOST_BEATS
from sousa.builders.schema import TICKS_PER_QUARTER
from sousa.builders.token_paths import MOST_TICKS, Choice, Path, Paths, Place
from sousa.builders.vocabulary import DIGIT

MOST_DIVISION: Final = 2**15 - 1
MOST_QUARTER_US: Final = 2**24 - 1
MOST_POWER: Final = 7
"""Of the denominator of a time signature: 1/128."""


class GridPaths(Paths):
    """The ways in which `grid` tokens can be read."""

    def path(self, place: Place | None, *, hurry: bool) -> Path[Place]:
        """Return the path of the header, or of an event."""
        return self._header(hurry=hurry) if place is None else self._event(place, hurry=hurry)

    def _header(self, *, hurry: bool) -> Path[Place]:
        meters, tempos = self._spans("TimeSig", "Tempo")
        taken = yield from self._take(meters, self._span("Division"))
        scale = TICKS_PER_QUARTER
        if self._is(taken, "Division"):
            scale = yield from self._number(4, THIRTY_SECONDS, MOST_DIVISION)
            taken = yield from self._take(meters)
        length, _ = yield from self._signature(taken, tempos)
        whos = () if hurry else self._spans("Program", "Drums")
        after = yield Choice((self._digits(0, 5, 1, MOST_QUARTER_US), *whos), may_end=True)
        if self._is(after, "Digit"):
            yield from self._number(6, 1, MOST_QUARTER_US, after)
            after = yield Choice(whos, may_end=True)
        tracks = yield from self._tracks(after, hurry=hurry)
        return Place(tracks, scale, length, now=-length)

    def _signature(
        self, meter: int | None, *then: tuple[int, int], may_end: bool = False
    ) -> Path[tuple[int, int | None]]:
        """Take the digits of a time signature, if any, and what comes then.

        Returns:
            The length of its bars, and the id that came then.
        """
        beats = 1 + self._value(-1 if meter is None else meter, "TimeSig")
        is_long = beats == MOST_BEATS
        first = self._span("Digit", 0, None if is_long else MOST_POWER + 1)
        taken = yield Choice((first, *then), may_end)
        if taken is None or not self._is(taken, "Digit"):
            return bars.bar_ticks(beats, 4), taken
        power = self._value(taken, "Digit")
        offered, ends = (then, may_end) if power <= MOST_POWER else ((), False)
        if not is_long:
            return bars.bar_ticks(beats, 1 << power), (yield Choice(offered, ends))
        second = self._digits(power, 0, MOST_BEATS + 1, DIGIT**2 - 1)
        taken = yield Choice((second, *offered), ends)
        if taken is None or not self._is(taken, "Digit"):
            return bars.bar_ticks(beats, 1 << power), taken
        beats = power * DIGIT + self._value(taken, "Digit")
        last = yield from self._take(self._span("Digit", 0, MOST_POWER + 1))
        length = bars.bar_ticks(beats, 1 << self._value(last, "Digit"))
        return length, (yield Choice(then, may_end))

    def _event(self, place: Place, *, hurry: bool) -> Path[Place]:
        last = (place.length - 1) // bars.STEP_TICKS
        positions = self._span("Position", place.step, last + 1)
        bar = self._spans("Bar") if self._ticks(place, 2 * place.length) < MOST_TICKS else ()
        if place.now >= 0:
            bar = () if hurry else bar
            taken = yield from self._take(positions, *bar)
        else:
            taken = yield from self._take(*bar)
        if self._is(taken, "Bar"):
            return (yield from self._bar(place, hurry=hurry))
        at = replace(place, step=self._value(taken, "Position"))
        return (yield from self._at(at, hurry=hurry))

    def _bar(self, place: Place, *, hurry: bool) -> Path[Place]:
        begun = replace(place, now=place.now + place.length, step=0, track=0)
        taken = yield Choice(() if hurry else self._spans("TimeSig"), may_end=True)
        if taken is None:
            return begun
        length, _ = yield from self._signature(taken, may_end=True)
        return replace(begun, length=length)

    def _at(self, place: Place, *, hurry: bool) -> Path[Place]:
        """Take what happens at a `Position`."""
        changes = () if hurry else self._spans("Tempo", "TimeSig", "Key")
        what, track = yield from self._sound(place, *changes, hurry=hurry)
        coarse = place.now + place.step * bars.STEP_TICKS
        micros = self._span("Micro", max(0, bars.EARLY_TICKS - coarse))
        if self._is(what, "TimeSig"):
            return (yield from self._cut(place, what, coarse, micros))
        if self._is(what, "Tempo"):
            taken = yield Choice((self._digits(0, 5, 1, MOST_QUARTER_US), micros))
            if self._is(taken, "Digit"):
                yield from self._number(6, 1, MOST_QUARTER_US, taken)
                yield from self._take(micros)
        else:
            yield from self._details(what)
            if self._is(what, "Key"):
                yield from self._take(self._span("Digit", 1))  # seven flats to seven sharps
                yield from self._take(self._span("Digit", 0, 2))
            yield from self._take(micros)
        if not self._is_note(what):
            yield from self._fine(place.scale)
            return replace(place, track=track)
        yield from self._note(place, coarse, is_drum=place.tracks[track] == DRUMS_WHO)
        return replace(place, track=track, sounds=True)

    def _cut(
        self, place: Place, meter: int | None, coarse: int, micros: tuple[int, int]
    ) -> Path[Place]:
        """Take a time signature within a bar, which begins a new one."""
        length, micro = yield from self._signature(meter, micros)
        yield from self._fine(place.scale)
        begins = coarse + self._value(micros[0] if micro is None else micro, "Micro")
        return replace(place, now=begins - bars.EARLY_TICKS, length=length, step=0)

    def _note(self, place: Place, coarse: int, *, is_drum: bool) -> Path[None]:
        """Take what follows a note's `Micro`."""
        yield from self._fine(place.scale, self._span("Velocity"))
        yield from self._stroke()
        room = (MOST_TICKS * TICKS_PER_QUARTER // place.scale - coarse) // bars.STEP_TICKS
        taken = yield Choice((self._span("Duration", 0, room),), may_end=is_drum)
        steps, fine = 0, self._between(place.scale)
        while taken is not None and self._is(taken, "Duration"):
            steps = steps * LENGTHS + self._value(taken, "Duration")
            more = self._span("Duration", 0, room - steps * LENGTHS if steps else 0)
            rest = self._span("Micro", 0 if steps else bars.EARLY_TICKS + 1)
            taken = yield Choice((more, rest, fine), may_end=steps > 0)
        if self._is(taken, "Micro"):
            yield from self._fine(place.scale)
        elif taken is not None:
            yield from self._fine(place.scale, first=taken)

    def _ticks(self, place: Place, more: int) -> int:
        return (place.now + more) * place.scale // TICKS_PER_QUARTER
