"""Recording set-ups: room, microphone, electronics and noise between a drum and its file.

The names of the presets are those of the SOUSA dataset; what a preset says is what is rendered.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from sousa.builders import electronics, microphones, rooms, synth
from sousa.builders.keys import generator
from sousa.builders.kits import KITS
from sousa.builders.recording import Recording

Preset = Recording
"""A preset is the recording that its takes vary around."""

# One line each for room, microphone, electronics, noise.
# fmt: off
_PRESETS: Final = (
    Preset(preset="none"),
    Preset(
        preset="clean_studio", room="studio", wet=0.20,
        mic="condenser", position="on_axis", distance_m=0.4,
        ratio=2, threshold_db=-18,
        noise="pink", noise_db=-72,
    ),
    Preset(
        preset="clean_close",
        mic="dynamic", position="on_axis", distance_m=0.1,
        ratio=1.5, threshold_db=-12,
        noise="white", noise_db=-78,
    ),
    Preset(
        preset="practice_room", room="practice_room", wet=0.30,
        mic="dynamic", position="off_axis", distance_m=0.5,
        ratio=2, threshold_db=-18,
        noise="pink", noise_db=-60,
    ),
    Preset(
        preset="concert_hall", room="concert_hall", wet=0.40,
        mic="condenser", position="distant", distance_m=3.0,
        noise="room_tone", noise_db=-66,
    ),
    Preset(
        preset="gym", room="gym", wet=0.35,
        mic="dynamic", position="overhead", distance_m=2.0,
        ratio=2.5, threshold_db=-15,
        noise="hvac", noise_db=-56,
    ),
    Preset(
        preset="garage", room="garage", wet=0.30,
        mic="dynamic", position="on_axis", distance_m=0.8,
        preamp="aggressive", drive=0.5, ratio=2.5, threshold_db=-15,
        noise="pink", noise_db=-54,
    ),
    Preset(
        preset="vintage_tape", room="studio", wet=0.25,
        mic="ribbon", position="on_axis", distance_m=0.6,
        preamp="warm", drive=0.4, ratio=6, threshold_db=-14,
        low_cut_hz=80, high_cut_hz=12_000,
        noise="tape_hiss", noise_db=-52,
    ),
    Preset(
        preset="lo_fi", room="bedroom", wet=0.20,
        mic="piezo", position="on_axis", distance_m=0.3,
        preamp="aggressive", drive=0.6, ratio=8, threshold_db=-12,
        low_cut_hz=200, high_cut_hz=6000,
        bit_depth=12, sample_rate=22_050, noise="pink", noise_db=-46,
    ),
    Preset(
        preset="phone_recording", room="bedroom", wet=0.30,
        mic="piezo", position="distant", distance_m=1.5,
        preamp="aggressive", drive=0.4, ratio=10, threshold_db=-14,
        low_cut_hz=300, high_cut_hz=4000,
        bit_depth=14, sample_rate=14_700, noise="room_tone", noise_db=-50,
    ),
    Preset(
        preset="marching_field", room="outdoor", wet=0.20,
        mic="dynamic", position="distant", distance_m=5.0,
        high_cut_hz=10_000,
        noise="brown", noise_db=-48,
    ),
    Preset(
        preset="indoor_competition", room="gym", wet=0.25,
        mic="condenser", position="overhead", distance_m=2.5,
        ratio=2.5, threshold_db=-12,
        noise="room_tone", noise_db=-58,
    ),
)
# fmt: on
PRESETS: Final[Mapping[str, Preset]] = MappingProxyType({p.preset: p for p in _PRESETS})
"""Every set-up by its name; `none` leaves the drum as it is."""

_WET_SPREAD: Final = 0.2  # a take differs from its preset by up to this share
_DISTANCE_SPREAD: Final = 0.15
_DRIVE_SPREAD: Final = 0.2
_NOISE_SPREAD_DB: Final = 3.0
_NFFTS: Final = (1 << 16, 1 << 17, 1 << 18, 5 << 16, 3 << 17)
"""Sizes of transform; few, so that the spectra of the rooms can be kept."""


def draw(preset: Preset, rng: np.random.Generator) -> Recording:
    """Return one take of a preset: a little nearer or farther, wetter or drier, noisier.

    Args:
        preset: A value of `PRESETS`.
        rng: Source of the differences.
    """
    wet, distance, drive, noise = rng.uniform(-1, 1, 4)
    return replace(
        preset,
        wet=_varied(preset.wet, 1 + _WET_SPREAD * wet),
        distance_m=_varied(preset.distance_m, 1 + _DISTANCE_SPREAD * distance),
        drive=_varied(preset.drive, 1 + _DRIVE_SPREAD * drive),
        noise_db=_moved(preset.noise_db, _NOISE_SPREAD_DB * noise),
    )


def record(
    dry: NDArray[np.float32], recording: Recording, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the drum as recorded, as long as it was, every sample below 1.

    No clip is normalised: each preset has one gain, at which the hardest strokes peak near
    -4 dBFS, so soft and loud players keep their difference. Direct sound arrives at once.

    Args:
        dry: `(samples,)` at 44.1 kHz, of `synth.render` or `soundfont.render`.
        recording: What `draw` gave, or a preset as it is.
        rng: Source of the noise.
    """
    before, after = _gains(PRESETS[recording.preset])
    nominal_m = PRESETS[recording.preset].distance_m
    x = _process(_capture(dry, recording, nominal_m) * np.float32(before), recording)
    x = x * np.float32(after)
    if recording.noise is not None and recording.noise_db is not None:
        band_hz = recording.low_cut_hz, recording.high_cut_hz
        x = electronics.add_noise(x, recording.noise, recording.noise_db, band_hz, rng)
    if recording.sample_rate is not None:
        x = electronics.hold(x, recording.sample_rate)
    x = electronics.limit(x)
    if recording.bit_depth is not None:
        x = electronics.quantise(x, recording.bit_depth, rng)
    return x


def _varied(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, 3)


def _moved(value: float | None, step: float) -> float | None:
    return None if value is None else round(value + step, 1)


@lru_cache(maxsize=32)
def _gains(preset: Preset) -> tuple[float, float]:
    """Return the gains before and after the electronics, at which a hard stroke keeps its peak."""
    if preset.mic is None and preset.room is None:
        return 1.0, 1.0
    dry = synth.render(synth.single(127), KITS["concert"], 1 << 14, generator(0, "gain"))
    peak = float(np.abs(dry).max())
    captured = _capture(dry, preset, preset.distance_m)
    before = peak / float(np.abs(captured).max())
    processed = _process(captured * np.float32(before), preset)
    return before, peak / float(np.abs(processed).max())


def _process(x: NDArray[np.float32], recording: Recording) -> NDArray[np.float32]:
    if recording.preamp is not None and recording.drive is not None:
        x = electronics.PREAMPS[recording.preamp](x, recording.drive)
    if recording.ratio is not None and recording.threshold_db is not None:
        x = electronics.compress(x, recording.ratio, recording.threshold_db)
    return electronics.band_limit(x, recording.low_cut_hz, recording.high_cut_hz)


def _capture(
    dry: NDArray[np.float32], recording: Recording, nominal_m: float | None
) -> NDArray[np.float32]:
    """Return what the microphone hears: the drum by 1 / distance, the room at any distance.

    One convolution for both, by overlapping blocks (Oppenheim & Schafer, section 8.7).
    """
    if recording.mic is None or recording.position is None or recording.distance_m is None:
        return dry
    room = None if recording.room is None else rooms.ROOMS[recording.room]
    reverb = 0 if room is None else len(rooms.impulse_response(room))
    extra = reverb + microphones.TAPS
    nfft = min(
        (size for size in _NFFTS if size > 2 * extra),
        key=lambda size: -(-len(dry) // (size - extra)) * size,
    )
    nearness = (nominal_m or recording.distance_m) / recording.distance_m
    wet = np.float32(recording.wet or 0)
    mic = microphones.impulse_response(recording.mic, recording.position, recording.distance_m)
    response = fft.rfft(mic, nfft)
    direct = np.float32(nearness) * (1 - wet)
    response *= direct if room is None else direct + wet * rooms.spectrum(room, nfft)
    return _convolve(dry, response, nfft, nfft - extra)


def _convolve(
    x: NDArray[np.float32], response: NDArray[np.complex64], nfft: int, hop: int
) -> NDArray[np.float32]:
    count = -(-len(x) // hop)
    blocks = np.zeros((count, nfft), np.float32)
    for i, block in enumerate(blocks):
        part = x[i * hop : (i + 1) * hop]
        block[: len(part)] = part
    spectra = fft.rfft(blocks, axis=1)
    spectra *= response
    blocks = fft.irfft(spectra, nfft, axis=1)
    out = np.zeros(count * hop + nfft, np.float32)
    for i, block in enumerate(blocks):
        out[i * hop : i * hop + nfft] += block
    return out[: len(x)]
