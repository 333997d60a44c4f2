"""What goes over the wire of the stand-in Hub: requests, replies, and the log of both."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs

from hub_faults import Action

EMPTY: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Logged:
    """One request, after it was answered.

    `received` and `sent` count the bytes of the bodies that really crossed the line; `status` is
    0 where no reply was sent. `account` is the name behind the token, never the token.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    account: str | None
    status: int
    received: int
    sent: int
    fault: Action | None

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(slots=True)
class Call:
    """A request under way. The body is a file where a route asked for one."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    token: str | None
    content: bytes = b""
    file: Path | None = None

    def json(self) -> Any:
        return json.loads(self.content)

    def form(self) -> dict[str, list[str]]:
        """Return the fields of a form, which the client may also send as JSON."""
        if "json" in self.headers.get("content-type", ""):
            return {k: v if isinstance(v, list) else [str(v)] for k, v in self.json().items()}
        return parse_qs(self.content.decode())


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: bytes, or a part of a file."""

    status: int = 200
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    start: int = 0
    length: int | None = None

    @property
    def size(self) -> int:
        return len(self.content) if self.length is None else self.length


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] = EMPTY) -> Reply:
    content = json.dumps(value).encode()
    return Reply(status, content, {"Content-Type": "application/json", **headers})


def error_reply(
    status: int, message: str, code: str | None = None, headers: Mapping[str, str] = EMPTY
) -> Reply:
    """Return an error as the Hub sends it: the message in the body and in a header."""
    named = {"X-Error-Message": message, **headers} | ({"X-Error-Code": code} if code else {})
    return json_reply({"error": message}, status, named)


@dataclass(frozen=True, slots=True)
class Route:
    """Which function answers what. The groups of the pattern are its further arguments."""

    method: str
    pattern: re.Pattern[str]
    answer: Callable[..., Reply]
    body_to_file: bool = False
