"""Readers for other processes. A spawned one imports what it runs, and cannot import test files."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset

from sousa.loaders import create_dataloader
from sousa.loaders.original import OriginalSource
from sousa.loaders.streams import Stream, Window


def clips(source: OriginalSource, rows: list[int]) -> list[bytes]:
    return [pick.chunk.clips[pick.row] for pick in source.pick(rows)]  # type: ignore[union-attr, misc]


def ids(windows: Iterable[Window]) -> list[str]:
    return [name for window in windows for name in window.table.column("sample_id").to_pylist()]


class Shuffled(torch.utils.data.IterableDataset[str]):
    """The ids of a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[str]:
        yield from ids(self.stream.windows(0, 0, shuffle=True))


def passes(files: str, number: int, options: dict[str, Any]) -> list[tuple[int, float]]:
    """Stream files a number of times; the clips of each pass, and the memory after it, in MB."""
    rows = load_dataset("parquet", data_files=files, split="train", streaming=True)
    found = []
    for _ in range(number):
        loader = create_dataloader(rows, 8, num_workers=1, **options)
        found.append((sum(len(batch["lengths"]) for batch in loader), private_mb()))
    return found


def private_mb() -> float:
    """Memory of this process that is no page of a file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))
