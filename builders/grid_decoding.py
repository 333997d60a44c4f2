"""Ids of the grid back to events."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from sousa.builders import bars
from sousa.builders.events import Events
from sousa.builders.grid_tokens import microseconds
from sousa.builders.grid_vocabulary import BEAT, KEY_ZERO, LENGTHS, MICRO, TEMPOS_BPM
from sousa.builders.schema import TICKS_PER_QUARTER
from sousa.builders.token_reader import UNSTATED, Collected, TokenReader, take_note, take_sound
from sousa.builders.vocabulary import DIGIT, Vocabulary

DIVISIONS: Final = range(1, 2**15)
QUARTERS_US: Final = range(1, 2**24)


def decode(ids: Iterable[int], vocabulary: Vocabulary) -> Events:
    """Return the events that ids say.

    Raises:
        ValueError: If they are no sequence of the grid.
    """
    reader = TokenReader(ids, vocabulary)
    scale = TICKS_PER_QUARTER
    if reader.next == "Division":
        reader.take("Division")
        scale = reader.number(4, DIVISIONS)
    signature, tempo = _signature(reader), _tempo(reader)
    found = Collected(scale, reader.instruments())
    found.signatures.append((0, *signature))
    found.tempos.append((0, tempo))
    _Decoder(reader, found, signature, "Hand" in vocabulary.spans).run()
    return found.events()


class _Decoder:
    """Where in the bars the reading is."""

    def __init__(
        self, reader: TokenReader, found: Collected, signature: tuple[int, int], sticking: object
    ) -> None:
        self._reader = reader
        self._found = found
        self._length = bars.bar_ticks(*signature)
        self._line = -self._length
        self._track = 0
        self._sticking = bool(sticking)

    def run(self) -> None:
        """Read to the end."""
        while self._reader:
            if self._reader.next == "Bar":
                self._bar()
            else:
                self._event()

    def _bar(self) -> None:
        self._reader.take("Bar")
        self._line += self._length
        self._track = 0
        if self._reader.next == "TimeSig":
            self._begin(self._line, 0)

    def _begin(self, line: int, fine: int) -> None:
        """Begin bars of the signature that comes next."""
        self._set(line, fine, _signature(self._reader))

    def _set(self, line: int, fine: int, signature: tuple[int, int]) -> None:
        self._found.signatures.append((self._tick(line) + fine, *signature))
        self._length = bars.bar_ticks(*signature)
        self._line = line

    def _event(self) -> None:
        position = self._reader.take("Position", "Bar")
        if self._line < 0:
            raise ValueError("the first Position must come after a Bar")
        coarse = self._line + position * bars.STEP_TICKS
        match self._reader.next:
            case "Tempo":
                tempo = _tempo(self._reader)
                coarse, fine = self._exact(coarse)
                self._found.tempos.append((self._tick(coarse) + fine, tempo))
            case "TimeSig":
                signature = _signature(self._reader)
                self._set(*self._exact(coarse), signature)
            case "Key":
                self._reader.take("Key")
                key = (self._reader.take("Digit") - KEY_ZERO, self._reader.take("Digit"))
                coarse, fine = self._exact(coarse)
                self._found.keys.append((self._tick(coarse) + fine, *key))
            case _:
                self._sound(coarse)

    def _sound(self, coarse: int) -> None:
        reader, found = self._reader, self._found
        if reader.next in ("Program", "Drums"):
            self._track = found.track(reader)
        kind, values = take_sound(reader)
        coarse, fine = self._exact(coarse)
        event = (self._tick(coarse) + fine, self._track, *values)
        if kind == "notes":
            velocity = take_note(reader, sticking=self._sticking)
            found.notes.append((*event, velocity, self._duration()))
        else:
            getattr(found, kind).append(event)

    def _duration(self) -> int:
        reader = self._reader
        if reader.next != "Duration" and self._found.is_drum(self._track):
            return UNSTATED
        coarse = reader.run("Duration", LENGTHS) * bars.STEP_TICKS
        if reader.next == "Micro":
            coarse += MICRO[reader.take("Micro")]
        if coarse < 0:
            raise ValueError(f"a note must not end before it begins, got a duration of {coarse}")
        return self._tick(coarse) + reader.optional_number(2)

    def _exact(self, coarse: int) -> tuple[int, int]:
        """Return the tick of an event on the grid, and the file's ticks after it."""
        micro = MICRO[self._reader.take("Micro")]
        return coarse + micro, self._reader.optional_number(2)

    def _tick(self, coarse: int) -> int:
        return -(-coarse * self._found.scale // TICKS_PER_QUARTER)


def _signature(reader: TokenReader) -> tuple[int, int]:
    numerator = reader.take("TimeSig") + 1
    digits = []
    while reader.next == "Digit":
        digits.append(reader.take("Digit"))
    match digits:
        case []:
            return numerator, BEAT
        case [power]:
            return numerator, 1 << power
        case [high, low, power]:
            return high * DIGIT + low, 1 << power
    raise ValueError(f"TimeSig has no, one or three Digits after it, got {len(digits)}")


def _tempo(reader: TokenReader) -> int:
    bpm = TEMPOS_BPM[reader.take("Tempo")]
    if reader.next == "Digit":
        return reader.number(6, QUARTERS_US)
    return int(microseconds(np.array(bpm)))
