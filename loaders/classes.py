"""The class of every row, read from one column."""

import numpy as np
import pyarrow as pa

from sousa.loaders.labels import CLASSES
from sousa.loaders.layout import Indices
from sousa.loaders.rows import Declared
from sousa.loaders.source import Source

UNREAD = -1
"""In place of a class: the row's file cannot be read."""


def known_classes(declared: Declared, column: str) -> tuple[str, ...]:
    """Return the classes that a column may hold, where the data or the schema says so."""
    return declared.names.get(column) or tuple(CLASSES.get(column, ()))


def classes_of(
    source: Source, column: str, *, skip_broken: bool = False
) -> tuple[Indices, list[str]]:
    """Return the class of every row, by a label column or any column of strings.

    Args:
        source: The rows.
        column: Which column.
        skip_broken: Whether rows of files that cannot be read are `UNREAD`, instead of an error.

    Returns:
        Positions in a list of names, and that list: the classes that the data has, by the order
        of the schema, or of the alphabet.

    Raises:
        ValueError: If there is no such column, it has nulls, or is not made of classes, or if no
            file can be read.
        BrokenRowError: If a file cannot be read.
    """
    declared = source.declared
    if declared.columns and column not in declared.columns:
        raise ValueError(f"no column {column}, there are {', '.join(declared.columns)}")
    stored, read = source.column(column, skip_broken=skip_broken)
    if source.broken and not read.any():
        first = source.broken[0]
        raise ValueError(f"no file can be read for its {column}; {first.file}: {first.cause}")
    if pa.types.is_nested(stored.type):
        raise ValueError(f"{column} holds {stored.type}, not classes")
    known = stored.filter(read).combine_chunks().dictionary_encode()
    if known.null_count:
        raise ValueError(f"{column} is null in {known.null_count} rows: filter them out first")
    values = known.dictionary.to_pylist()
    if not all(isinstance(value, int | str) for value in values):
        raise ValueError(f"{column} holds {known.type.value_type}, not classes")
    found = [str(declared.name(column, value)) for value in values]
    order = CLASSES.get(column, ())
    names = sorted(set(found), key=lambda name: (order.index(name) if name in order else -1, name))
    classes = np.full(len(read), UNREAD, np.int64)
    classes[read] = np.array([names.index(name) for name in found], np.int64)[
        known.indices.to_numpy()
    ]
    return classes, names
