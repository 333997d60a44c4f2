"""A row group of a dataset folder to what the checks of rows find in it, in any process."""

import pickle
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from sousa.builders import audio_schema, sousa_schema
from sousa.builders.check_audio import Clip, Verdict, clips_of, judge_pair
from sousa.builders.check_files import read_manifest
from sousa.builders.check_leaks import CLASS, KEPT_TOGETHER, SOURCE
from sousa.builders.check_midi import Context
from sousa.builders.check_rows import check_lists, check_values
from sousa.builders.check_splits import group_column
from sousa.builders.check_tables import DEAR, checks_of
from sousa.builders.findings import Tally
from sousa.builders.folder import DAMAGE, Folder, Group, Split, one_line, open_folder
from sousa.builders.guarded import Begin, Lost
from sousa.builders.labels import SCORE_SETS
from sousa.builders.row_facts import Sounded, every_row, sampled_rows
from sousa.builders.schema import Label, Value
from sousa.builders.tokens import Tokenizer, load_tokenizer
from sousa.builders.view import Rows

HEARD: Final = ("sample_id", "duration_sec", "strokes", "audio", "audio_sha256")
"""Columns that the checks of audio need."""

STOPS: Final = (*DAMAGE, ArithmeticError, LookupError, TypeError, ValueError, MemoryError)
"""What a check may raise on rows that no program wrote."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A row group, and what is to be done with it.

    Attributes:
        config: Its config.
        split: Its split.
        place: Its place in the split.
        rows: How many rows it has.
        judged: Whether its labels are judged.
        compared: Whether they are compared with those of the first config.
        heard: Whether its audio is judged.
        sampled: Whether it is of the sample.
        prepared: A config whose audio must be that of the same rows at another rate, or empty.
    """

    config: str
    split: str
    place: int
    rows: int
    judged: bool
    compared: bool
    heard: bool
    sampled: bool
    prepared: str = ""


@dataclass(slots=True)
class Part:
    """What was found in a piece.

    Attributes:
        tally: Findings and figures.
        every: Of all rows, what is compared over the dataset; empty where not judged.
        sampled: Of the sample, the same and more.
    """

    tally: Tally
    every: pa.Table = field(default_factory=lambda: pa.table({}))
    sampled: pa.Table = field(default_factory=lambda: pa.table({}))


def judge_piece(
    root: Path, state: Path, number: int, piece: Piece, lost: Lost, begin: Begin
) -> None:
    """Judge a piece and write what was found, as a job of `guarded.run_guarded`.

    Args:
        root: The dataset's folder.
        state: Folder for results.
        number: Of the piece.
        piece: What to judge.
        lost: Whether it has ended a process.
        begin: Is told when work begins and ends.
    """
    begin(0, 0)
    judge = _opened(root)
    part = judge.refused(piece, lost[0]) if lost else judge.part(piece)
    (state / str(number)).write_bytes(pickle.dumps(part))
    begin(1, piece.rows)


@lru_cache(maxsize=1)
def _opened(root: Path) -> "Judge":
    pa.set_memory_pool(pa.system_memory_pool())  # the usual one gives memory back and takes it anew
    return Judge(open_folder(root))


class Judge:
    """Judges pieces of one folder."""

    def __init__(self, folder: Folder) -> None:
        """Load what all rows have in common."""
        self.folder = folder
        self._checks = checks_of(folder)
        self._context, _ = context_of(folder)
        self._idle = () if self._context.tokenizers else ("tokens",)

    def part(self, piece: Piece) -> Part:
        """Return what is found in a piece."""
        split = self.folder.splits[piece.config][piece.split]
        group = split.groups[piece.place]
        part = Part(self._tally())
        if piece.compared:
            self._compare(part.tally, split, group)
        if not piece.judged and not piece.heard:
            return part
        rows = self._read(part.tally, split, group, self._wanted(split, piece))
        if rows is not None:
            with np.errstate(all="ignore"), _stopped(part.tally, "values", rows):
                self._judge(part, rows, piece, group)
        return part

    def refused(self, piece: Piece, cause: str) -> Part:
        """Return the finding that a piece ends whoever reads it."""
        group = self.folder.splits[piece.config][piece.split].groups[piece.place]
        where = f"{group.shard.path} row group {group.number}"
        return Part(self._tally().add("files", 0, [(where, f"cannot be judged: it {cause}")]))

    def _tally(self) -> Tally:
        return Tally(self._checks.names, self._checks.doubtful)

    def _wanted(self, split: Split, piece: Piece) -> set[str]:
        every = {name for shard in split.shards for name in shard.usable}
        if not piece.judged:
            return every & set(HEARD)
        return every if piece.heard else every - {"audio"}

    def _judge(self, part: Part, rows: Rows, piece: Piece, group: Group) -> None:
        fit = self._fit(part.tally if piece.judged else self._tally(), rows, piece.config)
        if piece.judged:
            self._judge_labels(part.tally, fit, sampled=piece.sampled)
            part.every = every_row(fit, piece.split)
        sounds: list[Sounded | None] = [None] * len(fit)
        if piece.heard and "audio" in fit and "duration_sec" in fit:
            sounds = self._judge_audio(part.tally, fit, piece, group)
        if piece.judged and piece.sampled:
            named = _annotated(self.folder, piece.config)
            part.sampled = _beside(part.every, sampled_rows(fit, sounds, named))

    def _fit(self, tally: Tally, rows: Rows, config: str) -> Rows:
        """Return the rows that pass the gates; the others are noted."""
        declared = self.folder.declared(config)
        rows = rows.without(tally.add_rows("lists", rows, check_lists(rows, declared)))
        return rows.without(tally.add_rows("values", rows, check_values(rows, declared)))

    def _judge_labels(self, tally: Tally, fit: Rows, *, sampled: bool) -> None:
        bad: set[int] = set()
        for name, (needed, check) in self._checks.rows.items():
            if _has(fit, needed):
                with _stopped(tally, name, fit):
                    bad |= tally.add_rows(name, fit, check(fit))
        sound = fit.without(bad)
        for name, (needed, derived) in self._checks.derived.items():
            wanted = name not in self._idle and (sampled or name not in DEAR)
            if wanted and _has(sound, needed):
                with _stopped(tally, name, sound):
                    tally.add_rows(name, sound, derived(sound, self._context))
                tally.measure(name, self._context.taken(name))

    def _judge_audio(
        self, tally: Tally, rows: Rows, piece: Piece, group: Group
    ) -> list[Sounded | None]:
        prepared = self._prepared(tally, piece, group, rows)
        clips = clips_of(rows, self.folder.recorded(piece.config))
        others: Iterable[Clip | None] = [None] * len(rows)
        if prepared:
            others = clips_of(prepared, self.folder.recorded(piece.prepared))
        sounds: list[Sounded | None] = []
        for row, (clip, other) in enumerate(zip(clips, others, strict=True)):
            audio, verdict, verdict_of_other = judge_pair(clip, other)
            _note(tally, rows, row, verdict)
            if prepared:
                _note(tally, prepared, row, verdict_of_other)
            usable = audio if audio and len(audio.samples) and piece.judged else None
            sounds.append(Sounded(usable, verdict["loudness"].value) if usable else None)
        return sounds

    def _prepared(self, tally: Tally, piece: Piece, group: Group, fit: Rows) -> Rows | None:
        """Return the same rows at the other rate."""
        if not piece.prepared:
            return None
        other = self.folder.splits[piece.prepared][piece.split]
        rows = self._read(tally, other, group, HEARD)
        if rows is None or not _has(rows, ("audio", "duration_sec")):
            return None
        kept = {number - group.first for _, number in fit.places}
        return rows.without([row for row in range(group.rows) if row not in kept])

    def _compare(self, tally: Tally, split: Split, group: Group) -> None:
        """Compare rows with those of the first config."""
        wanted = {name for shard in split.shards for name in shard.usable} - {"audio"}
        rows = self._read(tally, split, group, wanted)
        if rows is None:
            return
        first = self.folder.reference[split.name]
        expected = self._read(tally, first, group, rows.table.column_names)
        if expected is not None:
            tally.add_rows("configs", rows, _disagreements(rows, expected))

    def _read(
        self, tally: Tally, split: Split, group: Group, columns: Container[str]
    ) -> Rows | None:
        """Read the rows of a group, from its own split or from another config's."""
        try:
            return split.read(group.start, group.start + group.rows, columns)
        except DAMAGE as error:
            if group.shard in split.shards:  # else it is reported when its own config is read
                where = f"{group.shard.path} row group {group.number}"
                tally.add("files", 0, [(where, f"cannot be read: {one_line(error)}")])
            return None


def context_of(folder: Folder) -> tuple[Context, list[tuple[str, str]]]:
    """Return what all rows of a folder have in common, and what is wrong with it."""
    tokenizers: dict[str, Tokenizer] = {}
    wrong = []
    for column in folder.token_columns:
        path = f"tokenizers/{column}.json"
        try:
            tokenizers[column] = load_tokenizer(folder.root / path)
        except STOPS as error:
            wrong.append((path, one_line(error)))
    plan = read_manifest(folder).get("plan")
    stated: Any = plan.get("score_set") if isinstance(plan, dict) else None
    if not isinstance(stated, str) or stated not in SCORE_SETS:
        stated = sousa_schema.SCORE_SET if folder.kind == sousa_schema.KIND else SCORE_SETS[0]
    return Context(tokenizers, stated), wrong


def _annotated(folder: Folder, config: str) -> dict[str, str]:
    """Return the columns of recordings that are looked at for leaks, by what they are there."""
    if folder.kind != audio_schema.KIND:
        return {}
    declared = folder.declared(config)
    classes = {
        CLASS + column.name: column.name for column in declared if isinstance(column.type, Label)
    }
    group = group_column(folder)
    types = [column.type for column in declared if column.name == group]
    together = {KEPT_TOGETHER: group} if types and isinstance(types[0], Label | Value) else {}
    return classes | together | {name: name for name in SOURCE}


def _has(rows: Rows, needed: tuple[str, ...]) -> bool:
    return all(column in rows for column in needed)


def _note(tally: Tally, rows: Rows, row: int, verdict: Verdict) -> None:
    for name, said in verdict.items():
        tally.add(name, 1, ((rows.where(row), message) for message in said.messages))
        tally.measure(name, [said.value])


def _beside(left: pa.Table, right: pa.Table) -> pa.Table:
    """Return the columns of two tables of the same rows."""
    for name in right.column_names:
        if name not in left.column_names:
            left = left.append_column(name, right[name])
    return left


@contextmanager
def _stopped(tally: Tally, check: str, rows: Rows) -> Iterator[None]:
    """Make a finding of what a check cannot cope with."""
    try:
        yield
    except STOPS as error:
        file, row = rows.places[0]
        where = f"{file} from row {row} on"
        tally.add(check, 0, [(where, f"cannot be judged: {one_line(error)}")])


def _disagreements(rows: Rows, first: Rows) -> Iterator[tuple[int, str]]:
    """Yield the rows of a config that differ from the same rows of the first one."""
    for name in first.table.column_names:
        found, wanted = rows.table[name].combine_chunks(), first.table[name].combine_chunks()
        if found.equals(wanted):
            continue
        for row in range(len(rows)):
            if not found[row].equals(wanted[row]):
                yield row, f"{name} is not what config {first.config} has"
