"""Files on the Hub become bytes: only those that are asked for, a few requests for many columns."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from huggingface_hub import hf_hub_url, try_to_load_from_cache
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported, but not for mypy
    build_hf_headers,
    get_session,
    hf_raise_for_status,
)

from sousa.loaders.access import At, HubError, asked
from sousa.loaders.pages import Patience
from sousa.loaders.remote import RemoteFile

BLOCK_BYTES: Final = 8 * 2**20
"""What is asked for at a time."""

NEAR_BYTES: Final = 256 * 2**10
"""Bytes that nobody needs cost less than a further request, if they are no more."""

TIMEOUT_SEC: Final = 30.0
"""How long a server may be silent."""

Span = tuple[int, int]
"""First byte, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A dataset on the Hub whose files can be read in part.

    Attributes:
        name: `org/name`.
        commit: Which of its commits.
        at: How it was asked for.
    """

    name: str
    commit: str
    at: At

    def place(self, file: RemoteFile) -> str:
        """Return what to call a file in errors."""
        return f"{self.name}/{file.path} at {self.commit[:7]}"

    def read(self, file: RemoteFile, span: Span, patience: Patience) -> bytes:
        """Return some bytes of a file, of the cache if it is there.

        What had come before a connection was lost is not asked for again.

        Raises:
            Stopped: If reading was stopped.
            OSError: If they cannot be had; one line.
        """
        cached = try_to_load_from_cache(
            self.name, file.path, revision=self.commit, repo_type="dataset"
        )
        if isinstance(cached, str):
            with open(cached, "rb") as stored:  # noqa: PTH123 - a path as text
                stored.seek(span[0])
                return stored.read(span[1] - span[0])
        got = bytearray()
        try:
            asked(lambda: self._fetch(file, span, got), self.place(file), self.at, patience)
        except FileNotFoundError as error:  # not damage that may be skipped: access was lost
            raise HubError(str(error)) from None
        return bytes(got)

    def _fetch(self, file: RemoteFile, span: Span, got: bytearray) -> None:
        """Add the bytes of a span that are still lacking."""
        url = hf_hub_url(self.name, file.path, repo_type="dataset", revision=self.commit)
        headers = build_hf_headers(token=self.at.token, library_name="sousa")
        headers["Range"] = f"bytes={span[0] + len(got)}-{span[1] - 1}"
        headers["Accept-Encoding"] = "identity"
        with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_SEC) as response:
            if response.status_code >= 400:
                response.read()
            hf_raise_for_status(response)
            if response.status_code != 206:
                raise OSError(f"{self.place(file)}: the server sends no parts of files")
            for part in response.iter_raw():
                got += part
        if len(got) != span[1] - span[0]:
            raise ConnectionError(f"{len(got)} of {span[1] - span[0]} bytes came")


def spans_of(needed: Sequence[Span]) -> list[Span]:
    """Return what to ask for, one after the other, to have all that is needed.

    Examples:
        >>> spans_of([(0, 10), (20, 30), (9_000_000, 9_000_100)])
        [(0, 30), (9000000, 9000100)]
    """
    runs: list[Span] = []
    for start, end in sorted(needed):
        if runs and start - runs[-1][1] <= NEAR_BYTES:
            runs[-1] = runs[-1][0], max(end, runs[-1][1])
        else:
            runs.append((start, end))
    return [
        (first, min(first + BLOCK_BYTES, end))
        for start, end in runs
        for first in range(start, end, BLOCK_BYTES)
    ]


class PartialFile(io.RawIOBase):
    """A file on the Hub for a reader that needs some of it, each byte once.

    Args:
        repository: Where it is.
        file: Which one.
        needed: What will be read of it.
        patience: How to read what may fail for a while.
    """

    def __init__(
        self, repository: Repository, file: RemoteFile, needed: Sequence[Span], patience: Patience
    ) -> None:
        super().__init__()
        self._repository = repository
        self._file = file
        self._patience = patience
        self._at = 0
        self._blocks: dict[Span, bytes] = {}
        self._lacking = {
            span: sum(max(0, min(span[1], end) - max(span[0], start)) for start, end in needed)
            for span in spans_of(needed)
        }

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read from anywhere on."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        self._at = (0, self._at, self._file.size)[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return bytes from the position on: as many as were asked for, or up to the end."""
        end = self._file.size if size < 0 else min(self._at + size, self._file.size)
        parts: list[bytes] = []
        while self._at < end:
            parts.append(self._next(end))
            self._at += len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _next(self, end: int) -> bytes:
        """Return bytes from the position on, those of one block; it goes when all are read."""
        span = next((each for each in self._lacking if each[0] <= self._at < each[1]), None)
        if span is None:  # nobody said so
            return self._repository.read(self._file, (self._at, end), self._patience)
        if span not in self._blocks:
            self._blocks[span] = self._repository.read(self._file, span, self._patience)
        found = self._blocks[span][self._at - span[0] : min(end, span[1]) - span[0]]
        self._lacking[span] -= len(found)
        if self._lacking[span] <= 0:
            del self._blocks[span]
        return found
