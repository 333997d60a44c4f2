"""Tokens on a clock of 2 ms that knows no tempo.

    header  the program of each track
    event   Shift_500 ... Shift [track] Drum|Pitch Velocity [Duration ...]
            Shift_500 ... Shift [track] Control|PedalOn|PedalOff|Bend

A drum's note is three tokens. The track is written where it is not the first.

What they hold, and what is meant when a row is called exact: every note, control change and bend
with its instrument, pitch, velocity or value; when each of them is, and when each note ends, to the
nearest step. A drum's note has no end of its own where the file has it last until the next of its
track, and at most a thirty-second: it comes back until the next, and at most 62 ms, unless notes of
its pitch that have an end of their own would then end out of turn. Events of one step are in order
of kind, track and place in the file.

What they do not hold: ticks, tempos, time signatures and keys. Decoding gives a file at 120 quarter
notes a minute in which a tick is a step, and whose ids are those that were decoded.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.batches import (
    DRUM_PITCHES,
    DRUMS_WHO,
    Batch,
    Strokes,
    check,
    put_sound,
    put_sticking,
    put_tracks,
    put_velocity,
    split_rows,
    track_tokens,
)
from sousa.builders.events import (
    DEFAULT_QUARTER_US,
    DEFAULT_SIGNATURE,
    DURATION,
    PITCH,
    THIRTY_SECONDS,
    TICK,
    Events,
    implied_durations,
)
from sousa.builders.grid_tokens import MOST_TICKS
from sousa.builders.grid_vocabulary import VELOCITIES
from sousa.builders.token_reader import UNSTATED, Collected, TokenReader, take_note, take_sound
from sousa.builders.vocabulary import (
    SOUND,
    STICKING,
    Family,
    Ids,
    Ints,
    Layout,
    Vocabulary,
)

CLOCK_MS: Final = 2
MOST_STEPS: Final = 500
"""Steps of the clock in one token; longer gaps take several."""

MOST_HOURS: Final = 24
"""Until the last event begins, and of a note."""

LENGTHS: Final = 25
"""Base of the numbers that durations are, in steps of the clock."""

CLOCK_TICKS: Final = DEFAULT_QUARTER_US // 1000 // CLOCK_MS
"""Ticks to the quarter note of the files that decoding gives: each is a step of the clock."""

FAMILIES: Final[tuple[Family, ...]] = (
    ("Bar", None),  # never used; keeps the ids of version 1
    ("Shift", range(MOST_STEPS + 1)),
    ("Drum", DRUM_PITCHES),
    ("Velocity", VELOCITIES),
    *SOUND,  # from here on since version 2
    ("Duration", range(LENGTHS)),
)

# Places in the row of an event.
_SHIFT, _WHO, _WHAT, _DATA = 0, range(1, 4), 4, range(5, 9)
_VELOCITY, _STICKING, _LENGTH = 9, range(10, 12), range(12, 18)

_KINDS: Final = {"controls": 0, "bends": 0, "notes": 0}


@dataclass(frozen=True)
class ClockCode:
    """Events to ids and back.

    Attributes:
        sticking: Whether hands and stroke types are tokens.
    """

    sticking: bool

    ticks_per_quarter: ClassVar[int] = CLOCK_TICKS
    """Of what decoding gives, unless the tokens say otherwise."""

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens."""
        return Vocabulary(FAMILIES + STICKING * self.sticking)

    def check(self, events: Events) -> None:
        """Refuse a file that these tokens cannot carry.

        Raises:
            ValueError: If it is one.
        """
        last = check(events, events.ticks_per_quarter, MOST_TICKS)
        slowest_ms = int(events.tempos[:, 1].max()) / 1000 / events.ticks_per_quarter
        if last * slowest_ms <= MOST_HOURS * 3_600_000:
            return
        tables = [getattr(events, kind)[:, TICK] for kind in _KINDS]
        last_onset = max([int(ticks.max(initial=0)) for ticks in tables])
        onset, end = events.notes[:, TICK], events.notes[:, TICK] + events.notes[:, DURATION]
        ticks = np.concatenate([[last_onset], onset, end]).astype(np.int64)
        steps = _Clock([events]).steps(np.zeros(len(ticks), np.int64), ticks)
        lengths = steps[1 + len(onset) :] - steps[1 : 1 + len(onset)]
        hours = max(int(steps[0]), int(lengths.max(initial=0))) * CLOCK_MS / 3_600_000
        if hours > MOST_HOURS:
            got = f"{math.ceil(hours * 100) / 100:g}"
            raise ValueError(f"ms tokens hold at most {MOST_HOURS} hours, the file has {got}")

    def encode(self, files: Sequence[Events], strokes: Sequence[Strokes] | None) -> list[Ids]:
        """Return the ids of files that `check` lets pass."""
        v, batch, clock = self.vocabulary, Batch(files, _KINDS), _Clock(files)
        rows = np.arange(len(batch))
        layout = Layout(len(batch))
        put_sound(layout, batch, v, _WHAT, _DATA)
        put_velocity(layout, batch, v, _VELOCITY)
        if self.sticking and strokes is not None:
            put_sticking(layout, batch, v, strokes, _STICKING)
        later = rows[batch.track != batch.first_track[batch.file]]
        if len(later):
            put_tracks(layout, batch, v, later, _WHO)
        step = clock.steps(batch.file, batch.tick)
        _put_durations(layout, batch, clock, step, v)
        order = _order(batch, step)
        return self._joined(layout, batch, order, step, files)

    def _joined(
        self, layout: Layout, batch: Batch, order: Ints, step: Ints, files: Sequence[Events]
    ) -> list[Ids]:
        """Write how long after the one before each event comes, and return all tokens."""
        v, file = self.vocabulary, batch.file[order]
        begins = np.diff(file, prepend=-1) != 0
        gap = step[order] - np.where(begins, 0, np.roll(step[order], 1))
        longest, rest = np.divmod(gap, MOST_STEPS)
        layout.put(_SHIFT, order, v.first("Shift") + rest)
        tokens, lengths = layout.flat(order)
        if longest.any():
            starts = np.repeat(np.cumsum(lengths) - lengths, longest)
            tokens = np.insert(tokens, starts, v.first("Shift") + MOST_STEPS)
        bodies = split_rows(tokens, lengths + longest, file, len(files))
        heads = [np.array(track_tokens(events.instruments, v), np.uint16) for events in files]
        return [np.concatenate(pair) for pair in zip(heads, bodies, strict=True)]

    def decode(self, ids: Iterable[int]) -> Events:
        """Return the events that ids say, at 120 quarter notes a minute.

        Raises:
            ValueError: If they are no sequence of these tokens.
        """
        reader = TokenReader(ids, self.vocabulary)
        found = Collected(CLOCK_TICKS, reader.instruments())
        found.signatures.append((0, *DEFAULT_SIGNATURE))
        found.tempos.append((0, DEFAULT_QUARTER_US))
        step = 0
        while reader:
            shift = MOST_STEPS
            while shift == MOST_STEPS:
                shift = reader.take("Shift")
                step += shift
            track = found.track(reader) if reader.next in ("Program", "Drums") else 0
            kind, values = take_sound(reader)
            event = (step, track, *values)
            if kind == "notes":
                velocity = take_note(reader, sticking=self.sticking)
                event += (velocity, _duration(reader, usual=found.is_drum(track)))
            getattr(found, kind).append(event)
        return found.events()


def _order(batch: Batch, step: Ints) -> Ints:
    """Return the events by time; those of one step by kind, then track."""
    sizes = [part.stop - part.start for part in batch.parts.values()]
    kind = np.repeat(np.arange(len(_KINDS)), sizes)
    if kind.min(initial=2) == 2 and len(batch.who) == len(batch.scale):
        return np.arange(len(batch))  # notes of one track, as they are
    return np.lexsort((batch.track, kind, step, batch.file))


def _duration(reader: TokenReader, *, usual: bool) -> int:
    if usual and reader.next != "Duration":
        return UNSTATED
    return reader.run("Duration", LENGTHS)


class _Clock:
    """The tempos of some files."""

    def __init__(self, files: Sequence[Events]) -> None:
        tables = [events.tempos for events in files]
        file = np.repeat(np.arange(len(files)), [len(table) for table in tables])
        self._tick, quarter_us = np.concatenate(tables).astype(np.int64).T
        scale = np.array([events.ticks_per_quarter for events in files])
        self._ms_per_tick = quarter_us / 1000 / scale[file]
        self._key = file << 32 | self._tick
        bounds = zip(np.searchsorted(file, range(len(files))), tables, strict=True)
        self._ms = np.concatenate([self._since(first, len(table)) for first, table in bounds])

    def _since(self, first: int, tempos: int) -> NDArray[np.float64]:
        """Return when the tempos of a file begin: by itself, as its batch must not matter."""
        tick, ms = (each[first : first + tempos] for each in (self._tick, self._ms_per_tick))
        return np.append(0.0, np.cumsum(np.diff(tick) * ms[:-1]))

    def ms(self, file: Ints, tick: Ints) -> NDArray[np.float64]:
        """Return when ticks of files are, in milliseconds."""
        tempo = np.searchsorted(self._key, file << 32 | tick, side="right") - 1
        ms: NDArray[np.float64] = self._ms[tempo]
        ms += (tick - self._tick[tempo]) * self._ms_per_tick[tempo]
        return ms

    def steps(self, file: Ints, tick: Ints) -> Ints:
        """Return when ticks of files are, in steps of the clock."""
        return np.rint(self.ms(file, tick) / CLOCK_MS).astype(np.int64)


def _put_durations(layout: Layout, batch: Batch, clock: _Clock, step: Ints, v: Vocabulary) -> None:
    """Write the ends of notes; of drums those that are not usual, in the file nor on the clock."""
    stated = batch.stated()
    if not len(stated):
        return
    file, tick, track = batch.of("notes")
    onset = step[batch.parts["notes"]]
    length = clock.steps(file, tick + batch.tables["notes"][DURATION]) - onset
    is_drum = batch.who[track] == DRUMS_WHO
    if is_drum[stated].any():
        most = np.full(len(onset), CLOCK_TICKS // THIRTY_SECONDS)
        usual = implied_durations(onset, track, most)
        is_own = ~is_drum | (length != usual)
        is_stated = np.zeros(len(onset), np.bool_)
        is_stated[stated] = is_own[stated]
        voice = track * 128 + batch.tables["notes"][PITCH]
        crossed = _crossed(voice, onset + np.where(is_stated, length, usual))
        stated = np.flatnonzero(is_stated | is_own & crossed)
    rows = batch.parts["notes"].start + stated
    layout.put_long(_LENGTH, rows, length[stated], v.first("Duration"), LENGTHS)


def _crossed(voice: Ints, end: Ints) -> NDArray[np.bool_]:
    """Return the notes of voices in which one ends before an earlier one: MIDI cannot say that."""
    order = np.argsort(voice, kind="stable")
    falls = (np.diff(voice[order]) == 0) & (np.diff(end[order]) < 0)
    found: NDArray[np.bool_] = np.isin(voice, voice[order][1:][falls])
    return found
