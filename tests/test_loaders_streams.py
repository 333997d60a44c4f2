"""A streamed dataset of the user's becomes windows: once each, in order, resumable, bounded."""

import gc
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loader_data import row, write_folder, write_shard
from read_elsewhere import Shuffled, ids

from sousa.loaders import windows as windowing
from sousa.loaders.shards import Traits
from sousa.loaders.streams import Stream

COLUMNS = ("sample_id", "tempo_bpm", "flam_quality", "audio")
Streamed = datasets.IterableDataset


def load(folder: Path) -> Streamed:
    files = sorted(map(str, folder.glob("audio_16k/*.parquet")))
    return datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("streamed"), {"train": 64}, ["audio_16k"], 4)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of a few rows."""
    monkeypatch.setattr(windowing, "WINDOW_BYTES", 60_000)


def is_late(example: dict[str, Any]) -> bool:
    return bool(example["tempo_bpm"] > 100)


def bare(dataset: Streamed) -> Streamed:
    return dataset.decode(enable=False)


def interleaved(dataset: Streamed) -> Streamed:
    parts = [dataset, dataset.take(9)]
    return datasets.interleave_datasets(parts, probabilities=[0.6, 0.4], seed=2)


def joined_parts(dataset: Streamed) -> Streamed:
    dataset = bare(dataset)
    return datasets.concatenate_datasets([dataset.filter(is_late), dataset.shard(4, 1)])


def lacking(dataset: Streamed) -> Streamed:
    short = dataset.shard(4, 1).remove_columns("flam_quality")
    return datasets.concatenate_datasets([dataset.shard(4, 0), short])


def odd(_: dict[str, Any], index: int) -> bool:
    return index % 3 == 1


def scaled(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {"tempo_bpm": [2 * tempo for tempo in batch["tempo_bpm"]]}


SHUFFLE = {"seed": 3, "buffer_size": 20}
KINDS: dict[str, tuple[Callable[[Streamed], Streamed], str]] = {
    "plain": (lambda ds: ds, "splits resumes"),
    "torch": (lambda ds: ds.with_format("torch"), "splits resumes"),
    "arrow": (lambda ds: ds.with_format("arrow"), "splits"),
    "cast": (lambda ds: ds.cast_column("tempo_bpm", datasets.Value("float64")), "splits resumes"),
    "selected": (lambda ds: ds.select_columns([*COLUMNS, "kit"]), "splits resumes"),
    "filter": (lambda ds: bare(ds).filter(is_late), "splits resumes"),
    "decoded filter": (lambda ds: ds.filter(is_late), "splits resumes"),
    "map": (lambda ds: bare(ds).map(lambda _: {"x": 1}), "splits resumes"),
    "rename": (lambda ds: ds.rename_column("kit", "drum"), "splits resumes"),
    "concatenated": (joined_parts, "splits resumes"),
    "lacking": (lacking, "splits resumes"),
    "batched map": (lambda ds: bare(ds).map(scaled, batched=True, batch_size=10), "resumes"),
    "indices": (lambda ds: bare(ds).filter(odd, with_indices=True), "resumes"),
    "added column": (lambda ds: bare(ds).add_column("n", list(range(64))), "resumes"),
    "take": (lambda ds: ds.take(30), ""),
    "skip": (lambda ds: ds.skip(13), ""),
    "repeat": (lambda ds: ds.repeat(2), ""),
    "interleaved": (interleaved, ""),
    "shuffle": (lambda ds: ds.shuffle(**SHUFFLE), "shuffles"),
    "buffer": (lambda ds: ds.shuffle(**SHUFFLE, max_buffer_input_shards=1), "shuffles"),
    "shuffle, take": (lambda ds: ds.shuffle(**SHUFFLE).take(30), "shuffles"),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_comes_once_and_any_window_can_be_gone_on_from(folder: Path, kind: str) -> None:
    make, traits = KINDS[kind]
    dataset = make(load(folder))
    found = Traits.of(dataset)
    assert [name for name in ("splits", "resumes", "shuffles") if getattr(found, name)] == (
        traits.split()
    )
    undecoded = bare(dataset) if dataset.features else dataset
    expected = [each["sample_id"] for each in undecoded.with_format(None).iter(1)]
    stored = {i: row("audio_16k", i)["audio"]["bytes"] for i in range(64)}
    for shuffle in (False, True):
        windows = list(Stream(dataset, COLUMNS).windows(1, 0, shuffle=shuffle))
        assert len(windows) > 1
        used = ids(windows)
        assert sorted(used) == sorted(name for (name,) in expected)
        assert shuffle or used == [name for (name,) in expected]
        for window in windows:
            assert window.table.column_names == list(COLUMNS)
            audio = window.table.column("audio").to_pylist()
            names = window.table.column("sample_id").to_pylist()
            assert [clip["bytes"] for clip in audio] == [stored[int(name[5:])] for name in names]
        for at in {0, 1, len(windows) // 2, len(windows) - 1}:
            state = json.loads(json.dumps(windows[at].state))
            resumed = Stream(make(load(folder)), COLUMNS)
            again = resumed.windows(1, 0, shuffle=shuffle, state=state)
            assert ids([next(again)]) == ids([windows[at]])
            if second := next(again, None):  # twice in a row
                state = json.loads(json.dumps(second.state))
                rest = resumed.windows(1, 0, shuffle=shuffle, state=state)
                assert ids(rest) == ids(windows[at + 1 :])


@given(
    rows=st.integers(1, 60),
    shards=st.integers(1, 9),
    most=st.integers(1, 20),
    keys=st.tuples(st.integers(0, 2**32), st.integers(0, 5)),
    at=st.floats(0, 0.99),
)
def test_orders_are_functions_of_seed_and_epoch(
    rows: int, shards: int, most: int, keys: tuple[int, int], at: float
) -> None:
    data = datasets.Dataset.from_dict({"sample_id": [f"{i}" for i in range(rows)]})
    made = data.to_iterable_dataset(num_shards=min(shards, rows))
    stream = Stream(made, ("sample_id",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windowing, "WINDOW_ROWS", most)
        patch.setattr(windowing, "BLOCK_SHARDS", 3)
        windows = list(stream.windows(*keys, shuffle=True))
        assert sorted(map(int, ids(windows))) == list(range(rows))
        assert ids(stream.windows(*keys, shuffle=True)) == ids(windows)
        assert ids(stream.windows(*keys, shuffle=False)) == [f"{i}" for i in range(rows)]
        first = int(at * len(windows))
        rest = stream.windows(*keys, shuffle=True, state=windows[first].state)
        assert ids(rest) == ids(windows[first:])


def test_a_stream_without_rows_has_no_windows(folder: Path) -> None:
    for empty in (load(folder).take(0), bare(load(folder)).filter(lambda _: False)):
        for shuffle in (False, True):
            assert list(Stream(empty, COLUMNS).windows(0, 0, shuffle=shuffle)) == []


def test_shuffling_mixes_over_a_file_and_over_files(tmp_path: Path) -> None:
    """Ranks and positions are as good as uncorrelated; neighbours come from anywhere."""
    rows = 3000
    data = datasets.Dataset.from_dict({"sample_id": [f"{i}" for i in range(rows)]})
    for files in (1, 40):
        for number in range(files):
            part = data.shard(files, number, contiguous=True)
            path = tmp_path / f"{files}" / "audio_16k" / f"{number:03}.parquet"
            write_shard(path, part.data.table, group_rows=25)
        stream = Stream(load(tmp_path / f"{files}"), ("sample_id",))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(windowing, "WINDOW_ROWS", 300)
            one, other = (np.array(ids(stream.windows(0, e, shuffle=True)), int) for e in (0, 1))
        assert sorted(one) == sorted(other) == list(range(rows))
        for order in (one, other):
            assert abs(np.corrcoef(order, np.arange(rows))[0, 1]) < 0.25
            assert np.abs(np.diff(order)).mean() > 0.8 * rows / 3  # a third of the range, if random
        assert abs(np.corrcoef(np.argsort(one), np.argsort(other))[0, 1]) < 0.25


@pytest.mark.usefixtures("small")
def test_windows_are_bounded_and_wide(folder: Path) -> None:
    stream = Stream(load(folder), COLUMNS)
    windows = list(stream.windows(0, 0, shuffle=True))
    assert max(window.table.nbytes for window in windows) < 60_000 + 8 * 8 * 8_000
    assert all(len({place for place, _ in window.rows}) > 1 for window in windows[:-1])


@pytest.mark.usefixtures("small")
def test_rows_are_named(folder: Path) -> None:
    for window in Stream(load(folder), COLUMNS, "drums").windows(0, 0, shuffle=False):
        names = window.table.column("sample_id").to_pylist()
        assert window.rows == [("drums", int(name[5:])) for name in names]
    groups = [16 * shard + 7 * part for shard in range(4) for part in range(3)]
    for window in Stream(load(folder), COLUMNS, "drums").windows(0, 0, shuffle=True):
        for name, (place, at) in zip(ids([window]), window.rows, strict=True):
            _, shard, part = place.split(",")
            first = groups[3 * int(shard.split()[1]) + int(part.split()[1])]
            assert int(name[5:]) == first + at


def test_the_users_dataset_stays_as_it_is(folder: Path) -> None:
    shuffled = load(folder).shuffle(**SHUFFLE, max_buffer_input_shards=1)
    shuffled.set_epoch(2)
    orders = [ids(Stream(shuffled, COLUMNS).windows(0, e, shuffle=False)) for e in (0, 1, 2)]
    assert shuffled.epoch == 2
    assert orders[2] == own_order(shuffled, 2) != orders[1] == own_order(shuffled, 1)
    plain = load(folder)
    plain.set_epoch(2)  # permutes the files
    order = ids(Stream(plain, COLUMNS).windows(0, 0, shuffle=False))
    assert order == own_order(plain, 2) != own_order(plain, 0)


def own_order(dataset: Streamed, epoch: int) -> list[str]:
    """The ids as `datasets` itself gives them."""
    copied = bare(dataset)
    copied.set_epoch(epoch)
    return [name for batch in copied.iter(8) for name in batch["sample_id"]]


def test_other_data_is_told_by_its_fingerprint(folder: Path) -> None:
    of = [Stream(load(folder), COLUMNS).fingerprint() for _ in range(2)]
    assert of[0] == of[1]
    for other in (load(folder).take(64), load(folder).skip(1), load(folder).shard(2, 0)):
        assert Stream(other, COLUMNS).fingerprint() != of[0]
    assert Stream(load(folder), COLUMNS[:2]).fingerprint() != of[0]


def test_what_is_declared_is_known(folder: Path) -> None:
    declared = Stream(load(folder), (*COLUMNS, "skill_tier")).declared
    assert declared.rate_hz == 16_000
    assert declared.names["skill_tier"][0] == "beginner"
    assert Stream(load(folder), COLUMNS).length is None


def test_what_lacks_a_column_is_refused(folder: Path) -> None:
    untyped = bare(load(folder)).map(lambda _: {"audio": 1})
    with pytest.raises(ValueError, match="drums: audio must be struct<bytes, path>, is int64"):
        Stream(untyped, COLUMNS, "drums")
    with pytest.raises(ValueError, match="drums has no column loudness; it has sample_id"):
        Stream(load(folder), ("loudness",), "drums")


def test_an_error_of_the_users_function_passes_unharmed(folder: Path) -> None:
    def fail(example: dict[str, Any]) -> dict[str, Any]:
        raise KeyError(example["sample_id"])

    features = bare(load(folder)).features
    stream = Stream(bare(load(folder)).map(fail, features=features), COLUMNS)
    with pytest.raises(KeyError, match=r"^'clip-0000'$"):
        list(stream.windows(0, 0, shuffle=False))


def test_nothing_sleeps_and_nothing_is_left(folder: Path) -> None:
    began = time.monotonic()
    before = threading.active_count()
    shuffled = Stream(load(folder).shuffle(**SHUFFLE), COLUMNS)
    assert len(ids(shuffled.windows(0, 0, shuffle=True))) == 64
    windows = shuffled.windows(0, 0, shuffle=True)
    next(windows)
    windows.close()
    assert time.monotonic() - began < datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN == 5
    gc.collect()
    open_files = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
    assert not [path for path in open_files if folder in path.parents]
    while threading.active_count() > before:  # those of `datasets` end when it is collected
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_worker_process_reads_the_whole(folder: Path, context: str) -> None:
    """Iterating over the dataset itself, it would get its share of a share."""
    data = Shuffled(Stream(load(folder), COLUMNS))
    loader = torch.utils.data.DataLoader(data, None, num_workers=1, multiprocessing_context=context)
    assert list(loader) == list(data)
