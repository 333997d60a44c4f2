"""A stand-in for the Hugging Face Hub on loopback, for the released clients.

    with Hub(tmp_path) as hub:
        api = HfApi(endpoint=hub.endpoint, token=OWNER.token)

It speaks what `huggingface_hub` and `datasets` ask for when they create, fill, list and read
dataset repositories, keeps every commit, and sees to rights as the real one does. Large files come
by Xet (the client's own, over HTTP) or by LFS, and are read by plain requests with ranges:
`resolve` names no Xet hash, and sends the content itself instead of pointing elsewhere.

The modules in reading order: `hub_store` (contents and history), `hub_xet` (the other store),
`hub_faults`, `hub_wire` and `hub_server` (HTTP), `hub_state` (rights), `hub_reads`,
`hub_uploads`, `hub_card`, `hub_writes`, `hub_pulls`, and `hub_client`, which turns the clients of
this process to it.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from hub_faults import Fault
from hub_pulls import Pulls
from hub_reads import Reads
from hub_server import Site
from hub_state import State
from hub_store import (
    LARGE_BYTES,
    LARGE_SUFFIXES,
    Account,
    Commit,
    Repository,
    Scope,
    StoredFile,
    lfs_file,
)
from hub_uploads import Uploads
from hub_wire import Logged
from hub_writes import Writes

OWNER: Final = Account("ada", "hf_ownerOwnerOwnerOwnerOwnerOwnerOwn", organizations=("org",))
READER: Final = Account("ada", "hf_readReadReadReadReadReadReadRead", "read", ("org",))
STRANGER: Final = Account("eve", "hf_strangerStrangerStrangerStranger")
EXPIRED: Final = Account("ada", "hf_oldOldOldOldOldOldOldOldOldOldOl", "write", ("org",), True)
SCOPED: Final = Account(
    *("ada", "hf_scopedScopedScopedScopedScopedSco", "fineGrained", ("org",)),
    scopes=(
        Scope("user", "ada"),
        Scope("org", "org", ("repo.content.read",)),
        Scope("dataset", "org/hats"),
    ),
)
"""May read the repositories of `org`, and write to its own and to one of `org`."""
ACCOUNTS: Final = (OWNER, READER, STRANGER, EXPIRED, SCOPED)


class Hub:
    """The stand-in, between `with` and its end.

    Attributes:
        endpoint: Where it is.
        page_size: Entries in a page of a list.
        waits: How long clients of this process paused before they tried again; see `hub_client`.
    """

    def __init__(self, folder: Path, accounts: tuple[Account, ...] = ACCOUNTS) -> None:
        self._state = State(folder, accounts)
        parts = (Reads, Uploads, Writes, Pulls)
        routes = [route for part in parts for route in part(self._state).routes()]
        self._site = Site(routes, self._state.blobs.new_path)
        self.waits: list[float] = []
        self._site.account_of = self._account_name
        self.endpoint = f"http://127.0.0.1:{self._site.port}"
        self._state.endpoint = self.endpoint

    def __enter__(self) -> Self:
        self._site.start()
        return self

    def __exit__(self, *args: object) -> None:
        """Close it.

        Raises:
            RuntimeError: A route crashed.
        """
        self._site.stop()
        if self._site.failures:
            raise RuntimeError("\n".join(self._site.failures))

    def _account_name(self, token: str) -> str | None:
        account = self._state.accounts.get(token)
        return account.name if account else None

    @property
    def page_size(self) -> int:
        return self._state.page_size

    @page_size.setter
    def page_size(self, entries: int) -> None:
        self._state.page_size = entries

    # what goes wrong

    def inject(self, *faults: Fault) -> None:
        """Add faults; see `hub_faults`."""
        self._site.faults.add(*faults)

    def heal(self) -> None:
        """Drop all faults."""
        self._site.faults.clear()

    def unused_faults(self) -> list[Fault]:
        return self._site.faults.unused()

    def expire(self, account: Account) -> None:
        """From now on the token is refused."""
        self._state.accounts[account.token] = replace(account, expired=True)

    def damage(self, name: str, path: str, revision: str = "main") -> None:
        """Change one byte of a stored file. What the Hub says of its size and hash stays."""
        place = self._state.content_file(self.files(name, revision)[path])
        content = bytearray(place.read_bytes())
        content[len(content) // 2] ^= 0xFF
        place.write_bytes(content)

    # what it holds

    def repository(self, name: str) -> Repository:
        return self._state.repositories[name]

    def create(self, name: str, *, private: bool = False, gated: bool = False) -> Repository:
        """Make a repository without a client."""
        with self._site.lock:
            repository = self._state.new_repository(name, private=private)
            repository.gated = gated
            return repository

    def commit(
        self, name: str, contents: Mapping[str, bytes | Path], branch: str = "main"
    ) -> Commit:
        """Put files on a branch without a client. Large ones are stored as LFS."""
        stored = {
            path: self._store(path, content.read_bytes() if isinstance(content, Path) else content)
            for path, content in contents.items()
        }
        with self._site.lock:
            repository = self.repository(name)
            files = {**repository.at(branch).files, **stored}
            return repository.add_commit(branch, files, "files", "", repository.namespace)

    def _store(self, path: str, content: bytes) -> StoredFile:
        if not path.endswith(LARGE_SUFFIXES) and len(content) <= LARGE_BYTES:
            return self._state.blobs.add(content)
        stored = lfs_file(hashlib.sha256(content).hexdigest(), len(content))
        self._state.blobs.keep(stored.key, content)
        return stored

    def upload_folder(self, name: str, folder: Path) -> Commit:
        """Make a repository of a folder without a client; names with a dot at the front stay."""
        if name not in self._state.repositories:
            self.create(name)
        paths = {path.relative_to(folder): path for path in sorted(folder.rglob("*"))}
        shown = {
            path.as_posix(): place
            for path, place in paths.items()
            if place.is_file() and not any(part.startswith(".") for part in path.parts)
        }
        return self.commit(name, shown)

    def files(self, name: str, revision: str = "main") -> Mapping[str, StoredFile]:
        return self.repository(name).at(revision).files

    def content(self, name: str, path: str, revision: str = "main") -> bytes:
        return self._state.content_file(self.files(name, revision)[path]).read_bytes()

    def commits(self, name: str, revision: str = "main") -> list[Commit]:
        """Return the history of a revision, the newest first."""
        return self.repository(name).history(revision)

    # what it was asked

    def requests(self, method: str = "*", path: str = "") -> list[Logged]:
        """Return the requests of a method whose path and query hold the regular expression."""
        return [
            logged
            for logged in self._site.log
            if method in ("*", logged.method) and re.search(path, logged.target)
        ]

    def forget_requests(self) -> None:
        self._site.log.clear()

    def bytes_sent(self, path: str = "/resolve/") -> int:
        """Return the bytes of the bodies that went out."""
        return sum(logged.sent for logged in self.requests(path=path))

    def bytes_received(self, path: str = r"/_lfs/\w+$|/_cas/v1/xorbs/") -> int:
        """Return the bytes of the bodies that came in; file contents unless told otherwise.

        By Xet they are packed and without what the client knows to be there already.
        """
        return sum(logged.received for logged in self.requests(path=path))

    def unknown_requests(self) -> list[Logged]:
        """Return what was asked for and is not in any route."""
        return [
            logged
            for logged in self._site.log
            if logged.fault is None and self._site.find(logged.method, logged.path) is None
        ]

    def tokens_in_urls(self) -> list[str]:
        """Return the addresses that show a token. There must be none."""
        tokens = [*self._state.accounts, *self._state.xet_tokens]
        return [log.target for log in self._site.log if any(text in log.target for text in tokens)]

    # who talks to it

    def environment(self, home: Path, account: Account | None = OWNER) -> dict[str, str]:
        """Return this process's environment for another one that shall talk to this Hub.

        Its caches and its login are below `home`. The Xet client pauses for 10 ms, not 3 s, before
        it tries again.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE_"))}
        ours = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_XET_CLIENT_RETRY_BASE_DELAY": "10ms",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        return kept | ours | ({"HF_TOKEN": account.token} if account else {})
