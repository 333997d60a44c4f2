"""Verdicts on files to who goes where: the rows of each shard, and the quarantine table.

What is known of a file while this is decided takes some 250 bytes; paths stay in the listing.
"""

import json
from array import array
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from sousa.builders.import_plan import (
    FOLDER_SPLITS,
    ImportPlan,
    Placed,
    Readable,
    duplicates,
    placed,
)
from sousa.builders.midi_files import LISTING, Run, Verdict
from sousa.builders.midi_listing import Listed
from sousa.builders.schema import SPLITS
from sousa.builders.shards import Shard, atomic, write_text

QUARANTINE: Final = "quarantine.jsonl"
"""The files that were not imported: one object a line, with `path` and `reason`."""

NO_SPLIT: Final = f"in no folder of a split ({', '.join(FOLDER_SPLITS)})"


def arranged(out: Path, state: Path, plan: ImportPlan, found: list[Run]) -> tuple[list[Shard], int]:
    """Decide who goes where; write the rows of each shard and the quarantine table.

    Args:
        out: The dataset's folder.
        state: Its state folder, with the listing and all verdicts.
        plan: Of the import.
        found: All runs of the listing.

    Returns:
        The shards, and how many files are in the quarantine table.
    """
    readable = _readable(state, plan, found)
    kept, left_out = duplicates(readable, plan)
    offsets = _offsets(state, found)
    shards = []
    with (state / LISTING).open("rb") as lines:

        def listed(line: int) -> Listed:
            lines.seek(int(offsets[line]))
            return Listed.of_line(lines.readline())

        same = {
            each.line: f"duplicate: the same {each.same} as {listed(each.of).name}"
            for each in left_out
        }
        for each in placed(kept, plan):
            write_text(state / rows_name(each.shard), state, _rows_text(each, listed))
            shards.append(each.shard)
    with atomic(out / QUARANTINE, state) as partial:
        rejected = _write_quarantine(partial, state, plan, found, same)
    return shards, rejected


def _readable(state: Path, plan: ImportPlan, found: list[Run]) -> Readable:
    """Return what is known of the files that can be imported."""
    line, weight, split = array("q"), array("q"), array("q")
    midi, events = bytearray(), bytearray()
    for number, listed, verdict in _all(state, found):
        place = -1 if plan.shares is not None else _folder_split(listed)
        if not verdict.reason and place is not None:
            line.append(number)
            midi += bytes.fromhex(verdict.midi)
            events += bytes.fromhex(verdict.events)
            weight.append(verdict.weight)
            split.append(place)
    return Readable(
        np.array(line, np.int64),
        np.frombuffer(bytes(midi), "V32"),
        np.frombuffer(bytes(events), "V32"),
        np.array(weight, np.int64),
        np.array(split, np.int64),
    )


def _all(state: Path, found: list[Run]) -> Iterator[tuple[int, Listed, Verdict]]:
    number = 0
    for run in found:
        for listed, verdict in zip(run.listed(state), run.verdicts(state), strict=True):
            yield number, listed, verdict
            number += 1


def _folder_split(listed: Listed) -> int | None:
    """Return the place of the split that the top folder names; None if it names none."""
    split = FOLDER_SPLITS.get(listed.path.partition("/")[0].lower())
    return None if split is None or "/" not in listed.path else SPLITS.index(split)


def _offsets(state: Path, found: list[Run]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return where each line of the listing begins."""
    with (state / LISTING).open("rb") as file:
        ends = np.cumsum(np.fromiter((len(line) for line in file), np.int64))
    return np.append([0], ends)[: sum(run.lines for run in found)]


def rows_name(shard: Shard) -> str:
    """Return the file in the state folder that lists the rows of a shard: id and file."""
    return f"{shard.name}.rows.jsonl"


def _rows_text(each: Placed, listed: Callable[[int], Listed]) -> str:
    rows = zip(each.ids, map(listed, each.lines), strict=True)
    return "".join(f"{json.dumps([id_, asdict(found)])}\n" for id_, found in rows)


def _write_quarantine(
    path: Path, state: Path, plan: ImportPlan, found: list[Run], same: dict[int, str]
) -> int:
    """Write the files that are left out, in the order of the listing; return how many."""
    rejected = 0
    with path.open("w", encoding="utf-8") as file:
        for number, listed, verdict in _all(state, found):
            reason = verdict.reason or same.get(number, "")
            if not reason and plan.shares is None and _folder_split(listed) is None:
                reason = NO_SPLIT
            if reason:
                entry = {"path": listed.name, "reason": reason}
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
                rejected += 1
    return rejected
