"""Small datasets for the tests of the loaders: the real schema, tones for audio."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import soxr

from sousa.builders.features import arrow_schema
from sousa.builders.schema import CONFIG_RATES, RUDIMENTS, SCORES, SKILL_TIERS, columns

Row = dict[str, Any]


def tone(index: int, duration_sec: float = 0.2, rate_hz: int = 44_100) -> np.ndarray:
    """A decaying tone, another one for each index, peak below 1, 16-bit."""
    time = np.arange(int(duration_sec * rate_hz)) / rate_hz
    wave = 0.3 * np.exp(-8 * time) * np.sin(2 * np.pi * (200 + 37 * index) * time)
    return np.round(wave * 32768).astype(np.int16)


def encoded(wave: np.ndarray, rate_hz: int, form: str = "FLAC", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


def clip(config: str, index: int, duration_sec: float) -> bytes:
    """The clip as the builder stores it: FLAC, or the same prepared as WAV at 16 kHz."""
    wave = tone(index, duration_sec)
    if config == "audio":
        return encoded(wave, 44_100)
    prepared = soxr.resample((wave / 32768).astype(np.float32), 44_100, 16_000, quality="HQ")
    steps = np.clip(np.round(prepared * 32768), -32768, 32767).astype(np.int16)
    return encoded(steps, 16_000, "WAV")


def row(config: str, index: int, *, tier: int | None = None) -> Row:
    """A row of the schema; every third tempo is not whole, every fifth has no flam score."""
    duration_sec = 0.1 + 0.02 * (index % 5)
    scores = {score.name: score.best * (index % 11) / 10 for score in SCORES}
    known: Row = {
        "sample_id": f"clip-{index:04d}",
        "profile_id": f"player-{index % 3}",
        "skill_tier": index % len(SKILL_TIERS) if tier is None else tier,
        "rudiment_slug": index % len(RUDIMENTS),
        "tempo_bpm": 90.5 + index if index % 3 == 0 else 90.0 + index,
        "duration_sec": duration_sec,
        "kit": ("pad", "maple")[index % 2],
        **scores,
        "flam_quality": None if index % 5 == 0 else scores["flam_quality"],
    }
    filled = {column.name: known.get(column.name) for column in columns(config)}
    for name in ("skill_tier_binary", "dominant_hand"):
        filled[name] = index % 2
    if config in CONFIG_RATES:
        filled["audio"] = {"bytes": clip(config, index, duration_sec), "path": f"{index}.flac"}
    return filled


def table(config: str, rows: Sequence[Row]) -> pa.Table:
    schema = arrow_schema(columns(config))
    return pa.Table.from_pylist(list(rows), schema=schema)


def write_shard(path: Path, rows: pa.Table, group_rows: int = 7) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, row_group_size=group_rows, compression="none", use_dictionary=False)


def write_folder(
    folder: Path,
    splits: dict[str, int],
    configs: Sequence[str] = ("audio", "audio_16k"),
    shards: int = 2,
) -> Path:
    """A built folder: so many rows in each split, numbered through, in some shards."""
    for config in configs:
        first = 0
        for split, size in splits.items():
            bounds = first + np.linspace(0, size, shards + 1).astype(int)
            for number in range(shards):
                rows = [row(config, i) for i in range(bounds[number], bounds[number + 1])]
                name = f"{split}-{number:05d}-of-{shards:05d}.parquet"
                write_shard(folder / config / name, table(config, rows))
            first += size
    return folder


def ids_of(loader: Any) -> list[list[str]]:
    """The sample ids of every batch of one pass."""
    return [batch["sample_ids"] for batch in loader]


def doubled(wave: Any) -> Any:
    """A transform that a spawned worker can import."""
    return 2 * wave
