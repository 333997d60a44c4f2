"""Where the files of samples are: what the tables say, and what is there."""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa

from sousa.builders.sousa_folder import KEY

AUDIO_FILE, MIDI_FILE = "_audio_file", "_midi_file"
"""Columns that say where the files of a sample are; null where it has none."""

Reasons = dict[int, tuple[str, str]]
"""What is wrong with samples: by row, the file at fault and why."""


class Found(NamedTuple):
    """The files of all samples.

    Attributes:
        columns: `AUDIO_FILE` and `MIDI_FILE`.
        has_audio: Whether there are audio files at all, and wanted.
        has_midi: Whether there are MIDI files at all, and wanted.
        sha256: Of the paths and sizes of all.
        stamp: The same, and of the times when they were last changed.
    """

    columns: dict[str, pa.Array]
    has_audio: bool
    has_midi: bool
    sha256: str
    stamp: str


def find_media(
    root: Path,
    cells: pa.Table,
    slugs: list[str | None],
    reasons: Reasons,
    kinds: Collection[str] = ("audio", "midi"),
) -> Found:
    """Find the files of all samples.

    A MIDI file that is stored for one clip of an augmentation group is that of all its clips.

    Args:
        root: The folder.
        cells: `sample_id`, `profile_id`, `augmentation_group_id`, `audio_path`, `midi_path`.
        slugs: Names of the rudiments.
        reasons: What is wrong with rows; what is found is added.
        kinds: The files that are wanted, if they are there.
    """
    digest, stamp = hashlib.sha256(), hashlib.sha256()
    columns, has = {}, []
    for column, folder, suffix in ((AUDIO_FILE, "audio", ".flac"), (MIDI_FILE, "midi", ".mid")):
        tree = MediaTree(root, folder, suffix)
        stated = cells[f"{folder}_path"].to_pylist()
        is_there = tree.is_there or any(map(tree.leads_somewhere, set(stated)))
        has.append(is_there and folder in kinds)
        files: list[str | None] = [None] * len(slugs)
        if has[-1]:
            wanted = zip(stated, slugs, cells[KEY].to_pylist(), strict=True)
            files = list(_found(tree, wanted, reasons))
        digest.update(repr([(file, tree.state(file)[0]) for file in files if file]).encode())
        stamp.update(repr([(file, tree.state(file)) for file in files if file]).encode())
        if folder == "midi":
            of = [cells[name].to_pylist() for name in ("profile_id", "augmentation_group_id")]
            files = _shared(files, list(zip(*of, strict=True)))
        elif has[-1]:
            _check_all_there(files, slugs, cells, reasons)
        columns[column] = pa.array(files, pa.string())
    return Found(columns, has[0], has[1], digest.hexdigest(), stamp.hexdigest())


def _found(
    tree: "MediaTree", wanted: Iterable[tuple[str | None, str | None, str]], reasons: Reasons
) -> Iterator[str | None]:
    """Yield the file of each sample; note those that are not as they should be.

    Also of samples with which something else is wrong: others of the group may need their MIDI.
    """
    for row, (stated, slug, sample_id) in enumerate(wanted):
        file = None
        try:
            file = tree.find(stated, str(slug), sample_id)
        except (ValueError, OSError) as error:
            reasons.setdefault(row, (stated or tree.folder, str(error)))
        yield file


def _shared(
    files: list[str | None], groups: list[tuple[str | None, str | None]]
) -> list[str | None]:
    """Return the files with that of the first of its player and group where a sample has none."""
    first: dict[tuple[str | None, str | None], str] = {}
    for file, group in zip(files, groups, strict=True):
        if file is not None and group[1] is not None:
            first.setdefault(group, file)
    return [file or first.get(group) for file, group in zip(files, groups, strict=True)]


def _check_all_there(
    files: list[str | None], slugs: list[str | None], cells: pa.Table, reasons: Reasons
) -> None:
    """Note the samples that have no audio, where others have."""
    for row, sample_id in enumerate(cells[KEY].to_pylist()):
        if files[row] is None and row not in reasons:
            usual = f"audio/{slugs[row]}/{sample_id}.flac"
            reasons[row] = (usual, f"audio file {usual!r} is missing")


class MediaTree:
    """The files of one kind, `audio` or `midi`: listed once, not asked for one by one.

    Args:
        root: The folder.
        folder: The one below it that generators put the files in.
        suffix: What they are called there.
    """

    def __init__(self, root: Path, folder: str, suffix: str) -> None:
        self._root = Path(os.path.realpath(root))
        self.folder, self._suffix = folder, suffix
        self._states = dict(_files(self._root / folder, folder))
        self.is_there = (self._root / folder).is_dir()

    def leads_somewhere(self, stated: str | None) -> bool:
        """Return whether the first part of a path is there, in the folder or out of it."""
        first = PurePosixPath(stated or "").parts[:1]
        return bool(first) and os.path.lexists(self._root / first[0])

    def state(self, file: str) -> tuple[int, int]:
        """Return the size of a file that was found, and when it was changed, in ns."""
        if file not in self._states:
            self._states[file] = _state((self._root / file).stat())
        return self._states[file]

    def find(self, stated: str | None, slug: str, sample_id: str) -> str | None:
        """Return the path of a clip's file: where the table says, or else where it would be.

        Raises:
            ValueError: If the path leads out of the folder, or is not of a file that holds any.
            FileNotFoundError: If the table names a file that is not there.
        """
        usual = f"{self.folder}/{slug}/{sample_id}{self._suffix}"
        names = [*([stated] if stated else []), usual, f"{self.folder}/{sample_id}{self._suffix}"]
        for name in names:
            if name in self._states or self._is_elsewhere(name):
                if not self.state(name)[0]:
                    raise ValueError(f"{self.folder} file {name!r} is empty")
                return name
        if stated:
            raise FileNotFoundError(f"{self.folder} file {stated!r} is missing")
        return None

    def _is_elsewhere(self, name: str) -> bool:
        """Return whether there is a file that the list does not have."""
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or "\0" in name:
            raise ValueError(f"{self.folder} file {name!r} is not in the folder")
        path = self._root / relative
        if not os.path.lexists(path):
            return False
        if not Path(os.path.realpath(path)).is_relative_to(self._root):
            raise ValueError(f"{self.folder} file {name!r} is not in the folder")
        if not path.is_file():
            raise ValueError(f"{self.folder} file {name!r} is not a file")
        return True


def _state(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def _files(folder: Path, name: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield path and state of the plain files in a folder and the folders in it."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        path = f"{name}/{entry.name}"
        if entry.is_file(follow_symlinks=False):
            yield path, _state(entry.stat(follow_symlinks=False))
        elif entry.is_dir(follow_symlinks=False) and name.count("/") < 1:
            yield from _files(folder / entry.name, path)
