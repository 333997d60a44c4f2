"""Waveforms to encoded bytes: FLAC, 16-bit WAV, and the resampler between them."""

import io
import struct

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

FULL_SCALE = 32_768
"""One over the step of 16-bit audio: sample `x` in [-1, 1) is stored as `round(x * FULL_SCALE)`."""


def quantise(wave: NDArray[np.float32]) -> NDArray[np.int16]:
    """Round a waveform in [-1, 1] to 16 bits; what lies outside is limited."""
    scaled: NDArray[np.float32] = np.rint(wave * np.float32(FULL_SCALE))
    return scaled.clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def resample(samples: NDArray[np.int16], from_hz: int, to_hz: int) -> NDArray[np.int16]:
    """Return mono 16-bit audio at another rate, by soxr's HQ filter.

    A loader that decodes the original and resamples it the same way gets the same samples, up to
    the rounding to 16 bits.
    """
    wave = samples.astype(np.float32) / np.float32(FULL_SCALE)
    return quantise(soxr.resample(wave, from_hz, to_hz, quality="HQ"))


def flac(samples: NDArray[np.int16], rate_hz: int) -> bytes:
    """Encode mono 16-bit audio as FLAC."""
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, rate_hz, format="FLAC", subtype="PCM_16")
    return encoded.getvalue()


def wav(samples: NDArray[np.int16], rate_hz: int) -> bytes:
    """Encode mono 16-bit audio as WAV: a 44-byte header, then the samples."""
    pcm = samples.astype("<i2").tobytes()
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(pcm), b"WAVE"),
        *(b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16),  # PCM, mono, bytes a second and a frame
        *(b"data", len(pcm)),
    )
    return header + pcm
