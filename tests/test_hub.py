"""The stand-in Hub is one to the released clients: what they write there, they read back."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hub import EXPIRED, OWNER, READER, STRANGER, Hub
from hub_client import PLAIN_UPLOADS_WARN
from hub_store import Account
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    hf_hub_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

NAME = "org/strokes"
CARD = b"---\nlicense: cc-by-4.0\n---\n# Strokes\n"
pytest_plugins = ["hub_fixtures"]
pytestmark = PLAIN_UPLOADS_WARN


@pytest.fixture
def repo(hub: Hub) -> str:
    return hub.create(NAME).id


def add(path: str, content: bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path, content)


def commit(
    repo: str,
    *operations: CommitOperationAdd | CommitOperationDelete,
    revision: str | None = None,
    parent: str | None = None,
) -> str:
    made = HfApi().create_commit(
        repo,
        operations,
        commit_message="change",
        repo_type="dataset",
        revision=revision,
        parent_commit=parent,
    )
    return made.oid


def read(repo: str, path: str, revision: str) -> bytes:
    place = hf_hub_download(repo, path, repo_type="dataset", revision=revision)
    return Path(place).read_bytes()


@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_lists_come_in_pages(hub: Hub, page_size: int) -> None:
    hub.create(NAME)
    paths = ["README.md", *(f"audio/{number}.json" for number in range(5)), "deep/er/a.txt"]
    hub.commit(NAME, dict.fromkeys(paths, b""))
    hub.page_size = page_size
    api = HfApi()
    everything = {"audio", "deep", "deep/er", ".gitattributes", *paths}
    tree = api.list_repo_tree(NAME, repo_type="dataset", recursive=True)
    assert {entry.path for entry in tree} == everything
    assert len(hub.requests("GET", "/tree/")) == math.ceil(len(everything) / page_size)
    top = {entry.path for entry in api.list_repo_tree(NAME, repo_type="dataset")}
    assert top == {"audio", "deep", ".gitattributes", "README.md"}
    inner = api.list_repo_tree(NAME, "deep", repo_type="dataset", recursive=True, expand=True)
    assert {entry.path for entry in inner} == {"deep/er", "deep/er/a.txt"}
    known = api.get_paths_info(NAME, ["audio", "README.md", "gone"], repo_type="dataset")
    assert {entry.path for entry in known} == {"audio", "README.md"}
    assert len(api.list_repo_commits(NAME, repo_type="dataset")) == 2


def test_every_revision_reads_its_own_content(hub: Hub, repo: str) -> None:
    api = HfApi()
    first = commit(repo, add("a.txt", b"first"), add("b.parquet", b"\0first"))
    api.create_tag(repo, tag="v1.0", repo_type="dataset")
    api.create_branch(repo, branch="next/try", repo_type="dataset")
    second = commit(repo, add("a.txt", b"second"), CommitOperationDelete("b.parquet"))
    commit(repo, add("a.txt", b"third"), revision="next/try")

    texts = {first: b"first", "v1.0": b"first", second: b"second", "main": b"second"}
    for revision, text in (texts | {"next/try": b"third"}).items():
        assert read(repo, "a.txt", revision) == text
    assert read(repo, "b.parquet", "v1.0") == b"\0first"
    with pytest.raises(EntryNotFoundError):
        read(repo, "b.parquet", "main")
    with pytest.raises(RevisionNotFoundError):
        read(repo, "a.txt", "v2.0")
    refs = api.list_repo_refs(repo, repo_type="dataset")
    assert {branch.name: branch.target_commit for branch in refs.branches}["main"] == second
    assert [(tag.name, tag.target_commit) for tag in refs.tags] == [("v1.0", first)]
    assert [entry.commit_id for entry in api.list_repo_commits(repo, repo_type="dataset")] == [
        second,
        first,
        hub.commits(repo)[-1].id,
    ]


def test_names_are_given_once(repo: str) -> None:
    api = HfApi()
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo(repo, repo_type="dataset")
    api.create_repo(repo, repo_type="dataset", exist_ok=True)
    api.create_tag(repo, tag="v1", repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_tag(repo, tag="v1", repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_branch(repo, branch="main", repo_type="dataset")
    api.delete_tag(repo, tag="v1", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        api.delete_tag(repo, tag="v1", repo_type="dataset")
    api.delete_repo(repo, repo_type="dataset")
    assert not api.repo_exists(repo, repo_type="dataset")


def test_a_commit_on_an_older_one_is_refused(hub: Hub, repo: str) -> None:
    start = hub.commits(repo)[0].id
    commit(repo, add("a.txt", b"a"), parent=start)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as refusal:
        commit(repo, add("b.txt", b"b"), parent=start)
    assert refusal.value.response.status_code == 412
    assert "b.txt" not in hub.files(repo)


def test_deletion(hub: Hub, repo: str) -> None:
    hub.commit(repo, {"old/a.txt": b"a", "old/deep/b.parquet": b"b", "older.txt": b"c"})
    commit(repo, CommitOperationDelete("old/"))
    assert set(hub.files(repo)) == {".gitattributes", "older.txt"}
    with pytest.raises(EntryNotFoundError, match="A file with this name doesn't exist"):
        commit(repo, CommitOperationDelete("old/a.txt"))


def test_a_pointer_to_nothing_is_refused(repo: str) -> None:
    never_sent = add("a.parquet", b"\0" * 10)
    never_sent._is_uploaded, never_sent._upload_mode = True, "lfs"
    never_sent._should_ignore = False
    with pytest.raises(HfHubHTTPError, match="LFS pointer pointed to a file that does not exist"):
        commit(repo, never_sent)


def test_ignored_files_stay(hub: Hub, repo: str) -> None:
    hub.commit(repo, {".gitignore": b"# ours\n*.log\n"})
    commit(repo, add("a.log", b"a"), add("deep/b.log", b"b"), add("c.txt", b"c"))
    assert set(hub.files(repo)) == {".gitattributes", ".gitignore", "c.txt"}


@pytest.mark.usefixtures("mode")
def test_a_stranger_opens_a_pull_request(hub: Hub, repo: str) -> None:
    hub.commit(repo, {"kept.txt": b"kept"})
    api = HfApi(token=STRANGER.token)
    change = [add("a.parquet", b"\0better")]
    made = api.create_commit(
        repo, change, commit_message="better", repo_type="dataset", create_pr=True
    )
    assert (made.pr_num, made.pr_revision) == (1, "refs/pr/1")
    assert "a.parquet" not in hub.files(repo)
    assert read(repo, "a.parquet", "refs/pr/1") == b"\0better"
    assert read(repo, "kept.txt", "refs/pr/1") == b"kept"
    refs = HfApi().list_repo_refs(repo, repo_type="dataset", include_pull_requests=True)
    assert [pull.ref for pull in refs.pull_requests or []] == ["refs/pr/1"]
    details = api.get_discussion_details(repo, 1, repo_type="dataset")
    assert (details.title, details.author, details.status) == ("better", "eve", "open")

    more = [add("more.parquet", b"\0more")]
    api.create_commit(repo, more, commit_message="more", repo_type="dataset", revision="refs/pr/1")
    assert read(repo, "more.parquet", "refs/pr/1") == b"\0more"
    with pytest.raises(HfHubHTTPError, match="create_pr=1"):
        api.merge_pull_request(repo, 1, repo_type="dataset")
    HfApi().merge_pull_request(repo, 1, repo_type="dataset")
    assert hub.content(repo, "a.parquet") == b"\0better"
    (pull,) = HfApi().get_repo_discussions(repo, repo_type="dataset")
    assert pull.status == "merged"


def test_an_empty_pull_request_is_filled_later(hub: Hub, repo: str) -> None:
    pull = HfApi().create_pull_request(repo, "later", repo_type="dataset")
    commit(repo, add("a.txt", b"a"), revision=f"refs/pr/{pull.num}")
    assert read(repo, "a.txt", "refs/pr/1") == b"a"
    assert "a.txt" not in hub.files(repo)


@pytest.mark.parametrize(
    ("account", "status"), [(None, 401), (STRANGER, 404), (READER, None), (OWNER, None)]
)
def test_private_is_for_its_owners(
    hub: Hub, tmp_path: Path, account: Account | None, status: int | None
) -> None:
    HfApi().create_repo(NAME, repo_type="dataset", private=True)
    hub.commit(NAME, {"a.txt": b"mine"})
    api = HfApi(token=account.token if account else False)
    if status is None:
        assert Path(api.hf_hub_download(NAME, "a.txt", repo_type="dataset")).read_bytes() == b"mine"
        return
    with pytest.raises(RepositoryNotFoundError) as refusal:
        api.dataset_info(NAME)
    assert refusal.value.response.status_code == status
    with pytest.raises(RepositoryNotFoundError):
        api.hf_hub_download(NAME, "a.txt", repo_type="dataset", cache_dir=tmp_path / "cold")


def test_gated_is_listed_but_not_read(hub: Hub) -> None:
    hub.create(NAME, gated=True)
    hub.commit(NAME, {"a.txt": b"a"})
    for token, status in ((STRANGER.token, 403), (False, 401)):
        api = HfApi(token=token)
        assert api.dataset_info(NAME).gated == "manual"
        with pytest.raises(GatedRepoError) as refusal:
            api.auth_check(NAME, repo_type="dataset")
        assert refusal.value.response.status_code == status
    HfApi().auth_check(NAME, repo_type="dataset")


@pytest.mark.usefixtures("hub")
def test_who_asks() -> None:
    me = HfApi().whoami()
    assert (me["name"], me["orgs"][0]["name"]) == ("ada", "org")
    assert me["auth"]["accessToken"]["role"] == "write"
    assert HfApi(token=READER.token).whoami()["auth"]["accessToken"]["role"] == "read"
    for token in (EXPIRED.token, "hf_unknown"):
        with pytest.raises(HfHubHTTPError, match="Invalid user token"):
            HfApi(token=token).whoami()
        with pytest.raises(HfHubHTTPError, match="401"):
            HfApi(token=token).dataset_info(NAME)


def test_rights_to_write(hub: Hub, repo: str) -> None:
    for account in (READER, STRANGER):
        api = HfApi(token=account.token)
        with pytest.raises(HfHubHTTPError, match="don't have the rights to create a dataset under"):
            api.create_repo("org/other", repo_type="dataset")
        with pytest.raises(HfHubHTTPError, match="create_pr=1"):
            api.upload_file(
                path_or_fileobj=b"a", path_in_repo="a.txt", repo_id=repo, repo_type="dataset"
            )
    assert (
        HfApi(token=STRANGER.token).create_repo("mine", repo_type="dataset").repo_id == "eve/mine"
    )
    assert set(hub.files(repo)) == {".gitattributes"}


@pytest.mark.parametrize(
    ("card", "finding"),
    [
        (b"---\nlicense: [\n---\n", "Invalid YAML"),
        (b"---\nlicense: free-beer\n---\n", '"license" must be one of'),
        (b"---\nsize_categories: [huge]\n---\n", '"size_categories" must be one of'),
        (b"---\npretty_name: 3\n---\n", '"pretty_name" must be a string'),
        (b"---\nconfigs:\n- data_files: x\n---\n", "config_name"),
        (b"---\nconfigs:\n- config_name: a\n- config_name: a\n---\n", "twice"),
        (b"---\n- a\n---\n", "must be an object"),
    ],
)
def test_a_bad_card_is_refused(hub: Hub, repo: str, card: bytes, finding: str) -> None:
    with pytest.raises(ValueError, match=finding):
        commit(repo, add("README.md", card))
    assert len(hub.requests("POST", "/commit/")) == 0


def test_many_write_at_once(hub: Hub, repo: str, mode: str) -> None:
    paths = [f"{number}.parquet" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda path: commit(repo, add(path, path.encode() * 1000)), paths))
    assert bool(hub.requests("PUT", "/_lfs/")) == (mode == "lfs")
    assert hub.files(repo).keys() == {".gitattributes", *paths}
    assert all(hub.content(repo, path) == path.encode() * 1000 for path in paths)
    assert len(hub.commits(repo)) == 13
