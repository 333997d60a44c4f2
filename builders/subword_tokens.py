"""Tokens of tokens: BPE, Unigram or WordPiece over the ids of another tokenizer.

The ids of the base tokenizer keep their numbers; behind them come subwords, each of which stands
for several. No subword reaches over the beginning of an event, so a row can be cut wherever the
base tokenizer's could. Any row of the base can be written, also what training has not seen.
"""

import importlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from sousa.builders.batches import Strokes
from sousa.builders.subword_words import FIRST_CHARACTER, Split, as_ids, split_of
from sousa.builders.tokenizer import Encoded, Tokenizer, check_unchanged, digest
from sousa.builders.vocabulary import Ids, whole_ids

MODELS: Final = {"bpe": "BPE", "unigram": "Unigram", "wordpiece": "WordPiece"}
"""The models by their names on the command line, as the package `tokenizers` names them."""

VERSION: Final = 1
"""Counts up when the tokens of a file change, or what they mean."""

STARTS: Final = ("Bar", "Position", "Shift", "TimeShift", "Rest")
"""Families of tokens that begin an event, where the base tokenizer does not say which do."""

MOST_KNOWN: Final = 2**17
"""Words whose subwords are kept, some 40 MB."""

JOINT: Final = "_+"
"""Between the names in a subword's name. With the underscore `Bar_+TimeSig_4` is of family Bar."""


class Loaded(NamedTuple):
    """A model, ready for use.

    Attributes:
        model: Of the package `tokenizers`.
        pieces: Of each id, the ids of the base as text.
        split: How ids of the base become words.
        known: Of words that were met, their subwords as text.
    """

    model: Any
    pieces: list[str]
    split: Split
    known: dict[str, str]


@dataclass(frozen=True)
class SubwordTokenizer:
    """A trained tokenizer over another.

    Attributes:
        base: The other, whose ids it takes.
        text: Its file in `tokenizers/`, which holds the base as well.
    """

    base: Tokenizer
    text: str

    depth = 1

    @cached_property
    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.text)
        return content

    @property
    def type(self) -> str:
        """One of `MODELS`."""
        return str(self._content["type"])

    @property
    def hash(self) -> str:
        """SHA-256 of all that decides which ids it gives, and what it was trained on."""
        return str(self._content["hash"])

    @property
    def identity(self) -> str:
        """What a plan records: its type and its hash."""
        return f"{self.type}:{self.hash}"

    @property
    def lossy(self) -> bool:
        """Whether the base is."""
        return self.base.lossy

    @property
    def needs_strokes(self) -> bool:
        """Whether the base does."""
        return self.base.needs_strokes

    @property
    def vocab(self) -> dict[str, int]:
        """Ids by token; names of subwords hold those of all their tokens."""
        return dict(self._content["vocab"])

    @property
    def special_ids(self) -> dict[str, int]:
        """Those of the base."""
        return dict(self._content["special_ids"])

    def to_json(self) -> str:
        """Return its file in `tokenizers/`."""
        return self.text

    def encode(self, midi: bytes, strokes: Strokes | None = None) -> Ids:
        """Return the ids of a MIDI file.

        Raises:
            ValueError: If the base cannot encode it.
        """
        ids = np.asarray(self.base.encode(midi, strokes), np.uint16)
        return _subwords(_loaded(self.text), [ids])[0]

    def tokenize(
        self, files: Sequence[bytes], strokes: Sequence[Strokes | None] | None = None
    ) -> list[Encoded]:
        """Return the tokens of many files at once; never raises for a file."""
        found = self.base.tokenize(files, strokes)
        rows = [np.asarray(each.ids, np.uint16) for each in found if each.ids is not None]
        subwords = iter(_subwords(_loaded(self.text), rows))
        return [
            each if each.ids is None else Encoded(next(subwords), each.exact, each.reason)
            for each in found
        ]

    def decode(self, ids: Iterable[Any]) -> bytes:
        """Return the MIDI file that the base makes of what the ids stand for.

        Raises:
            ValueError: If the ids are not a whole sequence of this tokenizer.
        """
        return self.base.decode(self.expand(ids))

    def compress(self, ids: Iterable[int]) -> Ids:
        """Return subwords for ids of the base.

        Raises:
            ValueError: If one is not of the base.
        """
        loaded = _loaded(self.text)
        return _subwords(loaded, [whole_ids(ids, loaded.split.size)])[0]

    def expand(self, ids: Iterable[int]) -> Ids:
        """Return the ids of the base that subwords stand for; the inverse of `compress`.

        Raises:
            ValueError: If one is not of this tokenizer.
        """
        pieces = _loaded(self.text).pieces
        return as_ids("".join([pieces[id_] for id_ in whole_ids(ids, len(pieces)).tolist()]))


def event_starts(base: Tokenizer) -> tuple[str, ...]:
    """Return the families of tokens that begin an event."""
    stated = json.loads(base.to_json()).get("grammar", {})
    return tuple(stated.get("event_starts", STARTS))


def subword_tokenizer(
    type_: str, base: Tokenizer, model: Any, training: dict[str, Any]
) -> SubwordTokenizer:
    """Return the tokenizer of a trained model.

    Args:
        type_: One of `MODELS`.
        base: Whose ids were the characters.
        model: Of the package `tokenizers`; its first ids are those of the base.
        training: What it was trained on, for the record.
    """
    base_content = json.loads(base.to_json())
    content: dict[str, Any] = {
        "type": type_,
        "version": VERSION,
        "ticks_per_quarter": base_content["ticks_per_quarter"],
        "depth": 1,
        "special_ids": base.special_ids,
        "grammar": {"event_starts": list(event_starts(base))},
        "vocab": _names(base, model),
        "training": training,
        "model": json.loads(model.to_str()),
        "base": base_content,
    }
    text = json.dumps(content | {"hash": digest(content)}, indent=1) + "\n"
    return SubwordTokenizer(base, text)


def from_content(path: Any, content: dict[str, Any], base: Tokenizer) -> SubwordTokenizer:
    """Return the tokenizer of a file in `tokenizers/`.

    Args:
        path: The file, for errors.
        content: What it says.
        base: The tokenizer that it holds.

    Raises:
        ValueError: If the file was changed, or the package `tokenizers` is missing or refuses it.
    """
    check_unchanged(path, content, VERSION)
    model = _model(content)
    if _names(base, model) != content["vocab"]:
        raise ValueError(f"{path}: the vocabulary is not that of its model")
    return SubwordTokenizer(base, json.dumps(content, indent=1) + "\n")


@lru_cache
def package() -> Any:
    """Return the package `tokenizers`.

    Raises:
        ValueError: If it is not installed.
    """
    try:
        return importlib.import_module("tokenizers")
    except ImportError as error:
        raise ValueError(
            "subwords need the package tokenizers, which comes with MidiTok: "
            'pip install "sousa-datasets[miditok]"'
        ) from error


def _model(content: dict[str, Any]) -> Any:
    library = package()
    try:
        return library.Tokenizer.from_str(json.dumps(content["model"]))
    except Exception as error:  # the package raises nothing narrower
        raise ValueError(f"the package tokenizers refuses the model: {error}") from error


def _pieces(model: Any) -> list[str]:
    vocabulary = model.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _names(base: Tokenizer, model: Any) -> dict[str, int]:
    names = {id_: name for name, id_ in base.vocab.items()}
    return {
        JOINT.join(names[each] for each in as_ids(piece).tolist()): id_
        for id_, piece in enumerate(_pieces(model))
    }


@lru_cache
def _loaded(text: str) -> Loaded:
    content = json.loads(text)
    model = _model(content)
    pieces = _pieces(model)
    base = content["base"]
    vocab = base["vocab"] if "vocab" in base else base["vocabulary"]  # MidiTok's
    return Loaded(model, pieces, split_of(vocab, content["grammar"]["event_starts"]), {})


def _subwords(loaded: Loaded, rows: Sequence[Ids]) -> list[Ids]:
    """Return the subwords of rows; a word has the same wherever it stands."""
    words, known = loaded.split.words(rows), loaded.known
    found = set().union(*words)
    missing = found.difference(known)
    if missing and len(known) + len(missing) > MOST_KNOWN:
        known.clear()
        missing = found
    split = loaded.model.model.tokenize  # half the time of `model.encode`
    for word in missing:
        known[word] = "".join([chr(FIRST_CHARACTER + token.id) for token in split(word)])
    return [as_ids("".join(map(known.__getitem__, row))) for row in words]
