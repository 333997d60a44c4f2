"""Checks of rows against themselves: values, lists, strokes, parents, measures.

Every check takes `view.Rows` and yields `(row, message)` for each row that is wrong.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sousa.builders.schema import (
    MEASURE_FIELDS,
    MISTAKE_FIELDS,
    SKILL_TIERS,
    SKILL_TIERS_BINARY,
    STROKE_FIELDS,
    Column,
    Label,
    Value,
)
from sousa.builders.strokes import BUZZ, GRACE, NONE
from sousa.builders.view import Lists, Rows

Wrong = Iterator[tuple[int, str]]
Check = Callable[[Rows], Wrong]

FIELDS: Final = {"strokes": STROKE_FIELDS, "measures": MEASURE_FIELDS, "mistakes": MISTAKE_FIELDS}

LEAST: Final = {
    "tempo_bpm": 1,
    "duration_sec": 0.001,
    "num_cycles": 1,
    "num_strokes": 0,
    "num_measures": 0,
    "num_mistakes": 0,
    "aug_mic_distance": 0,
    "aug_low_cut_hz": 0,
    "aug_high_cut_hz": 1,
    "aug_bit_depth": 1,
    "aug_sample_rate": 1,
}
"""Least values of columns for which the schema states no interval."""

MICROSECOND_MS: Final = 1e-3
"""Times are stored in whole microseconds; half of one is what rounding may leave."""


class Allowed(NamedTuple):
    """Values a column may hold: those in `[low, high]`, and null if `nullable`."""

    low: float
    high: float
    nullable: bool


def allowed(column: Column) -> Allowed:
    """Return the values that a column of numbers may hold, by the schema."""
    match column.type:
        case Label(names):
            return Allowed(0, len(names) - 1, column.nullable)
    stated = re.fullmatch(r"\[(\d+), (\d+)\]", column.unit)
    if stated:
        return Allowed(float(stated[1]), float(stated[2]), column.nullable)
    return Allowed(LEAST.get(column.name, -np.inf), np.inf, column.nullable)


def is_numeric(column: Column) -> bool:
    """Return whether a column holds numbers, booleans or class ids."""
    match column.type:
        case Label():
            return True
        case Value(dtype):
            return dtype not in ("string", "binary")
    return False


def check_lists(rows: Rows, declared: tuple[Column, ...]) -> Wrong:
    """Find lists of one struct that differ in length, and structs that are null but must not be."""
    nullable = {column.name for column in declared if column.nullable}
    for name in (name for name in FIELDS if name in rows):
        struct = rows.table[name].combine_chunks()
        names = [cell.name for cell in struct.type]
        lengths = np.stack([pc.fill_null(cell.value_lengths(), NONE) for cell in struct.flatten()])
        bad = (np.ptp(lengths, axis=0) != 0) | ((lengths[0] == NONE) & (name not in nullable))
        for row in np.flatnonzero(bad).tolist():
            sizes = dict(zip(names, lengths[:, row].tolist(), strict=True))
            yield row, f"{name} must be equally long lists, has lengths {sizes}"


def check_values(rows: Rows, declared: tuple[Column, ...]) -> Wrong:
    """Find nulls where none are allowed, NaN, and numbers outside their range."""
    for column in declared:
        if column.name not in rows or not isinstance(column.type, Value | Label):
            continue
        array = rows.table[column.name].combine_chunks()
        if is_numeric(column):
            bad = outside(array, allowed(column))
        else:
            bad = pc.is_null(array).to_numpy(zero_copy_only=False) & (not column.nullable)
        for row in np.flatnonzero(bad).tolist():
            yield row, refusal(column, array[row].as_py())
    for name in (name for name in FIELDS if name in rows):
        lists = rows.lists(name)
        struct = rows.table[name].combine_chunks()
        flat = dict(zip((f.name for f in struct.type), struct.flatten(), strict=True))
        for column in FIELDS[name]:
            array = flat[column.name].flatten()
            for row, entry in lists.first(outside(array, allowed(column))):
                place = lists.place[entry]
                yield row, f"{name}[{place}]: {refusal(column, array[entry].as_py())}"


def outside(array: pa.Array, may: Allowed) -> NDArray[np.bool_]:
    """Return which values a column may not hold."""
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    null = pc.is_null(array).to_numpy(zero_copy_only=False)
    values = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
    fits = (values >= may.low) & (values <= may.high) & np.isfinite(values)
    bad: NDArray[np.bool_] = np.where(null, not may.nullable, ~fits)
    return bad


def refusal(column: Column, value: Any) -> str:
    """Return what a column allows and what came."""
    may = allowed(column) if is_numeric(column) else Allowed(0, 0, column.nullable)
    interval = f"finite and in [{may.low:g}, {may.high:g}]" if is_numeric(column) else "a value"
    return f"{column.name} must be {interval}{' or null' if may.nullable else ''}, is {value}"


def check_strokes(rows: Rows) -> Wrong:
    """Find strokes that are out of order or whose fields contradict each other."""
    s = rows.strokes
    previous = np.concatenate([[-np.inf], s["actual_time_ms"][:-1]])
    previous[s.starts[:-1][s.lengths > 0]] = -np.inf
    error_ms = s["actual_time_ms"] - s["intended_time_ms"]
    end_ms = 1000 * rows["duration_sec"][s.row] + MICROSECOND_MS
    rules = {
        "index must be the place in time order": s["index"] != s.place,
        "must be in time order": s["actual_time_ms"] < previous,
        "must not sound before the clip": s["actual_time_ms"] < 0,
        "must sound within the clip": s["actual_time_ms"] > end_ms,
        "timing_error_ms must be actual minus intended time": np.abs(
            s["timing_error_ms"] - error_ms
        )
        > MICROSECOND_MS,
        "velocity_error must be actual minus intended velocity": s["velocity_error"]
        != s["actual_velocity"] - s["intended_velocity"],
        "is_grace_note must go with stroke_type grace": s["is_grace_note"]
        != (s["stroke_type"] == GRACE),
        "diddle_position must be 1, 2 or null": ~np.isnan(s["diddle_position"].astype(float))
        & ~np.isin(s["diddle_position"], (1, 2)),
    }
    yield from broken(s, "strokes", rules)


def check_parents(rows: Rows) -> Wrong:
    """Find graces and bounces whose primary is missing, of the wrong kind or out of place."""
    s = rows.strokes
    parent = np.nan_to_num(s["parent_stroke_index"].astype(float), nan=NONE).astype(np.int64)
    has, grace = parent != NONE, s["is_grace_note"] == 1
    inside = has & (parent >= 0) & (parent < s.lengths[s.row])
    at = s.starts[s.row] + np.where(inside, parent, s.place)
    buzz = s["stroke_type"] == BUZZ
    bounces = np.bincount(at[inside & buzz], minlength=len(at))
    first = buzz & ~has
    lead_ms = s["actual_time_ms"][at] - s["actual_time_ms"]
    stated_ms, count = s["flam_spacing_ms"].astype(float), s["buzz_count"].astype(float)
    rules = {
        "parent_stroke_index must be a stroke of the clip": has & ~inside,
        "a grace note needs a parent": grace & ~has,
        "only grace notes and bounces have parents": has & ~grace & ~buzz,
        "a grace note must lead a primary": grace & inside & (grace[at] | (parent <= s.place)),
        "a bounce must follow the first stroke of its buzz": inside
        & (buzz & ~grace)
        & (~first[at] | (parent >= s.place)),
        "flam_spacing_ms must be the lead before the parent": grace
        & inside
        & ~(np.abs(stated_ms - lead_ms) <= MICROSECOND_MS),
        "flam_spacing_ms belongs to grace notes": ~grace & ~np.isnan(stated_ms),
        "buzz_count must count the strokes of the buzz": first & ~(count == 1 + bounces),
        "buzz_count belongs to the first stroke of a buzz": ~first & ~np.isnan(count),
    }
    yield from broken(s, "strokes", rules)


def check_measures(rows: Rows) -> Wrong:
    """Find measures that leave out strokes, count them twice or are out of order."""
    m = rows.measures
    strokes = rows.strokes.lengths
    last = np.zeros(len(m["index"]), np.bool_)
    last[m.starts[1:][m.lengths > 0] - 1] = True
    following = np.where(last, strokes[m.row], np.roll(m["stroke_start"], -1))
    rules = {
        "index must be the place in the clip": m["index"] != m.place,
        "the first measure must start with stroke 0": (m.place == 0) & (m["stroke_start"] != 0),
        "must not end before it starts": m["stroke_end"] < m["stroke_start"],
        "must end where the next one starts, the last with the last stroke": m["stroke_end"]
        != following,
    }
    yield from broken(m, "measures", rules)
    for row in np.flatnonzero((m.lengths == 0) & (strokes > 0)).tolist():
        yield row, f"{strokes[row]} strokes are in no measure"


def check_summary(rows: Rows) -> Wrong:
    """Find columns that contradict the lists or labels they sum up."""
    for column, lists in (
        ("num_strokes", rows.strokes),
        ("num_measures", rows.measures),
        ("num_mistakes", rows.mistakes),
    ):
        for row in np.flatnonzero(rows[column] != lists.lengths).tolist():
            stated, found = int(rows[column][row]), lists.lengths[row]
            yield row, f"{column} is {stated}, but there are {found}"
    mistakes = rows.mistakes
    stroke = mistakes["stroke_index"].astype(float)
    bad = (stroke < 0) | (stroke >= rows.strokes.lengths[mistakes.row])
    yield from broken(mistakes, "mistakes", {"stroke_index must be a stroke of the clip": bad})


def check_tiers(rows: Rows) -> Wrong:
    """Find rows whose two tiers contradict each other."""
    share = len(SKILL_TIERS) // len(SKILL_TIERS_BINARY)
    tier, binary = rows["skill_tier"], rows["skill_tier_binary"]
    differ = (tier // share != binary) & ~np.isnan(tier.astype(float) + binary)
    for row in np.flatnonzero(differ).tolist():
        yield row, f"skill_tier {tier[row]} does not belong to skill_tier_binary {binary[row]}"


def broken(lists: Lists, name: str, rules: dict[str, NDArray[np.bool_]]) -> Wrong:
    """Yield the rows that have an entry which breaks a rule, with the first such entry."""
    for rule, bad in rules.items():
        for row, entry in lists.first(bad):
            yield row, f"{name}[{lists.place[entry]}]: {rule}"


ROW_CHECKS: Final[dict[str, tuple[tuple[str, ...], Check]]] = {
    "tiers": (("skill_tier", "skill_tier_binary"), check_tiers),
    "strokes": (("strokes", "duration_sec"), check_strokes),
    "parents": (("strokes",), check_parents),
    "measures": (("strokes", "measures"), check_measures),
    "summary": (("strokes", "measures", "mistakes", "num_strokes"), check_summary),
}
"""The columns each check needs, and the check."""
