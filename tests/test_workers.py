"""Jobs run once each; errors and progress reach the caller; no process stays behind."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from jobs import die, fail, write

from sousa.builders.workers import ENGINES, run_processes, start_deaf


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("jobs", [0, 1, 2, 7])
def test_every_job_runs_once_and_tells_its_progress(engine: str, jobs: int, tmp_path: Path) -> None:
    told: list[int] = []
    ENGINES[engine](write, [(tmp_path, number) for number in range(jobs)], 2, told.append)
    assert sorted(int(p.name.split("-")[0]) for p in tmp_path.iterdir()) == list(range(jobs))
    assert sorted(told) == list(range(jobs))
    assert multiprocessing.active_children() == []


def test_two_workers_are_two_other_processes(tmp_path: Path) -> None:
    run_processes(write, [(tmp_path, number) for number in range(2)], 2, lambda _: None)
    pids = {int(path.name.split("-")[1]) for path in tmp_path.iterdir()}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_an_error_of_the_operating_system_arrives_as_it_was() -> None:
    error = OSError(28, "No space left on device", "/full/file")
    with pytest.raises(OSError, match="No space left on device: '/full/file'"):
        run_processes(fail, [(error,), (error,)], 2, lambda _: None)
    assert multiprocessing.active_children() == []


def test_any_other_error_arrives_with_its_name() -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'lost'"):
        run_processes(fail, [(KeyError("lost"),), (KeyError("lost"),)], 2, lambda _: None)


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(RuntimeError, match="a worker process died"):
        run_processes(die, [(), ()], 2, lambda _: None)
    assert multiprocessing.active_children() == []


def test_ctrl_c_does_not_reach_a_worker_not_even_while_it_starts(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=write, args=(tmp_path, 3, abs))
    start_deaf(process)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"3-{process.pid}"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_an_interrupt_of_the_caller_ends_the_workers(tmp_path: Path) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_processes(write, [(tmp_path, number) for number in range(9)], 2, interrupt)
    assert multiprocessing.active_children() == []
