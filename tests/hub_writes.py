"""What changes something on the stand-in Hub: repositories, commits, branches, tags."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from hub_card import card_errors
from hub_state import DATASET, NO_TOKEN, State
from hub_store import (
    LARGE_BYTES,
    Account,
    Refused,
    Repository,
    StoredFile,
    below,
    lfs_file,
)
from hub_wire import Call, Reply, Route, json_reply


class Writes:
    """The routes that change something."""

    def __init__(self, state: State) -> None:
        self.state = state

    def routes(self) -> Iterable[Route]:
        table: list[tuple[str, str, Callable[..., Reply]]] = [
            ("POST", "/api/repos/create", self.create),
            ("DELETE", "/api/repos/delete", self.delete),
            ("PUT", f"{DATASET}/settings", self.settings),
            ("POST", "/api/validate-yaml", self.validate_yaml),
            ("POST", f"{DATASET}/commit/([^/]+)", self.commit),
            ("POST", f"{DATASET}/branch/([^/]+)", self.new_branch),
            ("DELETE", f"{DATASET}/branch/([^/]+)", self.delete_branch),
            ("POST", f"{DATASET}/tag/([^/]+)", self.new_tag),
            ("DELETE", f"{DATASET}/tag/([^/]+)", self.delete_tag),
        ]
        for method, pattern, answer in table:
            yield Route(method, re.compile(pattern), answer)

    # repositories

    def _owner(self, call: Call, namespace: str, act: str) -> Account:
        account = self.state.account(call)
        if account is None:
            raise Refused(401, NO_TOKEN)
        if not account.may_write_to(f"{namespace}/"):
            message = (
                f'You don\'t have the rights to {act} a dataset under the namespace "{namespace}"'
            )
            raise Refused(403, message)
        return account

    def create(self, call: Call) -> Reply:
        asked = call.json()
        account = self.state.account(call)
        namespace = asked.get("organization") or (account.name if account else "")
        self._owner(call, namespace, "create")
        name = f"{namespace}/{asked['name']}"
        url = f"{self.state.endpoint}/datasets/{name}"
        if name in self.state.repositories:
            message = {"error": "You already created this dataset repo", "url": url}
            return json_reply(message, 409)
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.state.new_repository(name, private=private)
        return json_reply({"url": url, "name": name, "id": name})

    def delete(self, call: Call) -> Reply:
        asked = call.json()
        account = self.state.account(call)
        namespace = asked.get("organization") or (account.name if account else "")
        name = f"{namespace}/{asked['name']}"
        self.state.readable(call, name)
        self._owner(call, namespace, "delete")
        del self.state.repositories[name]
        return json_reply({})

    def settings(self, call: Call, name: str) -> Reply:
        repository, asked = self.state.writable(call, name), call.json()
        if "visibility" in asked or "private" in asked:
            repository.private = asked.get("visibility") == "private" or bool(asked.get("private"))
        repository.gated = bool(asked.get("gated", repository.gated))
        return json_reply({"private": repository.private, "gated": repository.gated})

    def validate_yaml(self, call: Call) -> Reply:
        errors = [{"message": text} for text in card_errors(call.json()["content"])]
        return json_reply({"errors": errors, "warnings": []}, 400 if errors else 200)

    # history

    def commit(self, call: Call, name: str, revision: str) -> Reply:
        repository, account = self.state.writable(call, name, revision), self.state.account(call)
        lines = [json.loads(line) for line in call.content.splitlines() if line.strip()]
        header = lines[0]["value"]
        head, author = repository.at(revision), account.name if account else ""
        if revision not in repository.branches and "create_pr" not in call.query:
            raise Refused(400, f"Cannot commit to {revision}: it is no branch")
        if not head.id.startswith(header.get("parentCommit") or ""):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for line in lines[1:]:
            self._change(files, line["key"], line["value"])
        page = None
        if "create_pr" in call.query:
            pull = repository.open_pull(header["summary"], author, revision)
            revision = pull.ref
            page = f"{self.state.endpoint}/datasets/{name}/discussions/{pull.number}"
        texts = (header["summary"], header.get("description", ""))
        new = repository.add_commit(revision, files, *texts, author)
        url = f"{self.state.endpoint}/datasets/{name}/commit/{new.id}"
        ids = {"commitOid": new.id, "commitUrl": url, "pullRequestUrl": page}
        return json_reply({"success": True} | ids)

    def _change(self, files: dict[str, StoredFile], act: str, value: dict[str, Any]) -> None:
        """Apply one line of a commit to its files."""
        path = value["path"]
        match act:
            case "file":
                files[path] = self._small(path, base64.b64decode(value["content"]))
            case "lfsFile":
                files[path] = self._large(path, value["oid"], value.get("size"))
            case "deletedFile":
                if path not in files:
                    message = f'A file with this name doesn\'t exist: "{path}"'
                    raise Refused(404, message, "EntryNotFound")
                del files[path]
            case "deletedFolder":
                for gone in list(below(files, path.rstrip("/"))):
                    del files[gone]
            case _:
                raise Refused(400, f"unknown change {act}")

    def _small(self, path: str, content: bytes) -> StoredFile:
        if len(content) > LARGE_BYTES:
            message = "Your push was rejected because it contains files larger than 10 MiB."
            raise Refused(400, f"{message} Please use https://git-lfs.github.com/: {path}")
        errors = card_errors(content.decode()) if path == "README.md" else []
        if errors:
            raise Refused(400, f"Invalid metadata in README.md: {'; '.join(errors)}")
        return self.state.blobs.add(content)

    def _large(self, path: str, sha256: str, size: int | None) -> StoredFile:
        blobs = self.state.blobs
        here = blobs.path(sha256).stat().st_size if sha256 in blobs else self.state.xet.size(sha256)
        if here is None or size not in (None, here):
            message = (
                "Your push was rejected because an LFS pointer pointed to a file that does not"
            )
            raise Refused(400, f"{message} exist: {path}")
        return lfs_file(sha256, here)

    def new_branch(self, call: Call, name: str, branch: str) -> Reply:
        repository = self.state.writable(call, name)
        if branch in repository.branches:
            raise Refused(409, f"Reference already exists: refs/heads/{branch}")
        start = json.loads(call.content or b"{}").get("startingPoint", "main")
        repository.branches[branch] = repository.at(start).id
        return json_reply({})

    def delete_branch(self, call: Call, name: str, branch: str) -> Reply:
        return self._delete_ref(self.state.writable(call, name), branch, "branches")

    def new_tag(self, call: Call, name: str, revision: str) -> Reply:
        repository, tag = self.state.writable(call, name), call.json()["tag"]
        if tag in repository.tags:
            raise Refused(409, f"Tag reference exists already: {tag}")
        repository.tags[tag] = repository.at(revision).id
        return json_reply({})

    def delete_tag(self, call: Call, name: str, tag: str) -> Reply:
        return self._delete_ref(self.state.writable(call, name), tag, "tags")

    def _delete_ref(self, repository: Repository, ref: str, kind: str) -> Reply:
        refs = repository.tags if kind == "tags" else repository.branches
        if ref not in refs:
            raise Refused(404, f"Invalid rev id: {ref}", "RevisionNotFound")
        del refs[ref]
        return json_reply({})
