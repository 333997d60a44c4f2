"""Sequences of tokens become a batch: padded ids, labels, masks, places of documents."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sousa.loaders.checks import check_choice, check_flag
from sousa.loaders.collate import Batch, Sample
from sousa.loaders.layout import Indices
from sousa.loaders.samplers import whole
from sousa.loaders.token_sequences import Flat

SIDES: Final = ("right", "left", "none")
LABELS: Final = ("shift", "copy", "row")
Mask = npt.NDArray[np.bool_]

UNLEARNT: Final = -100
"""In place of a label that counts in no loss: what PyTorch's cross entropy passes over."""

KEYS: Final = (
    *("input_ids", "attention_mask", "labels", "loss_mask", "lengths"),
    *("position_ids", "document_ids", "cu_seqlens", "max_seqlen"),
    *("decoder_input_ids", "decoder_attention_mask"),
    *("row_labels", "label_mask", "sample_ids"),
)
"""Keys of a batch, by the names that they have unless others are wanted."""


class TokenCollator:
    """Makes batches of the samples of a `TokenDataset`.

    A batch has `input_ids` and `labels` `(B, T)` int64, `attention_mask` and `loss_mask` `(B, T)`
    bool, `lengths` `(B,)`; of packed sequences also `position_ids`, which begin at 0 with each
    document, `document_ids`, -1 on padding, `cu_seqlens` `(documents + 1,)` int32, where each
    document ends among the tokens that are no padding, and `max_seqlen`, an int, as attention of
    variable length wants them. Tokens of k vocabularies are `(B, T, k)`.

    Args:
        pad_id: Id on padding.
        side: Where padding goes: `right`, `left`, or `none`: all sequences in one row `(1, N)`.
        labels: `shift`: the label of a token is the one that follows it. `copy`: it is the token
            itself, for models that shift. `row`: the sample's own label, a class or scores, which
            is otherwise under `row_labels`. None: no labels. They are -100 on padding, across the
            ends of documents, and where the loss mask is false.
        bos_id: Put before each document; for samples that have none yet.
        eos_id: Put after each document.
        seq2seq: Give `decoder_input_ids` and `decoder_attention_mask`. What is decoded is the
            sample's `target_ids`, from `bos_id` on, or, where it has none, the sequence itself:
            all but its last token, and labels are all but its first.
        names: Other names of keys; None for a key that is not wanted.
        multiple_of: Pad T to a multiple of this.

    Raises:
        ValueError: If an argument is not as above.

    Examples:
        >>> samples = [{"input_ids": torch.tensor([5, 6, 7])}, {"input_ids": torch.tensor([8])}]
        >>> batch = TokenCollator(0)(samples)
        >>> batch["input_ids"]
        tensor([[5, 6, 7],
                [8, 0, 0]])
        >>> batch["labels"]
        tensor([[   6,    7, -100],
                [-100, -100, -100]])
    """

    def __init__(  # noqa: PLR0913 - the options of MidiTok's DataCollator and a few more
        self,
        pad_id: int,
        side: str = "right",
        labels: str | None = "shift",
        *,
        bos_id: int | None = None,
        eos_id: int | None = None,
        seq2seq: bool = False,
        names: Mapping[str, str | None] | None = None,
        multiple_of: int = 1,
    ) -> None:
        check_choice(side, "side", SIDES)
        if labels is not None:
            check_choice(labels, "labels", LABELS)
        check_flag(seq2seq, "seq2seq")
        if seq2seq and (side == "none" or labels == "row"):
            raise ValueError("seq2seq=True needs padding and labels of tokens: side, labels=")
        for name in names or {}:
            check_choice(name, "names", KEYS)
        self.pad_id = whole(pad_id, "pad_id", 0)
        self.side = side
        self.labels = labels
        self.bos_id = None if bos_id is None else whole(bos_id, "bos_id", 0)
        self.eos_id = None if eos_id is None else whole(eos_id, "eos_id", 0)
        self.seq2seq = seq2seq
        self.names = dict(names or {})
        self.multiple_of = whole(multiple_of, "multiple_of", 1)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Return the batch of some samples.

        Raises:
            ValueError: If there are none, or they lack what is wanted.
        """
        if not samples:
            raise ValueError("a batch needs at least one sample, got none")
        targets = None
        if "target_ids" in samples[0]:
            targets = flat_of(samples, "target_ids")
        packed = "document_ids" in samples[0]
        more: Batch = {}
        for key, name in (("label", "row_labels"), ("label_mask", "label_mask")):
            if key in samples[0]:
                labels = [torch.as_tensor(sample[key]) for sample in samples]
                more[name] = torch.cat(labels) if packed else torch.stack(labels)
        if "sample_id" in samples[0]:
            more["sample_ids"] = [sample["sample_id"] for sample in samples]
        return self.batch(flat_of(samples, "input_ids"), more, packed=packed, targets=targets)

    def batch(
        self, flat: Flat, more: Batch, *, packed: bool = False, targets: Flat | None = None
    ) -> Batch:
        """Return the batch of some sequences.

        Args:
            flat: Their tokens.
            more: What else the batch has: `row_labels`, `label_mask`, `sample_ids`.
            packed: Whether a sequence may have several documents.
            targets: What shall be decoded.

        Raises:
            ValueError: If labels are wanted that are not there.
        """
        flat = framed(flat, self.bos_id, self.eos_id) if targets is None else flat
        mask = self._mask(flat.lengths)
        made = self._padded(flat, mask)
        if self.seq2seq:
            made |= self._decoded(flat, targets)
        elif self.labels in ("shift", "copy"):
            made["labels"] = laid(labels_of(flat, self.labels), mask, UNLEARNT)
        if packed and self._wants("document_ids", "position_ids", "cu_seqlens", "max_seqlen"):
            made |= self._places(flat, mask)
        made |= more
        if self.labels == "row":
            if "row_labels" not in made:
                raise ValueError("labels='row' needs samples with a label: TokenDataset(target=)")
            made["labels"] = made.pop("row_labels")
        named = {self.names.get(key, key): value for key, value in made.items()}
        return {key: value for key, value in named.items() if key is not None}

    def _wants(self, *keys: str) -> bool:
        return any(self.names.get(key, key) is not None for key in keys)

    def _padded(self, flat: Flat, mask: Mask) -> Batch:
        """Return ids, masks and lengths."""
        made: Batch = {"input_ids": laid(flat.ids, mask, self.pad_id)}
        if self._wants("loss_mask"):
            whole = flat.learnt.all()
            made["loss_mask"] = (
                torch.from_numpy(mask.copy()) if whole else laid(flat.learnt, mask, fill=False)
            )
        made["attention_mask"] = torch.from_numpy(mask)
        made["lengths"] = torch.from_numpy(flat.lengths)
        return made

    def _decoded(self, flat: Flat, targets: Flat | None) -> Batch:
        """Return what a decoder reads, and what it shall say."""
        if targets is None:
            ids = flat.ids[kept(flat.lengths, first=True)]
            learnt = flat.learnt[kept(flat.lengths, first=False)]
            says = flat.ids[kept(flat.lengths, first=False)]
            lengths = np.maximum(flat.lengths - 1, 0)
        else:
            if self.bos_id is None:
                raise ValueError("target_ids are decoded from BOS on: pass bos_id=")
            framing = framed(targets, None, self.eos_id)
            lengths, learnt, says = framing.lengths, framing.learnt, framing.ids
            ids = np.roll(says, 1, axis=0)
            ids[(np.cumsum(lengths) - lengths)[lengths > 0]] = self.bos_id
        labels = says.astype(np.int64)
        labels[~learnt] = UNLEARNT
        mask = self._mask(lengths)
        made: Batch = {"decoder_input_ids": laid(ids, mask, self.pad_id)}
        made["decoder_attention_mask"] = torch.from_numpy(mask)
        if self.labels is not None:
            made["labels"] = laid(labels, mask, UNLEARNT)
        return made

    def _places(self, flat: Flat, mask: Mask) -> Batch:
        """Return where documents are, for attention within them."""
        sizes = flat.documents
        ends = np.cumsum(sizes)
        position = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)
        numbers = np.arange(len(sizes))
        if self.side != "none":
            numbers = numbers - np.repeat(np.cumsum(flat.counts) - flat.counts, flat.counts)
        cumulative = np.concatenate([[0], ends]).astype(np.int32)
        return {
            "position_ids": laid(position, mask, 0),
            "document_ids": laid(np.repeat(numbers, sizes), mask, -1),
            "cu_seqlens": torch.from_numpy(cumulative),
            "max_seqlen": int(sizes.max(initial=0)),
        }

    def _mask(self, lengths: Indices) -> Mask:
        """Return which places of a batch are no padding."""
        if self.side == "none":
            return np.ones((1, int(lengths.sum())), bool)
        longest = -(-int(lengths.max(initial=0)) // self.multiple_of) * self.multiple_of
        at = np.arange(longest)
        if self.side == "left":
            return np.asarray(at >= longest - lengths[:, None])
        return np.asarray(at < lengths[:, None])


def laid(values: npt.NDArray[Any], mask: Mask, fill: int) -> Tensor:
    """Return values of all tokens in their places of a batch."""
    kind = values.dtype if values.dtype == np.bool_ else np.dtype(np.int64)
    if len(values) == mask.size:
        return torch.from_numpy(values.astype(kind).reshape(*mask.shape, *values.shape[1:]))
    made = np.full((*mask.shape, *values.shape[1:]), fill, kind)
    made[mask] = values
    return torch.from_numpy(made)


def labels_of(flat: Flat, how: str) -> npt.NDArray[np.int64]:
    """Return the label of each token: the one after it in its document, or the token itself."""
    ends = np.cumsum(flat.documents)
    starts = (ends - flat.documents)[flat.documents > 0]
    labels = flat.ids.astype(np.int64)
    labels[~flat.learnt] = UNLEARNT
    labels[starts] = UNLEARNT  # what nothing precedes is predicted by nothing
    if how == "shift":
        labels[:-1] = labels[1:]
        labels[-1:] = UNLEARNT
    return labels


def kept(lengths: Indices, *, first: bool) -> Mask:
    """Return which tokens stay of sequences that lose their last one, or their first."""
    chosen = np.ones(int(lengths.sum()), bool)
    ends = np.cumsum(lengths)[lengths > 0]
    chosen[ends - 1 if first else ends - lengths[lengths > 0]] = False
    return chosen


def framed(flat: Flat, bos: int | None, eos: int | None) -> Flat:
    """Return documents with BOS before and EOS after each."""
    for id_, after in ((bos, False), (eos, True)):
        if id_ is not None:
            ends = np.cumsum(flat.documents)
            at = ends if after else ends - flat.documents
            flat = flat._replace(
                ids=np.insert(flat.ids, at, id_, axis=0),
                learnt=np.insert(flat.learnt, at, after),
                documents=flat.documents + 1,
            )
    return flat


def flat_of(samples: Sequence[Sample], key: str) -> Flat:
    """Return the tokens of some samples, one after the other."""
    ids = [np.asarray(sample[key]) for sample in samples]
    lengths = np.array([len(each) for each in ids], np.int64)
    learnt = np.ones(int(lengths.sum()), bool)
    documents, counts = lengths, np.ones(len(ids), np.int64)
    if key == "input_ids":
        if "loss_mask" in samples[0]:
            learnt = np.concatenate([np.asarray(sample["loss_mask"]) for sample in samples])
        if "cu_seqlens" in samples[0]:
            sizes = [np.diff(np.asarray(sample["cu_seqlens"])) for sample in samples]
            documents = np.concatenate(sizes).astype(np.int64)
            counts = np.array([len(each) for each in sizes], np.int64)
    return Flat(np.concatenate(ids), learnt, documents, counts, np.zeros(len(documents), np.int64))
