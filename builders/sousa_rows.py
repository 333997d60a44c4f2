"""Samples of the existing layout to rows: tables for each config, some clips at a time."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa

from sousa.builders import encoding, rows, tokens
from sousa.builders.features import arrow_schema, arrow_type
from sousa.builders.midi_channel import snare_on_drums
from sousa.builders.schema import (
    EVENTS,
    MEASURE_FIELDS,
    MISTAKE_FIELDS,
    PREPARED_RATE,
    SAMPLE_RATE,
    STROKE_FIELDS,
    Column,
)
from sousa.builders.smf import parse
from sousa.builders.sousa_audio import read_clip
from sousa.builders.sousa_lists import Runs
from sousa.builders.sousa_media import AUDIO_FILE, MIDI_FILE
from sousa.builders.sousa_plan import SousaPlan
from sousa.builders.sousa_schema import SAMPLES, columns
from sousa.builders.sousa_survey import LABELS, ROW, Fault
from sousa.builders.token_cells import token_cells

TAIL_SEC: Final = 0.5
"""By which generators of SOUSA make a file longer than its `duration_sec`; others do not."""

TOLERANCE_SEC: Final = 0.05
"""Within which a clip must be as long as its row says, with or without the tail."""

LISTS: Final = {"strokes": STROKE_FIELDS, "measures": MEASURE_FIELDS, "mistakes": MISTAKE_FIELDS}
"""The columns of lists, and the fields of their entries."""

AUDIO_ROWS, BARE_ROWS = 16, 512
"""Rows that are made at once, with audio and without."""

MIDI_KEPT: Final = 1 << 14
"""MIDI files that a process keeps: the clips of a performance are in many shards."""


MOST_BYTES: Final = 1 << 28
"""Of a file: it is read as a whole."""


class Job(NamedTuple):
    """What a process needs to make rows.

    Attributes:
        source: The folder, without symbolic links in its path.
        plan: Of the import.
        labels: File with the labels of all rows in their order, a record batch for each shard.
        lists: By column, the file with its runs; none where the source has no such table.
        faults: What is known to be wrong, by place.
    """

    source: Path
    plan: SousaPlan
    labels: Path
    lists: dict[str, Path]
    faults: dict[int, str]


@dataclass(slots=True)
class Made:
    """Some rows.

    Attributes:
        tables: By config.
        rows: How many.
        faults: Those that could not be made.
    """

    tables: dict[str, pa.Table]
    rows: int
    faults: list[Fault]


def made(job: Job, number: int, first: int) -> Iterator[Made]:
    """Make the rows of a shard.

    Args:
        job: Where all is.
        number: Of the shard among all.
        first: Place of its first row among all.
    """
    with pa.memory_map(str(job.labels)) as mapped:
        labels = pa.Table.from_batches([pa.ipc.open_file(mapped).get_batch(number)])
        lists = {} if job.plan.configs == ("labels_only",) else _lists(job, first, labels)
        at_once = AUDIO_ROWS if job.plan.has_audio else BARE_ROWS
        for begin in range(0, labels.num_rows, at_once):
            part = labels.slice(begin, at_once)
            cut = {name: cells.slice(begin, at_once) for name, cells in lists.items()}
            yield _some(job, part, cut, first + begin)


def _lists(job: Job, first: int, labels: pa.Table) -> dict[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    for column in EVENTS:
        if column.name not in LISTS:
            continue
        if column.name in job.lists:
            runs = Runs(job.lists[column.name])
            found[column.name] = runs.lists(LISTS[column.name], first, first + labels.num_rows)
        else:
            found[column.name] = pa.nulls(labels.num_rows, arrow_type(column.type))
    if "mistakes" in job.lists:
        unknown = labels["num_mistakes"].combine_chunks().is_null()
        fields = found["mistakes"]
        found["mistakes"] = pa.StructArray.from_arrays(
            fields.flatten(), names=[each.name for each in MISTAKE_FIELDS], mask=unknown
        )
    return found


def _some(job: Job, labels: pa.Table, lists: dict[str, pa.Array], first: int) -> Made:
    cells: list[dict[str, Any]] = []
    places: list[int] = []
    faults: list[Fault] = []
    said = [labels[name].to_pylist() for name in ("sample_id", "duration_sec", ROW)]
    files = [labels[name].to_pylist() for name in (AUDIO_FILE, MIDI_FILE)]
    for place, (sample_id, stated_sec, row, audio, midi) in enumerate(
        zip(*said, *files, strict=True)
    ):
        path = ""
        try:
            if reason := job.faults.get(first + place):
                raise ValueError(reason)
            path = midi or ""
            cell = {"sample_id": sample_id, "midi": _midi(job, midi)}
            path = audio or ""
            cell |= _audio(job, audio, stated_sec) if job.plan.has_audio else {}
        except ValueError as error:
            faults.append(Fault(path or SAMPLES, row, sample_id, str(error)))
            continue
        cells.append(cell)
        places.append(place)
    taken = pa.array(places, pa.int64())
    kept = {name: array.take(taken) for name, array in lists.items()}
    return Made(_tables(job, labels.take(taken), kept, cells), len(cells), faults)


def _midi(job: Job, file: str | None) -> bytes | None:
    if file is None or job.plan.configs == ("labels_only",):
        return None
    return _read_midi(job.source, file, job.plan.keep_midi)


@lru_cache(MIDI_KEPT)
def _read_midi(source: Path, file: str, keep: bool) -> bytes:  # noqa: FBT001 - a key of the cache
    try:
        content = _content(source, file)
        if not keep:
            return snare_on_drums(content)
        parse(content)
    except ValueError as error:
        raise ValueError(f"MIDI file {file!r}: {error}") from error
    return content


def forget_files() -> None:
    """Forget the files that this process has read; they may be others by now."""
    _read_midi.cache_clear()


def _audio(job: Job, file: str, stated_sec: float | None) -> dict[str, Any]:
    """Return the audio of a clip under the names of the configs, and its length."""
    try:
        clip = read_clip(file, _content(job.source, file))
    except ValueError as error:
        raise ValueError(f"audio file {file!r} {error}") from error
    found, stated = clip.duration_sec, clip.duration_sec if stated_sec is None else stated_sec
    if min(abs(found - stated), abs(found - stated - TAIL_SEC)) > TOLERANCE_SEC:
        raise ValueError(
            f"audio file {file!r} is {found:.3f} s long; its row says {stated:.3f} s, with or "
            f"without {TAIL_SEC} s of tail"
        )
    cells: dict[str, Any] = {"duration_sec": found, "audio": clip.flac}
    if "audio_16k" in job.plan.configs:
        prepared = encoding.resample(clip.samples, SAMPLE_RATE, PREPARED_RATE)
        cells["audio_16k"] = encoding.wav(prepared, PREPARED_RATE)
    return cells


def _content(source: Path, file: str) -> bytes:
    path = Path(os.path.realpath(source / file))
    if not path.is_relative_to(source):
        raise ValueError("is not in the folder")
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ValueError(f"has {size} bytes, more than {MOST_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error


def _tables(
    job: Job, labels: pa.Table, lists: dict[str, pa.Array], cells: list[dict[str, Any]]
) -> dict[str, pa.Table]:
    """Join labels, lists and what was read of the files, for each config."""
    there: dict[str, Any] = {column.name: labels[column.name] for column in LABELS} | lists
    if job.plan.has_audio:
        there["duration_sec"] = pa.array([c["duration_sec"] for c in cells], pa.float32())
    midi = [cell["midi"] for cell in cells]
    there["midi"] = pa.array(midi, pa.binary())
    token_columns = tokens.token_columns(job.plan.tokenizers, exact=True)
    if lists:
        there |= _tokens(job, midi, lists["strokes"], token_columns)
    tables = {}
    for config in job.plan.configs:
        declared = columns(config, token_columns)
        schema = arrow_schema(declared)
        if config in ("audio", "audio_16k"):
            there["audio"] = rows.table(cells, config, declared[-1:])["audio"]
        tables[config] = pa.Table.from_arrays([there[name] for name in schema.names], schema=schema)
    return tables


def _tokens(
    job: Job, midi: list[bytes | None], strokes: pa.Array, token_columns: tuple[Column, ...]
) -> dict[str, pa.Array]:
    """Return the token columns; a row without MIDI has none."""
    tokenizers = job.plan.tokenizers
    if not tokenizers:
        return {}
    files = [file or b"" for file in midi]
    if any(tokenizer.needs_strokes for tokenizer in tokenizers.values()):
        cells = _by_row(token_cells(files, tokenizers, strokes.to_pylist()))
    else:
        seen = _SEEN.setdefault(repr([each.hash for each in tokenizers.values()]), {})
        if len(seen) > MIDI_KEPT:
            seen.clear()
        fresh = [file for file in dict.fromkeys(files) if file not in seen]
        seen |= zip(fresh, _by_row(token_cells(fresh, tokenizers)), strict=True)
        cells = [seen[file] for file in files]
    table = rows.table(cells, "midi_only", token_columns)
    return {name: table[name] for name in table.column_names}


def _by_row(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


_SEEN: Final[dict[str, dict[bytes, dict[str, Any]]]] = {}
"""Token cells of MIDI files that this process has seen, by the hashes of the tokenizers."""
