"""Annotations in a .pyjama file: one JSON file for a whole collection, versions 1.x of the format.

`collection.descriptiondefinition` says of each description what it extends over (the recording, a
time, a segment, or values over time) and what it may hold; `collection.entry` holds the recordings,
each with lists of values by description. Names of the keys changed with version 1.4, and so did the
direction of the matrices that hold values over time; both are read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from sousa.builders.annotations import (
    VALUE,
    Annotations,
    Entry,
    Events,
    Scalar,
    length_sec,
    named,
    read_json,
    scalar,
    time_sec,
)

FILEPATH: Final = "filepath"
EVENTFUL: Final = ("marker", "segment", "breakpoint", "breakpointvalue")
"""What events extend over, of the values of `type_extent`."""

SHARED_TIME: Final = "breakpointtime"
"""Extent of a description that is the time of others."""

NO_FIELDS: Final = frozenset({VALUE, "time", "duration"})

Atom = Mapping[str, Any]


class Definition(NamedTuple):
    """What `descriptiondefinition` says of a description.

    Attributes:
        extent: In small letters without underscores; empty where nothing is said.
        is_path: Whether it is the path of the recording.
        classes: Texts that are allowed; none where any is.
        names: Of the dimensions of its values.
        by_time: Whether a matrix has a row for each time, not for each dimension.
    """

    extent: str = ""
    is_path: bool = False
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    by_time: bool = False


def read_pyjama(path: Path) -> Annotations:
    """Read a .pyjama file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is none.
    """
    try:
        content = read_json(path)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error
    _check_version(content.get("schemaversion"), path)
    collection = content.get("collection")
    if not isinstance(collection, dict) or not isinstance(collection.get("entry"), list):
        raise ValueError(f"{path} has no list collection.entry")
    entries = collection["entry"]
    definitions = _definitions(collection.get("descriptiondefinition"), entries)
    paths = [name for name, each in definitions.items() if each.is_path] or [FILEPATH]
    found = Annotations(classes={n: d.classes for n, d in definitions.items() if d.classes})
    for number, content in enumerate(entries):
        where = f"{path.name} entry {number}"
        try:
            found.entries.append(_entry(content, where, paths[0], definitions))
        except ValueError as error:
            found.unusable.append((where, str(error)))
    return found


def _check_version(version: Any, path: Path) -> None:
    if str(version).partition(".")[0] != "1":
        raise ValueError(f"{path} must have schemaversion 1.x, has {version!r}")


def _definitions(content: Any, entries: list[Any]) -> dict[str, Definition]:
    """Return what is said of each description, or else what it looks like."""
    found = {}
    for name, each in content.items() if isinstance(content, dict) else ():
        found[name] = _definition(name, each if isinstance(each, dict) else {})
    for entry in entries:
        for name, value in entry.items() if isinstance(entry, dict) else ():
            known = found.get(name, Definition(is_path=name == FILEPATH))
            if not known.extent and any("time" in atom for atom in _atoms(value)):
                known = known._replace(extent="segment")
            found[name] = known
    return found


def _definition(name: str, content: Mapping[str, Any]) -> Definition:
    # Versions below 1.4 write typeExtent, later ones type_extent.
    plain = {key.replace("_", "").lower(): value for key, value in content.items()}
    constraint = str(plain.get("typeconstraint", "")).replace("_", "").lower()
    is_text = plain.get("typecontent", "text") == "text"
    allowed = _texts(plain.get("dictionary"))
    names = _texts(plain.get("rowname")) or _texts(plain.get("columnname"))
    return Definition(
        extent=str(plain.get("typeextent", "")).replace("_", "").lower(),
        is_path=name == FILEPATH or constraint == FILEPATH,
        classes=allowed if is_text and constraint == "valueindictionary" else (),
        names=names,
        by_time="columnname" in plain,
    )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _atoms(value: Any) -> list[Atom]:
    """Return the values of a description in an entry: objects with `value`, `time` and the like."""
    values = value if isinstance(value, list) else [value]
    return [each if isinstance(each, dict) else {VALUE: each} for each in values]


def _entry(
    content: Any, where: str, path_name: str, definitions: Mapping[str, Definition]
) -> Entry:
    if not isinstance(content, dict):
        raise ValueError("is no JSON object")
    entry = Entry(_path(content, path_name), where)
    shared = [n for n, d in definitions.items() if d.extent == SHARED_TIME and n in content]
    times = [time for name in shared[:1] for time in _times(content[name])]
    for name, value in content.items():
        definition = definitions[name]
        if name == path_name or definition.extent == SHARED_TIME:
            continue
        atoms = [atom for atom in _atoms(value) if _is_filled(atom)]
        if definition.extent in EVENTFUL:
            if atoms:  # empty lists stand where nothing was annotated
                entry.events[name] = _events(atoms, name, definition, times)
        else:
            _add_labels(entry.labels, name, atoms, definition)
    return entry


def _path(content: Mapping[str, Any], name: str) -> str:
    found = [scalar(atom.get(VALUE), name) for atom in _atoms(content.get(name, []))]
    paths = [path for path in found if path is not None]
    if len(paths) != 1 or not isinstance(paths[0], str):
        raise ValueError(f"must have one path in {name}, has {len(paths)}")
    return paths[0]


def _times(value: Any) -> list[Any]:
    """Return the times that descriptions of an entry share."""
    found = [atom.get(VALUE) for atom in _atoms(value)]
    while len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    return [each[0] if isinstance(each, list) and len(each) == 1 else each for each in found]


def _is_filled(atom: Atom) -> bool:
    return "time" in atom or atom.get(VALUE) not in ("", None, [])


def _add_labels(
    labels: dict[str, list[Scalar]], name: str, atoms: Sequence[Atom], definition: Definition
) -> None:
    """Take over what is said of the whole recording, and how sure it is."""
    sure: list[Scalar] = []
    for atom in atoms:
        value = _flat(atom.get(VALUE))
        values = value if isinstance(value, list) else [value]
        if len(definition.names) == len(values) > 1:
            for dimension, each in zip(definition.names, values, strict=True):
                _append(labels, f"{name}_{dimension}", each)
            continue
        for each in values:
            _append(labels, name, each)
        confidence = scalar(atom.get("confidence"), f"{name} confidence")
        sure += [] if confidence is None else [confidence]
    if sure and len(sure) == len(labels.get(name, ())):
        labels[f"{name}_confidence"] = sure


def _append(labels: dict[str, list[Scalar]], name: str, value: Any) -> None:
    found = scalar(value, name)
    if found is not None:
        labels.setdefault(name, []).append(found)


def _flat(value: Any) -> Any:
    """Return a matrix of one row or column as a list."""
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        if len(value) == 1:
            return value[0]
        if all(len(row) == 1 for row in value):
            return [row[0] for row in value]
    return value


def _events(atoms: Sequence[Atom], name: str, definition: Definition, shared: list[Any]) -> Events:
    events = Events()
    for atom in atoms:
        times = atom.get("time", shared if definition.extent == "breakpointvalue" else None)
        if isinstance(times, list) and len(times) != 1:
            _add_many(events, atom, times, name, definition)
            continue
        time = times[0] if isinstance(times, list) else times
        duration = atom.get("duration")
        duration = duration[0] if isinstance(duration, list) and len(duration) == 1 else duration
        further = {k: scalar(v, f"{name} {k}") for k, v in atom.items() if k not in NO_FIELDS}
        value = _flat(atom[VALUE]) if VALUE in atom else None
        fields = named(value, name, definition.names) if value is not None else {}
        events.add(
            time_sec(time, f"{name} time"),
            length_sec(duration, f"{name} duration"),
            fields | further,
        )
    events.sort()
    return events


def _add_many(
    events: Events, atom: Atom, times: list[Any], name: str, definition: Definition
) -> None:
    """Add what one atom says of many times."""
    rows = _rows(atom.get(VALUE), len(times), name, definition)
    durations = atom.get("duration")
    lasting = durations if isinstance(durations, list) else [durations] * len(times)
    if len(lasting) != len(times):
        raise ValueError(f"{name} has {len(times)} times and {len(lasting)} durations")
    for time, duration, row in zip(times, lasting, rows, strict=True):
        events.add(
            time_sec(time, f"{name} time"),
            length_sec(duration, f"{name} duration"),
            named(row, name, definition.names) if row is not None else {},
        )


def _rows(value: Any, times: int, name: str, definition: Definition) -> list[Any]:
    """Return the values at each time: of a list, or of a matrix in either direction.

    Raises:
        ValueError: If there is not one for each time.
    """
    if value is None:
        return [None] * times
    if not isinstance(value, list):
        raise ValueError(f"{name} has {times} times and one value")
    matrix = bool(value) and all(isinstance(row, list) for row in value)
    if not matrix and len(value) == times:
        return value
    across = {len(row) for row in value} if matrix else set()
    if len(across) == 1:
        if across == {times} and not (definition.by_time and len(value) == times):
            return [list(column) for column in zip(*value, strict=True)]
        if len(value) == times:
            return value
    raise ValueError(f"{name} has {times} times, and values of another number")
