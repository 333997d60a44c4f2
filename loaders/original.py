"""Rows of a folder in the layout of the SOUSA generator: tables of labels, and a file a clip."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.schema import SCORE_BEST, SPLITS
from sousa.loaders.chunks import Chunk, InFile, Pick
from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.folder import choose_splits
from sousa.loaders.layout import Indices, Layout
from sousa.loaders.mapped import FAILURES, MappedFile, Stamp
from sousa.loaders.parquet import unreadable
from sousa.loaders.rows import AUDIO, Declared, Maybe, values_of

SAMPLES: Final = "labels/samples.parquet"
EXERCISES: Final = "labels/exercises.parquet"
SPLIT_FILE: Final = "splits.json"

PLAYERS: Final = {
    "train_profile_ids": "train",
    "val_profile_ids": "validation",
    "validation_profile_ids": "validation",
    "test_profile_ids": "test",
}
"""Keys of `splits.json`, and the split whose players each lists."""

CLIP_COLUMNS: Final = ("sample_id", "rudiment_slug", "audio_path")
"""Columns that say where a clip is; the last may be missing."""

LOG: Final = logging.getLogger("sousa.loaders")


def is_original(folder: Path) -> bool:
    """Return whether a folder is in the original SOUSA layout."""
    return (folder / SAMPLES).is_file()


class OriginalSource:
    """The rows of a folder in the original SOUSA layout.

    Rows are those of `labels/samples.parquet`, with the scores of `labels/exercises.parquet`. NaN
    becomes null. Rows of players that `splits.json` does not name are in no split, and logged.

    Args:
        folder: Where `labels`, `audio` and `splits.json` are.
        split: `train`, `validation` (or `val`) or `test`; None is all, in that order, or in
            stored order where there is no `splits.json`.
        columns: What to read.
        skip_broken: Have no rows where a table of labels cannot be read, instead of raising.

    Attributes:
        layout: One group: each clip is a file, so any order is as good as another.
        declared: Names of the columns; classes are stored as names, and files may have any rate.
        broken: Tables that could not be read, with `skip_broken`.

    Raises:
        ValueError: If there is no such split or column, or `splits.json` cannot be understood.
        BrokenRowError: If a table of labels cannot be read.
    """

    def __init__(
        self, folder: Path, split: str | None, columns: Sequence[str], *, skip_broken: bool = False
    ) -> None:
        self._folder = folder
        self._root = folder.resolve()
        self._samples = LabelFile(folder / SAMPLES)
        self._scores = LabelFile(folder / EXERCISES)
        names = dict.fromkeys((*self._samples.columns, *self._scores.columns))
        self.declared = Declared(tuple(names), {}, None)
        self.broken: list[BrokenRow] = []
        absent = {AUDIO} | {"audio_path"}.difference(self._samples.columns)
        absent |= {n for n in columns if isinstance(n, Maybe)}.difference(names, CLIP_COLUMNS)
        wanted = [name for name in dict.fromkeys((*CLIP_COLUMNS, *columns)) if name not in absent]
        try:
            table = self._read(wanted)
            self._rows = self._rows_of(split, table.num_rows)
        except BrokenRowError as error:
            self._leave_out(error, skip_broken=skip_broken)
            table, self._rows = pa.table({name: pa.nulls(0) for name in wanted}), np.arange(0)
        self._table = table.take(self._rows).combine_chunks()
        self.layout = Layout((len(self._rows),))

    def _read(self, names: Sequence[str]) -> pa.Table:
        """Return some columns of all samples in stored order, with the scores that are theirs.

        Raises:
            ValueError: If a column is in neither table.
            BrokenRowError: If a table that is needed cannot be read.
        """
        elsewhere = {*SCORE_BEST, *self._scores.columns}.difference(self._samples.columns)
        own = [name for name in names if name not in elsewhere]
        others = [name for name in names if name in elsewhere]
        table = self._samples.read(own)
        if others:
            keys, *scores = self._scores.read(["sample_id", *others]).columns
            places = score_rows(texts(self._samples.read(["sample_id"]).column(0)), texts(keys))
            columns = [*table.columns, *(column.take(places) for column in scores)]
            table = pa.table(columns, [*own, *others])
        return table

    def _rows_of(self, split: str | None, rows: int) -> Indices:
        """Return the positions in the table of the rows of a split, or of all."""
        path = self._folder / SPLIT_FILE
        split_of = read_players(path)
        if split_of is None and split is None:
            return np.arange(rows)
        if split_of is None:
            raise ValueError(
                f"split must be None, got {split!r}: there is no {path}, or it is empty"
            )
        found = rows_by_split(texts(self._read(["profile_id"]).column(0)), split_of)
        unknown = rows - sum(map(len, found.values()))
        if unknown and not found:
            raise ValueError(f"{path} names none of the players in {self._samples.path}")
        if unknown:
            text = "%d of %d rows of %s are in no split: %s does not name their players"
            LOG.warning(text, unknown, rows, self._samples.path, path)
        chosen = choose_splits(found, "validation" if split == "val" else split, str(self._folder))
        return np.concatenate([np.arange(0), *(found[name] for name in chosen)])

    def _leave_out(self, error: BrokenRowError, *, skip_broken: bool) -> None:
        """Note a table that cannot be read, or raise."""
        if not skip_broken or error.broken is None:
            raise error
        self.broken = [*dict.fromkeys((*self.broken, error.broken))]

    def pick(self, indices: Sequence[int]) -> list[Pick | BrokenRow]:
        """Return some rows, in the order of `indices`."""
        places = np.asarray(indices, np.int64)
        table = self._table.take(places)
        where = InFile(str(self._samples.path), self._rows[places].tolist())
        chunk = Chunk(table, FileClips(self._root, table), where)
        return [Pick(chunk, row) for row in range(len(places))]

    def column(
        self, name: str, *, skip_broken: bool = False
    ) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_]]:
        """Return one column of all rows, and whether they could be read; else they are null.

        Raises:
            ValueError: If there is no such column.
            BrokenRowError: If its table cannot be read, without `skip_broken`.
        """
        rows = self.layout.rows
        if name in self._table.column_names:
            return self._table.column(name), np.ones(rows, bool)
        try:
            return self._read([name]).column(0).take(self._rows), np.ones(rows, bool)
        except BrokenRowError as error:
            self._leave_out(error, skip_broken=skip_broken)
            return pa.chunked_array([pa.nulls(rows)]), np.zeros(rows, bool)

    def fingerprint(self) -> str:
        """Return a hash of the sample ids in their order."""
        ids = texts(self._table.column("sample_id"))
        return blake2b(repr(ids).encode(), digest_size=8).hexdigest()


class FileClips:
    """Clips that are a file each.

    Args:
        root: The folder that all of them are in, without symbolic links.
        table: Rows with `sample_id`, `rudiment_slug` and, if the data has it, `audio_path`.
    """

    def __init__(self, root: Path, table: pa.Table) -> None:
        self._root = root
        there = [name for name in CLIP_COLUMNS if name in table.column_names]
        columns = [values_of(table.column(name), name) for name in there]
        self._rows = list(zip(*columns, strict=True))

    def __getitem__(self, row: int) -> bytes:
        """Return the clip of one row: where the table says, or else where generators put it.

        Raises:
            OSError: If it is not there or cannot be read.
            ValueError: If its path leads out of the folder.
        """
        sample_id, slug, *said = self._rows[row]
        names = [f"audio/{slug}/{sample_id}.flac", f"audio/{sample_id}.flac"]
        names = [str(name) for name in said if name] + names
        for name in names:
            path = inside(self._root, name)
            try:
                if path.is_file():
                    return path.read_bytes()
                if path.exists():
                    raise OSError(0, "not a file")
            except OSError as error:
                raise OSError(f"audio file {name!r}: {error.strerror}") from error
        raise FileNotFoundError(f"audio file {names[0]!r} is missing")


def inside(root: Path, name: str) -> Path:
    """Return where a path leads from a folder that has no symbolic links in its own path.

    Raises:
        ValueError: If that is not in the folder.
    """
    relative = PurePosixPath(name)
    if not relative.is_absolute() and ".." not in relative.parts and "\0" not in name:
        path = Path(os.path.realpath(root / relative))
        if path.is_relative_to(root):
            return path
    raise ValueError(f"audio file {name!r} is not in the dataset's folder")


class LabelFile:
    """A table of labels, as it was when it was opened.

    Attributes:
        path: The Parquet file.
        columns: Names of its columns; none where it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: tuple[str, ...] = ()
        self._stamp: Stamp | None = None
        with suppress(*FAILURES):  # the next to read it will say what is wrong
            file = MappedFile(path)
            self.columns = tuple(file.parquet.schema_arrow.names)
            self._stamp = file.stamp

    def read(self, names: Sequence[str]) -> pa.Table:
        """Return some columns, with null for NaN, in types that can be chosen from.

        Raises:
            ValueError: If it has no such column, or was never there.
            BrokenRowError: If the file is damaged, or another one than when it was opened.
        """
        missing = [name for name in names if self.columns.count(name) != 1]
        try:
            file = MappedFile(self.path, self._stamp)
            if not missing:
                table = file.read(names)
                return pa.table([plain(table.column(name)) for name in names], names)
        except FAILURES as error:
            if self._stamp or not isinstance(error, FileNotFoundError):
                raise BrokenRowError(unreadable(self.path, error)) from error
        there = ", ".join(self.columns) or "none: it is not there"
        raise ValueError(f"{self.path} has no column {', '.join(missing)}; it has {there}")


def score_rows(ids: list[str], of_scores: list[str]) -> pa.Array:
    """Return the row of the scores of each sample, null where it has none."""
    if ids == of_scores:  # as they are written: right for repeated ids too
        return pa.array(range(len(ids)), pa.int64())
    rows = {sample_id: row for row, sample_id in reversed([*enumerate(of_scores)])}
    return pa.array([rows.get(sample_id) for sample_id in ids], pa.int64())


def read_players(path: Path) -> dict[str, str] | None:
    """Return the split of each player by `splits.json`, None where there is none or it is empty.

    Raises:
        ValueError: If it is not as it should be, or has a player in two splits.
    """
    split_of: dict[str, str] = {}
    try:
        content = path.read_bytes()
        stored = json.loads(content) if content.strip() else {}
        listed = [(str(p), split) for key, split in PLAYERS.items() for p in stored.get(key) or ()]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} must hold lists {', '.join(PLAYERS)}: {error}") from error
    for player, split in listed:
        if split_of.setdefault(player, split) != split:
            raise ValueError(f"{path} has player {player!r} in {split_of[player]} and in {split}")
    return split_of or None


def rows_by_split(players: list[str], split_of: Mapping[str, str]) -> dict[str, Indices]:
    """Return the rows of each split that has any, by the player of each row."""
    splits = np.array([split_of.get(player, "") for player in players], "U10")
    rows = {name: np.flatnonzero(splits == name) for name in SPLITS}
    return {name: found for name, found in rows.items() if len(found)}


def texts(column: pa.ChunkedArray) -> list[str]:
    """Return ids as text, whatever they are stored as."""
    return [str(value) for value in values_of(column, "id")]


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with null for NaN, and text for views of text, which have no `take`."""
    if pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    return column
