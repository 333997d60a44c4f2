"""Which files hold annotations: a .pyjama file, a CSV file, or any number of JAMS files."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Final

from sousa.builders.annotations import Annotations
from sousa.builders.csv_annotations import DELIMITERS, read_csv
from sousa.builders.jams_annotations import read_jams
from sousa.builders.pyjama import read_pyjama

JAMS: Final = ".jams"
PYJAMA: Final = ".pyjama"
ENDINGS: Final = (PYJAMA, JAMS, *DELIMITERS)
"""How the names of files of annotations end; a folder or a pattern is one of JAMS files."""


@dataclass(frozen=True, slots=True)
class Given:
    """Files of annotations.

    Attributes:
        kind: One of `ENDINGS`.
        files: In the order in which they are read.
        root: Folder from which the names of JAMS files count.
    """

    kind: str
    files: tuple[Path, ...]
    root: Path

    def read(self) -> Annotations:
        """Read them.

        Raises:
            OSError: If a file cannot be read.
            ValueError: If one is not what its ending says.
        """
        if self.kind == JAMS:
            return read_jams(self.files, self.root)
        return (read_pyjama if self.kind == PYJAMA else read_csv)(self.files[0])

    def sha256(self) -> str:
        """Return the digest of all their bytes and, of JAMS files, their names."""
        digest = hashlib.sha256()
        for file in self.files:
            if self.kind == JAMS:
                digest.update(os.fsencode(file.relative_to(self.root)) + b"\n")
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        return digest.hexdigest()


def given(text: str) -> Given:
    """Return the files that `--annotations` names.

    Raises:
        ValueError: If the ending is none that we read.
        FileNotFoundError: If there are none.
    """
    path = Path(text)
    if path.is_dir():
        named = (file for file in path.rglob("*.*") if file.suffix.lower() == JAMS)
        found = (file for file in named if file.is_file())
        return _jams(sorted(found), path, text)
    if not path.exists() and has_magic(text):
        if not text.endswith(JAMS):
            raise ValueError(f"a pattern must be for *{JAMS} files, got {text!r}")
        root = _fixed(path)
        return _jams(sorted(root.glob(path.relative_to(root).as_posix())), root, text)
    kind = path.suffix.lower()
    if kind not in ENDINGS:
        raise ValueError(
            f"annotations must be a file in {', '.join(ENDINGS)}, or a folder of {JAMS} files; "
            f"got {text!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"no file of annotations {path}")
    return Given(kind, (path,), path.parent)


def _jams(files: Sequence[Path], root: Path, text: str) -> Given:
    if not files:
        raise FileNotFoundError(f"no {JAMS} file in {text}")
    return Given(JAMS, tuple(files), root)


def _fixed(pattern: Path) -> Path:
    """Return the folder that a pattern begins with, before anything that varies."""
    parts = pattern.parts
    first = next(place for place, part in enumerate(parts) if has_magic(part))
    return Path(*parts[:first])
