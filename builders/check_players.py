"""Check of a whole dataset: is a player one person, with one skill and one hand?"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.findings import Whole
from sousa.builders.schema import METADATA, Label
from sousa.builders.view import Place

OWN: Final[Mapping[str, tuple[str, ...]]] = {
    column.name: column.type.names
    for column in METADATA
    if column.name in ("skill_tier", "dominant_hand") and isinstance(column.type, Label)
}
"""Columns that belong to a player, and their classes."""


def check(every: pa.Table, sampled: pa.Table, *, built: bool) -> Whole:
    """Find rows in which a player is of another tier or hand than in the player's first row."""
    del sampled, built
    if "profile_id" not in every.column_names:
        return Whole(0)
    named = every.filter(pc.is_valid(every["profile_id"]))
    owned = [name for name in OWN if name in named.column_names]
    wrong = tuple(found for name in owned for found in _changed(named, name))
    players = len(named["profile_id"].unique())
    return Whole(named.num_rows if owned else 0, wrong, f"{players:,} players" if owned else "")


def _changed(table: pa.Table, name: str) -> Iterator[tuple[Place, str]]:
    known = table.filter(pc.is_valid(table[name]))
    player = known["profile_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    value = known[name].to_numpy()
    first = np.unique(player, return_index=True)[1][player]
    changed = np.flatnonzero(value != value[first])
    here, there = (known.take(pa.array(rows)).to_pylist() for rows in (changed, first[changed]))
    for row, earlier in zip(here, there, strict=True):
        now, before = (OWN[name][each[name]] for each in (row, earlier))
        said = f"player {row['profile_id']} is {now} here, {before} in {_place(earlier)}"
        yield _place(row), f"{name}: {said}"


def _place(row: Mapping[str, object]) -> Place:
    name = row.get("sample_id")
    return Place(str(row["file"]), int(str(row["row"])), name if isinstance(name, str) else None)
