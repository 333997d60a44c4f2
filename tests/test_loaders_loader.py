"""The loader: order, epochs, ranks, resume, workers."""

import json
import multiprocessing
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loader_data import doubled, ids_of, write_folder
from torch.utils.data._utils.pin_memory import pin_memory

from sousa.loaders import BrokenRow, SOUSADataset, StratifiedBatchSampler, create_dataloader
from sousa.loaders import collate_variable_length as collate
from sousa.loaders.fetched import Fetched


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("loader"), {"train": 26}, ["audio_16k"])


@pytest.fixture(scope="module")
def dataset(folder: Path) -> SOUSADataset:
    return SOUSADataset(folder, target="skill_tier")


def loader_of(dataset: SOUSADataset, **options: Any) -> Any:
    return create_dataloader(dataset, **({"batch_size": 4, "num_workers": 0} | options))


def place_of(loader: Any) -> tuple[int, int]:
    state = loader.state_dict()
    return state["epoch"], sum(steps for _, steps in state["past"])


KINDS = st.sampled_from([{"shuffle": True}, {"shuffle": False}, {"stratify": "skill_tier"}])


@settings(max_examples=25)
@given(KINDS, st.integers(0, 3), st.integers(0, 6), st.integers(0, 6))
def test_a_loader_resumes_from_any_batch_and_again(
    dataset: SOUSADataset, options: dict[str, Any], epoch: int, first: int, more: int
) -> None:
    whole = loader_of(dataset, **options)
    whole.set_epoch(epoch)
    expected = ids_of(whole) + ids_of(whole)
    stopped = loader_of(dataset, **options)
    stopped.set_epoch(epoch)
    seen = [batch["sample_ids"] for batch in islice(stopped, first)]
    again = loader_of(dataset, **options)
    again.load_state_dict(json.loads(json.dumps(stopped.state_dict())))
    seen += [batch["sample_ids"] for batch in islice(again, more)]
    last = loader_of(dataset, **options)
    last.load_state_dict(json.loads(json.dumps(again.state_dict())))
    seen += ids_of(last)
    assert seen in (expected, expected[: len(whole)])


@pytest.mark.parametrize("worker_type", ["thread", "process"])
@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"stratify": "kit"}])
def test_order_and_state_never_depend_on_workers(
    dataset: SOUSADataset, options: dict[str, Any], worker_type: str
) -> None:
    alone = loader_of(dataset, **options)
    together = loader_of(dataset, num_workers=2, worker_type=worker_type, **options)
    assert ids_of(alone) == ids_of(together)
    assert alone.state_dict() == together.state_dict()
    iterator = iter(together)
    seen = [next(iterator)["sample_ids"] for _ in range(3)]  # workers have read ahead by now
    alone.load_state_dict(together.state_dict())
    together.set_epoch(1)
    assert seen + ids_of(alone) == ids_of(together)


def test_each_pass_is_the_next_epoch(dataset: SOUSADataset) -> None:
    loader = loader_of(dataset)
    first, second = ids_of(loader), ids_of(loader)
    assert first != second
    assert loader.state_dict()["epoch"] == 2
    loader.set_epoch(0)
    assert ids_of(loader) == first
    for _ in loader:
        break  # a pass that was left early was a pass
    loader.set_epoch(1)
    assert ids_of(loader) == second


def test_after_the_last_batch_the_state_is_the_start_of_the_next_epoch(
    dataset: SOUSADataset,
) -> None:
    loader = loader_of(dataset)
    assert [place_of(loader) for _ in loader] == [*((0, n) for n in range(1, 7)), (1, 0)]


def test_set_epoch_keeps_the_place_that_was_loaded(dataset: SOUSADataset) -> None:
    """The loop of every trainer: load a state, then set_epoch before each pass."""
    loader = loader_of(dataset)
    state = next((loader.state_dict() for _ in loader), {})
    whole = loader_of(dataset)
    expected = ids_of(whole)
    loader.load_state_dict(state)
    loader.set_epoch(0)
    assert ids_of(loader) == expected[1:]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 5}, "batch_size was 4 and is 5"),
        ({"seed": 1, "shuffle": False}, "seed was 0 and is 1, shuffle was True and is False"),
        ({"stratify": "skill_tier"}, "stratify was None and is 'skill_tier'"),
        ({"drop_last": True}, "drop_last was False and is True"),
    ],
)
def test_a_state_of_another_order_is_refused(
    dataset: SOUSADataset, changed: dict[str, Any], message: str
) -> None:
    state = loader_of(dataset).state_dict()
    with pytest.raises(ValueError, match=f"belongs to another loader: .*{message}"):
        loader_of(dataset, **changed).load_state_dict(state)


def test_a_state_of_other_data_or_another_version_is_refused(
    dataset: SOUSADataset, tmp_path: Path
) -> None:
    state = loader_of(dataset).state_dict()
    other = SOUSADataset(write_folder(tmp_path, {"test": 4, "train": 22}, ["audio_16k"]))
    with pytest.raises(ValueError, match=r"another loader: data was '\w+' and is '\w+'$"):
        loader_of(other).load_state_dict(state)
    with pytest.raises(ValueError, match="a state of version 2 is needed, got None"):
        loader_of(dataset).load_state_dict({})


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"drop_last": True}])
def test_ranks_have_every_row_once_and_equally_many_batches(
    dataset: SOUSADataset, options: dict[str, Any]
) -> None:
    loaders = [loader_of(dataset, rank=rank, world_size=3, **options) for rank in range(3)]
    passes = [ids_of(loader) for loader in loaders]
    used = [name for batches in passes for batch in batches for name in batch]
    assert {len(batches) for batches in passes} == {len(loaders[0])}
    assert len(used) == len(set(used)) == (24 if "drop_last" in options else 26)
    assert all(batch for batches in passes for batch in batches)


def test_a_stratified_loader_balances_its_batches(dataset: SOUSADataset) -> None:
    for batch in loader_of(dataset, batch_size=8, stratify="skill_tier"):
        counts = torch.bincount(batch["labels"], minlength=4)
        assert (counts - len(batch["labels"]) / 4).abs().max() < 1
    with pytest.raises(ValueError, match="shuffle=False"):
        loader_of(dataset, shuffle=False, stratify="skill_tier")
    with pytest.raises(ValueError, match="weights and policy need stratify="):
        loader_of(dataset, weights={"beginner": 1})
    with pytest.raises(ValueError, match="flam_quality is null in"):
        loader_of(dataset, stratify="flam_quality")


def test_the_stratified_sampler_works_in_any_dataloader(dataset: SOUSADataset) -> None:
    sampler = StratifiedBatchSampler(dataset, 8)
    loader = torch.utils.data.DataLoader(
        dataset, batch_sampler=sampler, collate_fn=collate, num_workers=2
    )
    ours = loader_of(dataset, batch_size=8, stratify="skill_tier")
    assert len(ours) == len(loader) == len(sampler) == 4
    assert ids_of(ours) + ids_of(ours) == ids_of(loader) + ids_of(loader)


def test_our_loader_is_a_dataloader(dataset: SOUSADataset) -> None:
    loader = create_dataloader(dataset)
    assert isinstance(loader, torch.utils.data.DataLoader)
    assert len(loader) == 2  # 26 clips in batches of 16
    assert loader.dataset.num_classes == 4  # type: ignore[attr-defined]
    assert loader.pin_memory == torch.cuda.is_available()


def test_workers_end_with_the_pass(dataset: SOUSADataset) -> None:
    def children() -> int:
        return len(multiprocessing.active_children())

    before = children()
    loader = loader_of(dataset, num_workers=2, worker_type="process")
    iterator = iter(loader)
    next(iterator)
    assert children() > before
    del iterator
    assert children() == before
    for _ in loader:
        break
    assert children() == before
    ids_of(loader)
    assert children() == before


def test_spawned_and_lasting_workers_read_the_same(folder: Path) -> None:
    """A dataset with a transform and a collator are pickled on their way."""
    data = SOUSADataset(folder, transform=doubled)
    loader = loader_of(
        data,
        fixed_length=1000,
        num_workers=1,
        worker_type="process",
        multiprocessing_context="spawn",
        persistent_workers=True,
    )
    expected = loader_of(data, fixed_length=1000)
    for _ in range(2):
        for ours, theirs in zip(loader, expected, strict=True):
            assert ours["sample_ids"] == theirs["sample_ids"]
            assert torch.equal(ours["waveforms"], theirs["waveforms"])
            assert ours["waveforms"].shape[1] == 1000


def test_features_need_a_collator_of_their_own(folder: Path) -> None:
    data = SOUSADataset(folder, transform=lambda wave: wave[:300].view(3, 100))
    with pytest.raises(ValueError, match=r"must be \(T,\), is \(3, 100\).*collate_fn"):
        next(iter(loader_of(data)))
    stacked = loader_of(data, collate_fn=lambda batch: torch.stack([s["waveform"] for s in batch]))
    assert next(iter(stacked)).shape == (4, 3, 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
        ({"fixed_length": 0}, "fixed_length is a number of samples, an integer >= 1; got 0"),
        ({"fixed_length": 1.5}, "fixed_length is a number of samples"),
        ({"fixed_length": 9, "collate_fn": collate}, "leave it out with your own collate_fn"),
        ({"num_workers": -1}, "num_workers must be an integer >= 0, got -1"),
        ({"on_error": "ignore"}, "on_error must be one of raise, skip, got 'ignore'"),
        ({"stratify": "mood"}, "no column mood"),
    ],
)
def test_impossible_options_are_refused(
    dataset: SOUSADataset, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        loader_of(dataset, **options)


def test_a_device_that_is_not_there_is_refused(dataset: SOUSADataset) -> None:
    assert next(iter(loader_of(dataset, device="cpu")))["waveforms"].device.type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="PyTorch sees no CUDA here"):
            loader_of(dataset, device="cuda")


class Pinned(SimpleNamespace):
    """A batch that knows whether it was pinned."""

    def pin_memory(self) -> "Pinned":
        return Pinned(pinned=True)


def test_what_workers_hand_over_can_be_pinned() -> None:
    fetched = Fetched({"waveforms": Pinned(pinned=False)}, 3, [BrokenRow("file", 1, None, "torn")])
    pinned = pin_memory(fetched)
    assert pinned == fetched._replace(batch={"waveforms": Pinned(pinned=True)})
    assert isinstance(pinned, Fetched)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_pass_that_has_begun_is_not_disturbed(dataset: SOUSADataset, num_workers: int) -> None:
    whole = loader_of(dataset)
    epochs = [ids_of(whole) for _ in range(6)]
    loader = loader_of(dataset, num_workers=num_workers)
    first = iter(loader)
    assert next(first)["sample_ids"] == epochs[0][0]
    assert place_of(loader) == (0, 1)
    loader.set_epoch(5)
    second = iter(loader)
    assert next(second)["sample_ids"] == epochs[5][0]
    assert next(first)["sample_ids"] == epochs[0][1]
    assert place_of(loader) == (0, 2)
    assert [batch["sample_ids"] for batch in second] == epochs[5][1:]
    assert place_of(loader) == (6, 0)
    assert [batch["sample_ids"] for batch in first] == epochs[0][2:]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_each_iterator_is_a_pass_with_any_number_of_workers(
    dataset: SOUSADataset, num_workers: int
) -> None:
    loader = loader_of(dataset, num_workers=num_workers)
    iterators = [iter(loader) for _ in range(2)]
    whole = loader_of(dataset)
    assert [next(iterator)["sample_ids"] for iterator in iterators] == [
        next(iter(whole))["sample_ids"] for _ in range(2)
    ]


def test_a_state_that_is_not_whole_is_refused(dataset: SOUSADataset) -> None:
    with pytest.raises(ValueError, match="the state lacks epoch, past, of"):
        loader_of(dataset).load_state_dict({"version": 2})


def test_an_empty_dataset_yields_nothing(tmp_path: Path) -> None:
    data = SOUSADataset(write_folder(tmp_path, {"train": 0}, ["audio_16k"], shards=1))
    for options in ({}, {"stratify": "skill_tier"}, {"stratify": "kit"}):
        loader = loader_of(data, **options)
        assert len(loader) == 0
        assert ids_of(loader) == []
        assert loader.state_dict()["of"]["rows"] == 0


def test_a_dataset_of_hugging_face_has_classes_too(folder: Path, dataset: SOUSADataset) -> None:
    files = str(folder / "audio_16k" / "*.parquet")
    rows = datasets.Dataset.from_parquet(files, keep_in_memory=True)
    labels = rows.remove_columns("audio")
    sampler = StratifiedBatchSampler(labels, 8, by="kit")
    used = [labels[row]["kit"] for batch in sampler for row in batch]
    assert sorted(used) == ["maple"] * 13 + ["pad"] * 13
    with pytest.raises(ValueError, match=r"datasets.Dataset has no column mood"):
        StratifiedBatchSampler(labels, 8, by="mood")
    with pytest.raises(TypeError, match=r"a folder, a Hub id, .*got a Subset"):
        create_dataloader(torch.utils.data.Subset(dataset, [0, 1]))  # type: ignore[arg-type]
