"""The columns of a dataset that was imported from recordings with annotations.

What the annotations hold differs from one collection to the next, so the columns that come of them
are decided once (`audio_columns`) and recorded in the plan, as `columns`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sousa.builders.schema import (
    CONFIG_RATES,
    Audio,
    Column,
    Label,
    ListOf,
    Struct,
    Type,
    Value,
)

KIND: Final = "audio"
"""What `import` in the plan of such a dataset's manifest says."""

CONFIGS: Final = ("audio", "audio_16k", "labels_only")
"""Names of its configs, the default first."""

METADATA: Final = (
    Column("sample_id", Value("string"), "unique; of `source_path` and `audio_sha256`"),
    Column("source_path", Value("string"), "of the recording, from the imported folder"),
    Column("audio_sha256", Value("string"), "of the mono 16-bit samples at 44.1 kHz"),
    Column("duration_sec", Value("float32"), "length of the recording", "s"),
    Column("source_sample_rate_hz", Value("int32"), "of the file", "Hz"),
    Column("source_channels", Value("int32"), "of the file; their mean is kept"),
)
"""Columns that every such dataset has, before those of its annotations."""

TAKEN: Final = frozenset({"audio", *(column.name for column in METADATA)})
"""Names that no annotation's column can have."""

DTYPES: Final = ("string", "float32", "float64")
"""Of the values in columns of annotations."""

DEEPEST: Final = 3
"""Types within types that a plan may hold: a struct of lists of values."""


def columns(config: str, plan: Mapping[str, Any]) -> tuple[Column, ...]:
    """Return the columns of one config, in stored order.

    Args:
        config: One of `CONFIGS`.
        plan: That of the manifest.
    """
    told = (*METADATA, *annotated(plan))
    if config not in CONFIG_RATES:
        return told
    return (*told, Column("audio", Audio(CONFIG_RATES[config]), "the recording, mono"))


def annotated(plan: Mapping[str, Any]) -> tuple[Column, ...]:
    """Return the columns of the annotations by a plan; none where it records them wrongly."""
    try:
        return tuple(map(_column, plan["columns"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()


def recorded(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return columns as a plan records them.

    Examples:
        >>> recorded([Column("genre", Label(("jazz", "rock")), "as annotated", nullable=True)])
        [{'name': 'genre', 'doc': 'as annotated', 'unit': '', 'names': ['jazz', 'rock']}]
    """
    return [
        {"name": column.name, "doc": column.doc, "unit": column.unit, **_type_record(column.type)}
        for column in columns
    ]


def _type_record(type_: Type) -> dict[str, Any]:
    match type_:
        case Value(dtype):
            return {"dtype": dtype}
        case Label(names):
            return {"names": list(names)}
        case ListOf(item):
            return {"list": _type_record(item)}
        case Struct(fields):
            return {"fields": recorded(fields)}
        case _:
            raise ValueError(f"no column of annotations is a {type_}")


def _column(record: Mapping[str, Any], depth: int = 0) -> Column:
    name, doc, unit = str(record["name"]), str(record["doc"]), str(record["unit"])
    return Column(name, _type(record, depth), doc, unit, nullable=depth == 0)


def _type(record: Mapping[str, Any], depth: int) -> Type:
    if depth > DEEPEST:
        raise ValueError("types are nested too deep")
    if "fields" in record:
        return Struct(tuple(_column(each, depth + 1) for each in record["fields"]))
    if "list" in record:
        return ListOf(_type(record["list"], depth + 1))
    if "names" in record:
        return Label(tuple(str(name) for name in record["names"]))
    if record["dtype"] not in DTYPES:
        raise ValueError(f"dtype must be of {', '.join(DTYPES)}, got {record['dtype']!r}")
    return Value(record["dtype"])
