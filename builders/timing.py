"""When people strike: onsets of the strokes that stand on the grid.

An onset's error is a sum of parts that act at different time scales, each with its own source:

=================  =============================================================================
mean asynchrony    strokes lead the beat, by up to 80 ms without training and least for musicians
                   (Repp 2005, doi:10.3758/BF03206433)
drift              the tempo runs off, more often ahead than behind
wander             1/f fluctuations, slower than the strokes (Hennig et al. 2011,
                   doi:10.1371/journal.pone.0026457)
clock              each interval's error, half corrected at the next stroke (Vorberg and Wing
                   1996; Repp 2005 on phase correction)
motor              each stroke's own delay, which shortens one interval as it lengthens the other
                   (Wing and Kristofferson 1973, doi:10.3758/BF03198607)
hands              the weak hand is late and scatters more
subdivision        places within the beat lie early or late, in the same way in every beat
diddles            the second stroke is a rebound and comes early
=================  =============================================================================

Clock and motor are shares of the gap between strokes, so fast strokes keep their order; most of
a beginner's spread is slow.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.players import Player
from sousa.builders.schema import HANDS
from sousa.builders.strokes import Strokes

Floats = NDArray[np.float64]

WANDER_HZ: Final = np.geomspace(0.12, 0.6, 12)
"""Waves of equal size at even steps of pitch have a power density of 1/f."""

CLOCK, MOTOR = 0.6, 0.7
"""Parts of `Player.jitter_share`; with the correction below they add up to about 1 in power."""

CORRECTION: Final = 0.5 ** np.arange(8)
"""What is left of a clock error after each stroke."""

LONGEST_GAP_MS: Final = 250.0
"""Jitter stops growing with the gap here."""

LONGEST_REBOUND_MS: Final = 125.0
"""Strokes of a diddle that lie further apart are played one by one."""

RUSHES: Final = 0.8
"""Share of performances whose tempo runs ahead."""

UNEVENNESS: Final = 0.05
"""Displacement within the beat, as a share of the beat, of a player without evenness."""

STRAIN_PER_BPM: Final = 0.004
"""How much looser the playing gets with each BPM outside the comfortable tempos."""

TIRING_MS: Final = 10_000.0
"""Time in which `Player.fatigue` sets in."""

LEAST_GAP_MS, LEAST_GAP_SHARE, MOST_GAP_SHARE = 12.0, 0.3, 0.8
"""Strokes are at least so far apart: sticks do not overtake each other."""

EARLIEST: Final = 0.4
"""No stroke comes before this share of the lead-in."""


def onsets_ms(
    strokes: Strokes,
    player: Player,
    tempo_bpm: float,
    delay_ms: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Return onsets as played of strokes that stand on the grid, shape `(strokes,)`.

    Args:
        strokes: Primary strokes only; their hands are those that play.
        player: Who plays.
        tempo_bpm: Quarter notes per minute.
        delay_ms: What mistakes add to each onset.
        rng: Chance.

    Returns:
        Rising onsets in milliseconds, not yet rounded.
    """
    notated = strokes.intended_time_ms
    gap = np.diff(notated, prepend=0.0)
    weak = strokes.hand != HANDS.index("R" if player.dominant_hand == "right" else "L")
    elapsed = notated - notated[0]
    looseness = 1 + STRAIN_PER_BPM * player.strain(tempo_bpm)
    looseness = looseness * (1 + player.fatigue * np.minimum(elapsed / TIRING_MS, 1.0))
    room = np.minimum(np.minimum(gap, np.append(gap[1:], gap[-1])), LONGEST_GAP_MS)
    spread = player.jitter_share * room * (1 + player.weak_hand_scatter * weak)
    drift = player.tempo_drift_share * (-1 if rng.random() < RUSHES else 1)
    error = player.wander_sd_ms * wander(notated, rng) + spread * _jitter(len(strokes), rng)
    error *= looseness
    error += player.mean_asynchrony_ms + drift * elapsed + delay_ms
    error += player.weak_hand_delay_ms * weak + _pattern(notated, player, tempo_bpm, rng)
    error += _rebound(strokes.diddle_position == 2, gap, player, rng)
    return _in_order(notated + error, gap)


def wander(time_ms: Floats, rng: np.random.Generator) -> Floats:
    """Return slow 1/f noise of unit variance at some times, shape `(times,)`."""
    angle = np.multiply.outer(time_ms, WANDER_HZ * (2 * np.pi / 1000))
    angle += rng.uniform(0, 2 * np.pi, len(WANDER_HZ))
    noise: Floats = np.cos(angle).sum(axis=1) * np.sqrt(2 / len(WANDER_HZ))
    return noise


def _jitter(count: int, rng: np.random.Generator) -> Floats:
    """Return clock and motor noise of about unit variance, shape `(count,)`."""
    clock, motor = np.clip(rng.standard_normal((2, count)), -2.5, 2.5)
    noise: Floats = CLOCK * np.convolve(clock, CORRECTION)[:count] + MOTOR * motor
    return noise


def _pattern(time_ms: Floats, player: Player, tempo_bpm: float, rng: np.random.Generator) -> Floats:
    """Return how far each place within the beat is displaced, shape `(times,)`."""
    beat_ms = 60_000 / tempo_bpm
    size_ms = (1 - player.subdivision_evenness) * UNEVENNESS * beat_ms
    phase = 2 * np.pi * (time_ms / beat_ms + rng.random())
    pattern: Floats = size_ms * np.cos(phase)
    return pattern


def _rebound(
    second: NDArray[np.bool_], gap_ms: Floats, player: Player, rng: np.random.Generator
) -> Floats:
    """Return how much later than notated the second strokes of diddles come."""
    ratio = player.diddle_ratio + player.diddle_spread * rng.standard_normal(len(gap_ms))
    late = (np.clip(ratio, 0.6, 1.4) - 1) * np.minimum(gap_ms, LONGEST_REBOUND_MS)
    return np.where(second, late, 0.0)


def _in_order(time_ms: Floats, gap_ms: Floats) -> Floats:
    """Return the times, moved later where they are too close to the stroke before."""
    least = np.maximum(LEAST_GAP_MS, LEAST_GAP_SHARE * gap_ms)
    least = np.minimum(least, MOST_GAP_SHARE * gap_ms)
    least[0] = EARLIEST * gap_ms[0]  # gap_ms[0] is the lead-in
    packed = np.cumsum(least)
    slack = np.maximum(time_ms - packed, 0.0)
    ordered: Floats = np.maximum.accumulate(slack) + packed
    return ordered
