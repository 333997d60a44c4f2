"""The card says what the shards hold, and makes plain `datasets` read the folder."""

import re
import shlex
from pathlib import Path

import damage
import datasets.config
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import Audio, ClassLabel, Features, List, Value, load_dataset
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders import cli
from sousa.builders.schema import CONFIGS, MEASURE_FIELDS, RUDIMENTS, SPLITS, STROKE_FIELDS, columns
from sousa.cards import card, markdown, rules
from sousa.cards.facts import facts
from sousa.cards.front_matter import size_category
from sousa.cards.provenance import BUILT, Provenance, provenance
from sousa.cards.recipe import commands

SPLIT_ROWS = {"train": 16, "validation": 16, "test": 16}


def front_matter(folder: Path) -> dict[str, object]:
    _, block, _ = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    content: dict[str, object] = yaml.safe_load(block)
    return content


@pytest.fixture
def partial(built: Path, tmp_path: Path) -> Path:
    """Two configs and no manifest."""
    folder = damage.copy(built, tmp_path / "partial", "midi_only", "labels_only")
    (folder / "manifest.json").unlink()
    return folder


def test_facts_count_what_the_shards_hold(built: Path):
    found = facts(built)
    table = pq.read_table(built / "labels_only")
    assert found.rows == 48
    assert found.default == "audio"
    assert tuple(found.configs) == CONFIGS
    assert {n: s.rows for n, s in found.configs["audio"].splits.items()} == SPLIT_ROWS
    assert found.labels.groups == {"train": 4, "validation": 4, "test": 4}
    assert found.labels.tiers["test"]["professional"] == 4
    assert found.labels.rudiments["flam_accent"] == 12
    assert found.labels.rudiments["drag"] == 0
    counted = found.labels.counted
    assert sum(counted["kit"].values()) == sum(counted["augmentation_preset"].values()) == 48
    assert found.labels.total("num_strokes") == sum(table["num_strokes"].to_pylist())
    assert found.labels.hours == pytest.approx(sum(table["duration_sec"].to_pylist()) / 3600)


def test_facts_give_mean_scores_by_tier_without_nulls(built: Path):
    table = pq.read_table(built / "labels_only", columns=["skill_tier", "drag_quality"]).to_pylist()
    values = [r["drag_quality"] for r in table if r["skill_tier"] == 2]
    known = [value for value in values if value is not None]
    mean = facts(built).labels.scores["drag_quality"]["advanced"]
    assert 0 < len(known) < len(values)
    assert mean == pytest.approx(sum(known) / len(known))


def test_sizes_are_those_of_the_files(built: Path):
    found = facts(built).configs["audio_16k"]
    assert found.file_bytes == sum(f.stat().st_size for f in built.glob("audio_16k/*.parquet"))


def test_a_folder_with_few_configs_and_no_manifest_has_facts(partial: Path, built: Path):
    assert tuple(facts(partial).configs) == ("midi_only", "labels_only")
    assert facts(partial).labels == facts(built).labels
    text = card.write(partial).text
    assert "## Make it again" not in text
    assert "This card was made from the files alone" in text


def test_a_folder_without_shards_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no dataset in .*: expected <split>-NNNNN"):
        facts(tmp_path)


def test_a_damaged_shard_is_named(partial: Path):
    path = damage.shard(partial, "labels_only")
    damage.replace(path, path.read_bytes()[:-30])
    with pytest.raises(OSError, match=r"labels_only/train-00000-of-00001.parquet is damaged"):
        facts(partial)


def test_a_shard_without_features_is_refused(partial: Path):
    path = damage.shard(partial, "midi_only")
    damage.rewrite(path, pq.read_table(path).replace_schema_metadata())
    with pytest.raises(OSError, match="does not declare features"):
        facts(partial)


def test_a_manifest_that_is_no_object_is_refused(partial: Path):
    (partial / "manifest.json").write_text("[]")
    with pytest.raises(ValueError, match=r"manifest.json must hold an object, holds a list"):
        card.write(partial)


def test_a_card_that_cannot_be_written_names_its_file_and_leaves_nothing(partial: Path):
    (partial / "croissant.json").unlink()
    (partial / "croissant.json").mkdir()
    with pytest.raises(OSError, match=r"croissant.json cannot be written: Is a directory"):
        card.write(partial)
    assert list(partial.rglob("*.partial")) == []


@pytest.mark.parametrize("config", [None, *CONFIGS])
def test_plain_load_dataset_reads_the_folder(built: Path, tmp_path: Path, config: str | None):
    """With the card's features, and counts that `datasets` verifies."""
    loaded = load_dataset(str(built), config, cache_dir=str(tmp_path))
    assert dict(loaded.num_rows) == SPLIT_ROWS
    first = loaded["train"]
    assert first.column_names == [
        column.name for column in columns(config or "audio", tuple(facts(built).tokenizers))
    ]
    assert first.features["rudiment_slug"] == ClassLabel(names=list(RUDIMENTS))
    if config in (None, "audio", "audio_16k"):
        assert first.features["audio"] == Audio(16_000 if config == "audio_16k" else 44_100)
        cell = first.cast_column("audio", Audio(decode=False))[0]["audio"]
        assert cell["bytes"][:4] == (b"RIFF" if config == "audio_16k" else b"fLaC")


def test_datasets_refuses_a_folder_that_is_not_what_the_card_says(built: Path, tmp_path: Path):
    folder = damage.copy(built, tmp_path / "short", "labels_only")
    card.write(folder)
    path = damage.shard(folder, "labels_only")
    damage.rewrite(path, pq.read_table(path).slice(1))
    with pytest.raises(Exception, match=r"num_examples=15"):
        load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))


def test_the_front_matter_is_what_the_hub_asks_for(built: Path):
    content = front_matter(built)
    assert content["license"] == "cc-by-4.0"
    assert content["size_categories"] == ["n<1K"]
    assert content["task_categories"] == ["audio-classification"]
    configs = content["configs"]
    assert [config["config_name"] for config in configs if config.get("default")] == ["audio"]
    assert configs[0]["config_name"] == "audio"
    assert configs[0]["data_files"] == [
        {"split": split, "path": f"audio/{split}-*"} for split in SPLITS
    ]
    infos = {info["config_name"]: info for info in content["dataset_info"]}
    assert set(infos) == set(CONFIGS)
    for config, info in infos.items():
        files = built.glob(f"{config}/*.parquet")
        assert info["download_size"] == sum(file.stat().st_size for file in files)
        assert {s["name"]: s["num_examples"] for s in info["splits"]} == SPLIT_ROWS
        assert info["dataset_size"] == sum(split["num_bytes"] for split in info["splits"])


def test_the_first_config_there_is_becomes_the_default(partial: Path):
    card.write(partial)
    configs = front_matter(partial)["configs"]
    assert [c["config_name"] for c in configs] == ["midi_only", "labels_only"]
    assert [c.get("default", False) for c in configs] == [True, False]


def test_the_page_has_every_column_and_no_gaps(built: Path):
    page = (built / "README.md").read_text("utf-8")
    described = columns("audio", tuple(facts(built).tokenizers)) + STROKE_FIELDS + MEASURE_FIELDS
    missing = [column.name for column in described if f"| `{column.name}` |" not in page]
    assert missing == []
    assert "$" not in page
    assert all(line.count("|") != 1 for line in page.splitlines())


def test_the_card_depends_on_nothing_but_the_folder(built: Path, tmp_path: Path):
    first = (built / "README.md").read_bytes()
    again = damage.copy(built, tmp_path / "elsewhere", *CONFIGS)
    (again / "README.md").unlink()
    assert card.write(again).text.encode() == first
    written = {path: path.read_bytes() for path in again.rglob("*") if path.is_file()}
    card.write(again)
    assert {path: path.read_bytes() for path in again.rglob("*") if path.is_file()} == written


def test_the_command_on_the_card_builds_the_same_dataset(built: Path, tmp_path: Path):
    words = shlex.split(commands(provenance(built), facts(built).tokenizers))
    assert words[:3] == ["sousa", "build", "OUT"]
    assert cli.main(["build", str(tmp_path / "again"), *words[3:], "--workers", "1"]) == 0
    assert (tmp_path / "again" / "manifest.json").read_bytes() == (
        built / "manifest.json"
    ).read_bytes()


@pytest.mark.parametrize(
    ("rows", "category"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1_000, "1K<n<10K"),
        (100_000, "100K<n<1M"),
        (2 * 10**9, "1B<n<10B"),
        (10**10, "10B<n<100B"),
        (10**13, "n>1T"),
    ],
)
def test_size_categories_are_the_hubs(rows: int, category: str):
    assert size_category(rows) == category


@given(st.text())
def test_text_from_data_cannot_leave_its_cell(value: str):
    for shown in (markdown.text(value), markdown.code(value)):
        assert len(shown.splitlines()) <= 1
        assert "|" not in shown.replace("\\|", "")
    assert "<" not in markdown.text(value)
    assert "`" not in markdown.code(value)[1:-1]


def test_the_command_names_the_soundfont_that_was_played():
    plan = {"players": 12, "kit": "sf2:TimGM6mb", "soundfont_sha256": "c5378b62"}
    assert "--kit sf2:TimGM6mb.sf2" in commands(Provenance(BUILT, plan), {})


def test_facts_do_not_depend_on_how_rows_are_split_into_shards(built: Path, tmp_path: Path):
    whole = damage.copy(built, tmp_path / "whole", "labels_only")
    parts = damage.copy(built, tmp_path / "parts", "labels_only")
    path = damage.shard(parts, "labels_only")
    table = pq.read_table(path)
    path.unlink()
    for index, start in enumerate(range(0, 16, 3)):
        name = f"train-{index:05d}-of-00006.parquet"
        pq.write_table(table.slice(start, 3), path.with_name(name), row_group_size=2)
    one, many = facts(whole).labels, facts(parts).labels
    assert one.overall == many.overall
    assert sum(map(sum, one.overall.values())) == 48
    assert (one.tiers, one.groups, one.counted) == (many.tiers, many.groups, many.counted)
    assert one.numbers["num_strokes"] == many.numbers["num_strokes"]
    assert one.hours == pytest.approx(many.hours)
    for name, means in one.scores.items():
        assert many.scores[name] == pytest.approx(means)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder of somebody else's config, splits and columns."""
    features = Features(
        {
            "mood": ClassLabel(names=["calm", "wild"]),
            "skill_tier": ClassLabel(names=["professional", "novice", "beginner"]),
            "tempo_bpm": Value("string"),
            "notes": {"pitch": List(Value("int32"))},
        }
    )
    cells = {"mood": [0, 1, 9], "skill_tier": [0, 2, 2], "tempo_bpm": ["fast", "slow", None]}
    table = pa.table(cells | {"notes": [{"pitch": [1]}] * 3}, schema=features.arrow_schema)
    (tmp_path / "default").mkdir()
    for split in ("train", "held.out_2"):
        pq.write_table(table, tmp_path / "default" / f"{split}-00000-of-00001.parquet")
    return tmp_path


def test_a_folder_of_other_columns_has_a_card_that_loads(foreign: Path):
    text = card.write(foreign, place="somebody/drums").text
    assert rules.check(text, foreign) == []
    assert front_matter(foreign)["pretty_name"] == "drums"
    assert front_matter(foreign)["license"] == "unknown"
    assert front_matter(foreign)["task_categories"] == ["tabular-classification"]
    for row in (
        "| `mood` | class: calm, wild |  |  |",
        "| `notes` | struct of lists |  |  |",
        "| `pitch` | int32 |  |  |",
        "| `tempo_bpm` | string |  |  |",  # not the schema's, which is in 1/min
        "| `skill_tier` | class: professional, novice, beginner |  |  |",
    ):
        assert row in text
    loaded = load_dataset(str(foreign), cache_dir=str(foreign / ".cache"))
    assert dict(loaded.num_rows) == {"train": 3, "held.out_2": 3}


def test_its_snippets_run(foreign: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", foreign / ".cache")
    text = card.write(foreign).text.replace("hf://datasets/org/sousa", str(foreign))
    snippets = re.findall(r"```python\n(.*?)```", text.replace("org/sousa", str(foreign)), re.S)
    assert len(snippets) == 5
    for snippet in snippets:
        exec(snippet, {})


def test_classes_count_by_their_names(foreign: Path):
    labels = facts(foreign).labels
    expected = {"beginner": 2, "intermediate": 0, "advanced": 0, "professional": 1}
    assert labels.tiers["train"] == expected
    assert "tempo_bpm" not in labels.numbers  # a column of text is no column of tempos


def test_the_page_names_no_config_that_is_not_there(built: Path, tmp_path: Path):
    text = card.write(damage.copy(built, tmp_path / "one", "audio", "labels_only")).text
    assert "| `audio` | audio, 44100 Hz |" in text
    assert "audio_16k" not in text
    assert "midi_only" not in text


def test_labels_alone_have_a_card(built: Path, tmp_path: Path):
    folder = damage.copy(built, tmp_path / "labels", "labels_only")
    text = card.write(folder).text
    assert rules.check(text, folder) == []
    assert "## Listen" not in text
    assert "### `strokes`" not in text
    assert "SOUSADataset" not in text
