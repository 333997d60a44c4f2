"""Label columns become what a batch says about each row."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from sousa.builders.schema import SCORE_BEST
from sousa.loaders.labels import CLASSES
from sousa.loaders.rows import Declared, Maybe, values_of
from sousa.loaders.targets import MISSING, Target

IDENTITY: Final = ("sample_id", *map(Maybe, ("skill_tier", "rudiment_slug", "tempo_bpm")))
"""Columns that every sample carries, whatever the target; None where the data lacks one."""

Tempo = int | float | None
Value = int | float | tuple[float, ...]


@dataclass(eq=False)
class Labels:
    """What is said about some rows, each list in their order.

    Attributes:
        sample_ids: Ids.
        skill_tiers: Names.
        rudiment_slugs: Names.
        tempo_bpms: Tempos; whole ones are ints.
        labels: A class id for each row, or a score, or k of them; NaN where a score is missing, and
            `MISSING` where a class is that may be.
        broken: Why a row's labels cannot be used, by row; nothing else is right about such rows.
    """

    sample_ids: list[str | None] = field(default_factory=list)
    skill_tiers: list[str | None] = field(default_factory=list)
    rudiment_slugs: list[str | None] = field(default_factory=list)
    tempo_bpms: list[Tempo] = field(default_factory=list)
    labels: list[Value] = field(default_factory=list)
    broken: dict[int, str] = field(default_factory=dict)


def labelled(table: pa.Table, target: Target, declared: Declared) -> Labels:
    """Return the labels of all rows of a table that holds `IDENTITY` and the target's columns."""
    made = Labels()

    def each(name: str, convert: Callable[[Any], Any]) -> list[Any]:
        if name not in table.column_names:
            return [None] * table.num_rows
        return converted(values_of(table.column(name), name), convert, made.broken)

    def named(name: str) -> list[Any]:
        return each(name, lambda value: present(declared.name(name, value), name))

    made.sample_ids = named("sample_id")
    if target.is_class:
        made.labels = each(target.columns[0], lambda value: class_id(target, declared, value))
    elif target.classes:
        made.labels = each(target.columns[0], lambda value: many_hot(target, value))
    else:
        made.labels = scores(table, target, made.broken)
    made.skill_tiers = named("skill_tier")
    made.rudiment_slugs = named("rudiment_slug")
    made.tempo_bpms = each("tempo_bpm", plain)
    return made


def converted(
    values: list[Any], convert: Callable[[Any], Any], broken: dict[int, str]
) -> list[Any]:
    """Return the values that `convert` makes, None where it cannot, and note why in `broken`."""
    made: list[Any] = []
    for row, value in enumerate(values):
        try:
            if isinstance(value, ValueError):
                raise value
            made.append(convert(value))
        except ValueError as error:
            broken.setdefault(row, str(error))
            made.append(None)
    return made


def present(value: str | None, name: str) -> str:
    """Return a value that is there.

    Raises:
        ValueError: If it is null.
    """
    if value is None:
        raise ValueError(f"{name} is null")
    return value


def class_id(target: Target, declared: Declared, value: int | str | None) -> int:
    """Return the id of a stored class, by the schema or, for others, by what the data declares.

    Raises:
        ValueError: If it is null, which just others may be, or unknown.
    """
    column = target.columns[0]
    if target.classes and value is None:
        return MISSING
    name = declared.name(column, value)
    if target.classes and isinstance(value, int):
        return value  # it has a name, so it is an id
    known = target.classes or CLASSES[column]
    if name not in known:
        raise ValueError(f"{column} must be one of {', '.join(known)}; is {name}")
    return known.index(name)


def many_hot(target: Target, ids: list[int] | None) -> tuple[float, ...]:
    """Return 1 for each class that a row has and 0 for others; NaN where nothing is known of it.

    Raises:
        ValueError: If an id has no name.
    """
    if ids is None:
        return (math.nan,) * len(target.classes)
    wrong = [each for each in ids if each is None or not 0 <= each < len(target.classes)]
    if wrong:
        raise ValueError(f"{target.columns[0]} holds {wrong[0]}, of {len(target.classes)} classes")
    return tuple(float(place in ids) for place in range(len(target.classes)))


def scores(table: pa.Table, target: Target, broken: dict[int, str]) -> list[Value]:
    """Return scores as shares of their best value, NaN where a row has none; other numbers as is.

    Rows with a score below 0 or above its best value, or no number, are noted in `broken`.
    """
    shares = []
    for name in target.columns:
        column = table.column(name)
        try:
            numbers = column.cast(pa.float64()).to_numpy()
        except pa.ArrowException:
            broken.update(dict.fromkeys(range(len(column)), f"{name} holds {column.type}"))
            numbers = np.full(len(column), np.nan)
        best = SCORE_BEST.get(name)
        if best is None:
            shares.append(numbers.tolist())
            continue
        for row in np.flatnonzero((numbers < 0) | (numbers > best)).tolist():
            broken.setdefault(row, f"{name} must be in [0, {best}], is {numbers[row]}")
        shares.append((numbers / best).tolist())
    return list(zip(*shares, strict=True)) if target.shape else shares[0]


def plain(tempo_bpm: float | None) -> Tempo:
    """Return a tempo as people write it: 120, 112.5.

    Raises:
        ValueError: If it is infinite or NaN.
    """
    if tempo_bpm is None:
        return None
    if not math.isfinite(tempo_bpm):
        raise ValueError(f"tempo_bpm is {tempo_bpm}")
    return int(tempo_bpm) if tempo_bpm == int(tempo_bpm) else tempo_bpm
