"""Sample rates change: by soxr's HQ filter, or by the one of torchaudio."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import soxr
from numpy.lib.stride_tricks import as_strided

from sousa.loaders.filters import Wave, sinc_filters

Resample = Callable[[Wave, int, int], Wave]

RESAMPLERS: Final = ("soxr", "torchaudio")
"""soxr HQ is flat to 7 kHz of 8, aliases below -140 dB; torchaudio loses 1.8 dB there."""

ONE_THREAD: Final = 2**18
"""Multiplications up to which OpenBLAS keeps to the calling thread: clips are the parallel work."""


def resampler(name: str) -> Resample:
    """Return the function that resamples a waveform.

    Args:
        name: `"soxr"`, or `"torchaudio"` for what `torchaudio.transforms.Resample` gives by
            default; torchaudio need not be installed.

    Returns:
        A function of samples, float32 `(T,)`, and of the rates in Hz before and after, whose
        result is float32 `(resampled_length(T, from_hz, to_hz, name),)`. Any number of threads
        may call it.

    Raises:
        ValueError: If there is no such resampler.

    Examples:
        >>> resampler("soxr")(np.zeros(441, np.float32), 44_100, 16_000).shape
        (160,)
    """
    check_resampler(name)
    return by_soxr if name == "soxr" else by_sinc


def check_resampler(name: str) -> None:
    """Refuse what is no resampler.

    Raises:
        ValueError: If there is no such resampler.
    """
    if name not in RESAMPLERS:
        raise ValueError(f"resampler must be one of {', '.join(RESAMPLERS)}; got {name!r}")


def resampled_length(length: int, from_hz: int, to_hz: int, name: str = "soxr") -> int:
    """Return how many samples a resampler makes of a waveform.

    Args:
        length: Samples before, >= 0.
        from_hz: Rate before.
        to_hz: Rate after.
        name: One of `RESAMPLERS`: soxr rounds, torchaudio rounds up, in float32.

    Raises:
        ValueError: If there is no such resampler.

    Examples:
        >>> [resampled_length(442, 44_100, 16_000, name) for name in RESAMPLERS]
        [160, 161]
    """
    check_resampler(name)
    if from_hz == to_hz:
        return length
    if name == "soxr":
        return (2 * length * to_hz + from_hz) // (2 * from_hz)
    common = math.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    return min(math.ceil(np.float32(up * length / down)), (length // down + 1) * up)


def by_soxr(wave: Wave, from_hz: int, to_hz: int) -> Wave:
    """Return a waveform, `(T,)`, at another rate, by soxr's HQ filter."""
    if from_hz == to_hz:
        return wave
    found: Wave = soxr.resample(wave, from_hz, to_hz, quality="HQ")
    return found


def by_sinc(wave: Wave, from_hz: int, to_hz: int) -> Wave:
    """Return a waveform, `(T,)`, at another rate, by the filter of torchaudio."""
    if from_hz == to_hz:
        return wave
    bank = sinc_filters(from_hz, to_hz)
    blocks = len(wave) // bank.down + 1
    pieces = math.ceil(blocks * bank.weights[0].size / ONE_THREAD)
    size = math.ceil(blocks / pieces)
    padded = np.zeros(bank.before + (pieces * size - 1) * bank.down + bank.after, np.float32)
    padded[bank.before : bank.before + len(wave)] = wave
    found = np.empty((pieces, size, bank.up), np.float32)
    step = padded.itemsize * bank.down
    for first, start, weights in bank.groups():
        inputs, outputs = weights.shape
        shape, strides = (pieces, size, inputs), (size * step, step, padded.itemsize)
        slices = as_strided(padded[start:], shape, strides, writeable=False)
        np.matmul(slices, weights, out=found[..., first : first + outputs])
    return found.reshape(-1)[: resampled_length(len(wave), from_hz, to_hz, "torchaudio")]
