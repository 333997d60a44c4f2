"""What ends or holds up a process is named and passed over; nothing else is lost."""

import multiprocessing
from pathlib import Path

import pytest
from guarded_jobs import die_at_once, go_through

from sousa.builders.guarded import groups, run_guarded


@pytest.mark.parametrize("workers", [1, 3])
def test_items_that_end_or_hold_up_a_process_are_lost_and_no_others(
    workers: int, tmp_path: Path
) -> None:
    bad = {1: {0: "die", 4: "die"}, 3: {5: "hang"}}
    jobs = [(tmp_path, job, bad.get(job, {})) for job in range(5)]
    told: list[int] = []
    run_guarded(go_through, iter(jobs), workers=workers, limit_sec=1.5, progress=told.append)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert len(found) == 30
    assert {name for name, what in found.items() if what != "fine"} == {"1-0", "1-4", "3-5"}
    assert found["1-0"] == "ends the process that works on it (SIGSEGV)"
    assert found["3-5"] == "takes longer than 1.5 s"
    assert sum(told) == 30
    assert multiprocessing.active_children() == []


def test_errors_reach_the_caller(tmp_path: Path) -> None:
    def run(what: str) -> None:
        jobs = [(tmp_path, 0, {2: what})]
        run_guarded(go_through, jobs, workers=1, limit_sec=60, progress=lambda _: None)

    with pytest.raises(OSError, match="No space left on device: '/full/file'"):
        run("full")
    with pytest.raises(RuntimeError, match="KeyError: 2"):
        run("raise")
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_before_any_item_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"a worker process cannot do its work.*SIGKILL"):
        run_guarded(die_at_once, [()], workers=1, limit_sec=60, progress=lambda _: None)


def test_no_jobs_need_no_process() -> None:
    run_guarded(die_at_once, [], workers=2, limit_sec=60, progress=lambda _: None)


def test_groups_that_ended_a_process_are_gone_through_one_by_one() -> None:
    begun: list[tuple[int, int]] = []
    lost = {3: "ends", 7 + 4: "ends"}
    found = list(groups(7, 3, lost, lambda item, done: begun.append((item, done))))
    assert found == [
        (range(3), True),
        (range(3, 4), True),
        (range(4, 5), False),
        (range(5, 6), True),
        (range(6, 7), True),
    ]
    assert begun == [(0, 0), (10, 3), (11, 4), (12, 5), (6, 6), (14, 7)]
