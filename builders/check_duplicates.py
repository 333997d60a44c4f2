"""Check of a whole dataset: does nothing occur twice, and nothing on both sides of a split?"""

from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.findings import Doubt, Whole
from sousa.builders.view import Place

WHAT: Final = {"heard": "sounds exactly like", "performance": "plays exactly the notes of"}
"""Digests of a row, and what it means that two are equal."""

GROUP: Final = "augmentation_group_id"
"""Recordings of one performance share it, and play the same notes."""


def check(every: pa.Table, sampled: pa.Table, *, built: bool) -> Whole:
    """Find rows with the same audio, and performances with the same notes.

    Two rows of one split are an error in data that we built, and a warning in others: people do
    collect a recording twice. On two sides of a split they are an error anywhere.
    """
    wrong = tuple(
        (where, message if built or apart else Doubt(message))
        for name, table in (("performance", every), ("heard", sampled))
        for where, message, apart in _same(table, name)
    )
    rows = sampled.num_rows - sampled["heard"].null_count if "heard" in sampled.column_names else 0
    examined = max(rows, every.num_rows if "performance" in every.column_names else 0)
    figure = f"{rows:,} sounds, {examined:,} rows compared" if examined else ""
    return Whole(examined, wrong, figure, {"sounds": rows, "rows": examined})


def _same(table: pa.Table, name: str) -> Iterator[tuple[Place, str, bool]]:
    """Yield each row that is like one before it, and whether they are in different splits."""
    if name not in table.column_names:
        return
    counted = pc.value_counts(table[name].drop_null())
    repeated = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
    if not len(repeated):
        return
    some = table.filter(pc.is_in(table[name], value_set=repeated))
    first: dict[int, dict[str, object]] = {}
    for row in some.select([c for c in some.column_names if c != "sound"]).to_pylist():
        earlier = first.setdefault(row[name], row)
        related = name == "performance" and (
            GROUP not in row or (row[GROUP] is not None and row[GROUP] == earlier[GROUP])
        )
        apart = row["split"] != earlier["split"]
        if earlier is row or (related and not apart):
            continue
        other = Place(str(earlier["file"]), int(str(earlier["row"])), _name(earlier))
        where = f"in split {earlier['split']}" if apart else "in the same split"
        yield (
            Place(row["file"], row["row"], _name(row)),
            f"{WHAT[name]} {other}, {where}",
            apart,
        )


def _name(row: dict[str, object]) -> str | None:
    name = row.get("sample_id")
    return name if isinstance(name, str) else None
