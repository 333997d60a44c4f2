"""Label columns to what a card says of them, a batch of rows at a time.

Which columns are counted, and how, follows from their features: numbers by range and sum, flags and
classes by frequency. Those that the schema names are put together by skill tier as well.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.schema import RUDIMENTS, SCORE_BEST, SCORES, SKILL_TIERS
from sousa.cards.label_columns import COUNTED, PLAYER, PROGRAMS, RUDIMENT, TIER, is_list, is_text

BINS: Final = 20
"""Bins of the distribution of `overall_score`, from 0 to its best value."""

PROGRAMS_OF_FAMILY: Final = 8
"""Of General MIDI, whose programs stand in families of so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What a column of numbers holds.

    Attributes:
        low: Least value.
        high: Greatest value.
        total: Sum.
        rows: How many there are; rows without a value do not count.
    """

    low: float
    high: float
    total: float = 0.0
    rows: int = 0

    @property
    def mean(self) -> float:
        """Mean value; 0 if there are none."""
        return self.total / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many rows of a column of flags are true, of those that are known."""

    true: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFacts:
    """What the label columns hold. What a dataset has no column for is empty or None.

    Attributes:
        numbers: Of each column of numbers.
        flags: Of each column of yes and no.
        classes: Rows of each class, by column of classes, then by split; a row that has several
            counts for each.
        groups: Different players, or what else decided the splits, by split.
        tiers: Rows of each skill tier, by split.
        rudiments: Rows of each rudiment.
        counted: Rows of each value of `COUNTED` columns, the most frequent first.
        families: Rows that play a program of each family of General MIDI, by its place.
        scores: Mean of each score by tier; None where it applies to no clip.
        overall: Rows in each of `BINS` bins of `overall_score`, by tier.
    """

    numbers: Mapping[str, Spread]
    flags: Mapping[str, Share]
    classes: Mapping[str, Mapping[str, Mapping[str, int]]]
    groups: Mapping[str, int]
    tiers: Mapping[str, Mapping[str, int]]
    rudiments: Mapping[str, int]
    counted: Mapping[str, Mapping[str, int]]
    families: Mapping[int, int]
    scores: Mapping[str, Mapping[str, float | None]]
    overall: Mapping[str, tuple[int, ...]]

    @property
    def hours(self) -> float:
        """Length of all rows together; 0 if it is not known."""
        return self.total("duration_sec") / 3600

    def total(self, column: str) -> float:
        """Return the sum of a column; 0 if there is none of numbers."""
        return self.numbers[column].total if column in self.numbers else 0.0


Batch = tuple[str, Mapping[str, pa.ChunkedArray]]


def label_facts(batches: Iterable[Batch], group: str = PLAYER) -> LabelFacts:
    """Count the labels of a dataset; memory follows the batches, not the dataset.

    Args:
        batches: Pairs of a split's name and the columns of some of its rows, those that `is_label`
            names, with classes as their names (see `names_in`).
        group: Column of what decided the splits.
    """
    tally = _Tally(group)
    for split, table in batches:
        tally.add(split, table)
    tiers, scores = tally.classes.get(TIER, {}), tally.scores
    played = _summed(tally.classes.get(RUDIMENT, {}))
    scored = [tier for tier in SKILL_TIERS if any(tier == found for _, found in scores)]
    return LabelFacts(
        numbers=tally.numbers,
        flags=tally.flags,
        classes=tally.classes,
        groups={split: len(found) for split, found in tally.groups.items()},
        tiers={
            split: {tier: found[tier] for tier in SKILL_TIERS}
            for split, found in tiers.items()
            if any(found[tier] for tier in SKILL_TIERS)
        },
        rudiments={slug: played[slug] for slug in RUDIMENTS} if played else {},
        counted={
            name: by_frequency(tally.counted[name]) for name in COUNTED if name in tally.counted
        },
        families=dict(sorted(tally.families.items())),
        scores={
            score.name: {tier: _mean(scores.get((score.name, tier))) for tier in scored}
            for score in SCORES
            if any(name == score.name for name, _ in scores)
        },
        overall={tier: tuple(tally.overall[tier]) for tier in SKILL_TIERS if tier in tally.overall},
    )


@dataclass(slots=True)
class _Tally:
    """What was counted so far."""

    group: str
    numbers: dict[str, Spread] = field(default_factory=dict)
    flags: dict[str, Share] = field(default_factory=dict)
    classes: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    counted: dict[str, Counter[str]] = field(default_factory=dict)
    families: Counter[int] = field(default_factory=Counter)
    scores: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    overall: dict[str, list[int]] = field(default_factory=dict)

    def add(self, split: str, columns: Mapping[str, pa.ChunkedArray]) -> None:
        """Count some rows; columns of another type than they should have are passed over."""
        numbers = {}
        for name, column in columns.items():
            type_ = column.type
            if name in COUNTED:
                self._add_values(name, column)
            elif is_text(type_):
                self._add_text(split, name, column)
            elif pa.types.is_boolean(type_):
                self._add_flags(name, column)
            elif pa.types.is_integer(type_) or pa.types.is_floating(type_):
                numbers[name] = column
                self._add_numbers(name, column)
            elif name == PROGRAMS and is_list(type_) and pa.types.is_integer(type_.value_type):
                self._add_programs(column)
        if TIER in columns and is_text(columns[TIER].type):
            scores = {name: column for name, column in numbers.items() if name in SCORE_BEST}
            self._add_scores(pa.table({TIER: columns[TIER]} | scores))

    def _add_values(self, name: str, column: pa.ChunkedArray) -> None:
        if is_text(column.type) or pa.types.is_integer(column.type):
            self.counted.setdefault(name, Counter()).update(_counts(column))

    def _add_text(self, split: str, name: str, column: pa.ChunkedArray) -> None:
        found = _counts(column)
        if name == self.group:
            self.groups.setdefault(split, set()).update(found)
        if name != PLAYER:
            self.classes.setdefault(name, {}).setdefault(split, Counter()).update(found)

    def _add_flags(self, name: str, column: pa.ChunkedArray) -> None:
        before = self.flags.get(name, Share(true=0, rows=0))
        true = before.true + (pc.sum(column).as_py() or 0)
        self.flags[name] = Share(true=true, rows=before.rows + len(column) - column.null_count)

    def _add_numbers(self, name: str, column: pa.ChunkedArray) -> None:
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
        found = pc.min_max(column).as_py()
        if found["min"] is None:
            return
        before = self.numbers.get(name, Spread(low=found["min"], high=found["max"]))
        self.numbers[name] = Spread(
            low=min(before.low, found["min"]),
            high=max(before.high, found["max"]),
            total=before.total + pc.sum(pc.cast(column, pa.float64())).as_py(),
            rows=before.rows + len(column) - column.null_count,
        )

    def _add_programs(self, column: pa.ChunkedArray) -> None:
        programs = pc.cast(pc.list_flatten(column), pa.int64())
        pairs = pa.table(
            {
                "row": pc.list_parent_indices(column),
                "family": pc.divide(programs, PROGRAMS_OF_FAMILY),
            }
        )
        once = pairs.group_by(["row", "family"], use_threads=False).aggregate([])
        self.families.update(family for family in once["family"].to_pylist() if family is not None)

    def _add_scores(self, table: pa.Table) -> None:
        names = table.column_names[1:]
        wanted = [(name, how) for name in names for how in ("sum", "count")]
        grouped = table.group_by(TIER, use_threads=False).aggregate(wanted)
        for row in grouped.to_pylist():
            tier = row[TIER]
            for name in names if tier in SKILL_TIERS else ():
                total, count = self.scores.get((name, tier), (0.0, 0))
                more = row[f"{name}_sum"] or 0.0
                self.scores[name, tier] = total + more, count + row[f"{name}_count"]
        if "overall_score" in names:
            self._add_overall(table)

    def _add_overall(self, table: pa.Table) -> None:
        share = pc.multiply(table["overall_score"], BINS / SCORE_BEST["overall_score"])
        bins = pc.min_element_wise(pc.max_element_wise(pc.floor(share), 0.0), BINS - 1.0)
        pairs = pa.table({"tier": table[TIER], "bin": bins}).drop_null()
        counted = pairs.group_by(["tier", "bin"], use_threads=False).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            if row["tier"] in SKILL_TIERS:
                found = self.overall.setdefault(row["tier"], [0] * BINS)
                found[int(row["bin"])] += row["count_all"]


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    counted = pc.value_counts(column).to_pylist()
    return {str(e["values"]): e["counts"] for e in counted if e["values"] is not None}


def _summed(by_split: Mapping[str, Counter[str]]) -> Counter[str]:
    return sum(by_split.values(), Counter())


def by_frequency(counted: Mapping[str, int]) -> dict[str, int]:
    """Return counts, the most frequent first, ties by name."""
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def _mean(found: tuple[float, int] | None) -> float | None:
    total, count = found or (0.0, 0)
    return total / count if count else None
