"""Copies of a built folder, with one thing wrong."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]


def copy(built: Path, out: Path, *configs: str) -> Path:
    """Copy some configs of a folder; files are links until they are rewritten."""
    left_out = {path.name for path in built.iterdir() if path.is_dir()} - {*configs, "tokenizers"}
    ignore = shutil.ignore_patterns(*left_out) if left_out else None
    shutil.copytree(built, out, copy_function=os.link, ignore=ignore)
    record(out)
    return out


def record(folder: Path, kind: str | None = None) -> None:
    """Make the manifest say what the folder holds, so that nothing is wrong but what is meant.

    Args:
        folder: A dataset.
        kind: What it was made of, if something else than before.
    """
    manifest = json.loads((folder / "manifest.json").read_text())
    if kind:
        manifest["plan"]["import"] = kind
    manifest["shards"] = [
        {
            "path": path.relative_to(folder).as_posix(),
            "rows": pq.read_metadata(path).num_rows,
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.glob("*/*.parquet"))
    ]
    replace(folder / "manifest.json", json.dumps(manifest).encode())


def replace(path: Path, content: bytes) -> None:
    """Write a file anew, not into the original that it is linked to."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def shard(folder: Path, config: str, split: str = "train") -> Path:
    """Return the only shard of a small split."""
    (path,) = (folder / config).glob(f"{split}-*.parquet")
    return path


def rewrite(path: Path, table: pa.Table, **options: Any) -> None:
    """Write a shard anew."""
    path.unlink()
    pq.write_table(table, path, **options)


def change_row(
    folder: Path, change: Callable[[Row], None], row: int = 3, split: str = "train"
) -> str:
    """Change one row, in every config that has what is changed, and return where it is.

    The change gets the whole row as Python values; it may raise KeyError for a column that is
    not in a config.
    """
    changed = []
    for folder_ in sorted(path for path in folder.iterdir() if list(path.glob("*.parquet"))):
        path = shard(folder, folder_.name, split)
        table = pq.read_table(path)
        cells = table.slice(row, 1).to_pylist()[0]
        try:
            change(cells)
        except KeyError:
            continue
        middle = pa.Table.from_pylist([cells], schema=table.schema)
        rewrite(path, pa.concat_tables([table.slice(0, row), middle, table.slice(row + 1)]))
        changed.append(f"{folder_.name}/{path.name} row {row} ({cells['sample_id']})")
    record(folder)
    return changed[0]


def rudiment_row(folder: Path, slug_id: int, split: str = "train") -> int:
    """Return the first row of a rudiment."""
    slugs = pq.read_table(shard(folder, "labels_only", split))["rudiment_slug"].to_pylist()
    return slugs.index(slug_id)
