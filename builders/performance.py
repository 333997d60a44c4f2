"""A rudiment in time: as notated, and as a player plays it."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.mistakes import (
    FALSE_ACCENT,
    MISSED_ACCENT,
    Mistakes,
    draw_slips,
    played_hands,
    settle,
)
from sousa.builders.notation import Note
from sousa.builders.ornaments import lost_bounces, place_bounces, place_graces
from sousa.builders.players import Player
from sousa.builders.rudiments import Rudiment
from sousa.builders.schema import HANDS, STROKE_TYPES
from sousa.builders.strokes import BUZZ, GRACE, NONE, Strokes
from sousa.builders.timing import onsets_ms
from sousa.builders.touch import velocities

ACCENT_VELOCITY: Final = 112
TAP_VELOCITY: Final = 72
DIDDLE_VELOCITY: Final = 72
BUZZ_VELOCITY: Final = 68
GRACE_VELOCITY: Final = 40

VELOCITY: Final = np.array(
    [TAP_VELOCITY, ACCENT_VELOCITY, GRACE_VELOCITY, DIDDLE_VELOCITY, BUZZ_VELOCITY]
)
"""Nominal velocity of each of `schema.STROKE_TYPES`, in [1, 127]."""

GRACE_LEAD_MS: Final = 30.0
"""Lead of a grace, and of the first of two before the second.

Two clicks need about 20 ms for their order to be heard (Hirsh 1959, doi:10.1121/1.1907782) and
fuse into one event below about 40 ms (Wallach et al. 1949, doi:10.2307/1418275): a flam lies
between.
"""

GRACE_SHARE: Final = 0.45
"""Graces take at most this share of the gap from the primary before, so that they still lead."""

BOUNCE_GAP_MS: Final = 27.0
"""Spacing of the bounces of a pressed buzz, at least: some 30 to 35 a second are heard as a hum."""

BUZZ_MS: Final = 300.0
"""Longest buzz: a stick that is not lifted comes to rest within some ten bounces."""

BOUNCE_DECAY: Final = 0.9
"""Velocity of each bounce, relative to the one before."""

SHORT_BEAT_BPM: Final = 120.0
"""From this tempo on the lead-in is a whole beat."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Performance:
    """One rudiment, played some number of times.

    Attributes:
        strokes: The sounding strokes, in time order.
        measure: Measure of each stroke, int32, non-decreasing. Graces and bounces lie in the
            measure of their primary.
        mistakes: What went wrong.
        num_cycles: Times the rudiment is played.
        num_measures: Measures of the time signature.
    """

    strokes: Strokes
    measure: NDArray[np.int32]
    mistakes: Mistakes
    num_cycles: int
    num_measures: int

    def __post_init__(self) -> None:
        """Refuse measures that do not fit the strokes."""
        if len(self.measure) != len(self.strokes):
            raise ValueError(
                f"a performance needs one measure a stroke, got {len(self.measure)} measures"
                f" for {len(self.strokes)} strokes"
            )


def lead_in_ms(tempo_bpm: float) -> float:
    """Return the time of beat 0: a beat from 120 BPM on, half a beat below.

    Raises:
        ValueError: If the tempo is not positive.

    Examples:
        >>> lead_in_ms(60), lead_in_ms(120), lead_in_ms(240)
        (500.0, 500.0, 250.0)
    """
    if not tempo_bpm > 0:
        raise ValueError(f"tempo_bpm must be above 0, got {tempo_bpm}")
    beats = 1.0 if tempo_bpm >= SHORT_BEAT_BPM else 0.5
    return round(beats * 60_000 / tempo_bpm, 3)


def notate(rudiment: Rudiment, tempo_bpm: float, num_cycles: int) -> Performance:
    """Return the perfect performance: everything sounds when and as it is written.

    Args:
        rudiment: What to play.
        tempo_bpm: Quarter notes per minute.
        num_cycles: How often to play it, at least once.

    Raises:
        ValueError: If the tempo is not positive or there is no cycle to play.

    Examples:
        >>> from sousa.builders.rudiments import RUDIMENTS
        >>> flam = notate(RUDIMENTS["flam"], 60, 1).strokes
        >>> flam.intended_time_ms[:2].tolist()
        [470.0, 500.0]
    """
    if num_cycles < 1:
        raise ValueError(f"num_cycles must be at least 1, got {num_cycles}")
    start_ms, beat_ms = lead_in_ms(tempo_bpm), 60_000 / tempo_bpm
    cycle = _cycle(rudiment)
    rows = np.arange(num_cycles * len(cycle.beat))
    lap, note = np.divmod(rows, len(cycle.beat))
    time_ms = start_ms + (cycle.beat[note] + lap * rudiment.beats) * beat_ms
    spacing_ms = np.minimum(GRACE_LEAD_MS, GRACE_SHARE * beat_ms * cycle.gap / cycle.width)
    time_ms -= (cycle.lead * spacing_ms)[note]
    parent = np.where(cycle.lead[note] > 0, rows + cycle.lead[note], NONE)
    stroke_type = cycle.stroke_type[note]
    velocity = VELOCITY[stroke_type].astype(np.int32)
    strokes = Strokes(
        hand=cycle.hand[note],
        stroke_type=stroke_type,
        intended_time_ms=np.round(time_ms, 3),
        actual_time_ms=np.round(time_ms, 3),
        intended_velocity=velocity,
        actual_velocity=velocity,
        is_grace_note=stroke_type == GRACE,
        is_accent=cycle.is_accent[note],
        diddle_position=cycle.diddle_position[note],
        parent_stroke_index=parent.astype(np.int32),
    )
    measures = rudiment.beats // rudiment.beats_per_measure
    measure = (cycle.measure[note] + lap * measures).astype(np.int32)
    if rudiment.has_buzz:
        strokes, measure = _with_bounces(strokes, measure, cycle.next_gap[note] * beat_ms)
    return Performance(
        strokes=strokes,
        measure=measure,
        mistakes=Mistakes(),
        num_cycles=num_cycles,
        num_measures=num_cycles * measures,
    )


def perform(
    rudiment: Rudiment,
    player: Player,
    tempo_bpm: float,
    num_cycles: int,
    rng: np.random.Generator,
) -> Performance:
    """Return what a player makes of a rudiment: human timing, touch and mistakes.

    Args:
        rudiment: What to play.
        player: Who plays.
        tempo_bpm: Quarter notes per minute.
        num_cycles: How often to play it, at least once.
        rng: All the chance there is: the same generator state gives the same performance.

    Raises:
        ValueError: If the tempo is not positive or there is no cycle to play.
    """
    score = notate(rudiment, tempo_bpm, num_cycles)
    slips = draw_slips(score.strokes, player, tempo_bpm, rng)
    written = replace(score.strokes, hand=played_hands(score.strokes, slips))
    aimed = np.where(slips.kind == MISSED_ACCENT, TAP_VELOCITY, written.intended_velocity)
    aimed = np.where(slips.kind == FALSE_ACCENT, ACCENT_VELOCITY, aimed)
    primary = np.flatnonzero(written.is_primary)
    time_ms = written.intended_time_ms.copy()
    grid = written.take(primary)
    time_ms[primary] = onsets_ms(grid, player, tempo_bpm, slips.delay_ms[primary], rng)
    silent = np.zeros(len(written), np.bool_)
    if rudiment.has_flams or rudiment.has_drags:
        place_graces(written, time_ms, player, rng)
    if rudiment.has_buzz:
        place_bounces(written, time_ms, player, rng)
        silent = lost_bounces(written, player, rng)
    played = replace(
        written,
        actual_time_ms=np.round(time_ms, 3),
        actual_velocity=velocities(written, aimed, player, rng, fades=rudiment.is_roll),
    )
    strokes, source, mistakes = settle(played, slips, silent, rng)
    return replace(score, strokes=strokes, measure=score.measure[source], mistakes=mistakes)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Cycle:
    """One cycle as arrays, graces before their primaries.

    `beat`, `gap` (beats since the primary before, that of the last cycle included) and `next_gap`
    are those of the primary; `lead` counts the strokes up to it and `width` its graces, or 1.
    """

    beat: NDArray[np.float64]
    gap: NDArray[np.float64]
    next_gap: NDArray[np.float64]
    measure: NDArray[np.int64]
    lead: NDArray[np.int64]
    width: NDArray[np.int64]
    hand: NDArray[np.int8]
    stroke_type: NDArray[np.int8]
    is_accent: NDArray[np.bool_]
    diddle_position: NDArray[np.int32]


@lru_cache(maxsize=64)
def _cycle(rudiment: Rudiment) -> _Cycle:
    notes = rudiment.notes
    beats = [note.beat for note in notes]
    after = rudiment.gaps
    before = (after[-1], *after[:-1])
    sizes = [len(note.graces) + 1 for note in notes]
    flat = [stroke for note in notes for stroke in _strokes_of(note)]
    hands, types, accents, diddles = zip(*flat, strict=True)
    return _Cycle(
        beat=np.repeat(np.array(beats, float), sizes),
        gap=np.repeat(np.array(before, float), sizes),
        next_gap=np.repeat(np.array(after, float), sizes),
        measure=np.repeat([int(beat // rudiment.beats_per_measure) for beat in beats], sizes),
        lead=np.concatenate([np.arange(size)[::-1] for size in sizes]),
        width=np.repeat(np.maximum(np.array(sizes) - 1, 1), sizes),
        hand=np.array([HANDS.index(hand) for hand in hands], np.int8),
        stroke_type=np.array([STROKE_TYPES.index(kind) for kind in types], np.int8),
        is_accent=np.array(accents, np.bool_),
        diddle_position=np.array(diddles, np.int32),
    )


def _strokes_of(note: Note) -> list[tuple[str, str, bool, int]]:
    graces = [(hand, "grace", False, NONE) for hand in note.graces]
    return [*graces, (note.hand, note.stroke_type, note.accent, note.diddle_position or NONE)]


def _with_bounces(
    strokes: Strokes, measure: NDArray[np.int32], room_ms: NDArray[np.float64]
) -> tuple[Strokes, NDArray[np.int32]]:
    """Return the strokes, each buzz with bounces that divide the room up to the next stroke."""
    span_ms = np.minimum(room_ms, BUZZ_MS)
    bounces = np.where(strokes.stroke_type == BUZZ, np.maximum(span_ms // BOUNCE_GAP_MS - 1, 1), 0)
    sizes = bounces.astype(np.int64) + 1
    first = np.cumsum(sizes) - sizes
    source = np.repeat(np.arange(len(strokes)), sizes)
    bounce = np.arange(len(source)) - first[source]
    longer = strokes.take(source)
    parent = strokes.parent_stroke_index[source]
    parent = np.where(parent == NONE, NONE, first[parent])
    offset_ms = bounce * (span_ms / (bounces + 1))[source]
    time_ms = np.round(longer.intended_time_ms + offset_ms, 3)
    velocity = np.round(longer.intended_velocity * BOUNCE_DECAY**bounce).astype(np.int32)
    rebounding = replace(
        longer,
        intended_time_ms=time_ms,
        actual_time_ms=time_ms,
        intended_velocity=velocity,
        actual_velocity=velocity,
        is_accent=longer.is_accent & (bounce == 0),
        parent_stroke_index=np.where(bounce > 0, first[source], parent).astype(np.int32),
    )
    return rebounding, measure[source]
