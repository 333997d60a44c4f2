"""The Hub's rules for a card are known before anything is sent."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.cards import rules
from sousa.cards.front_matter import dump, load

GOOD: dict[str, Any] = {
    "license": "cc-by-4.0",
    "pretty_name": "Drums",
    "language": ["en"],
    "size_categories": ["n<1K"],
    "task_categories": ["audio-classification"],
    "tags": ["drums"],
    "configs": [
        {
            "config_name": "audio",
            "data_files": [{"split": "train", "path": "audio/train-*"}],
            "default": True,
        },
        {"config_name": "midi", "data_files": [{"split": "train", "path": "midi/train-*"}]},
    ],
}
LISTED = ["audio/train-00000-of-00001.parquet", "midi/train-00000-of-00001.parquet", "README.md"]


def card(content: dict[str, Any]) -> str:
    return f"---\n{dump(content)}---\n\n# Drums\n"


def config(**changes: Any) -> dict[str, Any]:
    return {"configs": [GOOD["configs"][0] | changes]}


def files(*paths: Any, split: Any = "train") -> dict[str, Any]:
    return config(data_files=[{"split": split, "path": path} for path in paths])


def info(**changes: Any) -> dict[str, Any]:
    splits = [{"name": "train", "num_bytes": 1, "num_examples": 1}]
    entry = {"config_name": "audio", "features": [], "splits": splits, "download_size": 1}
    return {"dataset_info": [entry | {"dataset_size": 1} | changes]}


def test_a_built_card_has_no_findings(built: Path):
    assert rules.check((built / "README.md").read_text("utf-8"), built) == []


def test_a_good_card_has_no_findings():
    assert rules.check(card(GOOD), listed=LISTED) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"license": "my-own"}, "license must be of the Hub's list; is 'my-own'"),
        ({"license": "other"}, "license `other` needs license_name"),
        ({"size_categories": ["1K-10K"]}, "size_categories must be of"),
        ({"task_categories": ["drumming"]}, "task_categories must be of the Hub's list"),
        ({"annotations_creators": ["me"]}, "annotations_creators must be of crowdsourced"),
        ({"language": ["english"]}, "language must be an ISO 639 code"),
        ({"language": [False]}, "language must hold text, holds False"),
        ({"tags": ["drums", 2026]}, "tags must hold text, holds 2026"),
        ({"tags": [""]}, "tags must hold text, holds ''"),
        ({"pretty_name": 7}, "pretty_name must be one line of text, is 7"),
        ({"pretty_name": "a\nb"}, "pretty_name must be one line of text"),
        ({"configs": "audio"}, "configs must be a list"),
        ({"configs": GOOD["configs"] * 2}, "config_name 'audio' occurs 2 times"),
        ({"configs": [c | {"default": True} for c in GOOD["configs"]]}, "2 of 2 are"),
        ({"configs": [c | {"default": False} for c in GOOD["configs"]]}, "0 of 2 are"),
        (
            {"configs": [GOOD["configs"][0], GOOD["configs"][1] | {"config_name": "default"}]},
            "2 of 2 are",
        ),
        (files("audio/train-*", split="all"), "a split must have another name"),
        (files("audio/train-*", split="a" * 201), "a split must have another name"),
        (config(config_name="a/b"), "config_name must do without"),
        (config(config_name="a" * 300), "config_name must be text of at most 200"),
        (config(config_name=16), "config_name must be text of at most 200"),
        (config(data_files=[]), "config 'audio': data_files must be a list"),
        (files("audio/train-*", split="tr-ain"), "a split must be named by letters"),
        (files("../train-*"), "a path must lie in the dataset, is '../train-*'"),
        (files("/etc/passwd"), "a path must lie in the dataset, is '/etc/passwd'"),
        (files("audio/test-*"), "config 'audio': no file is named audio/test-*"),
        (info(config_name="video"), "describes the config 'video'"),
        (info(splits=[]) | files("audio/train-*", split="test"), ""),
        (info() | files("audio/train-*", split="test"), "has the splits train; data_files test"),
        (info(features="none"), "dataset_info cannot be read by `datasets`"),
    ],
)
def test_what_the_hub_refuses_is_found(change: dict[str, Any], finding: str):
    found = rules.check(card(GOOD | change), listed=LISTED)
    assert any(finding in line for line in found) == bool(finding), found
    assert all(len(line.splitlines()) == 1 for line in found)


def test_all_findings_come_at_once():
    found = rules.check(card(GOOD | {"license": "x", "language": ["english"], "tags": [1]}))
    assert len(found) == 3


@pytest.mark.parametrize("text", ["", "# Title\n", "---\nlicense: mit\n", "--- \na: 1\n---\n"])
def test_a_card_without_fences_is_refused(text: str):
    """Among them a fence with a blank behind it, which the Hub does not take for one."""
    assert rules.check(text)[0].startswith("README.md must begin with YAML")


@pytest.mark.parametrize(
    "yaml", ["a: [\n", "a: 1\na: 2\n", "- a\n", "a: !!python/name:os.system\n"]
)
def test_yaml_that_cannot_be_read_is_one_finding(yaml: str):
    (finding,) = rules.check(f"---\n{yaml}---\n")
    assert finding.startswith("the YAML of the card")


KEYS = st.sampled_from([*GOOD, "dataset_info", "source_datasets"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["config_name", "data_files", "split", "path"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES))
def test_no_yaml_is_too_strange_to_be_judged(change: dict[str, Any]):
    text = card(GOOD | change)
    assert load(dump(change)) == change
    assert all(len(line.splitlines()) == 1 for line in rules.check(text, listed=LISTED))
