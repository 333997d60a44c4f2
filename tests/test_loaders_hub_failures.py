"""What the Hub refuses, loses or makes up is one clear line, or is made good."""

import json
import logging
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import EXPIRED, OWNER, STRANGER, Hub
from hub_client import connect, disconnect
from hub_faults import SERVER_ERROR, UNAVAILABLE, Cut, Fault, rate_limit
from huggingface_hub import HfApi, constants
from loader_data import ids_of, row, table, write_shard
from published import (
    NAME,
    SPLITS,
    TRAIN_16K,
    flat,
    loader_of,
    paths,
    published_on,
    shards_in,
    written,
)

from sousa.loaders import BrokenRowError, SOUSADataset, create_dataloader
from sousa.loaders.access import At, HubError
from sousa.loaders.pages import Backoff, Patience, asked_pause_sec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("published"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path) -> Iterator[Hub]:
    with published_on(monkeypatch, tmp_path, folder) as hub:
        yield hub


FAULTS = {
    "cut": Fault(Cut("sending", 9_000), "GET", TRAIN_16K, after=1),
    "cut at once": Fault(Cut("before"), "GET", TRAIN_16K, times=3),
    "500": Fault(SERVER_ERROR, "GET", TRAIN_16K, after=1),
    "503": Fault(UNAVAILABLE, "GET", TRAIN_16K, after=2, times=4),
    "429": Fault(rate_limit(0), "GET", TRAIN_16K),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_lost_connection_is_taken_up_again(
    hub: Hub, folder: Path, fault: str, streaming: bool
) -> None:
    hub.inject(FAULTS[fault])
    if not streaming and FAULTS[fault].after:  # one request a file: the first of them
        hub.heal()
        hub.inject(Fault(FAULTS[fault].action, "GET", TRAIN_16K, times=FAULTS[fault].times))
    loader = loader_of(NAME, "train", streaming=streaming, shuffle=False)
    assert ids_of(loader) == ids_of(loader_of(folder, "train", shuffle=False))
    if streaming and fault == "cut":
        asked = [logged.headers["range"] for logged in hub.requests("GET", TRAIN_16K)]
        first = int(asked[1][6:].split("-")[0])
        assert int(asked[2][6:].split("-")[0]) > first  # what had come is not asked for again
        assert asked[2].split("-")[1] == asked[1].split("-")[1]


def test_a_busy_hub_is_asked_again(hub: Hub) -> None:
    hub.inject(Fault(UNAVAILABLE, "GET", f"/api/datasets/{NAME}$", times=2))
    hub.inject(Fault(Cut("sending", 100), "GET", "/tree/", times=2))
    hub.inject(Fault(UNAVAILABLE, "GET", "/README.md", times=2))
    assert len(SOUSADataset(NAME, "test", streaming=True)) == SPLITS["test"]


def test_a_connection_that_stays_lost_is_one_line(hub: Hub) -> None:
    loader = loader_of(NAME, "train", streaming=True, shuffle=False)
    next(iter(loader))
    hub.inject(Fault(SERVER_ERROR, "GET", TRAIN_16K, times=None))
    hub.forget_requests()
    with pytest.raises(ConnectionError, match=r"^org/drums/.* in 5 tries: .*; check the .*$"):
        ids_of(loader_of(NAME, "train", streaming=True, shuffle=False))
    assert len(hub.requests("GET", TRAIN_16K)) == 5


def test_a_server_may_ask_for_a_longer_pause(hub: Hub) -> None:
    class Noting(threading.Event):
        waits: list[float | None] = []  # noqa: RUF012 - of one test

        def wait(self, timeout: float | None = None) -> bool:
            self.waits.append(timeout)
            return False

    hub.inject(Fault(rate_limit(7), "GET", "/api/datasets/"))
    api = HfApi()
    patience = Patience(Backoff(3, 0.5), Noting())
    found = patience.read(lambda: api.repo_info(NAME, repo_type="dataset"), "it")
    assert found.sha == hub.commits(NAME)[0].id
    assert Noting.waits == [7.0]
    assert asked_pause_sec(ConnectionResetError()) == 0


REFUSALS: dict[str, tuple[Any, dict[str, Any], type[OSError], str]] = {
    "no such": (
        OWNER,
        {"data_dir": "org/x"},
        FileNotFoundError,
        r"no folder org/x, .* there is no org/x, or this token may not see it",
    ),
    "no token": (
        None,
        {},
        FileNotFoundError,
        r"no folder org/drums, .* private: log in with `hf auth login`, set HF_TOKEN, or pass tok",
    ),
    "no rights": (STRANGER, {}, FileNotFoundError, r"there is no org/drums, or this token may not"),
    "expired": (
        EXPIRED,
        {},
        HubError,
        r"the Hub refused the token: it is wrong, expired or revoked; make a new one",
    ),
    "wrong": (None, {"token": "hf_wrongWrongWrong"}, HubError, r"the Hub refused the token"),
    "revision": (
        OWNER,
        {"revision": "v9"},
        FileNotFoundError,
        r"org/drums has no revision v9; give one",
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_refusal_is_one_line_that_says_what_to_do(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str, streaming: bool
) -> None:
    account, options, kind, message = REFUSALS[why]
    hub.repository(NAME).private = True
    connect(monkeypatch, hub, tmp_path / "home", account)
    with pytest.raises(kind, match=message) as caught:
        SOUSADataset(**({"data_dir": NAME, "streaming": streaming} | options))
    assert "\n" not in str(caught.value)
    assert "hf_" not in str(caught.value)


def test_a_gated_dataset_says_so(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repository(NAME).gated = True
    for account, todo in ((STRANGER, "ask for access on its page"), (None, "log in with")):
        connect(monkeypatch, hub, tmp_path / "home", account)
        with pytest.raises(HubError, match=f"^org/drums on the Hub is gated: {todo}"):
            SOUSADataset(NAME, "test", streaming=False)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("streaming", [False, True])
def test_impossible_options_are_refused(folder: Path, streaming: bool) -> None:
    for options, message in (
        ({"config": "audio_48k"}, "config must be one of audio, audio_16k in org/drums, got 'au"),
        ({"split": "val"}, "split must be one of train, validation, test in org/drums/audio_16k"),
        ({"token": "hf_a\nb"}, "token must be a token of the Hub or None; what came is not shown"),
        ({"revision": ".."}, r"revision must be a branch, a tag or a commit, got '\.\.'"),
        ({"data_dir": folder, "revision": "v1"}, "revision= is for a dataset on the Hub, .* none"),
    ):
        with pytest.raises(ValueError, match=message):
            SOUSADataset(**({"data_dir": NAME, "streaming": streaming} | options))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_token_opens_what_is_private_and_is_not_handed_on(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any, streaming: bool
) -> None:
    hub.repository(NAME).private = True
    connect(monkeypatch, hub, tmp_path / "home", None)
    caplog.set_level(logging.DEBUG)
    dataset = SOUSADataset(NAME, "test", streaming=streaming, token=OWNER.token)
    loader = create_dataloader(dataset, 4, num_workers=0, shuffle=False)
    expected = ids_of(loader)
    assert sorted(flat(expected)) == [f"clip-{i:04d}" for i in range(45, 51)]
    pickled = pickle.dumps(dataset)
    shown = f"{pickled!r}{loader.state_dict()}{At(None, OWNER.token)}{caplog.text}"
    assert OWNER.token not in shown
    copied = create_dataloader(pickle.loads(pickled), 4, num_workers=0, shuffle=False)
    if streaming:  # as in a process that has no token
        with pytest.raises(HubError, match=r"it is private: log in with `hf auth login`"):
            ids_of(copied)
        connect(monkeypatch, hub, tmp_path / "home", OWNER)
    assert ids_of(copied) == expected


HOSTILE = """---
configs:
- config_name: audio_16k
  data_files:
  - split: train
    path: {patterns}
- config_name: [1]
- 7
dataset_info: 3
---
"""


@pytest.mark.parametrize("streaming", [False, True])
def test_nothing_of_a_hostile_dataset_is_executed_or_leads_out(
    hub: Hub, folder: Path, tmp_path: Path, streaming: bool
) -> None:
    outside = tmp_path / "audio_16k" / "train-00000-of-00001.parquet"
    write_shard(outside, table("audio_16k", [row("audio_16k", i) for i in range(3)]))
    patterns = [str(outside), f"file://{outside}", "../drums/audio_16k/*", "hf://datasets/org/x/**"]
    trap = f"import pathlib; pathlib.Path({str(tmp_path / 'run')!r}).touch()\n".encode()
    hub.create("org/trap")
    card = HOSTILE.format(patterns=json.dumps(patterns)).encode()
    extra = {"trap.py": trap, "__init__.py": trap, "audio_16k/data.pkl": b"cos\nsystem\n(S'x'\ntR."}
    hub.commit("org/trap", {**shards_in(folder), **extra, "README.md": card})
    dataset = SOUSADataset("org/trap", "train", streaming=streaming)
    assert len(list(dataset)) == 40 == len(dataset)  # by the folders, as no pattern means a file
    assert not (tmp_path / "run").exists()
    assert {Path(path).suffix for path in paths(hub)} == {".md", ".parquet"}


@pytest.mark.parametrize("streaming", [False, True])
def test_files_that_are_missing_or_damaged_are_named_or_left_out(
    hub: Hub, folder: Path, streaming: bool
) -> None:
    shards = sorted(folder.glob("audio_16k/t*.parquet"))
    contents: dict[str, bytes | Path] = {str(path.relative_to(folder)): path for path in shards}
    gone = contents.popitem()[0]  # the second of train
    torn = "audio_16k/test-00001-of-00002.parquet"
    contents[torn] = (folder / torn).read_bytes()[:-9]
    hub.create("org/torn")
    hub.commit("org/torn", contents)
    with pytest.raises(BrokenRowError, match=f"^org/torn/{gone}: the file is missing; repair it"):
        SOUSADataset("org/torn", streaming=streaming)
    with pytest.raises(BrokenRowError, match=r"(shard 1|test-00001-of-.*): .*[Nn]ot? a"):
        ids_of(loader_of("org/torn", "test", streaming=streaming))
    loader = loader_of("org/torn", streaming=streaming, on_error="skip")
    assert len(flat(ids_of(loader))) == 20 + 3
    assert len(loader.stats().skipped) == 2


@pytest.mark.usefixtures("hub")
def test_a_dead_hub_is_an_error_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    disconnect()
    with pytest.raises(ConnectionError, match=r"^org/drums on the Hub: could not be read in 5 tr"):
        SOUSADataset(NAME, streaming=True)
