"""What the user has, a folder, a Hub id or a `datasets.Dataset`, becomes rows by index."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.folder import (
    choose_config,
    choose_splits,
    find_shards,
    missing_shards,
    with_splits,
)
from sousa.loaders.layout import Layout
from sousa.loaders.parquet import ParquetSource
from sousa.loaders.rows import Declared, Rows, check_columns

HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""Form of a dataset's name on the Hub: `org/name`."""

Data: TypeAlias = str | os.PathLike[str] | datasets.Dataset | datasets.DatasetDict


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

    def rows(self, indices: Sequence[int]) -> list[dict[str, Any] | BrokenRow]:
        """Return some rows, in the order of `indices`; broken ones say what is wrong."""

    def column(
        self, name: str, *, skip_broken: bool = False
    ) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_]]:
        """Return one column of all rows, and which rows could be read; the others are null."""

    def where(self, index: int) -> tuple[str, int]:
        """Return the file that holds a row, and the row's position in it."""


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
        check_columns(schema, columns, name)
        self.layout = Layout((len(dataset),))
        self.declared = Declared.by(schema)
        self.broken: list[BrokenRow] = []
        self._all = dataset.with_format("arrow")  # as stored: `datasets` decodes no audio
        self._rows = self._all.select_columns(list(columns))
        self._name = name

    def rows(self, indices: Sequence[int]) -> list[dict[str, Any] | BrokenRow]:
        """Return some rows, in the order of `indices`; broken ones say what is wrong."""
        rows = Rows(self._rows[list(indices)])
        found: list[dict[str, Any] | BrokenRow] = []
        for position, index in enumerate(indices):
            try:
                found.append(rows[position])
            except ValueError as error:
                found.append(BrokenRow(*self.where(index), None, str(error)))
        return found

    def column(
        self,
        name: str,
        *,
        skip_broken: bool = False,  # noqa: ARG002 - a mapped table has no files to skip
    ) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_]]:
        """Return one column of all rows, all of which could be read."""
        return self._all.select_columns([name])[:].column(name), np.ones(self.layout.rows, bool)

    def where(self, index: int) -> tuple[str, int]:
        """Return the name of the dataset, and the row's position in it."""
        return self._name, index


def open_source(
    data: Data,
    split: str | None,
    config: str | None,
    rate_hz: int | None,
    columns: tuple[str, ...],
    *,
    skip_broken: bool = False,
) -> Source:
    """Return the rows of whatever the user has.

    Args:
        data: A built folder, a Hub id, a `datasets.Dataset` or `datasets.DatasetDict`.
        split: One split, or None for all of them, train, validation, test.
        config: One config, or None for the cheapest that has audio good for `rate_hz`.
        rate_hz: Sample rate that is wanted; None is whatever is stored.
        columns: What to read.
        skip_broken: Leave out files that cannot be opened, instead of raising.

    Raises:
        ValueError: If it holds no such split, config or column, or must be streamed.
        FileNotFoundError: If there is no such folder.
        TypeError: If it is nothing of the kind.
        BrokenRowError: If a file cannot be opened.
    """
    if isinstance(data, datasets.IterableDataset | datasets.IterableDatasetDict):
        raise ValueError(
            "an IterableDataset streams, and streaming comes with the next version; for now load "
            "it whole: load_dataset(..., streaming=False)"
        )
    if isinstance(data, datasets.DatasetDict):
        return dict_source(data, split, columns, "DatasetDict")
    if isinstance(data, datasets.Dataset):
        if split is not None or config is not None:
            raise ValueError("a datasets.Dataset is one split of one config: leave out both")
        return DatasetSource(data, columns, "datasets.Dataset")
    if not isinstance(data, str | os.PathLike):
        raise TypeError(
            "rows come from a SOUSADataset (for create_dataloader), a folder, a Hub id, a "
            f"datasets.Dataset or a DatasetDict, got a {type(data).__name__}"
        )
    folder = Path(data)
    if folder.is_dir():
        return folder_source(folder, split, config, rate_hz, columns, skip_broken)
    hub_id = isinstance(data, str) and HUB_ID.fullmatch(data)
    if hub_id and not folder.parent.is_dir():  # else a file, or a mistyped path
        return hub_source(str(data), split, config, rate_hz, columns)
    raise FileNotFoundError(
        f"no folder {folder}" + ("" if hub_id else ", and no Hub id of the form org/name")
    )


def folder_source(
    folder: Path,
    split: str | None,
    config: str | None,
    rate_hz: int | None,
    columns: tuple[str, ...],
    skip_broken: bool,  # noqa: FBT001 - always by name in the public function
) -> ParquetSource:
    """Return the rows of a built folder."""
    shards = find_shards(folder)
    config = choose_config(with_splits(shards, split), config, rate_hz, str(folder))
    of_config = shards[config]
    files: list[Path] = []
    missing: list[BrokenRow] = []
    for name in choose_splits(of_config, split, str(folder / config)):
        files += of_config[name]
        missing += missing_shards(of_config[name])
    if missing and not skip_broken:
        raise BrokenRowError(missing[0])
    source = ParquetSource(files, columns, skip_broken=skip_broken)
    source.broken += missing
    return source


def hub_source(
    name: str, split: str | None, config: str | None, rate_hz: int | None, columns: tuple[str, ...]
) -> DatasetSource:
    """Return the rows of a dataset on the Hub, downloaded by `datasets`.

    Raises:
        FileNotFoundError: If the Hub does not have it, or cannot be asked.
    """
    try:
        there = datasets.get_dataset_config_names(name)
    except OSError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise FileNotFoundError(
            f"no folder {name}, and as a dataset on the Hub it cannot be had: {reason}"
        ) from error
    config = choose_config(there, config, rate_hz, name)
    return dict_source(datasets.load_dataset(name, config), split, columns, f"{name}/{config}")


def dict_source(
    splits: datasets.DatasetDict, split: str | None, columns: tuple[str, ...], name: str
) -> DatasetSource:
    """Return the rows of one split or of all."""
    chosen = [splits[each] for each in choose_splits(splits, split, name)]
    return DatasetSource(datasets.concatenate_datasets(chosen), columns, name)
