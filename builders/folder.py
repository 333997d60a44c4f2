"""A dataset folder, opened for checking: its shards, splits and rows."""

import json
import re
from collections.abc import Container
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sousa.builders import sousa_schema
from sousa.builders.features import arrow_schema
from sousa.builders.hearing import APART_MS
from sousa.builders.kinds import BUILT, declared_columns, kind_of
from sousa.builders.recorded import SOUSA_OFF_MS, Recorded
from sousa.builders.schema import CONFIG_RATES, CONFIGS, SAMPLE_RATE, SPLITS, Column, columns
from sousa.builders.tokens import stored_columns
from sousa.builders.view import Rows

SHARD_NAME: Final = re.compile(r"(?P<split>[a-z]+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.parquet")
DAMAGE: Final = (OSError, pa.ArrowException, UnicodeError)
"""What pyarrow raises for a file that is torn, truncated or no Parquet."""


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """One readable Parquet file of a config.

    Attributes:
        path: Relative to the folder, with forward slashes.
        file: The file itself.
        metadata: Its footer.
        schema: Its Arrow schema.
        usable: Columns of the declared type; others are as good as missing.
    """

    path: str
    file: Path
    metadata: Any
    schema: pa.Schema
    usable: frozenset[str]

    @property
    def group_rows(self) -> list[int]:
        """Rows of each row group."""
        groups = range(self.metadata.num_row_groups)
        return [self.metadata.row_group(group).num_rows for group in groups]

    def read(self, group: int, columns: Container[str]) -> pa.Table:
        """Return some columns of a row group; those that it lacks or has wrong are left out.

        Raises:
            OSError: If the file is damaged.
            pyarrow.ArrowException: If it is damaged in another way.
        """
        present = [n for n in self.schema.names if n in self.usable and n in columns]
        with pq.ParquetFile(self.file, metadata=self.metadata) as parquet:
            table = parquet.read_row_group(group, columns=present).combine_chunks()
        table.validate(full=True)
        return table.select(present)


class Group(NamedTuple):
    """A row group of a split.

    Attributes:
        shard: The file it is in.
        place: Its place in the split.
        number: Its place in the file.
        first: Its first row, counted in the file.
        start: Its first row, counted in the split.
        rows: How many rows it has.
    """

    shard: Shard
    place: int
    number: int
    first: int
    start: int
    rows: int


@dataclass(frozen=True, eq=False)
class Split:
    """The readable shards of one split of one config, in order.

    Attributes:
        config: Name of the config.
        name: Name of the split.
        shards: Its files.
    """

    config: str
    name: str
    shards: tuple[Shard, ...]

    def __str__(self) -> str:
        return f"{self.config}/{self.name}"

    @cached_property
    def groups(self) -> list[Group]:
        """The row groups that hold rows, in stored order."""
        groups: list[Group] = []
        start = 0
        for shard in self.shards:
            first = 0
            for number, rows in enumerate(shard.group_rows):
                if rows:
                    groups.append(Group(shard, len(groups), number, first, start, rows))
                first, start = first + rows, start + rows
        return groups

    @property
    def rows(self) -> int:
        """Rows of the split."""
        return sum(shard.metadata.num_rows for shard in self.shards)

    def read(self, start: int, stop: int, columns: Container[str]) -> Rows:
        """Return some columns of the rows `[start, stop)`.

        Raises:
            OSError: If a file is damaged.
            pyarrow.ArrowException: If it is damaged in another way.
        """
        touched = [g for g in self.groups if g.start < stop and g.start + g.rows > start]
        table = pa.concat_tables([group.shard.read(group.number, columns) for group in touched])
        table = table.slice(start - touched[0].start, stop - start).combine_chunks()
        places = [
            (group.shard.path, group.first + row - group.start)
            for group in touched
            for row in range(max(start, group.start), min(stop, group.start + group.rows))
        ]
        return Rows(self.config, places, table)


@dataclass(frozen=True, eq=False)
class Folder:
    """What a folder holds.

    Attributes:
        root: The folder.
        splits: By config, then split; both in the order of the schema.
        damaged: Path and cause of every shard that could not be opened.
        misnamed: Paths of Parquet files that are not named like a shard.
    """

    root: Path
    splits: dict[str, dict[str, Split]]
    damaged: dict[str, str]
    misnamed: list[str]

    @property
    def every_split(self) -> list[Split]:
        """The splits of all configs."""
        return [split for splits in self.splits.values() for split in splits.values()]

    @property
    def reference(self) -> dict[str, Split]:
        """The splits of the first config, which the others must agree with."""
        return next(iter(self.splits.values()), {})

    @property
    def token_columns(self) -> tuple[str, ...]:
        """Names of the token columns, by their tokenizers."""
        return tuple(sorted(path.stem for path in self.root.glob("tokenizers/*.json")))

    @cached_property
    def plan(self) -> dict[str, Any]:
        """The plan by `manifest.json`; empty where there is none that can be read."""
        try:
            plan = json.loads((self.root / "manifest.json").read_bytes())["plan"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}
        return plan if isinstance(plan, dict) else {}

    @property
    def kind(self) -> str:
        """What the dataset was made of: one of `kinds.KINDS`."""
        return kind_of(self.plan)

    @cached_property
    def is_foreign(self) -> bool:
        """Whether nothing says what it was made of: written by `datasets` or another program."""
        try:
            manifest = json.loads((self.root / "manifest.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return not (self.root / "manifest.json").exists()
        return isinstance(manifest, dict) and "plan" not in manifest

    def declared(self, config: str) -> tuple[Column, ...]:
        """Return the columns that a config must have; in a foreign folder, those it may have."""
        tokens = stored_columns(self.root, exact=self.kind != BUILT)
        if self.is_foreign:
            return _freely(config, tokens)
        return declared_columns(self.plan, config, tokens)

    def recorded(self, config: str) -> Recorded:
        """Return how a config stores audio."""
        if not self.is_foreign:
            is_sousa = self.kind == sousa_schema.KIND
            most_off_ms = SOUSA_OFF_MS if is_sousa else APART_MS
            return Recorded(CONFIG_RATES[config], most_off_ms=most_off_ms)
        shards = (shard for split in self.splits[config].values() for shard in split.shards)
        stated = (features(shard.schema).get("audio") for shard in shards)
        rates = (each.get("sampling_rate") for each in stated if isinstance(each, dict))
        rate = next((rate for rate in rates if isinstance(rate, int)), SAMPLE_RATE)
        return Recorded(CONFIG_RATES.get(config, rate), freely=True)

    def is_whole(self, split: Split) -> bool:
        """Return whether every shard of a split could be opened."""
        return not any(path.startswith(f"{split}-") for path in self.damaged)


def open_folder(root: Path) -> Folder:
    """Open the shards of a folder; what cannot be opened is noted, not raised.

    Raises:
        NotADirectoryError: If `root` is no folder.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"expected a folder with a dataset, got {root}")
    folder = Folder(root, {}, {}, [])
    for config in _configs(folder):
        declared = arrow_schema(folder.declared(config))
        shards: dict[str, list[Shard]] = {}
        for file in sorted((root / config).glob("*.parquet")):
            path = f"{config}/{file.name}"
            named = SHARD_NAME.fullmatch(file.name)
            if named is None or (named["split"] not in SPLITS and not folder.is_foreign):
                folder.misnamed.append(path)
                continue
            opened = shards.setdefault(named["split"], [])
            try:
                opened.append(open_shard(path, file, declared, exact=folder.is_foreign))
            except DAMAGE as error:
                folder.damaged[path] = one_line(error)
        names = sorted(shards, key=_order)
        folder.splits[config] = {name: Split(config, name, tuple(shards[name])) for name in names}
    return folder


def _configs(folder: Folder) -> list[str]:
    """Return the folders of configs, the known ones first; a foreign folder may have others."""
    found = [name for name in CONFIGS if (folder.root / name).is_dir()]
    if folder.is_foreign:
        shards = folder.root.glob("[!.]*/*.parquet")
        found += sorted({path.parent.name for path in shards} - set(found))
    return found


def _order(split: str) -> tuple[int, str]:
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS)), split


def _freely(config: str, tokens: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns that we know, each of which may be null or missing."""
    known = config if config in CONFIGS else CONFIGS[0]
    return tuple(replace(column, nullable=True) for column in columns(known, tokens))


def open_shard(path: str, file: Path, declared: pa.Schema, *, exact: bool = False) -> Shard:
    """Read a footer.

    Args:
        path: Relative to the folder.
        file: The file itself.
        declared: The columns it should have.
        exact: Whether columns with other features, such as other class names, are not usable.

    Raises:
        OSError: If the file is damaged.
        pyarrow.ArrowException: If it is damaged in another way.
    """
    if not file.is_file():  # a pipe would keep us waiting
        raise FileNotFoundError("it is no file")
    with pq.ParquetFile(file) as parquet:
        schema = parquet.schema_arrow
        usable = {f.name for f in declared if f.name in schema.names and schema.field(f.name) == f}
        if exact:
            stated, expected = features(schema), features(declared)
            usable = {n for n in usable if n == "audio" or stated.get(n) == expected[n]}
        return Shard(path, file, parquet.metadata, schema, frozenset(usable))


def features(schema: pa.Schema) -> dict[str, Any]:
    """Return the features that `datasets` reads from a schema; empty where it has none."""
    try:
        stated = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}
    return stated if isinstance(stated, dict) else {}


def one_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return next(iter(f"{type(error).__name__}: {error}".splitlines()), "")
