"""Batches go to the device, ahead of the step that needs them."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from sousa.loaders.collate import Batch
from sousa.loaders.finish import Finish

Key = TypeVar("Key")
Before = TypeVar("Before")
After = TypeVar("After")


def ahead(
    items: Iterator[tuple[Key, Batch]],
    device: torch.device,
    depth: int = 1,
    finish: Finish | None = None,
) -> Iterator[tuple[Key, Batch]]:
    """Yield batches whose tensors are on a device, each with the key that it came with.

    To a GPU, batches are copied and finished on a stream of their own while the consumer's works
    on an earlier one. A batch that is yielded is safe to use on the stream that was current when
    it was asked for. Copies are asynchronous only from pinned memory. To any other device batches
    go one by one, none ahead.

    Args:
        items: Pairs of anything, such as the state after a batch, and the batch.
        device: Where to.
        depth: How many batches beyond the one that the consumer has are read and copied; 0 copies
            each when it is asked for. The first batch does not wait for others.
        finish: What turns the int16 `waveforms` of a batch and its `lengths` into float32
            `waveforms`, `lengths` and `attention_mask`; None leaves them as they are.

    Raises:
        Exception: What `items` raises, after all batches before it were yielded.
    """
    if device.type != "cuda":
        for key, batch in items:
            yield key, placed(batch, device, finish)
        return
    lane = Lane(device, finish)
    try:
        for key, copy in started_ahead(items, lane.start, depth):
            yield key, lane.hand_over(copy)
    finally:
        lane.close()


def placed(batch: Batch, device: torch.device, finish: Finish | None = None) -> Batch:
    """Return a batch with its tensors on a device, finished there; all else stays as it is."""
    batch = {
        name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }
    if finish is not None:
        made = finish(batch["waveforms"], batch["lengths"])
        batch["waveforms"], batch["lengths"], batch["attention_mask"] = made
    return batch


def started_ahead(
    items: Iterator[tuple[Key, Before]], start: Callable[[Before], After], depth: int
) -> Iterator[tuple[Key, After]]:
    """Yield what was started, with up to `depth` more of it under way; the first goes alone.

    Raises:
        Exception: What `items` or `start` raises, after all before it was yielded.
    """
    started: deque[tuple[Key, After]] = deque()
    failure: Exception | None = None
    wanted = 1
    while True:
        try:
            if failure is None:
                for key, item in islice(items, wanted - len(started)):
                    started.append((key, start(item)))
        except Exception as error:
            failure = error
        if started:
            yield started.popleft()
        elif failure is not None:
            raise failure
        else:
            return
        wanted = depth + 1


@dataclass(frozen=True)
class Copy:
    """A batch on its way: what the host still has to keep, what the device gets, and when."""

    host: Batch
    batch: Batch
    done: torch.cuda.Event


class Lane:
    """A stream of a GPU on which batches are copied and finished."""

    def __init__(self, device: torch.device, finish: Finish | None) -> None:
        self.device = device
        self.finish = finish
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.under_way: deque[Copy] = deque()

    def start(self, host: Batch) -> Copy:
        """Begin to copy a batch; the host's memory is kept until that is done."""
        while self.under_way and self.under_way[0].done.query():  # type: ignore[no-untyped-call]
            self.under_way.popleft()
        with torch.cuda.stream(self.stream):
            batch = placed(host, self.device, self.finish)
            copy = Copy(host, batch, self.stream.record_event())
        self.under_way.append(copy)
        return copy

    def hand_over(self, copy: Copy) -> Batch:
        """Return a batch to the current stream, which waits for it; the host does not."""
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(copy.done)
        for value in copy.batch.values():
            if isinstance(value, Tensor):
                value.record_stream(stream)  # else its memory is free for the next copy too early
        return copy.batch

    def close(self) -> None:
        """Wait for the copies under way, so that the host may have its memory back."""
        self.stream.synchronize()
        self.under_way.clear()
