"""Electronics: saturation, compression, noise, narrow bands and coarse samples.

Nothing here looks ahead: a stroke is never heard before it is played.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from sousa.builders.keys import generator
from sousa.builders.schema import SAMPLE_RATE

Signal = NDArray[np.float32]

_NOISE_SAMPLES: Final = 1 << 19
_BLOCK: Final = 32  # samples to one value of the compressor's gain
_ATTACK_SEC: Final = 0.005
_RELEASE_DB_PER_SEC: Final = 120.0
_KNEE: Final = 0.8  # the limiter leaves alone what is softer


def _warm(x: Signal, drive: float) -> Signal:
    gain, bias = np.float32(1 + 4 * drive), np.float32(0.2)
    slope = gain * (1 - np.tanh(bias) ** 2)
    return np.asarray((np.tanh(gain * x + bias) - np.tanh(bias)) / slope, np.float32)


def _aggressive(x: Signal, drive: float) -> Signal:
    ceiling = np.float32(1 - 0.8 * drive)
    return np.asarray(np.clip(x, -ceiling, ceiling), np.float32)


PREAMPS: Final[Mapping[str, Callable[[Signal, float], Signal]]] = MappingProxyType(
    {"warm": _warm, "aggressive": _aggressive}
)
"""Preamplifiers that saturate: lopsided and round (even harmonics), or flat and hard (odd ones).

Each takes a signal and its drive in [0, 1].
"""

# Power over frequency of each colour.
_COLOURS: Final[Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "white": lambda hz: np.ones_like(hz),
    "pink": lambda hz: 1 / hz,
    "brown": lambda hz: 1 / hz**2,
    "hvac": lambda hz: 1 / (hz * (1 + (hz / 500) ** 4)) + _hum(hz),
    "room_tone": lambda hz: 1 / hz / (1 + (100 / hz) ** 4) / (1 + (hz / 4000) ** 4),
    "tape_hiss": lambda hz: 1 / (1 + (2000 / hz) ** 4),
}
NOISES: Final = tuple(_COLOURS)
"""Colours of noise."""


def _hum(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return narrow lines at the mains frequency of 60 Hz and its harmonics."""
    return np.asarray(sum(0.5 * np.exp(-(((hz - 60 * n) / 0.5) ** 2)) / n for n in (1, 2, 3)))


@lru_cache(maxsize=16)
def _noise(colour: str, low_hz: float | None, high_hz: float | None) -> Signal:
    rng = generator(0, "noise", colour)
    hz = np.maximum(fft.rfftfreq(_NOISE_SAMPLES, 1 / SAMPLE_RATE), 10.0)
    power = _COLOURS[colour](hz)
    power = power * (1 if low_hz is None else 1 / (1 + (low_hz / hz) ** 4))
    power = power * (1 if high_hz is None else 1 / (1 + (hz / high_hz) ** 4))
    noise = fft.irfft(fft.rfft(rng.standard_normal(_NOISE_SAMPLES)) * np.sqrt(power))
    return np.asarray(noise / noise.std(), np.float32)


def add_noise(
    x: Signal,
    colour: str,
    level_db: float,
    band_hz: tuple[float | None, float | None],
    rng: np.random.Generator,
) -> Signal:
    """Return the signal with noise.

    Args:
        x: `(samples,)`.
        colour: One of `NOISES`.
        level_db: RMS of the noise in dBFS, what `band_hz` leaves of it.
        band_hz: Low and high corner of what comes through, None for open.
        rng: Chooses the stretch of noise; 12 s, read in a ring.
    """
    noise = _stretch(_noise(colour, *band_hz), len(x), rng) * np.float32(10 ** (level_db / 20))
    noise += x
    return noise


def _stretch(ring: Signal, count: int, rng: np.random.Generator) -> Signal:
    """Return `count` samples of a ring from a random place on."""
    begin = int(rng.integers(0, len(ring)))
    if begin + count <= len(ring):
        return ring[begin : begin + count]
    return ring.take(np.arange(begin, begin + count), mode="wrap")


def compress(x: Signal, ratio: float, threshold_db: float) -> Signal:
    """Return the signal with what exceeds the threshold reduced.

    A feed-forward design with a decoupled peak detector (Giannoulis, Massberg & Reiss 2012,
    Journal of the Audio Engineering Society 60(6)), its gain worked out once in 32 samples: level
    falls at 120 dB/s at most, gain follows within 5 ms.

    Args:
        x: `(samples,)`.
        ratio: Excess over what is left of it, >= 1.
        threshold_db: In dBFS.
    """
    blocks = -(-len(x) // _BLOCK)
    padded = np.zeros(blocks * _BLOCK, np.float32)
    padded[: len(x)] = x
    tiles = padded.reshape(blocks, _BLOCK)
    level_db = 20 * np.log10(np.abs(tiles).max(axis=1) + 1e-6)
    fall = np.arange(blocks) * (_RELEASE_DB_PER_SEC * _BLOCK / SAMPLE_RATE)
    held_db = np.maximum.accumulate(level_db + fall) - fall
    wanted_db = (1 / ratio - 1) * np.maximum(held_db - threshold_db, 0)
    follow = float(np.exp(-_BLOCK / (_ATTACK_SEC * SAMPLE_RATE)))
    gain = 10 ** (signal.lfilter([1 - follow], [1, -follow], wanted_db) / 20)
    # A block moves between the gains that the two blocks before it asked for: never ahead of time.
    asked = np.concatenate([[1.0, 1.0], gain])[:-1].astype(np.float32)
    ramp = np.linspace(0, 1, _BLOCK, endpoint=False, dtype=np.float32)
    tiles *= asked[:-1, None] + np.diff(asked)[:, None] * ramp
    return padded[: len(x)]


def band_limit(x: Signal, low_hz: float | None, high_hz: float | None) -> Signal:
    """Return the signal between two corners (second-order Butterworth), None for open."""
    for corner, kind in ((low_hz, "highpass"), (high_hz, "lowpass")):
        if corner is not None:
            x = signal.sosfilt(_sections(corner, kind), x)
    return x


@lru_cache(maxsize=32)
def _sections(corner_hz: float, kind: str) -> Signal:
    sections = signal.butter(2, corner_hz, kind, fs=SAMPLE_RATE, output="sos")
    return np.asarray(sections, np.float32)


def hold(x: Signal, rate_hz: int) -> Signal:
    """Return the signal as a converter of a lower rate holds it, images and aliases included.

    Args:
        x: `(samples,)` at 44.1 kHz.
        rate_hz: A whole fraction of 44,100.
    """
    step = SAMPLE_RATE // rate_hz
    return np.repeat(x[::step], step)[: len(x)]


def quantise(x: Signal, bits: int, rng: np.random.Generator) -> Signal:
    """Return the signal in steps of a converter of `bits` bits, with triangular dither."""
    most = 2 ** (bits - 1) - 1
    steps = np.rint(x * np.float32(most + 1) + _stretch(_dither(), len(x), rng))
    return np.asarray(np.clip(steps, -most, most) / np.float32(most + 1), np.float32)


@lru_cache(maxsize=1)
def _dither() -> Signal:
    rng = generator(0, "dither")
    return np.asarray((rng.random((2, _NOISE_SAMPLES), np.float32) - np.float32(0.5)).sum(axis=0))


def limit(x: Signal) -> Signal:
    """Return the signal below 1; what is below 0.8 stays as it is, to the bit."""
    peak = float(np.abs(x).max(initial=0))
    if peak <= _KNEE:
        return x
    above = np.flatnonzero(np.abs(x) > _KNEE)
    room = 0.99 - _KNEE
    excess = (np.abs(x[above]) - _KNEE) / room
    limited = x.copy()
    limited[above] = np.sign(x[above]) * (_KNEE + room * np.tanh(excess))
    return limited
