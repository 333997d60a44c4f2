"""The rows of a report's table to the clips that it plays and shows in full."""

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from sousa.builders.schema import SCORES
from sousa.cards import report_events
from sousa.cards.facts import Json
from sousa.cards.report_fields import CLASS, LABELS, Field, cell, fields, number_of
from sousa.cards.report_rows import Shards, groups_of, read_rows
from sousa.cards.report_sound import SilentError, Sound, sound
from sousa.cards.report_tally import Tally

MOST_NAMED: Final = 3
"""Classes that a clip is called by where it is no rudiment."""

STRATA: Final = ("skill_tier", "rudiment_slug", "split")
"""Columns over whose values the clips are spread."""


def choose(
    table: Mapping[str, Sequence[Any]], known: Sequence[Field], count: int, seed: int
) -> list[int]:
    """Return the places in a table of clips that differ in tier, rudiment and split.

    One after the other, that clip is taken whose values were taken least; chance decides among
    equals.
    """
    rows = len(table["split"])
    labels = [f.name for f in known if f.kind in (CLASS, LABELS)]
    strata = [name for name in STRATA if name in table]
    strata += [name for name in labels if name in table and len(strata) < 3 > len(labels)]
    order = np.random.default_rng([seed, 1]).permutation(rows).tolist()
    taken: list[int] = []
    counts = {name: Counter[Any]() for name in strata}
    left = dict.fromkeys(order)
    while left and len(taken) < count:
        best = min(left, key=lambda row: sum(counts[n][table[n][row]] for n in strata))
        del left[best]
        taken.append(best)
        for name in strata:
            counts[name][table[name][best]] += 1
    return taken


def columns(found: Shards) -> list[str]:
    """Return the columns that are read of a clip."""
    drawn = report_events.columns(found.features)
    sounds = [found.audio] if found.audio else []
    return list(dict.fromkeys([*(f.name for f in fields(found.features)), *drawn, *sounds]))


def size(found: Shards, rows: Sequence[int]) -> int:
    """Return the bytes of the row groups that hold some rows."""
    names = columns(found)
    return sum(group.size(names) for group in groups_of(found, rows))


def clips(
    found: Shards, tally: Tally, places: Sequence[int], progress: Callable[[int], None]
) -> Iterator[Json]:
    """Yield clips as a page takes them, in the order of the table.

    Args:
        found: The config.
        tally: With the table.
        places: Of the clips in the table.
        progress: Is told how many bytes were read.

    Raises:
        OSError: If a shard is damaged.
    """
    place_of = {int(tally.rows[place]): place for place in places}
    known = fields(found.features)
    for number, where, row in read_rows(found, place_of, columns(found), progress):
        place = place_of[number]
        drawn = report_events.drawn(row, found.features)
        yield {
            "row": place,
            "where": where,
            "split": tally.table["split"][place],
            **_described(row, known),
            "seconds": max(number_of(row.get("duration_sec")) or 0, report_events.end_sec(drawn)),
            **drawn,
            **_heard(row, found.audio),
        }


def _described(row: Mapping[str, Any], known: Sequence[Field]) -> Json:
    """Return labels and scores of a clip, those that it has."""
    values = {f.name: cell(row.get(f.name), f) for f in known}
    best = {score.name: score.best for score in SCORES}
    labels = [
        [f.name, values[f.name], f.unit]
        for f in known
        if values[f.name] is not None and not f.is_score
    ]
    scores = [[name, values[name], best[name]] for name in best if values.get(name) is not None]
    classes = [values[f.name] for f in known if f.kind in (CLASS, LABELS) and values[f.name]]
    return {"labels": labels, "scores": scores, "classes": classes[:MOST_NAMED]}


def _heard(row: Mapping[str, Any], column: str | None) -> Json:
    if column is None:
        return {}
    stored = row.get(column)
    content = stored.get("bytes") if isinstance(stored, dict) else None
    if not isinstance(content, bytes):
        return {"silent": "its audio is not stored in the dataset"}
    try:
        heard = sound(content)
    except SilentError as error:
        return {"silent": str(error)}
    return {"seconds": heard.seconds, "sound": _sound(heard)}


def _sound(heard: Sound) -> Json:
    return {
        "type": heard.media_type,
        "data": _base64(heard.content),
        "rate": heard.rate_hz,
        "note": heard.note,
        "peaks": _base64(heard.peaks.tobytes()),
        "spectrogram": f"data:image/png;base64,{_base64(heard.spectrogram)}",
        "ticks": heard.ticks_khz,
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
