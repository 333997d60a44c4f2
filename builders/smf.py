"""Bytes of a standard MIDI file to its events, in arrays.

Reads all that the file says: the notes that are never ended, the order of simultaneous events, the
channel of each. What is damaged is refused with its place.

The format: RP-001, "Standard MIDI Files 1.0" (MIDI Manufacturers Association, 1996). Runs of
channel events are taken apart by regular expressions, which is far faster than a loop.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LONGEST_TICKS: Final = 2**31 - 1
"""Times are stored as int32."""

NOTE_OFF, NOTE_ON, CONTROL, PROGRAM = 0x80, 0x90, 0xB0, 0xC0
TRACK_NAME, END_OF_TRACK, SET_TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x03, 0x2F, 0x51, 0x58, 0x59
MAGIC: Final = b"MThd"
HEADER_BYTES: Final = 14
META: Final = 0xFF
ESCAPES: Final = (0xF0, 0xF7)
"""Beginnings of system exclusive events."""

_DELTA = rb"[\x80-\xff]{0,3}+[\x00-\x7f]"
_RUN: Final = re.compile(
    rb"(?:%(d)s[\x80-\xbf\xe0-\xef][\x00-\x7f]{2}(?:%(d)s[\x00-\x7f]{2})*+"
    rb"|%(d)s[\xc0-\xdf][\x00-\x7f])*+" % {b"d": _DELTA}
)
"""Channel events that begin with a status, and those of two data bytes that go on with it."""

_EVENT: Final = re.compile(
    rb"(%(d)s)([\x80-\xbf\xe0-\xef]?[\x00-\x7f]{2}|[\xc0-\xdf][\x00-\x7f]|\xff)" % {b"d": _DELTA}
)
"""One event of a run, or the mark of another: its delta and the rest."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Meta:
    """An event that is not of a channel.

    Attributes:
        tick: From the start of the file.
        kind: Its second byte, such as `SET_TEMPO`.
        content: Its data.
    """

    tick: int
    kind: int
    content: bytes


@dataclass(frozen=True, slots=True, eq=False)
class TrackEvents:
    """One track, in file order.

    Attributes:
        tick: Of each channel event, from the start of the file.
        status: Of each channel event, without its channel.
        channel: 0 to 15.
        data: Both data bytes, `(events, 2)`; the second is 0 where there is one.
        metas: All other events but system exclusive ones.
        end_tick: Of the last event of any kind.
    """

    tick: Ints
    status: Ints
    channel: Ints
    data: Ints
    metas: tuple[Meta, ...]
    end_tick: int


@dataclass(frozen=True, slots=True, eq=False)
class MidiFile:
    """What a standard MIDI file holds.

    Attributes:
        kind: 0, 1 or 2: the type in its header.
        ticks_per_quarter: Its division.
        tracks: In file order.
    """

    kind: int
    ticks_per_quarter: int
    tracks: tuple[TrackEvents, ...]


def unwrap(content: bytes) -> bytes:
    """Return the standard MIDI file in a RIFF container; other content as it is."""
    if content[:4] == b"RIFF" and content[8:16] == b"RMIDdata":
        return content[20 : 20 + int.from_bytes(content[16:20], "little")]
    return content


def parse(content: bytes) -> MidiFile:
    """Read a standard MIDI file.

    Raises:
        ValueError: If it is none, damaged, or of a kind whose times have no common unit.
    """
    kind, count, division = header(content)
    first = 8 + int.from_bytes(content[4:8], "big")
    return MidiFile(kind, division, tuple(_tracks(content, first, count)))


def header(content: bytes) -> tuple[int, int, int]:
    """Return type, number of tracks and ticks to the quarter note.

    Raises:
        ValueError: If the content begins with no header, or one of a kind whose times have no
            common unit.
    """
    if not content:
        raise ValueError("empty file")
    if not content.startswith(MAGIC[: len(content)]):
        raise ValueError(f"not a MIDI file: begins with {content[:4]!r}, must begin with {MAGIC!r}")
    if len(content) < HEADER_BYTES:
        raise ValueError(f"truncated: the header has {len(content)} of {HEADER_BYTES} bytes")
    size = int.from_bytes(content[4:8], "big")
    kind, count, division = (int.from_bytes(content[at : at + 2], "big") for at in (8, 10, 12))
    if size < HEADER_BYTES - 8 or kind > 2:
        raise ValueError(f"malformed header: {size} bytes, type {kind}")
    if division & 0x8000:
        raise ValueError("SMPTE division: ticks are parts of a second, not of a quarter note")
    if division == 0:
        raise ValueError("malformed header: 0 ticks to the quarter note")
    if kind == 2 and count > 1:
        raise ValueError(f"type 2: {count} patterns that have no common time")
    return kind, count, division


def _tracks(content: bytes, at: int, count: int) -> Iterator[TrackEvents]:
    """Yield the tracks that the header counts; other chunks and what follows are passed over."""
    found = 0
    while found < count:
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "big")
        if at + 8 + size > len(content) or len(name) < 4:
            left = max(0, len(content) - at - 8)
            raise ValueError(
                f"truncated: {found} of {count} tracks are whole, the next has {left} of "
                f"{size} bytes"
                if left
                else f"truncated: {found} of {count} tracks are there"
            )
        if name == b"MTrk":
            try:
                yield _track(content[at + 8 : at + 8 + size])
            except ValueError as error:
                raise ValueError(f"malformed track {found}: {error}") from None
            found += 1
        at += 8 + size


def _track(track: bytes) -> TrackEvents:
    """Take a track apart: runs of channel events by expression, all others one by one."""
    pieces: list[bytes] = []
    others: list[tuple[int, bytes]] = []
    at = status = 0
    run = slice(0, 0)
    while at < len(track):
        end = _RUN.match(track, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if end > at:
            run, status = slice(at, end), 0
            pieces.append(track[run])
            at = end
            continue
        after_delta = _after_varlen(track, at)
        delta, first = track[at:after_delta], track[after_delta : after_delta + 1]
        if not first:
            raise ValueError(f"ends within the event at byte {at}")
        if first[0] == META or first[0] in ESCAPES:
            kind, content, at = _other(track, after_delta)
            pieces.append(delta + b"\xff")
            others.append((kind, content))
            if kind == END_OF_TRACK:
                break
        else:
            status = status or _last_status(track[run])
            size = 1 if PROGRAM <= status < 0xE0 else 2
            data = track[after_delta : after_delta + size]
            if not status or len(data) < size or max(data) > 0x7F:
                raise ValueError(f"no event at byte {at}")
            pieces.append(delta + bytes([status]) + data)
            at = after_delta + size
    return _arrays(b"".join(pieces), others)


def _last_status(run: bytes) -> int:
    """Return the status that goes on after a run of events; 0 if there are none."""
    bodies = (body for _, body in reversed(_EVENT.findall(run)))
    return next((body[0] for body in bodies if body[0] >= 0x80), 0)


def _after_varlen(track: bytes, at: int) -> int:
    for end in range(at, min(at + 4, len(track))):
        if track[end] < 0x80:
            return end + 1
    raise ValueError(f"no number of variable length at byte {at}")


def _varlen(track: bytes, at: int) -> tuple[int, int]:
    end = _after_varlen(track, at)
    value = 0
    for byte in track[at:end]:
        value = value << 7 | byte & 0x7F
    return value, end


def _other(track: bytes, at: int) -> tuple[int, bytes, int]:
    """Return kind, content and end of a meta or system exclusive event; kind -1 is the latter."""
    kind, start = -1, at + 1
    if track[at] == META:
        if at + 1 >= len(track):
            raise ValueError(f"ends within the event at byte {at}")
        kind, start = track[at + 1], at + 2
    size, start = _varlen(track, start)
    if start + size > len(track):
        raise ValueError(f"the event at byte {at} has {len(track) - start} of {size} bytes")
    return kind, track[start : start + size], start + size


def _arrays(events: bytes, others: list[tuple[int, bytes]]) -> TrackEvents:
    deltas, bodies = zip(*_EVENT.findall(events), strict=True) if events else ((), ())
    tick = np.cumsum(_varlens(np.frombuffer(b"".join(deltas), np.uint8)))
    if len(tick) and tick[-1] > LONGEST_TICKS:
        raise ValueError(f"lasts {tick[-1]} ticks, more than {LONGEST_TICKS}")
    rest = np.frombuffer(b"".join(bodies), np.uint8).astype(np.int64)
    # Here a byte from 0x80 is a status; data bytes follow in pairs, or single after 0xC0-0xDF.
    place = np.flatnonzero(rest >= 0x80)
    status = rest[place]
    data_bytes = np.diff(place, append=len(rest)) - 1
    size = np.where((status >= 0xC0) & (status < 0xE0), 1, 2)
    repeats = np.where(status == META, 1, data_bytes // size)
    first = np.repeat(place + 1, repeats) + _counting(repeats) * np.repeat(size, repeats)
    status, size = np.repeat(status, repeats), np.repeat(size, repeats)
    is_channel = status != META
    padded = np.append(rest, [0, 0])
    second = np.where(size == 2, padded[np.minimum(first + 1, len(rest))], 0)
    data = np.stack([padded[np.minimum(first, len(rest))], second], axis=1)[is_channel]
    times = tick[~is_channel].tolist()
    return TrackEvents(
        tick=tick[is_channel],
        status=status[is_channel] & 0xF0,
        channel=status[is_channel] & 0x0F,
        data=data,
        metas=tuple(
            Meta(when, *other) for when, other in zip(times, others, strict=True) if other[0] >= 0
        ),
        end_tick=int(tick[-1]) if len(tick) else 0,
    )


def _varlens(stream: NDArray[np.uint8]) -> Ints:
    """Return the numbers of variable length that a stream consists of."""
    ends = np.flatnonzero(stream < 0x80)
    value = stream[ends].astype(np.int64)
    length = np.diff(ends, prepend=-1)
    for back in range(1, 4):
        longer = length > back
        value[longer] += (stream[ends[longer] - back].astype(np.int64) & 0x7F) << 7 * back
    return value


def _counting(repeats: Ints) -> Ints:
    """Return 0, 1, ... for each number of repeats, one after the other."""
    starts = np.cumsum(repeats) - repeats
    return np.arange(repeats.sum()) - np.repeat(starts, repeats)
