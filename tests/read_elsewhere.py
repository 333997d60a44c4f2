"""Readers for other processes. A spawned one imports what it runs, and cannot import test files."""

from collections.abc import Iterable, Iterator

import torch

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
