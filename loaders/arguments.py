"""What each argument of `create_dataloader` becomes."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import torch

from sousa.loaders.bucket_feed import BucketFeed
from sousa.loaders.buckets import BucketBatchSampler
from sousa.loaders.checks import check_choice, check_positive
from sousa.loaders.collate import (
    check_length,
    collate_fixed_length,
    collate_variable_length,
)
from sousa.loaders.dataset import SOUSADataset
from sousa.loaders.feeds import CROPS, Crop, Feed, IndexFeed
from sousa.loaders.fetched import Collate
from sousa.loaders.finish import Finish
from sousa.loaders.held import Strata
from sousa.loaders.loader import DECIDED
from sousa.loaders.samplers import BatchOrder, RowBatchSampler, ranks, whole
from sousa.loaders.shares import POLICIES
from sousa.loaders.stratified import StratifiedBatchSampler
from sousa.loaders.stratified_feed import StratifiedFeed
from sousa.loaders.stream_feeds import Batching, RowFeed

WORKER_TYPES: Final = ("thread", "process")
TRANSFERS: Final = ("float32", "int16")

FOR_THREADS: Final = ("prefetch_factor", "persistent_workers")
"""Options of PyTorch's DataLoader that threads may have: the second is of no consequence."""


class Ordering(NamedTuple):
    """Which rows go together, beside what `Batching` says.

    Attributes:
        strata: Shares of classes; None where batches are not stratified.
        bucket: Whether rows of a batch have similar lengths.
        max_samples: The largest batch in samples; None where rows are counted.
    """

    strata: Strata | None
    bucket: bool
    max_samples: int | None


def own_options(options: Mapping[str, Any], *, threads: bool) -> dict[str, Any]:
    """Return the options of `torch.utils.data.DataLoader` that have a meaning here.

    Raises:
        TypeError: If one has none.
    """
    if ours := [name for name in options if name in DECIDED]:
        raise TypeError(
            f"{', '.join(ours)}: the order comes from shuffle, stratify, bucket and seed; for a "
            "sampler of your own use torch.utils.data.DataLoader with a SOUSADataset"
        )
    if not threads:
        return dict(options)
    if others := [name for name in options if name not in FOR_THREADS]:
        raise TypeError(f"{', '.join(others)} needs worker_type='process', as threads have no use")
    return {}


def choose_strata(
    by: str | None, weights: Mapping[str, float] | None, policy: str, *, shuffle: bool
) -> Strata | None:
    """Return the shares of classes, if batches are stratified."""
    if by is None:
        if weights is not None or policy != "oversample":
            raise ValueError("weights and policy need stratify=, the column of their classes")
        return None
    if not shuffle:
        raise ValueError("stratify= makes shuffled batches, so it cannot go with shuffle=False")
    check_choice(policy, "policy", POLICIES)
    if weights is not None and not isinstance(weights, Mapping):
        raise TypeError(f"weights must map names of classes to shares, got {weights!r}")
    return Strata(by, weights, policy)


def choose_feed(
    dataset: SOUSADataset, batching: Batching, ordering: Ordering, crop: Crop | None
) -> Feed:
    """Return what comes next, for rows with numbers or for a stream."""
    strata, bucket, max_samples = ordering
    if max_samples is not None and not bucket:
        raise ValueError("max_samples needs bucket=True")
    if strata is not None and bucket:
        raise ValueError("stratify= and bucket=True cannot go together: choose one")
    stream = dataset.stream
    if stream is None:
        return IndexFeed(choose_order(dataset, batching, ordering), crop)
    if strata is not None:
        return StratifiedFeed(stream.also(strata.by), batching, crop, strata)
    if bucket:
        return BucketFeed(stream, batching, crop, dataset.samples.waves, max_samples)
    return RowFeed(stream, batching, crop)


def choose_order(dataset: SOUSADataset, batching: Batching, ordering: Ordering) -> BatchOrder:
    """Return the batches of row numbers."""
    size, last = batching.batch_size, batching.drop_last
    rank, world_size = batching.ranks
    shared: dict[str, Any] = {"seed": batching.seed, "rank": rank, "world_size": world_size}
    if ordering.strata is not None:
        by, weights, policy = ordering.strata.by, ordering.strata.weights, ordering.strata.policy
        return StratifiedBatchSampler(
            dataset, size, last, by=by, weights=weights, policy=policy, **shared
        )
    shared["shuffle"] = batching.shuffle
    if ordering.bucket:
        most = ordering.max_samples
        lengths = dataset.lengths()
        return BucketBatchSampler(dataset, lengths, size, last, max_samples=most, **shared)
    return RowBatchSampler(dataset, size, last, **shared)


def choose_crop(length_sec: float | None, where: str, seed: int) -> Crop | None:
    """Return the part of each clip that is wanted, if not all."""
    check_choice(where, "crop", CROPS)
    check_positive(length_sec, "crop_sec")
    return None if length_sec is None else Crop(length_sec, where, seed)


def choose_finish(dataset: SOUSADataset, transfer: str, fixed_length: int | None) -> Finish | None:
    """Return what the device does with 16-bit clips; None where they come finished."""
    check_choice(transfer, "transfer", TRANSFERS)
    if transfer == "float32":
        return None
    waves = dataset.samples.waves
    decoder = waves.decoder
    if dataset.samples.transform is not None:
        raise ValueError("transfer='int16' leaves waveforms to the device: no transform before it")
    stored_hz = decoder.declared_hz
    if stored_hz is None:
        raise ValueError(
            "transfer='int16' needs clips of one rate, and the audio column declares none: "
            "cast it with cast_column('audio', Audio(rate, decode=False))"
        )
    max_length = None
    if waves.max_sec is not None:
        max_length = round(waves.max_sec * (decoder.rate_hz or stored_hz))
    return Finish(
        stored_hz, decoder.rate_hz, decoder.resampler, waves.normalize, fixed_length, max_length
    )


def choose_collate(
    dataset: SOUSADataset, collate_fn: Collate | None, fixed_length: int | None
) -> Collate | None:
    """Return what makes batches of samples; None where none are made on the way to a batch."""
    if fixed_length is not None:
        if collate_fn is not None:
            raise ValueError(
                "fixed_length is for our collators: leave it out with your own collate_fn"
            )
        check_length(fixed_length, "fixed_length")
    if collate_fn is not None or dataset.samples.transform is None:
        return collate_fn
    if fixed_length is None:
        return collate_variable_length
    return partial(collate_fixed_length, target_length=fixed_length)


def choose_workers(num_workers: int) -> int:
    """Return the number of workers, at most the cores that this process may use."""
    num_workers = whole(num_workers, "num_workers", 0)
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return min(num_workers, len(os.sched_getaffinity(0)))
    return min(num_workers, os.cpu_count() or 1)


def choose_device(device: str | torch.device | None) -> torch.device | None:
    """Return the device, if it is there."""
    if device is None:
        return None
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, and PyTorch sees no CUDA here: use cpu, or None")
    return chosen


def checked_ranks(rank: int | None, world_size: int | None) -> tuple[int | None, int | None]:
    """Return rank and number of ranks as given.

    Raises:
        ValueError: If only one of the two is given, or rank is not in [0, world_size).
    """
    ranks(rank, world_size)
    return rank, world_size
