"""A dataset folder to the notes of one MIDI file, which its page draws."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sousa.cards.facts import Facts, opened, shards

NOTES: Final = "notes"
FIELDS: Final = ("onset_ms", "duration_ms", "pitch", "channel")
DRUMS: Final = 10
"""The channel of drums."""

CANDIDATES: Final = 16
"""Rows of the first shard from which one is chosen."""
MOST_NOTES: Final = 1000
LONGEST_SEC: Final = 30.0
"""So much of a file is drawn."""


@dataclass(frozen=True, slots=True)
class Roll:
    """The notes at the beginning of a file, all fields equally long.

    Attributes:
        starts_sec, ends_sec: When each sounds, from the start of the file.
        pitches: MIDI note numbers.
        are_drums: Which of them are drums.
    """

    starts_sec: tuple[float, ...]
    ends_sec: tuple[float, ...]
    pitches: tuple[int, ...]
    are_drums: tuple[bool, ...]

    @property
    def seconds(self) -> float:
        """Time to the end of the last note."""
        return max((*self.ends_sec, 1e-3))


def roll(folder: Path, facts: Facts) -> Roll | None:
    """Return the notes of the file with most of them, of the first ones; None where there are none.

    Raises:
        OSError: If the shard is damaged.
    """
    config = next((name for name, f in facts.configs.items() if _has_notes(f.features)), None)
    if config is None:
        return None
    path = next(iter(shards(folder / config).values()))[0]
    with opened(path) as parquet:
        columns = [f"{NOTES}.{field}" for field in FIELDS]
        batch = next(parquet.iter_batches(CANDIDATES, columns=columns), None)
    rows = [row[NOTES] for row in batch.to_pylist() if row[NOTES]] if batch is not None else []
    rolls = [_beginning(row) for row in rows]
    return max(
        (found for found in rolls if found.pitches), key=lambda r: len(r.pitches), default=None
    )


def _has_notes(features: Any) -> bool:
    fields = features.get(NOTES)
    return isinstance(fields, dict) and {*FIELDS} <= fields.keys()


def _beginning(row: dict[str, list[Any]]) -> Roll:
    cells = [
        (onset / 1000, (onset + duration) / 1000, pitch, channel == DRUMS)
        for onset, duration, pitch, channel in zip(
            *(row[name] or () for name in FIELDS), strict=False
        )
        if None not in (onset, duration, pitch) and onset <= LONGEST_SEC * 1000
    ]
    starts, ends, pitches, drums = zip(*cells[:MOST_NOTES], strict=True) if cells else ((),) * 4
    return Roll(starts, tuple(min(end, LONGEST_SEC) for end in ends), pitches, drums)
