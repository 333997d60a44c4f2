"""A card of imported data says what is there, and nothing of what is not."""

import json
import re
import shlex
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import card_folders
import damage
import datasets.config
import mlcroissant
import pyarrow.parquet as pq
import pytest
import sousa_data
from datasets import load_dataset
from test_cards_hostile import Tags, without_code

from sousa.builders import cli
from sousa.cards import card, figures, prose, rules
from sousa.cards.column_tables import features_of
from sousa.cards.facts import facts
from sousa.cards.front_matter import load, split_card
from sousa.cards.info import describe
from sousa.cards.recipe import commands

KINDS = ("midi", "sousa", "audio")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
FOREIGN = {
    "midi": r"rudiment|stroke|skill|tier|simulated|recording|waveform|\bkits?\b|sousadataset",
    "audio": r"rudiment|stroke|score|tier|synthe|midi|token|simulated|\bkits?\b",
    "sousa": "quarantine|sousa build",
}
"""Words that a page of a kind has no use for."""
KEYS = {
    *("license", "language", "annotations_creators", "pretty_name", "tags", "size_categories"),
    *("task_categories", "dataset_info", "configs"),
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each kind, with its card."""
    root = tmp_path_factory.mktemp("kinds")
    return {kind: card_folders.imported(kind, root / kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(folders: dict[str, Path], kind: str) -> Path:
    return folders[kind]


def page(folder: Path) -> str:
    return (folder / "README.md").read_text("utf-8")


def rows_of(folder: Path, config: str) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted((folder / config).glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def test_the_yaml_keeps_the_hubs_rules(folder: Path, kind: str):
    assert rules.check(page(folder), folder) == []
    content = load(split_card(page(folder))[0])
    assert content["license"] == "unknown"
    assert "> **License: not stated.**" in page(folder)
    assert content["task_categories"] == ["audio-classification" if kind != "midi" else "other"]
    assert ("drums" in content["tags"]) == (kind != "audio")


def test_a_license_that_somebody_sets_stays_and_the_note_goes(
    folders: dict[str, Path], tmp_path: Path
):
    folder = damage.copy(folders["midi"], tmp_path / "licensed", "midi_only", "labels_only")
    text = page(folder).replace("license: unknown", "license: cc-by-4.0")
    damage.replace(folder / "README.md", text.encode())
    assert "License: not stated" not in card.write(folder).text
    assert "license: cc-by-4.0\n" in page(folder)


def test_plain_datasets_reads_what_the_card_declares(folder: Path, tmp_path: Path):
    found = facts(folder)
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path))
    splits = found.configs[found.default].splits
    assert dict(loaded.num_rows) == {name: split.rows for name, split in splits.items()}


def test_every_snippet_runs(
    folder: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    snippets = PYTHON.findall(page(folder))
    for snippet in snippets:
        local = snippet.replace("hf://datasets/org/sousa", str(folder))
        exec(local.replace("org/sousa", str(folder)), {})
    used = "".join(snippets)
    wanted = ["load_dataset", "pd.read_parquet", "pl.scan_parquet", "duckdb.sql", "pd.DataFrame"]
    assert [name for name in wanted if name not in used] == []
    assert ("TokenDataset" in used) == bool(facts(folder).tokens)
    assert ('target="genre"' in used, 'target="skill_tier"' in used) == (
        kind == "audio",
        kind == "sousa",
    )


def test_the_page_says_nothing_of_what_is_not_there(folder: Path, kind: str):
    own = "\n".join(
        line
        for line in split_card(page(folder))[1].lower().splitlines()
        if card_folders.HOSTILE.lower()[:9] not in line
    )
    assert re.findall(FOREIGN[kind], own.replace("sousa.builders", "")) == []


def test_every_column_stands_on_the_page_with_its_meaning(folder: Path):
    for name in features_of(facts(folder)):
        (row,) = re.findall(rf"^\| `{name}` \| .* \|$", page(folder), re.MULTILINE)[:1]
        assert row.split(" | ")[-1].strip(" |")


def test_the_card_depends_on_nothing_but_the_folder(folder: Path, tmp_path: Path):
    again = tmp_path / "elsewhere"
    shutil.copytree(folder, again)
    (again / "README.md").unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    card.write(again)
    for path, content in before.items():
        assert (again / path.relative_to(folder)).read_bytes() == content


def test_the_command_on_the_page_makes_the_same_dataset(folder: Path, kind: str, tmp_path: Path):
    found = facts(folder)
    (command,) = commands(found.made, found.tokenizers).splitlines()
    assert f"```\n{command}\n```" in page(folder)
    places = {
        "DIR": folder.parent / "source",
        "SRC": folder.parent / "source",
        "OUT": tmp_path / "again",
        "FILE": folder.parent / "labels.csv",
    }
    words = [str(places.get(word, word)) for word in shlex.split(command)]
    words = [word.replace("tokenizers/", f"{folder}/tokenizers/") for word in words]
    assert words[1:3] == ["import", kind]
    assert cli.main([*words[1:], "--workers", "1"]) == 0
    manifest = "manifest.json"
    assert (tmp_path / "again" / manifest).read_bytes() == (folder / manifest).read_bytes()


def test_what_was_left_out_is_counted_by_reason(folders: dict[str, Path]):
    lines = (folders["midi"] / "quarantine.jsonl").read_text("utf-8").splitlines()
    rejected = facts(folders["midi"]).made.rejected
    assert rejected == {
        "duplicate: the same events": 1,
        "empty file": 1,
        "not a MIDI file": 1,
    }
    assert sum(rejected.values()) == len(lines)
    assert "9 files were found" in page(folders["midi"])
    assert "| `empty file` | 1 |" in page(folders["midi"])
    assert sum(facts(folders["audio"]).made.rejected.values()) == 1
    assert "What was left out" not in page(folders["sousa"])


def test_tokens_are_counted_as_the_rows_hold_them(folders: dict[str, Path]):
    rows = rows_of(folders["midi"], "midi_only")
    found = facts(folders["midi"])
    assert list(found.tokens) == ["tokens", "tokens_cpword", "tokens_ms"]
    for name in ("tokens", "tokens_ms"):
        total = sum(len(row[name]) for row in rows)
        assert found.tokens[name].ids == total
        exact = sum(row[f"{name}_exact"] for row in rows)
        vocabulary = json.loads((folders["midi"] / f"tokenizers/{name}.json").read_text())["vocab"]
        cells = f"{len(vocabulary):,} | {total:,} | {total / 6:,.0f} | {exact} of 6 |"
        assert f"| `{name}` | `{found.tokens[name].type}` | {cells}" in page(folders["midi"])
    words = [word for row in rows for word in row["tokens_cpword"] or ()]
    assert found.tokens["tokens_cpword"].ids == sum(map(len, words)) > len(words)
    assert "| `tokens_cpword` | list of list of uint16 |" in page(folders["midi"])


def test_figures_are_those_of_the_rows(folders: dict[str, Path]):
    rows = rows_of(folders["midi"], "labels_only")
    labels = facts(folders["midi"]).labels
    assert labels.total("num_notes") == sum(row["num_notes"] for row in rows)
    assert labels.hours == pytest.approx(sum(row["duration_sec"] for row in rows) / 3600)
    assert labels.flags["has_drums"].true == sum(row["has_drums"] for row in rows)
    families = Counter(family for row in rows for family in {p // 8 for p in row["programs"]})
    assert labels.families == dict(sorted(families.items()))


def test_classes_are_counted_by_split(folders: dict[str, Path]):
    labels = facts(folders["audio"]).labels
    names = features_of(facts(folders["audio"]))["genre"]["names"]
    expected: dict[str, Counter[str]] = {}
    for path in (folders["audio"] / "labels_only").glob("*.parquet"):
        ids = pq.read_table(path)["genre"].to_pylist()
        expected[path.name.partition("-")[0]] = Counter(names[id_] for id_ in ids)
    assert labels.classes["genre"] == expected
    assert sum(labels.groups.values()) == 6
    assert "| split | different `the_player` | rows |" in page(folders["audio"])
    assert labels.counted["source_sample_rate_hz"] == {"22050": 6, "44100": 6}


def test_columns_that_the_source_lacks_are_said_to_be_empty(folders: dict[str, Path]):
    assert "entries of `mistakes`; null in every row |" in page(folders["sousa"])
    assert "every mistake; empty in every row |" in page(folders["sousa"])
    assert "Kits and rooms" in page(folders["sousa"])


def test_known_defects_are_those_of_the_generator_alone(folders: dict[str, Path], tmp_path: Path):
    """Not of our data that were exported to that layout; their scores are of another set."""
    folder = damage.copy(folders["sousa"], tmp_path / "again", "midi_only")
    assert "Kits and rooms" not in card.write(folder).text  # there is no audio
    assert "`weak_hand_index` is the other way round" in page(folder)
    manifest = (folder / "manifest.json").read_text().replace("sousa-v0", "v1")
    damage.replace(folder / "manifest.json", manifest.encode())
    assert "the other way round" not in card.write(folder).text


def test_players_of_no_split_are_told(tmp_path: Path):
    source = tmp_path / "source"
    sousa_data.make(source, sousa_data.Variant(players=3, audio=False))
    splits = json.loads((source / "splits.json").read_text())
    lost = splits["train_profile_ids"].pop()
    (source / "splits.json").write_text(json.dumps(splits))
    words = ["import", "sousa", str(source), str(tmp_path / "out"), *card_folders.WORKERS]
    assert cli.main([*words, "--configs", "labels_only"]) == 0
    text = page(tmp_path / "out")
    assert "Players whom the source has in no split were left out: 1." in text
    assert "| `player is in no split` | 6 |" in text
    assert lost not in text
    assert "```\nsousa import sousa SRC OUT --configs labels_only\n```" in text


def test_the_page_counts_as_people_do(folders: dict[str, Path], tmp_path: Path):
    assert "`sousa import midi`; 3 were left out, for the reasons in `quarantine.jsonl`." in page(
        folders["midi"]
    )
    whole = shutil.copytree(folders["midi"], tmp_path / "midi")
    lines = (whole / "quarantine.jsonl").read_text().splitlines(keepends=True)
    for kept, said in ((0, "none was left out."), (1, "1 was left out, for the reasons in")):
        (whole / "quarantine.jsonl").write_text("".join(lines[:kept]))
        card.write(whole)
        assert f"`sousa import midi`; {said}" in page(whole)
        assert "null in 1 rows" not in page(whole)
    assert "## Citation" in page(whole)
    assert "Cite the source of these data" in page(whole)


def test_clips_are_heard_and_drawn_with_their_events(folders: dict[str, Path]):
    folder = folders["audio"]
    assert sorted(path.name for path in (folder / "card").iterdir()) == [
        *("sample-1.flac", "sample-2.flac", "samples.svg"),
    ]
    assert (folder / "card" / "samples.svg").read_text().count('y1="173.0"') == 2
    assert page(folder).count(r", the\_player: &lt;/details&gt;") == 2


def test_the_notes_of_a_file_are_drawn(folders: dict[str, Path]):
    (name,) = (path.name for path in (folders["midi"] / "card").iterdir())
    assert f"](card/{name})" in page(folders["midi"])
    tree = ElementTree.fromstring((folders["midi"] / "card" / name).read_text())
    colours = Counter(shape.get("fill") for shape in tree.iter("{http://www.w3.org/2000/svg}rect"))
    assert colours == {figures.NOTE_COLOUR: 8 + 1, figures.DRUM_COLOUR: 8 + 1, "#ffffff": 1}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib
def test_croissant_reads_the_rows(folder: Path, kind: str):
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert list(issues.errors) == []
    assert all("datePublished" in line or "citeAs" in line for line in issues.warnings)
    config = facts(folder).default
    by_id = {row["sample_id"]: row for row in rows_of(folder, config)}
    for record in dataset.records(config):
        row = by_id.pop(record[f"{config}/sample_id"].decode())
        assert record[f"{config}/duration_sec"] == pytest.approx(row["duration_sec"])
        if kind == "midi":
            assert list(record[f"{config}/tokens"]) == row["tokens"]
            words = record[f"{config}/tokens_cpword"]
            assert [list(word) for word in words] == row["tokens_cpword"]
            notes = record[f"{config}/notes"]
            assert list(notes[f"{config}/notes/pitch"]) == row["notes"]["pitch"]
            assert [name.decode() for name in record[f"{config}/track_names"]] == row["track_names"]
        if kind == "audio":
            assert record[f"{config}/genre"] == row["genre"]
            kinds = record[f"{config}/events"][f"{config}/events/kind"]
            assert list(kinds) == row["events"]["kind"]
    assert by_id == {}


def test_names_from_the_source_are_no_markup(folder: Path):
    yaml, text = split_card(page(folder))
    tags = Tags()
    tags.feed(without_code(text))
    assert tags.found <= {"details", "summary", "audio"}
    assert "](http://evil" not in without_code(text)
    assert set(prose.prose(text)) == {"about", "uses", "limits", "citation"}
    assert set(load(yaml)) <= KEYS


def test_info_tells_what_is_there_in_one_screen(folder: Path, kind: str):
    text = describe(folder)
    lines = text.splitlines()
    assert len(lines) <= 50
    first = {
        "midi": "6 files, 20 seconds, 96 notes",
        "sousa": "72 clips, 40 seconds, 432 strokes",
        "audio": "12 recordings, 3 seconds",
    }
    assert lines[0] == f"{folder}: {first[kind]}"
    if kind == "midi":
        assert lines[3] == (
            "left out 3: duplicate: the same events (1), empty file (1), not a MIDI file (1)"
        )
        (grid,) = [line.split() for line in lines if line.startswith("tokens  ")][1:]
        assert grid[1] == "grid"
    if kind == "audio":
        assert "genre: --- 6, jazz 6" in lines
        assert "6 different the_player" in lines
    assert "tier" not in text or kind == "sousa"
