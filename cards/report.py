"""A dataset folder to one HTML page to look at and listen to, which needs nothing but itself.

The page opens from disk and never uses the network: its policy forbids it. What comes from the
dataset is text in it, never markup or script.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from sousa.cards import report_clips
from sousa.cards.facts import Facts, Json, facts
from sousa.cards.report_fields import CLASS, FLAG, NUMBER, TEXT, Field, fields, of_table
from sousa.cards.report_plots import figures
from sousa.cards.report_rows import Shards, open_shards
from sousa.cards.report_tally import Tally, columns_read, tally
from sousa.cards.transfer import Transfer

MOST_ROWS: Final = 5000
"""Rows of the table; of a larger dataset it holds a sample."""

CLIPS: Final = 24
"""Clips that are played and shown in full, unless told otherwise."""

SEED: Final = 0

MOST_CHOICES: Final = 100
"""A column of text with more values than this is searched, not chosen from."""

RANGES: Final = ("tempo_bpm", "overall_score", "duration_sec", "num_notes")
"""Columns that the table can be narrowed by, from a number to a number."""

PLACE: Final = re.compile(r"\{\{(\w+)\}\}")
"""Where something goes in the template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a report shall hold.

    Attributes:
        clips: How many are played and shown in full.
        seed: Of the choice of clips, and of rows where they are too many.
        splits: Only these; empty is all.
    """

    clips: int = CLIPS
    seed: int = SEED
    splits: tuple[str, ...] = ()


def write(folder: str | Path, to: str | Path, wanted: Wanted | None = None) -> int:
    """Write the page of a dataset folder; return its size in bytes.

    Args:
        folder: The dataset's.
        to: The page's file; it is there whole or not at all.
        wanted: What it shall hold.

    Raises:
        FileNotFoundError: If the folder holds no such rows.
        OSError: If a shard is damaged, or the page cannot be written.
        ValueError: If the folder of a config has a name that no config may have.
    """
    path = Path(to)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")
    content = compose(folder, wanted or Wanted()).encode("utf-8")
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return len(content)


def compose(folder: str | Path, wanted: Wanted) -> str:
    """Return the page of a dataset folder; the same folder gives the same page.

    Raises:
        FileNotFoundError: If the folder holds no such rows.
        OSError: If a shard is damaged.
        ValueError: If the folder of a config has a name that no config may have.
    """
    root = Path(folder)
    described = facts(root)
    found = open_shards(root, described, wanted.splits)
    names = columns_read(found.features)
    with Transfer(sum(group.size(names) for group in found.groups)) as progress:
        counts = tally(found, MOST_ROWS, wanted.seed, progress)
    known = fields(found.features)
    places = report_clips.choose(counts.table, known, wanted.clips, wanted.seed)
    rows = [int(counts.rows[place]) for place in places]
    with Transfer(report_clips.size(found, rows)) as progress:
        clips = list(report_clips.clips(found, counts, places, progress))
    title = root.resolve().name or "dataset"
    return _page(title, described, found, counts, clips)


def _page(title: str, described: Facts, found: Shards, counts: Tally, clips: Sequence[Json]) -> str:
    style, script, template = (_asset(f"report.{kind}") for kind in ("css", "js", "html"))
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": "data:",
        "media-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    parts = {
        "policy": "; ".join(f"{name} {allowed}" for name, allowed in policy.items()),
        "title": escape(_printable(title)),
        "style": style,
        "script": script,
        "summary": escape(_summary(described, found)),
        "tiles": _tiles(found, counts),
        "figures": figures(counts),
        "shown": escape(_shown(found, counts)),
        "chosen": escape(_chosen(len(clips), found.rows)),
        "data": _json({"table": _table(found, counts), "clips": clips}),
    }
    return PLACE.sub(lambda match: parts[match[1]], template)


def _asset(name: str) -> str:
    return files("sousa.cards").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _json(content: Any) -> str:
    """Return JSON that is text wherever it stands in HTML: no `<` can end the script."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _summary(described: Facts, found: Shards) -> str:
    splits = ", ".join(f"{rows:,} {name}" for name, rows in found.splits.items())
    configs = ", ".join(described.configs)
    return _printable(f"Clips by split: {splits}. Configs: {configs}; shown is {found.config}.")


def _tiles(found: Shards, counts: Tally) -> str:
    hours = counts.seconds / 3600
    numbers = {
        "clips": f"{found.rows:,}",
        "hours": f"{hours:,.2f}" if hours < 100 else f"{hours:,.0f}",
        "strokes" if "strokes" in found.features else "notes": f"{counts.notes:,}",
        "players": f"{len(counts.players):,}",
        "rudiments": f"{len({rudiment for rudiment, _ in counts.played}):,}",
        "tiers": f"{len(counts.tiers):,}",
    }
    return "\n".join(
        f"<div><dd>{number}</dd><dt>{name}</dt></div>"
        for name, number in numbers.items()
        if number not in ("0", "0.00")
    )


def _chosen(clips: int, rows: int) -> str:
    if clips == rows:
        return f"All {rows:,} clips."
    return f"{clips:,} of {rows:,} clips, chosen to differ in what they are."


def _shown(found: Shards, counts: Tally) -> str:
    held = len(counts.rows)
    if held == found.rows:
        return f"All {held:,} clips are in the table."
    return (
        f"The table holds {held:,} of {found.rows:,} clips, drawn at random, each as likely as any "
        "other. The figures above count all of them."
    )


def _table(found: Shards, counts: Tally) -> Json:
    """Return the table column by column; texts that repeat as places in a list of them."""
    shown = of_table(fields(found.features))
    columns = []
    for field in shown:
        values = counts.table[field.name]
        order = field.feature.get("names", ()) if field.kind == CLASS else ()
        column = _column(field.name, field.kind, field.unit, values, order)
        columns.append(column | _filter(field, column))
    split = _column("split", TEXT, "", counts.table["split"], [*found.splits])
    columns.insert(1, split | {"filter": "choice" if len(split["names"]) > 1 else ""})
    return {"columns": columns, "rows": len(counts.rows), "total": found.rows}


def _column(
    name: str, kind: str, unit: str, values: Sequence[Any], order: Sequence[str] = ()
) -> Json:
    if kind == NUMBER:
        return {"name": name, "kind": NUMBER, "unit": unit, "values": list(values)}
    there = {value for value in values if value is not None}
    names = [n for n in order if n in there] or sorted(there)
    places = {value: place for place, value in enumerate(names)}
    coded = [places.get(value, -1) for value in values]
    return {"name": name, "kind": "text", "unit": unit, "names": names, "values": coded}


def _filter(field: Field, column: Mapping[str, Any]) -> Json:
    if field.kind == NUMBER:
        return {"filter": "range" if field.name in RANGES else ""}
    several = 1 < len(column["names"]) <= MOST_CHOICES
    known = field.kind in (CLASS, FLAG) or field.name in ("kit", "augmentation_preset")
    return {"filter": "choice" if several and known else ""}
