"""Audio of strokes: a struck drum, calculated.

A drum is a set of modes that ring and wires that rattle (modal synthesis: van den Doel & Pai 1998,
doi:10.1162/105474698565794). Between two strokes a mode only turns and shrinks, so that its whole
past is one complex number, and a clip costs as much as its length, however long the drum rings.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.keys import generator
from sousa.builders.kits import Kit
from sousa.builders.resonators import Resonators, noise, resonators
from sousa.builders.schema import SAMPLE_RATE
from sousa.builders.strike import Push, push
from sousa.builders.strokes import ACCENT, GRACE, NONE, RIGHT, TAP, Strokes

PEAK: Final = 0.6
"""Typical peak of a stroke of velocity 127, -4.4 dBFS."""


def render(
    strokes: Strokes, kit: Kit, num_samples: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return dry mono audio of the strokes, `(num_samples,)` at 44.1 kHz.

    The physical onset of each stroke is the sample nearest to its `actual_time_ms`. Its level
    follows from its velocity alone, so that loud and soft clips keep their difference; strokes
    that overlap may exceed 1.

    Args:
        strokes: In time order. Those that begin outside the clip are left out.
        kit: The drum.
        num_samples: Length of the clip.
        rng: Source of what differs from stroke to stroke.
    """
    return _render(strokes, kit, num_samples, rng) * np.float32(_level(kit))


def single(
    velocity: int, *, hand: int = RIGHT, stroke_type: int = TAP, onset_ms: float = 0.0
) -> Strokes:
    """Return one stroke by itself, to look at a drum.

    Args:
        velocity: In [1, 127].
        hand: An id of `schema.HANDS`.
        stroke_type: An id of `schema.STROKE_TYPES`.
        onset_ms: When it sounds.
    """
    return Strokes(
        hand=np.array([hand], np.int8),
        stroke_type=np.array([stroke_type], np.int8),
        intended_time_ms=np.array([onset_ms], np.float64),
        actual_time_ms=np.array([onset_ms], np.float64),
        intended_velocity=np.array([velocity], np.int32),
        actual_velocity=np.array([velocity], np.int32),
        is_grace_note=np.array([stroke_type == GRACE]),
        is_accent=np.array([stroke_type == ACCENT]),
        diddle_position=np.array([NONE], np.int32),
        parent_stroke_index=np.array([NONE], np.int32),
    )


@lru_cache(maxsize=64)
def _level(kit: Kit) -> float:
    """One factor per kit: the median peak of its hardest strokes becomes `PEAK`."""
    rng = generator(0, "level", kit.name)
    peaks = [np.abs(_render(single(127), kit, 4096, rng)).max() for _ in range(15)]
    return PEAK / float(np.median(peaks))


def _render(
    strokes: Strokes, kit: Kit, num_samples: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    out = np.zeros(num_samples, np.float32)
    starts = np.rint(strokes.actual_time_ms * (SAMPLE_RATE / 1000)).astype(np.int64)
    inside = np.flatnonzero((starts >= 0) & (starts < num_samples))
    if len(inside):
        drum = resonators(kit)
        pushes = push(strokes.take(inside), kit, drum, rng)
        _ring(out, starts[inside], pushes, drum)
        _rattle(out, starts[inside], pushes, drum)
    return out


def _ring(
    out: NDArray[np.float32], starts: NDArray[np.int64], pushes: Push, drum: Resonators
) -> None:
    """Add modes and attack: what each stroke leaves of the past, what it takes, what it gives."""
    turns = np.exp(np.diff(starts, prepend=starts[0])[:, None] * drum.poles)
    given = pushes.modes * drum.phases[pushes.glide]
    past, state = np.zeros_like(given), np.empty_like(given)
    now = np.zeros(len(drum.poles), np.complex128)
    for i, (turn, kept, new) in enumerate(zip(turns, pushes.kept, given, strict=True)):
        past[i] = now * turn
        now = state[i] = past[i] * kept + new
    held, lost = _real(state), _real(past * (1 - pushes.kept)[:, None])
    bent = pushes.modes[:, drum.gliding].astype(np.float32)
    click = pushes.click.astype(np.float32)
    for i, (at, end) in enumerate(_segments(starts, len(out))):
        _add(out[at:end], held[i], drum.ringing)
        _add(out[at:], lost[i], drum.damped)
        _add(out[at:], click[i], drum.click)
        if pushes.glide[i] > 1:  # soft strokes do not stretch the head
            _add(out[at:], bent[i], drum.glide[pushes.glide[i]])


def _rattle(
    out: NDArray[np.float32], starts: NDArray[np.int64], pushes: Push, drum: Resonators
) -> None:
    """Add wires and rattle: noise under envelopes, whose energies add up."""
    given = np.stack([pushes.wires, pushes.rattle], axis=1) ** 2
    gaps = np.diff(starts, prepend=starts[0])[:, None, None]
    shrinks = np.exp(2 * gaps * drum.noise_rates)
    past, state = np.zeros_like(given), np.empty_like(given)
    now = np.zeros_like(drum.noise_rates)
    for i, (shrink, new) in enumerate(zip(shrinks, given, strict=True)):
        past[i] = now * shrink
        now = state[i] = past[i] + new
    rises = (np.sqrt(past) - np.sqrt(state)).sum(axis=1).astype(np.float32)
    wires, rattle = np.sqrt(state).astype(np.float32).swapaxes(0, 1)
    for i, (at, end) in enumerate(_segments(starts, len(out))):
        hiss = noise()[:, pushes.offset[i] :]
        _add(out[at:end], wires[i], hiss, drum.wires)
        if len(drum.rattle):
            _add(out[at:end], rattle[i], hiss, drum.rattle)
        _add(out[at:end], rises[i], hiss, drum.wires_rise)


def _segments(starts: NDArray[np.int64], num_samples: int) -> list[tuple[int, int]]:
    """Return the samples from each stroke to the next, as (begin, end)."""
    ends = np.append(starts[1:], num_samples)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _real(state: NDArray[np.complex128]) -> NDArray[np.float32]:
    """Return the factors of the modes' cosines and sines, `(strokes, 2 * modes)` interleaved."""
    return np.stack([state.real, -state.imag], axis=-1).reshape(len(state), -1).astype(np.float32)


def _add(
    out: NDArray[np.float32],
    weights: NDArray[np.float32],
    waves: NDArray[np.float32],
    envelope: NDArray[np.float32] | None = None,
) -> None:
    """Add weighted waves, `(waves, samples)`, under an envelope for each or for all of them."""
    count = min(len(out), waves.shape[1] if envelope is None else envelope.shape[-1])
    waves = waves[:, :count]
    if envelope is not None and envelope.ndim == 2:
        waves = waves * envelope[:, :count]
    # einsum adds in a fixed order; BLAS may not, with another number of threads.
    total = np.einsum("k,kn->n", weights, waves)
    if envelope is not None and envelope.ndim == 1:
        total *= envelope[:count]
    out[:count] += total
