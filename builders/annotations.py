"""What annotations say of recordings, whichever file they come from: labels, and events in time."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

Scalar = str | float
"""A value: text or a finite number. Truth values are the texts `true` and `false`."""

VALUE: Final = "value"
"""Field of an event whose value has no other name."""

CLOSE_SEC: Final = 0.5
"""By so much times may lie outside of a recording, and its length differ from what is said of it.

MP3 files are padded, and cuts are made by hand.
"""


@dataclass(slots=True)
class Events:
    """What happens in a recording: lists of equal length, in the order of time.

    Attributes:
        onset_sec: When each begins.
        duration_sec: How long it lasts; None where nobody says.
        fields: Further values by name; None where an event lacks one.
    """

    onset_sec: list[float] = field(default_factory=list)
    duration_sec: list[float | None] = field(default_factory=list)
    fields: dict[str, list[Scalar | None]] = field(default_factory=dict)

    def add(
        self, onset_sec: float, duration_sec: float | None, fields: Mapping[str, Scalar | None]
    ) -> None:
        """Add one event, anywhere in time; `sort` afterwards."""
        before = len(self.onset_sec)
        self.onset_sec.append(onset_sec)
        self.duration_sec.append(duration_sec)
        for name in fields.keys() - self.fields.keys():
            self.fields[name] = [None] * before
        for name, values in self.fields.items():
            values.append(fields.get(name))

    def sort(self) -> None:
        """Order the events by time; those at one time stay as they were added."""
        if all(a <= b for a, b in zip(self.onset_sec, self.onset_sec[1:], strict=False)):
            return
        order = sorted(range(len(self.onset_sec)), key=self.onset_sec.__getitem__)
        self.onset_sec = [self.onset_sec[at] for at in order]
        self.duration_sec = [self.duration_sec[at] for at in order]
        self.fields = {name: [v[at] for at in order] for name, v in self.fields.items()}


@dataclass(slots=True)
class Entry:
    """What is said of one recording.

    Attributes:
        path: Of the recording, as the annotations have it.
        where: The entry itself, for messages.
        labels: Values of the whole recording by their name, in the order in which they stand.
        events: Events by the name of what happens.
        length_sec: How long the recording is; None where nobody says.
    """

    path: str
    where: str
    labels: dict[str, list[Scalar]] = field(default_factory=dict)
    events: dict[str, Events] = field(default_factory=dict)
    length_sec: float | None = None

    def refusal(self, seconds: float) -> str:
        """Return why it cannot mean a recording of so many seconds; empty if it can."""
        if self.length_sec is not None and abs(self.length_sec - seconds) > CLOSE_SEC:
            return f"another length: {seconds:.2f} s, annotated as {self.length_sec:.2f} s"
        for name, events in self.events.items():
            for onset_sec in events.onset_sec[:1] + events.onset_sec[-1:]:
                if not -CLOSE_SEC <= onset_sec <= seconds + CLOSE_SEC:
                    return f"times outside: {name} at {onset_sec:.2f} s, it is {seconds:.2f} s long"
        return ""


@dataclass(slots=True)
class Annotations:
    """What some files of annotations hold.

    Attributes:
        entries: One for each recording.
        unusable: Where an entry is that cannot be used, and why.
        classes: Names that are allowed for a label or an event's value, where the files say so.
    """

    entries: list[Entry] = field(default_factory=list)
    unusable: list[tuple[str, str]] = field(default_factory=list)
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def scalar(value: Any, name: str) -> Scalar | None:
    """Return a value of JSON as text or number; None for null, NaN and empty text.

    What is neither, a list or an object, becomes its JSON text.

    Raises:
        ValueError: If a number is infinite, or text is no Unicode.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number(value, name)
        case str():
            return _text(value, name)
        case None:
            return None
        case _:
            return json.dumps(value, ensure_ascii=True, sort_keys=True)


def number(value: Any, name: str) -> float | None:
    """Return a number; None for null and NaN.

    Raises:
        ValueError: If it is infinite or none.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, got {_shown(value)}")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if math.isinf(found):
        raise ValueError(f"{name} must be finite")
    return None if math.isnan(found) else found


def _text(value: str, name: str) -> str | None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} is no Unicode text: {value!r}") from error
    return value if value.strip() else None


def time_sec(value: Any, name: str) -> float:
    """Return a time.

    Raises:
        ValueError: If there is none.
    """
    found = number(value, name)
    if found is None:
        raise ValueError(f"{name} is missing")
    return found


def length_sec(value: Any, name: str) -> float | None:
    """Return a duration, None where nobody says.

    Raises:
        ValueError: If it is negative or no number.
    """
    found = number(value, name)
    if found is not None and found < 0:
        raise ValueError(f"{name} must be at least 0, got {found:g}")
    return found


def named(value: Any, name: str, names: Sequence[str] = ()) -> dict[str, Scalar | None]:
    """Return the value of an event by the names of its fields.

    Args:
        value: Text or a number, a list of them, or an object with them by name.
        name: What it is, for messages.
        names: Of the places of a list.

    Examples:
        >>> named("verse", "structure"), named([440, "la"], "note")
        ({'value': 'verse'}, {'value_1': 440.0, 'value_2': 'la'})
    """
    if isinstance(value, Mapping):
        return {str(key): scalar(each, f"{name}.{key}") for key, each in value.items()}
    if isinstance(value, list) and value and not any(isinstance(v, list | dict) for v in value):
        if len(value) == 1 and len(names) != 1:
            return {VALUE: scalar(value[0], name)}
        keys = (
            names if len(names) == len(value) else [f"{VALUE}_{n + 1}" for n in range(len(value))]
        )
        return {key: scalar(each, name) for key, each in zip(keys, value, strict=True)}
    return {VALUE: scalar(value, name)}


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds no such thing; the message does not name it.
    """
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        cause = "too deeply nested" if isinstance(error, RecursionError) else error
        raise ValueError(f"is no JSON: {cause}") from error
    if not isinstance(content, dict):
        raise ValueError(f"must hold a JSON object, holds {_shown(content)}")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON whose names are Unicode: half a surrogate pair is none."""
    for name, _ in pairs:
        name.encode()
    return dict(pairs)


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {json.dumps(value)[:40]}"
