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
    """

    tempo: float
    velocity: int
    mirrored: bool


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
    """Return the labels of strokes: errors stay, in milliseconds, whatever the tempo."""
    made = dict(told)
    if "hand" in made and change.mirrored:
        made["hand"] = [1 - hand for hand in made["hand"]]
    for name in ("intended_velocity", "actual_velocity"):
        if name in made:
            made[name] = [velocity + change.velocity for velocity in made[name]]
    if {"intended_time_ms", "actual_time_ms"} <= made.keys():
        pairs = list(zip(made["intended_time_ms"], made["actual_time_ms"], strict=True))
        made["intended_time_ms"] = [meant / change.tempo for meant, _ in pairs]
        made["actual_time_ms"] = [meant / change.tempo + real - meant for meant, real in pairs]
    return made
