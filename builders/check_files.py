"""Checks of a folder: manifest, shards, schemas, row groups, ids.

Every check takes a `folder.Folder` and yields `(where, message)` for each thing that is wrong.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from sousa.builders.check_splits import Wrong, check_groups, check_splits
from sousa.builders.features import arrow_schema
from sousa.builders.findings import Doubt
from sousa.builders.folder import SHARD_NAME, Folder, Shard, Split, features
from sousa.builders.schema import CONFIG_RATES, CONFIGS, SPLITS
from sousa.builders.view import Place

Check = Callable[[Folder], Wrong]

GROUP_BYTES: Final = (10_000_000, 40_000_000)
"""Bounds of a row group: larger ones cost memory, smaller ones cost requests when streamed."""


def read_manifest(folder: Folder) -> dict[str, Any]:
    """Return the content of `manifest.json`, empty where there is none that can be read."""
    try:
        content = json.loads((folder.root / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def check_manifest(folder: Folder) -> Wrong:
    """Find files that are not as `manifest.json` records them, or not in it."""
    if not (folder.root / "manifest.json").exists():
        yield "manifest.json", Doubt("is missing: nothing says which files there should be")
        return
    entries = read_manifest(folder).get("shards")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        yield "manifest.json", "must be JSON with a list `shards`; without it nothing can be proved"
        return
    listed = [str(entry.get("path")) for entry in entries]
    for path, times in Counter(listed).items():
        if times > 1:
            yield "manifest.json", f"lists {path} {times} times"
    rows = {s.path: s.metadata.num_rows for split in folder.every_split for s in split.shards}
    for entry, path in zip(entries, listed, strict=True):
        yield from _check_entry(folder.root, path, entry, rows.get(path))
    for path in _stored(folder):
        if path not in listed:
            yield path, "is not in manifest.json"


def _stored(folder: Folder) -> Iterator[str]:
    for config in dict.fromkeys((*CONFIGS, *folder.splits)):
        for file in sorted((folder.root / config).glob("[!.]*")):
            yield f"{config}/{file.name}"


def _check_entry(root: Path, path: str, entry: dict[str, Any], rows: int | None) -> Wrong:
    inside = PurePosixPath(path)
    if inside.is_absolute() or ".." in inside.parts:
        yield "manifest.json", f"{path!r} leaves the folder"
    elif not _is_file(root, path):
        yield path, "is in manifest.json, but missing"
    else:
        found: dict[str, int | str] = {"bytes": (root / path).stat().st_size}
        if found["bytes"] == entry.get("bytes"):  # else the hash differs anyway
            found["sha256"] = sha256(root / path)
        if rows is not None:
            found["rows"] = rows
        for name, value in found.items():
            if entry.get(name) != value:
                yield path, f"{name} must be {entry.get(name)} by manifest.json, is {value}"


def _is_file(root: Path, path: str) -> bool:
    """Return whether a file is there; its name may be an impossible one."""
    try:
        return (root / path).is_file()
    except (OSError, ValueError):
        return False


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal; read in pieces."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def check_files(folder: Folder) -> Wrong:
    """Find shards that are missing, misnamed, damaged or empty, and splits that are absent."""
    if not folder.splits:
        yield ".", f"holds no dataset: needs one of the folders {', '.join(CONFIGS)}"
    for path in folder.misnamed:
        yield (
            path,
            f"must be named <split>-NNNNN-of-NNNNN.parquet, split one of {', '.join(SPLITS)}",
        )
    for path, cause in folder.damaged.items():
        yield path, f"cannot be read: {cause}"
    for config, splits in folder.splits.items():
        absent = [name for name in folder.reference if name not in splits]
        if absent:
            yield config, f"lacks the splits {', '.join(absent)}, which other configs have"
        for split in splits.values():
            yield from _check_numbering(folder, split)
            if folder.is_whole(split) and split.rows == 0:
                yield str(split), "holds no rows"


def _check_numbering(folder: Folder, split: Split) -> Wrong:
    paths = [shard.path for shard in split.shards]
    paths += [path for path in folder.damaged if path.startswith(f"{split}-")]
    named = [SHARD_NAME.fullmatch(path.rpartition("/")[2]) for path in paths]
    counts = {int(name["count"]) for name in named if name}
    present = {int(name["index"]) for name in named if name}
    if len(counts) > 1:
        yield str(split), f"the shards disagree about their number: {sorted(counts)}"
    missing = sorted(set(range(max(counts, default=0))) - present)
    if missing:
        yield str(split), f"shards are missing: {missing}"


def check_schema(folder: Folder) -> Wrong:
    """Find shards whose columns or features are not the declared ones."""
    if folder.is_foreign:
        yield from _foreign_schemas(folder)
        return
    for split in folder.every_split:
        declared = arrow_schema(folder.declared(split.config))
        for shard in split.shards:
            yield from ((shard.path, message) for message in _differences(shard, declared))


def _differences(shard: Shard, declared: pa.Schema) -> Iterator[str]:
    missing = [name for name in declared.names if name not in shard.schema.names]
    extra = [name for name in shard.schema.names if name not in declared.names]
    if missing:
        yield f"lacks the columns {', '.join(missing)}"
    if extra:
        yield f"has undeclared columns {', '.join(extra)}"
    if not missing and not extra and shard.schema.names != declared.names:
        yield f"must have its columns in the order {', '.join(declared.names)}"
    stated, expected = features(shard.schema), features(declared)
    for field in declared:
        if field.name in missing:
            continue
        found = shard.schema.field(field.name)
        if not found.equals(field):
            yield f"column {field.name} must be {field.type}, is {found.type}"
        elif stated.get(field.name) != expected[field.name]:
            yield f"the feature of column {field.name} is not the declared one"


def _foreign_schemas(folder: Folder) -> Wrong:
    """Find shards that differ within a config, and tell what of them cannot be judged."""
    for config, splits in folder.splits.items():
        shards = [shard for split in splits.values() for shard in split.shards]
        if not shards:
            continue
        first = shards[0]
        for shard in shards[1:]:
            if not shard.schema.equals(first.schema):
                yield shard.path, f"must have the columns of {first.path}"
        unknown = [name for name in first.schema.names if name not in first.usable]
        absent = [c.name for c in folder.declared(config) if c.name not in first.schema.names]
        for what, names in (("cannot judge", unknown), ("has none of", absent)):
            if names:
                yield config, Doubt(f"{what} the columns {', '.join(names)}")


def check_row_groups(folder: Folder) -> Wrong:
    """Find row groups that are not of 10 to 40 MB, but for the only one of a small shard.

    Sizes are those before compression. Labels shrink in Parquet's encoding by far, so that the
    lower bound holds for configs with audio only.
    """
    low, high = GROUP_BYTES
    if folder.is_foreign:  # whoever wrote it chose
        return
    for split in folder.every_split:
        for group in split.groups:
            size = group.shard.metadata.row_group(group.number).total_byte_size
            only = len(group.shard.group_rows) == 1
            too_small = size < low and not only and split.config in CONFIG_RATES
            if too_small or (size > high and group.rows > 1):
                where = f"{group.shard.path} row group {group.number}"
                yield where, f"must hold {low / 1e6:g}-{high / 1e6:g} MB, holds {size / 1e6:.1f} MB"


def check_ids(folder: Folder) -> Wrong:
    """Find sample ids that occur more than once in the dataset."""
    groups = [group for split in folder.reference.values() for group in split.groups]
    read = [(group, group.shard.read(group.number, ["sample_id"])) for group in groups]
    stored = [
        (group, table["sample_id"].combine_chunks())
        for group, table in read
        if "sample_id" in table.column_names
    ]
    counted = pc.value_counts(pa.chunked_array([ids for _, ids in stored], pa.string()))
    repeated = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
    for group, ids in stored if len(repeated) else ():
        for row in pc.indices_nonzero(pc.is_in(ids, value_set=repeated)).to_pylist():
            where = Place(group.shard.path, group.first + row, ids[row].as_py())
            yield where, "its sample_id is not unique"


FOLDER_CHECKS: Final[dict[str, Check]] = {
    "manifest": check_manifest,
    "files": check_files,
    "schema": check_schema,
    "row_groups": check_row_groups,
    "ids": check_ids,
    "splits": check_splits,
    "groups": check_groups,
}
