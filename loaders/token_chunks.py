"""Rows of tokens with their labels become sequences, and those the content of batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sousa.loaders.collate import Batch
from sousa.loaders.layout import Indices
from sousa.loaders.targets import Target
from sousa.loaders.token_augment import Augmentation
from sousa.loaders.token_cuts import cut
from sousa.loaders.token_rules import Pieces, Rules
from sousa.loaders.token_sequences import Flat, Sequences, gathered
from sousa.loaders.token_values import Ragged, row_keys


class Drawn(NamedTuple):
    """What goes into a batch.

    Attributes:
        flat: The tokens.
        more: Labels and names.
        targets: What shall be decoded; None for nothing.
    """

    flat: Flat
    more: Batch
    targets: Flat | None


@dataclass(frozen=True, eq=False)
class TokenChunk:
    """Rows that were read together.

    Attributes:
        sequences: What they became.
        sample_ids: Their ids; None where they have none.
        places: What tells each row from others, where they have no ids.
        target: What is learnt beside tokens; None for nothing.
        labels: A class or scores of each row, `(rows,)` or `(rows, k)`.
        targets: Another sequence of each row, which shall be decoded from the first.
    """

    sequences: Sequences
    sample_ids: Sequence[str] | None
    places: Sequence[Any]
    target: Target | None = None
    labels: npt.NDArray[Any] | None = None
    targets: Ragged | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def keys(self, rows: Indices) -> npt.NDArray[np.uint64]:
        """Return a number for each of some rows, for chance of its own."""
        named = self.places if self.sample_ids is None else self.sample_ids
        return row_keys([named[row] for row in rows.tolist()])

    def drawn(
        self, numbers: Sequence[int], augmentation: Augmentation | None = None, epoch: int = 0
    ) -> Drawn:
        """Return what goes into a batch of some sequences, in an epoch."""
        pieces, counts = self.sequences.chosen(np.asarray(numbers, np.int64))
        flat = (
            gathered(self.sequences.rows, pieces, counts, self.sequences.rules)
            if augmentation is None
            else self._augmented(pieces, counts, augmentation, epoch)
        )
        targets = None
        if self.targets is not None:
            found = self.targets.take(pieces.row)
            ones = np.ones(found.rows, np.int64)
            learnt = np.ones(len(found.values), bool)
            targets = Flat(found.values, learnt, found.lengths, ones, pieces.row)
        return Drawn(flat, self.described(pieces.row, counts, augmentation, epoch), targets)

    def _augmented(
        self, pieces: Pieces, counts: Indices, augmentation: Augmentation, epoch: int
    ) -> Flat:
        """Return the tokens of some pieces of rows that were changed, each cut anew."""
        rules = self.sequences.rules
        rows, place = np.unique(pieces.row, return_inverse=True)
        whole, keys = self.sequences.rows.take(rows), self.keys(rows)
        changed = augmentation.changed(whole, keys, epoch)
        anew = cut(changed, rules)
        unfit = misfits(cut(whole, rules), anew, rules, len(rows))
        if unfit.any():
            changed = augmentation.changed(whole, keys, epoch, steady=unfit)
            anew = cut(changed, rules)
        chosen = anew.take(np.searchsorted(anew.row, np.arange(len(rows)))[place] + pieces.number)
        return gathered(changed, chosen, counts, rules)._replace(rows=pieces.row)

    def described(
        self, rows: Indices, counts: Indices, augmentation: Augmentation | None, epoch: int
    ) -> Batch:
        """Return labels and ids of the rows of some documents."""
        more: Batch = {}
        if self.sample_ids is not None:
            names = [self.sample_ids[row] for row in rows.tolist()]
            if self.sequences.rules.mode != "pack":
                more["sample_ids"] = names
            else:
                ends = np.cumsum(counts).tolist()
                pairs = zip([0, *ends], ends, strict=False)
                more["sample_ids"] = [names[first:end] for first, end in pairs]
        if self.labels is not None and self.target is not None:
            labels = self.labels[rows]
            if augmentation is not None:
                mirrored = augmentation.mirrored(self.keys(rows), epoch)
                labels = np.where(flippable(mirrored, self.target), 1 - labels, labels)
            more["row_labels"] = tensor_of(labels, self.target)
            more["label_mask"] = self.target.mask(more["row_labels"])
        return more


def misfits(before: Pieces, after: Pieces, rules: Rules, rows: int) -> npt.NDArray[np.bool_]:
    """Return which rows are cut into another number of pieces, or into such as fit in no pack."""
    counts = [np.bincount(pieces.row, minlength=rows) for pieces in (before, after)]
    unfit = np.asarray(counts[0] != counts[1])
    if rules.mode == "pack":
        old, new = (pieces.take(~unfit[pieces.row]) for pieces in (before, after))
        unfit[new.row[new.sizes(rules) > old.sizes(rules)]] = True
    return unfit


def flippable(mirrored: npt.NDArray[np.bool_], target: Target) -> npt.NDArray[np.bool_]:
    """Return which labels say the opposite when hands are exchanged."""
    named = np.array([name == "weak_hand_index" for name in target.columns])
    return np.asarray(mirrored[:, None] & named if target.shape else mirrored & named[0])


def tensor_of(labels: npt.NDArray[Any], target: Target) -> Tensor:
    """Return labels in their type."""
    return torch.from_numpy(labels).to(target.dtype)
