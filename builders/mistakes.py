"""The mistakes that happen to people, and where they happened."""

from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.players import Player
from sousa.builders.schema import MISTAKES, SKILL_TIERS
from sousa.builders.strokes import BUZZ, LEFT, NONE, RIGHT, TAP, Strokes

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

MISSED, DOUBLED, WRONG_STICKING, MISSED_ACCENT, FALSE_ACCENT, STUMBLE, COLLAPSE = range(
    len(MISTAKES)
)

RATES: Final = {
    # a hundred strokes, for beginner to professional
    "missed_stroke": (0.5, 0.2, 0.06, 0.008),
    "doubled_stroke": (0.4, 0.15, 0.04, 0.005),
    "wrong_sticking": (0.4, 0.15, 0.04, 0.005),
    "stumble": (0.25, 0.08, 0.02, 0.002),
}
"""Mistakes in a hundred strokes at a comfortable tempo. No corpus counts them; these make about one
in a beginner's clip and one in a hundred clips of a professional's."""

COLLAPSES: Final = (0.003, 0.0025, 0.002, 0.001)
"""Chance that the tempo collapses, for each BPM above the comfortable ones."""

STRAIN_PER_BPM: Final = 0.01
"""How much likelier mistakes get with each BPM outside the comfortable tempos."""

FALSE_ACCENTS: Final = 0.15
"""Taps that are accented, for each accent that is missed, all else equal."""

ECHO_MS: Final = (35.0, 60.0)
"""How soon a stick that is not caught strikes again; never after half the room there is."""

ECHO_LOUDNESS: Final = 0.6
"""Velocity of that stroke, relative to the first."""

ECHO_ROOM_MS: Final = 60.0
"""Strokes with less room before the next are not doubled."""

STUMBLE_SHARE: Final = (0.4, 0.9)
"""Delay of the stroke that stumbles, as a share of the gap before it."""

STUMBLE_MS: Final = 250.0
"""A gap counts as no longer than this."""

RECOVERY: Final = 0.6
"""Share of a stumble's delay that is left at each stroke after it."""

SLOWING: Final = (0.1, 0.25)
"""How much slower a collapsing tempo ends, as a share."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mistakes:
    """Mistakes in time order; entry `i` of every array belongs to mistake `i`.

    Attributes:
        kind: Ids of `schema.MISTAKES`, int8.
        intended_time_ms: Where the notation had the stroke, float64, in whole microseconds. Where
            a stroke was doubled it had none, and this is when the second one sounded.
        stroke_index: The stroke it happened to, or `NONE` where nothing sounded, int32.
    """

    kind: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    intended_time_ms: Floats = field(default_factory=lambda: np.zeros(0))
    stroke_index: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        lengths = (len(self.kind), len(self.intended_time_ms), len(self.stroke_index))
        if len(set(lengths)) > 1:
            raise ValueError(f"mistakes need equally long arrays, got lengths {lengths}")

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Slips:
    """Mistakes that are going to happen.

    Attributes:
        kind: What happens to each notated stroke, an id of `schema.MISTAKES` or `NONE`, int8.
        collapse: The stroke at which the tempo begins to collapse, or `NONE`.
        delay_ms: How much later each stroke comes for all this.
    """

    kind: NDArray[np.int8]
    collapse: int
    delay_ms: Floats


def draw_slips(
    strokes: Strokes, player: Player, tempo_bpm: float, rng: np.random.Generator
) -> Slips:
    """Return what will go wrong; nothing does up to the first primary stroke.

    Args:
        strokes: As notated.
        player: Who plays.
        tempo_bpm: Quarter notes per minute.
        rng: Chance.
    """
    chance = _chances(strokes, player) * (1 + STRAIN_PER_BPM * player.strain(tempo_bpm))
    drawn = (rng.random(len(strokes)) >= np.cumsum(chance, axis=0)).sum(axis=0)
    kind = np.where(drawn < len(chance), drawn, NONE).astype(np.int8)
    collapse = _collapse(strokes, player, tempo_bpm, rng)
    delay_ms = np.zeros(len(strokes))
    if collapse != NONE:
        kind[collapse] = NONE  # one mistake a stroke
        since_ms = np.maximum(strokes.intended_time_ms - strokes.intended_time_ms[collapse], 0.0)
        delay_ms += rng.uniform(*SLOWING) * since_ms**2 / (2 * since_ms[-1])
    for stroke in np.flatnonzero(kind == STUMBLE).tolist():
        delay_ms += _stumble(strokes, stroke, rng)
    return Slips(kind=kind, collapse=collapse, delay_ms=delay_ms)


def _chances(strokes: Strokes, player: Player) -> Floats:
    """Return the chance of each kind of slip for each stroke, shape `(kinds, strokes)`."""
    tier = SKILL_TIERS.index(player.skill_tier)
    rates = {kind: by_tier[tier] / 100 for kind, by_tier in RATES.items()}
    accented = strokes.is_accent
    rates["missed_accent"] = 1 - player.accent_accuracy
    rates["false_accent"] = (1 - player.accent_accuracy) * FALSE_ACCENTS * accented.any()
    primary = strokes.is_primary
    single = primary & (strokes.stroke_type != BUZZ)
    led = np.zeros(len(strokes), np.bool_)
    led[strokes.parent_stroke_index[strokes.is_grace_note]] = True
    room_ms = np.diff(strokes.intended_time_ms, append=np.inf)
    able = {
        "missed_stroke": (primary | strokes.is_grace_note) & ~led,
        "doubled_stroke": single & (room_ms >= ECHO_ROOM_MS),
        "wrong_sticking": single,
        "missed_accent": accented,
        "false_accent": single & ~accented,
        "stumble": primary,
    }
    chance = np.stack([rates[kind] * able[kind] for kind in MISTAKES[:COLLAPSE]])
    chance[:, : 1 + int(np.argmax(primary))] = 0.0
    return chance


def _collapse(strokes: Strokes, player: Player, tempo_bpm: float, rng: np.random.Generator) -> int:
    """Return the stroke from which the tempo collapses, or `NONE`."""
    too_fast_bpm = max(tempo_bpm - player.comfort_bpm[1], 0.0)
    chance, place = rng.random(2)
    if chance >= COLLAPSES[SKILL_TIERS.index(player.skill_tier)] * too_fast_bpm:
        return NONE
    primaries = np.flatnonzero(strokes.is_primary)[1:-1]
    return int(primaries[int((0.2 + 0.5 * place) * len(primaries))])


def _stumble(strokes: Strokes, stroke: int, rng: np.random.Generator) -> Floats:
    """Return the delays of a stumble and of the recovery from it."""
    primary = strokes.is_primary
    before = strokes.intended_time_ms[:stroke][primary[:stroke]]
    gap_ms = min(strokes.intended_time_ms[stroke] - before[-1], STUMBLE_MS)
    since = np.cumsum(primary) - np.cumsum(primary)[stroke]
    size_ms = rng.uniform(*STUMBLE_SHARE) * gap_ms
    return np.where(since >= 0, size_ms * RECOVERY ** np.maximum(since, 0.0), 0.0)


def played_hands(strokes: Strokes, slips: Slips) -> NDArray[np.int8]:
    """Return the hands that play, wrong stickings included, shape `(strokes,)`."""
    swapped = np.where(strokes.hand == LEFT, RIGHT, LEFT)
    return np.where(slips.kind == WRONG_STICKING, swapped, strokes.hand).astype(np.int8)


def settle(
    strokes: Strokes, slips: Slips, silent: Bools, rng: np.random.Generator
) -> tuple[Strokes, NDArray[np.intp], Mistakes]:
    """Return what sounds in the end.

    Args:
        strokes: All notated strokes, as played.
        slips: What goes wrong.
        silent: Strokes that do not sound for other reasons, shape `(strokes,)`.
        rng: Chance.

    Returns:
        The sounding strokes in time order, the notated stroke that each stems from, and the
        mistakes.
    """
    missed = slips.kind == MISSED
    with_parent = strokes.parent_stroke_index != NONE
    silent = silent | missed | (with_parent & missed[strokes.parent_stroke_index])
    doubled = np.flatnonzero(slips.kind == DOUBLED)
    source = np.concatenate([np.arange(len(strokes)), doubled])
    everything = _doubled(strokes, doubled, rng)
    order = np.argsort(everything.actual_time_ms, kind="stable")
    order = order[~silent[source[order]]]
    place = np.full(len(everything), NONE, np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    happened = np.flatnonzero(np.isin(slips.kind, (NONE, DOUBLED), invert=True))
    extra = np.arange(len(strokes), len(everything))
    collapse = [slips.collapse] if slips.collapse != NONE else []
    where = np.concatenate([happened, extra, np.array(collapse, np.intp)])
    kind = np.concatenate(
        [slips.kind[happened], [DOUBLED] * len(extra), [COLLAPSE] * len(collapse)]
    )
    in_time = np.argsort(everything.intended_time_ms[where], kind="stable")
    mistakes = Mistakes(
        kind=kind[in_time].astype(np.int8),
        intended_time_ms=everything.intended_time_ms[where][in_time],
        stroke_index=place[where][in_time],
    )
    return everything.take(order), source[order], mistakes


def _doubled(strokes: Strokes, which: NDArray[np.intp], rng: np.random.Generator) -> Strokes:
    """Return the strokes with a second one, at the end, for each of `which`."""
    room_ms = np.diff(strokes.actual_time_ms, append=np.inf)[which]
    after_ms = np.minimum(rng.uniform(*ECHO_MS, len(which)), room_ms / 2)
    time_ms = np.round(strokes.actual_time_ms[which] + after_ms, 3)
    velocity = np.maximum(np.round(strokes.actual_velocity[which] * ECHO_LOUDNESS), 1)
    echo = {
        "hand": strokes.hand[which],
        "stroke_type": np.full(len(which), TAP),
        "intended_time_ms": time_ms,
        "actual_time_ms": time_ms,
        "intended_velocity": velocity,
        "actual_velocity": velocity,
        "is_grace_note": np.zeros(len(which)),
        "is_accent": np.zeros(len(which)),
        "diddle_position": np.full(len(which), NONE),
        "parent_stroke_index": np.full(len(which), NONE),
    }
    arrays = {f.name: getattr(strokes, f.name) for f in fields(strokes)}
    return Strokes(**{name: np.append(a, echo[name].astype(a.dtype)) for name, a in arrays.items()})
