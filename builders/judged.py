"""A dataset folder to what `validate` finds in it; what was found good is not judged twice.

The record of a good folder holds hashes of its manifest and of the small files that the manifest
does not name. Whoever trusts it compares the shards with the manifest.
"""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path
from typing import Final

from sousa.builders.check_files import FOLDER_CHECKS
from sousa.builders.claim import STATE
from sousa.builders.findings import ERROR, Doubt
from sousa.builders.folder import DAMAGE, Folder, one_line, open_folder
from sousa.builders.progress import Progress
from sousa.builders.validate import num_rows, validate

RECORD: Final = f"{STATE}/judged-good"

HASHING: Final = "manifest"
"""The check that hashes every file, which whoever trusts the record does anyway."""


def faults(root: Path) -> list[str]:
    """Return what is wrong with a folder, a line each.

    Raises:
        NotADirectoryError: If there is no such folder.
    """
    folder = open_folder(root)
    if is_good(root):
        return [line for name in FOLDER_CHECKS if name != HASHING for line in _found(name, folder)]
    with Progress(num_rows(root), "rows") as progress:
        report = validate(root, workers=len(os.sched_getaffinity(0)), progress=progress)
    if report.is_good:
        remember(root)
    return [f"{each.where}: {each.message}" for each in report.findings if each.severity == ERROR]


def is_good(root: Path) -> bool:
    """Return whether `validate` found nothing in this folder, as it says of itself that it is."""
    try:
        return (root / RECORD).read_text("utf-8") == _state(root)
    except (OSError, ValueError):
        return False


def remember(root: Path) -> None:
    """Note that `validate` found nothing, unless the folder cannot be written to."""
    try:
        (root / STATE).mkdir(exist_ok=True)
        (root / RECORD).write_text(_state(root), "utf-8")
    except OSError:
        pass  # it is judged again


def _state(root: Path) -> str:
    """Return what a verdict is about.

    Raises:
        OSError: If there is no manifest.
    """
    files = [root / "manifest.json", root / "splits.json", *sorted(root.glob("tokenizers/*.json"))]
    present = [path for path in files if path.name == "manifest.json" or path.exists()]
    hashes = [f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.name}" for path in present]
    return "\n".join([f"sousa-datasets {version('sousa-datasets')}", *hashes]) + "\n"


def _found(name: str, folder: Folder) -> list[str]:
    try:
        found = FOLDER_CHECKS[name](folder)
        return [f"{where}: {what}" for where, what in found if not isinstance(what, Doubt)]
    except DAMAGE as error:
        return [f"the check of {name} stopped at a damaged file: {one_line(error)}"]
