"""Croissant metadata: what mlcroissant reads with it is what the shards hold."""

import hashlib
import json
from itertools import islice
from pathlib import Path
from typing import Any

import mlcroissant
import pyarrow.parquet as pq
import pytest

from sousa.builders.schema import CONFIGS, SPLITS, columns

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib, which it uses


@pytest.fixture(scope="module")
def content(built: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((built / "croissant.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def dataset(built: Path) -> Any:
    return mlcroissant.Dataset(jsonld=str(built / "croissant.json"))


def test_it_is_valid_but_for_a_date(dataset: Any):
    """A date would make two equal folders differ."""
    issues = dataset.metadata.ctx.issues
    assert issues.errors == set() or issues.errors == []
    (warning,) = issues.warnings
    assert "datePublished" in warning


@pytest.mark.parametrize("config", ["audio", "labels_only"])
def test_records_are_the_rows(built: Path, dataset: Any, config: str):
    by_id = {}
    for split in SPLITS:
        (path,) = (built / config).glob(f"{split}-*.parquet")
        by_id |= {row["sample_id"]: (split, row) for row in pq.read_table(path).to_pylist()}
    for record in islice(dataset.records(config), 20):
        split, row = by_id[record[f"{config}/sample_id"].decode()]
        assert record[f"{config}/split"].decode() == split
        assert record[f"{config}/skill_tier"] == row["skill_tier"]
        assert record[f"{config}/tempo_bpm"] == pytest.approx(row["tempo_bpm"])
        if config == "audio":
            assert record["audio/audio"] == row["audio"]["bytes"]
            assert list(record["audio/tokens"]) == row["tokens"]
            strokes = record["audio/strokes"]["audio/strokes/actual_time_ms"]
            assert list(strokes) == row["strokes"]["actual_time_ms"]


def test_every_shard_is_there_with_its_hash(built: Path, content: dict[str, Any]):
    listed = {
        entry["contentUrl"]: entry["sha256"]
        for entry in content["distribution"]
        if entry["@type"] == "cr:FileObject"
    }
    shards = [path for config in CONFIGS for path in (built / config).glob("*.parquet")]
    assert listed == {
        path.relative_to(built).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in shards
    }


def test_every_column_is_a_field_or_named_as_left_out(content: dict[str, Any]):
    sets = {entry["@id"]: entry for entry in content["recordSet"]}
    for config in CONFIGS:
        names = [field["name"] for field in sets[config]["field"]]
        left_out = ["midi"] if config != "labels_only" and config in sets else []
        stored = [c.name for c in columns(config, ("tokens", "tokens_ms"))]
        assert names == ["split", *(name for name in stored if name not in left_out)]
        assert all(name in sets[config]["description"] for name in left_out)
