"""The loader: batches in an order that can be named, stopped and taken up again."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

import torch
from torch.utils.data import DataLoader

from sousa.loaders.collate import (
    Batch,
    check_length,
    collate_fixed_length,
    collate_variable_length,
    moved,
)
from sousa.loaders.dataset import Sample, SOUSADataset
from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.fetched import Collate, Fetched, Separate
from sousa.loaders.samplers import BatchOrder, RowBatchSampler, StratifiedBatchSampler
from sousa.loaders.source import Data

STATE_VERSION: Final = 1
"""Counts up when the meaning of a state changes."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a loader has yielded so far.

    Attributes:
        batches: Batches.
        clips: Clips in them.
        skipped: Every broken row that was left out, once: (file, row in file, sample_id, cause).
    """

    batches: int
    clips: int
    skipped: tuple[BrokenRow, ...]


class Loader(DataLoader[Sample]):
    """A DataLoader that knows where it is.

    Each pass is the next epoch. `state_dict` tells the place after the last batch that was
    yielded, whatever workers have read ahead; `load_state_dict` lets the next pass go on there.
    `create_dataloader` makes one.

    Args:
        dataset: What to read; its `on_error` holds for the loader.
        order: Its batches.
        collate: Makes a batch of samples.
        device: Where batches go; None leaves them in memory.
        options: Passed on to `torch.utils.data.DataLoader`.
    """

    def __init__(
        self,
        dataset: SOUSADataset,
        order: BatchOrder,
        collate: Collate,
        *,
        device: torch.device | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            dataset.reporting(),
            batch_sampler=order,
            collate_fn=Separate(collate, dataset.blank()),
            **options,
        )
        self._dataset = dataset
        self._order = order
        self._device = device
        self._place = order.place
        self._batches = 0
        self._clips = 0
        self._skipped = dict.fromkeys(dataset.broken)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Begin a pass: the batches of one epoch, or the rest of them after a resume."""
        epoch, first = self._place = self._order.place
        found = super().__iter__()
        self._order.seek(epoch + 1)  # now, though without workers nothing was drawn yet
        return self._pass(found, epoch, first)

    def _pass(self, found: Iterator[Fetched], epoch: int, first: int) -> Iterator[Batch]:
        for place, fetched in enumerate(found, start=first + 1):
            if fetched.broken and self._dataset.on_error == "raise":
                raise BrokenRowError(fetched.broken[0])
            self._skipped.update(dict.fromkeys(fetched.broken))
            self._batches += 1
            self._clips += fetched.clips
            self._place = (epoch, place)
            yield moved(fetched.batch, self._device)

    @cached_property
    def _key(self) -> dict[str, Any]:
        """What a state must agree on: the order, and the data."""
        fingerprint = self._dataset.fingerprint()
        return self._order.key() | {"rows": len(self._dataset), "data": fingerprint}

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be an epoch; a resumed place within this epoch is kept."""
        if self._order.place[0] != epoch:
            self._order.set_epoch(epoch)
        self._place = self._order.place

    def state_dict(self) -> dict[str, Any]:
        """Return the place after the last batch that was yielded, as JSON values."""
        epoch, batch = self._place
        if batch and batch == len(self):
            epoch, batch = epoch + 1, 0
        return {"version": STATE_VERSION, "epoch": epoch, "batch": batch, "of": dict(self._key)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass begin where a state was taken, with any number of workers.

        Raises:
            ValueError: If the state is not whole, of other data or of another order.
        """
        if state.get("version") != STATE_VERSION:
            raise ValueError(
                f"a state of version {STATE_VERSION} is needed, got {state.get('version')}"
            )
        if lacking := [name for name in ("epoch", "batch", "of") if name not in state]:
            raise ValueError(f"the state lacks {', '.join(lacking)}: it is no whole state_dict()")
        theirs = state["of"]
        names = sorted(self._key.keys() | theirs.keys())
        changed = [
            f"{name} was {theirs.get(name)!r} and is {self._key.get(name)!r}"
            for name in names
            if theirs.get(name) != self._key.get(name)
        ]
        if changed:
            raise ValueError(f"the state belongs to another loader: {', '.join(changed)}")
        self._order.seek(state["epoch"], state["batch"])
        self._place = self._order.place

    def stats(self) -> Stats:
        """Return what was yielded and what was skipped since the loader was made."""
        return Stats(self._batches, self._clips, tuple(self._skipped))


def create_dataloader(  # noqa: PLR0913 - the contract
    dataset: SOUSADataset | Data,
    batch_size: int = 16,
    shuffle: bool = True,  # noqa: FBT001, FBT002 - the contract
    num_workers: int = 4,
    fixed_length: int | None = None,
    pin_memory: bool = True,  # noqa: FBT001, FBT002 - the contract
    *,
    stratify: str | None = None,
    weights: Mapping[str, float] | None = None,
    policy: str = "oversample",
    seed: int = 0,
    drop_last: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
    device: str | torch.device | None = None,
    on_error: str | None = None,
    collate_fn: Collate | None = None,
    **options: Any,
) -> Loader:
    """Return a loader of batches.

    The order is a function of `seed` and epoch, never of `num_workers`. Every rank has the same
    number of batches, and together they have every row once (but see `stratify`, `drop_last`).
    It also follows how rows are grouped in files, so it differs between `audio` and `audio_16k`.

    Args:
        dataset: A `SOUSADataset`, or what makes one with its defaults.
        batch_size: Clips of a batch.
        shuffle: Random order, another one each epoch; else stored order.
        num_workers: Worker processes, at most as many as this process may use cores; 0 reads in
            this process.
        fixed_length: Samples that every waveform is cut or padded to; None pads to the longest.
        pin_memory: Whether batches lie in pinned memory; only where CUDA is available.
        stratify: A label column, or any column of strings, whose classes get equal shares of
            each batch, always shuffled: see `StratifiedBatchSampler`.
        weights: Shares of the classes by their names, with `stratify`.
        policy: What happens to rarer classes, with `stratify`.
        seed: At least 0.
        drop_last: Leave out the last batches of an epoch where they are not full.
        rank: This process; None asks `torch.distributed`.
        world_size: How many processes share the rows; None asks `torch.distributed`.
        device: Where batches go, such as `"cuda"`; None leaves them in memory.
        on_error: `raise` or `skip`, see `SOUSADataset`, whose choice None takes. Skipped rows
            are listed by `stats()`; their batches are smaller, and may be empty, so that
            `len()` and the ranks stay in step.
        collate_fn: Makes a batch in place of our collators, for transforms that return features.
        options: Passed on to `torch.utils.data.DataLoader`, such as `persistent_workers`.

    Raises:
        ValueError: If an argument is not as above.
        TypeError: If `dataset` or `weights` is of another type.
        BrokenRowError: If files cannot be read, with `on_error="raise"`.
    """
    if not isinstance(dataset, SOUSADataset):
        dataset = SOUSADataset(dataset, on_error="raise" if on_error is None else on_error)
    if on_error is not None:
        dataset = dataset.deciding(on_error)
    if stratify is None and (weights is not None or policy != "oversample"):
        raise ValueError("weights and policy need stratify=, the column of their classes")
    if stratify is not None and not shuffle:
        raise ValueError("stratify= makes shuffled batches, so it cannot go with shuffle=False")
    order: BatchOrder
    if stratify is None:
        order = RowBatchSampler(
            dataset,
            batch_size,
            drop_last,
            shuffle=shuffle,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
    else:
        order = StratifiedBatchSampler(
            dataset,
            batch_size,
            drop_last,
            by=stratify,
            seed=seed,
            weights=weights,
            policy=policy,
            rank=rank,
            world_size=world_size,
        )
    return Loader(
        dataset,
        order,
        choose_collate(collate_fn, fixed_length),
        device=choose_device(device),
        num_workers=choose_workers(num_workers),
        pin_memory=pin_memory and torch.cuda.is_available(),
        **options,
    )


def choose_collate(collate_fn: Collate | None, fixed_length: int | None) -> Collate:
    """Return the collator for the arguments of `create_dataloader`."""
    if fixed_length is None:
        return collate_fn or collate_variable_length
    if collate_fn is not None:
        raise ValueError("fixed_length is for our collators: leave it out with your own collate_fn")
    check_length(fixed_length, "fixed_length")
    return partial(collate_fixed_length, target_length=fixed_length)


def choose_workers(num_workers: int) -> int:
    """Return the number of workers, at most the cores that this process may use."""
    if num_workers < 0:
        raise ValueError(f"num_workers must be >= 0, got {num_workers}")
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
