"""What loading must know of a tokenizer: its ids, by families, and which of them begin an event."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

SPECIALS: Final = ("PAD", "BOS", "EOS", "MASK")
"""Names of special tokens."""

TIME: Final = ("Bar", "Position", "Shift", "TimeShift", "Rest")
"""Families of tokens that begin an event, where the tokenizer does not say which do."""

BAR: Final = ("Bar",)
"""The family of tokens that begin a bar."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The tokens of one column.

    Attributes:
        name: Where it is from, for errors.
        type: Of the tokenizer, such as `grid`.
        hash: What tells it from any other tokenizer.
        size: All ids are below it.
        tokens: Ids by token; nothing where a row has ids of several vocabularies.
        special_ids: Ids by the names PAD, BOS, EOS, MASK, as far as there are any.
        starts: Families of tokens that begin an event.
        text: The whole file, for whoever keeps it beside a model; empty where there is none.
    """

    name: str
    type: str
    hash: str
    size: int
    tokens: Mapping[str, int]
    special_ids: Mapping[str, int]
    starts: tuple[str, ...] = TIME
    text: str = ""

    @classmethod
    def parse(cls, text: str, name: str) -> "Vocabulary":
        """Return what a file `tokenizers/<column>.json` says.

        Raises:
            ValueError: If it is no such file, or was changed since it was written.
        """
        try:
            content = json.loads(text)
            stated = content.pop("hash")
            # MidiTok loads no file with a key `vocab`.
            vocab = dict(content["vocab"] if "vocab" in content else content["vocabulary"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{name} is no tokenizer: it must be JSON with type, vocab and hash; write it "
                "anew with `sousa tokenize`"
            ) from error
        if hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest() != stated:
            raise ValueError(
                f"{name} was changed since it was written, so ids may mean something else: put "
                "the original back, or tokenize anew"
            )
        size = 1 + max(map(int, vocab.values()), default=-1)
        special = content.get("special_ids") or special_ids_of(vocab)
        starts = content.get("grammar", {}).get("event_starts", TIME)
        if content.get("depth", 1) > 1:  # "3/Pitch_60": a token says all of an event
            vocab = {}
        kind = str(content.get("type"))
        return cls(name, kind, stated, size, vocab, special, tuple(starts), text)

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Return what a file says.

        Raises:
            ValueError: If it cannot be read, is no such file, or was changed.
        """
        try:
            return cls.parse(path.read_text(encoding="utf-8"), str(path))
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error

    def check_recorded(self, manifest: str, column: str) -> None:
        """Refuse a tokenizer that is not the one whose ids a dataset holds.

        Args:
            manifest: The dataset's `manifest.json`; what it does not say is not asked of it.
            column: The column of ids.

        Raises:
            ValueError: If the manifest records another.
        """
        try:
            content = json.loads(manifest)
            hashes = content["tokenizers"] if "tokenizers" in content else content["plan"]["tokens"]
            recorded = hashes.get(column, self.hash)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        if recorded != self.hash:
            raise ValueError(
                f"{self.name} is another tokenizer than the one that made the ids in {column}, by "
                "manifest.json: put the original back, or tokenize anew"
            )

    @classmethod
    def of_names(cls, names: Sequence[str], type_: str, name: str) -> "Vocabulary":
        """Return a vocabulary whose ids are positions in a list of tokens."""
        tokens = {token: id_ for id_, token in enumerate(names)}
        digest = hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()
        return cls(name, type_, digest, len(names), tokens, special_ids_of(tokens))

    @cached_property
    def families(self) -> dict[str, dict[str, int]]:
        """Ids by family and value: `Velocity_64` is the value 64 of the family Velocity."""
        found: dict[str, dict[str, int]] = {}
        for token, id_ in self.tokens.items():
            family, _, value = token.partition("_")
            found.setdefault(family, {})[value] = id_
        return found

    def mask(self, families: Iterable[str]) -> Mask:
        """Return for each id whether it belongs to some families, bool `(size,)`."""
        chosen = np.zeros(self.size, bool)
        for family in families:
            chosen[list(self.families.get(family, {}).values())] = True
        return chosen

    def special(self, name: str) -> int:
        """Return the id of a special token.

        Raises:
            ValueError: If there is none.
        """
        if name not in self.special_ids:
            raise ValueError(f"{self.name} has no {name} token: pass its id, or None for none")
        return int(self.special_ids[name])


def special_ids_of(tokens: Mapping[str, Any]) -> dict[str, int]:
    """Return the ids of special tokens, which MidiTok calls `PAD_None`."""
    named = {token.partition("_")[0]: token for token in tokens}
    return {name: int(tokens[named[name]]) for name in SPECIALS if name in named}
