"""Files here and on the Hub to what is sent, what is as it should be, and what is left over."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sousa.cards import card
from sousa.cards.front_matter import split_card
from sousa.cards.listing import MANIFEST, README, SHARD_PATH, LocalFile, parsed
from sousa.cards.remote import RemoteFile
from sousa.cards.tables import size

TOKENIZER: Final = re.compile(r"tokenizers/[^/]+\.json")

SHOWN: Final = 12
"""Files of each kind that are shown by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a push has to do.

    Attributes:
        send: Files that the Hub lacks or has otherwise.
        same: Files that are there as they should be.
        older: Shards, tokenizers and files of the card there that are no part of the dataset.
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
            if path not in paths and covers(path) and _is_made(path)
        ),
    )


def without_older(files: Sequence[LocalFile], older: Sequence[RemoteFile]) -> tuple[LocalFile, ...]:
    """Return files whose card does not take older shards, which stay, for the dataset's.

    A card names the shards of a split by `<config>/<split>-*`. Where shards of another number lie
    beside them, the number goes into the pattern; so do the splits, where all of a config is meant.
    """
    shards = [match for file in files if (match := SHARD_PATH.fullmatch(file.path))]
    left = {match["config"] for file in older if (match := SHARD_PATH.fullmatch(file.path))}
    exact = {m["stem"]: f"{m['stem']}*{m['count']}" for m in shards if m["config"] in left}
    narrow: dict[str, Callable[[str], str]] = {
        README: lambda text: _narrowed(text, exact),
        card.CROISSANT: lambda text: _narrowed_sets(text, exact),
    }
    return tuple(
        LocalFile.of(file.path, narrow[file.path](file.content.decode("utf-8")).encode("utf-8"))
        if exact and file.path in narrow
        else file
        for file in files
    )


def of_now(text: str, remote: Mapping[str, RemoteFile]) -> str:
    """Return a card that is on the Hub, so that it means only the shards that are there now."""
    counts: dict[str, set[str]] = {}
    for match in filter(None, map(SHARD_PATH.fullmatch, remote)):
        counts.setdefault(match["stem"], set()).add(f"{match['stem']}*{match['count']}")
    return _narrowed(text, {stem: min(exact) for stem, exact in counts.items() if len(exact) == 1})


def _narrowed(text: str, patterns: Mapping[str, str]) -> str:
    for stem, exact in patterns.items():
        config = stem.partition("/")[0]
        text = text.replace(f"path: {stem}*\n", f"path: {exact}\n")
        text = text.replace(f"/{stem}*.parquet", f"/{exact}")
        # What pandas reads is one folder; it knows no patterns.
        whole = re.compile(rf'pd\.read_parquet\("(hf://datasets/[^"]+/{re.escape(config)})"\)')
        text = whole.sub(partial(_listed_shards, exact=exact), text)
    return text


def _listed_shards(whole: re.Match[str], exact: str) -> str:
    """Return Python that reads the shards of a split, for Python that reads a folder."""
    name = exact.partition("/")[2]
    count = name[-len("00000.parquet") : -len(".parquet")]
    shard = f"{whole[1]}/{name}".replace("-*-of-", "-{i:05d}-of-")
    return f'pd.concat([pd.read_parquet(f"{shard}") for i in range({int(count)})])'


def _narrowed_sets(text: str, patterns: Mapping[str, str]) -> str:
    """Return Croissant metadata whose sets of files are those of some patterns."""
    content = json.loads(text)
    for entry in content["distribution"]:
        folder = str(entry.get("includes", "")).removesuffix("*.parquet")
        chosen = [exact for stem, exact in patterns.items() if stem.startswith(folder)]
        if "includes" in entry and chosen:
            entry["includes"] = sorted(chosen)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def strangers(
    remote: Mapping[str, RemoteFile], contents: Mapping[str, bytes], ours: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the paths of a repository that holds another dataset than one of ours.

    A dataset of ours has a manifest of our shards. Before that a repository has what all begin
    with, which may be a card without a page, and what an unfinished push has left.

    Args:
        remote: The Hub's files, by path.
        contents: Of its card and its manifest.
        ours: Paths of files that are there as they are here.
    """
    if _is_ours(contents.get(MANIFEST, b"")):
        return ()
    page = split_card(contents.get(README, b"").decode("utf-8", "replace"))[1]
    begun = {*ours, *([] if page.strip() else [README])}
    return tuple(path for path in sorted(remote) if path not in begun and not _is_hidden(path))


def _is_ours(manifest: bytes) -> bool:
    """Return whether a manifest is one that a push sends: of shards in our layout."""
    content = parsed(manifest)
    return content is not None and all(
        SHARD_PATH.fullmatch(str(each.get("path"))) and isinstance(each.get("sha256"), str)
        for each in content["shards"]
    )


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


def _is_made(path: str) -> bool:
    """Return whether a file is one that is made anew with a dataset, and nobody's work."""
    made = (SHARD_PATH.fullmatch(path), TOKENIZER.fullmatch(path))
    return any(made) or card.is_ours(path)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))
