"""The columns of a dataset that a card counts, by their features."""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

TIER, RUDIMENT, PLAYER, PROGRAMS = "skill_tier", "rudiment_slug", "profile_id", "programs"

COUNTED: Final = (
    *("kit", "augmentation_preset", "midi_type", "source_sample_rate_hz", "source_channels"),
)
"""Columns whose values are counted one by one; any other may hold as many as there are rows."""

LISTS: Final = ("List", "LargeList", "Sequence")
"""Features of `datasets` that are lists."""


def is_label(name: str, feature: object, group: str = PLAYER) -> bool:
    """Return whether a column is counted: scalars and lists of classes, some 200 bytes a row.

    Args:
        name: Of the column.
        feature: JSON form of its feature.
        group: Column of what decided the splits.
    """
    if not isinstance(feature, dict):
        return False
    if feature.get("_type") in LISTS:
        item = feature.get("feature")
        return name == PROGRAMS or (isinstance(item, dict) and item.get("_type") == "ClassLabel")
    if feature.get("_type") == "ClassLabel":
        return True
    dtype = str(feature.get("dtype"))
    is_known = name in (*COUNTED, TIER, RUDIMENT, group)
    return feature.get("_type") == "Value" and (
        dtype == "bool" or dtype.startswith(("int", "uint", "float")) or is_known
    )


def names_in(column: pa.ChunkedArray, feature: Mapping[str, Any]) -> pa.ChunkedArray:
    """Return a column of classes, or of lists of classes put end to end, as their names.

    Args:
        column: Of anything; what is no classes is returned as it is.
        feature: JSON form of the column's feature.
    """
    item = feature.get("feature")
    if feature.get("_type") not in LISTS or not isinstance(item, dict):
        return named(column, feature)
    if item.get("_type") != "ClassLabel" or not is_list(column.type):
        return column
    return named(pc.list_flatten(column), item)


def named(column: pa.ChunkedArray, feature: Mapping[str, Any]) -> pa.ChunkedArray:
    """Return a class column as the names of its classes; ids outside of them become null.

    Args:
        column: Ids, or anything else, which is returned as it is.
        feature: JSON form of the column's feature.
    """
    names = feature.get("names")
    if not isinstance(names, list) or not pa.types.is_integer(column.type):
        return column
    known = pc.and_(pc.greater_equal(column, 0), pc.less(column, len(names)))
    ids = pc.if_else(known, column, pa.scalar(None, column.type))
    return pc.take(pa.array([str(name) for name in names], pa.string()), ids)


def is_text(type_: pa.DataType) -> bool:
    """Return whether a type is text."""
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def is_list(type_: pa.DataType) -> bool:
    """Return whether a type is a list of any length."""
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_))
