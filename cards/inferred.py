"""Rows of a stream that does not know its features to features.

A stream forgets its features when it is mapped. A column that has the name of one before the map,
and values that still fit that one's feature, keeps it, as columns of a mapped `Dataset` do; what
is audio becomes `Audio`; the rest is what Arrow takes the values for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

import pyarrow as pa
from datasets import Audio, Features, IterableDataset

from sousa.cards.audio_cells import audio_cell, is_audio

Batch: TypeAlias = dict[str, list[Any]]
Tabled: TypeAlias = Callable[[Batch, Features | None], pa.Table]

BATCHES_AHEAD: Final = 32
"""Batches that are read to know the features; with audio in them, no more than are needed."""


def encoded(batch: Batch) -> Batch:
    """Return rows with their audio as files hold it: some decoders can be read only once."""
    return {
        name: [audio_cell(value) for value in values] if _is_heard(values) else values
        for name, values in batch.items()
    }


def rows_ahead(batches: Iterator[Batch], tabled: Tabled) -> list[Batch]:
    """Take batches from a stream until they tell its features, and some more if they are light."""
    ahead: list[Batch] = []
    for batch in islice(batches, BATCHES_AHEAD):
        ahead.append(batch)
        if any(map(_is_heard, batch.values())) and not _unknown(joined(ahead), tabled):
            break
    return ahead


def joined(batches: Sequence[Batch]) -> Batch:
    """Return batches as one; a column that some lack is null in those."""
    columns = dict.fromkeys(column for batch in batches for column in batch)
    counts = [len(next(iter(batch.values()), ())) for batch in batches]
    return {
        column: [
            value
            for batch, count in zip(batches, counts, strict=True)
            for value in batch.get(column, [None] * count)
        ]
        for column in columns
    }


def inferred(name: str, stream: IterableDataset, rows: Batch, tabled: Tabled) -> Features:
    """Return the features of a stream that does not know them.

    Args:
        name: Of the split.
        stream: It.
        rows: Its first ones.
        tabled: Makes a table of rows, of the features given.

    Raises:
        ValueError: If nothing tells them, or the values of a column are of several kinds.
    """
    before = _features_before(stream)
    found: dict[str, Any] = {}
    unknown: list[str] = []
    for column, values in rows.items():
        if column in before and _fits({column: values}, before[column], tabled):
            found[column] = before[column]
        elif _is_heard(values):
            found[column] = Audio()
        else:
            table = tabled({column: values}, None)
            unknown += [column] * _has_null(table.schema.field(column).type)
            found |= Features.from_arrow_schema(table.schema)
    if unknown:
        raise ValueError(
            f"the features of split {name} are not known, and its first rows are null in "
            f"{', '.join(unknown)}; give `features` to the last `map`"
        )
    return Features(found)


def _features_before(stream: IterableDataset) -> Mapping[str, Any]:
    """Return the features of the last step of a stream that knows its own; none if none does.

    `datasets` has no public way to the steps. Where it keeps them elsewhere, none is found.
    """
    step = getattr(stream, "_ex_iterable", None)
    while step is not None:
        if known := getattr(step, "features", None):
            return dict(known)
        step = getattr(step, "ex_iterable", None)
    return {}


def _fits(column: Batch, feature: Any, tabled: Tabled) -> bool:
    try:
        tabled(column, Features(dict.fromkeys(column, feature)))
    except ValueError:
        return False
    return True


def _is_heard(values: Iterable[Any]) -> bool:
    """Return whether values are audio, as far as there are any."""
    first = next((value for value in values if value is not None), None)
    return is_audio(first)


def _unknown(rows: Batch, tabled: Tabled) -> bool:
    """Return whether a column is null so far."""
    others = {name: values for name, values in rows.items() if not _is_heard(values)}
    return bool(others) and any(_has_null(field.type) for field in tabled(others, None).schema)


def _has_null(type_: pa.DataType) -> bool:
    parts = (type_.field(index).type for index in range(type_.num_fields))
    return pa.types.is_null(type_) or any(map(_has_null, parts))
