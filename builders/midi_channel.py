"""The same MIDI file with its snare on channel 10, where drums belong."""

from typing import Final

import numpy as np

from sousa.builders.midi import SNARE
from sousa.builders.smf import ESCAPES, META, NOTE_OFF, NOTE_ON, parse

DRUMS: Final = 9
"""Channel 10 as files have it."""


def snare_on_drums(midi: bytes) -> bytes:
    """Return a file whose channels that play nothing but the snare have become channel 10.

    Only the channels of their events change, no other byte: events that share a status share its
    channel too, and so move together.

    Raises:
        ValueError: If it is no MIDI file, or damaged.
    """
    moved = _snare_channels(midi)
    if not moved:
        return midi
    changed = bytearray(midi)
    at, tracks = 8 + int.from_bytes(midi[4:8], "big"), int.from_bytes(midi[10:12], "big")
    while tracks:
        end = at + 8 + int.from_bytes(midi[at + 4 : at + 8], "big")
        if midi[at : at + 4] == b"MTrk":
            _move(changed, at + 8, end, moved)
            tracks -= 1
        at = end
    return bytes(changed)


def _snare_channels(midi: bytes) -> set[int]:
    """Return the channels other than the drums' on which all notes are the snare."""
    snare: set[int] = set()
    other: set[int] = set()
    for track in parse(midi).tracks:
        is_note = (track.status == NOTE_ON) | (track.status == NOTE_OFF)
        is_snare = track.data[:, 0] == SNARE
        snare |= set(np.unique(track.channel[is_note & is_snare]).tolist())
        other |= set(np.unique(track.channel[is_note & ~is_snare]).tolist())
    return snare - other - {DRUMS}


def _move(midi: bytearray, at: int, end: int, moved: set[int]) -> None:
    """Change the channel of the events of one track, which is known to be sound."""
    status = 0
    while at < end:
        at = _after_number(midi, at)
        first = midi[at]
        if first == META or first in ESCAPES:
            at += 2 if first == META else 1
            is_end = first == META and midi[at - 1] == 0x2F
            after = _after_number(midi, at)
            at = after + _number(midi[at:after])
            if is_end:
                return
            continue
        if first >= 0x80:
            status = first
            if first & 0x0F in moved:
                midi[at] = first & 0xF0 | DRUMS
            at += 1
        at += 1 if 0xC0 <= status < 0xE0 else 2


def _after_number(midi: bytearray, at: int) -> int:
    while midi[at] >= 0x80:
        at += 1
    return at + 1


def _number(digits: bytearray) -> int:
    value = 0
    for digit in digits:
        value = value << 7 | digit & 0x7F
    return value
