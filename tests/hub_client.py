"""Turns the Hub clients of this process to the stand-in."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import datasets.config
import huggingface_hub.hf_api
import pytest
from datasets.utils import file_utils
from hub import OWNER, Hub
from hub_store import Account
from huggingface_hub import HfFileSystem, _tree_cache, constants, file_download
from huggingface_hub.utils import _http, _xet

PLAIN_UPLOADS_WARN: Final = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
"""The `pytestmark` for tests that upload by LFS: the client warns about a call of its own."""


class _Clock:
    """The time module, but sleeping only writes down how long."""

    def __init__(self, waits: list[float]) -> None:
        self._waits = waits

    def sleep(self, seconds: float) -> None:
        self._waits.append(seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def connect(
    monkeypatch: pytest.MonkeyPatch, hub: Hub, home: Path, account: Account | None = OWNER
) -> None:
    """Make `huggingface_hub` and `datasets` in this process talk to a Hub.

    Both libraries read their environment once, when they are imported, into `constants` and
    `datasets.config`; what they do later looks there. So the variables are set (for child
    processes, for `HF_TOKEN`, and for hf_xet) and the constants too. After it there work

    - `HfApi()` made later, and the plain functions, whose one `api` was made at import;
    - `HfFileSystem()`, whose instances are kept by their arguments and are dropped here, and
      `hf://` addresses;
    - `load_dataset`, streamed or not, and `push_to_hub`, with their caches below `home`;
    - hf_xet, which reads its variables again at every upload.

    There do not: an `HfApi` or a file system made before, and what copied the address of the Hub
    at its import, such as `huggingface_hub.cli`; run that in another process. Pauses before
    another attempt are not slept but go to `hub.waits`; those of hf_xet are short (see
    `Hub.environment`).

    The connections and sessions of the clients are closed; call `disconnect` at the end.
    """
    for name, text in hub.environment(home, account).items():
        monkeypatch.setenv(name, text)
    if account is None:
        monkeypatch.delenv("HF_TOKEN", raising=False)
    _set_constants(monkeypatch, hub.endpoint, home)
    clock = _Clock(hub.waits)
    monkeypatch.setattr(_http, "time", clock)
    monkeypatch.setattr(file_download, "time", clock)
    monkeypatch.setattr(file_utils, "time", clock)
    disconnect()


def _set_constants(monkeypatch: pytest.MonkeyPatch, endpoint: str, home: Path) -> None:
    cache, data = home / "hub", home / "datasets"
    hub_values: dict[str, object] = {
        "ENDPOINT": endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_URL_HOSTS": constants.HF_URL_HOSTS | {"127.0.0.1"},
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(cache),
        "HUGGINGFACE_HUB_CACHE": str(cache),
        "HF_ASSETS_CACHE": str(home / "assets"),
        "HF_XET_CACHE": str(home / "xet"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_TELEMETRY": True,
        "HF_HUB_DISABLE_XET": False,
    }
    data_values: dict[str, object] = {
        "HF_ENDPOINT": endpoint,
        "HUB_DATASETS_URL": endpoint + "/datasets/{repo_id}/resolve/{revision}/{path}",
        "HF_CACHE_HOME": str(home),
        "HF_DATASETS_CACHE": data,
        "HF_MODULES_CACHE": home / "modules",
        "DOWNLOADED_DATASETS_PATH": data / "downloads",
        "EXTRACTED_DATASETS_PATH": data / "downloads" / "extracted",
        "HF_HUB_OFFLINE": False,
    }
    for name, value in hub_values.items():
        monkeypatch.setattr(constants, name, value)
    for name, value in data_values.items():
        monkeypatch.setattr(datasets.config, name, value)
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", endpoint)


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what `HF_HUB_OFFLINE=1` does, for a process whose libraries are imported."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    disconnect()


def without_xet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what `HF_HUB_DISABLE_XET=1` does: uploads go by LFS."""
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


def disconnect() -> None:
    """Close the connections of the clients, and make them forget what they heard of any Hub."""
    _http.close_session()
    HfFileSystem.clear_instance_cache()
    _xet.XET_CONNECTION_INFO_CACHE.clear()
    _tree_cache._IN_MEMORY_TREE_CACHE.clear()


@contextmanager
def connected_hub(
    monkeypatch: pytest.MonkeyPatch, folder: Path, account: Account | None = OWNER
) -> Iterator[Hub]:
    """Yield a Hub that this process talks to, and see at the end that all was in order.

    Raises:
        AssertionError: A token was in an address, something unknown was asked for, or a fault was
            injected and never met.
    """
    with Hub(folder / "hub") as hub:
        connect(monkeypatch, hub, folder / "home", account)
        try:
            yield hub
        finally:
            disconnect()
    _require_none("a token in an address", hub.tokens_in_urls())
    _require_none("asked for, but unknown", hub.unknown_requests())
    _require_none("a fault that nobody met", hub.unused_faults())


def _require_none(what: str, found: Sequence[object]) -> None:
    if found:
        raise AssertionError(f"{what}: {found}")
