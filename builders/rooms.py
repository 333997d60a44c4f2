"""Rooms: what is heard of a drum by way of the walls."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from sousa.builders.keys import generator
from sousa.builders.schema import SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room and how it decays.

    Attributes:
        name: As in the `aug_room_type` column.
        rt60_sec: Time in which its sound falls by 60 dB at 1 kHz, (0, 10].
        predelay_ms: From the direct sound to the first reflection.
        early_ms: How long single reflections stand out.
        early_db: Their energy re the whole.
        treble: Decay time above 4 kHz, over that below, (0, 1].

    Raises:
        ValueError: If it could not decay.
    """

    name: str
    rt60_sec: float
    predelay_ms: float
    early_ms: float
    early_db: float
    treble: float

    def __post_init__(self) -> None:
        """Refuse rooms that could not decay."""
        if not 0 < self.rt60_sec <= 10:
            raise ValueError(f"room {self.name}: rt60_sec must be in (0, 10], got {self.rt60_sec}")
        if not 0 < self.treble <= 1:
            raise ValueError(f"room {self.name}: treble must be in (0, 1], got {self.treble}")


# fmt: off
_ROOMS: Final = (
    Room(name="bedroom",       rt60_sec=0.25, predelay_ms=1,  early_ms=5,  early_db=-3, treble=0.6),
    Room(name="practice_room", rt60_sec=0.35, predelay_ms=2,  early_ms=8,  early_db=-4, treble=0.8),
    Room(name="studio",        rt60_sec=0.50, predelay_ms=5,  early_ms=15, early_db=-6, treble=0.7),
    Room(name="garage",        rt60_sec=0.80, predelay_ms=4,  early_ms=25, early_db=-3, treble=0.9),
    Room(name="gym",           rt60_sec=1.50, predelay_ms=15, early_ms=50, early_db=-5, treble=0.8),
    Room(name="concert_hall",  rt60_sec=2.00, predelay_ms=20, early_ms=40, early_db=-7, treble=0.6),
    Room(name="outdoor",       rt60_sec=0.12, predelay_ms=4,  early_ms=3,  early_db=-1, treble=0.9),
)
# fmt: on
ROOMS: Final[Mapping[str, Room]] = MappingProxyType({room.name: room for room in _ROOMS})
"""Every room by its name."""

_REFLECTIONS: Final = 7
_HEARD_DB: Final = 54.0  # the tail is cut where it is this far below its beginning
_TREBLE_HZ: Final = 4000.0


@lru_cache(maxsize=16)
def impulse_response(room: Room) -> NDArray[np.float32]:
    """Return what the room adds to the direct sound, `(samples,)` of energy 1.

    Sample 0 is the arrival of the direct sound, which is not part of it. A few reflections stand
    out, then a tail of noise decays exponentially, sooner in the treble (Moorer 1979,
    doi:10.2307/3680280). Always the same for the same room.
    """
    rng = generator(0, "room", room.name)
    count = int(room.rt60_sec * SAMPLE_RATE * _HEARD_DB / 60)
    first = int(room.predelay_ms / 1000 * SAMPLE_RATE)
    early = np.zeros(first + count)
    spread = np.sort(rng.uniform(0, room.early_ms / 1000 * SAMPLE_RATE, _REFLECTIONS))
    places = first + np.concatenate([[0], spread]).astype(int)
    heights = 0.75 ** np.arange(len(places)) * rng.uniform(0.7, 1, len(places))
    np.add.at(early, places, heights * rng.choice([-1, 1], len(places)))
    tail = np.concatenate([np.zeros(first), _tail(room, count, rng)])
    share = 10 ** (room.early_db / 10)
    mixed = early * np.sqrt(share / np.sum(early**2)) + tail * np.sqrt(
        (1 - share) / np.sum(tail**2)
    )
    return np.asarray(mixed / np.sqrt(np.sum(mixed**2)), np.float32)


@lru_cache(maxsize=32)
def spectrum(room: Room, nfft: int) -> NDArray[np.complex64]:
    """Return the transform of the impulse response, `(nfft // 2 + 1,)`."""
    return np.asarray(fft.rfft(impulse_response(room), nfft))


def _tail(room: Room, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    noise = fft.rfft(rng.standard_normal(count))
    hz = fft.rfftfreq(count, 1 / SAMPLE_RATE)
    treble = hz**4 / (hz**4 + _TREBLE_HZ**4)
    time = np.arange(count) / SAMPLE_RATE
    low = fft.irfft(noise * np.sqrt(1 - treble), count) * _decay(time, room.rt60_sec)
    high = fft.irfft(noise * np.sqrt(treble), count) * _decay(time, room.rt60_sec * room.treble)
    return np.asarray(low + high)


def _decay(time_sec: NDArray[np.float64], rt60_sec: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.log(1000) * time_sec / rt60_sec))
