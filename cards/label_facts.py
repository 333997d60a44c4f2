"""Label columns to what a card says of them, a batch of rows at a time."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.schema import RUDIMENTS, SCORE_BEST, SCORES, SKILL_TIERS

BINS: Final = 20
"""Bins of the distribution of `overall_score`, from 0 to its best value."""

CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "rudiment_slug": RUDIMENTS,
    "skill_tier": SKILL_TIERS,
}
"""Label columns whose classes the schema names."""

TEXTS: Final = ("profile_id", "kit", "augmentation_preset")
NUMBERS: Final = ("tempo_bpm", "duration_sec", "num_strokes", *(score.name for score in SCORES))

LABEL_COLUMNS: Final = (*CLASSES, *TEXTS, *NUMBERS)
"""What the facts are counted from: scalars, some 150 bytes a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The range of a column of numbers."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFacts:
    """What the label columns hold. What a dataset has no column for is empty, zero or None.

    Attributes:
        tiers: Rows of each skill tier, by split.
        players: Players, by split.
        rudiments: Rows of each rudiment.
        kits: Rows of each kit, most frequent first.
        presets: Rows of each recording set-up, most frequent first.
        tempo_bpm: Range of the tempos.
        duration_sec: Range of the lengths.
        hours: Length of all clips together.
        strokes: Sounding notes of all clips together.
        scores: Mean of each score by tier; None where it applies to no clip.
        overall: Rows in each of `BINS` bins of `overall_score`, by tier.
    """

    tiers: Mapping[str, Mapping[str, int]]
    players: Mapping[str, int]
    rudiments: Mapping[str, int]
    kits: Mapping[str, int]
    presets: Mapping[str, int]
    tempo_bpm: Spread | None
    duration_sec: Spread | None
    hours: float
    strokes: int
    scores: Mapping[str, Mapping[str, float | None]]
    overall: Mapping[str, tuple[int, ...]]


def label_facts(batches: Iterable[tuple[str, pa.Table]]) -> LabelFacts:
    """Count the labels of a dataset; memory follows the batches, not the dataset.

    Args:
        batches: Pairs of a split's name and some of its rows, of `LABEL_COLUMNS` those that there
            are, classes as their names (see `named`). Columns of another type are passed over.
    """
    tally = _Tally()
    for split, table in batches:
        tally.add(split, table)
    rows, scores = tally.rows, tally.scores
    played = rows["rudiment_slug"]
    return LabelFacts(
        tiers={
            split: {tier: found[tier] for tier in SKILL_TIERS}
            for split, found in tally.tiers.items()
            if any(found[tier] for tier in SKILL_TIERS)
        },
        players={split: len(found) for split, found in tally.players.items()},
        rudiments={slug: played[slug] for slug in RUDIMENTS} if played else {},
        kits=_by_frequency(rows["kit"]),
        presets=_by_frequency(rows["augmentation_preset"]),
        tempo_bpm=tally.spreads.get("tempo_bpm"),
        duration_sec=tally.spreads.get("duration_sec"),
        hours=tally.sums["duration_sec"] / 3600,
        strokes=round(tally.sums["num_strokes"]),
        scores={
            score.name: {tier: _mean(scores[score.name, tier]) for tier in tally.scored}
            for score in SCORES
            if any(name == score.name for name, _ in scores)
        },
        overall={tier: tuple(tally.overall[tier]) for tier in SKILL_TIERS if tier in tally.overall},
    )


def named(column: pa.ChunkedArray, feature: Mapping[str, Any]) -> pa.ChunkedArray:
    """Return a class column as the names of its classes; ids outside of them become null.

    Args:
        column: Ids, or anything else, which is returned as it is.
        feature: JSON form of the column's feature.
    """
    names = feature.get("names")
    if not isinstance(names, list) or not pa.types.is_integer(column.type):
        return column
    known = pc.and_(pc.greater_equal(column, 0), pc.less(column, len(names)))
    ids = pc.if_else(known, column, pa.scalar(None, column.type))
    return pc.take(pa.array([str(name) for name in names]), ids)


@dataclass(slots=True)
class _Tally:
    """What was counted so far."""

    tiers: dict[str, Counter[str]] = field(default_factory=dict)
    players: dict[str, set[str]] = field(default_factory=dict)
    rows: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in (*CLASSES, *TEXTS)}
    )
    sums: Counter[str] = field(default_factory=Counter)
    spreads: dict[str, Spread] = field(default_factory=dict)
    scores: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    overall: dict[str, list[int]] = field(default_factory=dict)

    @property
    def scored(self) -> list[str]:
        """Tiers that have rows, in order."""
        return [tier for tier in SKILL_TIERS if any(tier == found for _, found in self.scores)]

    def add(self, split: str, table: pa.Table) -> None:
        """Count some rows."""
        self.tiers.setdefault(split, Counter())
        self.players.setdefault(split, set())
        texts = [name for name in table.column_names if _is_text(table, name)]
        for name in texts:
            counted = pc.value_counts(table[name]).to_pylist()
            found = {e["values"]: e["counts"] for e in counted if e["values"] is not None}
            if name == "skill_tier":
                self.tiers[split].update(found)
            elif name == "profile_id":
                self.players[split].update(found)
            else:
                self.rows[name].update(found)
        numbers = [name for name in table.column_names if _is_number(table, name)]
        for name in numbers:
            self._add_numbers(name, table[name])
        if "skill_tier" in texts:
            self._add_scores(table.select(["skill_tier", *(n for n in numbers if n in SCORE_BEST)]))

    def _add_numbers(self, name: str, column: pa.ChunkedArray) -> None:
        self.sums[name] += pc.sum(column).as_py() or 0
        found = pc.min_max(column).as_py()
        if found["min"] is None:
            return
        before = self.spreads.get(name, Spread(low=found["min"], high=found["max"]))
        low, high = min(before.low, found["min"]), max(before.high, found["max"])
        self.spreads[name] = Spread(low=low, high=high)

    def _add_scores(self, table: pa.Table) -> None:
        names = table.column_names[1:]
        wanted = [(name, how) for name in names for how in ("sum", "count")]
        grouped = table.group_by("skill_tier", use_threads=False).aggregate(wanted)
        for row in grouped.to_pylist():
            tier = row["skill_tier"]
            for name in names if tier in SKILL_TIERS else ():
                total, count = self.scores.get((name, tier), (0.0, 0))
                more = row[f"{name}_sum"] or 0.0
                self.scores[name, tier] = total + more, count + row[f"{name}_count"]
        if "overall_score" in names:
            self._add_overall(table)

    def _add_overall(self, table: pa.Table) -> None:
        share = pc.multiply(table["overall_score"], BINS / SCORE_BEST["overall_score"])
        bins = pc.min_element_wise(pc.max_element_wise(pc.floor(share), 0.0), BINS - 1.0)
        pairs = pa.table({"tier": table["skill_tier"], "bin": bins}).drop_null()
        counted = pairs.group_by(["tier", "bin"], use_threads=False).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            if row["tier"] in SKILL_TIERS:
                found = self.overall.setdefault(row["tier"], [0] * BINS)
                found[int(row["bin"])] += row["count_all"]


def _is_text(table: pa.Table, name: str) -> bool:
    type_ = table.schema.field(name).type
    return name in (*CLASSES, *TEXTS) and bool(
        pa.types.is_string(type_) or pa.types.is_large_string(type_)
    )


def _is_number(table: pa.Table, name: str) -> bool:
    type_ = table.schema.field(name).type
    return name in NUMBERS and bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _by_frequency(counted: Mapping[str, int]) -> dict[str, int]:
    """Return counts, the most frequent first, ties by name."""
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def _mean(found: tuple[float, int]) -> float | None:
    total, count = found
    return total / count if count else None
