"""Samples become a batch: padded waveforms, lengths, labels, masks."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Sample = Mapping[str, Any]
Batch = dict[str, Any]


def collate_variable_length(batch: Sequence[Sample], pad_value: float = 0.0) -> Batch:
    """Pad samples to the longest of them and stack them.

    Args:
        batch: At least one sample of a `SOUSADataset`; each `waveform` is `(T,)`, T its own.
        pad_value: What fills the end of shorter waveforms.

    Returns:
        `waveforms` `(B, T)` float32, `lengths` `(B,)` int64, `labels` `(B,)` or `(B, k)`,
        `label_mask` bool in the shape of `labels`, `attention_mask` `(B, T)` bool, True on audio,
        `sample_ids`, and `metadata` with lists `skill_tiers`, `rudiment_slugs`, `tempo_bpms`,
        all in the order of `batch`.

    Raises:
        ValueError: If `batch` is empty or a waveform is not `(T,)`.

    Examples:
        >>> def sample(length):
        ...     names = dict(sample_id="a", skill_tier="advanced", rudiment_slug="flam")
        ...     label = dict(label=2, label_mask=torch.tensor(True))
        ...     return dict(waveform=torch.ones(length), tempo_bpm=90, **names, **label)
        >>> batch = collate_variable_length([sample(2), sample(3)])
        >>> batch["waveforms"]
        tensor([[1., 1., 0.],
                [1., 1., 1.]])
        >>> batch["labels"], batch["lengths"]
        (tensor([2, 2]), tensor([2, 3]))
    """
    return stack(batch, max((len(waveform_of(sample)) for sample in batch), default=0), pad_value)


def collate_fixed_length(
    batch: Sequence[Sample], target_length: int, pad_value: float = 0.0
) -> Batch:
    """Cut or pad samples to one length and stack them.

    Args:
        batch: At least one sample of a `SOUSADataset`; each `waveform` is `(T,)`, T its own.
        target_length: Samples that every waveform of the batch has; longer ones lose their end.
        pad_value: What fills the end of shorter waveforms.

    Returns:
        What `collate_variable_length` returns, with T = `target_length`.

    Raises:
        ValueError: If `batch` is empty, a waveform is not `(T,)`, or the length is below 1.
    """
    check_length(target_length, "target_length")
    return stack(batch, target_length, pad_value)


def check_length(length: int, name: str) -> None:
    """Refuse what is no number of samples.

    Raises:
        ValueError: If it is not an integer of at least 1.
    """
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise ValueError(f"{name} is a number of samples, an integer >= 1; got {length!r}")


def stack(batch: Sequence[Sample], length: int, pad_value: float) -> Batch:
    """Write samples into a batch of the given length."""
    if not batch:
        raise ValueError("a batch needs at least one sample, got none")
    waveforms = torch.full((len(batch), length), pad_value, dtype=torch.float32)
    lengths = torch.empty(len(batch), dtype=torch.int64)
    for row, sample in enumerate(batch):
        wave = waveform_of(sample)
        size = min(len(wave), length)
        waveforms[row, :size] = wave[:size]
        lengths[row] = size
    return {
        "waveforms": waveforms,
        "lengths": lengths,
        "labels": stack_labels([sample["label"] for sample in batch]),
        "label_mask": torch.stack([sample["label_mask"] for sample in batch]),
        "attention_mask": torch.arange(length) < lengths[:, None],
        "sample_ids": [sample["sample_id"] for sample in batch],
        "metadata": {
            "skill_tiers": [sample["skill_tier"] for sample in batch],
            "rudiment_slugs": [sample["rudiment_slug"] for sample in batch],
            "tempo_bpms": [sample["tempo_bpm"] for sample in batch],
        },
    }


def waveform_of(sample: Sample) -> Tensor:
    """Return a sample's waveform.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If it is not `(T,)`.
    """
    wave, name = sample["waveform"], sample["sample_id"]
    if not isinstance(wave, Tensor):
        raise TypeError(
            f"waveform of sample {name} must be a tensor, is a {type(wave).__name__}: let the "
            "transform return one, or pass your own collate_fn"
        )
    if wave.ndim != 1:
        raise ValueError(
            f"waveform of sample {name} must be (T,), is {tuple(wave.shape)}; "
            "for a transform that returns features, pass your own collate_fn"
        )
    return wave


def stack_labels(labels: Sequence[int | Tensor]) -> Tensor:
    """Return class ids as int64 `(B,)`, scores as float32 `(B,)` or `(B, k)`."""
    return torch.stack([torch.as_tensor(label) for label in labels])


def emptied(batch: Batch) -> Batch:
    """Return a batch of one sample without it: the same entries, none of them with a row."""
    return {
        name: {key: values[:0] for key, values in value.items()}
        if isinstance(value, dict)
        else value[:0]
        for name, value in batch.items()
    }
