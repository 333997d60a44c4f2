"""Jobs to processes: no job lost, no process left, errors and progress told to the caller.

A job is a call `function(*job, progress)`. Its only result is what it writes; jobs must not care
which process runs them, or in which order.
"""

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final

Progress = Callable[[int], None]
"""Is told how many more clips are done."""

Job = tuple[Any, ...]
Function = Callable[..., None]

GRACE_SEC: Final = 1.0
"""Time that a worker has to end by itself before it is killed."""


def run_serial(function: Function, jobs: Iterable[Job], workers: int, progress: Progress) -> None:
    """Run the jobs here, one after the other; `workers` has no meaning."""
    del workers
    for job in jobs:
        function(*job, progress)


def run_processes(
    function: Function, jobs: Sequence[Job], workers: int, progress: Progress
) -> None:
    """Run the jobs in worker processes.

    Workers are spawned, so nothing of this process leaks into them; each ends by itself when
    this process is gone, for its pipe breaks.

    Args:
        function: A module's function.
        jobs: In the order in which they are begun.
        workers: Processes, at most; one means this process.
        progress: Is told of the workers' progress, in this process.

    Raises:
        OSError: If a job failed with one, such as a full disk.
        RuntimeError: If a worker died, or a job failed otherwise.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        run_serial(function, jobs, workers, progress)
        return
    context = multiprocessing.get_context("spawn")
    started: dict[Connection, SpawnProcess] = {}
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(function, theirs), daemon=True)
            start_deaf(process)
            theirs.close()
            started[ours] = process
        _dispatch(list(started), jobs, progress)
    finally:
        _stop(started)


def start_deaf(process: SpawnProcess) -> None:
    """Start a process that the terminal's Ctrl-C does not reach: it is the parent's affair.

    It inherits that the signal is held back, so that it cannot be ended by it while it starts.
    """
    resource_tracker.ensure_running()  # started on the way, it would let the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _dispatch(pipes: list[Connection], jobs: Sequence[Job], progress: Progress) -> None:
    """Give each idle worker the next job until all are done."""
    waiting = list(reversed(jobs))
    busy = set(pipes[: len(waiting)])
    for pipe in busy:
        pipe.send(waiting.pop())
    while busy:
        for ready in wait(list(busy)):
            pipe = next(pipe for pipe in busy if pipe is ready)
            match _receive(pipe):
                case int(clips):
                    progress(clips)
                case BaseException() as error:
                    raise error
                case _ if waiting:
                    pipe.send(waiting.pop())
                case _:
                    busy.remove(pipe)


def _receive(pipe: Connection) -> object:
    try:
        return pipe.recv()
    except (EOFError, ConnectionResetError) as error:
        raise RuntimeError(
            "a worker process died, perhaps for lack of memory; run the same command again to go "
            "on, with fewer --workers if it happens twice"
        ) from error


def _stop(started: dict[Connection, SpawnProcess]) -> None:
    """End all workers, whatever they are doing."""
    for pipe, process in started.items():
        pipe.close()
        process.terminate()
    for process in started.values():
        process.join(GRACE_SEC)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(function: Function, pipe: Connection) -> None:
    """Run jobs as they come: a worker's life. Sends counts, then None or an error for each job."""
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            job = pipe.recv()
            try:
                function(*job, pipe.send)
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


ENGINES: Final[dict[str, Callable[[Function, Sequence[Job], int, Progress], None]]] = {
    "processes": run_processes,
    "serial": run_serial,
}
"""Ways to run the jobs of a build."""
