"""Splits that a user prepared with `datasets` to shards in our layout, in bounded memory."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import (
    Audio,
    Dataset,
    DatasetDict,
    Features,
    Image,
    IterableDataset,
    IterableDatasetDict,
    Value,
    Video,
)
from datasets.table import embed_table_storage, table_cast

from sousa.cards.audio_cells import audio_cell, resampled
from sousa.cards.inferred import Batch, encoded, inferred, joined, rows_ahead

Split: TypeAlias = Dataset | IterableDataset
Splits: TypeAlias = DatasetDict | IterableDatasetDict

BATCH_ROWS: Final = 32
"""Rows that are read at a time."""

STORED_AUDIO: Final = {"bytes": Value("binary"), "path": Value("string")}
"""Audio to `datasets` as it lies in a file: to encode an `Audio` it would need torch."""

MISFITS: Final = (pa.ArrowException, TypeError, ValueError, KeyError, AttributeError)
"""What encoding raises at a value of another type than its feature."""

ROW_GROUP_BYTES: Final = 16_000_000
"""A row group is closed at this size."""

SHARD_BYTES: Final = 400_000_000
"""A shard is closed at this size."""

NAME: Final = re.compile(r"\w[\w.-]*", re.ASCII)
SPLIT: Final = re.compile(r"\w+(\.\w+)*", re.ASCII)
LONGEST_SPLIT: Final = 200
"""Letters of a split's name; with the rest of a shard's name it must fit a file system."""

ALL: Final = "all"
"""What `datasets` calls all splits of a config together."""


def splits_of(data: Split | Splits) -> dict[str, Split]:
    """Return the splits of some data by name; a single one is `train` unless it says otherwise.

    Raises:
        TypeError: If it is nothing of `datasets`.
        ValueError: If it has no splits, or the name of one cannot be that of a file.
    """
    if isinstance(data, Dataset | IterableDataset):
        named = {str(data.split or "train"): data}
    elif isinstance(data, DatasetDict | IterableDatasetDict):
        named = {str(name): split for name, split in data.items()}
    else:
        raise TypeError(
            "data must be a Dataset, DatasetDict, IterableDataset or IterableDatasetDict, "
            f"got {type(data).__name__}"
        )
    wrong = [name for name in named if not SPLIT.fullmatch(name) or len(name) > LONGEST_SPLIT]
    if wrong or not named:
        raise ValueError(f"splits must be names such as train, got {wrong or 'no split at all'}")
    if ALL in named:
        raise ValueError(f"no split can be named {ALL}, which `datasets` takes for all splits")
    return named


def write_config(splits: Mapping[str, Split], folder: Path) -> None:
    """Write the shards of a config, `<split>-NNNNN-of-NNNNN.parquet`.

    Args:
        splits: By name.
        folder: The config's; made if it is not there.

    Raises:
        ValueError: If a split is empty, the splits have other features than each other, or a row
            does not fit them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first: tuple[str, Features] | None = None
    for name, split in splits.items():
        tables, features = _tables(name, split)
        start = next(tables, None)
        if start is None:
            raise ValueError(f"split {name} has no rows; leave it out")
        if first is not None and features != first[1]:
            raise ValueError(f"split {name} must have the features of {first[0]}, has others")
        first = first or (name, features)
        _write_split(name, _stored(chain([start], tables), features), features, folder)


def _tables(name: str, split: Split) -> tuple[Iterator[pa.Table], Features]:
    """Return the rows of a split, some at a time, and its features."""
    if isinstance(split, Dataset):
        tables = iter(split.with_format("arrow").iter(BATCH_ROWS))
        return (table for table in tables if table.num_rows), split.features
    # As Python values: a stream that was filtered or mapped guesses other Arrow types for each few
    # rows, where values are null.
    bare = split.with_format(None).decode(enable=False) if split.features else split
    batches = (batch for batch in bare.with_format(None).iter(BATCH_ROWS) if batch)
    if (features := split.features) is not None:
        return (_table(batch, features) for batch in batches), features
    unread = map(encoded, batches)
    ahead = rows_ahead(unread, _table)
    found = inferred(name, split, joined(ahead), _table)
    return (_table(batch, found) for batch in chain(ahead, unread)), found


def _table(batch: Batch, features: Features | None) -> pa.Table:
    """Return rows as Arrow, as `datasets` encodes them.

    Raises:
        ValueError: If they are not all of the features, or of one kind.
    """
    try:
        if features is not None:
            heard = [name for name, kind in features.items() if isinstance(kind, Audio)]
            batch = batch | {name: [audio_cell(cell) for cell in batch[name]] for name in heard}
            features = Features({**features, **dict.fromkeys(heard, STORED_AUDIO)})
        return Dataset.from_dict(batch, features=features).with_format("arrow")[:]
    except MISFITS as error:
        raise ValueError(f"a row does not fit the features: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _stored(tables: Iterable[pa.Table], features: Features) -> Iterator[pa.Table]:
    """Yield rows as they are stored: of one schema, and with files in them, not beside them."""
    schema = features.arrow_schema
    rates = {
        name: feature.sampling_rate
        for name, feature in features.items()
        if isinstance(feature, Audio) and feature.sampling_rate
    }
    for table in tables:
        try:
            whole = embed_table_storage(table_cast(table, schema))
        except MISFITS as error:
            raise ValueError(f"a row does not fit the features: {_first_line(error)}") from error
        for name, rate_hz in rates.items():
            whole = _at_rate(whole, name, rate_hz)
        yield whole


def _at_rate(table: pa.Table, name: str, rate_hz: int) -> pa.Table:
    """Resample what is stored at another rate than the features declare."""
    cells = table[name].to_pylist()
    changed = [cell and cell | {"bytes": resampled(cell["bytes"], rate_hz)} for cell in cells]
    if all(
        new is None or new["bytes"] is old["bytes"] for new, old in zip(changed, cells, strict=True)
    ):
        return table
    field = table.schema.field(name)
    return table.set_column(
        table.schema.get_field_index(name), field, pa.array(changed, type=field.type)
    )


def _write_split(name: str, tables: Iterable[pa.Table], features: Features, folder: Path) -> None:
    """Write the shards of a split; how many they are is known, and in their names, at the end."""
    groups = _row_groups(tables)
    group = next(groups, None)
    parts: list[Path] = []
    while group is not None:
        parts.append(folder / f".{name}-{len(parts)}")
        with _writer(parts[-1], features) as writer:
            bytes_ = 0
            while group is not None and bytes_ < SHARD_BYTES:
                writer.write_table(group, row_group_size=group.num_rows)
                bytes_ += group.nbytes
                group = next(groups, None)
    for index, part in enumerate(parts):
        part.rename(folder / f"{name}-{index:05d}-of-{len(parts):05d}.parquet")


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    pending: list[pa.Table] = []
    for table in tables:
        pending.append(table)
        if sum(each.nbytes for each in pending) >= ROW_GROUP_BYTES:
            yield pa.concat_tables(pending).combine_chunks()
            pending = []
    if pending:
        yield pa.concat_tables(pending).combine_chunks()


def _writer(path: Path, features: Features) -> pq.ParquetWriter:
    """Open a shard as builds write theirs: media plain, so that the Hub can deduplicate it."""
    schema = features.arrow_schema
    empty = pa.BufferOutputStream()
    pq.ParquetWriter(empty, schema).close()
    parquet = pq.ParquetFile(empty.getvalue()).schema
    leaves = [parquet.column(index).path for index in range(len(parquet.names))]
    media = [name for name, kind in features.items() if isinstance(kind, Audio | Image | Video)]
    plain = {leaf for leaf in leaves if leaf.split(".")[0] in media}
    return pq.ParquetWriter(
        path,
        schema,
        compression={leaf: "NONE" if leaf in plain else "ZSTD" for leaf in leaves},
        use_dictionary=[leaf for leaf in leaves if leaf not in plain],
        write_page_index=True,
    )
