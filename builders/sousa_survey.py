"""A folder in the existing layout, looked through: what its samples are, and which cannot be taken.

All that is said of whole clips is read here, and where their files are; strokes and the content of
files come later. Takes some 2 kB of memory a clip.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.schema import (
    MEASURE_FIELDS,
    METADATA,
    MISTAKE_FIELDS,
    RUDIMENTS,
    SCORE_COLUMNS,
    STROKE_FIELDS,
    Column,
    Value,
)
from sousa.builders.sousa_cells import misfits, typed
from sousa.builders.sousa_folder import KEY, LabelTable
from sousa.builders.sousa_media import Found, find_media
from sousa.builders.sousa_schema import (
    EXERCISES,
    MEASURES,
    MISTAKES,
    REQUIRED,
    SAMPLES,
    STROKES,
    source_name,
)

LABELS: Final = (*METADATA, *SCORE_COLUMNS)
"""What is said of a whole clip."""

ROW: Final = "_row"
"""Column that the survey adds: the row in the table of samples."""

PATHS: Final = tuple(Column(f"{kind}_path", Value("string"), "") for kind in ("audio", "midi"))
USED: Final = {
    SAMPLES: (*LABELS, *PATHS, Column("aug_soundfont", Value("string"), "")),
    EXERCISES: SCORE_COLUMNS,
    MEASURES: MEASURE_FIELDS,
    STROKES: STROKE_FIELDS,
    MISTAKES: MISTAKE_FIELDS,
}
"""The columns of the tables that are read, or say what others say."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that cannot be imported.

    Attributes:
        path: The file at fault: of the clip, or a table.
        row: In that table, or in that of samples.
        sample_id: Of the row.
        reason: What is wrong.
    """

    path: str
    row: int
    sample_id: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the entry in the quarantine table."""
        return asdict(self)

    def __str__(self) -> str:
        table = self.path if self.path in USED else SAMPLES
        return f"{table} row {self.row} ({self.sample_id}): {self.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What was found.

    Attributes:
        table: `LABELS` and `ROW` of every sample, and the columns of `media`.
        media: The files of the samples.
        faults: Of the samples that cannot be taken, by row.
        strays: What is wrong with other tables.
        ignored: Tables, and columns as `table: column`, of which nothing is known.
    """

    table: pa.Table
    media: Found
    faults: dict[int, Fault]
    strays: list[Fault]
    ignored: list[str]


def survey(root: Path, kinds: Collection[str]) -> Survey:
    """Look through a folder.

    Args:
        root: The folder.
        kinds: Of `audio` and `midi`, the files that are wanted.

    Raises:
        FileNotFoundError: If a table of labels is missing.
        OSError: If one is damaged.
        ValueError: If one holds what it cannot.
    """
    samples, exercises = LabelTable(root, SAMPLES), LabelTable(root, EXERCISES)
    there = {c for c in SCORE_COLUMNS if c.name in samples.names and c.name not in exercises.names}
    wanted = [c for c in (*LABELS, *PATHS) if c not in SCORE_COLUMNS or c in there]
    if missing := [name for name in REQUIRED if name not in samples.names]:
        raise ValueError(f"{samples.name} must have a column {missing[0]}, has {samples.names}")
    stored = samples.read(wanted)
    cells = _typed(samples, stored, wanted)
    ids = cells[KEY].to_pylist()
    reasons: dict[int, tuple[str, str]] = {}
    for row, reason in (*_bad_ids(ids), *misfits(stored, cells, wanted).items(), *_nulls(cells)):
        reasons.setdefault(row, (SAMPLES, reason))
    scores, strays = _scores(exercises, [c for c in SCORE_COLUMNS if c not in there], ids, reasons)
    slugs = pc.take(pa.array(RUDIMENTS), cells["rudiment_slug"]).to_pylist()
    media = find_media(root, cells, slugs, reasons, kinds)
    columns = {
        c.name: cells[c.name] if c.name in cells.column_names else scores[c.name] for c in LABELS
    }
    columns |= {ROW: pa.array(range(len(ids)), pa.int64())} | media.columns
    faults = {
        row: Fault(path, row, str(ids[row]), reason) for row, (path, reason) in reasons.items()
    }
    return Survey(pa.table(columns), media, faults, strays, list(_ignored(root)))


def _typed(table: LabelTable, stored: pa.Table, wanted: Sequence[Column]) -> pa.Table:
    try:
        return typed(stored, wanted)
    except ValueError as error:
        raise ValueError(f"{table.name}: {error}") from error


def _bad_ids(ids: list[str | None]) -> Iterator[tuple[int, str]]:
    """Yield rows that nothing can belong to, because of their id."""
    rows_of: dict[str, list[int]] = {}
    for row, sample_id in enumerate(ids):
        if sample_id is not None:
            rows_of.setdefault(sample_id, []).append(row)
            if not sample_id or sample_id[0] == "." or set(sample_id) & set("/\\\0"):
                yield row, f"sample_id {sample_id!r} cannot be the name of a file"
    for rows in rows_of.values():
        for row in rows if len(rows) > 1 else ():
            yield row, f"its sample_id stands in rows {', '.join(map(str, rows[:9]))}"


def _nulls(cells: pa.Table) -> Iterator[tuple[int, str]]:
    for name in REQUIRED:
        for row in pc.indices_nonzero(pc.is_null(cells[name])).to_pylist():
            yield row, f"has no {name}"


def _scores(
    exercises: LabelTable,
    wanted: Sequence[Column],
    ids: list[str | None],
    reasons: dict[int, tuple[str, str]],
) -> tuple[pa.Table, list[Fault]]:
    """Return the scores of all samples, and what is wrong with their table."""
    stored = exercises.read(wanted)
    cells = _typed(exercises, stored, wanted)
    wrong = misfits(stored, cells, wanted)
    of_scores = stored[KEY].cast(pa.string())
    rows = pc.index_in(pa.array(ids, pa.string()), of_scores)
    counts = Counter(of_scores.to_pylist())
    for row, found in enumerate(rows.to_pylist()):
        if found is None:
            reasons.setdefault(row, (SAMPLES, f"{EXERCISES} has no row of it"))
        elif counts[ids[row]] > 1:
            reasons.setdefault(row, (SAMPLES, f"{EXERCISES} has {counts[ids[row]]} rows of it"))
        elif found in wrong:
            reasons.setdefault(row, (SAMPLES, f"{EXERCISES} row {found}: {wrong[found]}"))
    known = set(ids)
    lost = [row for row, sample_id in enumerate(of_scores.to_pylist()) if sample_id not in known]
    strays = [stray(exercises.name, len(lost), lost[0], of_scores[lost[0]].as_py())] if lost else []
    return cells.take(rows), strays


def stray(table: str, rows: int, first: int, sample_id: Any) -> Fault:
    """Return what is wrong with a table that has rows of samples that there are not."""
    reason = f"is of no sample in {SAMPLES}; rows like that: {rows}"
    return Fault(table, first, str(sample_id), reason)


def _ignored(root: Path) -> Iterator[str]:
    for path in sorted((root / "labels").glob("*.parquet")):
        name = f"labels/{path.name}"
        if name not in USED:
            yield name
            continue
        known = {KEY, *(source_name(column.name) for column in USED[name])}
        yield from (f"{name}: {c}" for c in LabelTable(root, name).names if c not in known)
