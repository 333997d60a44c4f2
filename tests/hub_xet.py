"""The content store behind Xet uploads: takes what the client sends, and puts files together.

A file is a list of runs of chunks in xorbs. A shard says which: its sections, and the chunks in a
xorb, are laid out as in the specification of xet-core. The store has no footers and no upload
grants; the client then falls back to the plain calls, which is all that is answered here.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

RECORD: Final = 48
"""Bytes of the header, of a file, of a run, and of every other record of a shard."""

END: Final = b"\xff" * 32
"""The hash that ends a section."""

HAS_RUN_HASHES: Final = 1 << 31
HAS_SHA256: Final = 1 << 30

PLAIN, LZ4, LZ4_OF_GROUPS = 0, 1, 2
"""How a chunk is packed. In groups: all first bytes of four, all second ones, and so on."""


@dataclass(frozen=True, slots=True)
class Run:
    """Chunks `start` to `end` (not with it) of a xorb, `size` bytes in all."""

    xorb: str
    size: int
    start: int
    end: int


def hash_name(raw: bytes) -> str:
    """Return a hash as the protocol prints it: four little-endian numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


def files_of(shard: bytes) -> dict[str, list[Run]]:
    """Return the files that a shard describes, by sha256; those without one are left out."""
    found, at = {}, RECORD
    while shard[at : at + 32] != END:
        flags, count = struct.unpack_from("<II", shard, at + 32)
        first, at = at + RECORD, at + RECORD * (1 + count)
        at += RECORD * count * bool(flags & HAS_RUN_HASHES)
        if flags & HAS_SHA256:
            found[hash_name(shard[at : at + 32])] = [
                Run(hash_name(shard[run : run + 32]), *struct.unpack_from("<III", shard, run + 36))
                for run in range(first, first + RECORD * count, RECORD)
            ]
            at += RECORD
    return found


def chunks_of(xorb: bytes) -> Iterator[bytes]:
    """Yield the chunks of a xorb, unpacked."""
    lz4, at = pa.Codec("lz4"), 0
    while at < len(xorb):
        packed = int.from_bytes(xorb[at + 1 : at + 4], "little")
        how, size = xorb[at + 4], int.from_bytes(xorb[at + 5 : at + 8], "little")
        data, at = xorb[at + 8 : at + 8 + packed], at + 8 + packed
        if how != PLAIN:
            data = lz4.decompress(data, size, asbytes=True)
        yield ungroup(data) if how == LZ4_OF_GROUPS else data


def ungroup(data: bytes) -> bytes:
    grouped, whole = np.frombuffer(data, np.uint8), np.empty(len(data), np.uint8)
    at = 0
    for group in range(4):
        places = whole[group::4]
        places[:] = grouped[at : at + len(places)]
        at += len(places)
    return whole.tobytes()


class XetStore:
    """Xorbs by hash, and what the shards say of files and chunks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, list[Run]] = {}

    def size(self, sha256: str) -> int | None:
        """Return the length of a file that is described, and whose xorbs are all here."""
        runs = self._files.get(sha256)
        if runs is None or not all((self.folder / run.xorb).is_file() for run in runs):
            return None
        return sum(run.size for run in runs)

    def add_xorb(self, name: str, received: Path) -> bool:
        """Keep a xorb; say whether it is new."""
        path = self.folder / name
        new = not path.exists()
        received.replace(path)
        return new

    def add_shard(self, shard: bytes) -> None:
        """Learn of files."""
        self._files |= files_of(shard)

    def write(self, sha256: str, path: Path) -> None:
        """Put a file together.

        Raises:
            ValueError: What was sent does not have the hash that was promised.
        """
        digest, name = hashlib.sha256(), ""
        chunks: list[bytes] = []
        with path.open("wb") as out:
            for run in self._files[sha256]:
                if run.xorb != name:
                    name, chunks = run.xorb, list(chunks_of((self.folder / run.xorb).read_bytes()))
                part = b"".join(chunks[run.start : run.end])
                digest.update(part)
                out.write(part)
        if digest.hexdigest() != sha256:
            raise ValueError(f"the runs of {sha256} have the hash {digest.hexdigest()}")
