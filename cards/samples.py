"""A dataset folder to a few clips that its page plays, taken unchanged from a shard."""

from collections.abc import Mapping
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

CANDIDATES: Final = 256
"""Rows of the first shard from which samples are chosen."""

ROWS_AT_ONCE: Final = 16

CHOOSING: Final = ("rudiment_slug", "skill_tier")
DESCRIBING: Final = (
    *("sample_id", "tempo_bpm", "kit", "augmentation_preset", "overall_score", "duration_sec"),
)


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
    """

    name: str
    content: bytes
    where: str
    labels: Mapping[str, Any]
    strokes: Mapping[str, list[Any]]
    hands: tuple[str, ...]


def samples(folder: Path, facts: Facts) -> tuple[Sample, ...]:
    """Return the same rudiment by a player of the lowest and one of the highest tier.

    Where the beginning of the first shard has no such pair, it is the first clip alone; where there
    is no audio, none.

    Raises:
        OSError: If the shard is damaged.
    """
    found = _audio_column(facts)
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
        rows = _choose(_candidates(parquet, features))
        wanted = [n for n in (*CHOOSING, *DESCRIBING, "strokes", column) if n in features]
        cells = _read(parquet, rows, wanted)
    taken = [(row, cell) for row, cell in zip(rows, cells, strict=True) if _playable(cell, column)]
    return tuple(
        _sample(number, cell, column, features, f"{config}/{path.name} row {row}")
        for number, (row, cell) in enumerate(taken, start=1)
    )


def _audio_column(facts: Facts) -> tuple[str, str] | None:
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


def _candidates(parquet: pq.ParquetFile, features: Mapping[str, Json]) -> list[dict[str, str]]:
    """Return rudiment and tier of the first rows; nothing of a row whose classes are not known."""
    columns = [name for name in CHOOSING if _names(features, name)]
    batch = next(parquet.iter_batches(CANDIDATES, columns=columns), None)
    return [] if batch is None else [_named(row, features) for row in batch.to_pylist()]


def _choose(candidates: list[dict[str, str]]) -> list[int]:
    """Return the rows of the earliest pair of lowest and highest tier; else the first row."""
    tiers = [tier for tier in SKILL_TIERS if any(r.get("skill_tier") == tier for r in candidates)]
    if len(tiers) < 2:
        return [0]
    first: dict[tuple[str, str], int] = {}
    for row, labels in enumerate(candidates):
        first.setdefault((labels.get("rudiment_slug", ""), labels.get("skill_tier", "")), row)
    ends = tiers[0], tiers[-1]
    pairs = [
        [first[slug, tier] for tier in ends]
        for slug in dict.fromkeys(slug for slug, _ in first)
        if all((slug, tier) in first for tier in ends)
    ]
    return min(pairs, key=max, default=[0])


def _read(parquet: pq.ParquetFile, rows: list[int], columns: list[str]) -> list[dict[str, Any]]:
    """Return a few rows, read no farther than they need."""
    found: dict[int, dict[str, Any]] = {}
    start = 0
    for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=columns):
        for row in rows:
            if start <= row < start + batch.num_rows:
                (found[row],) = batch.slice(row - start, 1).to_pylist()
        start += batch.num_rows
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
    hand = features.get("strokes", {}).get("hand", {}) if strokes else {}
    known = {name: cell[name] for name in (*CHOOSING, *DESCRIBING) if name in cell}
    return Sample(
        name=f"sample-{number}{ENDINGS[content[:4]]}",
        content=content,
        where=where,
        labels=known | _named(cell, features),
        strokes={name: list(values) for name, values in strokes.items() if values is not None},
        hands=tuple(hand.get("feature", {}).get("names", ())),
    )


def _named(row: Mapping[str, Any], features: Mapping[str, Json]) -> dict[str, str]:
    """Return the classes of a row by name."""
    found = {}
    for column in CHOOSING:
        names, id_ = _names(features, column), row.get(column)
        if isinstance(id_, int) and 0 <= id_ < len(names):
            found[column] = str(names[id_])
    return found


def _names(features: Mapping[str, Json], column: str) -> list[Any]:
    names = features.get(column, {}).get("names", [])
    return names if isinstance(names, list) else []
