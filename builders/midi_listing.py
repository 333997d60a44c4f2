"""A tree of folders to the list of its MIDI files, in an order that only names decide."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SUFFIXES: Final = (".mid", ".midi", ".smf", ".kar", ".rmi")
"""Endings of the names of MIDI files, in any case; other files are passed over."""

_Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that is to be read, or what cannot be.

    Attributes:
        path: From the root; bytes that are no UTF-8 are lone surrogates, as `os.fsdecode` gives.
        size: In bytes; 0 for what cannot be read.
        reason: Why it cannot be read; empty for files.
    """

    path: str
    size: int = 0
    reason: str = ""

    @property
    def name(self) -> str:
        """The path as valid text: bytes that are no UTF-8 are written in hexadecimal."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")

    def to_line(self) -> str:
        """Return one line of JSON."""
        return json.dumps([self.path, self.size, self.reason]) + "\n"

    @classmethod
    def of_line(cls, line: str | bytes) -> Self:
        """Return what `to_line` wrote."""
        return cls(*json.loads(line))


def listing(root: Path, left_out: Path) -> Iterator[Listed]:
    """Yield the MIDI files below a folder: each folder's in the order of their names.

    Links to files are followed, and links to folders after all else; a folder is gone through
    once, so links cannot loop. Memory follows the number of folders and the largest of them.

    Args:
        root: The folder.
        left_out: A folder that is passed over: that of the dataset, which may lie in `root`.

    Raises:
        OSError: If `root` itself cannot be read.
    """
    os.scandir(root).close()
    walk = _Walk(root, left_out)
    yield from walk.folder("")
    for path in walk.links:  # which grows meanwhile
        yield from walk.link(path)


class _Walk:
    def __init__(self, root: Path, left_out: Path) -> None:
        self._root = os.fspath(root)
        self._left_out = _identity(left_out)
        self._above = {_identity(parent) for parent in root.resolve().parents}
        self._seen: set[_Identity | None] = set()
        self.links: list[str] = []

    def folder(self, path: str) -> Iterator[Listed]:
        """Yield the files of a folder, then those of the folders in it; links are put aside."""
        waiting = [path]
        while waiting:
            current = waiting.pop()
            absolute = os.path.join(self._root, current)  # noqa: PTH118 - names need not be text
            found = _identity(absolute)
            if found is not None and found == self._left_out:
                continue
            self._seen.add(found)
            try:
                with os.scandir(absolute) as entries:
                    inside = sorted(entries, key=lambda entry: os.fsencode(entry.name))
            except OSError as error:
                yield Listed(current, reason=f"unreadable folder: {error.strerror}")
                continue
            below = []
            for entry in inside:
                name = f"{current}/{entry.name}" if current else entry.name
                if entry.is_dir(follow_symlinks=False):
                    below.append(name)
                elif entry.is_symlink() and _leads_to_folder(entry):
                    self.links.append(name)
                elif entry.name.lower().endswith(SUFFIXES):
                    yield _file(name, entry)
            waiting += reversed(below)

    def link(self, path: str) -> Iterator[Listed]:
        """Yield what a link to a folder leads to, unless that was gone through."""
        found = _identity(os.path.join(self._root, path))  # noqa: PTH118
        if found in self._above or found in self._seen:
            yield Listed(path, reason="link to a folder that is gone through without it")
        else:
            yield from self.folder(path)


def _identity(path: str | Path) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - names need not be text
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _file(path: str, entry: os.DirEntry[str]) -> Listed:
    try:
        found = entry.stat()
    except OSError as error:  # such as a link that leads nowhere, or to itself
        return Listed(path, reason=f"unreadable: {error.strerror}")
    if not stat.S_ISREG(found.st_mode):
        return Listed(path, reason="not a regular file")
    return Listed(path, size=found.st_size)
