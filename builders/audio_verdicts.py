"""Recordings to verdicts: which can be imported, and what their samples are.

Runs in processes that may die of what they read (`guarded`). A verdict is found once; the rows are
made from the files themselves, which must then be the same.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from sousa.builders.guarded import Begin, Lost, run_guarded
from sousa.builders.midi_files import LISTING, Run, runs
from sousa.builders.midi_listing import Listed
from sousa.builders.recordings import decoded
from sousa.builders.shards import write_text

FILES_PER_RUN: Final = 4
"""Recordings that are judged in one go: so much is done again after an interruption."""

MOST_READ_SEC: Final = 900.0
"""Time that a recording may take to be decoded."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one recording.

    Attributes:
        reason: Why it is not imported; empty if it can be.
        audio_sha256: Of its samples.
        samples: How many they are.
    """

    reason: str
    audio_sha256: str = ""
    samples: int = 0

    def to_line(self) -> str:
        """Return one line of JSON."""
        return json.dumps([self.reason, self.audio_sha256, self.samples]) + "\n"

    @classmethod
    def of_line(cls, line: str) -> Self:
        """Return what `to_line` wrote."""
        return cls(*json.loads(line))


def judged(
    root: Path,
    state: Path,
    listing: Iterable[Listed],
    *,
    max_sec: float,
    workers: int,
    progress: Progress,
) -> list[Verdict]:
    """Return the verdicts on recordings, in their order; those that are known are not found anew.

    Args:
        root: The folder.
        state: Where verdicts are kept.
        listing: The recordings.
        max_sec: The longest that is taken.
        workers: Processes that decode.
        progress: Is told of recordings that are done.
    """
    write_text(state / LISTING, state, "".join(listed.to_line() for listed in listing))
    parts = list(runs(state, FILES_PER_RUN))
    missing = []
    for run in parts:
        if (state / run.name).is_file():
            progress(run.lines)
        else:
            missing.append((root, state, run, max_sec))
    run_guarded(judge, missing, workers=workers, limit_sec=MOST_READ_SEC, progress=progress)
    return [verdict for run in parts for verdict in _verdicts(state / run.name)]


def _verdicts(path: Path) -> Iterator[Verdict]:
    with path.open(encoding="utf-8") as lines:
        yield from map(Verdict.of_line, lines)


def judge(root: Path, state: Path, run: Run, max_sec: float, lost: Lost, begin: Begin) -> None:
    """Find the verdict on each recording of a run, and write them."""
    lines = []
    for number, listed in enumerate(run.listed(state)):
        begin(number, number)
        if number in lost:
            verdict = Verdict(f"cannot be decoded: {lost[number]}")
        else:
            verdict = _verdict(root, listed, max_sec)
        lines.append(verdict.to_line())
    begin(run.lines, run.lines)
    write_text(state / run.name, state, "".join(lines))


def _verdict(root: Path, listed: Listed, max_sec: float) -> Verdict:
    if listed.reason:
        return Verdict(listed.reason)
    try:
        recording = decoded(root, listed.path, max_sec)
    except OSError as error:
        return Verdict(f"unreadable: {error.strerror or error}")
    except (ValueError, MemoryError) as error:
        return Verdict(str(error) or "cannot be decoded: out of memory")
    return Verdict("", recording.sha256(), len(recording.samples))
