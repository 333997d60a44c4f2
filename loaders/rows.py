"""Rows of Arrow tables, and what their schema declares about them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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
        names = self.names.get(column, ())
        if not 0 <= value < len(names):
            raise ValueError(f"{column} is {value}, of {len(names)} declared classes")
        return names[value]


class Rows:
    """The rows of one table, as plain Python values beside a view of each clip's bytes.

    Values are made row by row, so that one that cannot be made spoils no other row.

    Args:
        table: Any number of rows. Its `audio`, where it has one, is `struct<bytes, path>`.
    """

    def __init__(self, table: pa.Table) -> None:
        self.nbytes: int = table.nbytes
        self._size: int = table.num_rows
        self._values = {name: table.column(name) for name in table.column_names if name != AUDIO}
        self._clips = pc.struct_field(table.column(AUDIO), "bytes")

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one row; `audio` is a buffer of its bytes, None where there are none.

        Raises:
            ValueError: If it holds text that is no UTF-8.
        """
        row = {name: value_of(values[index], name) for name, values in self._values.items()}
        row[AUDIO] = self._clips[index].as_buffer()
        return row


def value_of(scalar: pa.Scalar, column: str) -> Any:
    """Return a stored value as a Python value.

    Raises:
        ValueError: If it is text that is no UTF-8.
    """
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        raise ValueError(f"{column} is not UTF-8: {error.object!r}") from error


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
