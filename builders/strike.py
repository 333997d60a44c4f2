"""What each stroke gives to the drum: how much of every mode, of the wires, and of its attack.

How the push is made decides the timbre. A harder stick leaves the head sooner and so reaches
higher modes; near the rim it reaches other modes than near the centre; the wires answer louder,
brighter and longer the harder they are thrown.
"""

from dataclasses import astuple, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sousa.builders.kits import Kit
from sousa.builders.resonators import BAND_CENTRES_HZ, GLIDE_LEVELS, NOISE_SAMPLES, Resonators
from sousa.builders.strokes import ACCENT, BUZZ, DIDDLE, GRACE, RIGHT, TAP, Strokes

LOUDNESS: Final = 1.8
"""Exponent of amplitude over velocity; General MIDI recommends 2 (40 dB a decade, RP-003)."""


@dataclass(frozen=True, slots=True)
class Touch:
    """How a kind of stroke meets the head.

    Attributes:
        place: Distance from the centre, over the radius.
        contact: Length of the contact, over that of a tap.
        head: Gain of the head.
        click: Gain of the stick's attack.
        wires: Gain of the wires.
        kept: Share of what still rings that the stick leaves ringing.
    """

    place: float
    contact: float
    head: float
    click: float
    wires: float
    kept: float


TOUCHES: Final = {
    TAP: Touch(0.24, 1.0, 1.0, 1.0, 1.0, 0.75),
    ACCENT: Touch(0.18, 0.95, 1.0, 1.0, 1.0, 0.75),
    GRACE: Touch(0.32, 1.25, 0.9, 0.7, 0.6, 0.85),  # from low above the head, off the centre
    DIDDLE: Touch(0.26, 1.05, 1.0, 0.95, 1.0, 0.8),
    BUZZ: Touch(0.28, 1.6, 0.8, 0.5, 0.4, 0.5),  # pressed into the head
}
_TOUCH_TABLE: Final = np.array([astuple(TOUCHES[kind]) for kind in sorted(TOUCHES)])
# No two sticks weigh the same, and no two hands fall on the same place.
_LEFT_PLACE: Final = 0.05
_LEFT_CONTACT: Final = 1.08
_LEFT_CLICK: Final = 0.85
# Nor do two strokes of one hand.
_JITTER_PLACE: Final = 0.03
_JITTER: Final = 0.05  # of the logarithm of contact, modes and bands

_HERTZ: Final = 0.2  # contact time falls with impact speed to the power 1/5 (Hertz 1882)
_BRIGHTEN: Final = 0.5  # the highest wire band grows with amplitude to the power 1.5, the lowest 1
_RATTLE: Final = 2.0  # the rattle grows with amplitude to this power


@dataclass(frozen=True, slots=True)
class Push:
    """What strokes give to a drum, each array `(strokes, ...)`.

    Attributes:
        modes: Amplitude of each mode.
        wires: Amplitude of the wires in each noise band.
        rattle: Likewise of what rattles on.
        click: Likewise of the stick's attack.
        kept: Share of what still rings that the stick leaves ringing.
        glide: How hard the head is stretched, index of `Resonators.glide`.
        offset: Where in the noise the stroke begins.
    """

    modes: NDArray[np.float64]
    wires: NDArray[np.float64]
    rattle: NDArray[np.float64]
    click: NDArray[np.float64]
    kept: NDArray[np.float64]
    glide: NDArray[np.int64]
    offset: NDArray[np.int64]


def push(strokes: Strokes, kit: Kit, drum: Resonators, rng: np.random.Generator) -> Push:
    """Return what strokes give to a drum.

    Args:
        strokes: Their velocities, hands and kinds count here, not their times.
        kit: The drum.
        drum: Its sounding parts.
        rng: Source of what differs from stroke to stroke.
    """
    count, bands, modes = len(strokes), len(BAND_CENTRES_HZ), len(drum.poles)
    place, contact, head, click, wires, kept = _TOUCH_TABLE[strokes.stroke_type].T
    left = strokes.hand != RIGHT
    place = place + left * _LEFT_PLACE + _JITTER_PLACE * rng.standard_normal(count)
    amplitude = (strokes.actual_velocity / 127) ** LOUDNESS
    contact_sec = kit.contact_ms / 1000 * amplitude**-_HERTZ * contact * _LEFT_CONTACT**left
    contact_sec *= _jitter(rng, count)
    reach = _reach(drum, place, contact_sec) * (amplitude * head)[:, None]
    buzz = _wire_bands(kit) * (amplitude * wires)[:, None] * _jitter(rng, count, bands)
    slope = np.linspace(0, _BRIGHTEN, bands)
    attack = amplitude * click * _LEFT_CLICK**left
    return Push(
        modes=reach * _jitter(rng, count, modes),
        wires=buzz * amplitude[:, None] ** slope,
        rattle=buzz * amplitude[:, None] ** (_RATTLE - 1) * 10 ** (kit.rattle_db / 20),
        click=_click_bands(kit, contact_sec) * attack[:, None] * _jitter(rng, count, bands),
        kept=kept,
        glide=np.rint(amplitude * (GLIDE_LEVELS - 1)).astype(np.int64),
        offset=rng.integers(0, NOISE_SAMPLES, count),
    )


def _jitter(rng: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    return np.asarray(np.exp(_JITTER * rng.standard_normal(shape)))


def _reach(
    drum: Resonators, place: NDArray[np.float64], contact_sec: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how much of each mode strokes at these places reach, `(strokes, modes)`.

    A mode answers as far as it moves at the place of the stroke, J_m(zero * place) (Rossing 2000,
    section 1.3), and as far as the push holds its frequency.
    """
    shape = special.jv(np.maximum(drum.orders, 0), drum.zeros * np.abs(place)[:, None])
    return np.asarray(shape * drum.gains * _spectrum(drum.frequencies_hz, contact_sec) / 3)


def _spectrum(hz: NDArray[np.float64], contact_sec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the envelope of a half-sine push's spectrum, 1 at 0 Hz, `(pushes, frequencies)`.

    The push itself, cos(pi f T) / (1 - (2 f T)^2), has gaps that no real contact has: it is never
    quite a half sine.
    """
    return np.asarray(1 / (1 + (2 * hz * contact_sec[:, None]) ** 2))


def _wire_bands(kit: Kit) -> NDArray[np.float64]:
    octaves = np.log2(BAND_CENTRES_HZ / kit.wires_hz) / kit.wires_octaves
    return np.asarray(10 ** (kit.wires_db / 20) * np.exp(-(octaves**2)))


def _click_bands(kit: Kit, contact_sec: NDArray[np.float64]) -> NDArray[np.float64]:
    hardest = _spectrum(np.array([kit.click_hz]), np.array([kit.contact_ms / 1000]))
    shape = np.exp2(-(np.log2(BAND_CENTRES_HZ / kit.click_hz) ** 2) / 2)
    level = 10 ** (kit.click_db / 20) * shape / hardest
    return np.asarray(level * _spectrum(BAND_CENTRES_HZ, contact_sec))
