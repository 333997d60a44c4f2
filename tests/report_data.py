"""Folders for reports, and what a page of them holds."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from sousa.builders import midi_schema
from sousa.builders.features import arrow_schema
from sousa.builders.schema import Audio, Column, Label, ListOf, Struct, Value

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)

HOSTILE = (
    "</script><script>window.hacked=1</script>",
    "<!-- <img src=x onerror=window.hacked=1>",
    "'\"><svg onload=window.hacked=1>",
    "a\u2028b\u2029c & {{data}} ${window.hacked=1} \\u003c",
)

EVENTS = Struct(
    (
        Column("onset_sec", ListOf(Value("float64")), ""),
        Column("duration_sec", ListOf(Value("float64")), ""),
        Column("label", ListOf(Label(("kick", "snare"))), ""),
    )
)
COLUMNS = (
    Column("sample_id", Value("string"), ""),
    Column("source_path", Value("string"), ""),
    Column("duration_sec", Value("float32"), ""),
    Column("genre", Label(("rock", HOSTILE[0])), "", nullable=True),
    Column("moods", ListOf(Label(("calm", "wild"))), ""),
    Column("events", EVENTS, ""),
    Column("audio", Audio(16_000), ""),
)


def held(page: str) -> Any:
    """Return the data in a page."""
    found = DATA.findall(page)
    assert len(found) == 1
    return json.loads(found[0])


def tone(seconds: float = 1.0, *, rate: int = 16_000, hertz: float = 1000.0) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def file_of(wave: np.ndarray, rate: int = 16_000, kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=kind)
    return file.getvalue()


def songs(out: Path, rows: int = 3) -> Path:
    """Write a folder of notes without sound: each row has two, the second of a drum."""
    notes = {
        "track": [0, 1],
        "channel": [1, 10],
        "program": [0, 0],
        "pitch": [60, 38],
        "velocity": [100, 90],
        "onset_tick": [0, 480],
        "duration_ticks": [240, 240],
        "onset_ms": [0.0, 500.0],
        "duration_ms": [250.0, 250.0],
        "is_ended": [True, True],
    }
    columns = [c for c in midi_schema.columns("midi_only") if c.name in ("duration_sec", "notes")]
    cells = {"duration_sec": [0.75] * rows, "notes": [notes] * rows}
    (out / "midi_only").mkdir(parents=True)
    table = pa.table(cells, schema=arrow_schema(tuple(columns)))
    pq.write_table(table, out / "midi_only" / "train-00000-of-00001.parquet")
    return out


def recordings(out: Path, rows: int = 4, **changes: list[Any]) -> Path:
    """Write a folder of recordings with labels and events, as an import of audio makes them."""
    wave = file_of(tone())
    cells = {
        "sample_id": [f"id{row}" for row in range(rows)],
        "source_path": [HOSTILE[row % len(HOSTILE)] for row in range(rows)],
        "duration_sec": [1.0] * rows,
        "genre": [[0, 1, None][row % 3] for row in range(rows)],
        "moods": [[[], [0], [0, 1]][row % 3] for row in range(rows)],
        "events": [{"onset_sec": [0.5, 0.25], "duration_sec": [0.1, None], "label": [1, 0]}] * rows,
        "audio": [{"bytes": wave, "path": None}] * rows,
    }
    folder = out / "audio_16k"
    folder.mkdir(parents=True)
    table = pa.table(cells | changes, schema=arrow_schema(COLUMNS))
    pq.write_table(table, folder / "train-00000-of-00001.parquet", row_group_size=max(3, rows // 4))
    return out
