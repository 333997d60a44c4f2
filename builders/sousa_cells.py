"""Columns of the existing layout to the declared types: the same values, in one kind of storage."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.features import arrow_type
from sousa.builders.schema import Column, Label, Value
from sousa.builders.sousa_schema import source_name


def typed(stored: pa.Table, declared: Iterable[Column]) -> pa.Table:
    """Return the declared columns of a table; those that it lacks are null.

    NaN becomes null, names of classes become ids, and what float64 holds becomes the nearest
    float32 where that is declared. What has no place in its type is null too, and `misfits` tells
    it; all other values stay as they are.

    Raises:
        ValueError: If a column is of a type that has none of its values, such as lists.
    """
    arrays = {column.name: _column(stored, column) for column in declared}
    return pa.table(arrays)


def misfits(stored: pa.Table, cells: pa.Table, declared: Iterable[Column]) -> dict[int, str]:
    """Return the rows with a value that has no place in its type, and what is wrong.

    Such as half a stroke, or a class with a name that is none of its.

    Args:
        stored: A table.
        cells: What `typed` makes of it.
        declared: Columns.
    """
    found: dict[int, str] = {}
    for column in declared:
        name = source_name(column.name)
        if name not in stored.column_names:
            continue
        held = pc.invert(pc.is_null(stored[name], nan_is_null=True))
        lost = pc.and_(pc.is_null(cells[column.name]), held)
        for row in pc.indices_nonzero(lost).to_pylist():
            value = stored[name][row].as_py()
            found.setdefault(row, f"{name} is {value!r}, {_allowed(column)}")
    return found


def _allowed(column: Column) -> str:
    if not isinstance(column.type, Label):
        return f"which {arrow_type(column.type)} cannot hold"
    names = column.type.names
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
        if not pa.types.is_nested(array.type):
            return _cast_each(array, column, type_)
        first = str(error).splitlines()[0]
        raise ValueError(f"column {name} of type {array.type}: {first}") from error


def _cast_each(array: pa.ChunkedArray, column: Column, type_: pa.DataType) -> pa.ChunkedArray:
    """Return what can be cast, and null for the rest."""
    encoded = array.unify_dictionaries().combine_chunks().dictionary_encode()
    values = [pa.nulls(0, type_)]
    for index in range(len(encoded.dictionary)):
        value = pa.chunked_array([encoded.dictionary.slice(index, 1)])
        try:
            values += _cast(value, column, type_).chunks
        except pa.ArrowException:
            values.append(pa.nulls(1, type_))
    return pa.chunked_array([pa.concat_arrays(values).take(encoded.indices)])


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
