"""The loader: batches in an order that can be named, stopped and taken up again."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import torch
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from sousa.loaders.collate import Batch
from sousa.loaders.errors import BrokenRowError
from sousa.loaders.feeds import Feed, IndexFeed
from sousa.loaders.fetched import Fetched, Maker
from sousa.loaders.finish import Finish
from sousa.loaders.samplers import Place, whole
from sousa.loaders.samples import Sample
from sousa.loaders.stats import Counted, Stats, Watch
from sousa.loaders.threads import in_order, read_ahead
from sousa.loaders.trainers import Course, accelerator_device, announced, collator
from sousa.loaders.transfer import ahead
from sousa.loaders.workers import Workshop

STATE_VERSION: Final = 2
"""Counts up when the meaning of a state changes."""

PREFETCH: Final = 2
"""Batches that each thread makes ahead."""

DECIDED: Final = (
    *("dataset", "collate_fn", "num_workers"),
    *("batch_size", "shuffle", "sampler", "batch_sampler", "drop_last"),
)
"""Arguments of a DataLoader that maker, feed and delivery decide."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How batches come to the training loop.

    Attributes:
        workers: Threads or processes that make batches; 0 makes them in the thread that asks.
        processes: Whether workers are processes.
        prefetch: Batches that each thread makes ahead.
        device: Where batches go; None leaves them in memory.
        finish: What the device does with int16 batches; None where they come finished.
        progress: Whether to show a bar.
    """

    workers: int
    processes: bool = False
    prefetch: int = PREFETCH
    device: torch.device | None = None
    finish: Finish | None = None
    progress: bool = False


class Loader(DataLoader[Sample]):
    """A DataLoader that knows where it is.

    Each pass is the next epoch. `state_dict` tells the place after the last batch that was
    yielded, whatever was read ahead; `load_state_dict` lets the next pass go on there.
    `create_dataloader` makes one.

    Args:
        maker: Makes batches of a dataset.
        feed: What comes next.
        delivery: How it comes.
        options: Passed on to the `torch.utils.data.DataLoader` whose processes make batches.

    Attributes:
        end_of_dataloader: Whether the batch that was yielded last is the last of its epoch.
        remainder: Rows that accelerate keeps of a last step which was filled up by repetition; 0,
            as no rank repeats rows for that.
        use_stateful_dataloader: Tells accelerate to save and load the state.
    """

    remainder: Final = 0
    use_stateful_dataloader: Final = True

    def __init__(self, maker: Maker, feed: Feed, delivery: Delivery, **options: Any) -> None:
        # A trainer that makes a loader anew passes all that it finds, which may be too much.
        options = {name: value for name, value in options.items() if name not in DECIDED}
        given: dict[str, Any] = {"batch_size": None}
        if isinstance(feed, IndexFeed) and not isinstance(maker.dataset, IterableDataset):
            given = {"batch_sampler": feed.order}
        workers = delivery.workers if delivery.processes else 0
        given |= {"collate_fn": collator(maker), "num_workers": workers}
        super().__init__(maker.dataset, **given, **options)
        self.num_workers = delivery.workers
        self.maker = maker
        self.feed = feed
        self.delivery = delivery
        self.end_of_dataloader = False
        self._accelerated = False
        self._workshop = Workshop(maker, workers, options) if delivery.processes else None
        self._course = Course(feed)
        self._counted = Counted(dict.fromkeys(maker.dataset.broken))
        key = feed.key()
        # Past PyTorch's guard of these names, which knows batches of row numbers only.
        shown = {"batch_size": key["batch_size"], "drop_last": key["drop_last"]}
        vars(self).update(shown, sampler=self._course)

    @property
    def _is_accelerate_prepared(self) -> bool:
        """What accelerate asks to leave a loader as it is: this one has its own ranks and places.

        From here on batches go to accelerate's device, where no other was chosen.
        """
        self._accelerated = True
        if self.delivery.device is None:
            self.delivery = replace(self.delivery, device=accelerator_device())
        return True

    @_is_accelerate_prepared.setter
    def _is_accelerate_prepared(self, prepared: bool) -> None:
        """Let accelerate note what it has been told."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Yield the batches of one epoch, or the rest of them after a resume.

        The pass begins with its first batch: until then `set_epoch` may say which epoch it is.
        """
        place = self._course.begin()
        self.end_of_dataloader = False
        with announced(self) if self._accelerated else nullcontext():
            yield from self._pass(place)

    def _pass(self, place: Place) -> Iterator[Batch]:
        watch = Watch(self._counted)
        made = self._counting(self._made(place))
        device, finish = self.delivery.device, self.delivery.finish
        if device is None and finish is not None:
            device = torch.device("cpu")
        pairs = made if device is None else ahead(made, device, 1, finish)
        bar = tqdm(total=self._left(place), unit=" batches", disable=not self.delivery.progress)
        with closing(made), closing(pairs), bar:  # type: ignore[type-var]
            for after, batch in pairs:
                watch.arrived()
                self._course.place = after
                self.end_of_dataloader = after.epoch != place.epoch
                bar.update()
                yield batch
                watch.asked()
            watch.arrived()
            self._counted.tell()

    def _made(self, place: Place) -> Iterator[tuple[Place, Fetched]]:
        """Yield the batches of a pass as they come from whoever makes them."""
        delivery, stop = self.delivery, threading.Event()
        jobs = self.feed.stopping(stop).jobs(place)
        if self.feed.reads and delivery.workers:
            jobs = read_ahead(jobs, PREFETCH, stop)
        if self._workshop is not None:
            return self._workshop.made(jobs)
        return in_order(jobs, self.maker, delivery.workers, delivery.workers * delivery.prefetch)

    def _counting(self, made: Iterator[tuple[Place, Fetched]]) -> Iterator[tuple[Place, Batch]]:
        """Yield batches, counted; raise at a broken row, unless it may be skipped."""
        with closing(made):  # type: ignore[type-var]
            for place, fetched in made:
                if fetched.broken and self.maker.dataset.on_error == "raise":
                    raise BrokenRowError(fetched.broken[0])
                self._counted.count(fetched)
                yield place, fetched.batch
        self._counted.skip(self.maker.dataset.broken)

    def _left(self, place: Place) -> int | None:
        try:
            return len(self) - sum(steps for _, steps in place.past)
        except TypeError:
            return None

    def __len__(self) -> int:
        """Return the number of batches of the epoch of the pass under way, or of the next one.

        Raises:
            TypeError: If nobody knows.
        """
        return self.feed.total(self._course.epoch)

    @cached_property
    def _key(self) -> dict[str, Any]:
        """What a state must agree on: the order, and the data."""
        dataset = self.maker.dataset
        rows = dataset.layout.rows if dataset.stream is None else dataset.stream.length
        return {**self.feed.key(), "rows": rows, "data": dataset.fingerprint()}

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be an epoch; a resumed place within this epoch is kept.

        Raises:
            ValueError: If the epoch is no integer of at least 0.
        """
        self._course.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the place after the last batch that was yielded, as JSON values."""
        epoch, past, window, row = self._course.place
        state = {"version": STATE_VERSION, "epoch": epoch, "past": [list(leg) for leg in past]}
        stream = {"window": window, "row": row} if window else {}
        return {**state, **stream, "of": dict(self._key)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass begin where a state was taken.

        The number of workers may be another one. So may be the number of ranks, where the state
        was taken when all of them had made equally many batches.

        Raises:
            ValueError: If the state is not whole, of other data or of another order.
        """
        if not isinstance(state, Mapping) or state.get("version") != STATE_VERSION:
            got = state.get("version") if isinstance(state, Mapping) else type(state).__name__
            raise ValueError(f"a state of version {STATE_VERSION} is needed, got {got}")
        if lacking := [name for name in ("epoch", "past", "of") if name not in state]:
            raise ValueError(f"the state lacks {', '.join(lacking)}: it is no whole state_dict()")
        theirs = state["of"]
        changed = [
            f"{name} was {theirs.get(name)!r} and is {self._key.get(name)!r}"
            for name in sorted(self._key.keys() | theirs.keys())
            if theirs.get(name) != self._key.get(name)
        ]
        if changed:
            raise ValueError(f"the state belongs to another loader: {', '.join(changed)}")
        past = tuple(
            (whole(world_size, "world size of a state", 1), whole(steps, "steps of a state", 0))
            for world_size, steps in state["past"]
        )
        epoch = whole(state["epoch"], "epoch of a state", 0)
        self._course.seek(Place(epoch, past, state.get("window"), state.get("row", 0)))

    def stats(self) -> Stats:
        """Return what was yielded and what was skipped since the loader was made."""
        return self._counted.stats()
