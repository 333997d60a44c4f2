"""Annotations in a plain CSV file: rows of values, with a column that names the recording.

Without a column of times a row describes a whole recording, and several rows of one are several
values of it. With one, each row that has a time is an event. A column that says the same in all
rows of each recording describes the recording then, but for those of `EVENT_VALUES`.
"""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sousa.builders.annotations import (
    VALUE,
    Annotations,
    Entry,
    Events,
    Scalar,
    length_sec,
    number,
    time_sec,
)

FILES: Final = ("file", "filepath", "file_path", "path", "filename", "file_name")
TIMES: Final = ("onset_sec", "time", "onset", "start", "time_sec", "start_sec")
DURATIONS: Final = ("duration_sec", "duration")
EVENT_VALUES: Final = (VALUE, "label")
"""Columns that say what an event is."""

LENGTH: Final = "duration_sec"
"""Column that says, in a table without times, how long each recording is."""

EVENTS: Final = "events"
"""Name of the events of a CSV file."""

DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
NUMBER: Final = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d*)?([eE][-+]?\d+)?|[-+]?\.\d+([eE][-+]?\d+)?")
"""Text that is a number; `007` is none, but a name."""


class _Table(NamedTuple):
    name: str
    header: list[str]
    rows: list[tuple[int, list[str]]]
    file: int
    time: int | None
    duration: int | None

    def others(self) -> list[int]:
        """Return the columns that are neither file nor time nor duration."""
        taken = {self.file, self.time, self.duration}
        return [place for place in range(len(self.header)) if place not in taken]


def read_csv(path: Path) -> Annotations:
    """Read a CSV file, or one with tabs.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is none, or has no column that names recordings.
    """
    table = _table(path)
    found = Annotations()
    of_file: dict[str, list[tuple[int, list[str]]]] = {}
    for line, row in table.rows:
        if len(row) != len(table.header):
            reason = f"has {len(row)} cells, the header has {len(table.header)}"
            found.unusable.append((f"{table.name} line {line}", reason))
        elif not row[table.file].strip():
            found.unusable.append((f"{table.name} line {line}", "names no file"))
        else:
            of_file.setdefault(row[table.file], []).append((line, row))
    numeric = {place: _is_numeric(table, place) for place in table.others()}
    timed = _timed(table, list(of_file.values()))
    for name, rows in of_file.items():
        entry = Entry(name, f"{table.name} line {rows[0][0]}")
        try:
            _fill(entry, rows, table, numeric, timed)
        except ValueError as error:
            found.unusable.append((entry.where, str(error)))
        else:
            found.entries.append(entry)
    return found


def _table(path: Path) -> _Table:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text: {error.reason} at {error.start}") from error
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[path.suffix.lower()])
    rows = []
    try:
        for row in lines:
            if any(cell.strip() for cell in row):
                rows.append((lines.line_num, row))  # noqa: PERF401 - it is the number just read
    except csv.Error as error:
        raise ValueError(f"{path} line {lines.line_num} is no CSV: {error}") from error
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    file = _place(header, FILES)
    if file is None:
        raise ValueError(
            f"{path} has no column {', '.join(FILES)}; it has {', '.join(header) or 'none'}"
        )
    if len(set(header)) != len(header) or "" in header:
        raise ValueError(f"{path} must name each column once, has {', '.join(header)}")
    time = _place(header, TIMES)
    duration = None if time is None else _place(header, DURATIONS)
    return _Table(path.name, header, rows[1:], file, time, duration)


def _place(header: Sequence[str], names: Sequence[str]) -> int | None:
    """Return which column has one of these names, in capitals or not."""
    plain = [name.lower() for name in header]
    return next((plain.index(name) for name in names if name in plain), None)


def _is_numeric(table: _Table, place: int) -> bool:
    """Return whether all that a column holds is numbers."""
    cells = {row[place].strip() for _, row in table.rows if place < len(row)} - {""}
    return all(NUMBER.fullmatch(cell) or cell.lower() == "nan" for cell in cells)


def _timed(table: _Table, files: Sequence[Sequence[tuple[int, list[str]]]]) -> set[int]:
    """Return the columns that describe events."""
    if table.time is None:
        return set()
    return {
        place
        for place in table.others()
        if table.header[place] in EVENT_VALUES
        or any(len({row[place] for _, row in rows}) > 1 for rows in files)
    }


def _fill(
    entry: Entry,
    rows: Sequence[tuple[int, list[str]]],
    table: _Table,
    numeric: dict[int, bool],
    timed: set[int],
) -> None:
    """Take over the rows of one recording."""
    events = Events()
    for line, row in rows:
        cells = {place: _value(row[place], numeric[place]) for place in table.others()}
        for place in cells.keys() - timed:
            _append(entry.labels, table.header[place], cells[place])
        if table.time is not None and row[table.time].strip():
            where = f"line {line} {table.header[table.time]}"
            duration = None if table.duration is None else _number(row[table.duration], where)
            events.add(
                time_sec(_number(row[table.time], where), where),
                length_sec(duration, f"line {line} duration"),
                {table.header[place]: cells[place] for place in sorted(timed)},
            )
    events.sort()
    if table.time is not None:
        entry.events[EVENTS] = events
    elif isinstance(length := entry.labels.get(LENGTH, [None])[0], float):
        entry.length_sec = length


def _append(labels: dict[str, list[Scalar]], name: str, value: Scalar | None) -> None:
    """Add a value that a recording does not have yet."""
    if value is not None and value not in labels.get(name, ()):
        labels.setdefault(name, []).append(value)


def _value(cell: str, is_number: bool) -> Scalar | None:  # noqa: FBT001 - of one column
    if is_number:
        return _number(cell, "cell")
    return cell.strip() or None


def _number(cell: str, where: str) -> float | None:
    text = cell.strip()
    if not text:
        return None
    if not NUMBER.fullmatch(text) and text.lower() != "nan":
        raise ValueError(f"{where} must be a number, got {text!r}")
    return number(float(text), where)
