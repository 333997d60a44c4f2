"""Columns of Arrow tables, and what their schema declares about them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sousa.loaders.labels import CLASSES

AUDIO = "audio"
"""The column that holds the encoded clip."""


LISTS = ("List", "LargeList", "Sequence")
"""Features of lists."""


class Maybe(str):
    """Name of a column that is read where it is there; of others, rows say nothing."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """What a table's schema says beyond Arrow types, in the metadata that `datasets` writes.

    Attributes:
        columns: Names of all columns.
        names: Class names of each label column that is stored as ids.
        rate_hz: Sample rate that every clip should have; None where nothing is declared.
        lists: Class names of each column that holds lists of ids.
        numbers: Names of the columns that hold a number, but for those of `names`.
    """

    columns: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    rate_hz: int | None
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def by(cls, schema: pa.Schema) -> "Declared":
        """Return what a schema declares."""
        text = (schema.metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(text).get("info", {}).get("features", {})
        names = _named(features)
        lists = _named({name: _item(feature) for name, feature in features.items()})
        numbers = tuple(f.name for f in schema if f.name not in names and _is_number(f.type))
        rate_hz = features.get(AUDIO, {}).get("sampling_rate")
        return cls(tuple(schema.names), names, rate_hz, lists, numbers)

    @property
    def labels_and_rate(self) -> tuple[Any, ...]:
        """What all files of a dataset must declare alike."""
        return self.names, self.lists, self.rate_hz

    def name(self, column: str, value: int | str | None) -> str | None:
        """Return the class name that a stored value stands for.

        Raises:
            ValueError: If the id has no name.
        """
        if value is None or isinstance(value, str):
            return value
        names = self.names.get(column, CLASSES.get(column, ()))  # else a map lost what it declared
        if not 0 <= value < len(names):
            raise ValueError(f"{column} is {value}, of {len(names)} declared classes")
        return names[value]


def _named(features: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes of those features that have some."""
    return {
        name: tuple(feature["names"])
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }


def _item(feature: Any) -> Any:
    """Return the feature of a list's items, as any version of `datasets` writes it; else None."""
    if isinstance(feature, list):
        return feature[0] if feature else None
    is_list = isinstance(feature, dict) and feature.get("_type") in LISTS
    return feature.get("feature") if is_list else None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def values_of(column: pa.ChunkedArray, name: str) -> list[Any]:
    """Return a column as Python values; text that is no UTF-8 is a `ValueError` in its place."""
    try:
        values: list[Any] = column.to_pylist()
        return values
    except UnicodeDecodeError:
        return [value_of(scalar, name) for scalar in column]


def value_of(scalar: pa.Scalar, column: str) -> Any:
    """Return a stored value as a Python value, or a `ValueError` if it is text that is no UTF-8."""
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        return ValueError(f"{column} is not UTF-8: {error.object!r}")


def present(columns: Sequence[str], there: Sequence[str], where: str) -> tuple[str, ...]:
    """Return which columns can be read: all but each `Maybe` that is not there.

    Raises:
        ValueError: If another is missing.
    """
    found = [name for name in columns if name in there or not isinstance(name, Maybe)]
    if missing := [name for name in found if name not in there]:
        raise ValueError(f"{where} has no column {', '.join(missing)}; it has {', '.join(there)}")
    return tuple(map(str, found))


def check_columns(schema: pa.Schema, columns: Sequence[str], where: str) -> tuple[str, ...]:
    """Refuse a table that lacks what is to be read; return which columns can be.

    Raises:
        ValueError: If a column is missing, or `audio` is to be read and holds no encoded bytes.
    """
    found = present(columns, schema.names, where)
    if AUDIO not in found:
        return found
    kind = schema.field(AUDIO).type
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise ValueError(f"{where}: audio must be struct<bytes, path>, is {kind}")
    return found
