"""Ids so far to those that may come next: what a model writes within them always decodes.

    sequence = Continuing(load_tokenizer(path))
    while not ended:
        scores[~sequence.allowed()] = -inf
        sequence.take(draw(scores))

It holds for `grid` and `ms`, and for subwords over them.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sousa.builders.clock_paths import ClockPaths
from sousa.builders.grid_paths import GridPaths
from sousa.builders.own_tokenizer import OwnTokenizer
from sousa.builders.subword_tokens import SubwordTokenizer
from sousa.builders.token_paths import Choice, Path, Paths, Place
from sousa.builders.tokenizer import Tokenizer

WORD: Final = -1
"""Key of a node of the tree of words whose value is the id of the word that ends there."""


class _At(NamedTuple):
    """Where a sequence is: the place where an event began, and the ids of it so far."""

    place: Place | None = None
    taken: tuple[int, ...] = ()


class Continuing:
    """A sequence that is being written.

    Args:
        tokenizer: Of its ids.

    Raises:
        ValueError: If it is none of ours.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        base = tokenizer.base if isinstance(tokenizer, SubwordTokenizer) else tokenizer
        if not isinstance(base, OwnTokenizer):
            raise ValueError(
                f"what may follow is known of grid and ms tokens and their subwords, not of "
                f"{base.type}"
            )
        is_grid = base.type.startswith("grid")
        self._paths: Paths = (GridPaths if is_grid else ClockPaths)(base.vocabulary)
        self._tokenizer = tokenizer
        self._size = max(tokenizer.vocab.values()) + 1
        self._special_ids = tokenizer.special_ids
        self._at = _At()

    @property
    def is_whole(self) -> bool:
        """Whether it could end here."""
        return (not self._at.taken and self._at.place is not None) or self._choice(self._at).may_end

    @property
    def sounds(self) -> bool:
        """Whether it has a note, and that is whole."""
        place = self._at.place
        if self._at.taken and self._choice(self._at).may_end:
            place = self._ended(self._at)
        return place is not None and place.sounds

    def allowed(self, *, hurry: bool = False) -> NDArray[np.bool_]:
        """Return for each id whether it may come next, bool `(ids,)`.

        EOS may where the sequence is whole and has a note; other special tokens never may.

        Args:
            hurry: Leave out what does not lead to a note.
        """
        mask = np.zeros(self._size, np.bool_)
        if self._words is None:
            for first, stop in self._spans(self._at, hurry=hurry):
                mask[first:stop] = True
        else:
            mask[list(self._allowed_words(self._words, self._at, hurry=hurry))] = True
        mask[self._special_ids["EOS"]] = self.is_whole and self.sounds
        return mask

    def take(self, id_: int) -> None:
        """Add an id; special tokens are passed over.

        Raises:
            ValueError: If it may not come next.
        """
        if id_ in self._special_ids.values():
            return
        at: _At | None = self._at
        pieces = [id_]
        if isinstance(self._tokenizer, SubwordTokenizer):
            pieces = self._tokenizer.expand([id_]).tolist()
        for piece in pieces:
            at = at and self._after(at, piece)
        if at is None:
            raise ValueError(f"id {id_} may not come here")
        self._at = at

    @cached_property
    def _words(self) -> dict[int, Any] | None:
        """The ids of the base that each subword stands for, as a tree; None without subwords."""
        if not isinstance(self._tokenizer, SubwordTokenizer):
            return None
        tree: dict[int, Any] = {}
        for id_ in range(self._size):
            if id_ not in self._special_ids.values():
                node = tree
                for piece in self._tokenizer.expand([id_]).tolist():
                    node = node.setdefault(piece, {})
                node[WORD] = id_
        return tree

    def _allowed_words(self, tree: dict[int, Any], at: _At, *, hurry: bool) -> Iterable[int]:
        spans = self._spans(at, hurry=hurry)
        for piece, below in tree.items():
            if piece == WORD or not Choice(spans).holds(piece):
                continue
            if WORD in below:
                yield below[WORD]
            if len(below) > (WORD in below) and (after := self._after(at, piece)) is not None:
                yield from self._allowed_words(below, after, hurry=hurry)

    def _spans(self, at: _At, *, hurry: bool) -> tuple[tuple[int, int], ...]:
        """Return the ids that may come next."""
        choice = self._choice(at, hurry=hurry)
        if not choice.may_end:
            return choice.spans
        return (*choice.spans, *self._choice(_At(self._ended(at)), hurry=hurry).spans)

    def _choice(self, at: _At, *, hurry: bool = False) -> Choice:
        return self._read(at, hurry=hurry)[1]

    def _read(self, at: _At, *, hurry: bool = False) -> tuple[Path[Place], Choice]:
        """Read an event as far as it goes: it is short, and a path that was read has no copy."""
        path = self._paths.path(at.place, hurry=hurry)
        choice = next(path)
        for id_ in at.taken:
            choice = path.send(id_)
        return path, choice

    def _ended(self, at: _At) -> Place:
        """Return where the sequence is if the event ends here."""
        place = _sent(self._read(at)[0], None)
        if not isinstance(place, Place):
            raise ValueError("an event cannot end here")
        return place

    def _after(self, at: _At, id_: int) -> _At | None:
        """Return where the sequence is after one more id of the base; None if it may not be."""
        path, choice = self._read(at)
        if choice.holds(id_):
            found = _sent(path, id_)
            return _At(found) if isinstance(found, Place) else _At(at.place, (*at.taken, id_))
        return self._after(_At(self._ended(at)), id_) if choice.may_end else None


def _sent(path: Path[Place], id_: int | None) -> Place | Choice:
    """Return where a path ends, or what may come next on it."""
    try:
        return path.send(id_)
    except StopIteration as end:
        place: Place = end.value
        return place
