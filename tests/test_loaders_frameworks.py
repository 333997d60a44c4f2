"""The loader as accelerate, Lightning and others see it: a DataLoader that knows its ranks."""

import json
import pickle
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import accelerate
import datasets
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState
from loader_data import ids_of, write_folder
from torch.utils.data import DataLoader, DistributedSampler

from sousa.loaders import SOUSADataset, collate_variable_length, create_dataloader
from sousa.loaders.loader import Loader

needs_lightning = pytest.mark.skipif(find_spec("lightning") is None, reason="needs lightning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("frameworks"), {"train": 26}, ["audio_16k"])


@pytest.fixture(scope="module")
def dataset(folder: Path) -> SOUSADataset:
    return SOUSADataset(folder, target="skill_tier")


@pytest.fixture(scope="module")
def stream(folder: Path) -> SOUSADataset:
    files = sorted(map(str, folder.glob("audio_16k/*.parquet")))
    rows = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    return SOUSADataset(rows, target="skill_tier")


@pytest.fixture
def accelerator() -> Iterator[accelerate.Accelerator]:
    yield accelerate.Accelerator(cpu=True, gradient_accumulation_steps=4)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def loader_of(dataset: SOUSADataset, **options: Any) -> Any:
    return create_dataloader(dataset, **({"batch_size": 4, "num_workers": 0} | options))


def first_letters(batch: dict[str, Any]) -> dict[str, Any]:
    return batch | {"letters": [name[0] for name in batch["sample_ids"]]}


def test_its_attributes_are_those_of_a_dataloader(
    dataset: SOUSADataset, stream: SOUSADataset
) -> None:
    for data in (dataset, stream):
        loader = loader_of(data, batch_size=5, drop_last=True, num_workers=1)
        assert isinstance(loader, DataLoader)
        assert loader.dataset is data
        assert (loader.batch_size, loader.drop_last, loader.num_workers) == (5, True, 1)
        assert isinstance(loader.sampler, DistributedSampler)
        assert (loader.batch_sampler is None) == (data is stream)
    assert loader_of(dataset).collate_fn is collate_variable_length
    assert loader_of(dataset, bucket=True, max_samples=9000).batch_size is None
    with pytest.raises(TypeError, match="a stream has no row numbers: iterate the loader"):
        next(iter(loader.sampler))


@pytest.mark.parametrize(
    "options",
    [{}, {"fixed_length": 900, "batch_transform": first_letters}, {"stratify": "kit"}],
)
def test_a_dataloader_made_of_its_attributes_gives_the_same(
    dataset: SOUSADataset, options: dict[str, Any]
) -> None:
    """What trainers do who make a DataLoader anew: of the pass that comes next, or its rest."""
    loader, other = loader_of(dataset, **options), loader_of(dataset, **options)
    for _ in islice(other, 2):
        pass
    loader.load_state_dict(other.state_dict())
    made = loader.batch_sampler
    plain = list(DataLoader(dataset, batch_sampler=made, collate_fn=loader.collate_fn))
    loader.load_state_dict(other.state_dict())
    rows = [row for batch in plain for row in batch["sample_ids"]]
    assert [dataset[row]["sample_id"] for row in loader.sampler] == rows
    assert len(loader.sampler) == len(rows)
    for theirs, ours in zip(plain, loader, strict=True):
        assert theirs.keys() == ours.keys()
        assert theirs["sample_ids"] == ours["sample_ids"]
        assert torch.equal(theirs["waveforms"], ours["waveforms"])
    loader.set_epoch(4)
    expected = [[dataset[row]["sample_id"] for row in batch] for batch in loader.batch_sampler]
    assert expected == ids_of(loader)


def test_a_loader_can_be_made_anew_of_what_it_shows(dataset: SOUSADataset) -> None:
    """Lightning does so for predictions."""
    loader = loader_of(dataset)
    shown = {name: value for name, value in vars(loader).items() if not name.startswith("_")}
    wanted = ("maker", "feed", "delivery", "dataset", "batch_size", "sampler", "collate_fn")
    again = Loader(**{name: shown[name] for name in wanted}, batch_sampler=[[0]], shuffle=None)
    assert ids_of(again) == ids_of(loader)


def test_the_epoch_may_be_set_until_the_first_batch(dataset: SOUSADataset) -> None:
    """Lightning asks for an iterator, and then tells the sampler which epoch it is."""
    loader = loader_of(dataset)
    epochs = [ids_of(loader) for _ in range(3)]
    iterator = iter(loader)
    loader.sampler.set_epoch(2)
    assert next(iterator)["sample_ids"] == epochs[2][0]
    loader.sampler.set_epoch(1)
    assert [batch["sample_ids"] for batch in iterator] == epochs[2][1:]
    assert ids_of(loader) == epochs[1]


def test_a_place_that_was_loaded_is_kept_though_the_epoch_is_set(dataset: SOUSADataset) -> None:
    loader, resumed = loader_of(dataset), loader_of(dataset)
    loader.set_epoch(2)
    for _ in islice(loader, 3):
        pass
    state = json.loads(json.dumps(loader.state_dict()))
    resumed.load_state_dict(state)
    iterator = iter(resumed)
    resumed.sampler.set_epoch(2)
    assert resumed.state_dict() == state
    loader.set_epoch(2)
    assert [batch["sample_ids"] for batch in iterator] == ids_of(loader)[3:]


@pytest.mark.parametrize("worker_type", ["thread", "process"])
def test_a_loader_is_pickled_with_its_place(dataset: SOUSADataset, worker_type: str) -> None:
    """Trainers that spawn processes send it to them."""
    loader = loader_of(dataset, num_workers=1, worker_type=worker_type)
    loader.set_epoch(3)
    sent = pickle.loads(pickle.dumps(loader))
    assert ids_of(sent) == ids_of(loader)


def test_accelerate_leaves_it_as_it_is(
    dataset: SOUSADataset, stream: SOUSADataset, accelerator: accelerate.Accelerator
) -> None:
    for data in (dataset, stream):
        loader, expected = loader_of(data), ids_of(loader_of(data))
        prepared = accelerator.prepare(loader)
        assert prepared is loader
        assert accelerator.prepare_data_loader(prepared) is loader
        assert ids_of(prepared) == expected


@pytest.mark.parametrize("source", ["dataset", "stream"])
def test_accelerate_brings_gradients_together_at_the_end_of_an_epoch(
    source: str, request: pytest.FixtureRequest, accelerator: accelerate.Accelerator
) -> None:
    data = request.getfixturevalue(source)
    train, other = accelerator.prepare(loader_of(data), loader_of(data))
    for _ in range(2):
        synced, rows = [], []
        for batch in train:
            with accelerator.accumulate():
                synced.append(accelerator.sync_gradients)
            rows += accelerator.gather_for_metrics(batch["labels"]).tolist()
            assert accelerator.gradient_state.active_dataloader is train
            for _ in other:  # an evaluation in between, left early
                assert accelerator.gradient_state.active_dataloader is other
                break
        assert synced == [False, False, False, True, False, False, True]
        assert len(rows) == 26
        assert train.end_of_dataloader
        assert not accelerator.gradient_state.in_dataloader


def test_accelerate_hears_only_of_loaders_that_it_has(
    dataset: SOUSADataset, accelerator: accelerate.Accelerator
) -> None:
    for _ in loader_of(dataset):
        assert not accelerator.gradient_state.in_dataloader


def test_batches_go_to_the_device_of_accelerate(
    dataset: SOUSADataset, accelerator: accelerate.Accelerator
) -> None:
    PartialState().device = torch.device("meta")  # stands for a GPU: nothing is copied
    free, bound = accelerator.prepare(loader_of(dataset), loader_of(dataset, device="cpu"))
    assert next(iter(free))["waveforms"].device == torch.device("meta")
    assert next(iter(bound))["waveforms"].device == torch.device("cpu")


def test_accelerate_saves_and_loads_the_place(
    dataset: SOUSADataset, accelerator: accelerate.Accelerator, tmp_path: Path
) -> None:
    loader = accelerator.prepare(loader_of(dataset))
    expected = ids_of(loader) + ids_of(loader)
    loader.set_epoch(0)
    seen = []
    for batch in loader:
        seen.append(batch["sample_ids"])
        if len(seen) == 3:
            accelerator.save_state(str(tmp_path))
            break
    for _ in loader:
        break
    accelerator.load_state(str(tmp_path))
    assert seen + ids_of(loader) + ids_of(loader) == expected


def test_accelerate_skips_batches(
    dataset: SOUSADataset, stream: SOUSADataset, accelerator: accelerate.Accelerator
) -> None:
    loader = accelerator.prepare(loader_of(dataset))
    loader.set_epoch(5)
    expected = ids_of(loader)
    loader.set_epoch(5)
    assert ids_of(accelerator.skip_first_batches(loader, 2)) == expected[2:]
    assert ids_of(loader) == expected
    with pytest.raises(TypeError, match=r"another order: iterate this one.* load_state_dict"):
        next(iter(accelerator.skip_first_batches(loader_of(stream), 2)))


def trainer_of(**options: Any) -> Any:
    import lightning.pytorch as pl

    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    return pl.Trainer(accelerator="cpu", devices=1, **dict.fromkeys(off, False), **options)


def module_of(loader: Any = None) -> Any:
    """A model that notes what it gets, and from which hook its loader comes where it is given."""
    import lightning.pytorch as pl

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)
            self.seen: list[list[list[str]]] = [[], [], []]

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            self.seen[self.current_epoch].append(batch["sample_ids"])
            return self.layer(batch["waveforms"].mean(1, keepdim=True)).sum()

        def predict_step(self, batch: Any, _: int) -> list[str]:
            return batch["sample_ids"]

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.01)

    class Hooked(Module):
        def train_dataloader(self) -> Any:
            return loader()

    return Hooked() if loader else Module()


@needs_lightning
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("stop", [0, 3, 6])
def test_lightning_trains_and_resumes(
    dataset: SOUSADataset, tmp_path: Path, stop: int, hooked: bool
) -> None:
    import lightning.pytorch as pl

    class Saving(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
            if trainer.current_epoch == 1 and args[-1] == stop:
                trainer.save_checkpoint(tmp_path / "middle.ckpt")

    def run(path: Path | None, callbacks: list[Any]) -> list[list[list[str]]]:
        module = module_of((lambda: loader_of(dataset)) if hooked else None)
        trainer = trainer_of(max_epochs=3, callbacks=callbacks)
        trainer.fit(module, None if hooked else loader_of(dataset), ckpt_path=path)
        return module.seen

    plain = loader_of(dataset)
    expected = [ids_of(plain) for _ in range(3)]
    assert run(None, [Saving()]) == expected
    assert run(tmp_path / "middle.ckpt", []) == [[], expected[1][stop + 1 :], expected[2]]


@needs_lightning
@pytest.mark.filterwarnings("ignore")
def test_lightning_predicts(dataset: SOUSADataset) -> None:
    loader = loader_of(dataset, shuffle=False)
    assert trainer_of().predict(module_of(), loader) == ids_of(loader_of(dataset, shuffle=False))
