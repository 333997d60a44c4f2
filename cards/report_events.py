"""A clip's cells to what is drawn over its waveform: strokes, notes, and any events in time."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sousa.cards.facts import Json
from sousa.cards.label_columns import LISTS
from sousa.cards.report_fields import number_of, text_of

MOST_EVENTS: Final = 4000
"""Of one kind, drawn of a clip."""

STROKES: Final = {
    "played": "actual_time_ms",
    "meant": "intended_time_ms",
    "error": "timing_error_ms",
    "velocity": "actual_velocity",
    "meant_velocity": "intended_velocity",
    "hand": "hand",
    "kind": "stroke_type",
    "accent": "is_accent",
    "grace": "is_grace_note",
    "flam": "flam_spacing_ms",
    "parent": "parent_stroke_index",
}
"""What a page calls the fields of strokes."""

NOTES: Final = {
    "onset": "onset_ms",
    "length": "duration_ms",
    "pitch": "pitch",
    "velocity": "velocity",
    "channel": "channel",
}
"""What a page calls the fields of imported notes."""

OTHER: Final = ("strokes", "notes", "measures")
"""Columns that are drawn in their own way, or not at all."""

TIME: Final = re.compile(r"(?:.*_)?(?:time|onset|start|begin)(?:_(?P<unit>ms|sec|s))?")
LENGTH: Final = re.compile(r"(?:.*_)?(?:duration|length)(?:_(?P<unit>ms|sec|s))?")
END: Final = re.compile(r"(?:.*_)?(?:end|stop|offset)(?:_(?P<unit>ms|sec|s))?")


def columns(features: Mapping[str, Json]) -> list[str]:
    """Return the columns that are drawn over a waveform."""
    timed = [name for name, feature in features.items() if _timed(feature)]
    notes = [n for n in ("strokes", "notes") if n in features and n not in timed]
    return [*notes, *(name for name in timed if name != "measures")]


def drawn(cells: Mapping[str, Any], features: Mapping[str, Json]) -> dict[str, Any]:
    """Return what is drawn of a clip: `strokes`, `notes` and `events`, those that there are.

    Times are in seconds from its beginning. `left_out` counts what is too much to draw.
    """
    found: dict[str, Any] = {}
    left_out = 0
    for name, names in (("strokes", STROKES), ("notes", NOTES)):
        fields = _fields(cells.get(name), features.get(name))
        lists = {short: fields[long] for short, long in names.items() if long in fields}
        if not lists:
            continue
        left_out += max(0, max(map(len, lists.values())) - MOST_EVENTS)
        found[name] = {short: values[:MOST_EVENTS] for short, values in lists.items()}
    events = {}
    for name in columns(features):
        if name in OTHER:
            continue
        items = list(_events(_fields(cells.get(name), features[name]), features[name]))
        left_out += max(0, len(items) - MOST_EVENTS)
        if items:
            events[name] = items[:MOST_EVENTS]
    found["events"] = events
    return found | ({"left_out": left_out} if left_out else {})


def end_sec(found: Mapping[str, Any]) -> float:
    """Return when the last of what is drawn of a clip ends; 0 if nothing is."""
    notes = found.get("notes", {})
    onsets, lengths = notes.get("onset", ()), notes.get("length", ())
    ends_ms = [*found.get("strokes", {}).get("played", ()), *onsets]
    pairs = zip(onsets, lengths, strict=False)
    ends_ms += [a + b for a, b in pairs if _is_number(a) and _is_number(b)]
    ends = [ms / 1000 for ms in ends_ms if _is_number(ms)]
    for items in found.get("events", {}).values():
        ends += [second + (seconds or 0) for second, seconds, _ in items]
    return max(ends, default=0.0)


def _timed(feature: Json) -> bool:
    """Return whether a column holds events: lists of equal length, one of them of times."""
    names = _inner(feature)
    return any(TIME.fullmatch(name) for name in names)


def _inner(feature: object) -> dict[str, Json]:
    """Return the features of the fields of a struct of lists, or of a list of structs."""
    if not isinstance(feature, dict):
        return {}
    if feature.get("_type") in LISTS:
        inner = feature.get("feature")
        return inner if isinstance(inner, dict) and "_type" not in inner else {}
    if "_type" in feature:
        return {}
    return {
        name: part["feature"]
        for name, part in feature.items()
        if isinstance(part, dict) and part.get("_type") in LISTS
    }


def _fields(cell: object, feature: object) -> dict[str, list[Any]]:
    """Return the fields of a cell as lists of text and numbers, classes by name."""
    inner = _inner(feature)
    if isinstance(cell, list):
        rows = [row for row in cell if isinstance(row, dict)]
        cell = {name: [row.get(name) for row in rows] for name in inner}
    if not isinstance(cell, dict):
        return {}
    lists = {name: cell.get(name) for name in inner}
    return {
        name: [_plain(value, inner[name]) for value in values]
        for name, values in lists.items()
        if isinstance(values, list)
    }


def _plain(value: Any, feature: Json) -> Any:
    names = feature.get("names")
    if isinstance(names, list):
        known = isinstance(value, int) and 0 <= value < len(names)
        return text_of(names[value]) if known else None
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return number_of(value)
    return text_of(value) if isinstance(value, str) else None


def _events(fields: Mapping[str, list[Any]], feature: Json) -> Iterator[list[Any]]:
    """Yield `[second, length in seconds or None, what it says]`, in time order."""
    begin, begin_sec = _field(fields, TIME)
    length, length_sec = _field(fields, LENGTH)
    end, end_sec = _field(fields, END)
    times = fields.get(begin, ())
    said = [name for name in _inner(feature) if name not in (begin, length, end)]
    found: list[list[Any]] = []
    for place, time in enumerate(times):
        if not _is_number(time):
            continue
        second, seconds = time * begin_sec, None
        if _is_number(lasts := _at(fields, length, place)):
            seconds = lasts * length_sec
        elif _is_number(ends := _at(fields, end, place)):
            seconds = max(0.0, ends * end_sec - second)
        texts = [_said(name, _at(fields, name, place)) for name in said]
        words = ", ".join(text for text in texts if text)
        found.append([number_of(second), number_of(seconds), text_of(words)])
    yield from sorted(found, key=lambda item: float(item[0] or 0))


def _field(fields: Mapping[str, Sequence[Any]], pattern: re.Pattern[str]) -> tuple[str, float]:
    """Return the first field of a name, and the seconds of its unit."""
    for name in fields:
        if match := pattern.fullmatch(name):
            return name, 1e-3 if match["unit"] == "ms" else 1.0
    return "", 1.0


def _at(fields: Mapping[str, list[Any]], name: str, place: int) -> Any:
    values = fields.get(name, ())
    return values[place] if place < len(values) else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _said(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return name.replace("_", " ")
    return str(value) if isinstance(value, str) else f"{name.replace('_', ' ')} {value}"
