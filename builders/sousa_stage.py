"""The labels of all clips, brought into the order of the dataset on disk, for workers to map."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa

from sousa.builders.shards import atomic, write_text
from sousa.builders.sousa_folder import KEY, LabelTable
from sousa.builders.sousa_lists import Clips, Strays, write_runs
from sousa.builders.sousa_plan import Arranged
from sousa.builders.sousa_rows import LISTS
from sousa.builders.sousa_schema import MEASURES, MISTAKES, STROKES
from sousa.builders.sousa_survey import Fault, Survey, stray

TABLES: Final = {"strokes": STROKES, "measures": MEASURES, "mistakes": MISTAKES}
"""Tables with rows for the entries of each column of lists."""

LABELS_FILE, STRAYS_FILE = "labels.arrow", "strays.json"
"""In the state folder: the labels of clips, and what is wrong with the tables of entries."""

Progress = Callable[[str, int], Callable[[int], None]]


class Staged(NamedTuple):
    """What is known when all tables are in order.

    Attributes:
        lists: File of each column of lists.
        faults: What is wrong with the entries of a clip, by its place.
        strays: What is wrong with the tables.
    """

    lists: dict[str, Path]
    faults: dict[int, str]
    strays: list[Fault]


def stage(
    source: Path, state: Path, found: Survey, order: Arranged, progress: Progress, *, lists: bool
) -> Staged:
    """Write what workers need, or find it written.

    Args:
        source: The folder that is imported.
        state: The state folder of the dataset.
        found: What the source holds.
        order: Where it goes.
        progress: Is called with a unit and a number; returns what is told of those done.
        lists: Whether strokes and the like are wanted.
    """
    there = {name: table for name, table in TABLES.items() if lists and _is_used(source, name)}
    paths = {name: state / f"{name}.arrow" for name in there}
    with suppress(FileNotFoundError, ValueError):
        return _staged(paths, json.loads((state / STRAYS_FILE).read_bytes()))
    for leftover in state.glob("*.arrow.*"):
        leftover.unlink(missing_ok=True)
    _write_labels(state, found, order)
    clips = Clips(found.table[KEY].combine_chunks(), order.places(found.table.num_rows))
    noted: dict[str, Any] = {"faults": {}, "strays": []}
    tables = {name: LabelTable(source, table) for name, table in there.items()}
    told = progress("label rows", sum(table.rows for table in tables.values()))
    for name, table in tables.items():
        with atomic(paths[name], state) as partial:
            strays = write_runs(table, LISTS[name], clips, partial, told)
        noted["faults"] = {str(k): v for k, v in strays.faults.items()} | noted["faults"]
        noted["strays"] += _lost(table, strays)
    write_text(state / STRAYS_FILE, state, json.dumps(noted))
    return _staged(paths, noted)


def _is_used(source: Path, name: str) -> bool:
    """Return whether a table is read; only that of mistakes may be missing."""
    return name != "mistakes" or (source / MISTAKES).is_file()


def _staged(paths: dict[str, Path], noted: dict[str, Any]) -> Staged:
    faults = {int(place): reason for place, reason in noted["faults"].items()}
    return Staged(paths, faults, [Fault(**each) for each in noted["strays"]])


def _lost(table: LabelTable, strays: Strays) -> list[dict[str, Any]]:
    if not strays.rows:
        return []
    return [stray(table.name, strays.rows, strays.first, strays.sample_id).to_json()]


def _write_labels(state: Path, found: Survey, order: Arranged) -> None:
    """Write the labels of all clips in their order, a record batch for each shard."""
    table = found.table.take(pa.array(order.rows))
    with (
        atomic(state / LABELS_FILE, state) as partial,
        pa.OSFile(str(partial), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        first = 0
        for shard in order.shards:
            (batch,) = table.slice(first, shard.rows).combine_chunks().to_batches()
            writer.write_batch(batch)
            first += shard.rows
