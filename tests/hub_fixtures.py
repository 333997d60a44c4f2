"""Fixtures of the tests that talk to the stand-in Hub, which name this in `pytest_plugins`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import Hub
from hub_client import without_xet
from pushing import pushed_to, small


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub that the clients in this process talk to, as one who may write."""
    with pushed_to(monkeypatch, tmp_path) as hub:
        yield hub


@pytest.fixture(params=["xet", "lfs"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which way large files go to the Hub."""
    request.getfixturevalue("hub")  # which says how to begin
    if request.param == "lfs":
        without_xet(monkeypatch)
    return str(request.param)


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A dataset of one config."""
    return small(built, tmp_path / "drums", "labels_only")


@pytest.fixture
def both(built: Path, tmp_path: Path) -> Path:
    """A dataset of two configs."""
    return small(built, tmp_path / "drums", "midi_only", "labels_only")
