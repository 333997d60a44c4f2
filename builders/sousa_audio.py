"""An audio file of the existing layout to a clip as built ones are: mono, 16 bits, 44.1 kHz, FLAC.

Channels become their mean. Samples of more than 16 bits are rounded to the nearest step without
dither: the error stays below -96 dBFS, far under the noise of any recording here, the same file
gives the same bytes, and a loader that reads the source gets these samples up to that rounding.
"""

import io
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from sousa.builders import encoding
from sousa.builders.schema import SAMPLE_RATE

FORMATS: Final = {
    ".flac": ("FLAC",),
    ".wav": ("WAV", "WAVEX", "RF64"),
    ".ogg": ("OGG",),
    ".mp3": ("MP3", "MPEG"),
}
"""What libsndfile calls the formats of files, by what the files are called."""

MOST_PER_BYTE: Final = 8192
"""Samples that a byte may stand for: a file that claims more is damaged, and there would be no
memory for it."""

MOST_SAMPLES: Final = 1 << 26
"""Of all channels: 12 minutes of stereo. A clip is some seconds long, and decoded as a whole."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadClip:
    """One clip.

    Attributes:
        flac: Mono, 16 bits, `SAMPLE_RATE`; the file's own bytes where it is like that.
        samples: What is in it, int16, `(T,)`.
    """

    flac: bytes
    samples: NDArray[np.int16]

    @property
    def duration_sec(self) -> float:
        """Length of the clip."""
        return len(self.samples) / SAMPLE_RATE


def read_clip(name: str, content: bytes) -> ReadClip:
    """Read a file.

    Args:
        name: Of the file; what its suffix says, its content must be.
        content: Its bytes.

    Raises:
        ValueError: If it is empty, damaged, or of another format.
    """
    if not content:
        raise ValueError("is empty")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            _check_format(name, file, len(content))
            if _is_as_built(file):
                samples = _read(file, "int16")[:, 0]
                return ReadClip(content, samples)
            wave = _read(file, "float32")
            rate_hz = file.samplerate
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        raise ValueError(f"cannot be decoded: {reason}") from error
    if not np.isfinite(wave).all():
        raise ValueError("holds NaN or infinite samples")
    mono = wave[:, 0].copy()
    for channel in wave.T[1:]:
        mono += channel
    mono /= np.float32(wave.shape[1])
    if rate_hz != SAMPLE_RATE:
        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE, quality="HQ")
    samples = encoding.quantise(mono)
    return ReadClip(encoding.flac(samples, SAMPLE_RATE), samples)


def _check_format(name: str, file: soundfile.SoundFile, size: int) -> None:
    suffix = PurePosixPath(name).suffix.lower()
    allowed = FORMATS.get(suffix, (file.format,))
    if file.format not in allowed:
        raise ValueError(f"is {file.format}, not what {suffix} says")
    if file.frames <= 0:
        raise ValueError("holds no samples")
    if file.frames > MOST_PER_BYTE * size:
        raise ValueError(f"claims {file.frames} samples in {size} bytes")
    if file.frames * file.channels > MOST_SAMPLES:
        raise ValueError(f"has {file.frames} x {file.channels} samples, more than {MOST_SAMPLES}")


def _is_as_built(file: soundfile.SoundFile) -> bool:
    kind = (file.format, file.subtype, file.channels, file.samplerate)
    return kind == ("FLAC", "PCM_16", 1, SAMPLE_RATE)


def _read(file: soundfile.SoundFile, dtype: str) -> NDArray[Any]:
    samples: NDArray[Any] = file.read(dtype=dtype, always_2d=True)
    if len(samples) < file.frames:
        raise ValueError(f"ends after {len(samples)} of {file.frames} samples")
    return samples
