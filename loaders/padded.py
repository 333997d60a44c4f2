"""Sounds become the rows of a batch: scaled, padded with silence, with a mask of what is audio."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sousa.loaders.sound import FULL_SCALE, Sound
from sousa.loaders.waves import Waves

try:
    from sousa.loaders import unlocked
except ImportError:  # there was no compiler
    COMPILED = False
else:
    COMPILED = True

Rows = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def write_floats(
    waves: Waves, sounds: Sequence[Sound], lengths: Sequence[int], rows: Rows, mask: Mask
) -> None:
    """Write waveforms as float32, in one call where it was compiled.

    Args:
        waves: How they are scaled.
        sounds: One for each row.
        lengths: Samples of each that are written, no more than it has.
        rows: Float32 `(B, T)`, for the waveforms.
        mask: `(B, T)`, to become True on audio.
    """
    if not COMPILED:
        write_rows(waves.write, sounds, lengths, rows, mask)
        return
    samples, steps = [sound.samples for sound in sounds], [sound.step for sound in sounds]
    unlocked.write_batch(samples, steps, list(lengths), rows, mask, waves.normalize)


def write_rows(
    write: Callable[[Sound, Rows], None],
    sounds: Sequence[Sound],
    lengths: Sequence[int],
    rows: Rows,
    mask: Mask,
) -> None:
    """Write waveforms one after the other, see `write_floats`."""
    mask[:] = True  # once: each large operation lets go of Python's lock, and waits for it
    for sound, length, row, valid in zip(sounds, lengths, rows, mask, strict=True):
        write(sound, row[:length])
        if length < len(row):
            row[length:] = 0
            valid[length:] = False


def write_steps(sound: Sound, row: npt.NDArray[np.int16]) -> None:
    """Write a sound as 16-bit samples: as they are stored, or rounded."""
    if sound.samples.dtype == np.int16:
        np.copyto(row, sound.samples)
    else:
        steps = np.rint(sound.samples * np.float32(sound.step / FULL_SCALE))
        np.clip(steps, -32768, 32767, out=row, casting="unsafe")
