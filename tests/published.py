"""What the tests of published datasets share: a Hub that has a small one."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hub import Hub
from hub_client import connected_hub
from loader_data import write_folder

from sousa.cards.facts import facts
from sousa.cards.front_matter import front_matter
from sousa.loaders import SOUSADataset, create_dataloader, pages

NAME = "org/drums"
SPLITS = {"train": 40, "validation": 5, "test": 6}
TRAIN_16K = r"/resolve/\w+/audio_16k/train-"


def written(folder: Path) -> Path:
    """A folder as it is pushed, with the head of its card."""
    write_folder(folder, SPLITS, shards=2)
    text = front_matter(facts(folder), title="Drums")
    (folder / "README.md").write_text(f"---\n{text}---\n# Drums\n")
    return folder


@contextmanager
def published_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path) -> Iterator[Hub]:
    """A Hub that has a folder; nobody pauses before another try."""
    no_pauses = property(lambda backoff: [0.0] * (backoff.tries - 1))
    monkeypatch.setattr(pages.Backoff, "pauses_sec", no_pauses)
    with connected_hub(monkeypatch, tmp_path) as hub:
        hub.upload_folder(NAME, folder)
        yield hub


def loader_of(*args: Any, **options: Any) -> Any:
    own = {name: options.pop(name) for name in ("shuffle", "seed") if name in options}
    return create_dataloader(SOUSADataset(*args, **options), 4, num_workers=0, **own)


def flat(batches: list[list[str]]) -> list[str]:
    return list(itertools.chain.from_iterable(batches))


def paths(hub: Hub) -> list[str]:
    """Files whose content was asked for, without the commit."""
    asked = hub.requests("GET", "/resolve/")
    return [logged.path.split("/resolve/")[1].split("/", 1)[1] for logged in asked]


def shards_in(folder: Path) -> dict[str, bytes | Path]:
    """The Parquet files of a folder by their paths."""
    return {str(path.relative_to(folder)): path for path in folder.rglob("*.parquet")}
