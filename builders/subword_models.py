"""Words to a model of the package `tokenizers`; the same words always give the same model."""

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from sousa.builders.subword_tokens import package
from sousa.builders.subword_words import LONGEST, as_text

Words = Iterable[list[str]]
"""The words of each row."""

LEAST_COUNT: Final = 2
"""What occurs once is no subword."""

MOST_PARTS: Final = 2_000_000
"""Parts of words that are counted at once, some 300 MB; past it the rarest are forgotten."""

LONGEST_PIECE: Final = 16
"""Most ids of one of Unigram's subwords."""

SEEDS: Final = 10
"""Unigram begins with so many times the subwords that it is to keep."""

KEPT: Final = 0.75
"""Share of its subwords that Unigram keeps in each round."""

NO_TOKEN: Final = "?"
"""The package's token for unknown characters; there are none, so it has no id."""


def train(type_: str, rows: Words, base_ids: int, vocab_size: int) -> Any:
    """Return a trained model, whose first ids are those of the base.

    Args:
        type_: `bpe`, `unigram` or `wordpiece`.
        rows: Words, whose characters stand for ids of the base.
        base_ids: How many of these there are.
        vocab_size: Most ids of the model; fewer if nothing else occurs twice.
    """
    alphabet = list(as_text(np.arange(base_ids)))
    with _one_thread():
        return TRAINERS[type_](rows, alphabet, vocab_size)


def _bpe(rows: Words, alphabet: list[str], vocab_size: int) -> Any:
    library = package()
    model = library.Tokenizer(library.models.BPE())
    trainer = library.trainers.BpeTrainer(**_options(alphabet, vocab_size))
    model.train_from_iterator(rows, trainer)
    return model


def _wordpiece(rows: Words, alphabet: list[str], vocab_size: int) -> Any:
    """Train as BPE does, to split by the longest subword that fits.

    Without a mark for what continues a word, all ids of the base are there wherever they stand.
    """
    library = package()
    model = library.Tokenizer(library.models.WordPiece(unk_token=NO_TOKEN))
    options = _options(alphabet, vocab_size)
    trainer = library.trainers.WordPieceTrainer(**options, continuing_subword_prefix="")
    model.train_from_iterator(rows, trainer)
    content = json.loads(model.to_str())
    content["model"] |= {"max_input_chars_per_word": LONGEST, "continuing_subword_prefix": ""}
    return library.Tokenizer.from_str(json.dumps(content))


def _unigram(rows: Words, alphabet: list[str], vocab_size: int) -> Any:
    """Prune the subwords that the likeliest splits use least, round by round.

    The package's own trainer sums in an order that changes from process to process, and with it
    the model. Here all counts are whole numbers, and equal ones stand in order of their subwords.
    """
    counts = Counter(word for words in rows for word in words)
    room = vocab_size - len(alphabet)
    scored = {piece: count * len(piece) for piece, count in _repeated(counts).items()}
    kept = _first(scored, SEEDS * room)
    used = _used(counts, alphabet, kept, {piece: scored[piece] for piece in kept})
    while True:
        used = _used(counts, alphabet, kept, used)
        frequent = {piece: used[piece] for piece in kept if used[piece] >= LEAST_COUNT}
        if len(frequent) == len(kept) <= room:
            return _unigram_model(alphabet, kept, used)
        kept = _first(frequent, max(room, int(KEPT * len(kept))))


def _repeated(counts: Counter[str]) -> Counter[str]:
    """Return how often each part of the words occurs, of those that occur more than once."""
    found: Counter[str] = Counter()
    rarest = 0
    for word, count in counts.items():
        if len(found) > MOST_PARTS:
            rarest += 1
            found = Counter({piece: times for piece, times in found.items() if times > rarest})
        for start in range(len(word)):
            for stop in range(start + 2, min(len(word), start + LONGEST_PIECE) + 1):
                found[word[start:stop]] += count
    return Counter({piece: count for piece, count in found.items() if count >= LEAST_COUNT})


def _first(scored: dict[str, int], most: int) -> list[str]:
    return sorted(scored, key=lambda piece: (-scored[piece], piece))[:most]


def _used(
    counts: Counter[str], alphabet: list[str], kept: list[str], scores: dict[str, int]
) -> Counter[str]:
    """Return how often the likeliest splits use each subword."""
    model = _unigram_model(alphabet, kept, scores)
    encoding = model.encode(list(counts), is_pretokenized=True)
    times = np.fromiter(counts.values(), np.int64, len(counts))
    used = np.zeros(len(alphabet) + len(kept), np.int64)
    at, word = (np.array(each, np.int64) for each in (encoding.ids, encoding.word_ids))
    np.add.at(used, at, times[word])
    return Counter(dict(zip([*alphabet, *kept], used.tolist(), strict=True)))


def _unigram_model(alphabet: list[str], kept: list[str], scores: dict[str, int]) -> Any:
    pieces = [*alphabet, *kept]
    numbers = [max(1, scores.get(piece, 0)) for piece in pieces]
    whole = sum(numbers)
    library = package()
    vocab = [(piece, math.log(n / whole)) for piece, n in zip(pieces, numbers, strict=True)]
    return library.Tokenizer(library.models.Unigram(vocab, unk_id=None, byte_fallback=False))


def _options(alphabet: list[str], vocab_size: int) -> dict[str, Any]:
    return {
        "vocab_size": vocab_size,
        "min_frequency": LEAST_COUNT,
        "initial_alphabet": alphabet,
        "special_tokens": [],
        "show_progress": False,
    }


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep the package to one thread: it warns in processes that are forked after its threads."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


TRAINERS: Final[dict[str, Callable[[Words, list[str], int], Any]]] = {
    "bpe": _bpe,
    "unigram": _unigram,
    "wordpiece": _wordpiece,
}
