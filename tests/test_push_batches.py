"""Contents go to the Hub in batches; how far they are is told as they go."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hub import Hub
from hub_client import PLAIN_UPLOADS_WARN
from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from hypothesis import given
from hypothesis import strategies as st
from pushing import REPO, stored

from sousa.cards import batches, upload
from sousa.cards.batches import Sent
from sousa.cards.contents import prepare
from sousa.cards.push import Pushed, carry_out, compare
from sousa.cards.target import Target
from sousa.cards.transfer import Transfer

pytest_plugins = ["hub_fixtures"]
pytestmark = PLAIN_UPLOADS_WARN

NOISE = bytes(range(256)) * 16_384
"""4 MB."""


def pushed(folder: Path, steps: list[int], repo: str = REPO) -> tuple[Pushed, int]:
    """Push, note the steps of the progress, and return how many bytes there were to send."""
    plan = compare(prepare(folder, repo), Target(repo=repo))
    return carry_out(plan, steps.append), plan.difference.send_bytes


@given(
    total=st.integers(0, 100),
    moves=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 100))),
    finishes=st.booleans(),
)
def test_every_byte_is_counted_once_and_the_last_at_the_end(
    total: int, moves: list[tuple[str, int]], finishes: bool
):
    steps: list[int] = []
    sent = Sent(total, steps.append)
    for file, bytes_ in moves:
        sent.reach(file, bytes_)
        furthest = [max(b for f, b in moves if f == name) for name in {f for f, _ in moves}]
        assert sum(steps) <= max(0, min(total - 1, sum(furthest)))
    if finishes:
        sent.finish()
        assert sum(steps) == total
    assert all(step > 0 for step in steps)


def test_a_batch_that_nobody_waits_for_stops():
    sent = Sent(10, lambda _: None)
    sent.is_stopped = True
    with pytest.raises(InterruptedError, match="the push was stopped"):
        sent.reach("a", 1)


@pytest.mark.usefixtures("hub")
def test_progress_moves_within_a_file(folder: Path, mode: str, monkeypatch: pytest.MonkeyPatch):
    """By Xet every tenth of a second: what is done before moves at once."""
    (folder / "noise.bin").write_bytes(NOISE)
    told: list[int] = []
    update = batches._Report.update_progress

    def watched(report: batches._Report, group: Any, files: object) -> None:
        told.append(group.total_bytes_completed)
        update(report, group, files)

    monkeypatch.setattr(batches._Report, "update_progress", watched)
    steps: list[int] = []
    done, total = pushed(folder, steps)
    assert sum(steps) == total == done.new_bytes
    if mode == "xet":
        assert max(told) >= len(NOISE)
    else:
        assert max(steps) < len(NOISE) / 2
    assert not are_progress_bars_disabled()


def test_what_the_client_tells_of_an_upload_is_counted_as_it_grows():
    steps: list[int] = []
    batches._on_its_way.batch = Sent(100, steps.append)
    for done in (10, 10, 70, 100):
        report = batches._Report()
        group = SimpleNamespace(total_bytes_completed=done, total_transfer_bytes_completed=done)
        report.update_progress(group, {})
        report.close()
    assert steps == [10, 60, 29]


def test_what_was_sent_is_told_beside_what_is_new(hub: Hub, folder: Path, mode: str):
    done, total = pushed(folder, [])
    small = sum(file.size for file in stored(hub).values() if file.sha256 is None)
    assert done.new_bytes == total
    if mode == "xet":  # which packs what it sends
        assert hub.bytes_received() + small < done.sent_bytes <= total
    else:
        assert done.sent_bytes == hub.bytes_received() + small
        again, same = pushed(folder, [], repo="org/hats")
        assert again.new_bytes == same
        assert again.sent_bytes == sum(
            file.size for file in stored(hub, repo="org/hats").values() if file.sha256 is None
        )
    assert f"{REPO} is complete and verified" in str(done)


def test_thousands_of_files_become_visible_at_once(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """The limit of a commit is that of the client, not less."""
    assert upload.COMMIT_FILES == 25_000
    monkeypatch.setattr(upload, "COMMIT_FILES", 1_300)
    for number in range(1_200):
        (folder / f"{number}.txt").write_text(str(number))
    pushed(folder, [])
    assert len(hub.commits(REPO, "main")) == 2
    assert len(stored(hub)) > 1_200


def test_reading_shows_nothing_where_it_is_soon_done():
    stream = io.StringIO()
    with Transfer(3_000_000, stream, verb="read") as progress:
        progress(3_000_000)
    assert stream.getvalue() == ""
