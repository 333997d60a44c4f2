"""What can sound in a drum: modes that ring and noise that rattles, ready to be struck.

Made once per kit and process from the kit's parameters alone, so every clip and every worker
strikes the same drum.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from sousa.builders.keys import generator
from sousa.builders.kits import Kit
from sousa.builders.schema import SAMPLE_RATE

BAND_EDGES_HZ: Final = (400, 1000, 2000, 3500, 6000, 10_000, 18_000)
BAND_CENTRES_HZ: Final = np.sqrt(np.multiply(BAND_EDGES_HZ[:-1], BAND_EDGES_HZ[1:]))
NOISE_SAMPLES: Final = 1 << 17
"""Where noise can begin; it goes on for `_LONGEST` samples more."""

GLIDE_LEVELS: Final = 16

# Orders (m, n) of a membrane's modes: m nodal diameters, n nodal circles. Their frequencies stand
# to each other as the zeros of the Bessel functions J_m (Rossing 2000, section 1.3).
_MODES: Final = (
    *((0, 1), (1, 1), (2, 1), (0, 2), (3, 1), (1, 2), (4, 1)),
    *((2, 2), (0, 3), (5, 1), (3, 2)),
)
# Batter and snare head move against each other in a second mode each of these (Rossing, Bork,
# Zhao & Fystrom 1992, doi:10.1121/1.404080); the coupling through the air shrinks with m.
_COUPLED: Final = {(0, 1): 1.0, (1, 1): 0.4}
_COUPLED_GAIN: Final = 0.6
_COUPLED_T60: Final = 0.8
_MONOPOLE_T60: Final = 0.55  # modes (0, n) radiate best and so end first (ibid.)
_RING: Final = 1.593  # frequency of (1, 1) over (0, 1)

_WIRES_TILT: Final = 0.25  # the finer the buzz, the sooner it ends
_WIRES_RISE_SEC: Final = 0.0006  # the snare head answers after the batter head
_CLICK_SEC: Final = 0.009
_CLICK_PARTIALS: Final = 4
_CONTACT_SAMPLES: Final = 256  # within 6 ms the stick has damped what it damps
_GLIDE_SEC: Final = 0.025
_GLIDE_BELOW: Final = 1.7  # of the fundamental; higher modes end too soon to glide
_FLOOR_DB: Final = 66.0  # a decay is cut where it is this much softer than it began
_INAUDIBLE_DB: Final = -40.0  # a softer rattle is left out
_LONGEST: Final = int(1.2 * SAMPLE_RATE)


@dataclass(frozen=True, slots=True)
class Resonators:
    """The sounding parts of one drum; modes in order of their decay, longest first.

    Attributes:
        poles: `(modes,)` log of what one sample does to a mode: it shrinks and turns.
        orders: `(modes,)` nodal diameters; 0 for modes of the shell.
        zeros: `(modes,)` Bessel zeros; 0 for modes of the shell, which sound struck anywhere.
        gains: `(modes,)` loudness.
        ringing: `(2 * modes, samples)` float32 decaying cosine and sine of each mode.
        damped: `(2 * modes, samples)` float32: the same, under the stick that stops them.
        phases: `(GLIDE_LEVELS, modes)` start of a mode so that it is right after the glide.
        gliding: Indices of the modes that start sharp in hard strokes.
        glide: `(GLIDE_LEVELS, gliding, samples)` float32: what the glide adds at first.
        noise_rates: `(2, bands)` log of what one sample does to wires and rattle.
        wires: `(bands, samples)` float32 envelopes of the wires.
        rattle: `(samples,)` float32 envelope of the rattle, empty where there is none.
        click: `(bands, samples)` float32 waveforms of the stick's attack.
        wires_rise: `(samples,)` float32 envelope of what wires and rattle lack at first.
    """

    poles: NDArray[np.complex128]
    orders: NDArray[np.int64]
    zeros: NDArray[np.float64]
    gains: NDArray[np.float64]
    ringing: NDArray[np.float32]
    damped: NDArray[np.float32]
    phases: NDArray[np.complex128]
    gliding: NDArray[np.intp]
    glide: NDArray[np.float32]
    noise_rates: NDArray[np.float64]
    wires: NDArray[np.float32]
    rattle: NDArray[np.float32]
    click: NDArray[np.float32]
    wires_rise: NDArray[np.float32]

    @property
    def frequencies_hz(self) -> NDArray[np.float64]:
        """Frequencies of the modes."""
        return np.asarray(self.poles.imag * (SAMPLE_RATE / (2 * np.pi)))


@lru_cache(maxsize=64)
def resonators(kit: Kit) -> Resonators:
    """Return the sounding parts of a kit."""
    modes = sorted(_head(kit) + _shell(kit), key=lambda mode: -mode[1])
    hz, t60, orders, zeros, gains = (np.array(column) for column in zip(*modes, strict=True))
    poles = (-np.log(1000) / t60 + 2j * np.pi * hz) / SAMPLE_RATE
    contact = np.exp(-np.arange(_CONTACT_SAMPLES) * (6 / _CONTACT_SAMPLES))
    gliding = np.flatnonzero(hz < _GLIDE_BELOW * kit.fundamental_hz)
    phases, glide = _glide(kit, poles, gliding)
    noise_t60 = _noise_t60(kit)
    return Resonators(
        poles=poles,
        orders=orders.astype(np.int64),
        zeros=zeros,
        gains=gains,
        ringing=_waves(poles, _samples(t60[0])).astype(np.float32),
        damped=(_waves(poles, _CONTACT_SAMPLES) * contact).astype(np.float32),
        phases=phases,
        gliding=gliding,
        glide=glide,
        noise_rates=-np.log(1000) / (noise_t60 * SAMPLE_RATE),
        wires=_decays(noise_t60[0]),
        rattle=_decays(noise_t60[1, :1])[0]
        if kit.rattle_db > _INAUDIBLE_DB
        else np.zeros(0, np.float32),
        click=_click(kit),
        wires_rise=np.exp(-np.arange(160) / (_WIRES_RISE_SEC * SAMPLE_RATE)).astype(np.float32),
    )


@lru_cache(maxsize=1)
def noise() -> NDArray[np.float32]:
    """Return noise of each band, `(bands, samples)` float32 of RMS 1."""
    rng = generator(0, "wire noise")
    spectrum = fft.rfft(rng.standard_normal((len(BAND_CENTRES_HZ), NOISE_SAMPLES)), axis=1)
    octave = np.log2(np.maximum(fft.rfftfreq(NOISE_SAMPLES, 1 / SAMPLE_RATE), 1.0))
    # Neighbouring bands cross fade within a third of an octave, at constant power.
    ramp = np.clip((octave - np.log2(BAND_EDGES_HZ)[:, None]) * 3 + 0.5, 0, 1)
    power = np.sin(np.pi / 2 * ramp) ** 2
    bands = fft.irfft(spectrum * np.sqrt(power[:-1] * (1 - power[1:])), axis=1)
    bands /= bands.std(axis=1, keepdims=True)
    return np.concatenate([bands, bands[:, :_LONGEST]], axis=1).astype(np.float32)


_Mode = tuple[float, float, int, float, float]  # frequency in Hz, T60 in s, order, zero, gain


def _head(kit: Kit) -> list[_Mode]:
    first = special.jn_zeros(0, 1)[0]
    modes: list[_Mode] = []
    for order, circle in _MODES:
        zero = float(special.jn_zeros(order, circle)[-1])
        ratio = zero / first
        t60 = kit.ring_sec * (ratio / _RING) ** -kit.ring_tilt
        t60 *= _MONOPOLE_T60 if order == 0 else 1
        modes.append((kit.fundamental_hz * ratio, t60, order, zero, 1.0))
        share = _COUPLED.get((order, circle), 0.0) * (kit.coupling - 1)
        if share > 0:
            upper = kit.fundamental_hz * ratio * (1 + share)
            modes.append((upper, t60 * _COUPLED_T60, order, zero, _COUPLED_GAIN))
    return modes


def _shell(kit: Kit) -> list[_Mode]:
    return [(hz, t60, 0, 0.0, 10 ** (level_db / 20)) for hz, level_db, t60 in kit.shell]


def _waves(poles: NDArray[np.complex128], count: int) -> NDArray[np.float64]:
    """Return decaying cosine and sine of each mode, `(2 * modes, count)`, interleaved."""
    waves = np.exp(poles[:, None] * np.arange(count))
    return np.stack([waves.real, waves.imag], axis=1).reshape(2 * len(poles), count)


def _glide(
    kit: Kit, poles: NDArray[np.complex128], gliding: NDArray[np.intp]
) -> tuple[NDArray[np.complex128], NDArray[np.float32]]:
    """Return phases and first sound of modes that start sharp and sink to their frequency.

    A hard stroke stretches the head; its pitch sinks as the amplitude does. A mode that is ahead
    by `ahead * (1 - exp(-t / _GLIDE_SEC))` radians soon is the plain mode, begun `ahead` earlier:
    the difference is all there is to add.
    """
    cents = kit.glide_cents * np.linspace(0, 1, GLIDE_LEVELS)
    ahead = np.zeros((GLIDE_LEVELS, len(poles)))
    sharp = (2 ** (cents / 1200) - 1)[:, None]
    ahead[:, gliding] = sharp * poles.imag[gliding] * (SAMPLE_RATE * _GLIDE_SEC)
    phases = -1j * np.exp(1j * ahead)  # the head is struck at rest: a sine
    time = np.arange(int(3.5 * _GLIDE_SEC * SAMPLE_RATE))
    behind = ahead[:, gliding, None] * np.exp(-time / (_GLIDE_SEC * SAMPLE_RATE))
    wave = np.exp(poles[gliding, None] * time) * phases[:, gliding, None]
    return phases, (wave * (np.exp(-1j * behind) - 1)).real.astype(np.float32)


def _click(kit: Kit) -> NDArray[np.float32]:
    """Return the attack of the stick in each band, of RMS 1 at first: partials that end at once.

    A stick sounds much the same in every stroke, so this is no noise.
    """
    rng = generator(0, "click", kit.name)
    shape = (_CLICK_PARTIALS, len(BAND_CENTRES_HZ), 1)
    low, high = np.log(BAND_EDGES_HZ)[:-1, None], np.log(BAND_EDGES_HZ)[1:, None]
    hz = np.exp(low + (high - low) * rng.random(shape))
    decays = _decays(_CLICK_SEC * (BAND_CENTRES_HZ / 3000) ** -0.5)
    turns = hz * (np.arange(decays.shape[1]) / SAMPLE_RATE) + rng.random(shape)
    waves = np.cos(2 * np.pi * turns).sum(axis=0) * np.sqrt(2 / _CLICK_PARTIALS)
    return np.asarray(waves * decays, np.float32)


def _noise_t60(kit: Kit) -> NDArray[np.float64]:
    """Return the T60 of wires and rattle in each band, `(2, bands)` in seconds."""
    wires = kit.wires_sec * (BAND_CENTRES_HZ / kit.wires_hz) ** -_WIRES_TILT
    return np.stack([wires, np.full(len(BAND_CENTRES_HZ), kit.rattle_sec)])


def _decays(t60: NDArray[np.float64]) -> NDArray[np.float32]:
    time = np.arange(_samples(t60.max()))
    decays = np.exp(-np.log(1000) / (t60[:, None] * SAMPLE_RATE) * time)
    return np.asarray(decays, np.float32)


def _samples(t60_sec: float) -> int:
    return min(int(t60_sec * SAMPLE_RATE * _FLOOR_DB / 60), _LONGEST)
