"""Columns of Arrow tables, and what their schema declares about them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sousa.loaders.labels import CLASSES

AUDIO = "audio"
"""The column that holds the encoded clip."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a table's schema says beyond Arrow types, in the metadata that `datasets` writes.

    Attributes:
        columns: Names of all columns.
        names: Class names of each label column that is stored as ids.
        rate_hz: Sample rate that every clip should have; None where nothing is declared.
    """

    columns: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    rate_hz: int | None

    @classmethod
    def by(cls, schema: pa.Schema) -> "Declared":
        """Return what a schema declares."""
        text = (schema.metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(text).get("info", {}).get("features", {})
        names = {
            name: tuple(feature["names"])
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
        return cls(tuple(schema.names), names, features.get(AUDIO, {}).get("sampling_rate"))

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


def check_columns(schema: pa.Schema, columns: tuple[str, ...], where: str) -> None:
    """Refuse a table that lacks what is to be read.

    Raises:
        ValueError: If a column is missing, or `audio` is to be read and holds no encoded bytes.
    """
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise ValueError(
            f"{where} has no column {', '.join(missing)}; it has {', '.join(schema.names)}"
        )
    if AUDIO not in columns:
        return
    kind = schema.field(AUDIO).type
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise ValueError(f"{where}: audio must be struct<bytes, path>, is {kind}")
