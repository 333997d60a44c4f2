"""Files here and on the Hub to what is sent, what is as it should be, and what is left over."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sousa.cards.listing import MANIFEST, README, SHARD_PATH, LocalFile
from sousa.cards.remote import RemoteFile
from sousa.cards.tables import size

SHOWN: Final = 12
"""Files of each kind that are shown by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a push has to do.

    Attributes:
        send: Files that the Hub lacks or has otherwise.
        same: Files that are there as they should be.
        older: Files there that are no part of the dataset.
    """

    send: tuple[LocalFile, ...]
    same: tuple[LocalFile, ...]
    older: tuple[RemoteFile, ...]

    @property
    def send_bytes(self) -> int:
        """Size of what is sent."""
        return sum(file.size for file in self.send)


def difference(
    local: Sequence[LocalFile],
    remote: Mapping[str, RemoteFile],
    covers: Callable[[str], bool] = lambda _: True,
) -> Difference:
    """Compare a dataset with what the Hub has.

    Args:
        local: The dataset's files.
        remote: The Hub's, by path.
        covers: Whether a path would be the dataset's, so that a file there is left over from an
            older one.
    """
    same = {file.path for file in local if _is_same(file, remote.get(file.path))}
    paths = {file.path for file in local}
    return Difference(
        send=tuple(file for file in local if file.path not in same),
        same=tuple(file for file in local if file.path in same),
        older=tuple(
            file
            for path, file in sorted(remote.items())
            if path not in paths and covers(path) and not _is_hidden(path)
        ),
    )


def without_older(files: Sequence[LocalFile], older: Sequence[RemoteFile]) -> tuple[LocalFile, ...]:
    """Return files whose card does not take older shards, which stay, for the dataset's.

    A card names the shards of a split by `<config>/<split>-*`. Where shards of another number lie
    beside them, the number goes into the pattern.
    """
    shards = [match for file in files if (match := SHARD_PATH.fullmatch(file.path))]
    left = {match["stem"] for file in older if (match := SHARD_PATH.fullmatch(file.path))}
    narrow = {m["stem"]: f"{m['stem']}*{m['count']}" for m in shards if m["stem"] in left}
    return tuple(_narrowed(file, narrow) if file.path == README else file for file in files)


def _narrowed(card: LocalFile, patterns: Mapping[str, str]) -> LocalFile:
    text = card.source if isinstance(card.source, bytes) else card.source.read_bytes()
    for wide, narrow in patterns.items():
        text = text.replace(f"path: {wide}*\n".encode(), f"path: {narrow}\n".encode())
    return LocalFile.of(card.path, text)


def strangers(remote: Mapping[str, RemoteFile]) -> tuple[str, ...]:
    """Return the paths of a repository that holds another dataset than one of ours.

    A dataset of ours has a manifest; before its first push is complete it has shards in our
    layout, and no card.
    """
    paths = [path for path in sorted(remote) if not _is_hidden(path)]
    if MANIFEST in paths:
        return ()
    return tuple(path for path in paths if README in paths or not SHARD_PATH.fullmatch(path))


def lines(found: Difference, *, prune: bool) -> Iterator[str]:
    """Yield what a push would do, for people."""
    yield from _listed("send", [(file.path, file.size) for file in found.send])
    yield from _listed("keep", [(file.path, file.size) for file in found.same], shown=0)
    older = [(file.path, file.size) for file in found.older]
    if older:
        yield from _listed("remove" if prune else "leave, of no use (--prune removes them):", older)


def _listed(verb: str, files: Sequence[tuple[str, int]], shown: int = SHOWN) -> Iterator[str]:
    total = sum(bytes_ for _, bytes_ in files)
    yield f"{verb} {len(files)} files, {size(total)}"
    for path, bytes_ in files[:shown]:
        yield f"    {path}  {size(bytes_)}"
    if 0 < shown < len(files):
        yield f"    ... and {len(files) - shown} more"


def _is_same(file: LocalFile, there: RemoteFile | None) -> bool:
    if there is None or there.size != file.size:
        return False
    return there.sha256 == file.sha256 if there.sha256 else there.git_oid == file.git_oid


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))
