"""A dataset folder to the facts that its card states.

Read from Parquet footers and label columns alone: a folder with terabytes of audio is described in
seconds, and nothing about it is typed by hand.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from sousa.builders.schema import CONFIGS, SPLITS
from sousa.cards.label_facts import CLASSES, LABEL_COLUMNS, LabelFacts, label_facts, named

SHARD_NAME: Final = re.compile(r"(?P<split>\w+(\.\w+)*)-\d{5}-of-\d{5}\.parquet")

CONFIG_NAME: Final = re.compile(r"\w[\w. +-]*")
"""What a config's folder may be called: its name stands in code on the page."""

DEFAULT: Final = "default"
"""The config that `datasets` loads when none is asked for, where there is one of that name."""

ROWS_AT_ONCE: Final = 65_536
"""Rows whose labels are in memory at once."""

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


def facts(folder: str | Path, configs: Collection[str] | None = None) -> Facts:
    """Read the facts of a dataset folder; it needs neither a manifest nor all configs.

    Args:
        folder: Holds `<config>/<split>-NNNNN-of-NNNNN.parquet`.
        configs: Names of the configs to read; None is all.

    Raises:
        FileNotFoundError: If the folder holds no shards, or not those configs.
        OSError: If a shard is damaged.
        ValueError: If the folder of a config has a name that no config may have.
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
    lightest = ([name for name in chosen if name in CONFIGS] or list(chosen))[-1]
    return Facts(
        configs=described,
        labels=label_facts(_labels(chosen[lightest], described[lightest].features)),
        tokens=tuple(sorted(path.stem for path in root.glob("tokenizers/*.json"))),
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


def _config_facts(splits: Mapping[str, list[Path]]) -> ConfigFacts:
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
    return ConfigFacts(
        features=features,
        splits={name: _split_facts(files) for name, files in splits.items()},
    )


def _split_facts(files: Iterable[Path]) -> SplitFacts:
    rows = shards = file_bytes = data_bytes = 0
    for path in files:
        with opened(path) as parquet:
            footer = parquet.metadata
        rows += footer.num_rows
        shards += 1
        file_bytes += path.stat().st_size
        groups = range(footer.num_row_groups)
        data_bytes += sum(footer.row_group(group).total_byte_size for group in groups)
    return SplitFacts(rows=rows, shards=shards, file_bytes=file_bytes, data_bytes=data_bytes)


def _labels(
    splits: Mapping[str, list[Path]], features: Mapping[str, Json]
) -> Iterator[tuple[str, pa.Table]]:
    """Yield the label columns of all shards, some rows at a time, each with its split."""
    for split, files in splits.items():
        for path in files:
            with opened(path) as parquet:
                columns = [n for n in parquet.schema_arrow.names if n in LABEL_COLUMNS]
                for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=columns):
                    table = pa.Table.from_batches([batch])
                    for name in CLASSES.keys() & features.keys() & set(columns):
                        place = table.column_names.index(name)
                        table = table.set_column(place, name, named(table[name], features[name]))
                    yield split, table


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
