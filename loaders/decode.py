"""Encoded clips become waveforms: decode, mono, resample."""

import io
import struct
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import soundfile
import soxr

Wave = npt.NDArray[np.float32]

RESAMPLER: Final = "HQ"
"""Quality of soxr: flat to 7 kHz, aliases below -140 dB. The same that prepares `audio_16k`."""

MARGIN_SEC: Final = 0.1
"""Audio that is decoded beyond a cut, so that the resampler's filter never sees the cut."""

FULL_SCALE: Final = np.float32(1 / 32768)
"""Value of one step of 16-bit audio, as soundfile and the builders have it."""


def decode(
    clip: pa.Buffer | bytes | None,
    rate_hz: int | None = None,
    declared_hz: int | None = None,
    max_sec: float | None = None,
) -> tuple[Wave, int]:
    """Return a clip's waveform, the mean of its channels, and its rate.

    Args:
        clip: An encoded audio file: WAV, FLAC, or whatever else libsndfile reads.
        rate_hz: Rate to resample to; None keeps the stored rate.
        declared_hz: Rate that the clip should be stored at; None accepts any.
        max_sec: Length that is needed; what lies beyond it may or may not be returned.

    Returns:
        The waveform, float32 of shape `(T,)`, and its rate in Hz.

    Raises:
        ValueError: If there is no audio in it, it is damaged, or its rate is not as declared.
    """
    if clip is None:
        raise ValueError("audio is null")
    if len(clip) == 0:
        raise ValueError("audio is empty: 0 bytes")
    wave, stored_hz = read_pcm16(clip) or read_any(clip, max_sec)
    if declared_hz is not None and stored_hz != declared_hz:
        raise ValueError(
            f"audio is stored at {stored_hz} Hz, the column declares {declared_hz} Hz "
            "(choose the rate by resample_rate, not by cast_column)"
        )
    if len(wave) == 0:
        raise ValueError("audio is empty: 0 samples")
    if max_sec is not None:
        wave = wave[: round((max_sec + MARGIN_SEC) * stored_hz)]
    if rate_hz is None or rate_hz == stored_hz:
        return wave, stored_hz
    return soxr.resample(wave, stored_hz, rate_hz, quality=RESAMPLER), rate_hz


def read_pcm16(clip: pa.Buffer | bytes) -> tuple[Wave, int] | None:
    """Return mono waveform and rate of a 16-bit PCM WAV file, straight from its bytes.

    Chunks and fields are those of Microsoft's "Multimedia Programming Interface and Data
    Specifications 1.0" (1991). Any other file gives None: libsndfile knows more.

    Raises:
        ValueError: If the file ends before its data does.
    """
    view = memoryview(clip)
    if bytes(view[:4]) != b"RIFF" or bytes(view[8:12]) != b"WAVE":
        return None
    channels = rate_hz = 0
    at = 12
    while at + 8 <= len(view):
        name, size = struct.unpack_from("<4sI", view, at)
        at += 8
        if name == b"fmt " and size >= 16 and at + 16 <= len(view):
            code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", view, at)
            if (code, bits) != (1, 16) or channels == 0:
                return None
        elif name == b"data":
            if not rate_hz or size == 0xFFFFFFFF:  # a stream that was never closed
                return None
            if at + size > len(view):
                raise ValueError(f"WAV ends after {len(view) - at} of {size} bytes of audio")
            samples = np.frombuffer(view[at : at + size], "<i2", size // (2 * channels) * channels)
            return mono(samples.reshape(-1, channels) * FULL_SCALE), rate_hz
        at += size + size % 2
    return None


def read_any(clip: pa.Buffer | bytes, max_sec: float | None = None) -> tuple[Wave, int]:
    """Return mono waveform and rate of an audio file that libsndfile can read.

    Args:
        clip: The whole file.
        max_sec: Length that is needed; a little more is decoded, the rest is not.

    Raises:
        ValueError: If it cannot be read, ends early, or holds NaN or infinite samples.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(clip)) as file:
            frames = file.frames
            if max_sec is not None:
                frames = min(frames, round((max_sec + MARGIN_SEC) * file.samplerate))
            samples = file.read(frames, dtype="float32", always_2d=True)
            rate_hz = file.samplerate
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        raise ValueError(f"audio cannot be decoded: {reason}") from error
    if len(samples) < frames:
        raise ValueError(f"audio ends after {len(samples)} of {frames} samples")
    if not np.isfinite(samples).all():
        raise ValueError("audio holds NaN or infinite samples")
    return mono(samples), rate_hz


def mono(samples: Wave) -> Wave:
    """Return the mean of the channels of `(T, channels)`, as `(T,)`."""
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)


def normalize(wave: Wave) -> Wave:
    """Return the waveform scaled to a peak of 1; silence stays silence."""
    peak = max(float(wave.max()), -float(wave.min()))
    return wave / np.float32(peak) if peak > 0 else wave
