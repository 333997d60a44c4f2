"""Whose folder it is: one build at a time, and never two plans in one dataset."""

import errno
import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sousa.builders.schema import CONFIGS, SPLITS

STATE: Final = ".sousa"
"""Our own folder in a dataset's folder, while it is being built."""

MANIFEST: Final = "manifest.json"
PLAN: Final = "plan.json"
LOCK: Final = "lock"
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
    out.mkdir(parents=True, exist_ok=True)
    found = identity_in(out)
    if overwrite:
        remove_dataset(out)
    elif found is not None and found != identity:
        raise FileExistsError(
            f"{out} holds the dataset of another plan ({difference(found, identity)}); "
            "choose another folder, or replace it with --overwrite"
        )
    elif found is None and (stranger := _first_stranger(out)):
        raise FileExistsError(
            f"{out} is neither empty nor a dataset of this program (it holds {stranger!r}); "
            "choose another folder, or build into it with --overwrite"
        )
    state = out / STATE
    state.mkdir(exist_ok=True)
    with (state / LOCK).open("w") as lock:
        _lock(lock.fileno(), out)
        _remove_leftovers(state)
        (state / PLAN).write_text(json.dumps(identity))
        try:
            yield state
        finally:
            _remove_leftovers(state)


def identity_in(out: Path) -> dict[str, Any] | None:
    """Return what the dataset in a folder is, finished or begun; None if there is none."""
    for path in (out / MANIFEST, out / STATE / PLAN):
        try:
            content = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            continue
        return {key: value for key, value in content.items() if key != "shards"}
    return None


def difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Say in which options two identities differ."""
    there, here = _flat(found), _flat(wanted)
    names = [name for name in here | there if there.get(name) != here.get(name)]
    shown = [f"{name}: {there.get(name)} there, {here.get(name)} asked" for name in names[:3]]
    return "; ".join(shown) + ("; ..." if len(names) > 3 else "")


def remove_dataset(out: Path) -> None:
    """Remove the files of a dataset, and nothing else that may be in the folder."""
    (out / MANIFEST).unlink(missing_ok=True)  # first: from here on it is not whole
    for config in CONFIGS:
        for path in sorted((out / config).glob("*.parquet")):
            if _SHARD_FILE.fullmatch(path.name):
                path.unlink()
    for path in [*(out / "tokenizers").glob("*.json"), *(out / STATE).glob("*")]:
        path.unlink()
    for name in ("splits.json", "README.md"):
        (out / name).unlink(missing_ok=True)
    for folder in (*CONFIGS, "tokenizers"):
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


def _lock(descriptor: int, out: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        message = f"another process is building in {out}; wait for it or stop it"
        raise BlockingIOError(errno.EAGAIN, message) from error
