"""What every tokenizer of a token column can do."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sousa.builders.batches import Strokes
from sousa.builders.vocabulary import Ids


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The tokens of one file.

    Attributes:
        ids: uint16, `(tokens,)`; of several vocabularies an array for each place in the sequence.
            None where they could not be stored.
        exact: Whether they hold all that is heard of the file, as finely as the tokenizer says that
            it does: `grid` to the tick, `ms` to a millisecond; see there.
        reason: Why they are not exact, in one line; else empty.
    """

    ids: Ids | list[Ids] | None
    exact: bool
    reason: str


class Tokenizer(Protocol):
    """What a token column needs."""

    @property
    def type(self) -> str:
        """Its name on the command line, such as `grid`."""

    @property
    def hash(self) -> str:
        """SHA-256 of all that decides which ids it gives."""

    @property
    def identity(self) -> str:
        """What a plan records: its type, and of one with a configuration its hash."""

    @property
    def depth(self) -> int:
        """1 where a row is a list of ids, 2 where it is a list of lists."""

    @property
    def lossy(self) -> bool:
        """Whether it may round a file, or fail on it: its cells may be null."""

    @property
    def needs_strokes(self) -> bool:
        """Whether the MIDI file alone is not enough."""

    @property
    def vocab(self) -> dict[str, int]:
        """Ids by token."""

    @property
    def special_ids(self) -> dict[str, int]:
        """Ids of PAD, BOS, EOS and MASK; they are never in `encode`'s output."""

    def encode(self, midi: bytes, strokes: Strokes | None = None) -> Ids | list[Ids]:
        """Return the ids of a MIDI file.

        Args:
            midi: The file.
            strokes: A cell of the column `strokes`, one entry a note, where they are needed.

        Raises:
            ValueError: If it is none, or holds what cannot be carried.
        """

    def tokenize(
        self, files: Sequence[bytes], strokes: Sequence[Strokes | None] | None = None
    ) -> list[Encoded]:
        """Return the tokens of many files at once; never raises for a file."""

    def decode(self, ids: Iterable[Any]) -> bytes:
        """Return a MIDI file of what the ids say.

        Raises:
            ValueError: If the ids are no whole sequence of this tokenizer.
        """

    def to_json(self) -> str:
        """Return its file in `tokenizers/`."""


def digest(content: dict[str, Any]) -> str:
    """Return the hash that is stored with the content of a tokenizer's file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_unchanged(path: Any, content: dict[str, Any], version: int) -> None:
    """Refuse the file of a tokenizer that is not as it was written, or of another version.

    Raises:
        ValueError: If it is one.
    """
    stated = {name: value for name, value in content.items() if name != "hash"}
    if digest(stated) != content.get("hash") or content.get("version") != version:
        raise ValueError(f"{path}: vocabulary or hash is not that of this version's tokenizer")


def as_lists(ids: Iterable[Any]) -> list[Any]:
    """Return ids as plain numbers, or lists of them."""
    if isinstance(ids, np.ndarray):
        return list(ids.tolist())
    return [each.tolist() if isinstance(each, np.ndarray | np.generic) else each for each in ids]


def paired(
    files: Sequence[bytes], strokes: Sequence[Strokes | None] | None
) -> Iterator[tuple[bytes, Strokes | None]]:
    """Yield each file with its strokes, if there are any."""
    yield from zip(files, strokes or [None] * len(files), strict=True)
