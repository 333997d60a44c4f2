"""Samples that are not scaled yet, and what they are worth."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float32]
Samples = Wave | npt.NDArray[np.int16]

FULL_SCALE: Final = 1 / 32768
"""Value of one step of 16-bit audio, as soundfile and the builders have it."""

MOST_PER_BYTE: Final = 8192
"""Samples that a byte of any format may stand for: FLAC has 65,535 of silence in 12. A file that
claims more is damaged, and memory for what it claims would not be there."""


class Sound(NamedTuple):
    """A waveform that is not scaled yet.

    Attributes:
        samples: int16 or float32, `(T,)`.
        step: What one unit of them is worth.
        rate_hz: Samples of a second.
        nbytes: Bytes of the encoded clip.
        lent: Whether the samples are the encoded clip's own, not a copy.
    """

    samples: Samples
    step: float
    rate_hz: int
    nbytes: int = 0
    lent: bool = False

    def peak(self) -> float:
        """Return the largest deviation from zero, in units of the samples; 0 without samples."""
        if not len(self.samples):
            return 0.0
        return max(float(self.samples.max()), -float(self.samples.min()))


def mono(samples: Samples) -> Samples:
    """Return the mean of the channels of `(T, channels)`, as `(T,)`."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    mean: Wave = samples.mean(axis=1, dtype=np.float32)
    return mean


def floating(sound: Sound) -> Wave:
    """Return the values of a waveform, float32 `(T,)`."""
    if sound.step == 1.0:
        return np.asarray(sound.samples, np.float32)
    return sound.samples * np.float32(sound.step)
