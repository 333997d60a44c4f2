"""What the tests of pushes share: a Hub to push to, and a small dataset."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import damage
import pytest
from hub import OWNER, Hub
from hub_client import connected_hub
from hub_store import Account, StoredFile

from sousa.builders import cli
from sousa.cards import batches, card, failures
from sousa.cards.contents import prepare
from sousa.cards.push import carry_out, compare
from sousa.cards.target import Target

REPO = "org/drums"


@contextmanager
def pushed_to(
    monkeypatch: pytest.MonkeyPatch, folder: Path, account: Account | None = OWNER
) -> Iterator[Hub]:
    """Yield a Hub for `sousa push` in this process; pauses are noted, not slept."""
    with connected_hub(monkeypatch, folder, account) as hub:
        monkeypatch.setattr(failures, "time", SimpleNamespace(sleep=hub.waits.append))
        yield hub


def small(built: Path, out: Path, *configs: str) -> Path:
    """Return a dataset of some configs, whose card says so."""
    folder = damage.copy(built, out, *configs)
    if (folder / "card").exists():
        shutil.rmtree(folder / "card")
    card.write(folder)
    return folder


def push(folder: Path, *words: str, repo: str = REPO) -> int:
    return cli.main(["push", str(folder), repo, *words])


def stored(hub: Hub, revision: str = "main", repo: str = REPO) -> dict[str, StoredFile]:
    """Return what a repository holds, but the file that each begins with."""
    files = hub.files(repo, revision)
    return {path: file for path, file in files.items() if not path.startswith(".")}


def sent(hub: Hub) -> list[str]:
    """Return the paths of the last commit that its parent does not have, or has otherwise."""
    last, parent = hub.commits(REPO, "main")[:2]
    return sorted(p for p, file in last.files.items() if parent.files.get(p) != file)


def killed(folder: Path, hub: Hub, home: Path, *, after: int, xet: bool) -> None:
    """Push in another process, one file at a time, which dies when so many have arrived."""
    environment = os.environ | hub.environment(home) | {"HF_HUB_DISABLE_XET": str(int(not xet))}
    words = [sys.executable, __file__, str(folder), str(after)]
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def push_and_die(folder: Path, count: int) -> None:
    batches.BATCH_FILES = batches.AT_ONCE = 1  # type: ignore[misc]
    plan = compare(prepare(folder, REPO), Target(repo=REPO))
    shards = [file.size for file in plan.difference.send if file.is_shard]
    left = sum(shards[:count])

    def progress(done: int) -> None:
        nonlocal left
        left -= done
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    carry_out(plan, progress)


if __name__ == "__main__":
    push_and_die(Path(sys.argv[1]), int(sys.argv[2]))
