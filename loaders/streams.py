"""A streamed dataset becomes windows of rows, shuffled in bounded memory, and goes on anywhere."""

import contextlib
import copy
import hashlib
import itertools
import json
import threading
from collections.abc import Generator, Sequence
from functools import cached_property
from typing import Any, Final

import datasets

from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.groups import RemoteShards
from sousa.loaders.pages import WITHOUT_PAUSES, Backoff, Patience, Stopped
from sousa.loaders.rows import AUDIO
from sousa.loaders.shards import Shards
from sousa.loaders.windows import Losses, Pass, Window

HEAD_ROWS: Final = 8
"""Rows by which other data is told."""


class Stream:
    """A `datasets.IterableDataset`, or files on the Hub, as windows of rows.

    Args:
        dataset: Filtered, mapped, concatenated, interleaved or shuffled as the user likes; it
            stays as it is, also its epoch. Or the shards of a dataset on the Hub.
        columns: What to read.
        name: What to call it in errors.
        backoff: How often to try again after a lost connection.
        missing: Files that should be there and are not.

    Attributes:
        declared: What is declared about the columns.

    Raises:
        ValueError: If it lacks a column.
    """

    def __init__(
        self,
        dataset: datasets.IterableDataset | RemoteShards,
        columns: tuple[str, ...],
        name: str = "datasets.IterableDataset",
        *,
        backoff: Backoff | None = None,
        missing: Sequence[BrokenRow] = (),
    ) -> None:
        remote = isinstance(dataset, RemoteShards)
        self._shards = dataset if remote else Shards(dataset, columns, name)
        self._backoff = Backoff() if backoff is None else backoff
        self.declared = self._shards.declared
        self._losses = Losses(skip=False)
        self._missing = tuple(missing)

    @cached_property
    def length(self) -> int | None:
        """Rows of an epoch; None where nobody knows.

        `datasets` cannot tell whether a dataset is the whole of what its description counts. Of
        files on the Hub their card tells, if it describes these very files, or else their footers.

        Raises:
            OSError: If footers are needed and cannot be had.
        """
        return self._shards.length()

    @property
    def broken(self) -> list[BrokenRow]:
        """Parts that could not be read and were left out."""
        return [*self._missing, *self._losses.found]

    def deciding(self, *, skip_broken: bool) -> "Stream":
        """Return this stream with another choice about what cannot be read.

        Raises:
            BrokenRowError: If files are missing that may not be.
        """
        if self._missing and not skip_broken:
            raise BrokenRowError(self._missing[0])
        deciding = copy.copy(self)
        deciding._losses = Losses(skip_broken)
        return deciding

    def also(self, column: str) -> "Stream":
        """Return this stream with a further column.

        Raises:
            ValueError: If it lacks the column.
        """
        shards = self._shards
        columns = tuple(dict.fromkeys((*shards.columns, column)))
        also = copy.copy(self)
        also._shards = shards.reading(columns)
        return also

    def windows(
        self,
        seed: int,
        epoch: int,
        *,
        shuffle: bool,
        state: dict[str, Any] | None = None,
        stop: threading.Event | None = None,
    ) -> Generator[Window]:
        """Yield each row of an epoch once.

        Unshuffled, rows come in the order of the dataset itself. Shuffled, their order is a
        function of `seed` and `epoch`: pieces are permuted, several read at the same time, and
        rows permuted among the pages of these.

        Args:
            seed: Chooses the orders, at least 0.
            epoch: Chooses one of them, at least 0. It is also what the dataset's own shuffle is
                told, where it has one.
            shuffle: Whether to permute.
            state: That of the window to begin with; seed, epoch and `shuffle` must be the same.
            stop: Ends reading when set, also from another thread.

        Raises:
            ConnectionError: If it cannot be read, however often it is tried.
            BrokenRowError: If a part of it is damaged, and may not be skipped.
            ValueError: At the end, if the length was another one.
        """
        patience = Patience(self._backoff, threading.Event() if stop is None else stop)
        run = Pass(self._shards, (seed, epoch), patience, self._losses, shuffle=shuffle)
        with WITHOUT_PAUSES, contextlib.suppress(Stopped), contextlib.closing(run):
            if state is not None:
                run.load(state)
            while (window := run.window()) is not None:
                if window.rows:
                    yield window
            self._shards.check_length()

    def fingerprint(self) -> str:
        """Return what tells this dataset from others: its stages, columns and first rows.

        Of files on the Hub it is their content, whatever the revision is called.

        Raises:
            ConnectionError: If it cannot be read, however often it is tried.
        """
        shards = self._shards
        known: list[Any] = [shards.columns, shards.traits.kinds, shards.count]
        known += [sorted((name, list(names)) for name, names in self.declared.names.items())]
        if identity := shards.identity():
            return hashlib.sha256(json.dumps([*known, identity]).encode()).hexdigest()
        with contextlib.closing(self.windows(0, 0, shuffle=False)) as windows:
            for window in itertools.islice(windows, 1):
                head = window.table.slice(0, HEAD_ROWS)
                known += [head.drop_columns([AUDIO] if AUDIO in shards.columns else []).to_pydict()]
        return hashlib.sha256(json.dumps(known, default=str).encode()).hexdigest()
