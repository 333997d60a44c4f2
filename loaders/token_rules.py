"""How rows of tokens become pieces, and what became of every token."""

from dataclasses import astuple, dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sousa.loaders.layout import Indices
from sousa.loaders.token_values import Ragged
from sousa.loaders.token_vocabulary import BAR, Vocabulary

MODES: Final = ("truncate", "window", "pack")
CUTS: Final = ("event", "bar", "token")
CHANGING: Final = ("Tempo", "TimeSig")
"""Families whose last token before a window holds there; others hold as the row begins. So do
these where their value takes further tokens, `Digit`."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Accounting:
    """What became of every token of the data; `total == kept + dropped`.

    Attributes:
        rows: Rows of the data.
        empty: Rows without tokens, of which nothing can be made.
        nulls: Those of them that are null, because their tokenizer could not carry them.
        sequences: What they became.
        total: Tokens of the data.
        kept: Tokens of the data that are in at least one sequence.
        dropped: Tokens of the data that are in none: ends that were truncated, or gaps between
            windows whose stride is larger than they are.
        repeated: Further copies, where windows overlap.
        added: BOS, EOS, and prefixes that were attached again.
        inside: Pieces that begin within an event, because it is longer than a sequence.
    """

    rows: int = 0
    empty: int = 0
    nulls: int = 0
    sequences: int = 0
    total: int = 0
    kept: int = 0
    dropped: int = 0
    repeated: int = 0
    added: int = 0
    inside: int = 0

    def __add__(self, other: "Accounting") -> "Accounting":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Accounting(*(ours + theirs for ours, theirs in pairs))


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Parts of rows, in the order of their rows.

    Attributes:
        row: Which row, `(pieces,)`.
        start: Where it begins in all ids.
        stop: Where it ends.
        head: Whether it begins its row.
        tail: Whether it ends its row, and there is room to say so.
        prefix: Where the tokens of its prefix are in all ids, `(pieces, most)`; -1 for none.
        again: Tokens at its start that the piece before it has, too.
        inside: Whether it begins within an event.
        number: Its number among those of its row.
    """

    row: Indices
    start: Indices
    stop: Indices
    head: Flags
    tail: Flags
    prefix: Indices
    again: Indices
    inside: Flags
    number: Indices

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: Any) -> "Pieces":
        """Return some of them."""
        return Pieces(*(getattr(self, each.name)[chosen] for each in fields(self)))

    def sizes(self, rules: "Rules") -> Indices:
        """Return the tokens of each with all that is added."""
        sizes = self.stop - self.start + (self.prefix >= 0).sum(axis=1)
        for id_, where in ((rules.bos, self.head), (rules.eos, self.tail)):
            sizes = sizes + where if id_ is not None else sizes
        return np.asarray(sizes)


@dataclass(frozen=True, eq=False)
class Rules:
    """How rows become sequences.

    Attributes:
        most: Tokens of a sequence at most, with all that is added.
        mode: One of `MODES`.
        stride: From the start of a window to that of the next one; None is where it ends.
        bos: Put before the first token of a row; None for nothing.
        eos: Put after its last one, where that fits; None for nothing.
        begins: For each id, whether a piece may begin with it; None if any may.
        events: The same for events, where `begins` is about bars.
        prefix: Tokens of each row's start that further windows begin with; None for those before
            its first event.
        changing: For each id, 1 + the position in `CHANGING` of its family, 0 for others.
        digits: For each id, whether it goes on with the value of the token before.
    """

    most: int
    mode: str
    stride: int | None
    bos: int | None
    eos: int | None
    begins: Flags | None
    events: Flags | None
    prefix: int | None
    changing: npt.NDArray[np.int8] | None
    digits: Flags | None = None

    def account(self, rows: Ragged, pieces: Pieces, sequences: int) -> Accounting:
        """Return what became of every token of these rows."""
        held = pieces.stop - pieces.start
        starts, ends = pieces.start + pieces.again, pieces.stop
        return Accounting(
            rows=rows.rows,
            empty=int((rows.lengths == 0).sum()),
            nulls=rows.nulls,
            sequences=sequences,
            total=int(rows.offsets[-1] - rows.offsets[0]),
            kept=int((ends - starts).sum()),
            dropped=dropped(rows, pieces),
            repeated=int(pieces.again.sum()),
            added=int((pieces.sizes(self) - held).sum()),
            inside=int(pieces.inside.sum()),
        )


def dropped(rows: Ragged, pieces: Pieces) -> int:
    """Return how many tokens are in no piece: before, between and after those of each row."""
    found = int(rows.lengths[np.bincount(pieces.row, minlength=rows.rows) == 0].sum())
    if not len(pieces):
        return found
    first = np.diff(pieces.row, prepend=-1) != 0
    last = np.append(first[1:], True)
    before = np.where(first, rows.offsets[pieces.row], np.roll(pieces.stop, 1))
    gaps = np.maximum(pieces.start - before, 0).sum()
    return found + int(gaps + (rows.offsets[pieces.row + 1] - pieces.stop)[last].sum())


def rules_of(  # noqa: PLR0913 - the options of a TokenDataset
    vocabulary: Vocabulary | None,
    *,
    most: int,
    mode: str,
    stride: int | None,
    cut: str,
    bos: int | None,
    eos: int | None,
    prefix: int | None,
) -> Rules:
    """Return the rules for a column whose tokens are of some tokenizer, or of an unknown one.

    Raises:
        ValueError: If rows shall be cut at bars, and nothing tells where these are.
    """
    begins = events = changing = digits = None
    if vocabulary is not None and cut != "token":
        events = vocabulary.mask(vocabulary.starts)
        events = events if events.any() else None
        begins = events
        changing = np.zeros(vocabulary.size, np.int8)
        for number, family in enumerate(CHANGING, start=1):
            changing[vocabulary.mask([family])] = number
        digits = vocabulary.mask(["Digit"])
    if cut == "bar":
        bars = np.zeros(1, bool) if vocabulary is None else vocabulary.mask(BAR)
        if not bars.any():
            name = "without a tokenizer" if vocabulary is None else f"of {vocabulary.name}"
            raise ValueError(f"cut='bar' needs Bar tokens, and ids {name} have none: cut='event'")
        begins = bars
    return Rules(most, mode, stride, bos, eos, begins, events, prefix, changing, digits)
