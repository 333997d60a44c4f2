"""One screen that tells what is in a folder, or on the Hub."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import damage
import pytest

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


class Hub(BaseHTTPRequestHandler):
    """Serves the cards in `cards`, and knows nothing else."""

    cards: ClassVar[dict[str, bytes]] = {}

    def do_HEAD(self) -> None:
        card = self.cards.get(self.path)
        self.send_response(200 if card is not None else 404)
        if card is None:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("ETag", '"0123"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(card or b"")))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.cards.get(self.path, b""))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A server on this machine that has two cards."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    Hub.cards = {
        "/datasets/org/drums/resolve/main/README.md": (built / "README.md").read_bytes(),
        "/datasets/org/bare/resolve/main/README.md": b"# Nothing said\n",
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_dataset_on_the_hub_is_described_by_its_card(hub: str):
    text = describe("org/drums", endpoint=hub)
    assert text.startswith("org/drums on the Hub: SOUSA")
    cells = [line.split() for line in text.splitlines()]
    assert ["audio", "train", "16"] in [cell[:3] for cell in cells]
    assert ["labels_only", "test", "16"] in [cell[:3] for cell in cells]


def test_a_dataset_that_is_not_on_the_hub_is_refused_in_one_line(hub: str):
    with pytest.raises(FileNotFoundError, match="no card of such a dataset on the Hub") as e:
        describe("org/none", endpoint=hub)
    assert len(str(e.value).splitlines()) == 1


def test_a_card_that_says_nothing_is_refused(hub: str):
    with pytest.raises(ValueError, match="the card of org/bare has no `dataset_info`"):
        describe("org/bare", endpoint=hub)


def test_without_a_network_only_cards_in_the_cache_are_described(
    hub: str, monkeypatch: pytest.MonkeyPatch
):
    seen = describe("org/drums", endpoint=hub)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert describe("org/drums", endpoint=hub) == seen
    with pytest.raises(FileNotFoundError, match="check the name, the network"):
        describe("org/bare", endpoint=hub)
