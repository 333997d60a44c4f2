"""Work is done ahead, by threads, and comes in order."""

import atexit
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from functools import wraps
from queue import Full, Queue
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar
from weakref import WeakSet

Key = TypeVar("Key")
Task = TypeVar("Task")
Made = TypeVar("Made")
Item = TypeVar("Item")
Given = ParamSpec("Given")

PATIENCE_SEC: Final = 0.1
"""How often a thread that waits looks whether it shall stop."""

LEAVE_SEC: Final = 0.8
"""How long a thread that shall stop is waited for; then it ends by itself, when its read does."""


OPEN: Final[WeakSet[Generator[Any]]] = WeakSet()
"""Generators that have threads or processes, and are not closed yet."""


def closed_at_exit(make: Callable[Given, Iterator[Item]]) -> Callable[Given, Iterator[Item]]:
    """Return a generator function whose generators end before what they need is taken apart."""

    @wraps(make)
    def making(*args: Given.args, **options: Given.kwargs) -> Iterator[Item]:
        items = make(*args, **options)
        if isinstance(items, Generator):
            OPEN.add(items)
        return items

    return making


@atexit.register
def close_all() -> None:
    """Close what is open, but for what some thread is in."""
    for items in list(OPEN):
        with suppress(ValueError):
            items.close()


@closed_at_exit
def in_order(
    tasks: Iterator[tuple[Key, Task]], make: Callable[[Task], Made], threads: int, ahead: int
) -> Iterator[tuple[Key, Made]]:
    """Yield what `make` makes of each task, in their order, each with its key.

    Args:
        tasks: Drawn by the caller's thread.
        make: Called in threads.
        threads: How many; 0 calls it here, one task at a time.
        ahead: Tasks that are under way while the caller has one.

    Raises:
        Exception: What `make` or `tasks` raises, at its place in the order.
    """
    failures: list[Exception] = []
    with closing(until_failure(tasks, failures)) as drawn:
        if threads:
            yield from pooled(drawn, make, threads, ahead)
        else:
            for key, task in drawn:
                yield key, make(task)
    for failure in failures:
        raise failure


def pooled(
    tasks: Iterator[tuple[Key, Task]], make: Callable[[Task], Made], threads: int, ahead: int
) -> Iterator[tuple[Key, Made]]:
    """Yield what threads make of each task, see `in_order`."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sousa")
    under_way: deque[tuple[Key, Future[Made]]] = deque()
    try:
        for key, task in tasks:
            under_way.append((key, pool.submit(make, task)))
            if len(under_way) > ahead:
                first, future = under_way.popleft()
                yield first, future.result()
        while under_way:
            first, future = under_way.popleft()
            yield first, future.result()
    finally:
        # Not joined: the garbage collector may close this in any thread, also in one of the pool.
        pool.shutdown(wait=False, cancel_futures=True)
        wait([future for _, future in under_way if not future.cancelled()], LEAVE_SEC)


def until_failure(items: Iterator[Item], failures: list[Exception]) -> Generator[Item]:
    """Yield items up to a failure, and note it; close them at the end."""
    try:
        yield from items
    except Exception as error:
        failures.append(error)
    finally:
        close(items)


def close(items: Iterator[Any]) -> None:
    """Let go of what items are made of, now: a traceback may hold their iterator for long."""
    if isinstance(items, Generator):
        items.close()


@closed_at_exit
def read_ahead(items: Iterator[Item], depth: int, stop: threading.Event) -> Iterator[Item]:
    """Yield items that a thread of its own reads, at most `depth` of them ahead.

    Args:
        items: What it reads.
        depth: How many.
        stop: Set at the end, for whatever in `items` would wait.

    Raises:
        BaseException: What `items` raises, at its place in the order.
    """
    found: Queue[Item | Ended] = Queue(depth)
    reader = threading.Thread(
        target=read_into, args=(items, found, stop), name="sousa-reader", daemon=True
    )
    reader.start()
    try:
        while not isinstance(item := found.get(), Ended):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        if reader is not threading.current_thread():  # where the garbage collector may run
            reader.join(LEAVE_SEC)


class Ended(NamedTuple):
    """The end of what is read, and why, if it was not all."""

    error: BaseException | None


def read_into(items: Iterator[Item], found: Queue[Item | Ended], stop: threading.Event) -> None:
    """Put items into a queue, and their end, until told to stop."""
    ended = Ended(None)
    try:
        for item in items:
            if not put(item, found, stop):
                break
        close(items)  # here, as a generator may not be closed by another thread
    except BaseException as error:  # also SystemExit, of a user's function: somebody waits
        ended = Ended(error)
    put(ended, found, stop)


def put(item: Item | Ended, found: Queue[Item | Ended], stop: threading.Event) -> bool:
    """Put an item into a queue when there is room; False if told to stop before."""
    while not stop.is_set():
        try:
            found.put(item, timeout=PATIENCE_SEC)
        except Full:
            continue
        return True
    return False
