"""A token column, as it lies in Parquet, to a tokenizer over its ids.

Rows are read some at a time, so memory grows with the different words that are found and with no
number of rows; of more than `max_rows`, so many are drawn.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sousa.builders.choices import refusal
from sousa.builders.folder import DAMAGE, one_line
from sousa.builders.keys import generator
from sousa.builders.schema import SPLITS
from sousa.builders.subword_models import train
from sousa.builders.subword_tokens import (
    MODELS,
    SubwordTokenizer,
    event_starts,
    package,
    subword_tokenizer,
)
from sousa.builders.subword_words import split_of
from sousa.builders.tokenize import finished_manifest
from sousa.builders.tokens import COLUMNS, Tokenizer, load_tokenizer
from sousa.builders.vocabulary import Ids

MOST_IDS: Final = 2**16
"""Ids of a vocabulary, so that each is an uint16."""

NAME: Final = re.compile(r"tokens_[a-z0-9_]*[a-z0-9]")
ROWS_AT_ONCE: Final = 1024


class WrongTraining(ValueError):
    """What is asked for cannot be trained, or not on this dataset."""


@dataclass(frozen=True)
class Training:
    """What to train, and on what.

    Attributes:
        column: The token column.
        vocab_size: Most ids, those of the column's tokenizer among them.
        model: One of `MODELS`.
        max_rows: Most rows to train on.
        seed: Decides which, where there are more.
        name: Of the new column; empty is that of the old and the model, such as `tokens_bpe`.
    """

    column: str = "tokens"
    vocab_size: int = 2000
    model: str = "bpe"
    max_rows: int = 100_000
    seed: int = 42
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.model not in MODELS:
            raise WrongTraining(refusal("model", self.model, tuple(MODELS)))
        if not self.vocab_size <= MOST_IDS:
            raise WrongTraining(f"vocab_size must be at most {MOST_IDS}, got {self.vocab_size}")
        if self.max_rows < 1:
            raise WrongTraining(f"max_rows must be at least 1, got {self.max_rows}")
        if self.name and (not NAME.fullmatch(self.name) or self.name.endswith("_exact")):
            raise WrongTraining(f"name must be like tokens_bpe, got {self.name!r}")
        if self.target in (*COLUMNS.values(), self.column):
            raise WrongTraining(f"name must not be that of another tokenizer, got {self.target!r}")

    @property
    def target(self) -> str:
        """The new column."""
        return self.name or f"{self.column}_{self.model}"


@dataclass(frozen=True)
class Trained:
    """What training gives.

    Attributes:
        tokenizer: Of the new column.
        rows: Rows that it was trained on.
        of_rows: Rows that there are in the split.
    """

    tokenizer: SubwordTokenizer
    rows: int
    of_rows: int


def trained(out: Path, training: Training) -> Trained:
    """Return a tokenizer trained on the split `train` of a dataset.

    Args:
        out: The dataset's folder.
        training: What to train.

    Raises:
        WrongTraining: If there is no such column, it has several vocabularies or subwords already,
            or the vocabulary leaves no room for subwords.
        ValueError: If the package `tokenizers` is missing.
        FileNotFoundError: If there is no finished dataset.
        OSError: If a file is missing or damaged.
    """
    package()
    manifest = finished_manifest(out)
    base = _base(out, training)
    split = split_of(base.vocab, event_starts(base))
    if training.vocab_size <= split.size:
        raise WrongTraining(
            f"vocab_size must be more than the {split.size} ids of {training.column}, "
            f"got {training.vocab_size}"
        )
    shards = _shards(out, manifest, training.column)
    of_rows = sum(pq.read_metadata(shard).num_rows for shard in shards)
    chosen = _chosen(of_rows, training)
    words = (split.words([ids])[0] for ids in _rows(shards, training.column, chosen))
    model = train(training.model, words, split.size, training.vocab_size)
    record: dict[str, Any] = {
        "column": training.column,
        "split": SPLITS[0],
        "rows": len(chosen),
        "of_rows": of_rows,
        "seed": training.seed,
        "vocab_size": training.vocab_size,
    }
    tokenizer = subword_tokenizer(training.model, base, model, record)
    return Trained(tokenizer, len(chosen), of_rows)


def _base(out: Path, training: Training) -> Tokenizer:
    there = sorted(path.stem for path in out.glob("tokenizers/*.json"))
    if training.column not in there:
        held = f"one of {', '.join(there)}" if there else "a token column, and there is none"
        raise WrongTraining(f"{out}: column must be {held}; got {training.column!r}")
    base = load_tokenizer(out / "tokenizers" / f"{training.column}.json")
    if base.depth > 1:
        raise WrongTraining(f"{training.column} has several vocabularies; subwords need one")
    if base.type in MODELS:
        raise WrongTraining(f"{training.column} has subwords already; train on the column below it")
    return base


def _shards(out: Path, manifest: dict[str, Any], column: str) -> list[Path]:
    """Return the files of the training split in the config with the least beside the tokens."""
    found: dict[str, list[Path]] = {}
    for entry in manifest["shards"]:
        config, _, name = str(entry["path"]).partition("/")
        if name.startswith(f"{SPLITS[0]}-"):
            found.setdefault(config, []).append(out / config / name)
    held = {}
    for config, shards in found.items():
        try:
            names = pq.read_schema(shards[0]).names
        except DAMAGE as error:
            raise OSError(f"{shards[0]}: {one_line(error)}; build or import it again") from error
        if column in names:
            held[config] = len(names)
    if not held:
        raise ValueError(f"{out}: no config holds {column} in the split {SPLITS[0]}")
    return sorted(found[min(held, key=lambda config: (held[config], config))])


def _chosen(of_rows: int, training: Training) -> NDArray[np.int64]:
    """Return places of rows, in order."""
    if of_rows <= training.max_rows:
        return np.arange(of_rows)
    drawn = generator(training.seed, "subwords")
    return np.sort(drawn.choice(of_rows, training.max_rows, replace=False, shuffle=False))


def _rows(shards: list[Path], column: str, chosen: NDArray[np.int64]) -> Iterator[Ids]:
    """Yield the ids of the chosen rows, but of those that have none."""
    first = 0
    for shard in shards:
        try:
            with pq.ParquetFile(shard) as file:
                for batch in file.iter_batches(ROWS_AT_ONCE, columns=[column]):
                    cells = batch.column(0)
                    start, stop = np.searchsorted(chosen, [first, first + len(cells)])
                    for place in chosen[start:stop] - first:
                        ids = cells[place].values
                        if ids is not None:
                            yield ids.to_numpy()
                    first += len(cells)
        except DAMAGE as error:
            raise OSError(f"{shard}: {one_line(error)}; build or import it again") from error
