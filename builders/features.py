"""Arrow schemas that `datasets` understands, derived from the contract.

`datasets` reads its features from the schema's metadata, so a Parquet file written with one of
these schemas needs neither `datasets` to write it nor a side-car to read it.
"""

import json
from typing import Any

import pyarrow as pa

from sousa.builders.schema import Audio, Column, Label, ListOf, Struct, Type, Value


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """Return the Arrow schema of some columns, with the features of `datasets` as metadata."""
    features = {column.name: feature(column.type) for column in columns}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    fields = [pa.field(column.name, arrow_type(column.type)) for column in columns]
    return pa.schema(fields, metadata=metadata)


def arrow_type(type_: Type) -> pa.DataType:
    """Return the Arrow type that stores a column."""
    match type_:
        case Value(dtype):
            return pa.bool_() if dtype == "bool" else pa.type_for_alias(dtype)
        case Label():
            return pa.int64()
        case ListOf(item):
            return pa.list_(arrow_type(item))
        case Struct(fields):
            return pa.struct([(field.name, arrow_type(field.type)) for field in fields])
        case Audio():
            return pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def feature(type_: Type) -> dict[str, Any]:
    """Return the JSON form of the `datasets` feature of a column."""
    match type_:
        case Value(dtype):
            return {"dtype": dtype, "_type": "Value"}
        case Label(names):
            return {"names": list(names), "_type": "ClassLabel"}
        case ListOf(item):
            return {"feature": feature(item), "_type": "List"}
        case Struct(fields):
            return {field.name: feature(field.type) for field in fields}
        case Audio(rate_hz):
            return {"sampling_rate": rate_hz, "_type": "Audio"}
