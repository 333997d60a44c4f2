"""Small token columns for the tests of the loaders."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sousa.loaders import Vocabulary
from sousa.loaders.token_values import Ragged

NAMES = (
    *("PAD", "BOS", "EOS", "MASK", "Bar", "TimeSig_4", "Tempo_90", "Tempo_120"),
    *(f"Position_{at}" for at in range(8)),
    *("Velocity_1", "Velocity_2"),
)
BAR, SIG, SLOW, FAST, FIRST, SOFT, LOUD = 4, 5, 6, 7, 8, 16, 17


def tokenizer_text(names: Sequence[str] = NAMES, **more: Any) -> str:
    """A tokenizer's file, with its hash."""
    vocab = {name: id_ for id_, name in enumerate(names)}
    content = {"type": "test", "version": 1, "ticks_per_quarter": 480, "vocab": vocab, **more}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps(content | {"hash": digest})


def vocabulary(names: Sequence[str] = NAMES) -> Vocabulary:
    return Vocabulary.parse(tokenizer_text(names), "tokenizers/tokens.json")


def rows_of(lists: Sequence[Sequence[int]]) -> Ragged:
    lengths = [len(each) for each in lists]
    ids = np.array([id_ for each in lists for id_ in each], np.uint16)
    return Ragged(ids, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def clip(number: int, events: int) -> list[int]:
    """A header, and so many events of two tokens, with a bar line before every fourth."""
    ids = [SIG, SLOW if number % 2 else FAST]
    for event in range(events):
        ids += [BAR] if event % 4 == 0 else []
        ids += [FIRST + 2 * (event % 4), SOFT + (number + event) % 2]
    return ids


def clips(count: int = 40) -> list[list[int]]:
    return [clip(number, 1 + number * 7 % 23) for number in range(count)]


def table(lists: Sequence[Any], **more: Any) -> pa.Table:
    names = [f"clip-{number:04d}" for number in range(len(lists))]
    tokens = pa.array(lists, pa.list_(pa.uint16()))
    return pa.table({"sample_id": names, "tokens": tokens, **more})


def in_memory(content: pa.Table) -> datasets.Dataset:
    return datasets.Dataset(datasets.table.InMemoryTable(content))


def write_folder(folder: Path, lists: Sequence[Any], shards: int = 2, group_rows: int = 6) -> Path:
    """A built folder with config midi_only and a tokenizer; all of it is `train`."""
    whole = table(lists)
    bounds = np.linspace(0, len(lists), shards + 1).astype(int).tolist()
    for number in range(shards):
        path = folder / "midi_only" / f"train-{number:05d}-of-{shards:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = whole.slice(bounds[number], bounds[number + 1] - bounds[number])
        pq.write_table(part, path, row_group_size=group_rows)
    (folder / "tokenizers").mkdir()
    (folder / "tokenizers" / "tokens.json").write_text(tokenizer_text())
    return folder


def build(folder: Path) -> Path:
    """A real folder: 12 players, 4 rudiments, 48 clips, in three kinds of tokens."""
    from sousa.builders import cli

    rudiments = "multiple_bounce_roll,single_paradiddle,flam_accent,single_ratamacue"
    options = ["--preset", "tiny", "--rudiments", rudiments, "--configs", "midi_only"]
    options += ["--tokens", "grid,ms,grid+hands", "--workers", "1"]
    assert cli.main(["build", str(folder), *options]) == 0
    return folder
