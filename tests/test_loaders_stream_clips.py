"""Clips of streams: crops, broken rows, lengths, and how they come to processes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from loader_data import encoded, ids_of, row, table, write_folder, write_shard

from sousa.loaders import BrokenRowError, SOUSADataset, bucket_feed, create_dataloader, windows

ROWS = 47


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clips"), {"train": ROWS}, ["audio_16k"], 3)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Windows of about ten rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_BYTES", 50_000)
        patch.setattr(bucket_feed, "SORTED_BYTES", 100_000)
        yield


def parquet(folder: Path) -> datasets.IterableDataset:
    files = sorted(map(str, folder.glob("audio_16k/*.parquet")))
    return datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)


def loader_of(stream: Any, **options: Any) -> Any:
    return create_dataloader(stream, **({"batch_size": 4, "num_workers": 0} | options))


def test_spawned_workers_are_handed_the_rows(folder: Path) -> None:
    options = {"worker_type": "process", "multiprocessing_context": "spawn", "num_workers": 1}
    alone = loader_of(parquet(folder).take(40), batch_size=16, crop_sec=0.05)
    spawned = loader_of(parquet(folder).take(40), batch_size=16, crop_sec=0.05, **options)
    for mine, theirs in zip(alone, spawned, strict=True):
        assert mine["sample_ids"] == theirs["sample_ids"]
        assert torch.equal(mine["waveforms"], theirs["waveforms"])


@pytest.mark.parametrize("where", ["random", "start", "center"])
def test_crops_are_of_the_row_and_of_the_epoch(folder: Path, where: str) -> None:
    def cut(passes: int = 1, **options: Any) -> dict[str, torch.Tensor]:
        loader = loader_of(parquet(folder), crop_sec=0.05, crop=where, **options)
        found = [dict(zip(b["sample_ids"], b["waveforms"], strict=True)) for b in loader]
        for _ in range(passes - 1):
            found = [dict(zip(b["sample_ids"], b["waveforms"], strict=True)) for b in loader]
        return {name: wave for batch in found for name, wave in batch.items()}

    first, second = cut(), cut(passes=2)
    assert {wave.shape for wave in first.values()} == {(800,)}
    same = [torch.equal(wave, second[name]) for name, wave in first.items()]
    assert sum(same) < 5 if where == "random" else all(same)
    for other in (cut(num_workers=2), cut(batch_size=9, bucket=True)):
        assert all(torch.equal(wave, other[name]) for name, wave in first.items())


def test_a_whole_clip_stays_whole_under_a_longer_crop(folder: Path) -> None:
    cut, whole = (loader_of(parquet(folder), crop_sec=sec, shuffle=False) for sec in (9.0, None))
    for mine, theirs in zip(cut, whole, strict=True):
        assert torch.equal(mine["waveforms"], theirs["waveforms"])


@pytest.mark.parametrize("worker_type", ["thread", "process"])
def test_a_broken_row_is_named_and_may_be_skipped(tmp_path: Path, worker_type: str) -> None:
    rows = [row("audio_16k", index) for index in range(9)]
    rows[5]["audio"] = {"bytes": b"RIFFbroken", "path": None}
    write_shard(tmp_path / "audio_16k" / "train.parquet", table("audio_16k", rows))
    options = {"shuffle": False, "num_workers": 1, "worker_type": worker_type}
    with pytest.raises(BrokenRowError, match="row 5, sample clip-0005: "):
        ids_of(loader_of(parquet(tmp_path), **options))
    for order in ({}, {"bucket": True}, {"stratify": "kit", "shuffle": True}):
        loader = loader_of(parquet(tmp_path), on_error="skip", **{**options, **order})
        assert {name for names in ids_of(loader) for name in names} == {
            f"clip-{index:04d}" for index in range(9) if index != 5
        }
        assert [broken.sample_id for broken in loader.stats().skipped] == ["clip-0005"]


@pytest.mark.parametrize("options", [{}, {"bucket": True}])
def test_the_number_of_batches_is_told_where_that_of_rows_is_known(
    folder: Path, options: dict[str, Any]
) -> None:
    dataset = SOUSADataset(parquet(folder))
    with pytest.raises(TypeError, match="nobody knows how many batches this stream has"):
        len(loader_of(dataset, **options))
    assert dataset.stream is not None
    dataset.stream.length = ROWS
    for shape in ({}, {"drop_last": True}, {"rank": 1, "world_size": 3}):
        loader = loader_of(dataset, **options, **shape)
        assert len(loader) == len(ids_of(loader))
    for replaced in ({"bucket": True, "max_samples": 9000}, {"stratify": "kit"}):
        with pytest.raises(TypeError, match="nobody knows"):
            len(loader_of(dataset, **replaced))


BUCKETS: dict[str, dict[str, Any]] = {
    "shuffled": {"shuffle": True},
    "bucket": {"bucket": True},
    "stored bucket": {"bucket": True, "shuffle": False},
    "max_samples": {"bucket": True, "max_samples": 9000},
}


def test_buckets_pad_less_and_keep_to_their_bound(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for index, frames in enumerate(rng.integers(400, 8000, 120).tolist()):
        wave = rng.integers(-900, 900, frames).astype(np.int16)
        audio = {"bytes": encoded(wave, 16_000, "WAV"), "path": None}
        rows.append(row("audio_16k", index % 9) | {"sample_id": str(index), "audio": audio})
    write_shard(tmp_path / "audio_16k" / "train.parquet", table("audio_16k", rows))
    padded = {}
    for name, order in BUCKETS.items():
        loader = loader_of(parquet(tmp_path), **order)
        sizes = [batch["waveforms"].numel() for batch in loader]
        padded[name] = loader.stats().padding
        assert name != "max_samples" or max(sizes) <= 9000
    assert max(padded[name] for name in ("bucket", "stored bucket", "max_samples")) < 0.2
    assert padded["shuffled"] > 0.3
    with pytest.raises(ValueError, match=r"max_samples=700 samples, .*, row \d+ alone has"):
        ids_of(loader_of(parquet(tmp_path), bucket=True, max_samples=700))
    with pytest.raises(ValueError, match="max_samples must be an integer >= 1, got 0"):
        loader_of(parquet(tmp_path), bucket=True, max_samples=0)
