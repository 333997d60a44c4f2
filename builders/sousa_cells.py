"""Columns of the existing layout to the declared types: the same values, in one kind of storage."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.features import arrow_type
from sousa.builders.schema import Column, Label, Value
from sousa.builders.sousa_schema import source_name


def typed(stored: pa.Table, declared: Iterable[Column]) -> pa.Table:
    """Return the declared columns of a table; those that it lacks are null.

    NaN becomes null, names of classes become ids, and what float64 holds becomes the nearest
    float32 where that is declared. All other values stay as they are.

    Raises:
        ValueError: If a value has no place in its type, such as half a stroke.
    """
    arrays = {column.name: _column(stored, column) for column in declared}
    return pa.table(arrays)


def unknown(stored: pa.Table, cells: pa.Table, declared: Iterable[Column]) -> dict[int, str]:
    """Return the rows in which a class has a name that is none of its, and what is wrong."""
    found: dict[int, str] = {}
    for column in declared:
        name = source_name(column.name)
        if not isinstance(column.type, Label) or name not in stored.column_names:
            continue
        lost = pc.and_(pc.is_null(cells[column.name]), pc.is_valid(stored[name]))
        for row in pc.indices_nonzero(lost).to_pylist():
            value = stored[name][row].as_py()
            found.setdefault(row, f"{name} is {value!r}, {_allowed(column.type.names)}")
    return found


def _allowed(names: Sequence[str]) -> str:
    if len(names) > 8:
        return f"none of the {len(names)} that there are"
    return f"must be of {', '.join(names)}"


def _column(stored: pa.Table, column: Column) -> pa.ChunkedArray:
    name, type_ = source_name(column.name), arrow_type(column.type)
    if name not in stored.column_names:
        return pa.chunked_array([pa.nulls(stored.num_rows, type_)])
    array = stored[name]
    try:
        return _cast(array, column, type_)
    except pa.ArrowException as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"column {name} of type {array.type}: {first}") from error


def _cast(array: pa.ChunkedArray, column: Column, type_: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_null(array.type):
        return pa.chunked_array([pa.nulls(len(array), type_)])
    if isinstance(column.type, Label):
        names = pa.array(column.type.names)
        return pc.index_in(array.cast(pa.string()), names).cast(type_)
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)
    return array.cast(type_, safe=column.type != Value("float32"))
