"""A parsed MIDI file to what it plays: notes, pedals, tempos, signatures and programs, in order."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.smf import (
    CONTROL,
    KEY_SIGNATURE,
    NOTE_OFF,
    NOTE_ON,
    PROGRAM,
    SET_TEMPO,
    TIME_SIGNATURE,
    TRACK_NAME,
    Ints,
    MidiFile,
    TrackEvents,
)

DRUM_CHANNEL: Final = 10
"""Channels count from 1."""

PEDALS: Final = (64, 66, 67)
"""Controllers of the sustain, sostenuto and soft pedal."""

DEFAULT_QUARTER_US: Final = 500_000
"""Tempo until a file sets one: 120 quarter notes per minute."""

Arrays = dict[str, Ints]
"""Equally long columns by name."""

LENGTHS: Final = {SET_TEMPO: 3, TIME_SIGNATURE: 4, KEY_SIGNATURE: 2}
"""Bytes of data that an event of a kind must have, at least."""


@dataclass(frozen=True, eq=False)
class Events:
    """What a file plays. All arrays are in time order, simultaneous events in file order.

    Attributes:
        ticks_per_quarter: Unit of all ticks.
        notes: `track`, `channel` from 1, `pitch`, `velocity`, `program`, `onset_tick`,
            `duration_ticks`, `is_ended`: 0 where the file never ends the note; it then lasts
            until the next of its pitch, or to the end of its track.
        pedals: `track`, `channel`, `controller`, `value`, `tick`.
        program_changes: `track`, `channel`, `program`, `tick`.
        tempos: `tick`, `quarter_us`: microseconds per quarter note.
        time_signatures: `tick`, `numerator`, `denominator`.
        key_signatures: `tick`, `sharps` (flats below 0), `is_minor`.
        track_names: One for each track; empty where it has none.
    """

    ticks_per_quarter: int
    notes: Arrays
    pedals: Arrays
    program_changes: Arrays
    tempos: Arrays
    time_signatures: Arrays
    key_signatures: Arrays
    track_names: tuple[str, ...]

    @cached_property
    def _tempo_map(self) -> tuple[Ints, NDArray[np.float64], Ints]:
        """Return where tempos begin: tick, milliseconds, microseconds per quarter."""
        tick = np.append([0], self.tempos["tick"])
        quarter_us = np.append([DEFAULT_QUARTER_US], self.tempos["quarter_us"])
        elapsed = np.diff(tick) * quarter_us[:-1] / (1000 * self.ticks_per_quarter)
        return tick, np.append([0.0], np.cumsum(elapsed)), quarter_us

    def ms(self, tick: Ints) -> NDArray[np.float64]:
        """Return when ticks are, in milliseconds from the start of the file."""
        starts, start_ms, quarter_us = self._tempo_map
        at = np.searchsorted(starts, tick, side="right") - 1
        return start_ms[at] + (tick - starts[at]) * quarter_us[at] / (1000 * self.ticks_per_quarter)

    @cached_property
    def onset_ms(self) -> NDArray[np.float64]:
        """When the notes begin."""
        return self.ms(self.notes["onset_tick"])

    @cached_property
    def end_ms(self) -> NDArray[np.float64]:
        """When the notes end."""
        return self.ms(self.notes["onset_tick"] + self.notes["duration_ticks"])

    @property
    def duration_sec(self) -> float:
        """Time from the start of the file to the end of its last note."""
        return float(self.end_ms.max(initial=0)) / 1000

    @property
    def longest_silence_sec(self) -> float:
        """Longest time in which no note sounds, from the start of the file to its last note."""
        sounding_until = np.append([0.0], np.maximum.accumulate(self.end_ms))[:-1]
        return float((self.onset_ms - sounding_until).max(initial=0)) / 1000

    def digest(self) -> str:
        """Return a SHA-256 that files share which play the same.

        Tracks, names, and the order of simultaneous events make no difference.
        """
        found = hashlib.sha256(str(self.ticks_per_quarter).encode())
        for arrays in (self.notes, self.pedals, self.program_changes, *self._signatures):
            told = [arrays[name] for name in sorted(arrays) if name != "track"]
            table = np.stack(told).astype("<i4")
            found.update(str(table.shape).encode())
            found.update(np.ascontiguousarray(table[:, np.lexsort(table[::-1])]).tobytes())
        return found.hexdigest()

    @property
    def _signatures(self) -> tuple[Arrays, Arrays, Arrays]:
        return self.tempos, self.time_signatures, self.key_signatures


def events(file: MidiFile) -> Events:
    """Return what a file plays.

    Raises:
        ValueError: If an event of it has no meaning.
    """
    changes = _merged([_of_kind(n, t, PROGRAM) for n, t in enumerate(file.tracks)], "tick")
    program_changes = _named(changes, program=0)
    notes = _merged([_notes(number, track) for number, track in enumerate(file.tracks)])
    notes["program"] = _programs(notes, program_changes)
    controls = _merged([_of_kind(n, t, CONTROL) for n, t in enumerate(file.tracks)], "tick")
    is_pedal = np.isin(controls["first"], PEDALS)
    tempos = _metas(file, SET_TEMPO)
    if not all(quarter_us for _, quarter_us in tempos):
        raise ValueError("malformed: a tempo of 0 microseconds a quarter note")
    return Events(
        ticks_per_quarter=file.ticks_per_quarter,
        notes=notes,
        pedals={
            name: cells[is_pedal] for name, cells in _named(controls, controller=0, value=1).items()
        },
        program_changes=program_changes,
        tempos=_columns(tempos, "tick", "quarter_us"),
        time_signatures=_columns(_metas(file, TIME_SIGNATURE), "tick", "numerator", "denominator"),
        key_signatures=_columns(_metas(file, KEY_SIGNATURE), "tick", "sharps", "is_minor"),
        track_names=tuple(_name(track) for track in file.tracks),
    )


def _notes(number: int, track: TrackEvents) -> Arrays:
    """Pair the beginnings of notes with their ends: of one pitch, first begun is first ended."""
    chosen = np.flatnonzero((track.status == NOTE_ON) | (track.status == NOTE_OFF))
    key = track.channel[chosen] * 128 + track.data[chosen, 0]
    chosen = chosen[np.argsort(key, kind="stable")]
    key = track.channel[chosen] * 128 + track.data[chosen, 0]
    tick, velocity = track.tick[chosen], track.data[chosen, 1]
    is_on = (track.status[chosen] == NOTE_ON) & (velocity > 0)
    is_first = np.diff(key, prepend=-1) != 0
    group = np.cumsum(is_first) - 1
    ends_none = _ends_none(is_on, is_first, group)
    ons, offs = np.flatnonzero(is_on), np.flatnonzero(~is_on & ~ends_none)
    groups = int(group[-1]) + 1 if len(group) else 0
    first_on, first_off = (np.searchsorted(group[places], range(groups)) for places in (ons, offs))
    match = first_off[group[ons]] + np.arange(len(ons)) - first_on[group[ons]]
    in_group = np.append(group[offs], [-1])[np.minimum(match, len(offs))] == group[ons]
    begun_again = np.append(key[ons], [-1])[1:] == key[ons]
    next_on = np.where(begun_again, np.append(tick[ons], [0])[1:], track.end_tick)
    end = np.where(in_group, np.append(tick[offs], [0])[np.minimum(match, len(offs))], next_on)
    back = np.argsort(chosen[ons], kind="stable")
    return {
        "track": np.full(len(ons), number, np.int64),
        "channel": key[ons][back] // 128 + 1,
        "pitch": key[ons][back] % 128,
        "velocity": velocity[ons][back],
        "onset_tick": tick[ons][back],
        "duration_ticks": (end - tick[ons])[back],
        "is_ended": in_group[back].astype(np.int64),
    }


def _ends_none(
    is_on: NDArray[np.bool_], is_first: NDArray[np.bool_], group: Ints
) -> NDArray[np.bool_]:
    """Find note-offs that come when no note of their pitch sounds.

    Those are where the balance of ons and offs falls below all that it has been. Groups are laid
    so far below each other that the lowest of one is above all of the next.
    """
    balance = np.cumsum(np.where(is_on, 1, -1))
    before = np.append([0], balance)[:-1][is_first]
    floor = -group * (2 * len(group) + 2)
    level = balance - before[group] + floor if len(group) else balance
    lowest = np.minimum.accumulate(np.minimum(level, floor))
    lowest_before = np.where(is_first, floor, np.append([0], lowest)[:-1])
    found: NDArray[np.bool_] = level < lowest_before
    return found


def _of_kind(number: int, track: TrackEvents, status: int) -> Arrays:
    chosen = track.status == status
    return {
        "track": np.full(int(chosen.sum()), number, np.int64),
        "channel": track.channel[chosen] + 1,
        "first": track.data[chosen, 0],
        "second": track.data[chosen, 1],
        "tick": track.tick[chosen],
    }


def _named(events: Arrays, **data: int) -> Arrays:
    """Return events of one kind with their data bytes under the names they have there."""
    named = {name: events[("first", "second")[byte]] for name, byte in data.items()}
    return {"track": events["track"], "channel": events["channel"], **named, "tick": events["tick"]}


def _merged(tracks: list[Arrays], by: str = "onset_tick") -> Arrays:
    """Join the arrays of all tracks in time order."""
    if not tracks:
        empty = TrackEvents(*(np.empty(0, np.int64),) * 3, np.empty((0, 2), np.int64), (), 0)
        tracks = [_notes(0, empty) | _of_kind(0, empty, 0)]
    joined = {name: np.concatenate([track[name] for track in tracks]) for name in tracks[0]}
    order = np.argsort(joined[by], kind="stable")
    return {name: cells[order] for name, cells in joined.items()}


def _programs(notes: Arrays, changes: Arrays) -> Ints:
    """Return the program that each note's channel has when the note begins; 0 until it is set."""
    program = np.zeros(len(notes["channel"]), np.int64)
    for channel in np.unique(changes["channel"]).tolist():
        mine, theirs = notes["channel"] == channel, changes["channel"] == channel
        at = np.searchsorted(changes["tick"][theirs], notes["onset_tick"][mine], side="right")
        program[mine] = np.append([0], changes["program"][theirs])[at]
    return program


def _metas(file: MidiFile, kind: int) -> list[tuple[int, ...]]:
    """Return the values of one kind of event in all tracks, each after its tick."""
    found = [meta for track in file.tracks for meta in track.metas if meta.kind == kind]
    found.sort(key=lambda meta: meta.tick)
    if any(len(meta.content) < LENGTHS[kind] for meta in found):
        raise ValueError(f"malformed: an event of type 0x{kind:02x} is too short")
    return [(meta.tick, *_values(kind, meta.content)) for meta in found]


def _values(kind: int, content: bytes) -> tuple[int, ...]:
    match kind:
        case 0x51:  # SET_TEMPO
            return (int.from_bytes(content[:3], "big"),)
        case 0x58:  # TIME_SIGNATURE: the denominator is stored as its logarithm
            if content[1] > 15:
                raise ValueError(f"malformed: a time signature of {content[0]}/2^{content[1]}")
            return content[0], 1 << content[1]
        case _:
            return int.from_bytes(content[:1], signed=True), content[1]


def _columns(rows: list[tuple[int, ...]], *names: str) -> Arrays:
    table = np.array(rows, np.int64).reshape(-1, len(names))
    return {name: table[:, place] for place, name in enumerate(names)}


def _name(track: TrackEvents) -> str:
    """Return a track's name; the format says nothing of its encoding."""
    content = next((meta.content for meta in track.metas if meta.kind == TRACK_NAME), b"")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
