"""The loader over streams: each row once, the same batches and the same places everywhere."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from loader_data import ids_of, write_folder

from sousa.loaders import SOUSADataset, bucket_feed, create_dataloader, windows
from sousa.loaders.pages import WITHOUT_PAUSES

Streamed = datasets.IterableDataset
ROWS = 47


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("streaming"), {"train": ROWS}, ["audio_16k"], 3)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Windows of about ten rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_BYTES", 50_000)
        patch.setattr(bucket_feed, "SORTED_BYTES", 100_000)
        yield


def parquet(folder: Path) -> Streamed:
    files = sorted(map(str, folder.glob("audio_16k/*.parquet")))
    return datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)


def stored(folder: Path) -> datasets.Dataset:
    files = sorted(map(str, folder.glob("audio_16k/*.parquet")))
    return datasets.Dataset.from_parquet(files, cache_dir=str(folder / "cache"))


def arrow(folder: Path) -> Streamed:
    return stored(folder).to_iterable_dataset(num_shards=3)


def is_late(example: dict[str, Any]) -> bool:
    return bool(example["tempo_bpm"] > 110)


def slower(example: dict[str, Any]) -> dict[str, Any]:
    return {"tempo_bpm": example["tempo_bpm"] / 2}


def mapped(folder: Path) -> Streamed:
    stream = parquet(folder).decode(enable=False)
    return stream.map(slower, features=stream.features)


def chained(folder: Path) -> Streamed:
    whole = parquet(folder).decode(enable=False)
    return datasets.concatenate_datasets([whole.filter(is_late), whole.shard(3, 0)])


def interleaved(folder: Path) -> Streamed:
    parts = [parquet(folder), parquet(folder).take(9)]
    return datasets.interleave_datasets(parts, probabilities=[0.6, 0.4], seed=2)


KINDS: dict[str, Callable[[Path], Streamed]] = {
    "parquet": parquet,
    "arrow": arrow,
    "filtered": lambda folder: parquet(folder).filter(is_late),
    "mapped": mapped,
    "concatenated": chained,
    "interleaved": interleaved,
    "taken": lambda folder: parquet(folder).skip(3).take(31),
    "shuffled": lambda folder: arrow(folder).shuffle(seed=5, buffer_size=20),
}


def ids_in(dataset: Streamed) -> list[str]:
    with WITHOUT_PAUSES:
        return [example["sample_id"] for example in dataset.decode(enable=False)]


def loader_of(stream: Streamed, **options: Any) -> Any:
    return create_dataloader(stream, **({"batch_size": 4, "num_workers": 0} | options))


def over_ranks(stream: Streamed, world_size: int, **options: Any) -> list[list[list[str]]]:
    """The ids of every step of an epoch, for each rank."""
    ranks = [
        ids_of(loader_of(stream, rank=rank, world_size=world_size, **options))
        for rank in range(world_size)
    ]
    return list(map(list, zip(*ranks, strict=True)))  # all have as many batches


ORDERS: dict[str, dict[str, Any]] = {
    "stored": {"shuffle": False},
    "shuffled": {"shuffle": True},
    "bucket": {"bucket": True},
    "stored bucket": {"bucket": True, "shuffle": False},
    "max_samples": {"bucket": True, "max_samples": 9000},
    "stratified": {"stratify": "skill_tier"},
}
SIZES = st.integers(1, 20)
WORLDS = st.integers(1, 4)
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize("drop_last", [False, True])
@settings(max_examples=12)
@example(batch_size=5, world_size=4, bucket=False, rows=21)  # the last step borrows
@example(batch_size=2, world_size=4, bucket=True, rows=18)
@given(batch_size=SIZES, world_size=WORLDS, bucket=st.booleans(), rows=st.integers(3, ROWS))
def test_steps_have_as_many_rows_as_those_of_map_style_data(
    folder: Path, drop_last: bool, batch_size: int, world_size: int, bucket: bool, rows: int
) -> None:
    options = {"batch_size": batch_size, "drop_last": drop_last, "bucket": bucket}
    data = stored(folder).select(range(rows))
    steps = over_ranks(data.to_iterable_dataset(num_shards=3), world_size, **options)
    expected = over_ranks(data, world_size, **options)
    assert [list(map(len, step)) for step in steps] == [list(map(len, step)) for step in expected]
    seen = [name for step in steps for batch in step for name in batch]
    assert len(seen) == len(set(seen))
    assert rows - len(seen) < (batch_size * world_size if drop_last else 1)
    if rows >= world_size and not drop_last:
        assert all(batch for batch in steps[-1])


@kinds
@pytest.mark.parametrize("order", ["shuffled", "max_samples"])
def test_every_row_comes_once_an_epoch(folder: Path, kind: str, order: str) -> None:
    expected = Counter(ids_in(KINDS[kind](folder)))
    for world_size in (1, 3):
        steps = over_ranks(KINDS[kind](folder), world_size, **ORDERS[order])
        assert Counter(name for step in steps for batch in step for name in batch) == expected
        assert all(batch for step in steps for batch in step)


@kinds
def test_unshuffled_is_the_users_own_order(folder: Path, kind: str) -> None:
    stream = KINDS[kind](folder)
    loader = loader_of(stream, shuffle=False)
    first = ids_of(loader)
    assert list(chain.from_iterable(first)) == ids_in(stream)
    assert (ids_of(loader) == first) == (kind != "shuffled")


@pytest.mark.parametrize("kind", ["parquet", "interleaved"])
@pytest.mark.parametrize("order", ["shuffled", "bucket", "stratified"])
def test_each_pass_is_another_epoch_and_each_epoch_always_the_same(
    folder: Path, kind: str, order: str
) -> None:
    loader = loader_of(KINDS[kind](folder), **ORDERS[order])
    first, second = ids_of(loader), ids_of(loader)
    assert first != second
    again = loader_of(KINDS[kind](folder), **ORDERS[order])
    again.set_epoch(1)
    assert ids_of(again) == second
    assert ids_of(loader_of(KINDS[kind](folder), seed=1, **ORDERS[order])) != first


@pytest.mark.parametrize("worker_type", ["thread", "process"])
@pytest.mark.parametrize("order", ORDERS)
def test_order_and_state_never_depend_on_workers(
    folder: Path, order: str, worker_type: str
) -> None:
    alone = loader_of(parquet(folder), **ORDERS[order])
    options = {"num_workers": 2, "worker_type": worker_type}
    together = loader_of(parquet(folder), **options, **ORDERS[order])
    assert ids_of(alone) == ids_of(together)
    assert alone.state_dict() == together.state_dict()
    seen = [batch["sample_ids"] for batch in islice(together, 3)]  # workers have read ahead
    alone.load_state_dict(together.state_dict())
    together.set_epoch(1)
    assert seen + ids_of(alone) == ids_of(together)


@pytest.mark.parametrize(
    ("kind", "order"),
    [("arrow", order) for order in ORDERS]
    + [(kind, "stored") for kind in KINDS]
    + [("interleaved", "shuffled"), ("parquet", "shuffled"), ("filtered", "stratified")],
)
def test_it_resumes_from_every_batch(folder: Path, kind: str, order: str) -> None:
    options = {
        "batch_size": 7,
        "drop_last": order in {"shuffled", "stored bucket"},
        **ORDERS[order],
    }
    loader = loader_of(KINDS[kind](folder), **options)
    ids_of(loader)
    states, expected = [], []
    for batch in loader:
        expected.append(batch["sample_ids"])
        states.append(json.loads(json.dumps(loader.state_dict())))
    following = ids_of(loader)
    for made, state in enumerate(states, start=1):
        again = loader_of(KINDS[kind](folder), num_workers=made % 3, **options)
        again.load_state_dict(state)
        assert again.state_dict() == state
        assert ids_of(again) == (expected[made:] if made < len(states) else following)


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=6)
@given(st.lists(st.tuples(WORLDS, st.integers(0, 4)), max_size=3), WORLDS, st.integers(1, 6))
def test_it_resumes_again_and_again_with_other_numbers_of_ranks(
    folder: Path, order: str, legs: list[tuple[int, int]], last: int, batch_size: int
) -> None:
    seen: list[str] = []
    state = None
    for world_size, steps in [*legs, (last, 1000)]:
        ranks = []
        for rank in range(world_size):
            options = {"batch_size": batch_size, "rank": rank, "world_size": world_size}
            loader = loader_of(parquet(folder), **options, **ORDERS[order])
            if state is not None:
                loader.load_state_dict(state)
            ranks.append([batch["sample_ids"] for batch in islice(loader, steps)])
            after = loader.state_dict()
        seen += chain.from_iterable(chain.from_iterable(ranks))
        assert len({len(batches) for batches in ranks}) == 1
        state = json.loads(json.dumps(after))
        if state["epoch"]:
            break
    everything = Counter(f"clip-{index:04d}" for index in range(ROWS))
    assert Counter(seen) == everything if order != "stratified" else set(seen) == set(everything)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 3}, "seed was 0 and is 3"),
        ({"batch_size": 5}, "batch_size was 4 and is 5"),
        ({"shuffle": False}, "shuffle was True and is False"),
        ({"drop_last": True}, "drop_last was False and is True"),
        ({"bucket": True}, "bucket was None and is True"),
        ({"stratify": "kit"}, "stratify was None and is 'kit'"),
        ({"crop_sec": 0.1}, r"crop was None and is \['random', 0.1\]"),
    ],
)
def test_a_state_of_another_order_is_refused(
    folder: Path, change: dict[str, Any], message: str
) -> None:
    state = loader_of(parquet(folder)).state_dict()
    with pytest.raises(ValueError, match=message):
        loader_of(parquet(folder), **change).load_state_dict(state)


def test_a_state_of_other_data_or_other_lengths_is_refused(folder: Path) -> None:
    state = loader_of(parquet(folder)).state_dict()
    with pytest.raises(ValueError, match="data was"):
        loader_of(parquet(folder).skip(1)).load_state_dict(state)
    state = loader_of(SOUSADataset(parquet(folder)), bucket=True).state_dict()
    shorter = SOUSADataset(parquet(folder), max_length_sec=0.11)
    with pytest.raises(ValueError, match=r"lengths was .*None.* and is .*0\.11"):
        loader_of(shorter, bucket=True).load_state_dict(state)


def test_a_resumed_loader_reads_no_rows_that_it_does_not_need(folder: Path) -> None:
    read: list[str] = []

    def noted(example: dict[str, Any]) -> bool:
        read.append(example["sample_id"])
        return True

    def stream() -> Streamed:
        return arrow(folder).decode(enable=False).filter(noted)

    loader = loader_of(stream(), shuffle=False)
    batches = [batch["sample_ids"] for batch in islice(loader, 9)]
    state = loader.state_dict()
    again = loader_of(stream(), shuffle=False)
    again.load_state_dict(state)
    read.clear()
    rest = ids_of(again)
    left = sum(map(len, rest))
    assert left + sum(map(len, batches)) == ROWS
    assert len(read) <= left + 8  # a window, and what `datasets` reads at a time
