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
        r"""The path as valid text, of which the name can be told again.

        A byte that is no UTF-8 is written as `\xNN`, and a backslash as two.

        Examples:
            >>> Listed("caf\udce9.mid").name, Listed("b\\x.mid").name
            ('caf\\xe9.mid', 'b\\\\x.mid')
        """
        name = os.fsencode(self.path).replace(b"\\", b"\\\\")
        return name.decode("utf-8", "backslashreplace")

    def to_line(self) -> str:
        """Return one line of JSON."""
        return json.dumps([self.path, self.size, self.reason]) + "\n"

    @classmethod
    def of_line(cls, line: str | bytes) -> Self:
        """Return what `to_line` wrote."""
        return cls(*json.loads(line))


def listing(root: Path, left_out: Path) -> Iterator[Listed]:
    """Yield the MIDI files below a folder: each folder's in the order of their names.

    Links to files of the tree are followed. Other links are listed with a reason: what a folder of
    the tree holds is found without them, and nothing outside it belongs to it. So nothing can loop.
    Memory follows the depth of the tree and its largest folder.

    Args:
        root: The folder.
        left_out: A folder that is passed over: that of the dataset, which may lie in `root`.

    Raises:
        OSError: If `root` itself cannot be read.
    """
    os.scandir(root).close()
    yield from _Walk(root, left_out).files()


class _Walk:
    def __init__(self, root: Path, left_out: Path) -> None:
        self._root = os.fspath(root)
        self._real = os.path.join(os.path.realpath(root), "")  # noqa: PTH118 - names need not be text
        self._left_out = _identity(left_out)

    def files(self) -> Iterator[Listed]:
        """Yield the files of each folder, then those of the folders in it."""
        waiting = [""]
        while waiting:
            current = waiting.pop()
            absolute = os.path.join(self._root, current)  # noqa: PTH118
            if self._is_left_out(absolute):
                continue
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
                elif entry.is_symlink():
                    yield from self._link(name, entry)
                elif entry.name.lower().endswith(SUFFIXES):
                    yield _file(name, entry)
            waiting += reversed(below)

    def _link(self, path: str, entry: os.DirEntry[str]) -> Iterator[Listed]:
        """Yield what a link leads to, if it is to be read, or why it is not."""
        try:
            leads_to_folder = entry.is_dir()
        except OSError as error:  # such as a link to itself
            yield Listed(path, reason=f"unreadable: {error.strerror}")
            return
        if not leads_to_folder and not entry.name.lower().endswith(SUFFIXES):
            return
        target = os.path.realpath(entry.path)
        is_inside = os.path.join(target, "").startswith(self._real)  # noqa: PTH118
        if not leads_to_folder and (is_inside or not os.path.exists(target)):  # noqa: PTH110
            yield _file(path, entry)
        elif not is_inside:
            yield Listed(path, reason="link out of the folder, not followed")
        elif not self._is_left_out(target):
            yield Listed(path, reason="link to a folder whose files are listed without it")

    def _is_left_out(self, path: str) -> bool:
        return self._left_out is not None and _identity(path) == self._left_out


def _identity(path: str | Path) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - names need not be text
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _file(path: str, entry: os.DirEntry[str]) -> Listed:
    try:
        found = entry.stat()
    except OSError as error:  # such as a link that leads nowhere, or to itself
        return Listed(path, reason=f"unreadable: {error.strerror}")
    if not stat.S_ISREG(found.st_mode):
        return Listed(path, reason="not a regular file")
    return Listed(path, size=found.st_size)
