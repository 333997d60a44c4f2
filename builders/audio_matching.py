"""Entries of annotations to the recordings they mean, and what has no counterpart."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePath, PurePosixPath
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

    Args:
        found: The annotations.
        listing: The recordings.
        stems: Whether an entry's path may lack the recording's ending, and its folder where only
            one recording in all is called so: JAMS files are named like their recordings.
    """
    by_path = {listed.path: listed for listed in listing}
    by_stem = _by_stem(listing) if stems else {}
    refused = [Refused(where, reason) for where, reason in found.unusable]
    pairs: dict[str, tuple[Listed, Entry]] = {}
    for entry in found.entries:
        try:
            path = inner(entry.path)
            listed = by_path.get(path) or _only(by_stem, path)
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


def _by_stem(listing: Iterable[Listed]) -> dict[str, list[Listed]]:
    stems: dict[str, list[Listed]] = defaultdict(list)
    for listed in listing:
        pure = PurePath(listed.path)
        for stem in {pure.with_suffix("").as_posix(), pure.stem}:
            stems[stem].append(listed)
    return stems


def _only(by_stem: dict[str, list[Listed]], path: str) -> Listed:
    """Return the one recording that a path without ending means.

    Raises:
        ValueError: If there is not just one.
    """
    found = by_stem.get(path) or by_stem.get(PurePosixPath(path).name, [])
    if len(found) > 1:
        names = ", ".join(listed.name for listed in found[:3])
        raise ValueError(f"may mean any of {len(found)} recordings: {names}")
    if not found:
        raise ValueError("no such recording in the folder")
    return found[0]
