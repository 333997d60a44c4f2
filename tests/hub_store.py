"""What the stand-in for the Hub keeps: contents by hash, and for each repository its history."""

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Final, Literal

DEFAULT_BRANCH: Final = "main"

ATTRIBUTES: Final = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"
"""The file that every new repository begins with."""

LARGE_SUFFIXES: Final = (".parquet", ".arrow", ".bin", ".flac", ".wav", ".mp3", ".npy", ".zip")
"""What the Hub's own `.gitattributes` send to LFS, as far as we need them."""

LARGE_BYTES: Final = 10 * 1024 * 1024
"""No file above this is committed as text."""


class Refused(Exception):
    """A request that the Hub turns down; `code` is its `X-Error-Code`."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True)
class Scope:
    """What a fine-grained token may do somewhere: `user`, `org`, or one `dataset` by its name."""

    kind: Literal["user", "org", "dataset", "model"]
    name: str
    permissions: tuple[str, ...] = ("repo.content.read", "repo.write")


@dataclass(frozen=True, slots=True)
class Account:
    """A token and whose it is. A name may have several, with different roles."""

    name: str
    token: str
    role: Literal["read", "write", "fineGrained"] = "write"
    organizations: tuple[str, ...] = ()
    expired: bool = False
    scopes: tuple[Scope, ...] = ()

    def may_write_to(self, repository: str) -> bool:
        """Return whether it may write to a repository, `org/name`, or make one, `org/`."""
        namespace = repository.partition("/")[0]
        granted = self.role == "write" or any(
            "repo.write" in scope.permissions
            and (scope.kind, scope.name)
            in (("user", namespace), ("org", namespace), ("dataset", repository))
            for scope in self.scopes
        )
        return granted and self.belongs_to(namespace)

    def belongs_to(self, namespace: str) -> bool:
        return namespace in (self.name, *self.organizations)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of one commit: its bytes in length, its git id, and its hash where it is LFS."""

    size: int
    git_oid: str
    sha256: str | None = None

    @property
    def key(self) -> str:
        """The name of its content in the store."""
        return self.sha256 or self.git_oid


@dataclass(frozen=True, slots=True)
class Commit:
    id: str
    parent: str | None
    title: str
    description: str
    author: str
    date: str
    files: Mapping[str, StoredFile]


def git_oid(content: bytes) -> str:
    """Return git's id of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def lfs_file(sha256: str, size: int) -> StoredFile:
    """Return the entry of a large file; git knows it by its pointer."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
    return StoredFile(size, git_oid(pointer.encode()), sha256)


class Blobs:
    """Contents by hash, each a file; one that is not whole is never seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._count = 0
        self._lock = threading.Lock()

    def path(self, key: str) -> Path:
        return self.folder / key

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.path(key).is_file()

    def new_path(self) -> Path:
        """Return where to write what has no hash yet."""
        with self._lock:
            self._count += 1
            return self._incoming / f"{os.getpid()}-{self._count}"

    def add(self, content: bytes) -> StoredFile:
        """Keep a small file."""
        stored = StoredFile(len(content), git_oid(content))
        self.keep(stored.key, content)
        return stored

    def keep(self, key: str, content: bytes | Path) -> None:
        """Keep a content, or a file that is moved."""
        if isinstance(content, bytes):
            path = self.new_path()
            path.write_bytes(content)
            content = path
        content.replace(self.path(key))


@dataclass(slots=True)
class Pull:
    """A pull request, whose commits are under `refs/pr/<number>`."""

    number: int
    title: str
    author: str
    status: Literal["open", "merged", "closed"] = "open"

    @property
    def ref(self) -> str:
        return f"refs/pr/{self.number}"


@dataclass(slots=True)
class Repository:
    """A dataset repository. `head` of a branch moves; a commit never changes."""

    id: str
    private: bool = False
    gated: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return self.id.partition("/")[0]

    def ref(self, revision: str) -> str | None:
        """Return the commit id of a name, or of a commit id or what it begins with."""
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        named = self.branches.get(name) or self.tags.get(name)
        begun = [id_ for id_ in self.commits if len(revision) >= 7 and id_.startswith(revision)]
        return named or (begun[0] if len(begun) == 1 else None)

    def at(self, revision: str) -> Commit:
        """Return a commit.

        Raises:
            Refused: There is no such revision.
        """
        if found := self.ref(revision):
            return self.commits[found]
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def add_commit(
        self,
        branch: str,
        files: Mapping[str, StoredFile],
        title: str,
        description: str,
        author: str,
    ) -> Commit:
        """Put a commit on a branch; its id and date depend on the history alone."""
        parent = self.branches.get(branch)
        seal = hashlib.sha1(repr((self.id, parent, title, len(self.commits))).encode())
        for path, stored in sorted(files.items()):
            seal.update(f"{path} {stored.git_oid}\n".encode())
        date = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=len(self.commits))
        written = date.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        commit = Commit(seal.hexdigest(), parent, title, description, author, written, dict(files))
        self.commits[commit.id] = commit
        self.branches[branch] = commit.id
        return commit

    def history(self, revision: str) -> list[Commit]:
        """Return the commits that lead to a revision, the newest first."""
        commits = [self.at(revision)]
        while (parent := commits[-1].parent) is not None:
            commits.append(self.commits[parent])
        return commits

    def open_pull(self, title: str, author: str, base: str) -> Pull:
        pull = Pull(len(self.pulls) + 1, title, author)
        self.pulls[pull.number] = pull
        self.branches[pull.ref] = self.at(base).id
        return pull


def folders(files: Mapping[str, StoredFile]) -> set[str]:
    """Return all folders that the files lie in."""
    return {
        str(parent)
        for path in files
        for parent in PurePosixPath(path).parents
        if parent != PurePosixPath()
    }


def below(files: Mapping[str, StoredFile], folder: str) -> Iterator[str]:
    """Yield the files in a folder, at any depth."""
    prefix = f"{folder}/" if folder else ""
    return (path for path in files if path.startswith(prefix))
