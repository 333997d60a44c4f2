"""A dataset folder to the files that are published, each with its size and sha256."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

SHARD_PATH: Final = re.compile(
    r"(?P<stem>(?P<config>[^/]+)/(?P<split>\w+(\.\w+)*)-)\d{5}(?P<count>-of-\d{5}\.parquet)",
    re.ASCII,
)
"""Where a shard lies in a dataset."""

MANIFEST: Final = "manifest.json"
README: Final = "README.md"

THREADS: Final = 4
"""Files that are hashed beside each other."""

BLOCK_BYTES: Final = 1 << 20
"""What is read and hashed at a time."""

Progress = Callable[[int], object]
"""Is told how many more bytes are done."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file as it is published.

    Attributes:
        path: In the dataset, with slashes.
        source: The file itself, or its content.
        size: In bytes.
        sha256: Of its content, hexadecimal.
        mtime_ns: When the file was written last; 0 for content.
    """

    path: str
    source: Path | bytes
    size: int
    sha256: str
    mtime_ns: int = field(default=0, compare=False)

    @classmethod
    def of(cls, path: str, source: Path | bytes, progress: Progress = lambda _: None) -> Self:
        """Measure a file, or some content; a file is read in pieces."""
        if isinstance(source, bytes):
            return cls(path, source, len(source), hashlib.sha256(source).hexdigest())
        digest, block = hashlib.sha256(), memoryview(bytearray(BLOCK_BYTES))
        with source.open("rb", buffering=0) as opened:
            written = os.fstat(opened.fileno()).st_mtime_ns
            while count := opened.readinto(block):
                digest.update(block[:count])
                progress(count)
            return cls(path, source, opened.tell(), digest.hexdigest(), written)

    @property
    def is_unchanged(self) -> bool:
        """Whether the file is still the one that was measured, by its size and time."""
        if isinstance(self.source, bytes):
            return True
        now = self.source.stat()
        return (now.st_size, now.st_mtime_ns) == (self.size, self.mtime_ns)

    @property
    def content(self) -> bytes:
        """What it holds; read it of small files only."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    @property
    def git_oid(self) -> str:
        """The name that git gives to the content."""
        content = self.content
        header = b"blob %d\0" % len(content)
        return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()

    @property
    def is_shard(self) -> bool:
        """Whether it holds rows."""
        return SHARD_PATH.fullmatch(self.path) is not None


def configs_in(folder: Path) -> tuple[str, ...]:
    """Return the names of the configs that a folder holds, sorted."""
    shards = (path.relative_to(folder).as_posix() for path in folder.glob("[!.]*/*.parquet"))
    found = {match["config"] for path in shards if (match := SHARD_PATH.fullmatch(path))}
    return tuple(sorted(found))


def configs_of(paths: Iterable[str]) -> set[str]:
    """Return the names of the configs whose shards have these paths."""
    return {match["config"] for path in paths if (match := SHARD_PATH.fullmatch(path))}


def files_in(folder: Path, left_out: Collection[str] = ()) -> dict[str, Path]:
    """Return the files of a dataset by path, but those whose names begin with a dot.

    Args:
        folder: The dataset's.
        left_out: Names of folders that are not wanted.

    Raises:
        OSError: If a link leads out of the folder or to another folder, or something is no file.
    """
    root, found = folder.resolve(), {}
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        if inside.parts[0] in left_out or any(part.startswith(".") for part in inside.parts):
            continue
        if file.is_symlink() and file.is_dir():
            raise OSError(f"{file} is a link to a folder; replace it with the folder itself")
        if file.is_dir():
            continue
        if not file.resolve().is_relative_to(root):
            raise OSError(f"{file} is a link that leaves the folder; replace it with the file")
        if not file.is_file():
            raise OSError(f"{file} is no file that can be published; remove it")
        found[inside.as_posix()] = file
    return found


def measured(files: Mapping[str, Path | bytes]) -> tuple[LocalFile, ...]:
    """Return files with their sizes and hashes, in the order given.

    Raises:
        OSError: If one cannot be read.
    """
    with measuring(files) as found:
        return tuple(found)


@contextmanager
def measuring(
    files: Mapping[str, Path | bytes], progress: Progress = lambda _: None
) -> Iterator[Iterator[LocalFile]]:
    """Begin to measure files in threads; yield what gives them, in the order given, when done."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        of = partial(LocalFile.of, progress=progress)
        yield pool.map(of, files.keys(), files.values())
    finally:
        pool.shutdown(cancel_futures=True)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the content of `manifest.json`; None if there is none that can be used."""
    try:
        return parsed((folder / MANIFEST).read_bytes())
    except OSError:
        return None


def parsed(manifest: bytes) -> dict[str, Any] | None:
    """Return what a manifest holds, a list of `shards` at least; None if it is none."""
    try:
        content = json.loads(manifest)
    except (ValueError, RecursionError):
        return None
    shards = content.get("shards") if isinstance(content, dict) else None
    is_list = isinstance(shards, list) and all(isinstance(each, dict) for each in shards)
    return content if is_list else None


def narrowed(manifest: dict[str, Any], configs: Collection[str]) -> dict[str, Any]:
    """Return a manifest that records only some of the configs."""
    plan = manifest.get("plan")
    if isinstance(plan, dict) and isinstance(plan.get("configs"), list):
        kept = [name for name in plan["configs"] if name in configs]
        manifest = manifest | {"plan": plan | {"configs": kept}}
    shards = [s for s in manifest["shards"] if str(s.get("path")).split("/")[0] in configs]
    return manifest | {"shards": shards}


def differences(files: Collection[LocalFile], manifest: dict[str, Any] | None) -> Iterator[str]:
    """Yield what a manifest records otherwise than the files are."""
    if manifest is None:
        yield f"{MANIFEST}: must be JSON with a list `shards`; without it nothing can be proved"
        return
    recorded = {str(each.get("path")): each for each in manifest["shards"]}
    shards = {file.path: file for file in files if file.is_shard}
    for path in sorted(recorded.keys() - shards.keys()):
        yield f"{path}: is in {MANIFEST}, but missing"
    for path, file in shards.items():
        entry = recorded.get(path)
        if entry is None:
            yield f"{path}: is not in {MANIFEST}"
        elif (entry.get("bytes"), entry.get("sha256")) != (file.size, file.sha256):
            yield f"{path}: is not as {MANIFEST} records it"
