"""What leads and follows a stroke: the graces of flams and drags, the bounces of a buzz."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.players import Player
from sousa.builders.strokes import Strokes

Floats = NDArray[np.float64]

NOTATED_LEAD_MS: Final = 30.0
"""Lead of a grace in notation, which `Player.flam_spacing_ms` replaces."""

GRACE_ROOM, BUZZ_ROOM = 0.6, 0.92
"""Most of the gap between two primaries that graces and bounces take."""

BOUNCE_SPREAD: Final = 0.35
"""Spread of the gaps between bounces, as a share, of a player without consistency."""

LOST_BOUNCES: Final = 0.5
"""Spread of the share of its bounces that a buzz loses, of a player without consistency."""

FACTORS: Final = (0.4, 1.8)
"""Ornaments are at most so much tighter or wider than a player means them to be."""


def place_graces(
    strokes: Strokes, time_ms: Floats, player: Player, rng: np.random.Generator
) -> None:
    """Set the onsets of the graces from those of their primaries.

    Args:
        strokes: All strokes, as notated.
        time_ms: Onsets as played, shape `(strokes,)`; those of graces are overwritten.
        player: Who plays.
        rng: Chance.
    """
    grace = np.flatnonzero(strokes.is_grace_note)
    primary = strokes.parent_stroke_index[grace]
    notated = strokes.intended_time_ms
    factor = np.clip(1 + player.flam_spread * rng.standard_normal(len(grace)), *FACTORS)
    factor *= player.flam_spacing_ms / NOTATED_LEAD_MS
    # To the next stroke, which is another grace or the primary; added up from the left.
    passed_ms = np.zeros(len(strokes) + 1)
    passed_ms[grace + 1] = (notated[grace + 1] - notated[grace]) * factor
    passed_ms = np.cumsum(passed_ms)
    others = np.flatnonzero(~strokes.is_grace_note)
    rank = np.searchsorted(others, primary)
    before = np.where(rank > 0, others[rank - 1], -1)
    room_ms = time_ms[primary] - np.where(before >= 0, time_ms[before], 0.0)
    total_ms = passed_ms[primary] - passed_ms[before + 1]
    lead_ms = passed_ms[primary] - passed_ms[grace]
    time_ms[grace] = time_ms[primary] - lead_ms * np.minimum(1.0, GRACE_ROOM * room_ms / total_ms)


def place_bounces(
    strokes: Strokes, time_ms: Floats, player: Player, rng: np.random.Generator
) -> None:
    """Set the onsets of the bounces from those of the primaries.

    Args:
        strokes: All strokes, as notated.
        time_ms: Onsets as played, shape `(strokes,)`; those of bounces are overwritten.
        player: Who plays.
        rng: Chance.
    """
    bounce = np.flatnonzero(strokes.is_bounce)
    primary = strokes.parent_stroke_index[bounce]
    notated = strokes.intended_time_ms
    spread = BOUNCE_SPREAD * (1 - player.buzz_consistency)
    factor = np.clip(1 + spread * rng.standard_normal(len(bounce)), *FACTORS)
    passed_ms = np.zeros(len(strokes))
    passed_ms[bounce] = (notated[bounce] - notated[bounce - 1]) * factor
    passed_ms = np.cumsum(passed_ms)
    others = np.flatnonzero(~strokes.is_bounce)
    rank = np.searchsorted(others, primary)
    last = np.append(others[1:], len(strokes))[rank] - 1
    notated_end = 2 * notated[-1] - notated[-2]
    ends = np.append(time_ms[others[1:]], time_ms[others[-1]] + notated_end - notated[others[-1]])
    room_ms = ends[rank] - time_ms[primary]
    total_ms = passed_ms[last] - passed_ms[primary]
    offset_ms = passed_ms[bounce] - passed_ms[primary]
    time_ms[bounce] = time_ms[primary] + offset_ms * np.minimum(1.0, BUZZ_ROOM * room_ms / total_ms)


def lost_bounces(strokes: Strokes, player: Player, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which strokes are bounces that die away too soon, shape `(strokes,)`.

    The first bounce of a buzz is never lost.
    """
    bounce = np.flatnonzero(strokes.is_bounce)
    primary = strokes.parent_stroke_index[bounce]
    share = np.abs(rng.standard_normal(len(strokes)))[primary]
    share *= LOST_BOUNCES * (1 - player.buzz_consistency)
    number = bounce - primary
    kept = (1 - share) * (strokes.buzz_count[primary] - 1)
    lost = np.zeros(len(strokes), np.bool_)
    lost[bounce] = (number > 1) & (number > np.round(kept))
    return lost
