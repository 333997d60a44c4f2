"""The shards of one config to some of their rows, and to the row groups that hold them.

Rows are numbered through all splits that are asked for, in stored order.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sousa.cards.facts import Facts, Json, opened, shards

ROWS_AT_ONCE: Final = 16_384
"""Rows of label columns in memory at once."""

CLIPS_AT_ONCE: Final = 16
"""Rows with audio in memory at once."""


@dataclass(frozen=True, slots=True)
class Group:
    """A row group.

    Attributes:
        split: Name of its split.
        path: Its file.
        number: Its place in the file.
        first: Number of its first row, of all rows.
        first_in_file: The same, counted in the file.
        rows: How many it has.
        column_bytes: Compressed size of each column, by the name of the topmost field.
    """

    split: str
    path: Path
    number: int
    first: int
    first_in_file: int
    rows: int
    column_bytes: Mapping[str, int]

    def size(self, columns: Collection[str]) -> int:
        """Return the bytes that some columns take."""
        return sum(self.column_bytes.get(name.partition(".")[0], 0) for name in columns)


@dataclass(frozen=True, slots=True)
class Shards:
    """One config, opened for a report.

    Attributes:
        config: Its name.
        features: JSON form of its features, by column.
        groups: Its row groups, in order.
    """

    config: str
    features: Mapping[str, Json]
    groups: tuple[Group, ...]

    @property
    def rows(self) -> int:
        """Rows of the splits that were asked for."""
        return sum(group.rows for group in self.groups)

    @property
    def splits(self) -> dict[str, int]:
        """Rows of each split."""
        found: dict[str, int] = {}
        for group in self.groups:
            found[group.split] = found.get(group.split, 0) + group.rows
        return found

    @property
    def audio(self) -> str | None:
        """Name of the first column of audio."""
        return next((n for n, f in self.features.items() if _is_audio(f)), None)


def open_shards(folder: Path, facts: Facts, splits: Collection[str] = ()) -> Shards:
    """Open the config that has most to show: the first with audio, else with strokes or notes.

    Raises:
        FileNotFoundError: If it has no rows in those splits.
        OSError: If a shard is damaged.
    """
    config = max(facts.configs, key=lambda name: _worth(facts.configs[name].features))
    found = shards(folder / config)
    missing = sorted(set(splits) - set(found))
    if missing:
        raise FileNotFoundError(f"{folder} has the splits {', '.join(found)}; not {missing[0]!r}")
    wanted = {name: paths for name, paths in found.items() if not splits or name in splits}
    opened_ = Shards(config, facts.configs[config].features, tuple(_groups(wanted)))
    if not opened_.rows:
        raise FileNotFoundError(f"{folder / config} holds no rows")
    return opened_


def _worth(features: Mapping[str, Json]) -> int:
    """Return how much of a clip can be shown; the first of equals is taken."""
    if any(map(_is_audio, features.values())):
        return 2
    return int("strokes" in features or "notes" in features)


def _is_audio(feature: object) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "Audio"


def _groups(splits: Mapping[str, Sequence[Path]]) -> Iterator[Group]:
    first = 0
    for split, paths in splits.items():
        for path in paths:
            with opened(path) as parquet:
                footer = parquet.metadata
            in_file = 0
            for number in range(footer.num_row_groups):
                group = footer.row_group(number)
                sizes: dict[str, int] = {}
                for place in range(group.num_columns):
                    chunk = group.column(place)
                    name = chunk.path_in_schema.partition(".")[0]
                    sizes[name] = sizes.get(name, 0) + chunk.total_compressed_size
                yield Group(split, path, number, first, in_file, group.num_rows, sizes)
                first, in_file = first + group.num_rows, in_file + group.num_rows


def batches(
    found: Shards, columns: Sequence[str], progress: Callable[[int], None]
) -> Iterator[tuple[Group, int, pa.Table]]:
    """Yield some columns of all rows, a few at a time: group, number of the first row, rows.

    Raises:
        OSError: If a shard is damaged.
    """
    for group, parquet in _opened(found.groups, columns):
        start = group.first
        for table in _read(parquet, group, columns, ROWS_AT_ONCE):
            yield group, start, table
            start += table.num_rows
        progress(group.size(columns))


def read_rows(
    found: Shards,
    rows: Collection[int],
    columns: Sequence[str],
    progress: Callable[[int], None],
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield some rows in order: number, the shard and row that it is, and its cells.

    Raises:
        OSError: If a shard is damaged.
    """
    for group, parquet in _opened(groups_of(found, rows), columns):
        wanted = sorted(row for row in rows if group.first <= row < group.first + group.rows)
        start = group.first
        for table in _read(parquet, group, columns, CLIPS_AT_ONCE):
            for row in wanted:
                if start <= row < start + table.num_rows:
                    (cells,) = table.slice(row - start, 1).to_pylist()
                    in_file = group.first_in_file + row - group.first
                    yield row, f"{found.config}/{group.path.name} row {in_file}", cells
            start += table.num_rows
            if start > wanted[-1]:
                break
        progress(group.size(columns))


def groups_of(found: Shards, rows: Collection[int]) -> list[Group]:
    """Return the row groups that hold some rows."""
    firsts = np.array([group.first for group in found.groups])
    places = np.searchsorted(firsts, np.array(sorted(rows), np.int64), side="right") - 1
    kept = {int(place): found.groups[place] for place in places}
    return list(kept.values())


def fair_sample(total: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return the numbers of `most` of all rows in order, each as likely as any other.

    >>> fair_sample(3, 5, seed=0).tolist()
    [0, 1, 2]
    """
    if total <= most:
        return np.arange(total, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(total, most, replace=False)).astype(np.int64)


def _opened(
    groups: Sequence[Group], columns: Sequence[str]
) -> Iterator[tuple[Group, pq.ParquetFile]]:
    """Yield row groups with their files, each opened once."""
    for path, of_file in groupby(groups, key=lambda group: group.path):
        with opened(path) as parquet:
            missing = {name.partition(".")[0] for name in columns} - {*parquet.schema_arrow.names}
            if missing:
                raise OSError(f"{path} has no column {min(missing)!r}, which others have")
            for group in of_file:
                yield group, parquet


def _read(
    parquet: pq.ParquetFile, group: Group, columns: Sequence[str], at_once: int
) -> Iterator[pa.Table]:
    for batch in parquet.iter_batches(at_once, row_groups=[group.number], columns=list(columns)):
        yield pa.Table.from_batches([batch])
