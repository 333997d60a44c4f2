"""One screen that tells what is in a folder, or on the Hub."""

from collections.abc import Iterator
from pathlib import Path

import damage
import pytest
from hub import STRANGER, Hub
from hub_client import connected_hub, go_offline
from hub_faults import UNAVAILABLE, Cut, Fault
from huggingface_hub import HfApi

from sousa.builders import cli
from sousa.cards.info import describe


def test_a_folder_is_described_in_one_screen(built: Path):
    text = describe(built)
    lines = text.splitlines()
    assert text.endswith("\n")
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 100
    assert "48 clips" in lines[0]
    assert lines[1].startswith("12 players, 4 rudiments, ")
    cells = [line.split() for line in lines]
    assert ["audio", "*", "train", "16", "1"] in [cell[:5] for cell in cells]
    assert ["train,", "4", "players", "4", "4", "4", "4"] in cells


def test_a_folder_with_one_config_and_no_manifest_is_described(built: Path, tmp_path: Path):
    folder = damage.copy(built, tmp_path / "labels", "labels_only")
    (folder / "manifest.json").unlink()
    assert "labels_only *" in describe(folder)


@pytest.mark.parametrize("source", ["nowhere", "/no/such/folder", "a/b/c"])
def test_what_is_neither_folder_nor_hub_id_is_refused(source: str):
    with pytest.raises(FileNotFoundError, match="expected a folder or org/name on the Hub"):
        describe(source)


@pytest.fixture
def hub(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub with a dataset, a private one, and one whose card says nothing."""
    with connected_hub(monkeypatch, tmp_path) as hub:
        page = (built / "README.md").read_bytes()
        for name, private in (("org/drums", False), ("org/secret", True)):
            hub.create(name, private=private)
            hub.commit(name, {"README.md": page})
        hub.create("org/bare")
        hub.commit("org/bare", {"README.md": b"# Nothing said\n"})
        yield hub


def test_a_dataset_on_the_hub_is_described_by_its_card(hub: Hub):
    text = describe("org/drums")
    assert text.startswith("org/drums on the Hub: SOUSA")
    cells = [line.split() for line in text.splitlines()]
    assert ["audio", "train", "16"] in [cell[:3] for cell in cells]
    assert ["labels_only", "test", "16"] in [cell[:3] for cell in cells]
    assert len(hub.requests()) <= 3


def test_a_revision_is_described_as_it_was(hub: Hub):
    seen = describe("org/drums")
    HfApi().create_branch("org/drums", repo_type="dataset", branch="next")
    hub.commit("org/drums", {"README.md": b"# Nothing said\n"}, branch="next")
    assert describe("org/drums", revision="main") == seen
    with pytest.raises(ValueError, match="has no `dataset_info`"):
        describe("org/drums", revision="next")
    with pytest.raises(FileNotFoundError, match="org/drums has no revision v9 on the Hub"):
        describe("org/drums", revision="v9")


def test_a_card_cannot_command_the_terminal(hub: Hub):
    page = hub.content("org/drums", "README.md", "main").decode()
    title = 'pretty_name: "\\e[2J\\e]0;owned\\a\\nmore"'
    lines = [title if line.startswith("pretty_name") else line for line in page.splitlines()]
    hub.commit("org/drums", {"README.md": "\n".join(lines).encode()})
    first = describe("org/drums").splitlines()[0]
    assert first == "org/drums on the Hub: ?[2J?]0;owned??more"


@pytest.mark.usefixtures("hub")
def test_a_private_dataset_needs_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "token").write_text(STRANGER.token)
    assert cli.main(["info", "org/secret"]) == 0  # with the token of the environment
    assert cli.main(["info", "org/secret", "--token-file", str(tmp_path / "token")]) == 1
    shown = capsys.readouterr()
    assert "for private datasets the token" in shown.err
    assert STRANGER.token not in shown.err


@pytest.mark.usefixtures("hub")
def test_a_dataset_that_is_not_on_the_hub_is_refused_in_one_line():
    with pytest.raises(FileNotFoundError, match="no card of such a dataset on the Hub") as e:
        describe("org/none")
    assert len(str(e.value).splitlines()) == 1


@pytest.mark.usefixtures("hub")
def test_a_card_that_says_nothing_is_refused():
    with pytest.raises(ValueError, match="the card of org/bare has no `dataset_info`"):
        describe("org/bare")


@pytest.mark.parametrize("how", ["offline", "cut", "unavailable"])
def test_without_a_network_only_cards_in_the_cache_are_described_and_soon(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, how: str
):
    seen = describe("org/drums")
    if how == "offline":
        go_offline(monkeypatch)
    else:
        hub.inject(Fault(Cut("before") if how == "cut" else UNAVAILABLE, times=None))
    assert describe("org/drums") == seen
    with pytest.raises(FileNotFoundError, match="check the name, the network"):
        describe("org/bare")
    assert hub.waits == []
