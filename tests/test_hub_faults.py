"""Each fault of the stand-in Hub does what it says, and the released clients react to it."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from datasets import Dataset, load_dataset
from hub import OWNER, Hub
from hub_client import PLAIN_UPLOADS_WARN, connected_hub, without_xet
from hub_faults import (
    EXPIRED,
    QUOTA,
    REFUSED,
    SERVER_ERROR,
    UNAVAILABLE,
    Cut,
    Fault,
    Faults,
    Slow,
    Status,
    rate_limit,
)
from huggingface_hub import CommitOperationAdd, HfApi, constants, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError
from hypothesis import given
from hypothesis import strategies as st

pytestmark = PLAIN_UPLOADS_WARN
NAME = "org/strokes"
CONTENT = bytes(range(256)) * 400


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with connected_hub(monkeypatch, tmp_path) as hub:
        hub.create(NAME)
        yield hub


def upload(path: str = "a.parquet", content: bytes = CONTENT) -> str:
    return (
        HfApi()
        .create_commit(
            NAME,
            [CommitOperationAdd(path, content)],
            commit_message="change",
            repo_type="dataset",
        )
        .oid
    )


def download(path: str = "a.parquet") -> bytes:
    return Path(hf_hub_download(NAME, path, repo_type="dataset")).read_bytes()


@given(
    after=st.integers(0, 5),
    times=st.none() | st.integers(1, 5),
    targets=st.lists(st.sampled_from(["/commit/main", "/tree/main"]), max_size=20),
)
def test_a_fault_hits_the_matching_requests_in_their_turn(
    after: int, times: int | None, targets: list[str]
) -> None:
    faults = Faults()
    fault = Fault(REFUSED, "POST", "/commit/", after=after, times=times)
    faults.add(fault)
    hit = [at for at, target in enumerate(targets) if faults.take("POST", target) == REFUSED]
    matching = [at for at, target in enumerate(targets) if "commit" in target]
    assert hit == matching[after : None if times is None else after + times]
    assert faults.unused() == ([] if hit else [fault])
    assert faults.take("GET", "/commit/main") is None


def test_faults_wait_in_line() -> None:
    faults = Faults()
    faults.add(Fault(UNAVAILABLE), Fault(REFUSED, times=2))
    assert [faults.take("GET", "/") for _ in range(4)] == [UNAVAILABLE, REFUSED, REFUSED, None]
    faults.add(Fault(QUOTA, times=None))
    assert faults.take("GET", "/") == QUOTA
    faults.clear()
    assert faults.take("GET", "/") is None


@pytest.mark.parametrize("action", [SERVER_ERROR, Status(502), UNAVAILABLE, Status(504)])
def test_a_busy_server_is_asked_again(hub: Hub, action: Status) -> None:
    hub.inject(Fault(action, "POST", "/preupload/", times=3))
    upload()
    assert hub.waits == [1, 2, 4]
    asked = hub.requests("POST", "/preupload/")
    assert [request.status for request in asked] == [action.status] * 3 + [200]
    assert hub.content(NAME, "a.parquet") == CONTENT


def test_the_server_says_how_long_to_wait(hub: Hub) -> None:
    hub.inject(Fault(rate_limit(7), "GET", "/tree/"))
    list(HfApi().list_repo_tree(NAME, repo_type="dataset"))
    assert hub.waits == [8]


def test_clients_give_up(hub: Hub) -> None:
    hub.inject(Fault(UNAVAILABLE, "GET", "/tree/", times=None))
    with pytest.raises(HfHubHTTPError, match="503"):
        list(HfApi().list_repo_tree(NAME, repo_type="dataset"))
    assert hub.waits == [1, 2, 4, 8, 8]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_connection_breaks(hub: Hub, when: str) -> None:
    hub.inject(Fault(Cut(when), "POST", "/commit/"))  # type: ignore[arg-type]
    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        upload("a.txt", b"text")
    assert ("a.txt" in hub.files(NAME)) == (when == "after")
    (lost,) = hub.requests("POST", "/commit/")
    assert (lost.status, lost.sent) == (0, 0)


def test_a_plain_upload_that_breaks_begins_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    without_xet(monkeypatch)
    content = CONTENT * 40
    hub.inject(Fault(Cut("receiving", after_bytes=1000), "PUT", "/_lfs/"))
    upload(content=content)
    assert [request.received for request in hub.requests("PUT")] == [1000, len(content)]
    assert hub.content(NAME, "a.parquet") == content
    assert len(hub.waits) == 1


@pytest.mark.parametrize("action", [UNAVAILABLE, Cut("before"), Cut("receiving", after_bytes=10)])
@pytest.mark.parametrize("path", ["/_cas/v1/xorbs/", "/_cas/v1/shards"])
def test_a_xet_upload_that_breaks_begins_again(hub: Hub, action: Cut | Status, path: str) -> None:
    hub.inject(Fault(action, "POST", path))
    upload()
    assert [request.fault for request in hub.requests("POST", path)] == [action, None]
    assert hub.content(NAME, "a.parquet") == CONTENT


def test_a_download_that_breaks_goes_on(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # less is forgotten at a break
    hub.commit(NAME, {"a.parquet": CONTENT})
    hub.inject(Fault(Cut("sending", after_bytes=1000), "GET", "/resolve/"))
    assert download() == CONTENT
    first, second = hub.requests("GET", "/resolve/")
    assert (first.status, first.sent) == (200, 1000)
    assert (second.status, second.headers["range"]) == (206, "bytes=1000-")
    assert hub.bytes_sent() == len(CONTENT)


def test_a_stream_that_breaks_goes_on(hub: Hub) -> None:
    Dataset.from_dict({"n": list(range(100))}).push_to_hub(NAME)
    stream = load_dataset(NAME, split="train", streaming=True)
    hub.inject(Fault(Cut("sending", after_bytes=10), "GET", "/resolve/.*parquet", times=2))
    assert [row["n"] for row in stream] == list(range(100))
    assert len(hub.waits) == 2


def test_a_slow_answer_takes_its_time(hub: Hub) -> None:
    hub.commit(NAME, {"a.parquet": bytes(5000)})
    hub.inject(Fault(Slow(50_000), "GET", "/resolve/"))
    begun = time.monotonic()
    assert download() == bytes(5000)
    assert time.monotonic() - begun >= 0.1


def test_a_damaged_file_keeps_its_name(hub: Hub) -> None:
    hub.commit(NAME, {"a.parquet": CONTENT})
    hub.damage(NAME, "a.parquet")
    got = download()
    stored = hub.files(NAME)["a.parquet"]
    assert stored.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert len(got) == stored.size == len(CONTENT)
    assert [at for at, byte in enumerate(CONTENT) if got[at] != byte] == [len(CONTENT) // 2]


def test_damage_touches_one_file_and_its_like_only(hub: Hub) -> None:
    hub.commit(NAME, {"a.parquet": CONTENT, "b.parquet": CONTENT[1:]})
    hub.damage(NAME, "a.parquet")
    assert download("b.parquet") == CONTENT[1:]


def test_a_token_expires_on_the_way(hub: Hub) -> None:
    hub.inject(Fault(EXPIRED, after=2, times=None))
    HfApi().whoami()
    HfApi().dataset_info(NAME)
    with pytest.raises(HfHubHTTPError, match="expired"):
        upload()
    hub.heal()
    hub.expire(OWNER)
    with pytest.raises(HfHubHTTPError, match="expired"):
        HfApi().dataset_info(NAME)


@pytest.mark.parametrize("path", ["/preupload/", "/info/lfs/objects/batch", "/commit/"])
def test_a_full_account_says_so(hub: Hub, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_xet(monkeypatch)
    hub.inject(Fault(QUOTA, path=path))
    with pytest.raises(HfHubHTTPError, match="storage limit reached"):
        upload()
    assert "a.parquet" not in hub.files(NAME)


def test_the_xet_client_tells_the_status_alone(hub: Hub) -> None:
    hub.inject(Fault(QUOTA, path="/xet-write-token/"))
    with pytest.raises(ConnectionError, match="403 Forbidden"):
        upload()
    assert "a.parquet" not in hub.files(NAME)


def test_a_commit_is_refused(hub: Hub) -> None:
    hub.inject(Fault(REFUSED, "POST", "/commit/"))
    with pytest.raises(HfHubHTTPError, match="Your push was rejected"):
        upload()
    assert "a.parquet" not in hub.files(NAME)
    assert hub.waits == []


def test_a_defect_of_the_stand_in_is_no_answer(tmp_path: Path) -> None:
    token = {"Authorization": f"Bearer {OWNER.token}"}
    with pytest.raises(RuntimeError, match="JSONDecodeError"), Hub(tmp_path) as hub:
        httpx2.post(f"{hub.endpoint}/api/repos/create", content=b"{", headers=token)


@pytest.mark.parametrize(
    ("address", "finding"),
    [(f"/api/datasets/{NAME}?token={OWNER.token}", OWNER.token), ("/api/new", "/api/new")],
)
def test_what_must_not_be_asked_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, finding: str
) -> None:
    with (
        pytest.raises(AssertionError, match=finding),
        connected_hub(monkeypatch, tmp_path) as hub,
    ):
        httpx2.get(hub.endpoint + address)


def test_a_fault_that_nobody_met_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="Fault"),
        connected_hub(monkeypatch, tmp_path) as hub,
    ):
        hub.inject(Fault(QUOTA))
