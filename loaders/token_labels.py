"""Labels follow what was changed in a performance."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

OPPOSITE: Final[Mapping[str, float]] = {"dominant_hand": 1, "weak_hand_index": 100}
"""Columns that hands decide: of exchanged hands they are so much minus what they were."""


class Change(NamedTuple):
    """What was changed in a row.

    Attributes:
        tempo: By what its tempo was multiplied.
        velocity: What was added to its velocities.
        mirrored: Whether hands were exchanged.
        moved_ms: By how much each note begins later, in their order; nothing where none does.
    """

    tempo: float
    velocity: int
    mirrored: bool
    moved_ms: Sequence[float] = ()


def follow(column: str, values: Sequence[Any], changes: Sequence[Change]) -> list[Any]:
    """Return what a column says about rows that were changed."""
    return [
        value if value is None else followed(column, value, change)
        for value, change in zip(values, changes, strict=True)
    ]


def followed(column: str, value: Any, change: Change) -> Any:
    """Return one value after a change.

    Examples:
        >>> followed("tempo_bpm", 100.0, Change(1.1, 0, False))
        110.0
        >>> followed("weak_hand_index", 30.0, Change(1.0, 0, True))
        70.0
    """
    if column == "tempo_bpm":
        return round(value * change.tempo, 6)
    if column == "duration_sec":
        return value / change.tempo
    if column in OPPOSITE and change.mirrored:
        return OPPOSITE[column] - value
    if column == "strokes":
        return strokes(value, change)
    return value


def strokes(told: Mapping[str, Sequence[Any]], change: Change) -> dict[str, Sequence[Any]]:
    """Return the labels of strokes: they are where the tokens say, and so are their errors."""
    made = dict(told)
    if "hand" in made and change.mirrored:
        made["hand"] = [1 - hand for hand in made["hand"]]
    for name in ("intended_velocity", "actual_velocity"):
        if name in made:
            made[name] = [velocity + change.velocity for velocity in made[name]]
    if {"intended_time_ms", "actual_time_ms"} <= made.keys() and change.tempo != 1:
        made |= times(made, change)
    return made


def times(told: Mapping[str, Sequence[Any]], change: Change) -> dict[str, Sequence[Any]]:
    """Return when strokes were meant and played at another tempo, and how far that is apart."""
    before, real = told["intended_time_ms"], told["actual_time_ms"]
    meant = [each / change.tempo for each in before]
    moved = change.moved_ms
    if len(moved) != len(real):  # not one of each note
        moved = [new - old for new, old in zip(meant, before, strict=True)]
    made: dict[str, Sequence[Any]] = {"intended_time_ms": meant}
    made["actual_time_ms"] = [each + by for each, by in zip(real, moved, strict=True)]
    if "timing_error_ms" in told:
        pairs = zip(made["actual_time_ms"], meant, strict=True)
        made["timing_error_ms"] = [each - wanted for each, wanted in pairs]
    if {"flam_spacing_ms", "parent_stroke_index"} <= told.keys():
        of = zip(told["flam_spacing_ms"], told["parent_stroke_index"], moved, strict=True)
        made["flam_spacing_ms"] = [
            spacing if spacing is None or parent is None else spacing + moved[parent] - by
            for spacing, parent, by in of
        ]
    return made
