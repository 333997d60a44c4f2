"""The columns of a dataset that was imported from the existing SOUSA layout, and that layout."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sousa.builders import schema
from sousa.builders.schema import Column

KIND: Final = "sousa"
"""What `import` in the plan of such a dataset's manifest says."""

SAMPLES, EXERCISES, MEASURES, STROKES, MISTAKES = (
    f"labels/{name}.parquet" for name in ("samples", "exercises", "measures", "strokes", "mistakes")
)
"""The tables of the layout. Generators of SOUSA write no mistakes; our exports do."""

SPLIT_FILE: Final = "splits.json"
INDEX_FILE: Final = "index.json"

PLAYERS: Final[Mapping[str, str]] = {
    "train_profile_ids": "train",
    "val_profile_ids": "validation",
    "validation_profile_ids": "validation",
    "test_profile_ids": "test",
}
"""Keys of `splits.json`, and the split whose players each lists."""

REQUIRED: Final = ("sample_id", "profile_id", "rudiment_slug", "skill_tier")
"""Columns that every sample must have a value in."""

SOURCE_NAMES: Final[Mapping[str, str]] = {"kit": "soundfont"}
"""Columns that are called otherwise there."""

SCORE_SET: Final = "sousa-v0"
"""The formulas of the scores, where the source does not name others."""


def columns(config: str, tokens: tuple[Column, ...] = ()) -> tuple[Column, ...]:
    """Return the columns of one config, in stored order: those of built rows, types and all.

    What a source may lack is null: all but `REQUIRED`, `strokes`, `measures` and the audio.

    Args:
        config: One of `schema.CONFIGS`.
        tokens: The token columns, and what says whether they are exact.
    """
    always = {*REQUIRED, "strokes", "measures", "audio", *(column.name for column in tokens)}
    return tuple(
        column if column.name in always else replace(column, nullable=True)
        for column in schema.columns(config, tokens)
    )


def source_name(column: str) -> str:
    """Return what the layout calls a column."""
    return SOURCE_NAMES.get(column, column)
