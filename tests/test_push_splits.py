"""Splits that were prepared with `datasets` arrive as they are, with a card that is right."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from datasets import (
    Audio,
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    IterableDataset,
    IterableDatasetDict,
    Value,
    load_dataset,
)
from hub import Hub
from huggingface_hub import HfApi
from pushing import REPO, push, pushed_to, small, stored

from sousa.builders.schema import RUDIMENTS
from sousa.cards import prepared
from sousa.cards.splits import push_splits


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with pushed_to(monkeypatch, tmp_path) as hub:
        yield hub


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return small(built, tmp_path / "drums", "audio_16k", "labels_only")


def opened(folder: Path, config: str) -> DatasetDict:
    files = {s: str(folder / config / f"{s}-*") for s in ("train", "validation", "test")}
    return load_dataset("parquet", data_files=files, cache_dir=str(folder.parent / "cache"))


def front_matter(hub: Hub) -> dict[str, Any]:
    _, block, _ = hub.content(REPO, "README.md", "main").decode().split("---\n", 2)
    content: dict[str, Any] = yaml.safe_load(block)
    return content


def test_filtered_splits_arrive_with_their_features(hub: Hub, folder: Path):
    data = opened(folder, "audio_16k").filter(
        lambda tier: tier == 3, input_columns=["skill_tier"], load_from_cache_file=False
    )
    pushed = push_splits(data, REPO, private=True, tag="v1")
    assert hub.repository(REPO).private
    assert hub.repository(REPO).tags["v1"] == pushed.commit
    there = load_dataset(REPO)
    assert there.num_rows == {"train": 4, "validation": 4, "test": 4}
    assert there["train"].features == data["train"].features
    assert there["train"].features["rudiment_slug"] == ClassLabel(names=list(RUDIMENTS))
    for split, rows in data.items():
        arrow = rows.with_format("arrow")[:]
        assert there[split].with_format("arrow")[:].equals(arrow)
    assert set(stored(hub)) >= {f"default/{split}-00000-of-00001.parquet" for split in data}
    info = front_matter(hub)["dataset_info"]
    assert {s["name"]: s["num_examples"] for s in info["splits"]} == dict(there.num_rows)


@pytest.mark.usefixtures("hub")
def test_a_stream_arrives_in_order(folder: Path):
    data = opened(folder, "labels_only")
    stream = IterableDatasetDict({n: split.to_iterable_dataset() for n, split in data.items()})
    push_splits(stream, REPO, config="labels")
    there = load_dataset(REPO, "labels")
    assert {n: s["sample_id"][:] for n, s in there.items()} == {
        n: s["sample_id"][:] for n, s in data.items()
    }
    assert there["test"].features == data["test"].features


@pytest.mark.usefixtures("hub")
def test_a_stream_of_unknown_features_tells_them_by_its_rows():
    stream = Dataset.from_dict({"text": ["r l r r", "l r l l"]}).to_iterable_dataset()
    push_splits(stream.map(lambda row: {"tokens": [len(row["text"])]}), REPO)
    there = load_dataset(REPO, split="train")
    assert there[:] == {"text": ["r l r r", "l r l l"], "tokens": [[7], [7]]}


def tone(rate_hz: int, container: str) -> bytes:
    file = io.BytesIO()
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz // 10) / rate_hz)
    soundfile.write(file, wave, rate_hz, format=container, subtype="PCM_16")
    return file.getvalue()


@pytest.mark.parametrize("container", ["FLAC", "WAV"])
def test_audio_is_stored_at_the_rate_that_its_feature_declares(hub: Hub, container: str):
    features = Features({"audio": Audio(16_000), "hit": Value("int32")})
    cells = [{"bytes": tone(rate_hz, container), "path": None} for rate_hz in (16_000, 44_100)]
    table = {"audio": [*cells, None], "hit": [1, 2, 3]}
    push_splits(Dataset(pa.table(table, schema=features.arrow_schema)), REPO)
    rows = pq.read_table(
        io.BytesIO(hub.content(REPO, "default/train-00000-of-00001.parquet", "main"))
    )
    kept, changed, none = rows["audio"].to_pylist()
    assert kept["bytes"] == cells[0]["bytes"]
    assert none is None
    wave, rate_hz = soundfile.read(io.BytesIO(changed["bytes"]))
    expected, _ = soundfile.read(io.BytesIO(cells[0]["bytes"]))
    assert rate_hz == 16_000
    assert soundfile.info(io.BytesIO(changed["bytes"])).format == container
    assert np.abs(wave - expected)[100:-100].max() < 0.01


def test_a_config_joins_those_that_are_there(hub: Hub, folder: Path):
    assert push(folder) == 0
    page = hub.content(REPO, "README.md", "main").decode().split("---\n", 2)[2]
    before = stored(hub)
    data = opened(folder, "labels_only")
    order = np.argsort(data["test"]["overall_score"][:])
    push_splits(data["test"].select(order), REPO, config="sorted")
    content = front_matter(hub)
    names = [config["config_name"] for config in content["configs"]]
    assert names == ["audio_16k", "labels_only", "sorted"]
    assert [config.get("default", False) for config in content["configs"]] == [True, False, False]
    assert [info["config_name"] for info in content["dataset_info"]] == names
    assert hub.content(REPO, "README.md", "main").decode().endswith(page)
    after = stored(hub)
    unchanged = before.keys() - {"README.md", "manifest.json"}
    assert {path: after[path] for path in unchanged} == {path: before[path] for path in unchanged}
    scores = load_dataset(REPO, "sorted", split="test")["overall_score"][:]
    assert scores == sorted(scores)
    recorded = json.loads(hub.content(REPO, "manifest.json", "main"))["shards"]
    assert sum(shard["path"].startswith("sorted/") for shard in recorded) == 1


def test_fewer_shards_than_before_do_not_double_rows(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    data = Dataset.from_dict({"beat": list(range(100))})
    with monkeypatch.context() as few:
        few.setattr(prepared, "SHARD_BYTES", 1)
        few.setattr(prepared, "ROW_GROUP_BYTES", 400)
        push_splits(data, REPO)
    assert load_dataset(REPO, split="train")["beat"][:] == list(range(100))
    several = {path for path in stored(hub) if path.startswith("default/")}
    assert len(several) > 1
    push_splits(data.select(range(50)), REPO)
    assert load_dataset(REPO, split="train")["beat"][:] == list(range(50))
    push_splits(data.select(range(50)), REPO, prune=True)
    left = {path for path in stored(hub) if path.startswith("default/")}
    assert left == {"default/train-00000-of-00001.parquet"}


@pytest.mark.usefixtures("hub")
def test_the_same_splits_again_are_not_sent_again():
    data = Dataset.from_dict({"beat": [1, 2, 3]})
    first = push_splits(data, REPO)
    again = push_splits(data, REPO)
    assert again.commit == first.commit
    assert again.new_bytes == 0


@pytest.mark.parametrize(
    ("data", "config", "error", "message"),
    [
        ([1, 2], "default", TypeError, "data must be a Dataset, DatasetDict, .* got list"),
        (DatasetDict(), "default", ValueError, "got no split at all"),
        ({"a b": [1]}, "default", TypeError, "got dict"),
        (DatasetDict({"a-b": Dataset.from_dict({"x": [1]})}), "default", ValueError, "a-b"),
        (Dataset.from_dict({"x": []}), "default", ValueError, "split train has no rows"),
        (Dataset.from_dict({"x": [1]}), "../up", ValueError, "config must be a name"),
        (Dataset.from_dict({"x": [1]}), "card", ValueError, "config must be a name"),
        (
            DatasetDict({"a": Dataset.from_dict({"x": [1]}), "b": Dataset.from_dict({"x": ["1"]})}),
            "default",
            ValueError,
            "split b must have the features of a, has others",
        ),
        (
            IterableDataset.from_generator(lambda: iter([{"x": None}])),
            "default",
            ValueError,
            "its first rows are null in x; give `features`",
        ),
    ],
    ids=["list", "empty", "dict", "split", "rows", "path", "taken", "features", "null"],
)
def test_what_cannot_be_pushed_is_refused(
    hub: Hub, data: Dataset, config: str, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        push_splits(data, REPO, config=config)
    assert not HfApi().repo_exists(REPO, repo_type="dataset")
    assert hub.requests("POST") == []
