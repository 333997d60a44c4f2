"""Who may see and change what on the stand-in Hub."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hub_store import ATTRIBUTES, DEFAULT_BRANCH, Account, Blobs, Refused, Repository, StoredFile
from hub_wire import Call
from hub_xet import XetStore

DATASET: Final = "/api/datasets/([^/]+/[^/]+)"
"""How the address of everything about a dataset begins."""

NO_TOKEN: Final = "Invalid username or password."
BAD_TOKEN: Final = "Invalid credentials in Authorization header"
EXPIRED_TOKEN: Final = "User Access Token is expired"
NEEDS_PULL: Final = "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request"


class State:
    """The repositories and contents, and the rights of the accounts to them.

    The answers are those of the real Hub. Without a token it answers 401 for what does not exist
    or is private, with no code; the client takes that for `RepoNotFound` where the address begins
    with https, and because this one does not, the code is sent.
    """

    def __init__(self, folder: Path, accounts: Iterable[Account]) -> None:
        self.accounts = {account.token: account for account in accounts}
        self.blobs = Blobs(folder / "blobs")
        self.xet = XetStore(folder / "xorbs")
        self.repositories: dict[str, Repository] = {}
        self.xet_tokens: dict[str, str] = {}
        self.endpoint = ""
        self.page_size = 1000

    def account(self, call: Call) -> Account | None:
        """Return who asks, `None` without a token.

        Raises:
            Refused: The token is of nobody, or expired.
        """
        if call.token is None:
            return None
        account = self.accounts.get(call.token)
        if account is None:
            raise Refused(401, BAD_TOKEN)
        if account.expired:
            raise Refused(401, EXPIRED_TOKEN)
        return account

    def readable(self, call: Call, name: str) -> Repository:
        """Return a repository that the caller may know of."""
        account = self.account(call)
        repository = self.repositories.get(name)
        if repository is not None:
            ours = account is not None and account.belongs_to(repository.namespace)
            if ours or not repository.private:
                return repository
        if account is None:
            raise Refused(401, NO_TOKEN, "RepoNotFound")
        raise Refused(404, "Repository not found", "RepoNotFound")

    def contents(self, call: Call, name: str) -> Repository:
        """Return a repository whose files the caller may read."""
        repository, account = self.readable(call, name), self.account(call)
        if not repository.gated or (account and account.belongs_to(repository.namespace)):
            return repository
        about = f"Access to dataset {name} is restricted"
        if account is None:
            how = "You must have access to it and be authenticated to access it. Please log in."
            raise Refused(401, f"{about}. {how}", "GatedRepo")
        raise Refused(403, f"{about} and you are not in the authorized list.", "GatedRepo")

    def writable(self, call: Call, name: str, revision: str | None = None) -> Repository:
        """Return a repository that the caller may write to, at this revision.

        Anyone with a token to write may open a pull request, and add to it.
        """
        repository, account = self.readable(call, name), self.account(call)
        if account is None:
            raise Refused(401, NO_TOKEN)
        own_pulls = {p.ref for p in repository.pulls.values() if p.author == account.name}
        allowed = "create_pr" in call.query or revision in own_pulls
        if account.may_write_to(name) or (allowed and account.role == "write"):
            return repository
        raise Refused(403, NEEDS_PULL)

    def content_file(self, stored: StoredFile) -> Path:
        """Return where a content lies; one that came by Xet is put together first."""
        if stored.key not in self.blobs:
            path = self.blobs.new_path()
            self.xet.write(stored.key, path)
            self.blobs.keep(stored.key, path)
        return self.blobs.path(stored.key)

    def new_repository(self, name: str, *, private: bool = False) -> Repository:
        """Make a repository with its first commit."""
        repository = Repository(name, private)
        attributes = {".gitattributes": self.blobs.add(ATTRIBUTES)}
        repository.add_commit(DEFAULT_BRANCH, attributes, "initial commit", "", "system")
        self.repositories[name] = repository
        return repository
