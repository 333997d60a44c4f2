"""Rows of a dataset to the tables of the existing SOUSA layout: its columns, its types.

What its generators do not write stands behind their columns: the choice of microphone, say, and
the table of mistakes. Numbers are int64 and float64, classes are names, and whole numbers that may
be null are float64, all as pandas stores them.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.schema import (
    MEASURE_FIELDS,
    METADATA,
    MISTAKE_FIELDS,
    SCORE_COLUMNS,
    STROKE_FIELDS,
    Column,
    Label,
    Value,
)
from sousa.builders.sousa_schema import source_name

ID: Final = "sample_id"
MIDI_PATH, AUDIO_PATH = "midi_path", "audio_path"

FIRST: Final = (
    *(ID, "profile_id", "rudiment_slug", "tempo_bpm", "duration_sec", "num_cycles", "skill_tier"),
    *("skill_tier_binary", "dominant_hand", MIDI_PATH, AUDIO_PATH, "num_strokes", "num_measures"),
    *("soundfont", "augmentation_preset", "augmentation_group_id", "aug_soundfont"),
    *("aug_room_type", "aug_room_wet_dry", "aug_mic_distance", "aug_mic_type"),
    *("aug_compression_ratio", "aug_noise_level_db", "aug_bit_depth", "aug_sample_rate"),
)
"""Columns of `samples.parquet` as generators write them; others follow."""

NEW_SCORES: Final = ("drag_quality", "buzz_quality")
"""Scores that generators do not write; they stand behind all others."""

LISTS: Final[Mapping[str, Sequence[Column]]] = {
    "measures": MEASURE_FIELDS,
    "strokes": STROKE_FIELDS,
    "mistakes": MISTAKE_FIELDS,
}
"""Columns of lists, which become tables, and the fields of their entries."""

WHOLE: Final = tuple(
    column.name
    for column in METADATA
    if column.name == "tempo_bpm"
    or (isinstance(column.type, Value) and column.type.dtype == "int32")
)
"""Columns that are int64 where they hold whole numbers without null, else float64."""


def samples(
    rows: pa.Table, paths: Mapping[str, list[str | None]], whole: frozenset[str]
) -> pa.Table:
    """Return the rows of `samples.parquet`.

    Args:
        rows: Rows of a config.
        paths: `MIDI_PATH` and `AUDIO_PATH`.
        whole: Those of `WHOLE` that are int64.
    """
    found = {name: pa.array(path, pa.string()) for name, path in paths.items()}
    for column in METADATA:
        type_ = pa.int64() if column.name in whole else pa.float64()
        found[source_name(column.name)] = _cells(rows[column.name], column, type_)
    found["aug_soundfont"] = found["soundfont"]
    return pa.table({name: found[name] for name in dict.fromkeys((*FIRST, *found))})


def exercises(rows: pa.Table) -> pa.Table:
    """Return the rows of `exercises.parquet`."""
    names = [column.name for column in SCORE_COLUMNS if column.name not in NEW_SCORES]
    return pa.table(
        {name: rows[name].cast(pa.float64()) for name in names}
        | {ID: rows[ID]}
        | {name: rows[name].cast(pa.float64()) for name in NEW_SCORES}
    )


def entries(rows: pa.Table, name: str) -> pa.Table:
    """Return the rows of the table that one column of lists becomes."""
    struct = rows[name].combine_chunks()
    if isinstance(struct, pa.ChunkedArray):
        struct = struct.chunk(0)
    lists = dict(zip((field.name for field in struct.type), struct.flatten(), strict=True))
    of = pc.list_parent_indices(next(iter(lists.values())))
    found = {
        column.name: _cells(lists[column.name].flatten(), column, _number(column))
        for column in LISTS[name]
    }
    return pa.table(found | {ID: rows[ID].take(of)})


def _number(column: Column) -> pa.DataType:
    is_whole = isinstance(column.type, Value) and column.type.dtype == "int32"
    return pa.int64() if is_whole and not column.nullable else pa.float64()


def _cells(
    cells: pa.Array | pa.ChunkedArray, column: Column, number: pa.DataType
) -> pa.Array | pa.ChunkedArray:
    """Return cells in the layout's types: names of classes, text, truth, or numbers."""
    if isinstance(column.type, Label):
        try:
            return pc.take(pa.array(column.type.names), cells)
        except pa.ArrowIndexError as error:
            classes = len(column.type.names)
            raise ValueError(f"column {column.name} must hold ids of {classes} classes") from error
    if isinstance(column.type, Value) and column.type.dtype in ("string", "bool"):
        return cells
    return cells.cast(number)
