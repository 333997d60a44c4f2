"""Cards of columns that nobody foresaw: what they hold is counted, and shown as it is."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import datasets.config
import mlcroissant
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import (
    Array2D,
    Audio,
    ClassLabel,
    Dataset,
    Features,
    Image,
    List,
    Translation,
    Value,
    load_dataset,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cards_hostile import HOSTILE, Tags, without_code

from sousa.cards import card, markdown, rules
from sousa.cards.facts import facts
from sousa.cards.front_matter import split_card
from sousa.cards.label_columns import names_in
from sousa.cards.label_facts import label_facts
from sousa.cards.prose import prose

TAGS = ["p", "<b>|q"]
FEATURES = Features(
    {
        "text": Value("string"),
        "image": Image(),
        "when": Value("timestamp[s]"),
        "vector": List(Value("float32"), length=3),
        "turns": List({"who": Value("int32"), "what": List(ClassLabel(names=["x", "y"]))}),
        "nested": {"inner": {"deep": Value("int64")}, "tags": List(ClassLabel(names=TAGS))},
        "tags": List(ClassLabel(names=TAGS)),
        "deep": List(List(List(Value("int16")))),
        "pair": Translation(languages=["en", "fr"]),
        "flag": Value("bool"),
        "number": Value("float64"),
        "clip": Audio(),
        "a column": Value("int32"),
        "split": Value("int32"),
        "order": ClassLabel(names=["m", "n"]),
        "bytes": Value("binary"),
    }
)
ROW = {
    "text": "a",
    "image": None,
    "when": 0,
    "vector": [1.0, 2.0, 3.0],
    "turns": [{"who": 1, "what": [0]}],
    "nested": {"inner": {"deep": 1}, "tags": [0]},
    "tags": [0, 1],
    "deep": [[[1], []], []],
    "pair": {"en": "a", "fr": "b"},
    "flag": True,
    "number": float("nan"),
    "clip": None,
    "a column": 7,
    "split": 3,
    "order": 0,
    "bytes": b"x",
}
EMPTY = dict.fromkeys(ROW) | {"number": 0.5, "order": 1, "tags": [1]}


def written(root: Path, features: Features, rows: list[dict[str, Any]]) -> Path:
    cells = {name: [row[name] for row in rows] for name in features}
    table = Dataset.from_dict(cells, features=features).with_format("arrow")[:]
    (root / "my config").mkdir(parents=True)
    pq.write_table(table, root / "my config" / "held_out-00000-of-00001.parquet")
    return root


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = written(tmp_path_factory.mktemp("wide") / "x", FEATURES, [ROW, EMPTY])
    card.write(root, place="me/mine")
    return root


def test_any_columns_have_a_card_that_loads(wide: Path, tmp_path: Path):
    text = (wide / "README.md").read_text("utf-8")
    assert rules.check(text, wide) == []
    for row in (
        "| `turns` | list of struct |  |  |",
        "| `nested` | struct |  |  |",
        "| `inner` | struct |  |  |",
        "| `tags` | list of class: p, &lt;b&gt;\\|q |  |  |",
        "| `deep` | list of list of list of int16 |  |  |",
        "| `when` | timestamp\\[s\\] |  |  |",
        "| `clip` | audio |  |  |",
        "| `<b>\\|q` | 2 |",
        "| `number` | 0.5 | 0.5 | 0.5 | 1 |",
        "| `flag` | 1 of 1 rows |",
    ):
        assert row in text
    loaded = load_dataset(str(wide), cache_dir=str(tmp_path))
    assert loaded["held_out"].features == FEATURES


def test_its_snippets_run(wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    text = (wide / "README.md").read_text("utf-8")
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for snippet in snippets:
        if "soundfile" not in snippet:  # the first row has no clip
            local = snippet.replace("hf://datasets/me/mine", str(wide))
            exec(local.replace("me/mine", str(wide)), {})
    assert 'GROUP BY "order"' in "".join(snippets)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib
def test_its_croissant_reads_what_the_format_has_types_for(wide: Path):
    dataset = mlcroissant.Dataset(jsonld=str(wide / "croissant.json"))
    (first, second) = dataset.records("my_config_0")
    assert first["my_config_0/split"] == b"held_out"
    assert first["my_config_0/split_13"] == 3
    assert first["my_config_0/a_column_12"] == 7
    assert first["my_config_0/tags"] == [0, 1]
    assert first["my_config_0/deep"] == [[[1], []], []]
    assert second["my_config_0/order"] == 1
    content = json.loads((wide / "croissant.json").read_text("utf-8"))
    said = content["recordSet"][1]["description"]
    assert said.endswith("no type for them: image, when, turns, pair, bytes.")


def test_features_of_fixed_shape_are_named(tmp_path: Path):
    features = Features({"grid": Array2D((2, 2), "float32")})
    root = written(tmp_path / "x", features, [{"grid": [[1.0, 2.0], [3.0, 4.0]]}])
    assert "| `grid` | array2d |  |  |" in card.write(root).text


CELLS = st.lists(
    st.fixed_dictionaries(
        {
            "number": st.none() | st.integers(-1000, 1000),
            "real": st.none() | st.sampled_from([0.5, -1.5, float("nan"), float("inf")]),
            "flag": st.none() | st.booleans(),
            "label": st.none() | st.integers(-1, 3),
            "labels": st.none() | st.lists(st.none() | st.integers(-1, 3), max_size=3),
            "programs": st.none() | st.lists(st.integers(0, 127), max_size=5),
        }
    ),
    min_size=1,
    max_size=20,
)
TYPES = {
    "number": pa.int32(),
    "real": pa.float64(),
    "flag": pa.bool_(),
    "label": pa.int64(),
    "labels": pa.list_(pa.int64()),
    "programs": pa.list_(pa.uint8()),
}
NAMES = ["a", "b", "c"]
OF_CLASSES: dict[str, Any] = {
    "label": {"_type": "ClassLabel", "names": NAMES},
    "labels": {"_type": "List", "feature": {"_type": "ClassLabel", "names": NAMES}},
}


@given(CELLS, st.integers(1, 7))
def test_counts_are_those_of_the_cells(rows: list[dict[str, Any]], at_once: int):
    """Whatever is null, no number or no class, and however rows come in batches."""
    table = pa.table({name: [row[name] for row in rows] for name in TYPES}, pa.schema(TYPES))
    batches = [
        ("train", {n: names_in(part[n], OF_CLASSES.get(n, {})) for n in TYPES})
        for part in (table.slice(start, at_once) for start in range(0, len(rows), at_once))
    ]
    found = label_facts(batches)
    for name in ("number", "real"):
        known = [row[name] for row in rows if row[name] is not None and abs(row[name]) <= 1000]
        if not known:
            assert name not in found.numbers
            continue
        spread = found.numbers[name]
        assert (spread.low, spread.high, spread.rows) == (min(known), max(known), len(known))
        assert spread.total == pytest.approx(sum(known))
    flags = [row["flag"] for row in rows if row["flag"] is not None]
    assert (found.flags["flag"].true, found.flags["flag"].rows) == (sum(flags), len(flags))
    ids = {"label": [row["label"] for row in rows]}
    ids["labels"] = [id_ for row in rows for id_ in row["labels"] or ()]
    for name, given_ in ids.items():
        expected = Counter(NAMES[id_] for id_ in given_ if id_ is not None and 0 <= id_ < 3)
        assert found.classes[name]["train"] == expected
    families = Counter(f for row in rows for f in {p // 8 for p in row["programs"] or ()})
    assert found.families == dict(families)


def hostile_import(root: Path, value: str) -> Path:
    """A folder whose manifest, quarantine table and classes all say one thing."""
    value = value.encode("utf-8", "replace").decode("utf-8")
    features = Features({"genre": ClassLabel(names=[f"{value} 1", "b"]), "kit": Value("string")})
    cells = {"genre": [0, 1], "kit": [value, value]}
    table = pa.table(cells, schema=features.arrow_schema)
    (root / "audio").mkdir(parents=True)
    pq.write_table(table, root / "audio" / "train-00000-of-00001.parquet")
    column = {"name": "genre", "doc": value, "unit": value, "names": [f"{value} 1", "b"]}
    plan = {"import": "audio", "columns": [column], "group": value, "seed": value, "split": value}
    plan |= {"configs": [value], "files": value, "versions": {value: value}}
    (root / "manifest.json").write_text(json.dumps({"plan": plan, "left_out": value}))
    line = json.dumps({"path": value, "reason": value})
    (root / "quarantine.jsonl").write_text(f"{line}\n{{}}\nnot json\n")
    return root


@settings(max_examples=40)
@given(st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=30))
def test_what_a_manifest_says_is_no_markup(tmp_path_factory: pytest.TempPathFactory, value: str):
    made = card.compose(hostile_import(tmp_path_factory.mktemp("hostile") / "x", value))
    text = split_card(made.text)[1]
    tags = Tags()
    tags.feed(without_code(text))
    assert tags.found <= {"details", "summary"}
    assert "](http://evil" not in without_code(text)
    assert set(prose(text)) == {"about", "uses", "limits", "citation"}
    headings = [line.split("`")[0] for line in text.splitlines() if line.startswith("#")]
    assert {line.count("#") for line in headings} <= {1, 2}
    assert rules.check(made.text) == []


@given(st.sampled_from(HOSTILE) | st.text(st.sampled_from("`a<|\\ \n"), max_size=12))
def test_prose_from_data_is_no_markup(value: str):
    shown = markdown.prose(value)
    assert len(shown.splitlines()) <= 1
    assert "|" not in shown.replace("\\|", "")
    tags = Tags()
    tags.feed(without_code(f"x {shown}"))
    assert tags.found == set()


def test_a_plan_of_no_known_kind_is_of_files_alone(tmp_path: Path):
    root = hostile_import(tmp_path / "x", "y")
    (root / "manifest.json").write_text(json.dumps({"plan": {"import": ["midi"]}}))
    assert facts(root).made.kind.name == "other"
    assert "This card was made from the files alone" in card.write(root).text
