"""A dataset folder to the facts that its card states.

Read from Parquet footers and label columns alone: a folder with terabytes of audio is described in
seconds, and nothing about it is typed by hand.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from sousa.builders.schema import CONFIGS, SPLITS
from sousa.cards.label_columns import is_label, names_in
from sousa.cards.label_facts import Batch, LabelFacts, label_facts
from sousa.cards.provenance import Provenance, provenance
from sousa.cards.token_facts import TokenFacts, token_facts

SHARD_NAME: Final = re.compile(r"(?P<split>\w+(\.\w+)*)-\d{5}-of-\d{5}\.parquet")

CONFIG_NAME: Final = re.compile(r"\w[\w. +-]*")
"""What a config's folder may be called: its name stands in code on the page."""

DEFAULT: Final = "default"
"""The config that `datasets` loads when none is asked for, where there is one of that name."""

ROWS_AT_ONCE: Final = 65_536
"""Rows whose labels are in memory at once."""

Json = dict[str, Any]
Files = Mapping[str, list[Path]]
"""Shards by split."""
Values = dict[str, int | None]


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
        values: How many values each column holds, those of lists counted one by one; only the
            columns whose footers tell.
    """

    features: Mapping[str, Json]
    splits: Mapping[str, SplitFacts]
    values: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Examples of all splits."""
        return sum(split.rows for split in self.splits.values())

    @property
    def file_bytes(self) -> int:
        """Size on disk of all splits."""
        return sum(split.file_bytes for split in self.splits.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a dataset folder holds.

    Attributes:
        configs: By name, the default first.
        labels: What its label columns hold.
        tokenizers: Of its token columns, also of those that no described config has.
        made: Where it comes from.
    """

    configs: Mapping[str, ConfigFacts]
    labels: LabelFacts
    tokenizers: Mapping[str, TokenFacts] = field(default_factory=dict)
    made: Provenance = field(default_factory=Provenance)

    @property
    def rows(self) -> int:
        """Examples of the largest config."""
        return max(config.rows for config in self.configs.values())

    @property
    def tokens(self) -> dict[str, TokenFacts]:
        """The token columns that the configs have."""
        return {name: found for name, found in self.tokenizers.items() if found.rows}

    @property
    def default(self) -> str:
        """Name of the config that is loaded when none is asked for."""
        return next(iter(self.configs))

    @property
    def lightest(self) -> str:
        """Name of the config that has labels and little else: the last that the schema knows."""
        return ([name for name in self.configs if name in CONFIGS] or list(self.configs))[-1]


def facts(folder: str | Path, configs: Collection[str] | None = None) -> Facts:
    """Read the facts of a dataset folder; it needs neither a manifest nor all configs.

    Args:
        folder: Holds `<config>/<split>-NNNNN-of-NNNNN.parquet`.
        configs: Names of the configs to read; None is all.

    Raises:
        FileNotFoundError: If the folder holds no shards, or not those configs.
        OSError: If a shard is damaged.
        ValueError: If the folder of a config has a name that no config may have, or `manifest.json`
            is no manifest.
    """
    root = Path(folder)
    found = {name: splits for name in _config_names(root) if (splits := shards(root / name))}
    if not found:
        raise FileNotFoundError(
            f"no dataset in {root}: expected <split>-NNNNN-of-NNNNN.parquet in a folder of each "
            f"config, such as {CONFIGS[0]}/"
        )
    for name in found:
        if not CONFIG_NAME.fullmatch(name):
            raise ValueError(
                f"{root}: a config must be named by letters, digits, blanks and any of _-+., "
                f"got {name!r}; rename its folder"
            )
    missing = sorted(set(configs or ()) - set(found))
    if missing:
        raise FileNotFoundError(f"{root} has the configs {', '.join(found)}; not {missing[0]!r}")
    chosen = {name: splits for name, splits in found.items() if not configs or name in configs}
    described = {name: _config_facts(splits) for name, splits in chosen.items()}
    made = provenance(root)
    names = sorted(path.stem for path in root.glob("tokenizers/*.json"))
    return Facts(
        configs=described,
        labels=label_facts(_labels(chosen, described, made.group), made.group),
        tokenizers={name: _token_facts(root, name, described) for name in names},
        made=made,
    )


def _config_names(root: Path) -> list[str]:
    """Return the names of the folders, those of the schema first, in its order.

    Before all comes `default`, which `datasets` takes for the default whatever a card says.
    """
    names = {path.name for path in root.glob("[!.]*") if path.is_dir()}
    first = [name for name in (DEFAULT, *CONFIGS) if name in names]
    return first + sorted(names - {*first})


def shards(folder: Path) -> dict[str, list[Path]]:
    """Return the shards in a config's folder by split, those of the schema first, in order."""
    by_split: dict[str, list[Path]] = {name: [] for name in SPLITS}
    for path in sorted(folder.glob("*.parquet")):
        if name := SHARD_NAME.fullmatch(path.name):
            by_split.setdefault(name["split"], []).append(path)
    return {name: paths for name, paths in by_split.items() if paths}


def _config_facts(splits: Files) -> ConfigFacts:
    first = next(iter(splits.values()))[0]
    with opened(first) as parquet:
        metadata = parquet.schema_arrow.metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        Features.from_dict(features)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise OSError(
            f"{first} does not declare features that `datasets` knows; build or import it again"
        ) from error
    values: Values = {}
    described = {name: _split_facts(files, values) for name, files in splits.items()}
    told = {name: count for name, count in values.items() if count is not None}
    return ConfigFacts(features=features, splits=described, values=told)


def _split_facts(files: Iterable[Path], values: Values) -> SplitFacts:
    rows = shards = file_bytes = data_bytes = 0
    for path in files:
        with opened(path) as parquet:
            footer = parquet.metadata
        rows += footer.num_rows
        shards += 1
        file_bytes += path.stat().st_size
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            data_bytes += group.total_byte_size
            _count_values(group, values)
    return SplitFacts(rows=rows, shards=shards, file_bytes=file_bytes, data_bytes=data_bytes)


def _count_values(group: Any, values: Values) -> None:
    """Add how many values a row group has in each column; None where it does not tell."""
    for place in range(group.num_columns):
        leaf = group.column(place)
        name = leaf.path_in_schema.partition(".")[0]
        statistics = leaf.statistics if leaf.is_stats_set else None
        held = None
        if statistics is not None and statistics.has_null_count:
            held = leaf.num_values - statistics.null_count
        before = values.get(name, 0)
        values[name] = None if held is None or before is None else before + held


def _token_facts(root: Path, name: str, configs: Mapping[str, ConfigFacts]) -> TokenFacts:
    holding = next((config for config in configs.values() if name in config.features), None)
    ids, rows = (holding.values.get(name), holding.rows) if holding else (None, 0)
    return token_facts(root / "tokenizers" / f"{name}.json", ids, rows)


def _labels(
    configs: Mapping[str, Files], described: Mapping[str, ConfigFacts], group: str
) -> Iterator[Batch]:
    """Yield the label columns of all shards, some rows at a time, each with its split.

    A column is read from the lightest config that has it, of those with the same rows.
    """
    names = [name for name in configs if name in CONFIGS] or list(configs)
    rows = {name: split.rows for name, split in described[names[-1]].splits.items()}
    taken: set[str] = set()
    for config in reversed(names):
        found = described[config]
        if {name: split.rows for name, split in found.splits.items()} != rows:
            continue
        columns = [c for c, feature in found.features.items() if is_label(c, feature, group)]
        wanted = [column for column in columns if column not in taken]
        taken.update(wanted)
        for split, files in configs[config].items():
            for path in files if wanted else ():
                for table in _batches(path, wanted):
                    cells = dict(zip(table.column_names, table.columns, strict=True))
                    yield split, {c: names_in(cells[c], found.features[c]) for c in cells}


def _batches(path: Path, wanted: Collection[str]) -> Iterator[pa.Table]:
    with opened(path) as parquet:
        columns = [name for name in parquet.schema_arrow.names if name in wanted]
        for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=columns):
            yield pa.Table.from_batches([batch])


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; what is wrong with it becomes an error that names it.

    Raises:
        OSError: If it is damaged or cannot be read.
    """
    try:
        with pq.ParquetFile(path) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # of the system, which says it well
            raise
        cause = str(error).splitlines()[0]
        raise OSError(f"{path} is damaged: {cause}; `sousa validate` tells more") from error
