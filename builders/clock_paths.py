"""The ways in which `ms` tokens can be read."""

from dataclasses import replace

from sousa.builders.batches import DRUMS_WHO
from sousa.builders.clock_tokens import LENGTHS, MOST_STEPS
from sousa.builders.token_paths import MOST_TICKS, Choice, Path, Paths, Place


class ClockPaths(Paths):
    """The ways in which `ms` tokens can be read."""

    def path(self, place: Place | None, *, hurry: bool) -> Path[Place]:
        """Return the path of the header, or of an event."""
        return self._header(hurry=hurry) if place is None else self._event(place, hurry=hurry)

    def _header(self, *, hurry: bool) -> Path[Place]:
        whos = () if hurry else self._spans("Program", "Drums")
        taken = yield Choice(whos, may_end=True)
        return Place((yield from self._tracks(taken, hurry=hurry)))

    def _event(self, place: Place, *, hurry: bool) -> Path[Place]:
        most = MOST_TICKS // 2  # the other half is for durations
        now, shift = place.now, MOST_STEPS
        while shift == MOST_STEPS:
            longest = min(MOST_STEPS - bool(hurry), most - now)
            taken = yield from self._take(self._span("Shift", 0, longest + 1))
            shift = self._value(taken, "Shift")
            now += shift
        what, track = yield from self._sound(replace(place, track=0), hurry=hurry)
        if not self._is_note(what):
            yield from self._details(what)
            return replace(place, now=now)
        yield from self._take(self._span("Velocity"))
        yield from self._stroke()
        is_drum = place.tracks[track] == DRUMS_WHO
        digit = yield Choice((self._span("Duration", 1),), may_end=is_drum)
        steps = 0
        while digit is not None:
            steps = steps * LENGTHS + self._value(digit, "Duration")
            room = most - steps * LENGTHS
            digit = yield Choice((self._span("Duration", 0, room),), may_end=True)
        return replace(place, now=now, sounds=True)
