"""Jobs to processes that may die of what they read: the item at fault is named, the rest goes on.

A job is a call `function(*job, lost, begin)` that goes through numbered items. It calls
`begin(item, done)` before each, with how much is done, and passes over the items in `lost`.
"""

import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final

from sousa.builders.workers import start_deaf

Lost = Mapping[int, str]
"""Items that ended or outlasted a process, and what happened."""

Begin = Callable[[int, int], None]
Progress = Callable[[int], None]

GRACE_SEC: Final = 1.0
"""Time that a process has to end by itself before it is killed."""

START_SEC: Final = 120.0
"""Time that a process may take to start, on a machine with much else to do."""


@dataclass(slots=True)
class _Task:
    """One job, and how far it is."""

    job: tuple[Any, ...]
    lost: dict[int, str] = field(default_factory=dict)
    item: int | None = None
    told: int = 0


@dataclass(slots=True)
class _Worker:
    pipe: Connection
    process: SpawnProcess
    task: _Task
    since: float


def run_guarded(
    function: Callable[..., None],
    jobs: Iterable[tuple[Any, ...]],
    *,
    workers: int,
    limit_sec: float,
    progress: Progress,
) -> None:
    """Run jobs in processes, always in others than this one.

    A process that dies, or is at one item for longer than the limit, is replaced; its job begins
    anew, with that item in `lost`.

    Args:
        function: A module's function.
        jobs: Taken as they are needed.
        workers: Processes, at most.
        limit_sec: For each item.
        progress: Is told how much more is done.

    Raises:
        OSError: If a job failed with one, such as a full disk.
        RuntimeError: If a job failed otherwise, or died of an item that it was to pass over.
    """
    waiting = iter(jobs)
    busy: dict[Connection, _Worker] = {}
    try:
        for job in waiting:
            worker = _started(function, _Task(job))
            busy[worker.pipe] = worker
            if len(busy) == workers:
                break
        while busy:
            _attend(busy, function, waiting, limit_sec, progress)
    finally:
        _stop(list(busy.values()))


def groups(total: int, size: int, lost: Lost, begin: Begin) -> Iterator[tuple[range, bool]]:
    """Go through rows some at a time; through those that have ended a process, one by one.

    Items are the first rows of such groups, and from `total` on single rows.

    Yields:
        Rows, and whether they are to be worked on: not if just they have ended a process.
    """
    for first in range(0, total, size):
        rows = range(first, min(first + size, total))
        if first not in lost:
            begin(first, first)
            yield rows, True
            continue
        for row in rows:
            begin(total + row, row)
            yield range(row, row + 1), total + row not in lost
    begin(2 * total, total)


def _attend(
    busy: dict[Connection, _Worker],
    function: Callable[..., None],
    waiting: Iterator[tuple[Any, ...]],
    limit_sec: float,
    progress: Progress,
) -> None:
    """Hear what processes say, and replace those that are dead or too slow."""
    now = time.monotonic()
    patience_sec = min(worker.since for worker in busy.values()) + limit_sec - now
    for ready in wait(list(busy), max(0.0, patience_sec)):
        worker = next(each for pipe, each in busy.items() if pipe is ready)
        try:
            message = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            _replace(busy, worker, function, "")
            continue
        worker.since = time.monotonic()
        match message:
            case (int(item), int(done)):
                progress(max(0, done - worker.task.told))  # what is done again was told before
                worker.task.told, worker.task.item = max(done, worker.task.told), item
            case BaseException() as error:
                raise error
            case _:
                _next(busy, worker, waiting)
    for worker in list(busy.values()):
        if time.monotonic() - worker.since > limit_sec:
            _replace(busy, worker, function, f"takes longer than {limit_sec:g} s")


def _next(
    busy: dict[Connection, _Worker], worker: _Worker, waiting: Iterator[tuple[Any, ...]]
) -> None:
    for job in waiting:
        worker.task = _Task(job)
        with suppress(BrokenPipeError):  # it is dead, which is noticed where it is heard
            worker.pipe.send((job, {}))
        return
    _stop([busy.pop(worker.pipe)])


def _replace(
    busy: dict[Connection, _Worker], worker: _Worker, function: Callable[..., None], cause: str
) -> None:
    """Begin the job of a process anew in another one."""
    del busy[worker.pipe]
    task = worker.task
    if cause:
        _stop([worker])
    else:
        worker.process.join()
        code = worker.process.exitcode or 0
        cause = f"ends the process that works on it ({_named(code)})"
    if task.item is None or task.item in task.lost:
        raise RuntimeError(
            f"a worker process cannot do its work: something other than a file {cause}; run the "
            "same command again to go on, with fewer --workers if it happens twice"
        )
    task.lost[task.item] = cause
    fresh = _started(function, task)
    busy[fresh.pipe] = fresh


def _named(code: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"


def _started(function: Callable[..., None], task: _Task) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(function, theirs), daemon=True)
    start_deaf(process)
    theirs.close()
    task.item = None
    ours.send((task.job, task.lost))
    # A process that is only starting is not slow at an item: its time begins with the first.
    return _Worker(ours, process, task, since=time.monotonic() + START_SEC)


def _stop(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.pipe.close()
        worker.process.terminate()
    for worker in workers:
        worker.process.join(GRACE_SEC)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _serve(function: Callable[..., None], pipe: Connection) -> None:
    """Run jobs as they come: a process's life."""
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            job, lost = pipe.recv()
            try:
                function(*job, lost, lambda item, done: pipe.send((item, done)))
            except (BrokenPipeError, ConnectionResetError):
                raise
            except OSError as error:
                pipe.send(error)
            except Exception as error:  # told to the parent, which raises it
                told = RuntimeError(f"{type(error).__name__}: {error}")
                told.add_note(traceback.format_exc())
                pipe.send(told)
            else:
                pipe.send(None)
