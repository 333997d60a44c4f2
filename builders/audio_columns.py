"""Annotations of many recordings to columns: what type each has, and what its cells are."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from sousa.builders.annotations import VALUE, Annotations, Entry, Events, Scalar
from sousa.builders.audio_schema import TAKEN
from sousa.builders.choices import refusal
from sousa.builders.schema import EVENTS as CONTRACT_EVENTS
from sousa.builders.schema import (
    METADATA,
    SCORE_BEST,
    Column,
    Label,
    ListOf,
    Struct,
    Type,
    Value,
)

KINDS: Final = ("class", "text", "number")
"""What the values of a label can be said to be; a number that is none is left out."""

MOST_CLASSES: Final = 1000
LONGEST_NAME: Final = 200
"""Characters of a class's name; longer texts are no names."""

EXACT_IN_FLOAT32: Final = 2**24
"""Whole numbers up to here are the same in float32."""

PREFIX: Final = "label_"
"""Goes before a name that is ours already, or begins with a digit."""

VALUES: Final = (VALUE, "label")
"""Fields of events that say what they are, to which `KINDS` and allowed names apply."""

OURS: Final = TAKEN | {column.name for column in CONTRACT_EVENTS} | {"tokens"}
NUMBERS: Final = {*SCORE_BEST, "tempo_bpm"}
CONTRACT_LABELS: Final = {c.name: c.type.names for c in METADATA if isinstance(c.type, Label)}


class Field(NamedTuple):
    """A column, and where its cells come from.

    Attributes:
        source: Name in the annotations.
        column: What it becomes.
        fields: Of events: name in the annotations by name of the field.
    """

    source: str
    column: Column
    fields: Mapping[str, str] | None = None


def decided(found: Annotations, wanted: Mapping[str, str]) -> list[Field]:
    """Return the columns that some annotations become, labels first, both by their names.

    A label of text is a class where at most three of four of its values differ, and a string else;
    where a recording has several values, all cells are lists of them.

    Args:
        found: The annotations.
        wanted: Names of labels and events that become columns, with one of `KINDS` or empty, where
            the values decide; nothing means all.

    Raises:
        ValueError: If there is no such label.
    """
    labels = sorted({name for entry in found.entries for name in entry.labels})
    events = sorted({name for entry in found.entries for name in entry.events})
    there = list(dict.fromkeys((*labels, *events)))
    for name in wanted:
        if name not in there:
            raise ValueError(refusal("--labels", name, there))
    made: list[Field] = []
    for make, name in (*((_label, name) for name in labels), *((_events, name) for name in events)):
        if wanted and name not in wanted:
            continue
        field = make(name, found.entries, wanted.get(name, ""), found.classes.get(name, ()))
        taken = {each.column.name.lower() for each in made}
        fits = _fits(name, found.entries)
        made.append(field._replace(column=_unique(_ours(field.column, fits=fits), taken)))
    return made


def cells(entry: Entry, fields: Iterable[Field]) -> dict[str, Any]:
    """Return the cells of one recording, as plain values by column; class names are ids."""
    made: dict[str, Any] = {}
    for source, column, names in fields:
        if isinstance(column.type, Struct):
            made[column.name] = _event_cells(entry.events.get(source), column.type, names or {})
        else:
            made[column.name] = _label_cell(entry.labels.get(source, ()), column.type)
    return made


def _label(name: str, entries: Sequence[Entry], kind: str, classes: tuple[str, ...]) -> Field:
    of_entry = [entry.labels[name] for entry in entries if name in entry.labels]
    values = [value for each in of_entry for value in each]
    type_ = _type(values, kind, classes)
    if any(len(each) > 1 for each in of_entry):
        type_ = ListOf(type_)
    return Field(name, Column(name, type_, "as annotated", nullable=True))


def _events(name: str, entries: Sequence[Entry], kind: str, classes: tuple[str, ...]) -> Field:
    all_events = [entry.events[name] for entry in entries if name in entry.events]
    parts = [Column("onset_sec", ListOf(Value("float64")), "when each begins", "s")]
    if any(length is not None for events in all_events for length in events.duration_sec):
        lengths = Column("duration_sec", ListOf(Value("float64")), "how long each lasts", "s")
        parts.append(lengths)
    names = {}
    for source in sorted({field for events in all_events for field in events.fields}):
        values = [
            value
            for events in all_events
            for value in events.fields.get(source, ())
            if value is not None
        ]
        is_value = source in VALUES
        type_ = _type(values, kind if is_value else "", classes if is_value else ())
        column = Column(source, ListOf(type_), "as annotated")
        column = _unique(column, {part.name.lower() for part in parts})
        parts.append(column)
        names[column.name] = source
    struct = Struct(tuple(parts))
    return Field(name, Column(name, struct, "events, by time", nullable=True), names)


def _type(values: Sequence[Scalar], kind: str, classes: tuple[str, ...]) -> Type:
    """Return what holds some values."""
    numbers = [value for value in values if isinstance(value, float)]
    if kind == "number" or (not kind and len(numbers) == len(values) and not classes):
        large = any(v.is_integer() and abs(v) > EXACT_IN_FLOAT32 for v in numbers)
        return Value("float64" if large else "float32")
    names = sorted({*map(text_of, values), *classes})
    if kind == "text" or not names:
        return Value("string")
    few = 4 * len(names) <= 3 * len(values) and len(names) <= MOST_CLASSES
    if kind == "class" or classes or (few and max(map(len, names)) <= LONGEST_NAME):
        return Label(tuple(names))
    return Value("string")


def text_of(value: Scalar) -> str:
    """Return a value as text; whole numbers without a decimal point.

    Examples:
        >>> text_of(1999.0), text_of(0.5), text_of("jazz")
        ('1999', '0.5', 'jazz')
    """
    if isinstance(value, str):
        return value
    return str(int(value)) if value.is_integer() else repr(value)


def _fits(name: str, entries: Sequence[Entry]) -> bool:
    """Return whether a label can mean what ours of that name does, as far as values tell.

    Each recording has one of our classes; scores may lack, but lie where ours do.
    """
    if name not in SCORE_BEST:
        return all(name in entry.labels for entry in entries)
    values = [value for entry in entries for value in entry.labels.get(name, ())]
    return all(isinstance(value, float) and 0 <= value <= SCORE_BEST[name] for value in values)


def _ours(column: Column, *, fits: bool) -> Column:
    """Return a column under another name if it has one of ours and means something else.

    Args:
        column: As annotated.
        fits: Whether its values could be ours.
    """
    name, type_ = column.name, column.type
    if name in CONTRACT_LABELS:
        if fits and isinstance(type_, Label) and set(type_.names) <= set(CONTRACT_LABELS[name]):
            return replace(column, type=Label(CONTRACT_LABELS[name]))
        return replace(column, name=PREFIX + name)
    foreign = name in SCORE_BEST and not fits
    if name in OURS or foreign or (name in NUMBERS and not _is_number(type_)):
        return replace(column, name=PREFIX + name)
    return column


def _is_number(type_: Type) -> bool:
    return isinstance(type_, Value) and type_.dtype != "string"


def _unique(column: Column, there: set[str]) -> Column:
    """Return a column under a name of word characters that no other has, in any case."""
    name = re.sub(r"\W+", "_", column.name).strip("_") or "label"
    if name[0].isdigit() or name.lower() in TAKEN:
        name = PREFIX + name
    number, unique = 1, name
    while unique.lower() in there:
        number += 1
        unique = f"{name}_{number}"
    return replace(column, name=unique)


def _label_cell(values: Sequence[Scalar], type_: Type) -> Any:
    if not values:
        return None
    if isinstance(type_, ListOf):
        return [value for value in _all_stored(values, type_.item) if value is not None]
    return _stored(values[0], type_)


def _event_cells(events: Events | None, type_: Struct, names: Mapping[str, str]) -> Any:
    if events is None:
        return None
    made: dict[str, Any] = {}
    for part in type_.fields:
        item = part.type.item if isinstance(part.type, ListOf) else part.type
        if part.name == "onset_sec":
            values: Sequence[Scalar | None] = events.onset_sec
        elif part.name == "duration_sec":
            values = events.duration_sec
        else:
            values = events.fields.get(names[part.name], [None] * len(events.onset_sec))
        made[part.name] = _all_stored(values, item)
    return made


def _all_stored(values: Sequence[Scalar | None], type_: Type) -> list[Any]:
    if isinstance(type_, Label):
        ids = {name: place for place, name in enumerate(type_.names)}
        return [None if value is None else ids[text_of(value)] for value in values]
    return [None if value is None else _stored(value, type_) for value in values]


def _stored(value: Scalar, type_: Type) -> Any:
    match type_:
        case Label(names):
            return names.index(text_of(value))
        case Value("string"):
            return text_of(value)
        case _:
            return value if isinstance(value, float) else None
