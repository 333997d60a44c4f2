"""The builder of `datasets` makes the rows of `sousa build`."""

from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

from sousa.builders.build import build
from sousa.builders.builder import SousaBuilder
from sousa.builders.plan import Plan

OPTIONS = {"preset": "tiny", "rudiments": ("flam", "drag"), "seed": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folder")
    plan = Plan(players=12, rudiments=("flam", "drag"), seed=5, configs=("audio_16k", "midi_only"))
    build(plan, out, engine="serial")
    return out


@pytest.mark.parametrize("config", ["audio_16k", "midi_only"])
def test_prepared_to_parquet_by_two_processes_it_has_the_same_rows(
    config: str, folder: Path, tmp_path: Path
) -> None:
    builder = SousaBuilder(config_name=config, cache_dir=str(tmp_path / "cache"), **OPTIONS)
    builder.download_and_prepare(str(tmp_path / "out"), file_format="parquet", num_proc=2)
    for split in ("train", "validation", "test"):
        theirs = sorted((tmp_path / "out").glob(f"*-{split}*.parquet"))
        rows = [row for path in theirs for row in pq.read_table(path).to_pylist()]
        ours = sorted((folder / config).glob(f"{split}-*"))
        assert rows == [row for path in ours for row in pq.read_table(path).to_pylist()]


def test_it_streams_a_dataset_that_was_never_written(folder: Path, tmp_path: Path) -> None:
    builder = SousaBuilder(config_name="midi_only", cache_dir=str(tmp_path), **OPTIONS)
    stream = builder.as_streaming_dataset(split="validation")
    assert isinstance(stream, datasets.IterableDataset)
    ids = [row["sample_id"] for row in stream]
    stored = pq.read_table(next((folder / "midi_only").glob("validation-*")))
    assert ids == stored["sample_id"].to_pylist()
    assert not list(tmp_path.rglob("*.parquet"))


def test_an_impossible_plan_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="three splits need 12 players, got 5"):
        SousaBuilder(config_name="midi_only", cache_dir=str(tmp_path), players=5)
