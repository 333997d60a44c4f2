"""What a user wants of a loader becomes one."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from sousa.loaders.arguments import (
    WORKER_TYPES,
    Ordering,
    checked_ranks,
    choose_collate,
    choose_crop,
    choose_device,
    choose_feed,
    choose_finish,
    choose_strata,
    choose_workers,
    own_options,
)
from sousa.loaders.buffers import Buffers
from sousa.loaders.checks import check_choice, check_flag, check_function
from sousa.loaders.collate import Batch
from sousa.loaders.dataset import SOUSADataset
from sousa.loaders.fetched import Collate, Maker
from sousa.loaders.loader import PREFETCH, Delivery, Loader
from sousa.loaders.samplers import whole
from sousa.loaders.source import Data
from sousa.loaders.stream_feeds import Batching
from sousa.loaders.token_arguments import check_no_sound
from sousa.loaders.token_dataset import TokenDataset
from sousa.loaders.token_loader import create_token_dataloader


def create_dataloader(  # noqa: PLR0913 - the contract
    dataset: SOUSADataset | TokenDataset | Data,
    batch_size: int = 16,
    shuffle: bool = True,  # noqa: FBT001, FBT002 - the contract
    num_workers: int = 4,
    fixed_length: int | None = None,
    pin_memory: bool = True,  # noqa: FBT001, FBT002 - the contract
    *,
    stratify: str | None = None,
    weights: Mapping[str, float] | None = None,
    policy: str = "oversample",
    bucket: bool = False,
    max_samples: int | None = None,
    seed: int = 0,
    drop_last: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
    device: str | torch.device | None = None,
    transfer: str = "float32",
    crop_sec: float | None = None,
    crop: str = "random",
    on_error: str | None = None,
    collate_fn: Collate | None = None,
    batch_transform: Callable[[Batch], Batch] | None = None,
    worker_type: str = "thread",
    progress: bool = False,
    **options: Any,
) -> Loader:
    """Return a loader of batches.

    The order is a function of `seed` and epoch, never of `num_workers`. Every rank has the same
    number of batches, and together they have every row once (but see `stratify`, `drop_last`).
    It also follows how rows are grouped in files, so it differs between `audio` and `audio_16k`.

    A stream is shuffled in bounded memory, each rank reads all of it and makes its own batches. One
    that cannot be resumed otherwise, because it is stratified, bucketed, or of your own `shuffle`
    or `interleave_datasets`, is read again from the epoch's start, though not decoded.

    It works as it is in a bare loop, in accelerate (`prepare` leaves its order to it, and saves its
    state) and in Lightning. Of a stream whose length nobody knows, Lightning reads one batch ahead,
    which is lost when training goes on in the middle of an epoch.

    Args:
        dataset: A `SOUSADataset`, or what makes one with its defaults. Of a `TokenDataset`,
            `create_token_dataloader` makes the loader, and options of sound have no meaning.
        batch_size: Clips of a batch.
        shuffle: Random order, another one each epoch; else stored order.
        num_workers: Threads or processes that make batches ahead, at most as many as this process
            may use cores; 0 makes them in the thread that asks.
        fixed_length: Samples that every waveform is cut or padded to; None pads to the longest.
        pin_memory: Whether batches lie in pinned memory; only where CUDA is available.
        stratify: A label column, or any column of strings, whose classes get equal shares of
            each batch, always shuffled: see `StratifiedBatchSampler`, and `StratifiedFeed` for
            streams.
        weights: Shares of the classes by their names, with `stratify`.
        policy: What happens to rarer classes, with `stratify`: `oversample` or `undersample`.
        bucket: Put clips of similar length together; `stats().padding` tells what it saves.
        max_samples: With `bucket`, the largest batch in samples, padding included, in place of
            `batch_size`.
        seed: At least 0.
        drop_last: Leave out the last batches of an epoch where they are not full.
        rank: This process; None asks `torch.distributed`.
        world_size: How many processes share the rows; None asks `torch.distributed`.
        device: Where batches go, such as `"cuda"`, one ahead on a stream of its own; None leaves
            them in memory, but for accelerate, whose device they then go to.
        transfer: `float32`, or `int16`: clips travel as they are stored, and the device converts,
            resamples, normalises and cuts them.
        crop_sec: Cut each clip to so many seconds before it is decoded, where the format allows;
            a peak is then that of the part.
        crop: Where: `random`, a function of seed, epoch and row, `start` or `center`.
        on_error: `raise` or `skip`, see `SOUSADataset`, whose choice None takes. Skipped rows
            are logged at the end of a pass and listed by `stats()`; their batches are smaller, and
            may be empty, so that `len()` and the ranks stay in step.
        collate_fn: Makes a batch in place of our collators, for transforms that return features.
        batch_transform: Called with each batch where it is made; returns what shall be the batch.
        worker_type: `thread`, or `process` for transforms that keep Python busy.
        progress: Show a bar.
        options: `prefetch_factor`, the batches that each worker makes ahead; with processes any
            other of `torch.utils.data.DataLoader`, such as `multiprocessing_context`.

    Raises:
        ValueError: If an argument is not as above.
        TypeError: If an argument is of another type, or an option has no meaning here.
        BrokenRowError: If files cannot be read, with `on_error="raise"`.
    """
    if isinstance(dataset, TokenDataset):
        check_no_sound(
            fixed_length=fixed_length,
            stratify=stratify,
            weights=weights,
            bucket=bucket or None,
            max_samples=max_samples,
            crop_sec=crop_sec,
            on_error=on_error,
            worker_type=None if worker_type == "thread" else worker_type,
            transfer=None if transfer == "float32" else transfer,
            **options,
        )
        return create_token_dataloader(
            dataset,
            batch_size,
            shuffle,
            num_workers,
            collator=collate_fn,
            seed=seed,
            drop_last=drop_last,
            rank=rank,
            world_size=world_size,
            device=device,
            pin_memory=pin_memory,
            batch_transform=batch_transform,
            progress=progress,
        )
    if not isinstance(dataset, SOUSADataset):
        dataset = SOUSADataset(dataset, on_error="raise" if on_error is None else on_error)
    if on_error is not None:
        dataset = dataset.deciding(on_error)
    check_choice(worker_type, "worker_type", WORKER_TYPES)
    flags = {"shuffle": shuffle, "drop_last": drop_last, "bucket": bucket, "progress": progress}
    for name, flag in (flags | {"pin_memory": pin_memory}).items():
        check_flag(flag, name)
    check_function(collate_fn, "collate_fn")
    check_function(batch_transform, "batch_transform")
    strata = choose_strata(stratify, weights, policy, shuffle=shuffle)
    batching = Batching(
        whole(batch_size, "batch_size", 1),
        drop_last,
        shuffle,
        whole(seed, "seed", 0),
        checked_ranks(rank, world_size),
    )
    ordering = Ordering(strata, bucket, max_samples)
    feed = choose_feed(dataset, batching, ordering, choose_crop(crop_sec, crop, seed))
    threads = worker_type == "thread"
    prefetch = options.get("prefetch_factor") or PREFETCH
    options = own_options(options, threads=threads)
    pinned = pin_memory and torch.cuda.is_available()
    finish = choose_finish(dataset, transfer, fixed_length)
    maker = Maker(
        dataset if finish is None else dataset.stored(),
        choose_collate(dataset, collate_fn, fixed_length),
        fixed_length,
        batch_transform,
        finish is not None,
        Buffers(pinned=pinned and threads),
    )
    chosen = choose_device(device)
    delivery = Delivery(
        choose_workers(num_workers), not threads, prefetch, chosen, finish, progress
    )
    return Loader(maker, feed, delivery, pin_memory=pinned, **options)
