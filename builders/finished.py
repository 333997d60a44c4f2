"""Finished files of a dataset: what was recorded of them, and whether they are so still."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sousa.builders.claim import MANIFEST, STATE
from sousa.builders.shards import Shard, Written, write_text

RECORD: Final = ".shard.json"
"""Ending of the records of finished shards in the state folder."""


def record(out: Path, shard: Shard, paths: Sequence[str]) -> None:
    """Record a shard's files as finished."""
    written = [asdict(Written.of(out, path, shard.rows)) for path in paths]
    state = out / STATE
    write_text(state / f"{shard.name}{RECORD}", state, json.dumps(written))


def known(out: Path) -> dict[str, Written]:
    """Return what is recorded of finished files, by path: in the manifest, or shard by shard."""
    found: list[dict[str, Any]] = []
    for path in [out / MANIFEST, *sorted((out / STATE).glob(f"*{RECORD}"))]:
        with suppress(FileNotFoundError, ValueError, RecursionError, KeyError, TypeError):
            content = json.loads(path.read_bytes())
            found += content["shards"] if path.name == MANIFEST else content
    files = {}
    for file in found:
        with suppress(TypeError):  # a damaged record is none: the shard is made again
            written = Written(**file)
            files[written.path] = written
    return files


def is_whole(out: Path, file: Written) -> bool:
    """Return whether a finished file is still as it was written."""
    return (out / file.path).is_file() and Written.of(out, file.path, file.rows) == file


def rows_by_split(files: Mapping[str, Written]) -> dict[str, int]:
    """Return the rows of each split, by the files of the first config."""
    config = next(iter(files), "").partition("/")[0]
    rows: Counter[str] = Counter()
    for path, file in files.items():
        of, _, name = path.partition("/")
        if of == config:
            rows[name.partition("-")[0]] += file.rows
    return dict(rows)


def dump(content: dict[str, Any]) -> str:
    """Return the JSON that people may read."""
    return json.dumps(content, indent=1) + "\n"
