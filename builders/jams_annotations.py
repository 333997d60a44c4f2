"""Annotations in JAMS files (JSON Annotated Music Specification), one for each recording.

Observations of every namespace are events in time, but for those of `OF_WHOLE`, such as tags, where
each of them, in all files, holds for the whole recording: they are labels. A second annotation of a
namespace in a file, by another annotator, has its number after its name.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Final

from sousa.builders.annotations import (
    CLOSE_SEC,
    VALUE,
    Annotations,
    Entry,
    Events,
    length_sec,
    named,
    number,
    read_json,
    scalar,
    time_sec,
)

OF_WHOLE: Final = ("tag_", "mood_", "tempo", "key_mode", "vector")
"""How the names of namespaces begin whose observations may hold for a whole recording."""

PATHS: Final = ("filepath", "file_path", "audio_path", "audio_file", "filename", "file", "path")
"""Names under which `sandbox` or `file_metadata` may hold the path of the recording."""

DESCRIBED: Final = ("title", "artist", "release")
"""What `file_metadata` says of the recording."""

OBSERVATION: Final = ("time", "duration", "value", "confidence")


def read_jams(files: Sequence[Path], root: Path) -> Annotations:
    """Read JAMS files.

    Args:
        files: In the order in which they are read.
        root: Folder from which their paths count; a recording is known by the same path but for
            its ending, unless its JAMS file says which it is.
    """
    found = Annotations()
    for file in files:
        where = file.relative_to(root).as_posix()
        try:
            found.entries.append(_entry(read_json(file), where))
        except ValueError as error:
            found.unusable.append((where, str(error)))
        except OSError as error:  # its path is that of this machine
            found.unusable.append((where, f"unreadable: {error.strerror}"))
    for name in sorted({name for entry in found.entries for name in entry.events}):
        if name.startswith(OF_WHOLE):
            _as_labels(name, found.entries)
    return found


def _entry(content: Mapping[str, Any], where: str) -> Entry:
    annotations = content.get("annotations")
    if not isinstance(annotations, list):
        raise ValueError("has no list of annotations, so it is no JAMS file")
    about, sandbox = (_object(content.get(name)) for name in ("file_metadata", "sandbox"))
    entry = Entry(_path(about, sandbox, where), where)
    entry.length_sec = number(about.get("duration"), "duration") or None  # 0 where nobody filled it
    further = {name: about.get(name) for name in DESCRIBED}
    further |= {f"identifiers_{k}": v for k, v in _object(about.get("identifiers")).items()}
    further |= {name: value for name, value in sandbox.items() if name not in PATHS}
    for name, value in further.items():
        values = value if isinstance(value, list) else [value]
        held = [scalar(each, name) for each in values]
        if any(each is not None for each in held):
            entry.labels[name] = [each for each in held if each is not None]
    seen: Counter[str] = Counter()
    for annotation in annotations:
        namespace = str(scalar(_object(annotation).get("namespace"), "namespace") or "unnamed")
        seen[namespace] += 1
        name = namespace if seen[namespace] == 1 else f"{namespace}_{seen[namespace]}"
        entry.events[name] = _events(_object(annotation).get("data"), namespace)
    return entry


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _path(about: Mapping[str, Any], sandbox: Mapping[str, Any], where: str) -> str:
    for name in PATHS:
        for content in (sandbox, about):
            if isinstance(path := content.get(name), str) and scalar(path, name):
                return path
    return PurePath(where).with_suffix("").as_posix()


def _events(data: Any, namespace: str) -> Events:
    events = Events()
    for time, duration, value, confidence in _observations(data, namespace):
        fields = {} if value is None else named(value, namespace)
        if confidence is not None:
            fields["confidence"] = scalar(confidence, f"{namespace} confidence")
        begin = time_sec(time, f"{namespace} time")
        events.add(begin, length_sec(duration, f"{namespace} duration"), fields)
    events.sort()
    return events


def _observations(data: Any, namespace: str) -> Iterator[tuple[Any, ...]]:
    """Yield time, duration, value and confidence, of a list of objects or an object of lists."""
    if isinstance(data, dict):
        columns = [data.get(name) for name in OBSERVATION]
        if not isinstance(columns[0], list):
            raise ValueError(f"data of {namespace} has no list of times")
        rows = len(columns[0])
        filled = [[None] * rows if column is None else column for column in columns]
        if any(not isinstance(column, list) or len(column) != rows for column in filled):
            raise ValueError(f"data of {namespace} has lists of unequal length")
        yield from zip(*filled, strict=True)
        return
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise ValueError(f"data of {namespace} is no list of observations")
    for each in data:
        yield tuple(each.get(name) for name in OBSERVATION)


def _as_labels(name: str, entries: Sequence[Entry]) -> None:
    """Turn observations into labels where all of them hold for whole recordings."""
    holding = [
        _holds(entry.events[name], entry.length_sec) for entry in entries if name in entry.events
    ]
    if not all(holding):
        return
    for entry in entries:
        events = entry.events.pop(name, Events())
        for field, values in events.fields.items():
            label = name if field == VALUE else f"{name}_{field}"
            if held := [value for value in values if value is not None]:
                entry.labels[label] = held


def _holds(events: Events, whole_sec: float | None) -> bool:
    lasting = zip(events.onset_sec, events.duration_sec, strict=True)
    return all(
        begin <= CLOSE_SEC and (not length or whole_sec is None or length >= whole_sec - CLOSE_SEC)
        for begin, length in lasting
    )
