"""A repository on the Hub to what it holds at a revision."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from sousa.cards.failures import NO_TOKEN, HubError, no_rights, patiently
from sousa.cards.listing import MANIFEST, README

MAIN: Final = "main"

PULL_REQUEST: Final = re.compile(r"refs/pr/\d+")

NAME: Final = re.compile(r"(?!.*(--|\.\.))(?!.*\.git$)[A-Za-z0-9_]([\w.-]*\w)?", re.ASCII)
"""What the Hub allows before and after the slash, and `huggingface_hub` checks."""

MOST_LETTERS: Final = 96

WRITERS: Final = ("admin", "write", "contributor")
"""Roles in an organization that may write; contributors to what they made themselves."""

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
        if self.token is not None and not _is_token(self.token):
            raise ValueError("the token must be one word of ASCII letters, is something else")


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
        if ref is None or (what == "revision" and PULL_REQUEST.fullmatch(ref)):
            continue
        if not REF.fullmatch(ref) or ref == "HEAD" or ref.startswith("refs/"):
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
        contents: Of the card and the manifest, by path; those that are there.
    """

    commit: str | None = None
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    has_revision: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)


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
        if not _is_token(token):
            raise ValueError("the token in HF_TOKEN must be one word of ASCII letters")
        return token
    try:
        token = file.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        token = ""
    except FileNotFoundError:  # whose name may be the token itself: not shown
        raise ValueError("the file of the token is not there; give the path of one") from None
    if not _is_token(token):
        raise ValueError(f"{file} must hold one token and nothing else")
    return token


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text.split()) == 1


def read_remote(api: HfApi, target: Target) -> Remote:
    """Read what the Hub has, with a token that it takes.

    Raises:
        HubError: If the token cannot write there, what shall be private is public, or a name is
            taken by a branch or tag of the other kind.
        Exception: What the client raises.
    """
    check_rights(patiently(api.whoami), target)
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


def check_rights(account: Mapping[str, Any], target: Target) -> None:
    """Refuse a token that cannot write, as far as it tells of itself; the rest is the Hub's to say.

    Raises:
        HubError: If it cannot.
    """
    token = (account.get("auth") or {}).get("accessToken") or {}
    if token.get("role") == "read":
        raise HubError(
            "the token can only read; make one that can write, at "
            "https://huggingface.co/settings/tokens"
        )
    owner = target.repo.partition("/")[0]
    roles = {org.get("name"): org.get("roleInOrg") for org in account.get("orgs") or ()}
    if target.create_pr or PULL_REQUEST.fullmatch(target.revision) or owner == account.get("name"):
        return
    # What a fine-grained token may see of the organizations is not known.
    unknown = "orgs" not in account or token.get("role") == "fineGrained"
    if (owner not in roles and not unknown) or roles.get(owner) not in (None, *WRITERS):
        raise HubError(no_rights(target.repo))
