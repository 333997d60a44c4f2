"""Checks of rows that were imported from the existing SOUSA layout.

Values are the source's, and are held to the source's own formulas. What its generator is known to
do wrong is a warning: MIDI files that were written before the graces were moved, onsets that come
early because times were cut to whole samples. That bounces stand after all other strokes, that
grid places are shared with graces and that the first grace may lie before time 0 is how its tables
are; nothing of it is a finding.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np
from symusic import Score

from sousa.builders.check_measures import check_figures
from sousa.builders.check_midi import Context, check_scores, check_tokens
from sousa.builders.check_rows import MICROSECOND_MS, broken, check_tiers
from sousa.builders.findings import Doubt
from sousa.builders.scores_sousa import IDEAL_LEAD_MS
from sousa.builders.strokes import BUZZ, NONE
from sousa.builders.view import Rows

Wrong = Iterator[tuple[int, str]]

MOST_OFF_MS: Final = 25.0
"""Most by which a note may lie from its stroke: times are cut to ticks, and strokes on one tick
push all that follow a tick further."""


def check_strokes(rows: Rows) -> Wrong:
    """Find strokes whose fields contradict each other."""
    s = rows.strokes
    parent = np.nan_to_num(s["parent_stroke_index"].astype(float), nan=NONE).astype(np.int64)
    led = (parent != NONE) & ((s["is_grace_note"] == 1) | (s["stroke_type"] == BUZZ))
    lead_ms = s["flam_spacing_ms"].astype(float)
    error_ms = s["actual_time_ms"] - s["intended_time_ms"]
    of_lead_ms = np.where(led & ~np.isnan(lead_ms), lead_ms - IDEAL_LEAD_MS, error_ms)
    off_ms = np.minimum(*(abs(s["timing_error_ms"] - each) for each in (of_lead_ms, error_ms)))
    pairs = s.row * (np.int64(1) << 32) + s["index"]
    first = np.unique(pairs, return_index=True)[1]
    repeated = np.ones(len(pairs), np.bool_)
    repeated[first] = False
    end_ms = 1000 * rows["duration_sec"][s.row] + MICROSECOND_MS
    rules = {
        "index must be unique in the clip": repeated,
        "must sound within the clip": s["actual_time_ms"] > end_ms,
        "timing_error_ms must be actual minus intended time, or a grace's lead less 30 ms": off_ms
        > MICROSECOND_MS,
        "velocity_error must be actual minus intended velocity": s["velocity_error"]
        != s["actual_velocity"] - s["intended_velocity"],
        "parent_stroke_index must be the index of a stroke of the clip": (parent != NONE)
        & ~np.isin(s.row * (np.int64(1) << 32) + parent, pairs),
    }
    yield from broken(s, "strokes", rules)


def check_measures(rows: Rows) -> Wrong:
    """Find measures that are out of order or of strokes that there are not."""
    m = rows.measures
    count = rows.strokes.lengths[m.row]
    rules = {
        "index must be the place in the clip": m["index"] != m.place,
        "must not end before it starts": m["stroke_end"] < m["stroke_start"],
        "must be of strokes of the clip": (m["stroke_start"] < 0) | (m["stroke_end"] > count),
    }
    yield from broken(m, "measures", rules)


def check_summary(rows: Rows) -> Wrong:
    """Find counts that are not those of the lists; null says nothing."""
    for column, lists in (("num_strokes", rows.strokes), ("num_measures", rows.measures)):
        if column not in rows:
            continue
        stated = rows[column].astype(float)
        for row in np.flatnonzero(~np.isnan(stated) & (stated != lists.lengths)).tolist():
            yield row, f"{column} is {stated[row]:g}, but there are {lists.lengths[row]}"


def check_midi(rows: Rows, context: Context) -> Wrong:
    """Find MIDI files that are none, and those that do not play the strokes of their row."""
    s = rows.strokes
    for row, file in enumerate(rows.cells("midi")):
        if file is None:
            continue
        try:
            score: Any = Score.from_midi(file, ttype="second")
        except (RuntimeError, ValueError) as error:
            yield row, f"not a MIDI file of {len(file)} bytes: {error}"
            continue
        times = [1000 * track.notes.numpy()["time"].astype(float) for track in score.tracks]
        onset_ms = np.sort(np.concatenate([*times, np.zeros(0)]))
        part = slice(s.starts[row], s.starts[row + 1])
        played_ms = np.sort(np.maximum(s["actual_time_ms"][part], 0.0))
        if len(onset_ms) != len(played_ms):
            what = f"has {len(onset_ms)} notes, the row {len(played_ms)} strokes"
            yield row, Doubt(f"the MIDI {what} (known of data that several workers generated)")
            continue
        off_ms = float(np.max(np.abs(onset_ms - played_ms), initial=0.0))
        context.note("midi", off_ms)
        if off_ms > MOST_OFF_MS:
            yield row, f"the MIDI is up to {off_ms:.1f} ms away from the strokes"


def check_known_tokens(rows: Rows, context: Context) -> Wrong:
    """Find tokens that are not those of the row's MIDI file, where there is one."""
    yield from _judged(rows, ("midi",), lambda known: check_tokens(known, context))


def check_known_scores(rows: Rows, context: Context) -> Wrong:
    """Find scores that are not what the source's formulas give; null says nothing."""
    needed = ("tempo_bpm", "rudiment_slug", "skill_tier")
    yield from _judged(rows, needed, lambda known: check_scores(known, context, may_lack=True))


def _judged(rows: Rows, needed: tuple[str, ...], check: Callable[[Rows], Wrong]) -> Wrong:
    """Yield what a check finds in the rows that have some columns."""
    columns = (rows.table[name].is_null().to_numpy() for name in needed)
    lacks = np.any(list(columns), axis=0)
    kept = np.flatnonzero(~lacks).tolist()
    for row, message in check(rows.without(np.flatnonzero(lacks).tolist())):
        yield kept[row], message


SOUSA_CHECKS: Final = {
    "tiers": (("skill_tier", "skill_tier_binary"), check_tiers),
    "strokes": (("strokes", "duration_sec"), check_strokes),
    "measures": (("strokes", "measures"), check_measures),
    "measured": (("strokes", "measures"), partial(check_figures, may_lack=True)),
    "summary": (("strokes", "measures"), check_summary),
}
"""The columns each check needs, and the check."""

SOUSA_DERIVED: Final = {
    "midi": (("midi", "strokes"), check_midi),
    "tokens": (("midi",), check_known_tokens),
    "scores": (("strokes", "rudiment_slug", "tempo_bpm", "skill_tier"), check_known_scores),
}
"""The same of what is derived from strokes."""
