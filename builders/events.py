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
from symusic import ControlChange, KeySignature, Note, PitchBend, Score, Tempo, TimeSignature, Track

from sousa.builders import smf
from sousa.builders.midi import SNARE

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
        names = [field.name for field in fields(self)]
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]  # arrays can change


def read(midi: bytes) -> Events:
    """Return the events of a MIDI file.

    An instrument that changes in a track makes a track of its own. Of several tempos or signatures
    at one tick the last one counts, and until the first, 120 quarter notes a minute and 4/4.

    Raises:
        ValueError: If the bytes are no MIDI file, or times are not in quarter notes.
    """
    return _events(_parsed(midi))


def read_all(midi: bytes) -> tuple[Events, str]:
    """Return the events of a MIDI file, and what is heard of it that is not among them.

    Returns:
        The events; and a line such as `2 notes that never end`, empty where nothing is missing.

    Raises:
        ValueError: As `read`.
    """
    score = _parsed(midi)
    events = _events(score)
    is_ours = bytes(score.dumps_midi()) == midi  # then nothing can be missing
    return events, "" if is_ours else _left_out(midi, events)


def _parsed(midi: bytes) -> Score:
    try:
        score = Score.from_midi(midi)
    except RuntimeError as error:
        raise ValueError(f"not a MIDI file of {len(midi)} bytes: {error}") from error
    if score.ticks_per_quarter < 1:
        raise ValueError(f"a quarter note must have ticks, got {score.ticks_per_quarter}")
    return score


def _events(score: Score) -> Events:
    tracks = list(score.tracks)
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
    for table in (events.notes, events.tempos, events.signatures, events.keys, events.controls):
        if len(table) and table[0, TICK] < 0:
            raise ValueError("times must not be negative: the file lasts longer than 2^31 ticks")
    return events


def _keys(keys: Any) -> Table:
    rows = sorted(((key.time, key.key, key.tonality) for key in keys), key=lambda row: row[0])
    return np.array(rows, np.int32)


def write(events: Events) -> bytes:
    """Return a MIDI file that holds some events, which `read` gives back."""
    score = Score(events.ticks_per_quarter)
    for tick, quarter_us in events.tempos.tolist():
        score.tempos.append(Tempo(tick, mspq=quarter_us))
    for tick, numerator, denominator in events.signatures.tolist():
        score.time_signatures.append(TimeSignature(tick, numerator, denominator))
    for tick, sharps, minor in events.keys.tolist():
        score.key_signatures.append(KeySignature(tick, sharps, minor))
    for index, (program, is_drum) in enumerate(events.instruments):
        score.tracks.append(_track(events, index, program, is_drum=is_drum))
    return bytes(score.dumps_midi())


def _track(events: Events, index: int, program: int, *, is_drum: bool) -> Track:
    notes, controls, bends = (
        table[table[:, TRACK] == index] for table in (events.notes, events.controls, events.bends)
    )
    is_snare = is_drum and bool(np.all(notes[:, PITCH] == SNARE))
    track = Track(name="snare" if is_snare else "", program=program, is_drum=is_drum)
    track.notes = Note.from_numpy(
        time=np.ascontiguousarray(notes[:, TICK]),
        duration=np.ascontiguousarray(notes[:, DURATION]),
        pitch=notes[:, PITCH].astype(np.int8),
        velocity=notes[:, VELOCITY].astype(np.int8),
    )
    for tick, _, number, value in controls.tolist():
        track.controls.append(ControlChange(tick, number, value))
    for tick, _, value in bends.tolist():
        track.pitch_bends.append(PitchBend(tick, value))
    return track


def _left_out(midi: bytes, events: Events) -> str:
    """Compare with what the file says byte by byte."""
    try:
        tracks = smf.parse(smf.unwrap(midi)).tracks
    except ValueError as error:
        return str(error)
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
    return ", ".join(f"{count} {name}" for name, count in missing.items() if count > 0)


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
