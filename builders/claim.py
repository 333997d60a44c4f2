"""Whose folder it is: one build at a time, and never two plans in one dataset."""

import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sousa.builders.schema import CONFIGS, SPLITS
from sousa.builders.shards import write_text

CARD_FILES: Final = ("sample-*.*", "samples.svg", "scores.svg")
"""What a card has beside its page, in `card/`."""

STATE: Final = ".sousa"
"""Our own folder in a dataset's folder, while it is being built."""

MANIFEST: Final = "manifest.json"
OUTCOME: Final = ("shards", "left_out", "tokenizers")
"""What the manifest says of what came out; all else says what the dataset is."""

PLAN: Final = "plan.json"
LOCK: Final = "lock"
_HASH: Final = re.compile(r"[0-9a-f]{40,}")
_SHARD_FILE: Final = re.compile(rf"({'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}\.parquet")


@contextmanager
def claimed(out: Path, identity: dict[str, Any], *, overwrite: bool) -> Iterator[Path]:
    """Yield the state folder of a dataset that is ours to write, and of nobody else meanwhile.

    Args:
        out: The dataset's folder; made if it is not there.
        identity: What the dataset is; what is in `out` must be the same or nothing.
        overwrite: Remove what is there of another dataset.

    Raises:
        FileExistsError: If the folder holds something else.
        BlockingIOError: If another process is building there.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "not a folder; choose another", str(out))
    out.mkdir(parents=True, exist_ok=True)
    if not overwrite:
        _check_owner(out, identity)
    state = out / STATE
    state.mkdir(exist_ok=True)
    with (state / LOCK).open("w") as lock:
        _lock(lock.fileno(), state / LOCK)
        if not overwrite:
            _check_owner(out, identity)  # again: somebody else may have built here meanwhile
        if overwrite or identity_in(out) not in (None, identity):
            remove_dataset(out)
        _remove_leftovers(state)
        write_text(state / PLAN, state, json.dumps(identity))
        try:
            yield state
        finally:
            _remove_leftovers(state)


def _check_owner(out: Path, identity: dict[str, Any]) -> None:
    """Refuse a folder that holds anything but this dataset.

    Of another plan nothing is lost where not a single file of rows was finished: such as an import
    that found none to keep.

    Raises:
        FileExistsError: If it does.
    """
    found = identity_in(out)
    if found is not None and found != identity and _holds_rows(out):
        raise FileExistsError(
            f"{out} holds the dataset of another plan ({difference(found, identity)}); "
            "choose another folder, or replace it with --overwrite"
        )
    if found is None and (stranger := _first_stranger(out)):
        raise FileExistsError(
            f"{out} is neither empty nor a dataset of this program (it holds {stranger!r}); "
            "choose another folder, or build into it with --overwrite"
        )


def _holds_rows(out: Path) -> bool:
    """Return whether anything of a dataset is finished."""
    return (out / MANIFEST).exists() or any(
        _SHARD_FILE.fullmatch(path.name) for name in CONFIGS for path in (out / name).glob("*")
    )


def identity_in(out: Path) -> dict[str, Any] | None:
    """Return what the dataset in a folder is, finished or begun; None if there is none."""
    for path in (out / MANIFEST, out / STATE / PLAN):
        try:
            content = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            return {key: value for key, value in content.items() if key not in OUTCOME}
    return None


def difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Say in which options two identities differ."""
    there, here = _flat(found), _flat(wanted)
    names = [name for name in here | there if there.get(name) != here.get(name)]
    shown = [
        f"{name}: {_short(there.get(name))} there, {_short(here.get(name))} asked"
        for name in names[:3]
    ]
    return "; ".join(shown) + ("; ..." if len(names) > 3 else "")


def _short(value: Any) -> str:
    """Return a value, of a hash only as much as tells it from others."""
    text = str(value)
    return f"{text[:12]}..." if _HASH.fullmatch(text) else text


def remove_dataset(out: Path) -> None:
    """Remove the files of a dataset, and nothing else that may be in the folder."""
    (out / MANIFEST).unlink(missing_ok=True)  # first: from here on it is not whole
    for config in CONFIGS:
        for path in sorted((out / config).glob("*.parquet")):
            if _SHARD_FILE.fullmatch(path.name):
                path.unlink()
    state = [path for path in (out / STATE).glob("*") if path.name != LOCK]
    described = [path for pattern in CARD_FILES for path in (out / "card").glob(pattern)]
    for path in [*(out / "tokenizers").glob("*.json"), *described, *state]:
        path.unlink()
    for name in ("splits.json", "quarantine.jsonl", "croissant.json", "README.md"):
        (out / name).unlink(missing_ok=True)
    for folder in (*CONFIGS, "tokenizers", "card"):
        if (out / folder).is_dir() and not any((out / folder).iterdir()):
            (out / folder).rmdir()


def _remove_leftovers(state: Path) -> None:
    """Remove what killed processes had not finished."""
    for leftover in state.glob("*.parquet.*"):
        leftover.unlink(missing_ok=True)


def _first_stranger(out: Path) -> str | None:
    names = sorted(path.name for path in out.iterdir() if path.name != STATE)
    return names[0] if names else None


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return {name.removeprefix("plan."): value for name, value in flat.items()}


def _lock(descriptor: int, path: Path) -> None:
    """Take the lock, unless its file is another's, or was removed by one who has just finished."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino
    except BlockingIOError:
        ours = False
    if not ours:
        where = path.parent.parent
        message = f"another process is building in {where}; wait for it or stop it"
        raise BlockingIOError(errno.EAGAIN, message)
