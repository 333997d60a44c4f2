"""Any SoundFont in place of our own kits, through FluidSynth.

FluidSynth places notes on blocks of 64 samples, and its reverb, chorus and dither carry over from
note to note. So each velocity is rendered once, by itself, on a fresh synthesizer; the recording is
cut to begin at its physical onset and mixed at the exact sample of each stroke.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.schema import SAMPLE_RATE
from sousa.builders.strokes import Strokes

SNARE_KEY: Final = 38
"""General MIDI's Acoustic Snare."""

DRUM_BANK: Final = 128
"""Where SoundFont 2.04 (section 7.2) keeps percussion."""

PEAK: Final = 0.6
"""Peak of a stroke of velocity 127, -4.4 dBFS."""

_CHANNEL: Final = 9  # the tenth, General MIDI's drum channel
_MAX_SAMPLES: Final = 2 * SAMPLE_RATE
_ONSET: Final = 0.02  # share of the peak that counts as sound
_SILENCE: Final = 3 / 32768  # FluidSynth's dither alone reaches one step of 16 bits


class SoundFontError(ValueError):
    """A SoundFont that cannot be played, with the reason and what to do."""


@dataclass(frozen=True, slots=True)
class SoundFont:
    """A drum kit of a SoundFont file.

    Attributes:
        path: The `.sf2` file.
        program: The drum kit, a preset of bank 128.
        key: The MIDI note that is the drum.

    Raises:
        SoundFontError: If the file is missing, damaged, no SoundFont, without this drum kit or
            this key, or if FluidSynth is not installed.
    """

    path: Path
    program: int = 0
    key: int = SNARE_KEY

    def __post_init__(self) -> None:
        """Refuse at once what could only fail in the middle of a build."""
        kits = drum_kits(self.path)
        if self.program not in kits:
            have = ", ".join(map(str, kits)) or "no presets"
            raise SoundFontError(
                f"{self.path}: drum bank {DRUM_BANK} has {have}, not preset {self.program}; "
                "use a General MIDI SoundFont with drums"
            )
        _level(self)


def render(strokes: Strokes, font: SoundFont, num_samples: int) -> NDArray[np.float32]:
    """Return dry mono audio of the strokes, `(num_samples,)` at 44.1 kHz.

    The physical onset of each stroke lies within a sample of its `actual_time_ms`.

    Raises:
        SoundFontError: If FluidSynth is not installed or no longer reads the file.
    """
    out = np.zeros(num_samples, np.float32)
    level = np.float32(_level(font))
    starts = np.rint(strokes.actual_time_ms * (SAMPLE_RATE / 1000)).astype(np.int64)
    for start, velocity in zip(starts.tolist(), strokes.actual_velocity.tolist(), strict=True):
        room = num_samples - start
        if start >= 0 and room > 0:
            sound = stroke(font, velocity)[:room]
            out[start : start + len(sound)] += sound * level
    return out


@lru_cache(maxsize=256)
def stroke(font: SoundFont, velocity: int) -> NDArray[np.float32]:
    """Return one stroke as the font has it, mono, from its onset to where it has died away.

    Args:
        font: The drum.
        velocity: In [1, 127].

    Raises:
        SoundFontError: If FluidSynth is not installed or cannot load the font.
    """
    synth = _synth(font)
    try:
        synth.noteon(_CHANNEL, font.key, velocity)
        samples = synth.get_samples(_MAX_SAMPLES)
    finally:
        synth.delete()
    stereo = np.asarray(samples, np.float32).reshape(-1, 2)
    mono: NDArray[np.float32] = stereo.mean(axis=1) / np.float32(32768)
    loudness = np.abs(mono)
    peak = float(loudness.max())
    if peak <= _SILENCE:
        return mono[:0]
    begin = int(np.argmax(loudness > _ONSET * peak))
    end = len(mono) - int(np.argmax(loudness[::-1] > _SILENCE))
    return mono[begin:end].copy()


def drum_kits(path: Path | str) -> tuple[int, ...]:
    """Return the presets of a SoundFont's drum bank, in ascending order.

    Reads the preset headers (`phdr`, SoundFont 2.04 section 7.2) without FluidSynth.

    Raises:
        SoundFontError: If the file is missing, cut off or no SoundFont.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(12)
            size = file.seek(0, 2)
            if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"sfbk":
                raise SoundFontError(f"{path}: not a SoundFont 2 (.sf2) file; give another file")
            declared = struct.unpack("<I", head[4:8])[0] + 8
            if size < declared:
                raise SoundFontError(
                    f"{path}: cut off, {size} of {declared} bytes are there; download it again"
                )
            headers = _preset_headers(file, declared)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SoundFontError(f"{path}: cannot read the SoundFont: {reason}") from error
    presets = (struct.unpack("<20sHH", headers[at : at + 24]) for at in range(0, len(headers), 38))
    return tuple(sorted({program for _, program, bank in presets if bank == DRUM_BANK}))


def _preset_headers(file: Any, end: int) -> bytes:
    """Walk the chunks of an open font to `phdr`; the last record, a mark of the end, left out."""
    at = 12
    while at + 8 <= end:
        file.seek(at)
        name, size, form = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
        if name == b"LIST" and form == b"pdta":
            at += 12  # step into the list, its chunks follow
        elif name == b"phdr":
            file.seek(at + 8)
            headers: bytes = file.read(min(size, end - at - 8))
            return headers[: max(len(headers) // 38 - 1, 0) * 38]
        else:
            at += 8 + size + size % 2
    return b""


@lru_cache(maxsize=64)
def _level(font: SoundFont) -> float:
    """One factor for the whole font, so that soft and loud players keep their difference."""
    peak = float(np.abs(stroke(font, 127)).max(initial=0))
    if peak == 0:
        raise SoundFontError(
            f"{font.path}: key {font.key} of drum kit {font.program} is silent; "
            f"use a font with a snare drum on key {SNARE_KEY}"
        )
    return PEAK / peak


def _synth(font: SoundFont) -> Any:
    try:
        import fluidsynth
    except ImportError as error:
        raise SoundFontError(
            f"{font.path}: playing a SoundFont needs FluidSynth, and {_missing(error)}; "
            "run `apt install libfluidsynth3` and `pip install 'sousa-datasets[soundfont]'`"
        ) from error
    settings = {
        "synth.reverb.active": 0,
        "synth.chorus.active": 0,
        "synth.dynamic-sample-loading": 1,  # 30 ms, not seconds, for a large font
    }
    synth = fluidsynth.Synth(gain=0.5, samplerate=SAMPLE_RATE, channels=16, **settings)
    loaded = synth.sfload(str(font.path))
    if loaded == -1 or synth.program_select(_CHANNEL, loaded, DRUM_BANK, font.program) == -1:
        synth.delete()
        raise SoundFontError(
            f"{font.path}: FluidSynth cannot load drum kit {font.program}; the file is damaged"
        )
    return synth


def _missing(error: ImportError) -> str:
    package = error.name == "fluidsynth"
    return "the Python package `pyfluidsynth` is not installed" if package else str(error)
