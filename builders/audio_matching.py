"""Entries of annotations to the recordings they mean, and what has no counterpart."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from posixpath import splitext
from typing import NamedTuple

from sousa.builders.annotations import Annotations, Entry
from sousa.builders.midi_listing import Listed

DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
"""How absolute paths begin elsewhere."""


class Refused(NamedTuple):
    """What is not imported.

    Attributes:
        path: Of the recording, or as the annotations have it.
        reason: Why.
        entry: Where it is said, if not by a file alone.
    """

    path: str
    reason: str
    entry: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the object that the quarantine table holds, as valid text."""
        named = self._asdict() if self.entry else {"path": self.path, "reason": self.reason}
        return {key: text.encode(errors="backslashreplace").decode() for key, text in named.items()}


class Matched(NamedTuple):
    """Recordings with what is said of them, by their paths, and what is left over."""

    pairs: list[tuple[Listed, Entry]]
    refused: list[Refused]


def matched(found: Annotations, listing: Sequence[Listed], stems: bool) -> Matched:  # noqa: FBT001
    """Return which entry means which recording.

    A path that no recording has means the one that only differs in how it is written (`_plain`).

    Args:
        found: The annotations.
        listing: The recordings.
        stems: Whether an entry's path may lack the recording's ending, and its folder where only
            one recording in all is called so: JAMS files are named like their recordings.
    """
    by_path = {listed.path: listed for listed in listing}
    by_plain = _by(lambda path: {_plain(path)}, listing)
    by_stem = _by(_stems, listing) if stems else {}
    refused = [Refused(where, reason) for where, reason in found.unusable]
    pairs: dict[str, tuple[Listed, Entry]] = {}
    for entry in found.entries:
        try:
            path = inner(entry.path)
            listed = by_path.get(path) or _only(
                by_plain.get(plain := _plain(path))
                or by_stem.get(plain)
                or by_stem.get(PurePosixPath(plain).name, [])
            )
        except ValueError as error:
            refused.append(Refused(entry.path, str(error), entry.where))
            continue
        if listed.path in pairs:
            first = pairs[listed.path][1].where
            reason = f"annotated twice: {first} means the same recording"
            refused.append(Refused(entry.path, reason, entry.where))
        else:
            pairs[listed.path] = listed, entry
    refused += [
        Refused(listed.name, listed.reason or "no annotation")
        for listed in listing
        if listed.path not in pairs
    ]
    return Matched([pairs[each.path] for each in listing if each.path in pairs], refused)


def inner(path: str) -> str:
    """Return a path within a folder in its plain form.

    Raises:
        ValueError: If it is one that could lead elsewhere.

    Examples:
        >>> inner("./jazz//take 1.wav")
        'jazz/take 1.wav'
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or DRIVE.match(path):
        raise ValueError("an absolute path; paths count from the imported folder")
    if ".." in pure.parts or "\0" in path:
        raise ValueError("a path that leads out of the imported folder")
    return pure.as_posix()


def _plain(path: str) -> str:
    r"""Return a path as one that any program may have written in its own way.

    Systems differ in how they write accents, separators and endings; tables have stray blanks.

    Examples:
        >>> _plain(" jazz\\take 1.WAV")
        'jazz/take 1.wav'
    """
    pure = PurePosixPath(unicodedata.normalize("NFC", path.strip()).replace("\\", "/"))
    stem, ending = splitext(str(pure))
    return stem + ending.lower()


def _stems(path: str) -> set[str]:
    stem = splitext(_plain(path))[0]
    return {stem, PurePosixPath(stem).name}


def _by(names_of: Callable[[str], set[str]], listing: Sequence[Listed]) -> dict[str, list[Listed]]:
    found: dict[str, list[Listed]] = defaultdict(list)
    for listed in listing:
        for name in names_of(listed.path):
            found[name].append(listed)
    return found


def _only(found: Sequence[Listed]) -> Listed:
    """Return the one recording that is meant.

    Raises:
        ValueError: If there is not just one.
    """
    if len(found) > 1:
        names = ", ".join(listed.name for listed in found[:3])
        raise ValueError(f"may mean any of {len(found)} recordings: {names}")
    if not found:
        raise ValueError("no such recording in the folder")
    return found[0]
