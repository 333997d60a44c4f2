"""The content of batches becomes samples, for whoever takes them one by one."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sousa.loaders.checks import check_function
from sousa.loaders.collate import Sample
from sousa.loaders.samplers import whole
from sousa.loaders.token_augment import Augmentation
from sousa.loaders.token_chunks import Drawn, TokenChunk
from sousa.loaders.token_collate import labels_of
from sousa.loaders.token_rules import Rules
from sousa.loaders.token_sequences import Flat

Transform = Callable[[Sample], Sample]


class Pair(NamedTuple):
    """What a language model reads, what it shall say to each token, and what counts.

    Attributes:
        src: Ids, `(T,)` int64.
        tgt: The id that follows each, `(T,)`; -100 where none does.
        mask: Where there is one that counts, `(T,)` bool.
    """

    src: Tensor
    tgt: Tensor
    mask: Tensor


class TokenSamples:
    """How sequences become samples.

    Attributes:
        rules: How rows are cut.
        augment: Changes each row in each epoch; None changes none.
        epoch: By which it does, where samples are taken one by one.
        transforms: Called with each sample, one after the other.
    """

    def __init__(
        self,
        rules: Rules,
        augment: Augmentation | None,
        transform: Transform | Sequence[Transform] | None,
    ) -> None:
        self.rules = rules
        self.augment = augment
        self.epoch = 0
        self.set_transform(transform)

    @property
    def packed(self) -> bool:
        """Whether a sequence may have several documents."""
        return self.rules.mode == "pack"

    def set_epoch(self, epoch: int) -> None:
        """Let `augment` draw for an epoch, where samples are taken one by one."""
        self.epoch = whole(epoch, "epoch", 0)

    def set_transform(self, transform: Transform | Sequence[Transform] | None) -> None:
        """Call a function with each sample, or several one after the other; None calls none.

        Raises:
            TypeError: If one is no function.
        """
        given = transform if isinstance(transform, Sequence) else [transform]
        for each in given:
            check_function(each, "transform")
        self.transforms: tuple[Transform, ...] = tuple(each for each in given if each is not None)

    def samples(self, chunk: TokenChunk, numbers: Sequence[int], epoch: int) -> list[Sample]:
        """Return the samples of some sequences."""
        made: list[Sample] = samples_of(
            chunk.drawn(numbers, self.augment, epoch), packed=self.packed
        )
        for transform in self.transforms:
            made = [dict(transform(sample)) for sample in made]
        return made


def pair_of(drawn: Drawn) -> Pair:
    """Return one sequence as what a model reads and what it shall say."""
    labels = torch.from_numpy(labels_of(drawn.flat, "shift"))
    of_token = labels if labels.ndim == 1 else labels[:, 0]
    return Pair(torch.from_numpy(drawn.flat.ids.astype(np.int64)), labels, of_token >= 0)


def samples_of(drawn: Drawn, *, packed: bool) -> list[Sample]:
    """Return each sequence as a sample, see `TokenDataset`."""
    flat, more, targets = drawn
    ends, token_ends = np.cumsum(flat.counts), np.cumsum(flat.lengths)
    made: list[Sample] = []
    for at, (end, stop) in enumerate(zip(ends.tolist(), token_ends.tolist(), strict=True)):
        first, start = end - int(flat.counts[at]), stop - int(flat.lengths[at])
        sample = sample_of(flat, (start, stop), (first, end), packed=packed)
        documents = slice(first, end) if packed else first
        for name, key in (("row_labels", "label"), ("label_mask", "label_mask")):
            if name in more:
                sample[key] = more[name][documents]
        if "sample_ids" in more:
            sample["sample_id"] = more["sample_ids"][at]
        if targets is not None:
            before = int(targets.documents[:first].sum())
            said = targets.ids[before : before + int(targets.documents[first])]
            sample["target_ids"] = torch.from_numpy(said.astype(np.int64))
        made.append(sample)
    return made


def sample_of(
    flat: Flat, tokens: tuple[int, int], documents: tuple[int, int], *, packed: bool
) -> dict[str, Any]:
    """Return one sequence as tensors."""
    start, stop = tokens
    sample: dict[str, Any] = {
        "input_ids": torch.from_numpy(flat.ids[start:stop].astype(np.int64)),
        "loss_mask": torch.from_numpy(flat.learnt[start:stop]),
    }
    if packed:
        sizes = flat.documents[slice(*documents)]
        ends = np.cumsum(sizes)
        numbers = np.repeat(np.arange(len(sizes)), sizes)
        sample["document_ids"] = torch.from_numpy(numbers)
        places = np.arange(stop - start) - np.repeat(ends - sizes, sizes)
        sample["position_ids"] = torch.from_numpy(places)
        sample["cu_seqlens"] = torch.from_numpy(np.concatenate([[0], ends]).astype(np.int32))
    return sample
