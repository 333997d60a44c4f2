"""A dataset folder to a few clips that its page plays, taken unchanged from a shard."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from sousa.builders.schema import SKILL_TIERS
from sousa.cards.facts import Facts, Json, opened, shards

ENDINGS: Final = {b"fLaC": ".flac", b"RIFF": ".wav", b"OggS": ".ogg"}
"""First bytes of the audio files that browsers play, and how they are named."""

LARGEST_BYTES: Final = 5_000_000
"""A longer clip is no sample: the page would be slow."""

LONGEST_SEC: Final = 60.0
"""A longer clip is not taken where others are there: nobody sees its events."""

CANDIDATES: Final = 256
"""Rows of the first shard from which samples are chosen."""

CHOOSING: Final = ("rudiment_slug", "skill_tier")
DESCRIBING: Final = (
    *("sample_id", "tempo_bpm", "kit", "augmentation_preset", "overall_score", "duration_sec"),
)
MOST_CLASSES: Final = 3
"""Columns of classes that tell a clip, where there is none of `CHOOSING`."""

LENGTH: Final = "duration_sec"
ONSETS: Final = "onset_sec"
"""Field of events that says when each begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One clip.

    Attributes:
        name: Of its file, such as `sample-1.flac`.
        content: The bytes that the shard holds.
        where: Shard and row.
        labels: Its labels, classes as their names; only what the dataset has.
        strokes: Fields of its strokes, as stored; empty without.
        hands: Names of the ids in field `hand`.
        onsets_ms: Onsets of its events, where it has events and no strokes.
        classes: What other classes it is of.
    """

    name: str
    content: bytes
    where: str
    labels: Mapping[str, Any]
    strokes: Mapping[str, list[Any]]
    hands: tuple[str, ...]
    onsets_ms: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()


def samples(folder: Path, facts: Facts) -> tuple[Sample, ...]:
    """Return the same rudiment by a player of the lowest and one of the highest tier.

    Where the beginning of the first shard has no such pair, it is two clips of different classes,
    or the first clip alone; where there is no audio, none.

    Raises:
        OSError: If the shard is damaged.
    """
    found = audio_column(facts)
    if found is None:
        return ()
    config, column = found
    features = facts.configs[config].features
    splits = shards(folder / config)
    if not splits:
        return ()
    path = next(iter(splits.values()))[0]
    with opened(path) as parquet:
        if not parquet.metadata.num_rows:
            return ()
        classes = _class_columns(features)
        rows = _choose(_candidates(parquet, features, classes))
        events = [name for name, f in features.items() if name == "strokes" or ONSETS in f]
        wanted = [n for n in (*classes, *DESCRIBING, *events[:1], column) if n in features]
        cells = _read(parquet, rows, dict.fromkeys(wanted))
    taken = [(row, cell) for row, cell in zip(rows, cells, strict=True) if _playable(cell, column)]
    return tuple(
        _sample(number, cell, column, features, f"{config}/{path.name} row {row}")
        for number, (row, cell) in enumerate(taken, start=1)
    )


def audio_column(facts: Facts) -> tuple[str, str] | None:
    """Return the first config with audio and the name of the column; None if there is none."""
    return next(
        (
            (config, name)
            for config, found in facts.configs.items()
            for name, feature in found.features.items()
            if isinstance(feature, dict) and feature.get("_type") == "Audio"
        ),
        None,
    )


def _class_columns(features: Mapping[str, Json]) -> list[str]:
    """Return the columns of classes that choose and tell a clip."""
    known = [name for name in CHOOSING if _names(features, name)]
    return known or [name for name in features if _names(features, name)][:MOST_CLASSES]


def _candidates(
    parquet: pq.ParquetFile, features: Mapping[str, Json], classes: list[str]
) -> dict[int, dict[str, str]]:
    """Return the classes of the first rows that are not too long, those that are known."""
    timed = [LENGTH] if features.get(LENGTH, {}).get("dtype") in ("float32", "float64") else []
    batch = next(parquet.iter_batches(CANDIDATES, columns=[*classes, *timed]), None)
    rows = [] if batch is None else batch.to_pylist()
    return {
        place: _named(row, features, classes)
        for place, row in enumerate(rows)
        if not (row.get(LENGTH) or 0) > LONGEST_SEC
    }


def _choose(candidates: Mapping[int, dict[str, str]]) -> list[int]:
    """Return the rows of the earliest pair of lowest and highest tier, or of what differs."""
    first: dict[tuple[str, str], int] = {}
    for row, labels in candidates.items():
        first.setdefault((labels.get("rudiment_slug", ""), labels.get("skill_tier", "")), row)
    tiers = [tier for tier in SKILL_TIERS if any(tier == found for _, found in first)]
    if len(tiers) < 2:
        return _different(candidates)
    ends = tiers[0], tiers[-1]
    pairs = [
        [first[slug, tier] for tier in ends]
        for slug in dict.fromkeys(slug for slug, _ in first)
        if all((slug, tier) in first for tier in ends)
    ]
    return min(pairs, key=max, default=[next(iter(candidates))])


def _different(candidates: Mapping[int, dict[str, str]]) -> list[int]:
    """Return the first row, and the next one of other classes if there is one."""
    if not candidates:
        return [0]
    row, labels = next(iter(candidates.items()))
    other = next((place for place, found in candidates.items() if found and found != labels), None)
    return [row] if other is None else [row, other]


def _read(parquet: pq.ParquetFile, rows: list[int], columns: Iterable[str]) -> list[dict[str, Any]]:
    """Return a few rows, read no farther than they need, and one at a time: they may be large."""
    found = {}
    for row, batch in enumerate(parquet.iter_batches(1, columns=[*columns])):
        if row in rows:
            (found[row],) = batch.to_pylist()
        if len(found) == len({*rows}):
            break
    return [found[row] for row in rows]


def _playable(cell: Mapping[str, Any], column: str) -> bool:
    content = (cell[column] or {}).get("bytes") or b""
    return content[:4] in ENDINGS and len(content) <= LARGEST_BYTES


def _sample(
    number: int, cell: Mapping[str, Any], column: str, features: Mapping[str, Json], where: str
) -> Sample:
    content = cell[column]["bytes"]
    strokes = cell.get("strokes")
    strokes = strokes if isinstance(strokes, dict) else {}
    events = next((each for each in cell.values() if isinstance(each, dict) and ONSETS in each), {})
    named = _named(cell, features, _class_columns(features))
    hand = features.get("strokes", {}).get("hand", {}) if strokes else {}
    known = {name: cell[name] for name in (*CHOOSING, *DESCRIBING) if name in cell}
    return Sample(
        name=f"sample-{number}{ENDINGS[content[:4]]}",
        content=content,
        where=where,
        labels=known | {name: named[name] for name in CHOOSING if name in named},
        strokes={name: list(values) for name, values in strokes.items() if values is not None},
        hands=tuple(hand.get("feature", {}).get("names", ())),
        onsets_ms=tuple(1000 * second for second in events.get(ONSETS) or () if second is not None),
        classes=tuple(f"{name}: {each}" for name, each in named.items() if name not in CHOOSING),
    )


def _named(
    row: Mapping[str, Any], features: Mapping[str, Json], classes: Iterable[str]
) -> dict[str, str]:
    """Return the classes of a row by name."""
    found = {}
    for column in classes:
        names, id_ = _names(features, column), row.get(column)
        if isinstance(id_, int) and 0 <= id_ < len(names):
            found[column] = str(names[id_])
    return found


def _names(features: Mapping[str, Json], column: str) -> list[Any]:
    names = features.get(column, {}).get("names", [])
    return names if isinstance(names, list) else []
