"""What the user has, a folder, a Hub id or a `datasets.Dataset`, becomes rows by index."""

import os
import re
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sousa.loaders.access import At
from sousa.loaders.chunks import InFile, Pick, arrow_chunk
from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.folder import (
    SHARD,
    choose_config,
    choose_splits,
    find_shards,
    missing_shards,
    with_splits,
)
from sousa.loaders.groups import Known, RemoteShards
from sousa.loaders.layout import Layout
from sousa.loaders.original import OriginalSource, is_original
from sousa.loaders.parquet import ParquetSource
from sousa.loaders.ranges import Repository
from sousa.loaders.remote import RemoteFile, published
from sousa.loaders.rows import Declared, check_columns
from sousa.loaders.streams import Stream

HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""Form of a dataset's name on the Hub: `org/name`."""

Data: TypeAlias = (
    str
    | os.PathLike[str]
    | datasets.Dataset
    | datasets.DatasetDict
    | datasets.IterableDataset
    | datasets.IterableDatasetDict
)


class Source(Protocol):
    """Rows by index.

    Attributes:
        layout: How the rows lie, and how many there are.
        declared: What is declared about the columns.
        broken: Files that could not be read.
    """

    layout: Layout
    declared: Declared
    broken: list[BrokenRow]

    def pick(self, indices: Sequence[int]) -> list[Pick | BrokenRow]:
        """Return some rows, in the order of `indices`; broken ones say what is wrong."""

    def column(
        self, name: str, *, skip_broken: bool = False
    ) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_]]:
        """Return one column of all rows, and which rows could be read; the others are null."""

    def fingerprint(self) -> str:
        """Return a hash that tells other data, or the same rows in other places."""


class DatasetSource:
    """The rows of a `datasets.Dataset`, which `datasets` maps into memory.

    Args:
        dataset: Filtered, shuffled or concatenated as the user likes; it stays as it is.
        columns: What to read.
        name: What to call it in errors.

    Raises:
        ValueError: If it lacks a column.
    """

    def __init__(self, dataset: datasets.Dataset, columns: tuple[str, ...], name: str) -> None:
        schema = dataset.features.arrow_schema
        columns = check_columns(schema, columns, name)
        self.layout = Layout((len(dataset),))
        self.declared = Declared.by(schema)
        self.broken: list[BrokenRow] = []
        self._all = dataset.with_format("arrow")  # as stored: `datasets` decodes no audio
        self._rows = self._all.select_columns(list(columns))
        self._name = name

    def pick(self, indices: Sequence[int]) -> list[Pick | BrokenRow]:
        """Return some rows, in the order of `indices`."""
        chunk = arrow_chunk(self._rows[list(indices)], InFile(self._name, indices))
        return [Pick(chunk, row) for row in range(len(indices))]

    def column(
        self,
        name: str,
        *,
        skip_broken: bool = False,  # noqa: ARG002 - a mapped table has no files to skip
    ) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_]]:
        """Return one column of all rows, all of which could be read."""
        return self._all.select_columns([name])[:].column(name), np.ones(self.layout.rows, bool)

    def fingerprint(self) -> str:
        """Return a hash of the sample ids in stored order."""
        stored, _ = self.column("sample_id")
        if pa.types.is_string(stored.type):
            stored = stored.cast(pa.binary())  # which may be no UTF-8
        return blake2b(repr(stored.to_pylist()).encode(), digest_size=8).hexdigest()


class Wanted(NamedTuple):
    """What a user wants of a dataset.

    Attributes:
        split: One split, or None for all of them, train, validation, test.
        config: One config, or None for the cheapest that has audio good for `rate_hz`.
        rate_hz: Sample rate that is wanted; None is whatever is stored.
        streaming: Whether a dataset on the Hub is read without being downloaded first.
        at: Which revision of it, and as whom.
    """

    split: str | None
    config: str | None
    rate_hz: int | None
    streaming: bool
    at: At = At()


def is_stream(data: Any) -> bool:
    """Return whether the rows of what a user has can only be had one after the other."""
    return isinstance(data, datasets.IterableDataset | datasets.IterableDatasetDict)


def open_source(
    data: Data, wanted: Wanted, columns: tuple[str, ...], *, skip_broken: bool = False
) -> Source | Stream:
    """Return the rows of whatever the user has.

    Args:
        data: A folder, a Hub id, a `datasets.Dataset` or `IterableDataset`, or a dict of them.
        wanted: Which of its rows.
        columns: What to read.
        skip_broken: Leave out files that cannot be opened, instead of raising.

    Raises:
        ValueError: If it holds no such split, config or column.
        FileNotFoundError: If there is no such folder.
        TypeError: If it is nothing of the kind.
        BrokenRowError: If a file cannot be opened.
        OSError: If it is on the Hub and cannot be had.
    """
    kind = type(data).__name__
    on_hub = isinstance(data, str) and HUB_ID.fullmatch(data) and not Path(data).exists()
    if wanted.at.revision is not None and not on_hub:
        named = data if isinstance(data, str | os.PathLike) else f"a datasets.{kind}"
        raise ValueError(f"revision= is for a dataset on the Hub, {named} is none: leave it out")
    if isinstance(data, datasets.DatasetDict | datasets.IterableDatasetDict):
        return dict_source(data, wanted.split, columns, kind)
    if isinstance(data, datasets.Dataset | datasets.IterableDataset):
        if wanted.split is not None or wanted.config is not None:
            raise ValueError(f"a datasets.{kind} is one split of one config: leave out both")
        return dataset_source(data, columns, f"datasets.{kind}")
    if not isinstance(data, str | os.PathLike):
        raise TypeError(
            "rows come from a SOUSADataset (for create_dataloader), a folder, a Hub id, a "
            f"datasets.Dataset, an IterableDataset or a dict of them, got a {kind}"
        )
    folder = Path(data)
    if folder.is_dir():
        return folder_source(folder, wanted, columns, skip_broken=skip_broken)
    hub_id = isinstance(data, str) and HUB_ID.fullmatch(data)
    if hub_id and not folder.parent.is_dir():  # else a file, or a mistyped path
        return hub_source(str(data), wanted, columns, skip_broken=skip_broken)
    raise FileNotFoundError(
        f"no folder {folder}" + ("" if hub_id else ", and no Hub id of the form org/name")
    )


def folder_source(
    folder: Path, wanted: Wanted, columns: tuple[str, ...], *, skip_broken: bool
) -> Source:
    """Return the rows of a built folder, or of one in the original SOUSA layout."""
    if is_original(folder):
        if wanted.config is not None:
            raise ValueError(f"{folder} is in the original SOUSA layout: leave out config=")
        return OriginalSource(folder, wanted.split, columns, skip_broken=skip_broken)
    shards = find_shards(folder)
    config = choose_config(
        with_splits(shards, wanted.split), wanted.config, wanted.rate_hz, str(folder)
    )
    of_config = shards[config]
    files: list[Path] = []
    missing: list[BrokenRow] = []
    for name in choose_splits(of_config, wanted.split, str(folder / config)):
        files += of_config[name]
        missing += missing_shards(of_config[name])
    if missing and not skip_broken:
        raise BrokenRowError(missing[0])
    source = ParquetSource(files, columns, skip_broken=skip_broken)
    source.broken += missing
    return source


class DownloadedSource(ParquetSource):
    """The rows of files that were downloaded from the Hub.

    Args:
        files: Where they are, in the order of their rows.
        oids: What tells the content of each from any other.
        columns: What to read.
        skip_broken: Leave out files that are no Parquet files, instead of raising.
    """

    def __init__(
        self,
        files: Sequence[Path],
        oids: Sequence[str],
        columns: tuple[str, ...],
        *,
        skip_broken: bool,
    ) -> None:
        super().__init__(files, columns, skip_broken=skip_broken)
        self._oids = tuple(oids)

    def fingerprint(self) -> str:
        """Return a hash of the content of all files, whatever the revision is called."""
        return blake2b("".join(self._oids).encode(), digest_size=8).hexdigest()


def hub_source(
    name: str, wanted: Wanted, columns: tuple[str, ...], *, skip_broken: bool = False
) -> Source | Stream:
    """Return the rows of a dataset on the Hub, read as they are needed, or downloaded first.

    Then the files of the wanted splits of one config are mapped where `huggingface_hub` keeps them.

    Raises:
        FileNotFoundError: If the Hub does not have it.
        ConnectionError: If the Hub cannot be reached, and the cache does not know the dataset.
        OSError: If the Hub refuses.
        ValueError: If it has no such config or split.
        BrokenRowError: If a file is missing or damaged.
    """
    found = published(name, wanted.at)
    config = choose_config(
        with_splits(found.files, wanted.split), wanted.config, wanted.rate_hz, name
    )
    of_config = found.files[config]
    splits = choose_splits(of_config, wanted.split, f"{name}/{config}")
    files = [file for split in splits for file in of_config[split]]
    missing = [each for split in splits for each in missing_remote(of_config[split], name)]
    if missing and not skip_broken:
        raise BrokenRowError(missing[0])
    if wanted.streaming:
        info = found.infos.get(config)
        declared = Declared.by(info.features.arrow_schema) if info else None
        known = Known(declared, found.rows(config, splits))
        where = Repository(name, found.commit, wanted.at)
        shards = RemoteShards(where, files, columns, f"{name}/{config}", known)
        return Stream(shards, columns, shards.name, missing=missing)
    source = DownloadedSource(
        found.download(files), [file.oid for file in files], columns, skip_broken=skip_broken
    )
    source.broken += missing
    return source


def missing_remote(files: Sequence[RemoteFile], name: str) -> list[BrokenRow]:
    """Return the files that the names of a split's other files promise, and that are not there."""
    paths = [PurePosixPath(name, file.path) for file in files]
    return missing_shards(paths) if all(SHARD.fullmatch(path.name) for path in paths) else []


def dict_source(
    splits: datasets.DatasetDict | datasets.IterableDatasetDict,
    split: str | None,
    columns: tuple[str, ...],
    name: str,
) -> Source | Stream:
    """Return the rows of one split or of all."""
    chosen = [splits[each] for each in choose_splits(splits, split, name)]
    data = datasets.concatenate_datasets(chosen) if chosen[1:] else chosen[0]
    return dataset_source(data, columns, name)


def dataset_source(
    data: datasets.Dataset | datasets.IterableDataset, columns: tuple[str, ...], name: str
) -> Source | Stream:
    """Return the rows of what `datasets` has."""
    if isinstance(data, datasets.IterableDataset):
        return Stream(data, columns, name)
    return DatasetSource(data, columns, name)
