"""Rows to Arrow tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sousa.builders.features import arrow_schema, arrow_type
from sousa.builders.schema import Audio, Column, Label, ListOf, Struct, Value
from sousa.builders.strokes import NONE

AUDIO_SUFFIX = {44_100: ".flac", 16_000: ".wav"}


def table(rows: Sequence[dict[str, Any]], config: str, columns: tuple[Column, ...]) -> pa.Table:
    """Return rows as a table with the schema of a config.

    Args:
        rows: Cells by column name. Labels are names or ids; null is None or NaN, in integer
            arrays also `strokes.NONE`, where the column is nullable.
        config: Which one; its audio stands in the row under the config's name.
        columns: Those of the config.
    """
    arrays = []
    for column in columns:
        if isinstance(column.type, Audio):
            arrays.append(_audio(rows, config, AUDIO_SUFFIX[column.type.rate_hz]))
        else:
            arrays.append(_array([row[column.name] for row in rows], column))
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns))


def _array(cells: Sequence[Any], column: Column) -> pa.Array:
    match column.type:
        case Label(names):
            ids = [names.index(cell) if isinstance(cell, str) else cell for cell in cells]
            return pa.array(ids, pa.int64())
        case ListOf(ListOf(Value(dtype))):
            return _tables(cells, pa.type_for_alias(dtype))
        case ListOf(item):
            return _lists(cells, arrow_type(item), nullable=column.nullable)
        case Struct(fields):
            arrays = [_array([cell[field.name] for cell in cells], field) for field in fields]
            return pa.StructArray.from_arrays(arrays, names=[field.name for field in fields])
        case _:
            return pa.array(cells, arrow_type(column.type), from_pandas=True)  # NaN becomes null


def _lists(cells: Sequence[Any], item: pa.DataType, *, nullable: bool) -> pa.Array:
    """Join arrays of any lengths, in one pass over all rows."""
    filled = [cell for cell in cells if cell is not None]
    values = np.concatenate([np.empty(0, np.int8), *filled])
    missing = (values == NONE if pa.types.is_integer(item) else np.isnan(values)) & nullable
    flat = pa.array(values.astype(item.to_pandas_dtype()), item, mask=missing)
    return _nested(cells, flat)


def _tables(cells: Sequence[Any], item: pa.DataType) -> pa.Array:
    """Join lists of arrays: lists of lists."""
    parts = [part for cell in cells if cell is not None for part in cell]
    starts = np.cumsum([0, *(len(part) for part in parts)], dtype=np.int32)
    flat = np.concatenate([np.empty(0, item.to_pandas_dtype()), *parts])
    return _nested(cells, pa.ListArray.from_arrays(pa.array(starts), pa.array(flat, item)))


def _nested(cells: Sequence[Any], items: pa.Array) -> pa.Array:
    """Return lists of items that lie end to end; where a cell is None, null."""
    offsets = np.zeros(len(cells) + 1, np.int32)
    np.cumsum([0 if cell is None else len(cell) for cell in cells], out=offsets[1:])
    missing = np.array([cell is None for cell in cells], np.bool_)
    mask = pa.array(missing) if missing.any() else None
    return pa.ListArray.from_arrays(pa.array(offsets), items, mask=mask)


def _audio(rows: Sequence[dict[str, Any]], config: str, suffix: str) -> pa.Array:
    encoded = pa.array([row[config] for row in rows], pa.binary())
    paths = pa.array([row["sample_id"] + suffix for row in rows], pa.string())
    return pa.StructArray.from_arrays([encoded, paths], names=["bytes", "path"])
