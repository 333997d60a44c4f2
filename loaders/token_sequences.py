"""Pieces are put together to sequences, and the tokens of a batch are gathered in one go."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sousa.loaders.layout import Indices
from sousa.loaders.token_cuts import cut
from sousa.loaders.token_packing import packed
from sousa.loaders.token_rules import Accounting, Flags, Pieces, Rules
from sousa.loaders.token_values import Ids, Ragged


class Flat(NamedTuple):
    """The tokens of some sequences, one after the other, without padding.

    Attributes:
        ids: `(N,)`, or `(N, k)` for k vocabularies.
        learnt: Whether each token counts in a loss, as what shall be predicted, `(N,)`.
        documents: Tokens of each document, or part of one, `(D,)`.
        counts: Documents of each sequence, `(B,)`.
        rows: The row of each document, `(D,)`.
    """

    ids: Ids
    learnt: Flags
    documents: Indices
    counts: Indices
    rows: Indices

    @property
    def lengths(self) -> Indices:
        """Tokens of each sequence, `(B,)`."""
        ends = np.concatenate([[0], np.cumsum(self.documents)])
        return np.asarray(np.diff(ends[np.concatenate([[0], np.cumsum(self.counts)])]))


@dataclass(frozen=True, eq=False)
class Sequences:
    """All sequences of some rows.

    Attributes:
        rows: The tokens.
        rules: How they were cut.
        pieces: Those of all sequences, one sequence after the other.
        bounds: Where the pieces of each sequence begin, and where those of the last one end.
        accounting: What became of every token.
    """

    rows: Ragged
    rules: Rules
    pieces: Pieces
    bounds: Indices
    accounting: Accounting

    @classmethod
    def of(cls, rows: Ragged, rules: Rules) -> "Sequences":
        """Return the sequences of some rows."""
        stored = pieces = cut(rows, rules)
        bounds = np.arange(len(pieces) + 1)
        if rules.mode == "pack":
            pack = packed(pieces.sizes(rules), rules.most)
            pieces = pieces.take(np.argsort(pack, kind="stable"))
            bounds = np.concatenate([[0], np.cumsum(np.bincount(pack))]).astype(np.int64)
        return cls(rows, rules, pieces, bounds, rules.account(rows, stored, len(bounds) - 1))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def chosen(self, numbers: Indices) -> tuple[Pieces, Indices]:
        """Return the pieces of some sequences, and how many each has."""
        counts = self.bounds[numbers + 1] - self.bounds[numbers]
        if len(self.pieces) == len(self):
            return self.pieces.take(numbers), counts
        ends = np.cumsum(counts)
        at = np.arange(ends[-1] if len(ends) else 0)
        at += np.repeat(self.bounds[numbers] - (ends - counts), counts)
        return self.pieces.take(at), counts

    def flat(self, numbers: Indices) -> Flat:
        """Return the tokens of some sequences."""
        pieces, counts = self.chosen(numbers)
        return gathered(self.rows, pieces, counts, self.rules)


def gathered(rows: Ragged, pieces: Pieces, counts: Indices, rules: Rules) -> Flat:
    """Return the tokens of some pieces, with all that is added."""
    sizes = pieces.sizes(rules)
    ends = np.cumsum(sizes)
    first = ends - sizes
    bos, eos = rules.bos is not None, rules.eos is not None
    attached = (pieces.prefix >= 0).sum(axis=1)
    before = bos * pieces.head + attached
    at = np.arange(ends[-1] if len(ends) else 0)
    at += np.repeat(pieces.start - first - before, sizes)
    ids = rows.values.take(at, axis=0, mode="clip")
    if max(rules.bos or 0, rules.eos or 0) > np.iinfo(ids.dtype).max:
        ids = ids.astype(np.int64)
    learnt = np.ones(len(ids), bool)
    if bos:
        ids[first[pieces.head]] = rules.bos
        learnt[first[pieces.head]] = False
    if attached.any():
        piece, slot = np.nonzero(pieces.prefix >= 0)
        ids[first[piece] + slot] = rows.values[pieces.prefix[piece, slot]]
        learnt[first[piece] + slot] = False
    if eos:
        ids[ends[pieces.tail] - 1] = rules.eos
    return Flat(ids, learnt, sizes, counts, pieces.row)
