"""Batches are made by processes, for transforms that keep Python busy."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from torch.utils.data import DataLoader, Dataset, Sampler

from sousa.loaders.chunks import portable
from sousa.loaders.feeds import Next
from sousa.loaders.fetched import Fetched, Job, Maker
from sousa.loaders.samplers import Place
from sousa.loaders.threads import close, closed_at_exit

IN_USE: Final[set[Iterator[Fetched]]] = set()
"""Iterators of PyTorch whose passes go on. Else the garbage collector could find one in a cycle,
and close its pipes before it tells its processes to end; it then waits five seconds for each."""

HUNG_UP: Final = (BrokenPipeError, ConnectionRefusedError, ConnectionResetError, EOFError)
"""What is raised when a batch is fetched from a process that is no more."""


class Making(Dataset[Fetched]):
    """What a process of PyTorch takes for a dataset: its indices are jobs.

    Args:
        maker: Makes batches.
    """

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    def __getitems__(self, job: Job) -> Fetched:
        """Return the batch of a job."""
        return self._maker(job)


class Jobs(Sampler[Job]):
    """What a DataLoader takes for its batches of indices: the jobs of the pass that begins.

    Attributes:
        passing: The jobs of the next pass.
    """

    def __init__(self) -> None:
        self.passing: Iterator[Job] = iter(())

    def __iter__(self) -> Iterator[Job]:
        """Return the jobs of the pass that begins."""
        return self.passing


class Workshop:
    """Processes that make batches.

    Args:
        maker: Makes batches.
        workers: How many processes; 0 makes them in this one.
        options: Of `torch.utils.data.DataLoader`, such as `persistent_workers`.
    """

    def __init__(self, maker: Maker, workers: int, options: Mapping[str, Any]) -> None:
        self._jobs = Jobs()
        self._loader: DataLoader[Fetched] = DataLoader(
            Making(replace(maker, dataset=maker.dataset.detached())),
            batch_sampler=self._jobs,  # type: ignore[arg-type]
            collate_fn=same,  # type: ignore[arg-type]
            num_workers=workers,
            **options,
        )

    @closed_at_exit
    def made(self, jobs: Iterator[Next]) -> Iterator[tuple[Place, Fetched]]:
        """Yield the batch of each job, with its place."""
        places: deque[Place] = deque()
        passing = self._jobs.passing = noted(jobs, places)
        batches = iter(self._loader)
        IN_USE.add(batches)
        try:
            for fetched in batches:
                yield places.popleft(), fetched
        except BaseException as error:
            forget_frames(error)
            raise told(error, batches)  # noqa: B904 - the same, or said better
        finally:
            IN_USE.discard(batches)
            del batches
            self._jobs.passing = iter(())
            close(passing)


def noted(jobs: Iterator[Next], places: deque[Place]) -> Iterator[Job]:
    """Yield jobs as other processes take them, and note the place after each."""
    try:
        for place, job in jobs:
            places.append(place)
            yield job._replace(picks=portable(job.picks))
    finally:
        close(jobs)


def forget_frames(error: BaseException | None) -> None:
    """Let go of PyTorch's iterator, and so of the processes, that tracebacks hold for long."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__


def told(error: BaseException, batches: Iterator[Fetched]) -> BaseException:
    """Return an error, in our words where PyTorch only notes that a process has hung up."""
    if type(error) not in HUNG_UP or "in DataLoader worker" in str(error):  # where it was raised
        return error
    await_death(batches)
    return RuntimeError("a process that makes batches was killed, perhaps for want of memory")


def await_death(batches: Iterator[Fetched]) -> None:
    """Let PyTorch find that a process is dead; else it would while the iterator is deleted."""
    while True:
        try:
            next(batches)
        except HUNG_UP:
            continue
        except (RuntimeError, StopIteration):
            return


def same(fetched: Fetched) -> Fetched:
    """Return what a process has made."""
    return fetched
