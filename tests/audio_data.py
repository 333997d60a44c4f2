"""Recordings of all formats, tables of annotations, and imports of them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from sousa.builders import cli

RATES = {"wav": 44_100, "flac": 48_000, "ogg": 22_050, "mp3": 32_000}


def wave(seed: int, frames: int, channels: int = 1) -> NDArray[np.float32]:
    """Return a tone with noise, `(frames, channels)`, another for each seed and channel."""
    rng = np.random.default_rng(seed)
    tone = 0.4 * np.sin(np.arange(frames) * (0.02 + 0.003 * seed))
    noise = rng.uniform(-0.2, 0.2, (frames, channels))
    return np.asarray(tone[:, None] + noise, np.float32)


def write_recording(path: Path, seed: int, *, seconds: float = 0.2, channels: int = 1) -> Path:
    """Write a recording in the format of its name, at that format's rate."""
    rate_hz = RATES[path.suffix[1:]]
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave(seed, round(seconds * rate_hz), channels), rate_hz)
    return path


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a table whose columns are those of all rows."""
    header = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, header)
        table.writeheader()
        table.writerows(rows)
    return path


def collection(folder: Path, *, songs: int = 12) -> Path:
    """Write recordings of all formats, two by each artist, and return their table."""
    rows = []
    for song in range(songs):
        name = f"disc {song % 3}/song{song:02}.{list(RATES)[song % 4]}"
        write_recording(folder / "music" / name, song, channels=1 + song % 2)
        genre = ("rock", "jazz", "pop")[song % 3]
        row = {"file": name, "artist": f"artist {song // 2}", "genre": genre}
        rows.append(row | {"mood": "" if song == 5 else str(song / 8), "title": f"Song {song}"})
    return write_csv(folder / "labels.csv", rows)


def run(folder: Path, out: Path, *options: str) -> int:
    """Import the `music` of a folder with one process, and return the exit code."""
    command = ["import", "audio", str(folder / "music"), str(out), "--workers", "1"]
    if "--annotations" not in options:
        options = ("--annotations", str(folder / "labels.csv"), *options)
    return cli.main([*command, *options])
