"""What can be asked of the stand-in Hub: repositories, trees, files."""

import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any, Final

from hub_state import DATASET, NO_TOKEN, State
from hub_store import Account, Commit, StoredFile, below, folders, git_oid
from hub_wire import Call, Reply, Route, error_reply, json_reply

RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")


class Reads:
    """The routes that change nothing."""

    def __init__(self, state: State) -> None:
        self.state = state

    def routes(self) -> Iterable[Route]:
        table: dict[str, Callable[..., Reply]] = {
            "/api/whoami-v2": self.whoami,
            DATASET: self.info,
            f"{DATASET}/revision/([^/]+)": self.info,
            f"{DATASET}/refs": self.refs,
            f"{DATASET}/commits/([^/]+)": self.commits,
            f"{DATASET}/tree/([^/]+)(?:/(.*))?": self.tree,
            f"{DATASET}/auth-check": self.auth_check,
            "/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)": self.resolve,
            "/api/agent-harnesses": self.harnesses,
        }
        for pattern, answer in table.items():
            yield Route("GET", re.compile(pattern), answer)
        yield Route("POST", re.compile(f"{DATASET}/paths-info/([^/]+)"), self.paths_info)

    def harnesses(self, _call: Call) -> Reply:
        """Not kept: the client asks for names to put into its user agent."""
        return error_reply(404, "not kept")

    def whoami(self, call: Call) -> Reply:
        account = self.state.account(call)
        if account is None:
            return error_reply(401, NO_TOKEN)
        orgs = [{"type": "org", "name": name, "fullname": name} for name in account.organizations]
        token: dict[str, Any] = {"displayName": "test", "role": account.role}
        if account.role == "fineGrained":
            token["fineGrained"] = {
                "canReadGatedRepos": False,
                "global": [],
                "scoped": _scoped(account),
            }
        auth = {"type": "access_token", "accessToken": token}
        named = {"name": account.name, "fullname": account.name}
        return json_reply({"type": "user", **named, "orgs": orgs, "auth": auth})

    def auth_check(self, call: Call, name: str) -> Reply:
        self.state.contents(call, name)
        return json_reply({})

    def info(self, call: Call, name: str, revision: str = "main") -> Reply:
        repository = self.state.readable(call, name)
        commit = repository.at(revision)
        details = call.query.get("blobs") in ("true", "True", "1")
        siblings = [
            {"rfilename": path} | (self._details(stored) if details else {})
            for path, stored in sorted(commit.files.items())
        ]
        first = repository.history(revision)[-1]
        dates = {"lastModified": commit.date, "createdAt": first.date}
        access = {"private": repository.private, "gated": "manual" if repository.gated else False}
        counts = {"disabled": False, "downloads": 0, "likes": 0, "tags": []}
        named = {"_id": git_oid(name.encode()), "id": name, "author": repository.namespace}
        rest = {"sha": commit.id, "siblings": siblings}
        return json_reply({**named, **rest, **dates, **access, **counts})

    def _details(self, stored: StoredFile) -> dict[str, Any]:
        found: dict[str, Any] = {"size": stored.size, "blobId": stored.git_oid}
        if stored.sha256:
            found["lfs"] = {"sha256": stored.sha256, "size": stored.size, "pointerSize": 134}
        return found

    def refs(self, call: Call, name: str) -> Reply:
        repository = self.state.readable(call, name)
        heads = repository.branches.items()
        pulls = [(ref, id_) for ref, id_ in heads if ref.startswith("refs/pr/")]
        branches = [(ref, id_) for ref, id_ in heads if not ref.startswith("refs/pr/")]
        found = {
            "branches": [_ref(ref, f"refs/heads/{ref}", id_) for ref, id_ in branches],
            "tags": [_ref(tag, f"refs/tags/{tag}", id_) for tag, id_ in repository.tags.items()],
            "converts": [],
        }
        if "include_prs" in call.query:
            found["pullRequests"] = [_ref(ref, ref, id_) for ref, id_ in pulls]
        return json_reply(found)

    def commits(self, call: Call, name: str, revision: str) -> Reply:
        repository = self.state.readable(call, name)
        found = [
            {
                "id": commit.id,
                "title": commit.title,
                "message": commit.description,
                "authors": [{"user": commit.author}],
                "date": commit.date,
            }
            for commit in repository.history(revision)
        ]
        return self._page(call, found)

    def tree(self, call: Call, name: str, revision: str, folder: str = "") -> Reply:
        commit = self.state.readable(call, name).at(revision)
        folder = folder.strip("/")
        files = {path: commit.files[path] for path in below(commit.files, folder)}
        if folder and not files:
            return error_reply(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        entries = {path: self._folder(path) for path in folders(files) if path != folder}
        entries |= {path: self._file(path, stored) for path, stored in files.items()}
        if call.query.get("recursive", "").lower() not in ("true", "1"):
            parent = PurePosixPath(folder)
            entries = {k: v for k, v in entries.items() if PurePosixPath(k).parent == parent}
        entries = {path: entries[path] for path in sorted(entries) if not _is_above(path, folder)}
        return self._page(call, [self._expanded(call, commit, entry) for entry in entries.values()])

    def paths_info(self, call: Call, name: str, revision: str) -> Reply:
        commit = self.state.readable(call, name).at(revision)
        fields = call.form()
        known_folders = folders(commit.files)
        found = []
        for path in (path.strip("/") for path in fields.get("paths", [])):
            if path in commit.files:
                found.append(self._file(path, commit.files[path]))
            elif path in known_folders:
                found.append(self._folder(path))
        expand = {"expand": fields.get("expand", ["false"])[0]}
        call.query |= expand
        return json_reply([self._expanded(call, commit, entry) for entry in found])

    def _file(self, path: str, stored: StoredFile) -> dict[str, Any]:
        entry = {"type": "file", "path": path, "size": stored.size, "oid": stored.git_oid}
        if stored.sha256 is None:
            return entry
        lfs = {"oid": stored.sha256, "size": stored.size, "pointerSize": 134}
        return entry | {"lfs": lfs}

    def _folder(self, path: str) -> dict[str, Any]:
        return {"type": "directory", "path": path, "size": 0, "oid": git_oid(path.encode())}

    def _expanded(self, call: Call, commit: Commit, entry: dict[str, Any]) -> dict[str, Any]:
        if call.query.get("expand", "").lower() not in ("true", "1"):
            return entry
        last = {"id": commit.id, "title": commit.title, "date": commit.date}
        return entry | {"lastCommit": last}

    def _page(self, call: Call, items: list[dict[str, Any]]) -> Reply:
        """Return a part of a list, with the address of the next one in its `Link` header."""
        start = int(call.query.get("cursor", "0"))
        end = start + self.state.page_size
        if end >= len(items):
            return json_reply(items[start:])
        query = "&".join(f"{k}={v}" for k, v in (call.query | {"cursor": str(end)}).items())
        link = f'<{self.state.endpoint}{call.path}?{query}>; rel="next"'
        return json_reply(items[start:end], 200, {"Link": link})

    def resolve(self, call: Call, name: str, revision: str, path: str) -> Reply:
        repository = self.state.contents(call, name)
        commit = repository.at(revision)
        if path not in commit.files:
            about = {"X-Repo-Commit": commit.id}
            return error_reply(404, "Entry not found", "EntryNotFound", about)
        return self._content(call, commit, commit.files[path])

    def _content(self, call: Call, commit: Commit, stored: StoredFile) -> Reply:
        tag = f'"{stored.key}"'
        headers = {
            "Content-Type": "application/octet-stream",
            "Accept-Ranges": "bytes",
            "ETag": tag,
            "X-Repo-Commit": commit.id,
            "X-Linked-Size": str(stored.size),
            "X-Linked-Etag": tag,
        }
        if call.method == "HEAD":
            return Reply(200, b"", headers, length=stored.size)
        file = self.state.content_file(stored)
        if "range" not in call.headers:
            return Reply(200, b"", headers, file, 0, stored.size)
        part = span(call.headers["range"], stored.size)
        if part.start >= part.stop:
            return Reply(416, b"", headers | {"Content-Range": f"bytes */{stored.size}"})
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{stored.size}"
        return Reply(206, b"", headers, file, part.start, part.stop - part.start)


def span(header: str, size: int) -> slice:
    """Return the bytes that a `Range` header asks for; all where it is not understood."""
    found = RANGE.fullmatch(header)
    if found is None:
        return slice(0, size)
    first, last = found.groups()
    if not first:
        return slice(max(0, size - int(last)), size)
    return slice(int(first), min(size, int(last) + 1) if last else size)


def _scoped(account: Account) -> list[dict[str, Any]]:
    return [
        {
            "entity": {
                "_id": git_oid(each.name.encode())[:24],
                "type": each.kind,
                "name": each.name,
            },
            "permissions": list(each.permissions),
        }
        for each in account.scopes
    ]


def _ref(name: str, ref: str, commit: str) -> dict[str, str]:
    return {"name": name, "ref": ref, "targetCommit": commit}


def _is_above(path: str, folder: str) -> bool:
    """Whether a folder lies above the one that is listed, or is it."""
    return path == folder or folder.startswith(f"{path}/")
