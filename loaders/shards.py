"""A streamed dataset in pieces that can be read in any order, each page by page."""

import contextlib
import copy
import inspect
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sousa.loaders.pages import Patience, Piece
from sousa.loaders.rows import AUDIO, Declared, check_columns

CHUNK_ROWS: Final = 8
"""Rows that are taken from `datasets` at a time: long clips overshoot no bound by much."""

LIGHT_CHUNK_ROWS: Final = 128
"""The same of rows without audio, such as tokens."""

COPIES: Final = 3
"""How often a copy is tried that something else disturbs."""

KEPT_SHARDS: Final = 32
"""Shards whose row groups are remembered."""

BY_ROW: Final = frozenset(
    {
        "ArrowExamplesIterable",
        "ExamplesIterable",
        "FilteredExamplesIterable",
        "FormattedExamplesIterable",
        "FormattingConfig",
        "MappedExamplesIterable",
        "RebatchedArrowExamplesIterable",
        "SelectColumnsIterable",
        "VerticallyConcatenatedMultiSourcesExamplesIterable",
    }
)
"""Stages of `datasets` that give the same rows shard by shard as in one go, and whose state is
exact. Not among them: interleaving, shuffling, taking, skipping, repeating, joining columns, and
whatever comes with a later version."""

ACROSS_ROWS: Final = (
    "batched",
    "drop_last_batch",
    "is_batch_accumulate_arrow_table_function",
    "with_indices",
)
"""Options of a stage by which a row may depend on its position or on its neighbours."""


def stages_of(dataset: datasets.IterableDataset) -> list[Any]:
    """Return what a dataset is made of, outermost first.

    `state_dict` names most stages, but neither a shuffle buffer nor whether a function is given
    indices. So the objects themselves are looked at, and nothing is assumed about their names.
    """
    home = datasets.IterableDataset.__module__
    found: list[Any] = []
    inside: list[Any] = [dataset]
    for part in inside:
        for value in vars(part).values():
            parts = value if isinstance(value, list | tuple) else [value]
            stages = [each for each in parts if type(each).__module__ == home]
            found += stages
            inside += [each for each in stages if hasattr(each, "__dict__")]
    return found


@dataclass(frozen=True, slots=True)
class Traits:
    """What may be done with a dataset.

    Attributes:
        kinds: Names of its stages.
        splits: Its shards hold the same rows as the whole.
        resumes: It can go on exactly from its own state.
        shuffles: It has a shuffle of the user's, another one each epoch.
    """

    kinds: tuple[str, ...]
    splits: bool
    resumes: bool
    shuffles: bool

    @classmethod
    def of(cls, dataset: datasets.IterableDataset) -> "Traits":
        """Return the traits of a dataset; what is unknown may not be done."""
        stages = stages_of(dataset)
        kinds = tuple(type(stage).__name__ for stage in stages)
        known = bool(kinds) and BY_ROW.issuperset(kinds)
        across = any(getattr(stage, option, False) for stage in stages for option in ACROSS_ROWS)
        asynchronous = any(
            inspect.iscoroutinefunction(getattr(stage, "function", None)) for stage in stages
        )
        tables = any(getattr(stage, "is_table", False) for stage in stages)
        return cls(
            kinds,
            splits=known and not across and dataset.epoch == 0,  # later ones permute the shards
            resumes=known and not asynchronous and not tables,
            shuffles="BufferShuffledExamplesIterable" in kinds,
        )


class Shards:
    """A dataset as shards, and each shard as pieces.

    A shard is what `datasets` takes for one, often a file. A piece is what of it can be reached
    without reading the rest: a row group of a Parquet file, else the whole shard. A dataset that
    cannot be split exactly is one piece.

    Args:
        dataset: As the user made it; it stays as it is.
        columns: What to read.
        name: What to call it in errors.

    Attributes:
        count: Number of shards.
        declared: What is declared about the columns.
        traits: What may be done with it.
        costly: Whether no shard is opened before it is needed.

    Raises:
        ValueError: If it lacks a column.
    """

    costly: Final = False

    def __init__(
        self, dataset: datasets.IterableDataset, columns: tuple[str, ...], name: str
    ) -> None:
        self.traits = Traits.of(dataset)
        self.columns = columns
        self.name = name
        self._dataset = dataset
        self._epoch = dataset.epoch
        self._pieces: OrderedDict[int, datasets.IterableDataset] = OrderedDict()
        if dataset.features is not None:
            # Else the audio would be decoded, and by threads where it comes from the Hub.
            dataset = dataset.decode(enable=False)
            schema = dataset.features.arrow_schema
        else:
            schema = next(iter(dataset.with_format("arrow").iter(1)), pa.table({})).schema
        if schema.names:  # else it is empty
            self.columns = check_columns(schema, columns, name)
            self.declared = Declared.by(schema)
            if "VerticallyConcatenatedMultiSourcesExamplesIterable" not in self.traits.kinds:
                dataset = dataset.select_columns(list(self.columns))  # a part may lack columns
        else:
            self.declared = Declared(columns, {}, None)
        native = dataset.with_format(None).state_dict()["examples_iterable"]["type"]
        # Else rows passed through Python and have types of their own, until they are joined.
        self._native = native == "RebatchedArrowExamplesIterable"
        self._whole = dataset.with_format("arrow")
        self.count: int = dataset.num_shards if self.traits.splits else 1

    def reading(self, columns: tuple[str, ...]) -> "Shards":
        """Return the same dataset, of which other columns are read."""
        return Shards(self._dataset, columns, self.name)

    def identity(self) -> list[str] | None:
        """Return what tells this data from any other; None where only its rows tell."""
        return None

    def length(self) -> int | None:
        """Return the number of rows, which nobody knows."""
        return None

    def check_length(self) -> None:
        """Hold what was said about the number of rows to what was read: nothing."""

    def prepare(self, shards: Sequence[int], patience: Patience) -> None:
        """Read what some shards say of themselves: here each does so on its own."""

    def pieces(self, shard: int, patience: Patience) -> int:
        """Return the number of pieces of a shard."""
        place = f"{self.name}, shard {shard}"
        return patience.read(lambda: self._count(shard), place)

    def _count(self, shard: int) -> int:
        return int(self._shard(shard).num_shards) if self.traits.splits else 1

    def piece(self, shard: int, number: int, epoch: int, patience: Patience) -> Piece:  # noqa: ARG002 - whoever reads it tries again
        """Return one piece; `epoch` matters where the user shuffled."""
        place = f"{self.name}, shard {shard}, part {number}" if self.traits.splits else self.name
        # Where Arrow tables come as they are stored, leaving some out is as cheap as it is sure.
        resumes = self.traits.resumes and not (self.traits.splits and self._native)
        rows = chunk_rows(self.columns) if self._native else 1
        return Piece(place, partial(self._open, shard, number, epoch), rows, resumes)

    def _open(self, shard: int, number: int, epoch: int) -> datasets.IterableDataset:
        """Return a piece with stages of its own, so that nothing else that reads disturbs it."""
        if self.traits.splits:
            there = self._shard(shard)
            return there.shard(num_shards=there.num_shards, index=number)
        own = self._whole.shard(1, 0) if self.traits.resumes else copied(self._whole)
        own.set_epoch(epoch if self.traits.shuffles else self._epoch)
        return own

    def _shard(self, shard: int) -> datasets.IterableDataset:
        """Return a shard split into its pieces, for which a file's footer may be read."""
        if shard not in self._pieces:
            self._pieces[shard] = self._whole.shard(self.count, shard).reshard()
            while len(self._pieces) > KEPT_SHARDS:
                self._pieces.popitem(last=False)
        self._pieces.move_to_end(shard)
        return self._pieces[shard]


def chunk_rows(columns: Sequence[str]) -> int:
    """Return how many rows to take at a time."""
    return CHUNK_ROWS if AUDIO in columns else LIGHT_CHUNK_ROWS


def copied(dataset: datasets.IterableDataset) -> datasets.IterableDataset:
    """Return a dataset that shares nothing with another.

    It may hold file systems, and fsspec makes those anew in each thread that copies them, in the
    very dictionary that is being copied. They are there the next time.
    """
    for _ in range(COPIES):
        with contextlib.suppress(RuntimeError):
            return copy.deepcopy(dataset)
    return copy.deepcopy(dataset)


def joined(chunks: list[pa.Table], columns: tuple[str, ...], name: str) -> pa.Table:
    """Return the wanted columns of some tables as one table.

    Raises:
        ValueError: If one lacks a column, or their types do not go together.
    """
    if not chunks:
        return pa.table({})
    try:
        table = pa.concat_tables(chunks, promote_options="permissive")
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{name}: rows have columns of other types than rows before: {reason}; "
            "declare them: dataset.cast(features)"
        ) from error
    check_columns(table.schema, columns, name)
    return table.select(columns)


def permuted(table: pa.Table, order: npt.NDArray[np.int64]) -> pa.Table:
    """Return the rows of a table in another order; clips stay where they are in memory."""
    if AUDIO not in table.column_names:
        return table.take(pa.array(order))
    at = table.column_names.index(AUDIO)
    clips = table.column(at)
    each = [chunk.slice(row, 1) for chunk in clips.chunks for row in range(len(chunk))]
    moved = pa.chunked_array([each[row] for row in order], clips.type)
    if table.num_columns == 1:
        return pa.table({AUDIO: moved})
    return table.remove_column(at).take(pa.array(order)).add_column(at, table.field(at), moved)
