"""What the user has becomes rows of tokens: a folder, a Hub id, datasets, others' files."""

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import get_cached_repo_tree, hf_hub_download

from sousa.loaders.access import At, asked
from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.folder import choose_splits, find_shards, missing_shards, with_splits
from sousa.loaders.groups import Known, RemoteShards
from sousa.loaders.pages import Patience
from sousa.loaders.parquet import ParquetSource
from sousa.loaders.ranges import Repository
from sousa.loaders.remote import RemoteFile, published
from sousa.loaders.rows import Declared
from sousa.loaders.source import (
    HUB_ID,
    Data,
    DatasetSource,
    DownloadedSource,
    Source,
    dict_source,
    missing_remote,
)
from sousa.loaders.streams import Stream
from sousa.loaders.token_files import read_aria_jsonl, read_miditok_json
from sousa.loaders.token_groups import FolderStream, Streamed
from sousa.loaders.token_vocabulary import Vocabulary

CHEAPEST: Final = ("labels_only", "midi_only", "audio_16k", "audio")
"""Configs that may hold tokens, those with the least beside them first."""

MANIFEST: Final = "manifest.json"
"""Records of each token column which tokenizer made it."""


class Opened(NamedTuple):
    """Rows, and the tokenizer that is stored with them.

    Attributes:
        rows: By index, or one after the other.
        vocabulary: None where none is stored.
    """

    rows: Source | Streamed
    vocabulary: Vocabulary | None


@dataclass(frozen=True, slots=True)
class TokensWanted:
    """What a user wants of a dataset.

    Attributes:
        column: The tokens.
        more: Further columns; those that are not there are left out.
        split: One split, or None for all.
        config: One config, or None for the one with the least beside the tokens.
        streaming: Whether rows are read when they are needed.
        at: Which revision of a Hub id, and as whom.
        skip_broken: Whether to leave out files that cannot be read.
    """

    column: str
    more: tuple[str, ...] = ()
    split: str | None = None
    config: str | None = None
    streaming: bool = False
    at: At = field(default_factory=At)
    skip_broken: bool = False

    def columns(self, there: Collection[str], where: str) -> tuple[str, ...]:
        """Return the columns to read.

        Raises:
            ValueError: If there are no such tokens.
        """
        if self.column not in there:
            raise ValueError(f"{where} has no column {self.column}; it has {', '.join(there)}")
        return (self.column, *(name for name in self.more if name in there))


def open_tokens(data: Data, wanted: TokensWanted) -> Opened:
    """Return the rows of whatever the user has.

    Raises:
        ValueError: If it holds no such split, config or column.
        FileNotFoundError: If it is not there.
        TypeError: If it is nothing of the kind.
        BrokenRowError: If a file cannot be opened.
    """
    if isinstance(data, datasets.DatasetDict | datasets.IterableDatasetDict):
        there = next(iter(data.values())).column_names
        columns = wanted.columns(there or (wanted.column, *wanted.more), "this dataset")
        return Opened(dict_source(data, wanted.split, columns, type(data).__name__), None)
    if isinstance(data, datasets.Dataset | datasets.IterableDataset):
        return Opened(of_dataset(data, wanted), None)
    if not isinstance(data, str | os.PathLike):
        raise TypeError(
            "tokens come from a folder, a Hub id, a datasets.Dataset, an IterableDataset, a dict "
            "of them, a folder of MidiTok's JSON files or Aria's .jsonl, got a "
            f"{type(data).__name__}"
        )
    path = Path(data)
    if path.is_file() and path.suffix == ".jsonl":
        found, vocabulary = read_aria_jsonl(path, column=wanted.column)
        return Opened(of_dataset(found, wanted), vocabulary)
    if path.is_dir():
        return folder_tokens(path, wanted)
    if isinstance(data, str) and HUB_ID.fullmatch(data) and not path.parent.is_dir():
        return hub_tokens(data, wanted)
    raise FileNotFoundError(f"no folder {path}, and no Hub id of the form org/name")


def of_dataset(
    data: datasets.Dataset | datasets.IterableDataset, wanted: TokensWanted
) -> Source | Streamed:
    """Return the rows of what `datasets` has."""
    name = f"datasets.{type(data).__name__}"
    columns = wanted.columns(data.column_names or (wanted.column, *wanted.more), name)
    if isinstance(data, datasets.IterableDataset):
        return Stream(data, columns, name)
    return DatasetSource(data, columns, name)


def folder_tokens(folder: Path, wanted: TokensWanted) -> Opened:
    """Return the rows of a built folder, or of one of MidiTok's token files."""
    if not any(folder.glob("*/*.parquet")) and any(folder.rglob("*.json")):
        return Opened(of_dataset(read_miditok_json(folder, column=wanted.column), wanted), None)
    shards = find_shards(folder)
    holding = {
        config: splits
        for config, splits in with_splits(shards, wanted.split).items()
        if wanted.config in (None, config) and has_column(splits, wanted)
    }
    config = choose_tokens(holding, shards, wanted, str(folder))
    files: list[Path] = []
    missing: list[BrokenRow] = []
    for split in choose_splits(shards[config], wanted.split, str(folder / config)):
        files += shards[config][split]
        missing += missing_shards(shards[config][split])
    if missing and not wanted.skip_broken:
        raise BrokenRowError(missing[0])
    skip = wanted.skip_broken
    vocabulary = folder_vocabulary(folder, wanted.column)
    rows = (
        FolderStream(files, wanted.columns, skip_broken=skip)
        if wanted.streaming
        else stored_rows(files, wanted)
    )
    rows.broken += missing
    return Opened(rows, vocabulary)


def folder_vocabulary(folder: Path, column: str) -> Vocabulary | None:
    """Return the tokenizer of a folder's column; None where none is stored."""
    stored = folder / "tokenizers" / f"{column}.json"
    if not stored.is_file():
        return None
    vocabulary = Vocabulary.read(stored)
    with suppress(OSError, UnicodeDecodeError):  # a folder without a manifest says nothing of it
        vocabulary.check_recorded((folder / MANIFEST).read_text(encoding="utf-8"), column)
    return vocabulary


def stored_rows(files: Sequence[Path], wanted: TokensWanted) -> ParquetSource:
    """Return the rows of Parquet files by index."""
    names = (pq.read_schema(path).names for path in files if is_parquet(path))
    there = next(names, [wanted.column])
    columns = wanted.columns(there, str(files[0]))
    return ParquetSource(files, columns, skip_broken=wanted.skip_broken)


def is_parquet(path: Path) -> bool:
    """Return whether a file has a footer that can be read."""
    try:
        pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return False
    return True


def has_column(splits: Mapping[str, list[Path]], wanted: TokensWanted) -> bool:
    """Return whether a config has the tokens, by its first file that can be read."""
    files = (path for paths in splits.values() for path in paths if is_parquet(path))
    first = next(files, None)
    return first is None or wanted.column in pq.read_schema(first).names


def choose_tokens(
    holding: Collection[str], there: Collection[str], wanted: TokensWanted, where: str
) -> str:
    """Return the config with the least beside the tokens.

    Raises:
        ValueError: If none has them.
    """
    order = sorted(holding, key=lambda name: (*CHEAPEST, name).index(name))
    if order:
        return order[0]
    if wanted.config is not None and wanted.config not in there:
        known = ", ".join(sorted(there))
        raise ValueError(f"config must be one of {known} in {where}, got {wanted.config!r}")
    configs = wanted.config or ", ".join(sorted(there))
    raise ValueError(
        f"{where} has no column {wanted.column} in config {configs}: name another by column=, or "
        "add it with `sousa tokenize`"
    )


def hub_tokens(name: str, wanted: TokensWanted) -> Opened:
    """Return the rows of a dataset on the Hub, downloaded first, or read as they are needed."""
    found = published(name, wanted.at)
    holding = {
        config: splits
        for config, splits in with_splits(found.files, wanted.split).items()
        if wanted.config in (None, config) and config != "labels_only"
    }
    told = {c: wanted.column in (info.features or ()) for c, info in found.infos.items()}
    config = choose_tokens([c for c in holding if told.get(c, True)], found.files, wanted, name)
    splits = choose_splits(found.files[config], wanted.split, f"{name}/{config}")
    files = [file for split in splits for file in found.files[config][split]]
    missing = [each for s in splits for each in missing_remote(found.files[config][s], name)]
    if missing and not wanted.skip_broken:
        raise BrokenRowError(missing[0])
    vocabulary = hub_vocabulary(name, found.commit, wanted)
    if not wanted.streaming:
        rows = downloaded(found.download(files), files, wanted)
        rows.broken += missing
        return Opened(rows, vocabulary)
    info = found.infos.get(config)
    declared = Declared.by(info.features.arrow_schema) if info else None
    there = (wanted.column, *wanted.more) if declared is None else declared.columns
    known = Known(declared, found.rows(config, splits))
    where = Repository(name, found.commit, wanted.at)
    columns = wanted.columns(there, f"{name}/{config}")
    shards = RemoteShards(where, files, columns, f"{name}/{config}", known)
    return Opened(Stream(shards, columns, shards.name, missing=missing), vocabulary)


def downloaded(
    paths: Sequence[Path], files: Sequence[RemoteFile], wanted: TokensWanted
) -> DownloadedSource:
    """Return the rows of downloaded files."""
    columns = wanted.columns(pq.read_schema(paths[0]).names, str(paths[0]))
    oids = [file.oid for file in files]
    return DownloadedSource(paths, oids, columns, skip_broken=wanted.skip_broken)


def hub_vocabulary(name: str, commit: str, wanted: TokensWanted) -> Vocabulary | None:
    """Return the tokenizer of a dataset on the Hub; None where none is stored."""
    file = f"tokenizers/{wanted.column}.json"
    listed = get_cached_repo_tree(name, repo_type="dataset", revision=commit)
    there = {entry.path for entry in listed}
    if file not in there:
        return None

    def fetched(path: str) -> str:
        kept = asked(
            lambda: hf_hub_download(
                name, path, repo_type="dataset", revision=commit, token=wanted.at.token
            ),
            name,
            wanted.at,
            Patience(),
        )
        return Path(kept).read_text(encoding="utf-8")

    vocabulary = Vocabulary.parse(fetched(file), f"{name}/{file}")
    if MANIFEST in there:
        vocabulary.check_recorded(fetched(MANIFEST), wanted.column)
    return vocabulary
