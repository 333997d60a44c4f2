"""Contents on their way to the stand-in Hub, by LFS or by Xet."""

import base64
import hashlib
import re
import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, Final

from hub_state import DATASET, State
from hub_store import LARGE_BYTES, LARGE_SUFFIXES, Refused
from hub_wire import Call, Reply, Route, error_reply, json_reply

TOKEN_SECONDS: Final = 3600
"""How long a token for the Xet store holds."""


class Uploads:
    """The routes that take contents; no file of any commit changes by them."""

    def __init__(self, state: State) -> None:
        self.state = state

    def routes(self) -> Iterable[Route]:
        table: list[tuple[str, str, Callable[..., Reply]]] = [
            ("POST", f"{DATASET}/preupload/([^/]+)", self.preupload),
            ("POST", r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.lfs_batch),
            ("POST", "/_lfs/([0-9a-f]{64})/verify", self.lfs_verify),
            ("GET", f"{DATASET}/xet-(read|write)-token/([^/]+)", self.xet_token),
            ("GET", "/_cas/v1/chunks/.*", self.xet_chunk),
            ("POST", "/_cas/v1/xorb-grants/.*|/_cas/v2/shards", self.xet_newer_call),
            ("POST", "/_cas/v1/shards", self.xet_shard),
            ("POST", "(?:/_cas)?/v1/telemetry", self.xet_telemetry),
        ]
        for method, pattern, answer in table:
            yield Route(method, re.compile(pattern), answer)
        yield Route("PUT", re.compile("/_lfs/([0-9a-f]{64})"), self.lfs_put, body_to_file=True)
        xorbs = re.compile("/_cas/v1/xorbs/[^/]+/([0-9a-f]{64})")
        yield Route("POST", xorbs, self.xet_xorb, body_to_file=True)

    def preupload(self, call: Call, name: str, revision: str) -> Reply:
        commit = self.state.writable(call, name, revision).at(revision)
        asked = call.json()
        ignored = asked.get("gitIgnore")
        if ignored is None and ".gitignore" in commit.files:
            path = self.state.content_file(commit.files[".gitignore"])
            ignored = path.read_text()
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if _is_large(file) else "regular",
                "shouldIgnore": _is_ignored(file["path"], ignored or ""),
                "oid": commit.files[file["path"]].key if file["path"] in commit.files else None,
            }
            for file in asked["files"]
        ]
        return json_reply({"commitOid": commit.id, "files": files})

    def lfs_batch(self, call: Call, name: str) -> Reply:
        branch = call.json().get("ref", {}).get("name")
        if branch is None:  # so it is for a new pull request
            call.query["create_pr"] = "1"
        self.state.writable(call, name, branch)
        objects = []
        for asked in call.json()["objects"]:
            found: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.state.blobs and self.state.xet.size(asked["oid"]) is None:
                href = f"{self.state.endpoint}/_lfs/{asked['oid']}"
                found["actions"] = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
            objects.append(found)
        return json_reply({"transfer": "basic", "objects": objects})

    def lfs_put(self, call: Call, sha256: str) -> Reply:
        """Take a content; as with a signed address, no token is asked for."""
        if call.file is None or _sha256(call.file) != sha256:
            return error_reply(400, "the content does not have the hash in its address")
        self.state.blobs.keep(sha256, call.file)
        return Reply()

    def lfs_verify(self, _call: Call, sha256: str) -> Reply:
        if sha256 not in self.state.blobs:
            return error_reply(404, "no such content")
        return json_reply({})

    def xet_token(self, call: Call, name: str, act: str, revision: str) -> Reply:
        if act == "write":
            self.state.writable(call, name, revision)
        else:
            self.state.contents(call, name)
        token = f"xet_token_{len(self.state.xet_tokens)}"
        self.state.xet_tokens[token] = act
        until, address = int(time.time()) + TOKEN_SECONDS, f"{self.state.endpoint}/_cas"
        headers = {
            "X-Xet-Cas-Url": address,
            "X-Xet-Access-Token": token,
            "X-Xet-Token-Expiration": str(until),
        }
        return json_reply({"accessToken": token, "exp": until, "casUrl": address}, 200, headers)

    def _may_use_cas(self, call: Call) -> None:
        if self.state.xet_tokens.get(call.token or "") != "write":
            raise Refused(401, "Unauthorized")

    def xet_chunk(self, call: Call) -> Reply:
        """No chunk is known from elsewhere: only what the client itself remembers is not sent."""
        self._may_use_cas(call)
        return error_reply(404, "unknown chunk")

    def xet_xorb(self, call: Call, xorb: str) -> Reply:
        self._may_use_cas(call)
        if call.file is None:
            return error_reply(400, "no content")
        return json_reply({"was_inserted": self.state.xet.add_xorb(xorb, call.file)})

    def xet_shard(self, call: Call) -> Reply:
        self._may_use_cas(call)
        self.state.xet.add_shard(call.content)
        return json_reply({"result": 1})

    def xet_newer_call(self, _call: Call) -> Reply:
        """Not offered: the client then takes the call that is."""
        return error_reply(404, "not offered")

    def xet_telemetry(self, _call: Call) -> Reply:
        """Nothing is kept of what the client reports about itself."""
        return json_reply({})


def _is_large(file: dict[str, Any]) -> bool:
    sample = base64.b64decode(file.get("sample", ""))
    text_like = b"\0" not in sample and not file["path"].endswith(LARGE_SUFFIXES)
    return not text_like or file["size"] > LARGE_BYTES


def _is_ignored(path: str, patterns: str) -> bool:
    lines = [line.strip() for line in patterns.splitlines()]
    names = (path, PurePosixPath(path).name)
    return any(fnmatch(name, line) for line in lines if line and line[0] != "#" for name in names)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
