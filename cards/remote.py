"""A repository on the Hub to what it holds at a revision."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from sousa.cards.failures import NO_TOKEN, HubError, patiently

MAIN: Final = "main"

PULL_REQUEST: Final = re.compile(r"refs/pr/\d+")

NAME: Final = re.compile(r"(?!.*(--|\.\.))(?!.*\.git$)[A-Za-z0-9_]([\w.-]*\w)?", re.ASCII)
"""What the Hub allows before and after the slash, and `huggingface_hub` checks."""

MOST_LETTERS: Final = 96

MESSAGE: Final = "Push a dataset with sousa"
"""Of commits, unless another is given."""

COMMIT: Final = re.compile(r"[0-9a-f]{40}")

REF: Final = re.compile(r"(?![-/.])(?!.*(\.\.|//|@\{|\.lock$))[\w./+@-]+(?<![/.])", re.ASCII)
"""Names that git allows for branches and tags, without the odd ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a push goes.

    Attributes:
        repo: `org/name`.
        private: Whether the repository is made private when it is new.
        revision: Branch; made when it is not there.
        create_pr: Open a pull request instead of writing to the branch.
        tag: Name for the pushed commit, once it is verified.
        message: Of the commits.
        token: Of the Hub; None takes what `huggingface_hub` finds.
    """

    repo: str
    private: bool = False
    revision: str = MAIN
    create_pr: bool = False
    tag: str | None = None
    message: str = MESSAGE
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse names that the Hub would refuse.

        Raises:
            ValueError: If one of them is not allowed.
        """
        check_names(self.repo, self.revision, self.tag)


def check_names(repo: str, revision: str, tag: str | None = None) -> None:
    """Refuse names that the Hub would refuse.

    Raises:
        ValueError: If one of them is not allowed.
    """
    owner, _, name = repo.partition("/")
    if not (NAME.fullmatch(owner) and NAME.fullmatch(name)) or len(repo) > MOST_LETTERS:
        raise ValueError(
            "the name of a dataset must be org/name, of letters, digits and single '-', '_', '.' "
            f"between them, at most {MOST_LETTERS} in all; got {repo!r}"
        )
    for what, ref in (("revision", revision), ("tag", tag)):
        if ref is not None and not REF.fullmatch(ref):
            raise ValueError(f"{what} must be a name such as v1.0, got {ref!r}")
    if COMMIT.fullmatch(revision):
        raise ValueError(f"revision must be a branch to write to, got the commit {revision}")


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
    """

    commit: str | None = None
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    has_revision: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


def read_token(file: Path | None) -> str:
    """Return the token in a file, or else what `huggingface_hub` finds.

    Raises:
        HubError: If there is none.
        OSError: If the file cannot be read.
        ValueError: If the file does not hold one token.
    """
    if file is None:
        token = get_token()
        if token is None:
            raise HubError(NO_TOKEN)
        return token
    try:
        token = file.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        token = ""
    except FileNotFoundError:  # whose name may be the token itself: not shown
        raise ValueError("the file of the token is not there; give the path of one") from None
    if not token or len(token.split()) != 1 or not token.isprintable():
        raise ValueError(f"{file} must hold one token and nothing else")
    return token


def read_remote(api: HfApi, target: Target) -> Remote:
    """Read what the Hub has, with a token that it takes.

    Raises:
        HubError: If the token only reads, or what shall be private is public.
        Exception: What the client raises.
    """
    _check_role(patiently(api.whoami))
    try:
        refs = patiently(lambda: api.list_repo_refs(target.repo, repo_type="dataset"))
    except RepositoryNotFoundError:
        if target.create_pr or PULL_REQUEST.fullmatch(target.revision):
            raise
        return Remote()
    if target.private and not _is_private(api, target.repo):
        raise HubError(
            f"{target.repo} is there already, and public: --private is for new repositories; "
            "make it private in its settings, or choose another name"
        )
    heads = {branch.name: branch.target_commit for branch in refs.branches}
    asked = PULL_REQUEST.fullmatch(target.revision)
    start = head(api, target.repo, target.revision) if asked else None
    commit = start or heads.get(target.revision) or heads[MAIN]
    return Remote(
        commit=commit,
        files=files_at(api, target.repo, commit),
        has_revision=start is not None or target.revision in heads,
        tags={tag.name: tag.target_commit for tag in refs.tags},
    )


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


def _check_role(account: dict[str, Any]) -> None:
    """Refuse a token that says of itself that it only reads; the rest is the Hub's to tell.

    Raises:
        HubError: If it does.
    """
    if account.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise HubError(
            "the token can only read; make one that can write, at "
            "https://huggingface.co/settings/tokens"
        )
