"""How hard people strike."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.players import Player
from sousa.builders.schema import HANDS
from sousa.builders.strokes import Strokes
from sousa.builders.timing import TIRING_MS, wander

PIVOT: Final = 80.0
"""Velocity that contrast leaves alone: accents shrink down to it, taps and graces rise up."""

SLOW_SHARE: Final = 0.3
"""Part of the velocity spread that comes and goes slowly, like the timing's wander."""

REBOUND: Final = 0.4
"""What the second stroke of a diddle loses for each share by which diddles are uneven."""

TIRED: Final = 0.5
"""Share of `Player.fatigue` by which strokes get softer."""

SOFTEST, LOUDEST = 1, 127


def velocities(
    strokes: Strokes,
    aimed: NDArray[np.int32],
    player: Player,
    rng: np.random.Generator,
    *,
    fades: bool,
) -> NDArray[np.int32]:
    """Return velocities as played, in [1, 127], shape `(strokes,)`.

    Errors are factors: a soft stroke errs by less than a loud one.

    Args:
        strokes: As notated; their hands are those that play.
        aimed: The velocities the player goes for, in [1, 127].
        player: Who plays.
        rng: Chance.
        fades: Whether this is a roll, which may fade.
    """
    elapsed = strokes.intended_time_ms - strokes.intended_time_ms[0]
    weak = strokes.hand != HANDS.index("R" if player.dominant_hand == "right" else "L")
    noise = np.clip(rng.standard_normal(len(strokes)), -2.5, 2.5)
    noise *= 1 + player.weak_hand_scatter * weak
    noise += SLOW_SHARE * wander(strokes.intended_time_ms, rng)
    log_velocity = np.log(PIVOT) + player.accent_contrast * np.log(aimed / PIVOT)
    log_velocity += np.log(player.loudness) + player.velocity_spread * noise
    log_velocity += np.log(player.weak_hand_loudness) * weak
    softer = 1 - TIRED * player.fatigue * np.minimum(elapsed / TIRING_MS, 1.0)
    softer *= 1 - REBOUND * abs(1 - player.diddle_ratio) * (strokes.diddle_position == 2)
    if fades:
        softer *= 1 - player.roll_fade * elapsed / max(elapsed[-1], 1.0)
    velocity = np.exp(log_velocity) * softer
    bounce = np.flatnonzero(strokes.is_bounce)
    parent = strokes.parent_stroke_index[bounce]
    decay = strokes.intended_velocity[bounce] / strokes.intended_velocity[parent]
    velocity[bounce] = velocity[parent] * decay * np.exp(player.velocity_spread * noise[bounce] / 2)
    played: NDArray[np.int32] = np.clip(np.round(velocity), SOFTEST, LOUDEST).astype(np.int32)
    return played
