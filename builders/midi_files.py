"""A run of the listing to a verdict on each file: what it is, or why it is not imported.

Runs in processes that may die of what they read (`guarded`). A verdict is found once; the rows are
made from the files themselves, which must then be the same.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from sousa.builders.guarded import Begin, Lost
from sousa.builders.import_plan import NOTE_BYTES, ROW_BYTES
from sousa.builders.midi_events import events
from sousa.builders.midi_limits import MEGABYTE, Limits
from sousa.builders.midi_listing import Listed
from sousa.builders.shards import write_text
from sousa.builders.smf import MidiFile, parse, unwrap

LISTING: Final = "listing.jsonl"
"""The list of all files, in the state folder."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one file.

    Attributes:
        reason: Why it is not imported; empty if it can be.
        midi: SHA-256 of its bytes, hexadecimal.
        events: SHA-256 of what it plays.
        weight: Bytes that it will take in the dataset, before compression; estimated.
    """

    reason: str
    midi: str = ""
    events: str = ""
    weight: int = 0

    def to_line(self) -> str:
        """Return one line of JSON."""
        return json.dumps([self.reason, self.midi, self.events, self.weight]) + "\n"

    @classmethod
    def of_line(cls, line: str) -> Self:
        """Return what `to_line` wrote."""
        return cls(*json.loads(line))


@dataclass(frozen=True, slots=True)
class Run:
    """Successive lines of the listing.

    Attributes:
        name: File in the state folder that holds their verdicts when they are known.
        offset: Where the first begins in the listing, in bytes.
        lines: How many.
    """

    name: str
    offset: int
    lines: int

    def listed(self, state: Path) -> Iterator[Listed]:
        """Yield the files."""
        with (state / LISTING).open("rb") as file:
            file.seek(self.offset)
            for _ in range(self.lines):
                yield Listed.of_line(file.readline())

    def verdicts(self, state: Path) -> Iterator[Verdict]:
        """Yield what was found of them."""
        with (state / self.name).open(encoding="utf-8") as file:
            yield from map(Verdict.of_line, file)


def judge(root: Path, state: Path, run: Run, limits: Limits, lost: Lost, begin: Begin) -> None:
    """Find the verdict on each file of a run, and write them."""
    lines = []
    for number, listed in enumerate(run.listed(state)):
        begin(number, number)
        if number in lost:
            verdict = Verdict(f"unreadable: {lost[number]}")
        else:
            verdict = _verdict(root, listed, limits)
        lines.append(verdict.to_line())
    begin(run.lines, run.lines)
    write_text(state / run.name, state, "".join(lines))


def _verdict(root: Path, listed: Listed, limits: Limits) -> Verdict:
    try:
        midi = content(root, listed, limits)
        file = parse(midi)
        _check_number(file, limits)
        played = events(file)
    except OSError as error:
        return Verdict(f"unreadable: {error.strerror or error}")
    except (ValueError, MemoryError) as error:
        return Verdict(str(error) or "unreadable: out of memory")
    if reason := limits.refusal(played):
        return Verdict(reason)
    weight = len(midi) + ROW_BYTES + NOTE_BYTES * len(played.notes["pitch"])
    return Verdict("", hashlib.sha256(midi).hexdigest(), played.digest(), weight)


def content(root: Path, listed: Listed, limits: Limits) -> bytes:
    """Read a file, as far as it may be read.

    Raises:
        OSError: If it cannot be.
        ValueError: If it must not be.
    """
    if listed.reason:
        raise ValueError(listed.reason)
    most = int(limits.max_file_mb * MEGABYTE)
    with (root / listed.path).open("rb") as file:
        read = file.read(most + 1)
    if len(read) > most:
        raise ValueError(
            f"too large: {max(listed.size, len(read))} bytes, against --max-file-mb "
            f"{limits.max_file_mb:g}"
        )
    return unwrap(read)


def _check_number(file: MidiFile, limits: Limits) -> None:
    number = sum(len(track.tick) + len(track.metas) for track in file.tracks)
    if number > limits.max_events:
        raise ValueError(f"too large: {number} events, against --max-events {limits.max_events}")


def runs(state: Path, lines: int) -> Iterator[Run]:
    """Yield the listing in runs of so many lines."""
    offset = 0
    with (state / LISTING).open("rb") as file:
        for index in range(1 << 30):
            count = sum(1 for _ in _take(file, lines))
            if not count:
                return
            yield Run(f"verdicts-{index:06d}.jsonl", offset, count)
            offset = file.tell()


def _take(file: Any, lines: int) -> Iterable[bytes]:
    for _ in range(lines):
        line = file.readline()
        if not line:
            return
        yield line
