"""A MIDI file of any kind to arrays of its events, and back.

What is read is what is heard and how it is written down: notes, control changes and pitch bends of
each instrument, tempos, time signatures and keys. Names, other text, ports, channel numbers and
device set-up (system exclusive) are not part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from symusic import Score

from sousa.builders import smf, smf_writing
from sousa.builders.midi import SNARE
from sousa.builders.smf_writing import BEND, CONTROL, KEY, METER, NAME, PROGRAM, TEMPO, Message

Table = NDArray[np.int32]
"""One row an event."""

TICK, TRACK, PITCH, VELOCITY, DURATION = range(5)
"""Columns of `Events.notes`."""

THIRTY_SECONDS: Final = 8
"""Thirty-second notes in a quarter note: a drum's is no longer than one unless it is stated."""

DEFAULT_QUARTER_US: Final = 500_000
"""Length of a quarter note until a file says otherwise."""

DEFAULT_SIGNATURE: Final = (4, 4)

_NONE: Final = {width: np.empty((0, width), np.int32) for width in range(2, 6)}
"""Tables without events, by their number of columns."""

TABLES: Final = ("notes", "tempos", "signatures", "keys", "controls", "bends")
"""Attributes of `Events` that are tables."""

DRUM_CHANNEL: Final = 9
"""Channels count from 0 here."""

DRUMS: Final = ((0, True),)
"""Instruments of a file of one drum track, and of one without events."""


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """The events of a MIDI file, each table by tick, then track, then place in the file.

    Attributes:
        ticks_per_quarter: Unit of all ticks and durations.
        instruments: Program and whether it is a drum kit, one for each track.
        notes: Tick, track, pitch, velocity, duration; shape `(notes, 5)`.
        tempos: Tick, microseconds to the quarter note; the first at tick 0.
        signatures: Tick, numerator, denominator; the first at tick 0.
        keys: Tick, sharps (flats are negative), 1 for minor.
        controls: Tick, track, number, value.
        bends: Tick, track, value in [-8192, 8191].
    """

    ticks_per_quarter: int
    instruments: tuple[tuple[int, bool], ...]
    notes: Table
    tempos: Table
    signatures: Table
    keys: Table
    controls: Table
    bends: Table

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Events):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, each.name), getattr(other, each.name))
            for each in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can change


def read(midi: bytes) -> Events:
    """Return the events of a MIDI file.

    A file of type 2 is read if it has one pattern: several have no common time. An instrument that
    changes in a track makes a track of its own. Of several tempos or signatures
    at one tick the last one counts, and until the first, 120 quarter notes a minute and 4/4.

    Raises:
        ValueError: If the bytes are no MIDI file, or times are not in quarter notes.
    """
    return _events(to_score(midi))


def read_all(midi: bytes) -> tuple[Events, str]:
    """Return the events of a MIDI file, and what is heard of it that is not among them.

    Returns:
        The events; and a line such as `the tokens do not hold 2 notes that never end`, empty where
        nothing is missing.

    Raises:
        ValueError: As `read`.
    """
    score = to_score(midi)
    events = _events(score)
    is_ours = bytes(score.dumps_midi()) == midi  # then nothing can be missing
    return events, "" if is_ours else _left_out(midi, events)


def to_score(midi: bytes) -> Score:
    """Return a MIDI file as symusic reads it, also one in a RIFF container.

    Raises:
        ValueError: If the bytes are no MIDI file, or times are not in quarter notes.
    """
    if not isinstance(midi, bytes):
        raise ValueError(f"a MIDI file must be bytes, got {type(midi).__name__}")
    content = smf.unwrap(midi)
    smf.header(content)
    try:
        return Score.from_midi(content)
    except RuntimeError as error:
        smf.parse(content)  # knows better what is wrong
        raise ValueError(f"not a MIDI file of {len(midi)} bytes: {error}") from error


def _events(score: Score) -> Events:
    tracks = [track for track in score.tracks if len(track.notes)]  # the others are not heard
    tempos = [(tempo.time, tempo.mspq) for tempo in score.tempos]
    signatures = [(sig.time, sig.numerator, sig.denominator) for sig in score.time_signatures]
    keys = score.key_signatures
    events = Events(
        ticks_per_quarter=score.ticks_per_quarter,
        instruments=tuple([(track.program, track.is_drum) for track in tracks]) or DRUMS,
        notes=_of_tracks([t.notes for t in tracks], ("time", "", "pitch", "velocity", "duration")),
        tempos=_map(tempos, (DEFAULT_QUARTER_US,)),
        signatures=_map(signatures, DEFAULT_SIGNATURE),
        keys=_keys(keys) if len(keys) else _NONE[3],
        controls=_of_tracks([t.controls for t in tracks], ("time", "", "number", "value")),
        bends=_of_tracks([t.pitch_bends for t in tracks], ("time", "", "value")),
    )
    for table in (getattr(events, name) for name in TABLES):
        if len(table) and table[0, TICK] < 0:
            raise ValueError("times must not be negative: the file lasts longer than 2^31 ticks")
    return events


def _keys(keys: Any) -> Table:
    rows = sorted(((key.time, key.key, key.tonality) for key in keys), key=lambda row: row[0])
    return np.array(rows, np.int32)


def write(events: Events) -> bytes:
    """Return a MIDI file that holds some events, which `read` gives back."""
    signatures, keys, tempos = (
        table.tolist() for table in (events.signatures, events.keys, events.tempos)
    )
    tracks = [_messages(events, index) for index in range(len(events.instruments))]
    tracks[0] += [
        *(
            smf_writing.meta(tick, METER, 0x58, bytes((beats, beat.bit_length() - 1, 24, 8)))
            for tick, beats, beat in signatures
        ),
        *(smf_writing.meta(tick, KEY, 0x59, bytes((sharps & 0xFF, m))) for tick, sharps, m in keys),
        *(smf_writing.meta(tick, TEMPO, 0x51, us.to_bytes(3, "big")) for tick, us in tempos),
    ]
    return smf_writing.smf(events.ticks_per_quarter, tracks)


def _messages(events: Events, index: int) -> list[Message]:
    """Return the messages of a track; its channel does not matter but for drums."""
    program, is_drum = events.instruments[index]
    melodic = index % 15
    channel = DRUM_CHANNEL if is_drum else melodic + (melodic >= DRUM_CHANNEL)
    notes, controls, bends = (
        table[table[:, TRACK] == index] for table in (events.notes, events.controls, events.bends)
    )
    is_snare = is_drum and bool(np.all(notes[:, PITCH] == SNARE))
    return [
        *([smf_writing.meta(0, NAME, 0x03, b"snare")] if is_snare else []),
        Message(0, PROGRAM, bytes((0xC0 | channel, program))),
        *(
            Message(tick, CONTROL, bytes((0xB0 | channel, number, value)))
            for tick, _, number, value in controls.tolist()
        ),
        *(
            Message(tick, BEND, bytes((0xE0 | channel, value + 8192 & 0x7F, value + 8192 >> 7)))
            for tick, _, value in bends.tolist()
        ),
        *(
            message
            for tick, _, pitch, velocity, duration in notes.tolist()
            for message in smf_writing.note(channel, tick, pitch, velocity, duration)
        ),
    ]


def _left_out(midi: bytes, events: Events) -> str:
    """Return what a file says byte by byte, and its events do not."""
    try:
        tracks = smf.parse(smf.unwrap(midi)).tracks
    except ValueError as error:
        return f"the file is damaged, so tokens may be missing: {error}"
    status, channel, second = (
        (
            np.concatenate([np.empty(0, np.int64), *columns])
            for columns in zip(*((t.status, t.channel, t.data[:, 1]) for t in tracks), strict=True)
        )
        if tracks
        else (np.empty(0, np.int64),) * 3
    )
    begins = (status == smf.NOTE_ON) & (second > 0)
    heard = np.isin(channel, channel[begins])
    missing = {
        "notes that never end": begins.sum() - len(events.notes),
        "control changes": (heard & (status == smf.CONTROL)).sum() - len(events.controls),
        "pitch bends": (heard & (status == 0xE0)).sum() - len(events.bends),
        "aftertouches": (heard & np.isin(status, (0xA0, 0xD0))).sum(),
    }
    found = ", ".join(f"{count} {name}" for name, count in missing.items() if count > 0)
    return f"the tokens do not hold {found}" if found else ""


def implied_durations(
    tick: NDArray[np.int64], track: NDArray[np.int64], most: NDArray[np.int64]
) -> Table:
    """Return the durations that drum notes have unless they are stated.

    That is until the next onset of the track, at most a thirty-second: how `midi.encode` ends them.

    Args:
        tick: Onsets, rising within each track.
        track: Of each note; tracks of several files may have numbers of their own.
        most: Longest duration of each note, in ticks.
    """
    order = np.argsort(track, kind="stable")
    in_order, of = tick[order], track[order]
    last = np.append((np.diff(in_order) != 0) | (np.diff(of) != 0), True)
    ends = np.flatnonzero(last)
    # The onset after the last simultaneous note, if it is of the same track.
    after = np.minimum(ends + 1, len(tick) - 1)
    following = np.where(of[after] == of[ends], in_order[after], np.iinfo(np.int64).max)
    gap = np.repeat(following, np.diff(ends, prepend=-1)) - in_order
    durations = np.empty(len(tick), np.int32)
    durations[order] = np.minimum(np.where(gap > 0, gap, most[order]), most[order])
    return durations


def _of_tracks(lists: list[Any], names: tuple[str, ...]) -> Table:
    """Join the events of all tracks in one table."""
    filled = [(index, events.numpy()) for index, events in enumerate(lists) if len(events)]
    if not filled:
        return _NONE[len(names)]
    sizes = [len(events["time"]) for _, events in filled]
    table = np.empty((len(names), sum(sizes)), np.int32)
    start = 0
    for size, (index, events) in zip(sizes, filled, strict=True):
        part = table[:, start : start + size]
        for row, name in enumerate(names):
            part[row] = events[name] if name else index
        start += size
    tick = table[TICK]
    if len(filled) > 1 or (tick[1:] < tick[:-1]).any():
        table = table[:, tick.argsort(kind="stable")]
    return table.T


def _map(changes: Sequence[tuple[int, ...]], default: tuple[int, ...]) -> Table:
    """Return the changes that hold for some time, from tick 0 on."""
    if len(changes) == 1 and changes[0][0] == 0:
        return np.array(changes, np.int32)
    last = {tick: (tick, *values) for tick, *values in sorted(changes, key=lambda c: c[0])}
    rest = [last[tick] for tick in sorted(last)]
    return np.array(rest if 0 in last else [(0, *default), *rest], np.int32)
