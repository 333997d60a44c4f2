"""The label columns of all rows to the counts that a report draws, and to the rows of its table.

All rows are read once, some at a time. Kept of each is a number for every histogram (four bytes);
the rest is counted into bins, so that memory follows neither strokes nor audio.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sousa.builders.schema import RUDIMENTS, SCORE_BEST, SCORES, SKILL_TIERS
from sousa.cards.facts import Json
from sousa.cards.report_bins import Bins, by_tier, numbers
from sousa.cards.report_fields import (
    NUMBER,
    TEXT,
    Field,
    cells,
    counted,
    fields,
    of_table,
)
from sousa.cards.report_rows import Shards, batches, fair_sample

OVERALL: Final = "overall_score"
OVERALL_BINS: Final = Bins(0.0, SCORE_BEST[OVERALL], np.zeros(400, np.int64))

ERROR_BINS_MS: Final = Bins(-200.0, 200.0, np.zeros(800, np.int64))
"""Of the timing errors of strokes; what lies outside is left out."""

MEASURED: Final = ("tempo_bpm", "duration_sec", "num_strokes", "num_notes", "notes_per_sec")
"""Numbers whose distribution is shown first."""

CLASSED: Final = ("kit", "augmentation_preset")
"""Classes whose frequency is shown; others where a dataset has neither."""

HISTOGRAMS: Final = 3
BARS: Final = 4
MOST_CLASSES: Final = 200
"""A column with more texts than this is no class."""

UNIQUE: Final = ("_id", "_sha256", "_path")
"""Ends of the names of texts that differ from row to row."""

ERRORS: Final = "strokes.timing_error_ms"


@dataclass(slots=True)
class Tally:
    """What a report draws.

    Attributes:
        numbers: Values of each histogram, without nulls.
        classes: How often each class of a column is there.
        played: Rows, sum and number of the scores of each pair of rudiment and tier.
        scores: Sum and number of each score, by score and tier.
        overall: `overall_score` by tier.
        errors: `timing_error_ms` of the strokes, by tier.
        players: The players.
        seconds: Length of all clips together.
        notes: Strokes, or notes, of all clips together.
        table: Cells of the rows of the table, by column.
        rows: Numbers of those rows.
    """

    numbers: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    classes: dict[str, Counter[str]] = field(default_factory=dict)
    played: dict[tuple[str, str], tuple[int, float, int]] = field(default_factory=dict)
    scores: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    overall: dict[str, Bins] = field(default_factory=dict)
    errors: dict[str, Bins] = field(default_factory=dict)
    players: set[str] = field(default_factory=set)
    seconds: float = 0.0
    notes: int = 0
    table: dict[str, list[Any]] = field(default_factory=dict)
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def tiers(self) -> list[str]:
        """Names of the tiers that there are, in order."""
        there = {tier for _, tier in self.scores} | {tier for _, tier in self.played}
        return [tier for tier in SKILL_TIERS if tier in there]


def columns_read(features: Mapping[str, Json]) -> list[str]:
    """Return the columns of which a tally is made."""
    names = [f.name for f in fields(features)]
    return [*names, ERRORS] if _has_errors(features) else names


def tally(found: Shards, most_rows: int, seed: int, progress: Callable[[int], None]) -> Tally:
    """Count all rows, and keep a fair sample of them for the table.

    Args:
        found: The config.
        most_rows: Rows of the table; of more a sample is drawn.
        seed: Of the sample.
        progress: Is told how many bytes were read.

    Raises:
        OSError: If a shard is damaged.
    """
    known = fields(found.features)
    shown = of_table(known)
    counting = _Counting(known)
    made = counting.tally
    made.rows = fair_sample(found.rows, most_rows, seed)
    made.table = {name: [] for name in ("split", *(f.name for f in shown))}
    for group, start, table in batches(found, columns_read(found.features), progress):
        counting.add(table)
        first, last = np.searchsorted(made.rows, [start, start + table.num_rows])
        taken = table.take(pa.array(made.rows[first:last] - start))
        made.table["split"] += [group.split] * taken.num_rows
        for each in shown:
            made.table[each.name] += cells(taken[each.name], each)
    counting.finish()
    return made


def _has_errors(features: Mapping[str, Json]) -> bool:
    strokes = features.get("strokes")
    return isinstance(strokes, dict) and "timing_error_ms" in strokes and "_type" not in strokes


class _Counting:
    """Adds rows to a tally."""

    def __init__(self, known: Sequence[Field]) -> None:
        self.tally = Tally()
        self.known = {f.name: f for f in known}
        numeric = [f.name for f in known if f.kind == NUMBER and not f.is_score]
        self.measured = ([n for n in MEASURED if n in numeric] or numeric)[:HISTOGRAMS]
        classes = [f.name for f in known if f.kind not in (NUMBER, TEXT)]
        texts = [f.name for f in known if f.kind == TEXT and not f.name.endswith(UNIQUE)]
        chosen: list[str] = [n for n in CLASSED if n in self.known]
        chosen = chosen or [*classes, *texts]
        self.tally.classes = {name: Counter() for name in chosen}
        self.values: dict[str, list[NDArray[np.float32]]] = {n: [] for n in self.measured}

    def add(self, table: pa.Table) -> None:
        """Count some rows."""
        for name in self.measured:
            self.values[name].append(numbers(table[name]))
        for name in list(self.tally.classes):
            self._add_classes(name, table[name])
        if "profile_id" in self.known:
            self.tally.players.update(
                map(str, table["profile_id"].drop_null().unique().to_pylist())
            )
        self.tally.seconds += self._sum(table, "duration_sec")
        self.tally.notes += int(self._sum(table, "num_strokes") or self._sum(table, "num_notes"))
        tiers = self._named(table, "skill_tier")
        self._add_scores(table, tiers)
        self._add_played(table, tiers)
        if "strokes" in table.column_names:
            self._add_errors(table["strokes"], tiers)

    def finish(self) -> None:
        """Put together what came in parts, and leave out what shows nothing."""
        for name, parts in self.values.items():
            values = np.concatenate(parts) if parts else np.zeros(0, np.float32)
            if len(values) and values.min() < values.max():
                self.tally.numbers[name] = values
        rows = len(self.tally.rows)
        several = {n: c for n, c in self.tally.classes.items() if 1 < len(c) <= max(2, rows / 2)}
        self.tally.classes = dict(list(several.items())[:BARS])

    def _sum(self, table: pa.Table, name: str) -> float:
        return float(numbers(table[name]).sum(dtype=np.float64)) if name in self.known else 0.0

    def _named(self, table: pa.Table, name: str) -> NDArray[Any] | None:
        """Return a class of each row by name; None where there is no such column."""
        if name not in self.known:
            return None
        texts = cells(table[name], self.known[name])
        return np.array([text or "" for text in texts], dtype=object)

    def _add_classes(self, name: str, column: pa.ChunkedArray) -> None:
        found = self.tally.classes[name]
        found.update(counted(column, self.known[name]))
        if len(found) > MOST_CLASSES:
            del self.tally.classes[name]

    def _add_scores(self, table: pa.Table, tiers: NDArray[Any] | None) -> None:
        for score in SCORES:
            if score.name not in self.known:
                continue
            values = numbers(table[score.name], keep_nulls=True)
            for tier, chosen in by_tier(tiers, len(values)):
                there = values[chosen & ~np.isnan(values)]
                total, count = self.tally.scores.get((score.name, tier), (0.0, 0))
                self.tally.scores[score.name, tier] = (
                    total + float(there.sum(dtype=np.float64)),
                    count + len(there),
                )
                if score.name == OVERALL:
                    before = self.tally.overall.get(tier, OVERALL_BINS)
                    self.tally.overall[tier] = before.with_values(there)

    def _add_played(self, table: pa.Table, tiers: NDArray[Any] | None) -> None:
        played = self._named(table, "rudiment_slug")
        if played is None or tiers is None:
            return
        scores = np.full(len(played), np.nan, np.float32)
        if OVERALL in self.known:
            scores = numbers(table[OVERALL], keep_nulls=True)
        order = {slug: place for place, slug in enumerate(RUDIMENTS)}
        for rudiment, tier, score in zip(played, tiers, scores, strict=True):
            if rudiment not in order or tier not in SKILL_TIERS:
                continue
            rows, total, count = self.tally.played.get((rudiment, tier), (0, 0.0, 0))
            if not np.isnan(score):
                total, count = total + float(score), count + 1
            self.tally.played[rudiment, tier] = (rows + 1, total, count)

    def _add_errors(self, strokes: pa.ChunkedArray, tiers: NDArray[Any] | None) -> None:
        errors = pc.struct_field(strokes.chunk(0), "timing_error_ms")
        if not (pa.types.is_list(errors.type) or pa.types.is_large_list(errors.type)):
            return
        rows = pc.list_parent_indices(errors).to_numpy(zero_copy_only=False)
        values = numbers(pc.list_flatten(errors), keep_nulls=True)
        for tier, chosen in by_tier(tiers, len(errors)):
            before = self.tally.errors.get(tier, ERROR_BINS_MS)
            self.tally.errors[tier] = before.with_values(values[chosen[rows]])
