"""The sounding notes of a clip, as equally long arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sousa.builders.schema import HANDS, STROKE_TYPES

LEFT, RIGHT = HANDS.index("L"), HANDS.index("R")
TAP, ACCENT, GRACE, DIDDLE, BUZZ = range(len(STROKE_TYPES))
NONE: Final = -1
"""Stands for null in the integer arrays."""


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """Strokes in time order; entry `i` of every array belongs to stroke `i`.

    Attributes:
        hand: Ids of `schema.HANDS`, int8.
        stroke_type: Ids of `schema.STROKE_TYPES`, int8. The bounces of a buzz are buzz strokes
            with a parent.
        intended_time_ms: Onset as notated, float64, in whole microseconds. A grace's lies before
            its primary's.
        actual_time_ms: Onset as played, float64, in whole microseconds.
        intended_velocity: As notated, int32 in [1, 127].
        actual_velocity: As played, int32 in [1, 127].
        is_grace_note: bool.
        is_accent: Whether the notation accents the stroke, bool.
        diddle_position: 1 or 2 within a diddle, else `NONE`, int32.
        parent_stroke_index: Primary of a grace or of a bounce, else `NONE`, int32.
    """

    hand: NDArray[np.int8]
    stroke_type: NDArray[np.int8]
    intended_time_ms: NDArray[np.float64]
    actual_time_ms: NDArray[np.float64]
    intended_velocity: NDArray[np.int32]
    actual_velocity: NDArray[np.int32]
    is_grace_note: NDArray[np.bool_]
    is_accent: NDArray[np.bool_]
    diddle_position: NDArray[np.int32]
    parent_stroke_index: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"strokes need equally long arrays, got {lengths}")

    def __len__(self) -> int:
        return len(self.actual_time_ms)

    @property
    def timing_error_ms(self) -> NDArray[np.float64]:
        """Actual minus intended onset, whole microseconds."""
        return np.round(self.actual_time_ms - self.intended_time_ms, 3)

    @property
    def velocity_error(self) -> NDArray[np.int32]:
        """Actual minus intended velocity."""
        return self.actual_velocity - self.intended_velocity

    @property
    def is_bounce(self) -> NDArray[np.bool_]:
        """Whether a stroke is a rebound of a buzz stroke."""
        bounce: NDArray[np.bool_] = (self.stroke_type == BUZZ) & (self.parent_stroke_index != NONE)
        return bounce

    @property
    def is_primary(self) -> NDArray[np.bool_]:
        """Whether a stroke stands on the grid: neither a grace nor a bounce."""
        return ~self.is_grace_note & ~self.is_bounce

    @property
    def flam_spacing_ms(self) -> NDArray[np.float64]:
        """Lead of each grace before its primary; NaN for other strokes."""
        lead = self.actual_time_ms[self.parent_stroke_index] - self.actual_time_ms
        return np.where(self.is_grace_note, np.round(lead, 3), np.nan)

    @property
    def buzz_count(self) -> NDArray[np.int32]:
        """Strokes of each buzz, its first included; `NONE` for other strokes."""
        bounces = np.bincount(self.parent_stroke_index[self.is_bounce], minlength=len(self))
        first = (self.stroke_type == BUZZ) & ~self.is_bounce
        return np.where(first, 1 + bounces, NONE).astype(np.int32)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the fields of the `strokes` column; `NONE` and NaN stand for null."""
        stored = {field.name: getattr(self, field.name) for field in fields(self)}
        return stored | {
            "index": np.arange(len(self), dtype=np.int32),
            "timing_error_ms": self.timing_error_ms,
            "velocity_error": self.velocity_error,
            "flam_spacing_ms": self.flam_spacing_ms,
            "buzz_count": self.buzz_count,
        }

    def take(self, order: NDArray[np.intp]) -> Self:
        """Return the strokes `order` names, their parents renumbered.

        Every parent of a taken stroke must be taken too.
        """
        place = np.full(len(self) + 1, NONE, np.int32)  # the last entry maps NONE to NONE
        place[order] = np.arange(len(order), dtype=np.int32)
        taken = {field.name: getattr(self, field.name)[order] for field in fields(self)}
        taken["parent_stroke_index"] = place[taken["parent_stroke_index"]]
        return type(self)(**taken)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[Any]]) -> Self:
        """Make strokes from a `strokes` cell of a row.

        Args:
            columns: Equally long lists. Hands and stroke types may be ids or names, nulls may be
                None, NaN or `NONE`.

        Raises:
            KeyError: If a field is missing.
        """
        return cls(
            hand=_ids(columns["hand"], HANDS),
            stroke_type=_ids(columns["stroke_type"], STROKE_TYPES),
            intended_time_ms=np.asarray(columns["intended_time_ms"], np.float64),
            actual_time_ms=np.asarray(columns["actual_time_ms"], np.float64),
            intended_velocity=np.asarray(columns["intended_velocity"], np.int32),
            actual_velocity=np.asarray(columns["actual_velocity"], np.int32),
            is_grace_note=np.asarray(columns["is_grace_note"], np.bool_),
            is_accent=np.asarray(columns["is_accent"], np.bool_),
            diddle_position=_nullable(columns["diddle_position"]),
            parent_stroke_index=_nullable(columns["parent_stroke_index"]),
        )


def _ids(labels: Sequence[Any], names: tuple[str, ...]) -> NDArray[np.int8]:
    ids = [names.index(label) if isinstance(label, str) else int(label) for label in labels]
    return np.asarray(ids, np.int8)


def _nullable(values: Sequence[Any]) -> NDArray[np.int32]:
    array = np.asarray(values, np.float64)  # None becomes NaN
    return np.where(np.isnan(array), NONE, array).astype(np.int32)
