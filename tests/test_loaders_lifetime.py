"""Whatever ends a pass, everything stops; many files, forks and long passes change nothing."""

import gc
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from loader_data import ids_of, row, table, write_folder, write_shard

from sousa.loaders import SOUSADataset, collate_variable_length, create_dataloader, parquet, windows

SOON_SEC = 2
"""How long everything may take to stop."""

SHARDS = 3

KINDS: dict[str, dict[str, Any]] = {
    "thread": {"num_workers": 2},
    "process": {"num_workers": 2, "worker_type": "process"},
    "lasting process": {"num_workers": 1, "worker_type": "process", "persistent_workers": True},
    "stream": {"num_workers": 2, "stream": True},
    "stream to process": {"num_workers": 2, "worker_type": "process", "stream": True},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("life"), {"train": 60}, ["audio_16k"], SHARDS)


def loader_of(folder: Path, *, stream: bool = False, **options: Any) -> Any:
    data: Any = folder
    if stream:
        files = str(folder / "audio_16k" / "*.parquet")
        data = datasets.load_dataset("parquet", data_files=files, streaming=True, split="train")
    return create_dataloader(data, 2, **options)


def held() -> tuple[int, int, list[str]]:
    """Open files, processes that were not waited for, and shared memory."""
    for thread in threading.enumerate():
        if thread.name.startswith(("sousa", "QueueFeeder")):  # those of PyTorch's queues
            thread.join(SOON_SEC)
    gc.collect()
    ours = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    shared = sorted(path.name for path in Path("/dev/shm").glob(f"torch_{os.getpid()}_*"))
    return len(list(Path("/proc/self/fd").iterdir())), len(ours), shared


def broken_off(loader: Any) -> None:
    for _ in loader:
        break


def failed(loader: Any) -> None:
    def train() -> None:
        for _ in loader:
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        train()


def dropped(loader: Any) -> None:
    iterator = iter(loader)
    next(iterator)
    del iterator


def in_a_cycle(loader: Any) -> None:
    iterator = iter(loader)
    next(iterator)
    cycle: list[Any] = [iterator]
    cycle.append(cycle)
    del iterator, cycle
    gc.collect()


@pytest.mark.parametrize("end", [broken_off, failed, dropped, in_a_cycle])
@pytest.mark.parametrize("kind", KINDS)
def test_everything_stops(folder: Path, kind: str, end: Callable[[Any], None]) -> None:
    ids_of(loader_of(folder, **KINDS[kind]))  # files that are kept open, and helpers of PyTorch
    before = held()
    loader = loader_of(folder, **KINDS[kind])
    end(loader)
    between = held()
    started = time.perf_counter()
    end(loader)
    after = held()
    assert time.perf_counter() - started < 2 * SOON_SEC  # with the time that it takes to begin
    assert after[0] <= between[0] + SHARDS  # `datasets` has a counter for each it has begun
    if kind != "lasting process":
        assert after[1:] == before[1:]
    del loader
    last = held()
    assert last[0] <= before[0]
    assert last[1:] == before[1:]
    assert not [each for each in threading.enumerate() if each.name.startswith("sousa")]


SCRIPT = """
    import sys, threading
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_loaders_lifetime import KINDS, loader_of

    if __name__ == "__main__":
        iterators = [iter(loader_of(Path({folder!r}), **KINDS[kind])) for kind in {kinds!r}]
        for iterator in iterators:
            next(iterator)
        print("begun", flush=True)
        if {waits!r}:
            threading.Event().wait()
"""


def begun(folder: Path, *kinds: str, waits: bool = False) -> subprocess.Popen[str]:
    """A program in which batches are on their way."""
    tests = str(Path(__file__).parent)
    script = textwrap.dedent(SCRIPT).format(
        tests=tests, folder=str(folder), kinds=kinds, waits=waits
    )
    program = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "begun\n"
    return program


def ended(program: subprocess.Popen[str]) -> tuple[float, str]:
    """How long a program and all its processes take to end, and its last words."""
    started = time.perf_counter()
    try:
        _, words = program.communicate(timeout=60)  # until nobody has its output any more
    finally:
        program.kill()
    return time.perf_counter() - started, words


def test_a_program_may_end_with_batches_on_their_way(folder: Path) -> None:
    program = begun(folder, *KINDS)
    took_sec, words = ended(program)
    assert (program.returncode, words) == (0, "")
    assert took_sec < 2 * SOON_SEC  # the interpreter itself takes some of it


@pytest.mark.parametrize("kind", ["thread", "process", "stream"])
def test_ctrl_c_stops_everything(folder: Path, kind: str) -> None:
    program = begun(folder, kind, waits=True)
    os.kill(program.pid, signal.SIGINT)  # and not its processes, as by a terminal
    took_sec, words = ended(program)
    assert program.returncode == -signal.SIGINT
    assert words.splitlines()[-1] == "KeyboardInterrupt"
    assert took_sec < 2 * SOON_SEC


def killed(loader: Any) -> None:
    batches = iter(loader)
    next(batches)
    for child in multiprocessing.active_children():
        os.kill(child.pid or 0, signal.SIGKILL)
    for _ in batches:
        pass


def test_a_killed_process_is_an_error(folder: Path) -> None:
    _, processes, _ = held()
    with pytest.raises(
        RuntimeError, match=r"killed by signal|exited unexpectedly|was killed"
    ) as error:
        killed(loader_of(folder, num_workers=1, worker_type="process"))
    assert held()[1] == processes  # although somebody holds the error
    del error


def refusing(wave: torch.Tensor) -> torch.Tensor:
    raise ZeroDivisionError(f"nothing is divided by {0 * len(wave)}")


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_an_error_of_a_transform_arrives_with_its_place(folder: Path, kind: str) -> None:
    loader = create_dataloader(SOUSADataset(folder, transform=refusing), 2, **KINDS[kind])
    with pytest.raises(ZeroDivisionError, match="nothing is divided by 0") as caught:
        next(iter(loader))
    told = str(caught.value) + str(caught.getrepr(style="long"))
    assert "in refusing" in told or "def refusing" in told


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_dataset_works_in_a_dataloader_of_pytorch(folder: Path, method: str) -> None:
    data = SOUSADataset(folder)
    expected = [data[index]["sample_id"] for index in range(60)]  # and files are open by now
    loader = torch.utils.data.DataLoader(
        data,
        7,
        num_workers=2,
        multiprocessing_context=method,
        collate_fn=collate_variable_length,
    )
    assert [name for names in ids_of(loader) for name in names] == expected


@pytest.fixture
def few_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def many(folder: Path, shards: int, rows: pa.Table, **options: Any) -> Path:
    """A folder of one shard under many names."""
    first = folder / "audio_16k" / f"train-00000-of-{shards:05d}.parquet"
    write_shard(first, rows)
    if options:
        pq.write_table(rows, first, **options)
    for number in range(1, shards):
        os.link(first, first.with_name(f"train-{number:05d}-of-{shards:05d}.parquet"))
    return folder


@pytest.mark.usefixtures("few_files")
def test_more_files_than_may_be_open(tmp_path: Path) -> None:
    rows = table("audio_16k", [row("audio_16k", index) for index in range(2)])
    data = SOUSADataset(many(tmp_path, 300, rows))
    expected = [clip["bytes"] for clip in rows["audio"].to_pylist()]
    picks = data.pick(range(600))
    clips = [pick.chunk.clips[pick.row] for pick in picks]  # type: ignore[union-attr]
    assert [bytes(clip or b"") for clip in clips] == expected * 300
    for num_workers in (0, 2):
        names = [
            name
            for batch in ids_of(create_dataloader(data, 32, num_workers=num_workers))
            for name in batch
        ]
        assert sorted(names) == ["clip-0000"] * 300 + ["clip-0001"] * 300


def test_labels_are_read_as_they_are_needed(tmp_path: Path) -> None:
    one = table("audio_16k", [row("audio_16k", 1)])
    write_shard(
        tmp_path / "audio_16k" / "train-00000-of-00001.parquet",
        pa.concat_tables([one] * 4 * parquet.LABEL_ROWS),
        64,
    )
    data = SOUSADataset(tmp_path)
    next(iter(create_dataloader(data, 32, shuffle=False, num_workers=0)))
    shelf = data.source._labels._shelf  # type: ignore[attr-defined]
    assert 0 < shelf.total <= parquet.LABEL_ROWS


def private_mb() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) / 1024


def peak_mb(loader: Any) -> float:
    return max(private_mb() for number, _ in enumerate(loader) if number % 8 == 7)


@pytest.mark.parametrize("kind", ["where they are", "copied", "stream"])
def test_memory_does_not_grow_with_the_dataset(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times 20 MB would be seen."""
    monkeypatch.setattr(parquet, "KEPT_BYTES", 8 * 2**20)
    monkeypatch.setattr(parquet, "MAPPED_WINDOW", 8 * 2**20)
    monkeypatch.setattr(windows, "WINDOW_BYTES", 8 * 2**20)
    one = row("audio_16k", 1)
    one["audio"] = {"bytes": one["audio"]["bytes"] + os.urandom(200_000), "path": "x"}
    rows = table("audio_16k", [one] * 100)
    options = {"compression": "zstd"} if kind == "copied" else {"compression": "none"}
    options |= {"use_dictionary": False, "row_group_size": 10}
    peaks = []
    for shards in (1, 10):
        folder = many(tmp_path / str(shards), shards, rows, **options)
        peaks.append(peak_mb(loader_of(folder, stream=kind == "stream", num_workers=2)))
    assert peaks[1] < 1.15 * peaks[0]
