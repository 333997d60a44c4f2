"""Microphones: the colour that a transducer, its place and its distance give to a drum."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from sousa.builders.schema import SAMPLE_RATE

Curve = tuple[tuple[float, float], ...]
"""Points of a frequency response: Hz, dB."""

MICROPHONES: Final[Mapping[str, Curve]] = MappingProxyType(
    {
        "dynamic": (
            *((20, -6), (80, -3), (200, 0), (1000, 0), (3000, 3), (5000, 2)),
            *((8000, 0), (12_000, -3), (16_000, -8), (20_000, -15)),
        ),
        "condenser": (
            *((20, -3), (50, 0), (200, 0), (1000, 0), (5000, 1), (10_000, 2)),
            *((15_000, 1), (20_000, -2)),
        ),
        "ribbon": (
            *((20, -2), (100, 0), (500, 1), (1000, 0), (3000, -1), (5000, -2)),
            *((8000, -4), (12_000, -8), (16_000, -15), (20_000, -25)),
        ),
        "piezo": (
            *((20, -15), (100, -8), (300, -2), (800, 3), (2000, 5), (4000, 2)),
            *((6000, -2), (10_000, -8), (16_000, -15), (20_000, -25)),
        ),
    }
)
"""Response on axis of a typical microphone of each kind."""

POSITIONS: Final[Mapping[str, Curve]] = MappingProxyType(
    {
        "on_axis": ((20, 0), (20_000, 0)),
        "off_axis": ((20, 0), (2000, 0), (6000, -2), (12_000, -6), (20_000, -12)),
        "overhead": ((20, -6), (150, -3), (500, 0), (6000, 0), (12_000, -2), (20_000, -6)),
        "distant": ((20, -8), (120, -4), (400, 0), (3000, -1), (8000, -5), (20_000, -14)),
    }
)
"""What the place of the microphone adds."""

TAPS: Final = 1024
_GRID: Final = 4096
_PROXIMITY_M: Final = 0.3  # nearer than this, directional microphones gain bass
_PROXIMITY_DB: Final = 20.0  # per metre
_PROXIMITY_HZ: Final = 200.0


@lru_cache(maxsize=64)
def impulse_response(mic: str, position: str, distance_m: float) -> NDArray[np.float32]:
    """Return the minimum-phase response of a microphone, `(TAPS,)`: no sound is early or late.

    The phase follows from the response by way of its cepstrum (Oppenheim & Schafer,
    Discrete-Time Signal Processing, section 13.5).

    Args:
        mic: A name in `MICROPHONES`.
        position: A name in `POSITIONS`.
        distance_m: From the drum; below 0.3 m the bass rises.
    """
    hz = fft.rfftfreq(_GRID, 1 / SAMPLE_RATE)
    gain_db = _response(MICROPHONES[mic], hz) + _response(POSITIONS[position], hz)
    nearness = max(_PROXIMITY_M - distance_m, 0.0)
    gain_db += nearness * _PROXIMITY_DB / (1 + (hz / _PROXIMITY_HZ) ** 2)
    cepstrum = fft.irfft(gain_db * (np.log(10) / 20))
    cepstrum[1 : _GRID // 2] *= 2
    cepstrum[_GRID // 2 + 1 :] = 0
    return np.asarray(fft.irfft(np.exp(fft.rfft(cepstrum)))[:TAPS], np.float32)


def _response(curve: Curve, hz: NDArray[np.float64]) -> NDArray[np.float64]:
    points, gains_db = zip(*curve, strict=True)
    return np.asarray(np.interp(np.log(np.maximum(hz, 1)), np.log(points), gains_db))
