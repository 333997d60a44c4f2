"""Checks of splits: no player, performance or group in two of them.

Every check takes a `folder.Folder` and yields `(where, message)` for each thing that is wrong.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import pyarrow as pa

from sousa.builders import audio_schema, midi_schema
from sousa.builders.findings import Where
from sousa.builders.folder import Folder, Split, one_line
from sousa.builders.schema import Label, ListOf
from sousa.builders.view import Place, Places

Wrong = Iterator[tuple[Where, str]]

SPLIT_KEYS: Final = {"train": "train", "validation": "val", "test": "test"}
"""What `splits.json` calls the splits."""


def check_splits(folder: Folder) -> Wrong:
    """Find players that are in two splits, or not where `splits.json` has them."""
    if folder.kind in (midi_schema.KIND, audio_schema.KIND):  # nobody is known to play there
        return
    players = {name: _firsts(split, "profile_id") for name, split in folder.reference.items()}
    yield from _leaks(folder, players, "player")
    if folder.is_foreign and not (folder.root / "splits.json").exists():
        return
    try:
        stated = json.loads((folder.root / "splits.json").read_text("utf-8"))
        listed = {name: set(stated[f"{key}_profile_ids"]) for name, key in SPLIT_KEYS.items()}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        yield "splits.json", f"must list the players of each split: {one_line(error)}"
        return
    for _, _, player in _shared(listed):
        yield "splits.json", f"player {player} is in both splits"
    for name, members in listed.items():
        for player in sorted(players.get(name, {}).keys() - members, key=str):
            yield f"splits.json {name}", f"lacks player {player}, who has rows in this split"
        for player in sorted(members - players.get(name, {}).keys(), key=str):
            yield f"splits.json {name}", f"lists player {player}, who has no rows in this split"


def check_groups(folder: Folder) -> Wrong:
    """Find performances whose recordings are in two splits, and files that play the same."""
    column, what = {
        midi_schema.KIND: ("events_sha256", "what plays as"),
        audio_schema.KIND: (group_column(folder), "group"),
    }.get(folder.kind, ("augmentation_group_id", "augmentation group"))
    groups = {name: _firsts(split, column) for name, split in folder.reference.items()}
    yield from _leaks(folder, groups, what, _names(folder, column))


def group_column(folder: Folder) -> str:
    """Return the column by whose values an audio import was split."""
    stated = folder.plan.get("group")
    return stated if isinstance(stated, str) else "source_path"


def _names(folder: Folder, column: str) -> tuple[str, ...]:
    """Return the names of a column's classes, where its values are ids of such."""
    declared = (each for config in folder.splits for each in folder.declared(config))
    types = (each.type for each in declared if each.name == column)
    items = (each.item if isinstance(each, ListOf) else each for each in types)
    return next((each.names for each in items if isinstance(each, Label)), ())


def _shared(members: Mapping[str, Collection[Any]]) -> Iterator[tuple[str, str, Any]]:
    """Yield two splits and a member of both."""
    for name, other in combinations(members, 2):
        for member in sorted(set(members[name]) & set(members[other]), key=str):
            yield name, other, member


def _leaks(
    folder: Folder, rows: Mapping[str, Mapping[Any, int]], what: str, names: Sequence[str] = ()
) -> Wrong:
    """Say of each value in two splits in which row of each it comes first."""
    leaks = list(_shared(rows))
    chosen = folder.reference if leaks else {}
    ids = {name: _column(split, "sample_id") for name, split in chosen.items()}
    for *splits, member in leaks:
        places = [_place(folder.reference[name], rows[name][member], ids[name]) for name in splits]
        is_id = isinstance(member, int) and 0 <= member < len(names)
        said = names[member] if is_id else member
        yield Places(tuple(places)), f"{what} {said} is in both splits"


def _place(split: Split, row: int, ids: pa.ChunkedArray) -> Place:
    group = next(each for each in split.groups if each.start <= row < each.start + each.rows)
    id_ = ids[row].as_py() if row < len(ids) else None
    return Place(group.shard.path, group.first + row - group.start, id_)


def _column(split: Split, name: str) -> pa.ChunkedArray:
    """Return a column; an empty one of strings where there is none."""
    tables = [group.shard.read(group.number, [name]) for group in split.groups]
    chunks = [c for t in tables if name in t.column_names for c in t[name].chunks]
    return pa.chunked_array(chunks, chunks[0].type if chunks else pa.string())


def _firsts(split: Split, name: str) -> dict[Any, int]:
    """Return the first row of each value of a column; of one of lists, of those in them."""
    firsts: dict[Any, int] = {}
    for row, cell in enumerate(_column(split, name).to_pylist()):
        for value in cell if isinstance(cell, list) else [cell]:
            firsts.setdefault(value, row)
    firsts.pop(None, None)
    return firsts
