"""A repository on the Hub to what it holds at a revision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from sousa.cards.failures import HubError, patiently
from sousa.cards.listing import MANIFEST, README
from sousa.cards.target import MAIN, PULL_REQUEST, Target


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the Hub.

    Attributes:
        path: In the repository.
        size: In bytes.
        git_oid: Of what git holds: the file, or the pointer to it.
        sha256: Of a large file's content; None for a small one.
    """

    path: str
    size: int
    git_oid: str
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """What is on the Hub.

    Attributes:
        commit: Head of the revision; of the branch that it will be made from, when it is not
            there. None without a repository.
        files: By path, at that commit.
        has_revision: Whether the revision is there.
        tags: Commits of the tags, by name.
        contents: Of the card and the manifest, by path; those that are there.
    """

    commit: str | None = None
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    has_revision: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)


def read_remote(api: HfApi, target: Target) -> Remote:
    """Read what the Hub has.

    Raises:
        HubError: If what shall be private is public, a name is taken by a branch or tag of the
            other kind, or a script there would keep everybody from loading the dataset.
        Exception: What the client raises.
    """
    try:
        refs = patiently(lambda: api.list_repo_refs(target.repo, repo_type="dataset"))
    except RepositoryNotFoundError:
        if target.create_pr or PULL_REQUEST.fullmatch(target.revision):
            raise
        return Remote()
    if target.private and not _is_private(api, target.repo):
        raise HubError(
            f"{target.repo} is there already, and public: only a new one can be made private; "
            "make it private in its settings, or choose another name"
        )
    heads = {branch.name: branch.target_commit for branch in refs.branches}
    tags = {tag.name: tag.target_commit for tag in refs.tags}
    if target.tag in heads:
        raise HubError(f"{target.repo} has a branch {target.tag}; choose another name for the tag")
    if target.revision in tags.keys() - heads.keys():
        raise HubError(
            f"{target.revision} is a tag of {target.repo}, which cannot be written to; "
            "give a branch as the revision"
        )
    asked = PULL_REQUEST.fullmatch(target.revision)
    start = head(api, target.repo, target.revision) if asked else None
    commit = start or heads.get(target.revision) or heads[MAIN]
    files = files_at(api, target.repo, commit)
    if (script := script_of(target.repo)) in files:
        raise HubError(
            f"{target.repo} has a file {script}, which `load_dataset` takes for a loading script, "
            "and so refuses the dataset; remove it there first"
        )
    return Remote(
        commit=commit,
        files=files,
        has_revision=start is not None or target.revision in heads,
        tags=tags,
        contents={
            path: _content(api, target.repo, commit, path)
            for path in (README, MANIFEST)
            if path in files
        },
    )


def script_of(repo: str) -> str:
    """Return the name of a file for which `datasets` refuses to load a repository."""
    return repo.partition("/")[2] + ".py"


def _content(api: HfApi, repo: str, commit: str, path: str) -> bytes:
    fetched = patiently(
        lambda: api.hf_hub_download(repo, path, repo_type="dataset", revision=commit)
    )
    return Path(fetched).read_bytes()


def files_at(api: HfApi, repo: str, commit: str) -> dict[str, RemoteFile]:
    """Return the files of a repository at a commit, by path."""
    entries = patiently(
        lambda: list(api.list_repo_tree(repo, recursive=True, revision=commit, repo_type="dataset"))
    )
    return {
        entry.path: RemoteFile(
            entry.path, entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None
        )
        for entry in entries
        if isinstance(entry, RepoFile)
    }


def head(api: HfApi, repo: str, revision: str) -> str:
    """Return the commit that a revision is at."""
    info = patiently(lambda: api.repo_info(repo, repo_type="dataset", revision=revision))
    return str(info.sha)


def _is_private(api: HfApi, repo: str) -> bool:
    return bool(patiently(lambda: api.repo_info(repo, repo_type="dataset")).private)
