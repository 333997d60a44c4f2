"""Files and datasets go to the stand-in Hub and come back, by every released client."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import numpy as np
import pytest
from datasets import Audio, ClassLabel, Dataset, Features, Value, load_dataset
from hub import OWNER, STRANGER, Hub
from hub_client import (
    PLAIN_UPLOADS_WARN,
    connect,
    disconnect,
    go_offline,
    without_xet,
)
from hub_reads import span
from hub_store import LARGE_SUFFIXES, git_oid
from hub_xet import ungroup
from huggingface_hub import (
    CommitOperationAdd,
    HfApi,
    HfFileSystem,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.hf_api import RepoFile
from hypothesis import given
from hypothesis import strategies as st

NAME = "org/strokes"
CARD = b"---\nlicense: cc-by-4.0\n---\n# Strokes\n"
pytest_plugins = ["hub_fixtures"]
pytestmark = PLAIN_UPLOADS_WARN


@pytest.fixture
def repo(hub: Hub) -> str:
    return hub.create(NAME).id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Random bytes, numbers and text: the Xet client packs each in another way."""
    folder = tmp_path / "folder"
    (folder / "audio").mkdir(parents=True)
    noise = np.random.default_rng(0).bytes(1_000_000)
    numbers = np.arange(200_000, dtype=np.int32).tobytes()
    (folder / "audio" / "train-00000-of-00002.parquet").write_bytes(noise + numbers)
    (folder / "audio" / "train-00001-of-00002.parquet").write_bytes(b"stroke " * 50_000)
    (folder / "manifest.json").write_text("{}")
    (folder / "README.md").write_bytes(CARD)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def read(repo: str, path: str) -> bytes:
    return Path(hf_hub_download(repo, path, repo_type="dataset")).read_bytes()


def test_a_folder_comes_back_as_it_was_sent(
    hub: Hub, repo: str, folder: Path, mode: str, tmp_path: Path
) -> None:
    HfApi().upload_folder(repo_id=repo, repo_type="dataset", folder_path=folder)

    got = Path(snapshot_download(repo, repo_type="dataset", local_dir=tmp_path / "got"))
    assert contents(folder).items() <= contents(got).items()
    assert bool(hub.requests("POST", "/_cas/v1/xorbs/")) == (mode == "xet")
    assert bool(hub.requests("PUT", "/_lfs/")) == (mode == "lfs")


@pytest.mark.usefixtures("mode")
def test_what_is_there_is_not_sent_again(hub: Hub, repo: str, folder: Path) -> None:
    HfApi().upload_folder(repo_id=repo, repo_type="dataset", folder_path=folder)
    assert hub.bytes_received() > 1_000_000
    before = hub.commits(repo)

    hub.forget_requests()
    HfApi().upload_folder(repo_id=repo, repo_type="dataset", folder_path=folder)
    assert hub.bytes_received() == 0
    assert hub.commits(repo) == before


def test_bytes_of_plain_uploads_are_counted_exactly(
    hub: Hub, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_xet(monkeypatch)
    files = {"a.flac": bytes(5000), "b.flac": bytes(300), "c.txt": b"small"}
    changes = [CommitOperationAdd(path, content) for path, content in files.items()]
    HfApi().create_commit(repo, changes, commit_message="files", repo_type="dataset")
    assert hub.bytes_received() == 5300
    assert read(repo, "a.flac") == bytes(5000)
    assert hub.bytes_sent() == 5000


def test_sizes_and_hashes_are_listed(repo: str, folder: Path) -> None:
    HfApi().upload_folder(repo_id=repo, repo_type="dataset", folder_path=folder)
    listed = {
        entry.path: (entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id)
        for entry in HfApi().list_repo_tree(repo, repo_type="dataset", recursive=True)
        if isinstance(entry, RepoFile)
    }
    del listed[".gitattributes"]
    assert listed == {
        path: (
            len(content),
            hashlib.sha256(content).hexdigest()
            if path.endswith(LARGE_SUFFIXES)
            else git_oid(content),
        )
        for path, content in contents(folder).items()
    }


def test_git_names_a_blob_so() -> None:
    assert git_oid(b"what is up, doc?") == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"


def test_a_dataset_is_pushed_streamed_and_loaded(hub: Hub) -> None:
    features = Features(
        {"tier": ClassLabel(names=["novice", "skilled"]), "n": Value("int32"), "audio": Audio(8000)}
    )
    rows = {
        "tier": [0, 1, 1],
        "n": [1, 2, 3],
        "audio": [{"bytes": bytes([n]) * 100, "path": None} for n in range(3)],
    }
    arrow = Features({**features, "audio": {"bytes": Value("binary"), "path": Value("string")}})
    data = Dataset(Dataset.from_dict(rows, features=arrow).data, info=None).cast_column(
        "audio", Audio(8000, decode=False)
    )
    data.push_to_hub(NAME, "clips", split="test")

    streamed = load_dataset(NAME, "clips", split="test", streaming=True).decode(False)
    assert streamed.features["tier"].names == ["novice", "skilled"]
    loaded = load_dataset(NAME, "clips", split="test").cast_column(
        "audio", Audio(8000, decode=False)
    )
    assert list(streamed) == list(loaded) == list(data)
    assert set(hub.files(NAME)) > {"README.md", "clips/test-00000-of-00001.parquet"}


def test_a_loaded_dataset_is_there_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    Dataset.from_dict({"n": [1, 2]}).push_to_hub(NAME)
    first = load_dataset(NAME, split="train")
    asked = len(hub.requests())
    go_offline(monkeypatch)
    assert load_dataset(NAME, split="train")["n"] == first["n"]
    assert len(hub.requests()) == asked


@given(start=st.integers(0, 99), length=st.integers(1, 120))
def test_a_range_is_what_it_says(start: int, length: int) -> None:
    content = bytes(range(100))
    assert content[span(f"bytes={start}-{start + length - 1}", 100)] == content[start:][:length]
    assert content[span(f"bytes={start}-", 100)] == content[start:]
    assert content[span(f"bytes=-{length}", 100)] == content[-length:]


def test_the_file_system_reads_ranges(hub: Hub) -> None:
    hub.create(NAME)
    content = np.random.default_rng(1).bytes(1_000_000)
    hub.commit(NAME, {"a.parquet": content})
    with HfFileSystem().open(f"datasets/{NAME}/a.parquet", block_size=1000) as file:
        file.seek(500_000)
        assert file.read(200) == content[500_000:500_200]
    (request,) = [one for one in hub.requests("GET", "/resolve/") if "range" in one.headers]
    assert request.status == 206
    assert request.sent == hub.bytes_sent() < 10_000


@given(st.binary(max_size=40))
def test_ungrouping_undoes_grouping(data: bytes) -> None:
    assert ungroup(b"".join(data[first::4] for first in range(4))) == data


def test_another_process_is_told_by_its_environment(hub: Hub, folder: Path, tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("hf"))
    command = [program, "upload", NAME, str(folder), "--type", "dataset"]
    env = hub.environment(tmp_path / "other") | {"HF_HUB_DISABLE_XET": "1"}
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=60)
    assert contents(folder).keys() < hub.files(NAME).keys()
    assert hub.requests("PUT", "/_lfs/")


def test_an_environment_holds_nothing_else_of_the_hub(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_TOKEN", "another")
    assert "HF_HUB_OFFLINE" not in hub.environment(tmp_path)
    assert hub.environment(tmp_path)["HF_TOKEN"] == OWNER.token
    assert "HF_TOKEN" not in hub.environment(tmp_path, None)
    assert hub.environment(tmp_path)["PATH"] == os.environ["PATH"]


def test_a_process_turns_to_another_hub(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub.create(NAME)
    hub.commit(NAME, {"a.txt": b"here"})
    assert read(NAME, "a.txt") == b"here"
    with Hub(tmp_path / "second") as second:
        second.create(NAME)
        second.commit(NAME, {"a.txt": b"there"})
        connect(monkeypatch, second, tmp_path / "home2", STRANGER)
        assert read(NAME, "a.txt") == b"there"
        assert HfFileSystem().cat(f"datasets/{NAME}/a.txt") == b"there"
        HfApi(token=OWNER.token).upload_file(
            path_or_fileobj=bytes(9), path_in_repo="b.bin", repo_id=NAME, repo_type="dataset"
        )
        assert (tmp_path / "home2" / "xet").is_dir()
        assert {one.account for one in second.requests("GET", "/resolve/")} == {"eve"}


def test_clients_forget_what_they_heard(hub: Hub, repo: str) -> None:
    assert len(HfFileSystem().ls(f"datasets/{repo}")) == 1
    hub.commit(repo, {"a.txt": b"a"})
    disconnect()
    assert len(HfFileSystem().ls(f"datasets/{repo}")) == 2


def test_who_has_the_answer_finds_the_request(hub: Hub, repo: str) -> None:
    for count in range(1, 101):
        HfApi().dataset_info(repo)
        assert len(hub.requests("GET", f"/api/datasets/{repo}")) == count


def test_another_content_than_was_named_is_refused(hub: Hub) -> None:
    name = hashlib.sha256(b"this").hexdigest()
    assert httpx2.put(f"{hub.endpoint}/_lfs/{name}", content=b"that").status_code == 400
    assert httpx2.post(f"{hub.endpoint}/_lfs/{name}/verify").status_code == 404
    assert httpx2.put(f"{hub.endpoint}/_lfs/{name}", content=b"this").status_code == 200
    assert httpx2.post(f"{hub.endpoint}/_lfs/{name}/verify").status_code == 200
