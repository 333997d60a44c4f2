"""Features of a config to the columns that a report shows, and cells to what it shows of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.schema import METADATA, SCORE_COLUMNS, SCORES
from sousa.cards.facts import Json
from sousa.cards.label_columns import LISTS, named

CLASS, TEXT, NUMBER, FLAG, LABELS = "class", "text", "number", "flag", "labels"

LONGEST_TEXT: Final = 160
"""Letters of a cell that are shown."""

FIRST: Final = (
    *("sample_id", "rudiment_slug", "skill_tier", "profile_id", "tempo_bpm", "overall_score"),
    *("kit", "augmentation_preset", "duration_sec", "num_strokes", "num_mistakes"),
)
"""Columns that come first in the table where there are any of them."""

TOLD: Final = ("_bpm", "_sec", "_db", "_hz")
"""Ends of names that tell a unit."""

MOST_COLUMNS: Final = 11
"""Columns of the table, without the split."""

_UNITS: Final = {column.name: column.unit for column in (*METADATA, *SCORE_COLUMNS)}
_SCORES: Final = frozenset(score.name for score in SCORES)


@dataclass(frozen=True, slots=True)
class Field:
    """A column whose cells are single values or lists of labels.

    Attributes:
        name: Of the column.
        kind: `CLASS`, `TEXT`, `NUMBER`, `FLAG` or `LABELS`.
        feature: JSON form of its feature.
    """

    name: str
    kind: str
    feature: Json

    @property
    def unit(self) -> str:
        """Unit of its values where the schema knows it and the name does not tell."""
        unit = _UNITS.get(self.name, "")
        return "" if unit.startswith("[") or self.name.endswith(TOLD) else unit

    @property
    def is_score(self) -> bool:
        """Whether it is one of the schema's scores."""
        return self.name in _SCORES


def fields(features: Mapping[str, Json]) -> tuple[Field, ...]:
    """Return the columns that a table can show, in stored order."""
    found = ((name, kind_of(feature), feature) for name, feature in features.items())
    return tuple(Field(name, kind, feature) for name, kind, feature in found if kind)


def kind_of(feature: object) -> str:
    """Return what the cells of a feature are; empty for what no table can show."""
    if not isinstance(feature, dict):
        return ""
    of_type = feature.get("_type")
    if of_type == "ClassLabel":
        return CLASS
    if of_type in LISTS:
        return LABELS if kind_of(feature.get("feature")) in (CLASS, TEXT) else ""
    if of_type != "Value":
        return ""
    dtype = str(feature.get("dtype"))
    if dtype == "bool":
        return FLAG
    if dtype in ("string", "large_string"):
        return TEXT
    return NUMBER if dtype.startswith(("int", "uint", "float")) else ""


def of_table(known: Sequence[Field]) -> tuple[Field, ...]:
    """Return the columns of the table: those that come first, then others while there is room."""
    by_name = {field.name: field for field in known}
    first = [by_name[name] for name in FIRST if name in by_name]
    others = [f for f in known if f.name not in FIRST and not f.name.endswith("_sha256")]
    others.sort(key=lambda field: field.kind not in (CLASS, LABELS))
    room = MOST_COLUMNS - len(first) if len(first) < len(FIRST) // 2 else 0
    return (*first, *others[:room])


def cell(value: Any, field: Field) -> Any:
    """Return a cell as text, a number or None; classes and labels by name."""
    if field.kind == NUMBER:
        return number_of(value)
    if field.kind == LABELS and isinstance(value, list):
        shown = (_name(each, field.feature["feature"]) for each in value)
        return text_of(", ".join(text for text in shown if text))
    return _name(value, field.feature)


def cells(column: pa.ChunkedArray, field: Field) -> list[Any]:
    """Return the cells of a column."""
    return [cell(value, field) for value in column.to_pylist()]


def counted(column: pa.ChunkedArray, field: Field) -> dict[str, int]:
    """Return how often each class, text or label is there."""
    feature = field.feature
    if field.kind == LABELS:
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
            return {}
        column, feature = pc.list_flatten(column), field.feature["feature"]
    found = pc.value_counts(named(column, feature)).to_pylist()
    return {str(text_of(e["values"])): e["counts"] for e in found if e["values"] is not None}


def text_of(value: Any) -> str | None:
    """Return a value as text of bounded length."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def number_of(value: Any) -> float | int | None:
    """Return a number as it is shown, at most six digits of a fraction; None for no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        return None
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short


def _name(value: Any, feature: Json) -> str | None:
    """Return the name of a class, or any other value as text; None for a class that is none."""
    names = feature.get("names")
    if not isinstance(names, list) or not isinstance(value, int):
        return text_of(value)
    return text_of(names[value]) if 0 <= value < len(names) else None
