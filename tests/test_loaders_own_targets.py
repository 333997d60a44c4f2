"""Columns that just the user's data has are learnt as well, from wherever they come."""

import math
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from audio_data import collection, run, wave
from published import NAME, published_on

from sousa.builders.encoding import quantise, wav
from sousa.loaders import SOUSADataset, StratifiedBatchSampler, create_dataloader
from sousa.loaders.labelling import labelled
from sousa.loaders.rows import Declared
from sousa.loaders.targets import MISSING, Target

GENRES = ["jazz", "pop", "rock"]
TAGS = ["calm", "dark", "loud", "odd"]
ROWS = 12

FEATURES = datasets.Features(
    {
        "sample_id": datasets.Value("string"),
        "genre": datasets.ClassLabel(names=GENRES),
        "tags": datasets.List(datasets.ClassLabel(names=TAGS)),
        "mood": datasets.Value("float32"),
        "title": datasets.Value("string"),
        "audio": datasets.Audio(16_000, decode=False),
    }
)


def rows() -> dict[str, list[Any]]:
    clips = [wav(quantise(wave(row, 160)[:, 0]), 16_000) for row in range(ROWS)]
    return {
        "sample_id": [f"s{row}" for row in range(ROWS)],
        "genre": [None if row == 5 else row % 3 for row in range(ROWS)],
        "tags": [None if row == 5 else [row % 4, 3] if row % 2 else [] for row in range(ROWS)],
        "mood": [None if row == 5 else row / 8 for row in range(ROWS)],
        "title": [f"t{row}" for row in range(ROWS)],
        "audio": [{"bytes": clip, "path": None} for clip in clips],
    }


@pytest.fixture(scope="module")
def data() -> datasets.Dataset:
    return datasets.Dataset.from_dict(rows(), features=FEATURES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("collection")
    collection(made)
    assert run(made, made / "out", "--split-by", "artist") == 0
    return made / "out"


def labels(dataset: Any, target: Any, **options: Any) -> dict[str, Any]:
    """Return label and mask by sample, of all batches of one pass."""
    made = SOUSADataset(dataset, target=target)
    loader = create_dataloader(made, 5, num_workers=0, **options)
    return {
        name: (label.tolist(), mask.tolist())
        for batch in loader
        for name, label, mask in zip(
            batch["sample_ids"], batch["labels"], batch["label_mask"], strict=True
        )
    }


@pytest.mark.parametrize("streamed", [False, True])
def test_classes_have_the_ids_that_the_data_declares(
    data: datasets.Dataset, *, streamed: bool
) -> None:
    found = labels(data.to_iterable_dataset(2) if streamed else data, "genre")
    expected = {f"s{row}": (row % 3, True) for row in range(ROWS)}
    assert found == {**expected, "s5": (MISSING, False)}
    assert SOUSADataset(data, target="genre").num_classes == 3


def test_a_missing_class_is_what_losses_pass_over(data: datasets.Dataset) -> None:
    sample = SOUSADataset(data, target="genre")[5]
    assert (sample["label"], sample["label_mask"].item()) == (MISSING, False)
    loss = torch.nn.CrossEntropyLoss(reduction="none")
    assert loss(torch.ones(1, 3), torch.tensor([sample["label"]])).item() == 0


@pytest.mark.parametrize("streamed", [False, True])
def test_lists_of_classes_are_many_hot(data: datasets.Dataset, *, streamed: bool) -> None:
    found = labels(data.to_iterable_dataset(2) if streamed else data, "tags")
    for row in range(ROWS):
        label, mask = found[f"s{row}"]
        if row == 5:
            assert all(map(math.isnan, label))
            assert not any(mask)
        else:
            expected = {row % 4, 3} if row % 2 else set()
            assert label == [float(tag in expected) for tag in range(4)]
            assert all(mask)
    dataset = SOUSADataset(data, target="tags")
    assert dataset.num_classes == 4
    assert dataset[1]["label"].tolist() == [0, 1, 0, 1]
    assert dataset[1]["label"].dtype == torch.float32


def test_numbers_are_as_they_are(data: datasets.Dataset) -> None:
    found = labels(data, "mood")
    assert {name: label for name, (label, mask) in found.items() if mask} == {
        f"s{row}": row / 8 for row in range(ROWS) if row != 5
    }
    assert math.isnan(found["s5"][0])
    several = labels(data, ["mood", "mood"])
    assert several["s2"] == ([0.25, 0.25], [True, True])
    assert SOUSADataset(data, target="mood").num_classes is None


def test_columns_that_are_not_there_are_none(data: datasets.Dataset) -> None:
    dataset = SOUSADataset(data, target="genre")
    sample = dataset[0]
    assert [sample[name] for name in ("skill_tier", "rudiment_slug", "tempo_bpm")] == [None] * 3
    batch = next(iter(create_dataloader(dataset, 4, num_workers=0)))
    assert batch["metadata"] == {
        "skill_tiers": [None] * 4,
        "rudiment_slugs": [None] * 4,
        "tempo_bpms": [None] * 4,
    }
    there = data.add_column("tempo_bpm", [100.0 + row for row in range(ROWS)])
    assert SOUSADataset(there, target="genre")[3]["tempo_bpm"] == 103


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("gerne", r"target must be one of genre, tags, mood; got gerne"),
        ("title", r"target must be one of genre, tags, mood; got title"),
        (["genre"], r"target must be a list of mood; got genre"),
        ([], r"target must be a list of mood; got none"),
        ("overall_score", r"has no column overall_score; it has sample_id, genre"),
        ("skill_tier", r"has no column skill_tier; it has sample_id, genre"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_cannot_be_learnt_is_refused(
    data: datasets.Dataset, target: Any, message: str, *, streamed: bool
) -> None:
    with pytest.raises(ValueError, match=message):
        SOUSADataset(data.to_iterable_dataset() if streamed else data, target=target)


def test_ids_without_a_name_are_broken_rows() -> None:
    schema = FEATURES.arrow_schema
    table = pa.table(
        {"sample_id": ["a", "b"], "genre": [3, 0], "tags": [[0], [4]]},
        pa.schema([schema.field(name) for name in ("sample_id", "genre", "tags")]),
    )
    declared = Declared.by(schema)
    found = labelled(table, Target.by("genre", declared), declared)
    assert found.broken == {0: "genre is 3, of 3 declared classes"}
    found = labelled(table, Target.by("tags", declared), declared)
    assert found.broken == {1: "tags holds 4, of 4 classes"}


@pytest.mark.parametrize(
    "feature",
    [
        {"feature": {"names": TAGS, "_type": "ClassLabel"}, "_type": "List"},
        {"feature": {"names": TAGS, "_type": "ClassLabel"}, "_type": "Sequence"},
        [{"names": TAGS, "_type": "ClassLabel"}],
    ],
)
def test_lists_of_classes_are_known_from_any_version_of_datasets(feature: Any) -> None:
    text = str({"info": {"features": {"tags": feature}}}).replace("'", '"')
    schema = pa.schema([("tags", pa.list_(pa.int64()))], metadata={"huggingface": text})
    assert Declared.by(schema).lists == {"tags": tuple(TAGS)}


def test_a_folder_is_learnt_from_in_every_way(folder: Path) -> None:
    whole = SOUSADataset(folder, target="genre")
    assert (whole.num_classes, len(whole)) == (3, 12)
    expected = {whole[row]["sample_id"]: whole[row]["label"] for row in range(12)}
    for split in ("train", "validation", "test"):
        plain = datasets.load_dataset(str(folder), "audio_16k", split=split, streaming=True)
        found = labels(plain, "genre")
        assert {name: expected[name] for name in found} == {n: v for n, (v, _) in found.items()}
    names = ["jazz", "pop", "rock"]
    assert {whole[row]["label"] for row in range(12)} == set(range(len(names)))


@pytest.mark.parametrize("streamed", [False, True])
def test_batches_are_balanced_by_any_class(folder: Path, *, streamed: bool) -> None:
    data: Any = folder
    if streamed:
        data = datasets.load_dataset(str(folder), "audio_16k", split="train", streaming=True)
    dataset = SOUSADataset(data, target="genre")
    for batch in create_dataloader(dataset, 3, num_workers=0, stratify="genre"):
        counts = np.bincount(batch["labels"].numpy(), minlength=3)
        if len(batch["labels"]) == 3:
            assert counts.tolist() == [1, 1, 1]


@pytest.mark.parametrize("streamed", [False, True])
def test_weights_may_be_for_any_declared_class(data: datasets.Dataset, *, streamed: bool) -> None:
    there = data.select([0, 2, 3])  # jazz and rock
    dataset = SOUSADataset(there.to_iterable_dataset() if streamed else there, target="genre")
    weights = {"jazz": 1.0, "pop": 1.0, "rock": 1.0}
    options: Any = {"num_workers": 0, "stratify": "genre"}
    found = [batch["labels"] for batch in create_dataloader(dataset, 2, weights=weights, **options)]
    assert set(torch.cat(found).tolist()) == {0, 2}
    with pytest.raises(ValueError, match=r"weights must be for jazz, .*; got one for folk"):
        create_dataloader(dataset, 2, weights={**weights, "folk": 1.0}, **options)


def test_lists_make_no_strata(data: datasets.Dataset) -> None:
    with pytest.raises(ValueError, match=r"tags holds list<.*>, not classes"):
        StratifiedBatchSampler(data, 4, by="tags")
    with pytest.raises(ValueError, match="genre is null in 1 rows: filter them out first"):
        StratifiedBatchSampler(data, 4, by="genre")


@pytest.mark.parametrize("streaming", [False, True])
def test_published_data_is_learnt_from_as_its_folder_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path, *, streaming: bool
) -> None:
    whole = SOUSADataset(folder, target="genre")
    expected = {whole[row]["sample_id"]: whole[row]["label"] for row in range(len(whole))}
    with published_on(monkeypatch, tmp_path, folder):
        dataset = SOUSADataset(NAME, target="genre", streaming=streaming)
        assert dataset.num_classes == 3
        loader = create_dataloader(dataset, 4, num_workers=0, stratify="genre")
        found = {
            name: label
            for batch in loader
            for name, label in zip(batch["sample_ids"], batch["labels"].tolist(), strict=True)
        }
        assert found == expected
        with pytest.raises(ValueError, match=r"target must be one of artist, genre, .*got style"):
            SOUSADataset(NAME, target="style", streaming=streaming)
