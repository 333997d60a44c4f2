"""Whole FLAC files are decoded by dr_flac, which takes two thirds of the time of libFLAC."""

from typing import Any, NamedTuple

import numpy as np

from sousa.loaders.chunks import Clip
from sousa.loaders.sound import FULL_SCALE, MOST_PER_BYTE, Samples, Sound, mono

try:
    import miniaudio
except ImportError:  # libsndfile does it all
    miniaudio = None


class Format(NamedTuple):
    """What a FLAC file says of itself.

    Attributes:
        rate_hz: Samples of a second.
        channels: Number of channels.
        bits: Of each sample.
        frames: Samples of each channel; 0 where it does not say.
    """

    rate_hz: int
    channels: int
    bits: int
    frames: int


def format_of(clip: Clip) -> Format | None:
    """Return the format of a FLAC file, None for any other; fields are those of RFC 9639, 8.2."""
    head = bytes(memoryview(clip)[:26])
    if len(head) < 26 or head[:4] != b"fLaC" or head[4] & 127:
        return None
    packed = int.from_bytes(head[18:26], "big")
    return Format(packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1, packed & 2**36 - 1)


def read_flac(clip: Clip) -> Sound | None:
    """Return all samples of a FLAC file, the mean of its channels.

    None for anything else, for a file that is not whole, which libsndfile names better, and where
    miniaudio is not installed.
    """
    form = format_of(clip) if miniaudio is not None else None
    if form is None or not 0 < form.frames <= MOST_PER_BYTE * len(clip):
        return None
    read = miniaudio.flac_read_s16 if form.bits == 16 else miniaudio.flac_read_f32
    try:
        found: Any = read(bytes(clip))
    except miniaudio.DecodeError:
        return None
    samples: Samples
    if form.bits == 16:
        step, samples = FULL_SCALE, np.frombuffer(found.samples, np.int16)
    else:
        step, samples = 1.0, np.frombuffer(found.samples, np.float32)
    if len(samples) != form.frames * form.channels or found.sample_rate != form.rate_hz:
        return None
    return Sound(mono(samples.reshape(-1, form.channels)), step, form.rate_hz, len(clip))
