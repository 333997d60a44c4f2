"""What a page says to type works as it stands, once the folder is on the Hub."""

import re
from collections.abc import Iterator
from pathlib import Path

import datasets.config
import pytest
from hub import Hub
from hub_client import connected_hub
from huggingface_hub import HfApi

from sousa.cards import card

PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
OWN_CLIENTS: tuple[str, ...] = ("import polars", "import duckdb")
"""Read the Hub by clients that know its public address alone."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with connected_hub(monkeypatch, tmp_path) as hub:
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        yield hub


def test_snippets_read_from_the_hub(hub: Hub, built: Path):
    hub.create("org/sousa")
    hub.upload_folder("org/sousa", built)
    text = card.compose(built, place="org/sousa").text
    snippets = [code for code in PYTHON.findall(text) if not code.startswith(OWN_CLIENTS)]
    assert len(snippets) == 6
    for snippet in snippets:
        exec(snippet, {})
    read = {request.path.partition("/resolve/")[2] for request in hub.requests("GET", "parquet")}
    assert any("labels_only/" in path for path in read)
    assert any("audio/" in path for path in read)


def test_the_hub_takes_the_yaml(hub: Hub, built: Path):
    """The stand-in refuses what breaks the Hub's rules, as the Hub does."""
    hub.create("org/sousa")
    content = (built / "README.md").read_bytes()
    HfApi().upload_file(
        path_or_fileobj=content,
        path_in_repo="README.md",
        repo_id="org/sousa",
        repo_type="dataset",
    )
    assert hub.content("org/sousa", "README.md", "main") == content
    assert hub.requests("POST", "validate-yaml|/commit/")
