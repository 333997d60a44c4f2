"""The content of batches becomes samples, for whoever takes them one by one."""

from typing import Any

import numpy as np
import torch

from sousa.loaders.collate import Sample
from sousa.loaders.token_chunks import Drawn
from sousa.loaders.token_sequences import Flat


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
