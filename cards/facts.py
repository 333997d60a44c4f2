"""A dataset folder to the facts that its card states.

Read from Parquet footers and label columns alone: a folder with terabytes of audio is described in
seconds, and nothing about it is typed by hand.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sousa.builders.schema import CONFIGS, RUDIMENTS, SCORES, SKILL_TIERS, SPLITS

SHARD_NAME: Final = re.compile(r"(?P<split>[a-z]+)-\d{5}-of-\d{5}\.parquet")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFacts:
    """One split of one config.

    Attributes:
        rows: Examples.
        shards: Files.
        file_bytes: Their size on disk.
        data_bytes: Their size before compression.
    """

    rows: int
    shards: int
    file_bytes: int
    data_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFacts:
    """One config.

    Attributes:
        features: JSON form of its `datasets` features, by column.
        splits: Its splits, in the order of the schema.
    """

    features: Mapping[str, Json]
    splits: Mapping[str, SplitFacts]

    @property
    def rows(self) -> int:
        """Examples of all splits."""
        return sum(split.rows for split in self.splits.values())

    @property
    def file_bytes(self) -> int:
        """Size on disk of all splits."""
        return sum(split.file_bytes for split in self.splits.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The range of a column of numbers."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFacts:
    """What the label columns hold. What a dataset has no column for is empty or None.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a dataset folder holds.

    Attributes:
        configs: By name, the default first.
        labels: What its label columns hold.
        tokens: Names of the token columns.
    """

    configs: Mapping[str, ConfigFacts]
    labels: LabelFacts
    tokens: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Examples of the largest config."""
        return max(config.rows for config in self.configs.values())

    @property
    def default(self) -> str:
        """Name of the config that is loaded when none is asked for."""
        return next(iter(self.configs))


def facts(folder: str | Path) -> Facts:
    """Read the facts of a dataset folder; it needs neither a manifest nor all configs.

    Raises:
        FileNotFoundError: If the folder holds no shards.
        OSError: If a shard is damaged.
    """
    root = Path(folder)
    found = {config: _shards(root / config) for config in CONFIGS}
    shards = {config: splits for config, splits in found.items() if splits}
    if not shards:
        allowed = ", ".join(f"{config}/" for config in CONFIGS)
        raise FileNotFoundError(
            f"no dataset in {root}: expected <split>-NNNNN-of-NNNNN.parquet in one of {allowed}"
        )
    lightest = list(shards)[-1]
    return Facts(
        configs={config: _config_facts(splits) for config, splits in shards.items()},
        labels=_label_facts({name: _labels(files) for name, files in shards[lightest].items()}),
        tokens=tuple(sorted(path.stem for path in root.glob("tokenizers/*.json"))),
    )


def _shards(folder: Path) -> dict[str, list[Path]]:
    """Return the shards of a config's folder by split, in order."""
    named = [(SHARD_NAME.fullmatch(path.name), path) for path in sorted(folder.glob("*.parquet"))]
    by_split = {name: [path for m, path in named if m and m["split"] == name] for name in SPLITS}
    return {name: paths for name, paths in by_split.items() if paths}


def _config_facts(splits: Mapping[str, list[Path]]) -> ConfigFacts:
    first = next(iter(splits.values()))[0]
    metadata = _read(pq.read_schema, first).metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
    except KeyError as error:
        raise OSError(f"{first} does not declare its features; build or import it again") from error
    return ConfigFacts(
        features=features,
        splits={name: _split_facts(files) for name, files in splits.items()},
    )


def _split_facts(files: list[Path]) -> SplitFacts:
    footers = [_read(pq.read_metadata, path) for path in files]
    return SplitFacts(
        rows=sum(footer.num_rows for footer in footers),
        shards=len(files),
        file_bytes=sum(path.stat().st_size for path in files),
        data_bytes=sum(
            footer.row_group(group).total_byte_size
            for footer in footers
            for group in range(footer.num_row_groups)
        ),
    )


LABEL_COLUMNS: Final = (
    *("profile_id", "rudiment_slug", "skill_tier", "kit", "augmentation_preset"),
    *("tempo_bpm", "duration_sec", "num_strokes"),
    *(score.name for score in SCORES),
)
"""What the facts are counted from: scalars, some 150 bytes a row."""


def _labels(files: list[Path]) -> pa.Table:
    tables = []
    for path in files:
        names = _read(pq.read_schema, path).names
        columns = [name for name in LABEL_COLUMNS if name in names]
        tables.append(_read(pq.read_table, path, columns=columns))
    return pa.concat_tables(tables)


def _read(reader: Any, path: Path, **options: Any) -> Any:
    """Read from a Parquet file; what is wrong with it becomes an error that names it."""
    try:
        return reader(path, **options)
    except pa.ArrowException as error:
        cause = str(error).splitlines()[0]
        raise OSError(f"{path} is damaged: {cause}; `sousa validate` tells more") from error


def _label_facts(splits: Mapping[str, pa.Table]) -> LabelFacts:
    whole = pa.concat_tables(splits.values())
    seconds = pc.sum(_column(whole, "duration_sec")).as_py() or 0.0
    return LabelFacts(
        tiers={name: _class_counts(t, "skill_tier", SKILL_TIERS) for name, t in splits.items()},
        players={
            name: pc.count_distinct(_column(table, "profile_id")).as_py()
            for name, table in splits.items()
        },
        rudiments=_class_counts(whole, "rudiment_slug", RUDIMENTS),
        kits=_counts(_column(whole, "kit")),
        presets=_counts(_column(whole, "augmentation_preset")),
        tempo_bpm=_spread(_column(whole, "tempo_bpm")),
        duration_sec=_spread(_column(whole, "duration_sec")),
        hours=seconds / 3600,
        strokes=pc.sum(_column(whole, "num_strokes")).as_py() or 0,
        scores=_scores(whole),
    )


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column; one without values if there is none."""
    empty = pa.chunked_array([pa.array([], pa.float64())])
    return table[name] if name in table.column_names else empty


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each text occurs, most frequent first, ties by name."""
    counted = [(e["values"], e["counts"]) for e in pc.value_counts(column).to_pylist()]
    known = [(str(value), count) for value, count in counted if value is not None]
    return dict(sorted(known, key=lambda pair: (-pair[1], pair[0])))


def _class_counts(table: pa.Table, name: str, labels: Iterable[str]) -> dict[str, int]:
    """Return how often each class occurs, those included that do not."""
    if name not in table.column_names:
        return {}
    counted = pc.value_counts(table[name]).to_pylist()
    by_id = {entry["values"]: entry["counts"] for entry in counted}
    return {label: by_id.get(id_, 0) for id_, label in enumerate(labels)}


def _spread(column: pa.ChunkedArray) -> Spread | None:
    found = pc.min_max(column).as_py()
    return None if found["min"] is None else Spread(low=found["min"], high=found["max"])


def _scores(table: pa.Table) -> dict[str, dict[str, float | None]]:
    """Return the mean of each score by tier, for scores and tiers that there are."""
    if "skill_tier" not in table.column_names:
        return {}
    names = [score.name for score in SCORES if score.name in table.column_names]
    means: dict[str, dict[str, float | None]] = {name: {} for name in names}
    for id_, tier in enumerate(SKILL_TIERS):
        members = table.filter(pc.equal(table["skill_tier"], id_))
        for name in names if members.num_rows else ():
            means[name][tier] = pc.mean(members[name]).as_py()
    return means
