"""A dataset folder to a folder in the existing SOUSA layout, for all that was written for that.

Clips and MIDI are stored as they are. `index.json` is written last and says what was exported, so
that the same export into the same folder goes on, or has nothing to do.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sousa.builders.claim import MANIFEST, STATE, claimed, identity_in
from sousa.builders.finished import dump
from sousa.builders.folder import DAMAGE, Folder, one_line, open_folder
from sousa.builders.kinds import BUILT
from sousa.builders.schema import RUDIMENTS, SAMPLE_RATE, SKILL_TIERS
from sousa.builders.shards import atomic, write_text
from sousa.builders.sousa_schema import INDEX_FILE, KIND, REQUIRED, SPLIT_FILE, columns
from sousa.builders.sousa_splits import split_file
from sousa.builders.sousa_tables import (
    AUDIO_PATH,
    LISTS,
    MIDI_PATH,
    WHOLE,
    entries,
    exercises,
    samples,
)

CONFIGS: Final = ("audio", "midi_only")
"""Configs that hold all that the layout has; the second leaves out the audio."""

ROWS_AT_ONCE: Final = 64
ROW_GROUP: Final = 50_000
"""Rows of a table that are held before they are written."""

SOURCE: Final = "source"
"""Key of `index.json` that says what was exported."""

Progress = Callable[[int], Callable[[int], None]]


def export_sousa(out: Path, target: Path, *, progress: Progress = lambda _: lambda _: None) -> int:
    """Export a dataset, or go on with an export that was interrupted; return how many clips.

    Args:
        out: The dataset's folder: built, or imported from the layout.
        target: A new or empty folder, or one that holds this export, whole or begun.
        progress: Is called with how many clips there are; returns what is told of those done.

    Raises:
        FileExistsError: If `target` holds anything else.
        BlockingIOError: If another process is at work there.
        OSError: If the dataset is damaged, or a file cannot be written.
        ValueError: If the dataset holds what the layout has no place for.
    """
    folder = open_folder(out)
    config = _config(folder)
    splits = folder.splits[config].values()
    total = sum(split.rows for split in splits)
    identity = {"export": KIND, "config": config, "dataset": _digest(folder, config)}
    told = progress(total)
    if _is_done(target, identity):
        told(total)
        return total
    _check_target(target, identity)
    with claimed(target, identity, overwrite=False) as state:
        made = _Export(target, state, _whole(folder, config))
        with ExitStack() as stack:
            made.open(stack)
            for split in splits:
                for shard in split.shards:
                    for rows in _rows(shard.file):
                        made.add(rows, split.name)
                        told(rows.num_rows)
        made.conclude(folder.plan.get("score_set", "v1"), identity)
        shutil.rmtree(state)
    return total


def _config(folder: Folder) -> str:
    if folder.kind not in (BUILT, KIND):
        raise ValueError(
            f"{folder.root} was imported from {folder.kind} data, which the SOUSA layout has no "
            "place for; only built datasets and imports of the layout can be exported"
        )
    if folder.damaged:
        path, cause = next(iter(folder.damaged.items()))
        raise OSError(f"{folder.root / path} cannot be read: {cause}")
    for config in CONFIGS:
        if any(split.rows for split in folder.splits.get(config, {}).values()):
            return config
    there = ", ".join(folder.splits) or "none"
    raise ValueError(
        f"{folder.root} must have rows of {' or '.join(CONFIGS)}, its configs: {there}"
    )


def _digest(folder: Folder, config: str) -> str:
    """Return what tells a dataset from others: its manifest's hash, or that of its files' sizes."""
    if (path := folder.root / MANIFEST).is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    shards = [shard for split in folder.splits[config].values() for shard in split.shards]
    sizes = [(shard.path, shard.file.stat().st_size) for shard in shards]
    return hashlib.sha256(json.dumps(sizes).encode()).hexdigest()


def _is_done(target: Path, identity: dict[str, Any]) -> bool:
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        return bool(json.loads((target / INDEX_FILE).read_bytes())[SOURCE] == identity)
    return False


def _check_target(target: Path, identity: dict[str, Any]) -> None:
    """Refuse a folder that holds anything but this export, begun: files that stay would be mixed.

    Raises:
        FileExistsError: If it does.
    """
    if not target.is_dir() or {path.name for path in target.iterdir()} <= {STATE}:
        return
    if identity_in(target) != identity:
        raise FileExistsError(f"{target} holds something else; choose a new or an empty folder")


def _whole(folder: Folder, config: str) -> frozenset[str]:
    """Return the columns of `WHOLE` that hold whole numbers without null."""
    whole = set(WHOLE)
    for split in folder.splits[config].values():
        for shard in split.shards:
            with _named(shard.file):
                names = pq.read_schema(shard.file).names
                table = pq.read_table(shard.file, columns=list(WHOLE))
            if missing := [each.name for each in columns(config) if each.name not in names]:
                raise ValueError(f"{shard.file} must have a column {missing[0]}, has {names}")
            for name in list(whole):
                column = table[name]
                if column.null_count or not pc.all(pc.equal(column, pc.floor(column))).as_py():
                    whole.discard(name)
    return frozenset(whole)


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Say of damage which file it is in."""
    try:
        yield
    except DAMAGE as error:
        raise OSError(f"{file} cannot be read: {one_line(error)}") from error


def _rows(file: Path) -> Iterator[pa.Table]:
    with _named(file), pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(ROWS_AT_ONCE):
            yield pa.Table.from_batches([batch])


class _TableFile:
    """A table of labels that is written as its rows come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> None:
        self._held.append(table)
        if sum(each.num_rows for each in self._held) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        table = pa.concat_tables(self._held)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)
        self._held = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._held:
            self._flush()
        if self._writer is not None:
            self._writer.close()


@dataclass(slots=True)
class _Export:
    """A folder in the layout, being written.

    Attributes:
        target: The folder.
        state: Our own in it.
        whole: Columns that are int64.
        tables: Tables of labels, by name.
        ids: Sample ids in their order.
        split_of: Split of each player.
        tier_of: Tier of each player, an id.
        midi_of: Hash of the MIDI file that each augmentation group of a player has.
    """

    target: Path
    state: Path
    whole: frozenset[str]
    tables: dict[str, _TableFile] = field(default_factory=dict)
    ids: dict[str, None] = field(default_factory=dict)
    split_of: dict[str, str] = field(default_factory=dict)
    tier_of: dict[str, int] = field(default_factory=dict)
    midi_of: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def open(self, stack: ExitStack) -> None:
        """Open the tables; they appear when the stack is left."""
        for name in ("samples", "exercises", *LISTS):
            path = self.target / "labels" / f"{name}.parquet"
            partial = stack.enter_context(atomic(path, self.state))
            self.tables[name] = stack.enter_context(_TableFile(partial))

    def add(self, rows: pa.Table, split: str) -> None:
        """Write some rows of a split: their files, then their labels."""
        paths: dict[str, list[str | None]] = {MIDI_PATH: [], AUDIO_PATH: []}
        cells = [rows[name].to_pylist() for name in (*REQUIRED, "augmentation_group_id")]
        audio = rows["audio"] if "audio" in rows.column_names else None
        for row, (sample_id, player, slug, tier, group) in enumerate(zip(*cells, strict=True)):
            _check_classes(sample_id, player, slug, tier)
            self._note(sample_id, player, tier, split)
            place = f"{RUDIMENTS[slug]}/{sample_id}"
            midi = rows["midi"][row].as_py()
            paths[MIDI_PATH].append(self._midi(f"midi/{place}.mid", midi, player, group))
            clip = None if audio is None else audio[row]["bytes"].as_py()
            paths[AUDIO_PATH].append(self._file(f"audio/{place}.flac", clip))
        self.tables["samples"].add(samples(rows, paths, self.whole))
        self.tables["exercises"].add(exercises(rows))
        for name in LISTS:
            self.tables[name].add(entries(rows, name))

    def _note(self, sample_id: str, player: str, tier: int, split: str) -> None:
        is_name = bool(sample_id) and sample_id[0] != "." and not {*sample_id} & {*"/\\\0"}
        if sample_id in self.ids or not is_name:
            raise ValueError(f"sample_id {sample_id!r} is there twice, or cannot name a file")
        self.ids[sample_id] = None
        if self.split_of.setdefault(player, split) != split:
            raise ValueError(f"player {player!r} is in {self.split_of[player]} and in {split}")
        self.tier_of.setdefault(player, tier)

    def _midi(self, path: str, midi: bytes | None, player: str, group: str | None) -> str | None:
        """Write a MIDI file, but not that of the group once more; return its path."""
        if midi is None:
            return None
        digest = hashlib.sha256(midi).digest()
        if group is not None and self.midi_of.get((player, group)) == digest:
            return None
        if group is not None:
            self.midi_of.setdefault((player, group), digest)
        return self._file(path, midi)

    def _file(self, path: str, content: bytes | None) -> str | None:
        """Write a file unless it is there; return its path."""
        if content is None:
            return None
        file = self.target / path
        if not file.is_file() or file.read_bytes() != content:
            with atomic(file, self.state) as partial:
                partial.write_bytes(content)
        return path

    def conclude(self, score_set: str, identity: dict[str, Any]) -> None:
        """Write what belongs to the whole dataset."""
        content = split_file(self.split_of, self.tier_of)
        write_text(self.target / SPLIT_FILE, self.state, dump(content))
        config = {"audio_format": "flac", "sample_rate": SAMPLE_RATE, "score_set": score_set}
        index = {"num_samples": len(self.ids), "sample_ids": list(self.ids), "config": config}
        write_text(self.target / INDEX_FILE, self.state, dump(index | {SOURCE: identity}))


def _check_classes(sample_id: str, player: str | None, slug: int | None, tier: int | None) -> None:
    for name, value, names in (
        ("rudiment_slug", slug, RUDIMENTS),
        ("skill_tier", tier, SKILL_TIERS),
    ):
        if value is None or not 0 <= value < len(names):
            raise ValueError(f"sample {sample_id!r}: {name} must be an id of {len(names)}: {value}")
    if player is None:
        raise ValueError(f"sample {sample_id!r} has no profile_id")
