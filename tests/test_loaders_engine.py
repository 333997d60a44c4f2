"""What batches are made with: kept things, used memory, work ahead, files that change."""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loader_data import ids_of, row, table, write_folder, write_shard

from sousa.loaders import BrokenRowError, SOUSADataset, create_dataloader
from sousa.loaders.buffers import MOST, Buffers
from sousa.loaders.kept import Kept
from sousa.loaders.mapped import MappedFile, Stamp
from sousa.loaders.parquet import ParquetSource
from sousa.loaders.threads import in_order, read_ahead

WAIT_SEC = 20
"""How long something that must happen may take on a busy machine."""


def in_child(work: Callable[[], bool]) -> bool:
    """Whether a forked process does some work, rightly and before it is given up."""
    pid = os.fork()
    if pid == 0:
        watch = threading.Timer(WAIT_SEC, os._exit, (2,))
        watch.daemon = True
        watch.start()
        os._exit(0 if work() else 1)
    return os.waitpid(pid, 0)[1] == 0


@given(st.integers(0, 12), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=30))
def test_what_was_used_last_is_kept_up_to_a_size(most: int, asked: list[tuple[int, int]]) -> None:
    kept: Kept[int, tuple[int, int]] = Kept(most, lambda thing: thing[1])
    model: list[tuple[int, int]] = []
    for key, size in asked:
        before = next((thing for thing in model if thing[0] == key), None)
        found = kept.get(key, lambda key=key, size=size: (key, size))  # type: ignore[misc]
        assert found == (before or (key, size))
        model = [*(thing for thing in model if thing[0] != key), found]
        while before is None and len(model) > 1 and sum(size for _, size in model) > most:
            del model[0]


def test_a_thing_is_made_once_however_many_ask() -> None:
    kept: Kept[int, object] = Kept(9, lambda _: 1)
    made: list[int] = []
    begun, go = threading.Event(), threading.Event()

    def make() -> object:
        made.append(1)
        begun.set()
        assert go.wait(WAIT_SEC)
        return object()

    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(kept.get(1, make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(WAIT_SEC)
    assert kept.get(2, lambda: "other") == "other"  # meanwhile
    go.set()
    for thread in threads:
        thread.join(WAIT_SEC)
    assert len(made) == 1
    assert len(set(map(id, found))) == 1
    with pytest.raises(ZeroDivisionError):
        kept.get(3, lambda: 1 / 0)
    assert kept.get(3, lambda: "later") == "later"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # it is what is tested
def test_locks_that_a_thread_holds_are_not_inherited(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", table("audio_16k", [row("audio_16k", 1)]))
    source = ParquetSource([tmp_path / "a.parquet"], ("sample_id", "audio"))
    file = source._open(tmp_path / "a.parquet")
    buffers = Buffers()
    with source._files._shelf.changed, file._lock, source._labels._shelf.changed, buffers._lock:
        assert in_child(lambda: len(source.pick([0])[0].chunk.clips[0]) > 44)  # type: ignore[union-attr]
        assert in_child(lambda: len(buffers.memory(10)) >= 10)


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=60))
def test_memory_is_given_to_one_at_a_time(asked: list[tuple[int, bool]]) -> None:
    """Each holds only a view of a view of what was given out, as a batch does."""
    buffers = Buffers()
    held: list[tuple[torch.Tensor, int]] = []
    for number, (size, keep) in enumerate(asked):
        memory = buffers.memory(4 * size)
        assert memory.nbytes >= 4 * size
        wave = torch.from_numpy(memory[: 4 * size].view(np.int32).reshape(1, size))[0]
        del memory
        wave[:] = number
        if keep:
            held.append((wave, number))
    assert all(bool((wave == number).all()) for wave, number in held)
    assert len(buffers._pieces) <= MOST


def test_memory_comes_back_and_is_bounded() -> None:
    buffers = Buffers()
    first = buffers.memory(1000)
    place = first.ctypes.data
    view = torch.from_numpy(first[10:20])
    del first
    assert buffers.memory(1000).ctypes.data != place
    del view
    assert buffers.memory(1000).ctypes.data == place
    held = [buffers.memory(100) for _ in range(2 * MOST)]
    assert len({piece.ctypes.data for piece in held}) == 2 * MOST
    assert len(buffers._pieces) == MOST
    del held
    buffers.memory(10_000)  # the small ones make room
    assert len(buffers._pieces) == 1


def test_threads_never_share_memory() -> None:
    buffers = Buffers()
    wrong: list[int] = []

    def use(number: int) -> None:
        for _ in range(500):
            memory = buffers.memory(256)[:256]
            memory[:] = number
            if (memory != number).any():
                wrong.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SEC)
    assert not wrong
    assert len(buffers._pieces) <= 8  # one for each, and those that were between two


def numbered(count: int, seen: list[int], fail_at: int | None = None) -> Iterator[tuple[int, int]]:
    for number in range(count):
        if number == fail_at:
            raise LookupError(f"no {number}")
        seen.append(number)
        yield number, number


def got(items: Iterator[Any], seen: list[int], ahead: int) -> tuple[list[Any], str | None]:
    """What comes before the end or a failure, never more than so much read ahead of it."""
    found: list[Any] = []
    assert not seen
    try:
        for item in items:
            found.append(item)
            assert len(seen) <= len(found) + ahead
    except LookupError as error:
        return found, str(error)
    return found, None


@pytest.mark.parametrize("threads", [0, 1, 3])
@given(st.integers(0, 9), st.integers(0, 5), st.integers(0, 12), st.booleans())
def test_work_ahead_is_in_order_lazy_and_fails_in_its_place(
    threads: int, count: int, ahead: int, fail_at: int, making: bool
) -> None:
    seen: list[int] = []

    def make(number: int) -> int:
        if making and number == fail_at:
            raise LookupError(f"no {number}")
        return number * number

    tasks = numbered(count, seen, None if making else fail_at)
    found, error = got(in_order(tasks, make, threads, ahead), seen, ahead if threads else 0)
    assert error == (f"no {fail_at}" if fail_at < count else None)
    assert found == [(number, number * number) for number in range(min(count, fail_at))]


@given(st.integers(0, 9), st.integers(1, 4), st.integers(0, 12))
def test_reading_ahead_is_in_order_lazy_and_fails_in_its_place(
    count: int, depth: int, fail_at: int
) -> None:
    seen: list[int] = []
    items = read_ahead(numbered(count, seen, fail_at), depth, threading.Event())
    found, error = got(items, seen, depth + 1)  # and the one that waits for room
    assert error == (f"no {fail_at}" if fail_at < count else None)
    assert found == [(number, number) for number in range(min(count, fail_at))]


def test_a_reader_that_exits_does_not_leave_anybody_waiting() -> None:
    def items() -> Iterator[int]:
        yield 1
        sys.exit(3)

    found = read_ahead(items(), 2, threading.Event())
    assert next(found) == 1
    with pytest.raises(SystemExit):
        next(found)


def test_work_may_be_dropped_in_any_thread() -> None:
    """The garbage collector runs where it likes, also in a thread of the pool."""
    held: list[Any] = []
    go = threading.Event()

    def drop(number: int) -> int:
        if number == 1:
            assert go.wait(WAIT_SEC)
            held.clear()
        return number

    made = in_order(numbered(9, []), drop, 1, 1)
    held.append(made)
    assert next(made) == (0, 0)
    del made
    go.set()
    assert threads_end()


def threads_end() -> bool:
    """Whether all of our threads end soon."""
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("sousa")]
    for thread in ours:
        thread.join(WAIT_SEC)
    return not any(thread.is_alive() for thread in ours)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_list_of_all_batches_is_right(tmp_path: Path, num_workers: int) -> None:
    data = SOUSADataset(write_folder(tmp_path, {"train": 90}, ["audio_16k"]), normalize_audio=False)
    loader = create_dataloader(data, 2, num_workers=num_workers)
    kept = [(batch["sample_ids"], batch["waveforms"]) for batch in loader]
    ids_of(loader)  # has every chance to write over them
    for ids, waves in kept:
        for name, wave in zip(ids, waves, strict=True):
            expected = data[int(name[-4:])]["waveform"]
            assert torch.equal(wave[: len(expected)], expected)


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def rewrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))


def replace(path: Path) -> None:
    shutil.copy2(path, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (truncate, r"changed from \d+ to \d+ bytes"),
        (rewrite, "written anew since it was opened"),
        (replace, "written anew since it was opened"),
        (Path.unlink, "No such file"),
    ],
)
@pytest.mark.parametrize("mode", [{"num_workers": 0}, {"num_workers": 2}, {"on_error": "skip"}])
def test_a_file_that_changes_meanwhile_is_named(
    tmp_path: Path, change: Callable[[Path], None], cause: str, mode: dict[str, Any]
) -> None:
    folder = write_folder(tmp_path, {"train": 40}, ["audio_16k"])
    last = sorted(folder.glob("*/*.parquet"))[-1]
    loader = create_dataloader(folder, 2, shuffle=False, **{"num_workers": 0, **mode})
    batches = iter(loader)
    seen = [*next(batches)["sample_ids"]]
    change(last)
    if "on_error" in mode:
        seen += [name for batch in batches for name in batch["sample_ids"]]
        rows = loader.stats().skipped
        assert [(lost.file, lost.row) for lost in rows] == [(str(last), at) for at in range(20)]
    else:
        with pytest.raises(BrokenRowError, match=f"{last.name}, row 0: .*{cause}"):
            seen.extend(name for batch in batches for name in batch["sample_ids"])
    assert seen == [f"clip-{index:04d}" for index in range(20)]


def test_a_file_is_opened_only_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_shard(path, table("audio_16k", [row("audio_16k", 1)]))
    stamp = Stamp.of(path)
    assert MappedFile(path, stamp).stamp == stamp
    with pytest.raises(OSError, match="written anew"):
        MappedFile(path, stamp._replace(inode=stamp.inode + 1))
    path.write_bytes(b"")
    with pytest.raises(OSError, match="0 bytes"):
        MappedFile(path)
