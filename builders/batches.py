"""Events of many files end to end, and the tokens that all our tokenizers give them alike."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from sousa.builders.events import (
    DURATION,
    PITCH,
    THIRTY_SECONDS,
    TICK,
    TRACK,
    VELOCITY,
    Events,
    implied_durations,
)
from sousa.builders.schema import HANDS, STROKE_TYPES
from sousa.builders.vocabulary import ABSENT, DIGIT, Ids, Ints, Layout, Vocabulary

DRUM_PITCHES: Final = range(27, 89)
"""Pitches of drums that have a token of their own; other ones have that of any instrument."""

PEDAL: Final = 64
"""Number of the sustain pedal's control change."""

BEND_ZERO: Final = 8192
MOST_ALIKE: Final = DIGIT**2
"""Tracks of one program that can be told apart."""

Instruments = tuple[tuple[int, bool], ...]
Strokes = Mapping[str, Any]
"""A cell of the column `strokes`: at least `hand` and `stroke_type`, ids or names."""


class Batch:
    """The events of some files, kind after kind, file after file.

    Attributes:
        scale: Ticks to the quarter note of each file.
        parts: Where each kind of events lies.
        tables: Of each kind, its columns as they are in `Events`.
        file: The file of each event.
        tick: Of each event, in its file's ticks.
        track: Of each event, counted over all files; `ABSENT` for those of the whole file.
        first_track: Of each file.
        who: Program of each track; 128 for drums.
        alike: How many tracks of the file before it have the same program, or are drums as well.
    """

    def __init__(self, files: Sequence[Events], kinds: Mapping[str, int]) -> None:
        """Join some files.

        Args:
            files: The files.
            kinds: Tables of `Events`; with each, how many rows at the head of it to leave out.
        """
        self.scale = np.array([events.ticks_per_quarter for events in files], np.int64)
        self.first_track = np.cumsum([0, *(len(events.instruments) for events in files)])[:-1]
        heads = [_heads(events.instruments) for events in files]
        self.who, self.alike = np.concatenate(heads, axis=1)
        self.tables: dict[str, Ints] = {}
        self.parts: dict[str, slice] = {}
        file, tick, track = [], [], []
        start = 0
        for kind, skipped in kinds.items():
            tables = [getattr(events, kind)[skipped:].T for events in files]
            table = np.concatenate(tables, axis=1).astype(np.int64)
            of = np.repeat(np.arange(len(files)), [table.shape[1] for table in tables])
            whole = np.full(len(of), ABSENT)
            is_of_track = kind in ("notes", "controls", "bends")
            file.append(of)
            tick.append(table[TICK])
            track.append(self.first_track[of] + table[TRACK] if is_of_track else whole)
            self.tables[kind] = table
            self.parts[kind] = slice(start, start := start + len(of))
        self.file, self.tick, self.track = (np.concatenate(each) for each in (file, tick, track))

    def __len__(self) -> int:
        return len(self.tick)

    def of(self, kind: str) -> tuple[Ints, Ints, Ints]:
        """Return file, tick and track of the events of a kind."""
        part = self.parts[kind]
        return self.file[part], self.tick[part], self.track[part]

    def stated(self) -> Ints:
        """Return the notes whose durations must be written down: all but those of usual drums."""
        file, tick, track = self.of("notes")
        is_drum = self.who[track] == DRUMS_WHO
        if not is_drum.any():
            return np.arange(len(tick))
        most = (self.scale // THIRTY_SECONDS)[file]
        usual = self.tables["notes"][DURATION] == implied_durations(tick, track, most)
        return np.flatnonzero(~(is_drum & usual))


DRUMS_WHO: Final = 128

STROKE_FIELDS: Final = {"hand": HANDS, "stroke_type": STROKE_TYPES}
"""Fields of a stroke that are tokens, and their values."""


@lru_cache(maxsize=4096)
def _heads(instruments: Instruments) -> Ints:
    """Return `who` and `alike` of a file's tracks.

    Raises:
        ValueError: If more tracks are alike than can be told apart.
    """
    who = [DRUMS_WHO if is_drum else program for program, is_drum in instruments]
    alike = [who[:track].count(each) for track, each in enumerate(who)]
    if max(alike, default=0) >= MOST_ALIKE:
        raise ValueError(f"at most {MOST_ALIKE} tracks may have one program, got {len(who)}")
    return np.array([who, alike], np.int64)


def check(events: Events, scale: int, most_ticks: int) -> int:
    """Return when a file has ended, at so many ticks to the quarter note.

    Raises:
        ValueError: If that is too late, or too many tracks have one program.
    """
    _heads(events.instruments)
    tables = (events.notes, events.tempos, events.signatures, events.keys)
    last = max([int(t[-1, TICK]) for t in (*tables, events.controls, events.bends) if len(t)])
    if len(events.notes):
        last += int(events.notes[:, DURATION].max())  # at the latest
    last = last * scale // events.ticks_per_quarter
    if last > most_ticks:
        most, got = most_ticks // scale, last // scale
        raise ValueError(f"a file must last at most {most} quarter notes, got {got}")
    return last


def put_tracks(layout: Layout, batch: Batch, v: Vocabulary, rows: Ints, places: range) -> None:
    """Write the tracks of some events: a program, and which of those alike if not the first."""
    track = batch.track[rows]
    layout.put(places[0], rows, _who_ids(batch.who[track], v))
    later = batch.alike[track] > 0
    if later.any():
        numbers = batch.alike[track[later]]
        layout.put_digits(places[1:], rows[later], numbers, v.first("Digit"))


def _who_ids(who: Ints, v: Vocabulary) -> Ints:
    return np.where(who == DRUMS_WHO, v.first("Drums"), v.first("Program") + who)


def track_tokens(instruments: Instruments, v: Vocabulary) -> list[int]:
    """Return the tokens that name the tracks of a file; none for a single plain drum kit."""
    if instruments == ((0, True),):
        return []
    tokens = []
    for program, is_drum in instruments:
        tokens.append(v.first("Drums") if is_drum else v.first("Program") + program)
        if is_drum and program:
            tokens += [v.first("Digit") + digit for digit in divmod(program, DIGIT)]
    return tokens


def put_sound(layout: Layout, batch: Batch, v: Vocabulary, what: int, data: range) -> None:
    """Write what sounds or changes the sound: pitches, control changes and bends."""
    part = batch.parts["notes"]
    pitch = batch.tables["notes"][PITCH]
    is_drum = batch.who[batch.track[part]] == DRUMS_WHO
    has_own = is_drum & (pitch >= DRUM_PITCHES.start) & (pitch < DRUM_PITCHES.stop)
    drum, tone = v.first("Drum") - DRUM_PITCHES.start + pitch, v.first("Pitch") + pitch
    layout.put(what, part, np.where(has_own, drum, tone))
    _put_controls(layout, batch, v, what, data)
    part = batch.parts["bends"]
    if part.start < part.stop:
        layout.put(what, part, v.first("Bend"))
        numbers = batch.tables["bends"][-1] + BEND_ZERO
        layout.put_digits(data[:4], part, numbers, v.first("Digit"))


def _put_controls(layout: Layout, batch: Batch, v: Vocabulary, what: int, data: range) -> None:
    part = batch.parts["controls"]
    if part.start == part.stop:
        return
    number, value = batch.tables["controls"][-2:]
    is_on, is_off = ((number == PEDAL) & (value == end) for end in (127, 0))
    pedal = np.where(is_on, v.first("PedalOn"), v.first("PedalOff"))
    layout.put(what, part, np.where(is_on | is_off, pedal, v.first("Control")))
    other = np.flatnonzero(~(is_on | is_off))
    numbers = number[other] * DIGIT**2 + value[other]
    layout.put_digits(data[:4], part.start + other, numbers, v.first("Digit"))


def put_velocity(layout: Layout, batch: Batch, v: Vocabulary, place: int) -> None:
    """Write the velocities of the notes."""
    velocity = batch.tables["notes"][VELOCITY]
    layout.put(place, batch.parts["notes"], v.first("Velocity") + velocity - 1)


def put_sticking(
    layout: Layout, batch: Batch, v: Vocabulary, strokes: Sequence[Strokes], places: range
) -> None:
    """Write hand and kind of every stroke.

    Raises:
        ValueError: If a file has not as many strokes as notes.
    """
    notes = np.bincount(batch.of("notes")[0], minlength=len(batch.scale)).tolist()
    found = [len(cell["hand"]) for cell in strokes]
    if notes != found:
        raise ValueError(f"tokens of hands need a stroke for each note, got {found} for {notes}")
    part = batch.parts["notes"]
    rows = zip(places, ("Hand", "Stroke"), STROKE_FIELDS.items(), strict=True)
    for place, family, (field, names) in rows:
        ids = [
            names.index(each) if isinstance(each, str) else each
            for cell in strokes
            for each in cell[field]
        ]
        layout.put(place, part, v.first(family) + np.array(ids, np.int64))


def split_rows(tokens: Ids, lengths: Ints, file: Ints, files: int) -> list[Ids]:
    """Return the tokens of each file, of rows that lie file after file."""
    ends = np.cumsum(np.bincount(file, weights=lengths, minlength=files)).astype(np.int64).tolist()
    return [tokens[start:end] for start, end in zip([0, *ends], ends, strict=False)]
