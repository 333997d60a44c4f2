"""Checks of what is derived from the strokes: MIDI, tokens and scores.

Every check takes `view.Rows` and a `Context` and yields `(row, message)` for each row that is
wrong.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from sousa.builders.findings import Figure
from sousa.builders.labels import score
from sousa.builders.midi import Notes, decode, ms_per_tick
from sousa.builders.schema import RUDIMENTS, SCORES, SKILL_TIERS
from sousa.builders.strokes import Strokes
from sousa.builders.token_cells import in_time_order
from sousa.builders.tokenizer import as_lists
from sousa.builders.tokens import Tokenizer
from sousa.builders.view import Rows

Wrong = Iterator[tuple[int, str]]

SCORE_TOLERANCE: Final = 1e-4
"""Largest difference, as a share of the best value: scores are stored as float32."""

ROUNDING_MS: Final = 1e-3
"""Strokes are stored in whole microseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What the rows of a dataset have in common.

    Attributes:
        tokenizers: By token column.
        score_set: Formulas of the scores.
        measured: What checks measured, by their name.
    """

    tokenizers: Mapping[str, Tokenizer]
    score_set: str = "v1"
    measured: dict[str, list[float]] = field(default_factory=dict)

    def note(self, check: str, value: float) -> None:
        """Note what a check measured in a row."""
        self.measured.setdefault(check, []).append(value)

    def taken(self, check: str) -> list[float]:
        """Return what a check noted since this was last asked."""
        return self.measured.pop(check, [])


Check = Callable[[Rows, Context], Wrong]


def check_midi(rows: Rows, context: Context) -> Wrong:
    """Find MIDI files that are no such files, or do not play the strokes of their row."""
    s, tempo_bpm = rows.strokes, rows["tempo_bpm"]
    for row, file in enumerate(rows.cells("midi")):
        try:
            notes = decode(file or b"")
        except ValueError as error:
            yield row, str(error)
            continue
        part = slice(s.starts[row], s.starts[row + 1])
        onset_ms, velocity = s["actual_time_ms"][part], s["actual_velocity"][part]
        difference, off_ms = compare(notes, float(tempo_bpm[row]), onset_ms, velocity)
        context.note("midi", off_ms)
        if difference:
            yield row, f"the MIDI {difference}"


def compare(notes: Notes, tempo_bpm: float, onset_ms: Any, velocity: Any) -> tuple[str, float]:
    """Return how notes differ from strokes, empty where they agree, and by how much at most, ms."""
    if len(notes.tick) != len(onset_ms):
        return f"has {len(notes.tick)} notes, the row {len(onset_ms)} strokes", math.nan
    if not math.isclose(notes.tempo_bpm, tempo_bpm, rel_tol=1e-5):
        at = f"is at {notes.tempo_bpm:g} quarter notes per minute, the row at {tempo_bpm:g}"
        return at, math.nan
    # Strokes on the same tick may stand in any order in the file.
    in_file = np.lexsort((notes.velocity, notes.tick))
    in_row = np.lexsort((velocity, np.sort(notes.tick)))
    off_ms = np.abs(notes.onset_ms[in_file] - onset_ms)
    most_ms = float(np.max(off_ms, initial=0.0))
    late = np.flatnonzero(off_ms > ms_per_tick(tempo_bpm) / 2 + ROUNDING_MS)
    if len(late):
        away = f"is {off_ms[late[0]]:.2f} ms away from stroke {late[0]}, more than half a tick"
        return away, most_ms
    louder = np.flatnonzero(notes.velocity[in_file] != velocity[in_row])
    if len(louder):
        stroke = in_row[louder[0]]
        played = notes.velocity[in_file][louder[0]]
        return f"has velocity {played} where stroke {stroke} has {velocity[stroke]}", most_ms
    return "", most_ms


def check_tokens(rows: Rows, context: Context) -> Wrong:
    """Find tokens that are not those of the row's MIDI file."""
    files = [file or b"" for file in rows.cells("midi")]
    for column, tokenizer in context.tokenizers.items():
        if column not in rows or (tokenizer.needs_strokes and "strokes" not in rows):
            continue
        needed = tokenizer.needs_strokes
        strokes = [in_time_order(cell) for cell in rows.cells("strokes")] if needed else None
        exact = f"{column}_exact"
        stated = rows.cells(exact) if exact in rows else None
        encoded = tokenizer.tokenize(files, strokes)
        for row, (ids, expected) in enumerate(zip(rows.cells(column), encoded, strict=True)):
            if expected.ids is None and (stated is None or ids is not None):
                yield row, f"the MIDI has no {column}: {expected.reason}"
            elif expected.ids is not None and ids != (wanted := as_lists(expected.ids)):
                difference = _first_difference(ids, wanted)
                yield row, f"{column} are not those of the MIDI, {difference}"
            elif stated is not None and stated[row] != expected.exact:
                yield row, f"{exact} is {stated[row]} and should be {expected.exact}"


def _first_difference(ids: list[Any] | None, expected: list[Any]) -> str:
    if ids is None or len(ids) != len(expected):
        return f"there are {len(ids or ())} and should be {len(expected)}"
    place = next(i for i, (a, b) in enumerate(zip(ids, expected, strict=True)) if a != b)
    return f"[{place}] is {ids[place]} and should be {expected[place]}"


def check_scores(rows: Rows, context: Context, *, may_lack: bool = False) -> Wrong:
    """Find scores that are not what the formulas give for the strokes.

    Args:
        rows: Whose strokes are sound.
        context: Names the formulas.
        may_lack: Whether a score may be missing.
    """
    names = [score.name for score in SCORES if score.name in rows]
    stored = {name: rows[name] for name in names}
    best = {score.name: score.best for score in SCORES}
    for row, strokes in enumerate(_strokes(rows)):
        expected = score(
            strokes,
            RUDIMENTS[int(rows["rudiment_slug"][row])],
            float(rows["tempo_bpm"][row]),
            context.score_set,
            skill_tier=SKILL_TIERS[int(rows["skill_tier"][row])],
        )
        off, wrong = 0.0, []
        for name in names:
            found, wanted = float(stored[name][row]), expected[name]
            wanted = math.nan if wanted is None else wanted
            if may_lack and math.isnan(found):
                continue
            off = max(off, abs(found - wanted) / best[name])
            if not _same(found, wanted, SCORE_TOLERANCE * best[name]):
                wrong.append(f"{name} is {found:g}, the strokes give {wanted:g} (nan is null)")
        if wrong:
            more = f"; so are {len(wrong) - 1} more scores" if len(wrong) > 1 else ""
            yield row, wrong[0] + more
        context.note("scores", off)


def _same(left: float, right: float, tolerance: float) -> bool:
    return abs(left - right) <= tolerance or (math.isnan(left) and math.isnan(right))


def _strokes(rows: Rows) -> Iterator[Strokes]:
    s = rows.strokes
    for start, stop in zip(s.starts, s.starts[1:], strict=False):
        yield Strokes.from_columns(
            {name: cell[start:stop].tolist() for name, cell in s.fields.items()}
        )


DERIVED_CHECKS: Final[dict[str, tuple[tuple[str, ...], Check]]] = {
    "midi": (("midi", "strokes", "tempo_bpm"), check_midi),
    "tokens": (("midi",), check_tokens),
    "scores": (("strokes", "rudiment_slug", "tempo_bpm", "skill_tier"), check_scores),
}
"""The columns each check needs, and the check."""

FIGURES: Final = {
    "midi": Figure("ms between note and stroke"),
    "scores": Figure("share of the best value off"),
}
"""What the checks measure."""
