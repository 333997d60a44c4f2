"""Messages of tracks to the bytes of a standard MIDI file.

Notes of a length of 0 end at once, before the next one begins, so simultaneous notes keep their
order. All else is written as symusic does it: running status, and names and tempos in the first
track.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

LONGEST_WAIT: Final = 2**28 - 1
"""Ticks from one message to the next; a longer wait is broken by empty texts."""

EMPTY_TEXT: Final = b"\xff\x01\x00"
END: Final = b"\xff\x2f\x00"

METER, KEY, TEMPO, NAME, PROGRAM, CONTROL, BEND, OFF, ON = range(9)
"""Ranks: the order of simultaneous messages."""


class Message(NamedTuple):
    """One message.

    Attributes:
        tick: When it is.
        rank: Where it stands among simultaneous ones; those of one rank stay in order.
        data: Its bytes, with a status.
    """

    tick: int
    rank: int
    data: bytes


def note(channel: int, tick: int, pitch: int, velocity: int, duration: int) -> Iterable[Message]:
    """Return the messages of a note."""
    yield Message(tick, ON, bytes((0x90 | channel, pitch, velocity)))
    rank = OFF if duration else ON
    yield Message(tick + duration, rank, bytes((0x80 | channel, pitch, velocity)))


def meta(tick: int, rank: int, kind: int, content: bytes) -> Message:
    """Return a message that is not of a channel."""
    return Message(tick, rank, bytes((0xFF, kind)) + _varlen(len(content)) + content)


def smf(ticks_per_quarter: int, tracks: Sequence[Iterable[Message]]) -> bytes:
    """Return a file of type 1."""
    numbers = (1, len(tracks), ticks_per_quarter)
    header = b"MThd" + (6).to_bytes(4, "big") + b"".join(n.to_bytes(2, "big") for n in numbers)
    return header + b"".join(map(_chunk, tracks))


def _chunk(messages: Iterable[Message]) -> bytes:
    parts, now, status = [], 0, 0
    for tick, _, data in sorted(messages, key=lambda message: message[:2]):
        while tick - now > LONGEST_WAIT:
            parts += [_varlen(LONGEST_WAIT), EMPTY_TEXT]
            now, status = now + LONGEST_WAIT, 0
        parts += [_varlen(tick - now), data[1:] if data[0] == status else data]
        now, status = tick, data[0] if data[0] < 0xF0 else 0
    content = b"".join([*parts, _varlen(1), END])
    return b"MTrk" + len(content).to_bytes(4, "big") + content


def _varlen(number: int) -> bytes:
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))
