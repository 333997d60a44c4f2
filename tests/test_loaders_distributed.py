"""Two processes share a dataset: with torch.distributed alone, in accelerate, in Lightning.

This file is also what each of the two runs.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import accelerate
import datasets
import pytest
import torch
from loader_data import ids_of, write_folder

from sousa.loaders import SOUSADataset, create_dataloader

ROWS = 26
RANKS = (0, 1)
ORDERS: dict[str, dict[str, Any]] = {
    "shuffled": {},
    "stored": {"shuffle": False},
    "whole batches": {"drop_last": True},
    "stratified": {"stratify": "kit"},
    "bucketed": {"bucket": True},
    "bucketed by samples": {"bucket": True, "max_samples": 9000},
}
CASES = [(source, order) for source in ("folder", "stream") for order in ORDERS]


def loader_of(folder: Path, source: str, order: str, **options: Any) -> Any:
    data: Any = folder
    if source == "stream":
        files = sorted(map(str, folder.glob("audio_16k/*.parquet")))
        data = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    dataset = SOUSADataset(data, target="skill_tier")
    options = {"batch_size": 4, "num_workers": 1} | ORDERS[order] | options
    return create_dataloader(dataset, **options)


def length_of(loader: Any) -> int | None:
    try:
        return len(loader)
    except TypeError:
        return None


def bare(folder: Path, source: str, order: str, loader: Any) -> dict[str, Any]:
    """Two passes over a loader that was made before the process group, and a resumed one."""
    found: dict[str, Any] = {"length": length_of(loader)}
    found["passes"] = [ids_of(loader), ids_of(loader)]
    loader.set_epoch(0)
    for _ in islice(loader, 1):
        pass
    resumed = loader_of(folder, source, order)
    resumed.load_state_dict(json.loads(json.dumps(loader.state_dict())))
    return found | {"resumed": ids_of(resumed)}


def in_accelerate(loader: Any) -> dict[str, Any]:
    """One epoch, gradients accumulated over 3 batches."""
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=3)
    prepared = accelerator.prepare(loader)
    found: dict[str, Any] = {"ours": prepared is loader, "processes": accelerator.num_processes}
    found |= {"seen": [], "synced": [], "gathered": []}
    for batch in prepared:
        with accelerator.accumulate():
            found["synced"].append(accelerator.sync_gradients)
        found["seen"].append(batch["sample_ids"])
        found["gathered"] += accelerator.gather_for_metrics(batch["sample_ids"])
    return found


def in_lightning(folder: Path, out: Path) -> dict[str, Any]:
    """Two epochs, and the rest of them from a checkpoint after batch 2 of the second one."""
    import lightning.pytorch as pl

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.seen = torch.nn.Linear(1, 1), [[], []]

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            self.seen[self.current_epoch].append(batch["sample_ids"])
            return self.layer(batch["waveforms"].mean(1, keepdim=True)).sum()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.01)

    class Saving(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
            if trainer.current_epoch == 1 and args[-1] == 1:
                trainer.save_checkpoint(out / "middle.ckpt")

    quiet: dict[str, Any] = dict.fromkeys(("enable_progress_bar", "enable_model_summary"), False)
    quiet |= {"logger": False, "enable_checkpointing": False, "max_epochs": 2}
    modules = Module(), Module()
    for module, path in zip(modules, (None, out / "middle.ckpt"), strict=True):
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=2,
            strategy="ddp",
            callbacks=[] if path else [Saving()],
            **quiet,
        )
        trainer.fit(module, loader_of(folder, "folder", "shuffled"), ckpt_path=path)
    return {"passes": modules[0].seen, "resumed": modules[1].seen}


def main(folder: Path, out: Path, rank: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    early = {case: loader_of(folder, *case) for case in CASES}
    trained = loader_of(folder, "folder", "shuffled")
    store = f"file://{out / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    found: dict[str, Any] = {" ".join(case): bare(folder, *case, early[case]) for case in CASES}
    found["accelerate"] = in_accelerate(trained)
    if find_spec("lightning"):
        found["lightning"] = in_lightning(folder, out)
    (out / f"{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("shared"), {"train": ROWS}, ["audio_16k"])


@pytest.fixture(scope="module")
def ranks(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes has seen."""
    out = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, __file__, str(folder), str(out)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    running = [subprocess.Popen([*command, str(rank)], **pipes) for rank in RANKS]
    try:
        told = [process.communicate(timeout=120)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], told
    return [json.loads((out / f"{rank}.json").read_text()) for rank in RANKS]


def rows_of(passes: list[list[list[str]]]) -> list[str]:
    return sorted(name for batches in passes for batch in batches for name in batch)


ALL = [f"clip-{index:04d}" for index in range(ROWS)]


@pytest.mark.parametrize(("source", "order"), CASES)
def test_ranks_share_the_rows_of_each_epoch(
    ranks: list[dict[str, Any]], source: str, order: str
) -> None:
    found = [rank[f"{source} {order}"] for rank in ranks]
    for passes in zip(*(rank["passes"] for rank in found), strict=True):
        assert len(passes[0]) == len(passes[1])
        assert all(batch for batches in passes for batch in batches)
        if order == "stratified":  # rows of the rarer class may repeat
            assert set(rows_of(passes)) == set(ALL)
        elif order == "whole batches":
            assert len(rows_of(passes)) == len(set(rows_of(passes))) == ROWS - ROWS % 8
        else:
            assert rows_of(passes) == ALL
    assert found[0]["length"] == found[1]["length"]
    assert found[0]["length"] in (None, len(found[0]["passes"][0]))
    assert source == "stream" or found[0]["length"] is not None


@pytest.mark.parametrize(("source", "order"), CASES)
def test_ranks_that_are_asked_for_are_those_that_are_given(
    ranks: list[dict[str, Any]], folder: Path, source: str, order: str
) -> None:
    for rank in RANKS:
        given = loader_of(folder, source, order, rank=rank, world_size=2)
        assert [ids_of(given), ids_of(given)] == ranks[rank][f"{source} {order}"]["passes"]


@pytest.mark.parametrize(("source", "order"), CASES)
def test_each_rank_resumes(ranks: list[dict[str, Any]], source: str, order: str) -> None:
    for rank in ranks:
        found = rank[f"{source} {order}"]
        assert found["resumed"] == found["passes"][0][1:]


def test_accelerate_shares_rows_between_two_processes(ranks: list[dict[str, Any]]) -> None:
    found = [rank["accelerate"] for rank in ranks]
    plain = [rank["folder shuffled"] for rank in ranks]
    assert [(rank["ours"], rank["processes"]) for rank in found] == [(True, 2)] * 2
    assert [rank["seen"] for rank in found] == [rank["passes"][0] for rank in plain]
    assert [rank["synced"] for rank in found] == [[False, False, True, True]] * 2
    assert [sorted(rank["gathered"]) for rank in found] == [ALL] * 2


@pytest.mark.skipif(find_spec("lightning") is None, reason="needs lightning")
def test_lightning_trains_with_two_processes(ranks: list[dict[str, Any]]) -> None:
    found = [rank["lightning"] for rank in ranks]
    for rank, plain in zip(found, (rank["folder shuffled"] for rank in ranks), strict=True):
        assert rank["passes"] == plain["passes"]
        assert rank["resumed"] == [[], rank["passes"][1][2:]]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
