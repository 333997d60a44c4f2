"""16-bit WAV files are used where they are."""

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np

from sousa.loaders.chunks import Clip
from sousa.loaders.sound import FULL_SCALE, Sound, mono

PLAIN_WAV: Final = struct.Struct("<4sI12sHHIIHH4sI")
"""A WAV file's first 44 bytes, where nothing but its format is before its data."""

USUAL: Final = (b"RIFF", b"WAVEfmt \x10\0\0\0", 1, 1, 16, b"data")
"""What it says of itself: 16 bytes of format, PCM, one channel, 16 bits."""


def read_pcm16(clip: Clip) -> Sound | None:
    """Return the samples of a 16-bit PCM WAV file where they are, if it is mono, or their mean.

    Chunks and fields are those of Microsoft's "Multimedia Programming Interface and Data
    Specifications 1.0" (1991). Any other file gives None: libsndfile knows more.

    Raises:
        ValueError: If the file ends before its data does.
    """
    view = memoryview(clip)
    if len(view) > PLAIN_WAV.size:  # as nearly all are
        riff, _, form, code, channels, rate_hz, _, _, bits, name, size = PLAIN_WAV.unpack_from(view)
        as_usual = (riff, form, code, channels, bits, name) == USUAL
        if as_usual and rate_hz and size <= len(view) - PLAIN_WAV.size:
            samples = np.frombuffer(view, "<i2", size // 2, PLAIN_WAV.size)
            return Sound(samples, FULL_SCALE, rate_hz, len(view), lent=True)
    if bytes(view[:4]) != b"RIFF" or bytes(view[8:12]) != b"WAVE":
        return None
    return from_chunks(view)


def from_chunks(view: memoryview) -> Sound | None:
    """Return the samples of a RIFF file of any chunks, see `read_pcm16`.

    Raises:
        ValueError: If the file ends before its data does.
    """
    channels = rate_hz = 0
    for name, at, size in chunks_of(view):
        if name == b"fmt " and size >= 16 and at + 16 <= len(view):
            code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", view, at)
            if (code, bits) != (1, 16) or channels == 0:
                return None
        elif name == b"data":
            if not rate_hz or size == 0xFFFFFFFF:  # a stream that was never closed
                return None
            if at + size > len(view):
                raise ValueError(f"WAV ends after {len(view) - at} of {size} bytes of audio")
            samples = np.frombuffer(view, "<i2", size // (2 * channels) * channels, at)
            wave = mono(samples.reshape(-1, channels))
            return Sound(wave, FULL_SCALE, rate_hz, len(view), lent=channels == 1)
    return None


def chunks_of(riff: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, place and size of each chunk of a RIFF file."""
    at = 12
    while at + 8 <= len(riff):
        name, size = struct.unpack_from("<4sI", riff, at)
        yield name, at + 8, size
        at += 8 + size + size % 2
