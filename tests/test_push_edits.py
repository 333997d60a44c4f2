"""What people wrote on the Hub survives a push, or somebody is asked to choose."""

import json
import re
from pathlib import Path
from typing import Any

import damage
import pytest
from datasets import load_dataset
from hub import Hub
from hub_client import PLAIN_UPLOADS_WARN
from hypothesis import given
from hypothesis import strategies as st
from pushing import REPO, push, small, stored

from sousa.cards.edits import Written, merged
from sousa.cards.front_matter import load, split_card
from sousa.cards.prose import prose

pytest_plugins = ["hub_fixtures"]
pytestmark = PLAIN_UPLOADS_WARN


def edited(page: str, place: str, text: str, **keys: str) -> bytes:
    """Return a page with text in a marked place, and with other values in its YAML."""
    mark = f"<!-- prose:begin {place} -->\n"
    assert mark in page
    page = page.replace(mark, f"{mark}{text}\n")
    for key, value in keys.items():
        page, found = re.subn(rf"(?m)^{key}: .*$", f"{key}: {value}", page, count=1)
        assert found
    return page.encode()


def there(hub: Hub) -> str:
    return hub.content(REPO, "README.md", "main").decode()


def edit_there(hub: Hub, place: str, text: str, **keys: str) -> None:
    hub.commit(REPO, {"README.md": edited(there(hub), place, text, **keys)})


def edit_here(folder: Path, place: str, text: str, **keys: str) -> None:
    readme = folder / "README.md"
    damage.replace(readme, edited(readme.read_text(), place, text, **keys))


def test_what_was_written_on_the_hub_stays(hub: Hub, folder: Path):
    assert push(folder) == 0
    edit_there(hub, "uses", "To swing.", license="mit", pretty_name="My drums")
    edit_here(folder, "limits", "Not to march.")
    assert push(folder) == 0
    yaml, page = split_card(there(hub))
    assert prose(page)["uses"] == "To swing.\n"
    assert prose(page)["limits"] == "Not to march.\n"
    assert load(yaml)["license"] == "mit"
    assert "\n# My drums\n" in page
    assert (
        '"license": "https://opensource.org/license/mit"'
        in hub.content(REPO, "croissant.json", "main").decode()
    )
    commits = len(hub.commits(REPO, "main"))
    assert push(folder) == 0
    assert len(hub.commits(REPO, "main")) == commits


@pytest.mark.parametrize(
    ("mine", "theirs", "place"),
    [
        (("uses", "Mine."), ("uses", "Theirs."), "the marked place 'uses'"),
        (("uses", "Same.", "cc0-1.0"), ("uses", "Same.", "apache-2.0"), "license"),
    ],
)
def test_what_was_written_here_and_there_is_refused_unless_forced(
    hub: Hub,
    folder: Path,
    mine: tuple[str, ...],
    theirs: tuple[str, ...],
    place: str,
    capsys: pytest.CaptureFixture[str],
):
    assert push(folder) == 0
    edit_there(hub, *theirs[:2], **dict(zip(["license"], theirs[2:], strict=False)))
    edit_here(folder, *mine[:2], **dict(zip(["license"], mine[2:], strict=False)))
    before = there(hub)
    assert push(folder) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert f"was written by hand: {place} is otherwise there than here; make both" in line
    assert there(hub) == before
    assert push(folder, "--force") == 0
    assert mine[-1] in there(hub)
    assert theirs[-1] not in there(hub)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("---\nlicense: mit\n---\n# Mine\n", "the whole page is otherwise there"),
        ("---\nlicense: [\n---\n", "the YAML of the card cannot be read"),
        ("<!-- prose:begin uses -->\n", "the place 'uses' is not ended"),
    ],
)
def test_a_page_that_was_replaced_is_not_replaced_again(
    hub: Hub, folder: Path, page: str, message: str, capsys: pytest.CaptureFixture[str]
):
    assert push(folder) == 0
    hub.commit(REPO, {"README.md": page.encode()})
    assert push(folder) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert there(hub) == page
    assert push(folder, "--force") == 0
    assert "# SOUSA" in there(hub)


def test_the_license_that_a_new_repository_was_given_stays(hub: Hub, folder: Path):
    """The Hub's page for new datasets makes a card of it."""
    hub.create(REPO)
    hub.commit(REPO, {"README.md": b"---\nlicense: mit\n---\n"})
    assert push(folder) == 0
    assert load(split_card(there(hub))[0])["license"] == "mit"


def test_a_manifest_of_something_else_does_not_make_a_repository_ours(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    hub.create(REPO)
    hub.commit(REPO, {"README.md": b"# App\n", "manifest.json": b'{"name": "app"}'})
    assert push(folder, "--prune") == 1
    assert "holds something else (2 files, such as README.md)" in capsys.readouterr().err


def test_a_prune_leaves_what_no_push_makes(hub: Hub, folder: Path):
    assert push(folder) == 0
    old = "labels_only/train-00000-of-00007.parquet"
    theirs = {
        "LICENSE": b"MIT",
        "card/mine.png": b"1",
        "notes/a.txt": b"2",
        "labels_only/x.csv": b"3",
    }
    hub.commit(REPO, theirs | {old: b"4", "card/sample-9.wav": b"5", "tokenizers/x.json": b"{}"})
    before = stored(hub)
    assert push(folder, "--prune") == 0
    assert before.keys() - stored(hub).keys() == {old, "card/sample-9.wav", "tokenizers/x.json"}


def test_configs_that_are_pushed_one_after_the_other_are_those_of_one_push(hub: Hub, both: Path):
    for config in ("labels_only", "midi_only"):
        assert push(both, "--configs", config) == 0
    assert push(both, repo="org/zils") == 0
    piecewise, whole = stored(hub), stored(hub, repo="org/zils")
    assert piecewise.keys() == whole.keys()
    for path, file in whole.items():
        if file.sha256 is None:
            wanted = hub.content("org/zils", path).decode().replace("zils", "drums")
            found = hub.content(REPO, path).decode()
            assert found == wanted or json.loads(found)["shards"] == json.loads(wanted)["shards"]
        else:
            assert piecewise[path] == file


@pytest.fixture
def apart(built: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two folders of one dataset, each with a config of its own."""
    midi, labels = (small(built, tmp_path / name, name) for name in ("midi_only", "labels_only"))
    return midi, labels


def test_a_config_joins_another_that_only_the_hub_has(hub: Hub, apart: tuple[Path, Path]):
    midi, labels = apart
    assert push(midi) == 0
    edit_there(hub, "uses", "To swing.")
    assert push(labels) == 0
    names = [each["config_name"] for each in load(split_card(there(hub))[0])["configs"]]
    assert names == ["midi_only", "labels_only"]
    assert "To swing." in there(hub)
    for config in names:
        assert load_dataset(REPO, config, split="test").num_rows == 16
    assert (
        load_dataset(REPO, split="test").features
        == load_dataset(REPO, "midi_only", split="test").features
    )
    manifest = json.loads(hub.content(REPO, "manifest.json"))
    assert sorted(manifest["plan"]["configs"]) == sorted(names)
    assert {shard["path"].split("/")[0] for shard in manifest["shards"]} == set(names)
    commits = len(hub.commits(REPO, "main"))
    for folder in (midi, labels):
        assert push(folder) == 0
    assert stored(hub).keys() > {"midi_only/test-00000-of-00001.parquet"}
    assert len(hub.commits(REPO, "main")) <= commits + 2


def test_some_configs_beside_those_of_another_dataset_are_refused(
    hub: Hub, both: Path, capsys: pytest.CaptureFixture[str]
):
    assert push(both) == 0
    before = stored(hub)
    manifest = json.loads((both / "manifest.json").read_text())
    manifest["plan"]["seed"] = 7
    damage.replace(both / "manifest.json", json.dumps(manifest, indent=1).encode())
    assert push(both, "--configs", "labels_only", "--force") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "(midi_only), of another dataset: seed is 42 there, 7 here; push these with" in line
    assert stored(hub) == before
    assert push(both, "--configs", "labels_only", "--prune", "--force") == 0
    assert not any(path.startswith("midi_only/") for path in stored(hub))


KEYS = st.sampled_from("abc")
TEXTS = st.sampled_from(["", "\n", "one", "two\n"])
SIDES = st.builds(Written, st.dictionaries(KEYS, TEXTS), st.dictionaries(KEYS, TEXTS))


@given(here=SIDES, there=SIDES, usual=st.dictionaries(KEYS, TEXTS))
def test_nothing_that_only_one_side_wrote_is_lost(
    here: Written, there: Written, usual: dict[str, Any]
):
    found, differing = merged(here, there, usual)
    for mine, theirs, taken, blank in (
        (here.yaml, there.yaml, found.yaml, usual),
        (here.prose, there.prose, found.prose, {}),
    ):
        for key in mine.keys() | theirs.keys():
            written = [s[key] for s in (mine, theirs) if key in s and s[key] != blank.get(key)]
            own = {text.strip() for text in written if blank is usual or text.strip()}
            if len(own) == 1:
                assert taken[key].strip() in own
    assert bool(differing) <= (here != there)
    assert merged(found, found, usual) == (found, [])
