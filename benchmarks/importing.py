"""How fast a folder in the existing SOUSA layout is imported and opened.

    python benchmarks/importing.py [--clips 300] [--labels 100000] [--workers 2] [--folder DIR]

Three things, each in its own processes so that memory is its own:

audio    An import with audio against the least that any could do: decode the same files, take the
         mean of the channels, encode them as mono FLAC, on as many processes. Rounds take turns;
         medians are shown, and their ratio.
labels   The command without audio for as many clips as a full dataset has, 49 strokes each, card
         included: seconds, those of all processors together, and the most memory that any of its
         processes and all of them together held, without the clean pages of mapped files.
opening  `SOUSADataset` on folders of 1,000 clips and of that many: seconds, in a fresh process.

The clips are 6 s of stereo at 24 bits, as generators of SOUSA write them.
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from sousa.builders.import_sousa import import_sousa
from sousa.builders.schema import RUDIMENTS, SKILL_TIERS
from sousa.builders.sousa_request import Request
from sousa.builders.tokens import parse_tokenizers

RATE_HZ: Final = 44_100
CLIP_SEC: Final = 6.0
TAIL_SEC: Final = 0.5
STROKES: Final = 49
MEASURES: Final = 5
VARIANTS: Final = 5
"""Clips of one performance; the first has the MIDI file."""

ROUNDS: Final = 3
CLIPS_AT_ONCE: Final = 5_000
SCORES: Final = (
    *("timing_accuracy", "timing_consistency", "tempo_stability", "subdivision_evenness"),
    *("velocity_control", "accent_differentiation", "accent_accuracy", "hand_balance"),
    *("weak_hand_index", "flam_quality", "diddle_quality", "roll_sustain", "groove_feel_proxy"),
    *("overall_score", "tier_confidence"),
)


def samples(first: int, stop: int, *, audio: bool) -> pa.Table:
    """Return rows of `samples.parquet`."""
    clip = np.arange(first, stop)
    group = clip // VARIANTS
    slugs = np.array(RUDIMENTS)[group % len(RUDIMENTS)]
    player = group // 200
    ids = [
        f"{SKILL_TIERS[p % 4][:3]}{p:03d}_{s}_{60 + c % 120}bpm_{c}"
        for p, s, c in zip(player, slugs, clip, strict=True)
    ]
    is_first = clip % VARIANTS == 0
    midi = [
        f"midi/{s}/{i}.mid" if f else None for s, i, f in zip(slugs, ids, is_first, strict=True)
    ]
    flac = [f"audio/{s}/{i}.flac" if audio else None for s, i in zip(slugs, ids, strict=True)]
    return pa.table(
        {
            "sample_id": ids,
            "profile_id": [f"player-{p:04d}" for p in player],
            "rudiment_slug": slugs,
            "tempo_bpm": 60 + group % 120,
            "duration_sec": np.full(len(clip), CLIP_SEC - TAIL_SEC),
            "num_cycles": np.full(len(clip), 4),
            "skill_tier": np.array(SKILL_TIERS)[player % 4],
            "skill_tier_binary": np.array(["novice", "skilled"])[player % 4 // 2],
            "dominant_hand": ["right"] * len(clip),
            "midi_path": pa.array(midi, pa.string()),
            "audio_path": pa.array(flac, pa.string()),
            "num_strokes": np.full(len(clip), STROKES),
            "num_measures": np.full(len(clip), MEASURES),
            "soundfont": ["FluidR3_GM"] * len(clip),
            "augmentation_preset": np.array(["gym", "garage"])[clip % 2],
            "augmentation_group_id": [f"group-{g}" for g in group],
            "aug_bit_depth": pa.nulls(len(clip)),
        }
    )


def exercises(ids: pa.ChunkedArray, rng: np.random.Generator) -> pa.Table:
    """Return rows of `exercises.parquet`."""
    return pa.table({name: rng.uniform(0, 100, len(ids)) for name in SCORES} | {"sample_id": ids})


def measures(ids: pa.ChunkedArray, rng: np.random.Generator) -> pa.Table:
    """Return rows of `measures.parquet`."""
    index = np.tile(np.arange(MEASURES), len(ids))
    names = (
        *("timing_mean_error_ms", "timing_std_ms", "timing_max_error_ms", "velocity_mean"),
        *("velocity_std", "velocity_consistency", "lr_velocity_ratio", "lr_timing_diff_ms"),
    )
    numbers = {name: rng.normal(size=len(index)) for name in names}
    ends = {"index": index, "stroke_start": 9 * index, "stroke_end": 9 * index + 9}
    return pa.table(ends | numbers | {"sample_id": repeated(ids, MEASURES)})


def strokes(ids: pa.ChunkedArray, rng: np.random.Generator) -> pa.Table:
    """Return rows of `strokes.parquet`."""
    index = np.tile(np.arange(STROKES), len(ids))
    error = np.round(rng.normal(0, 15, len(index)), 3)
    velocity = rng.integers(20, 120, len(index))
    nothing = np.full(len(index), np.nan)
    return pa.table(
        {
            "index": index,
            "hand": np.array(["L", "R"])[index % 2],
            "stroke_type": np.array(["tap", "accent", "diddle"])[index % 3],
            "intended_time_ms": 110.0 * index,
            "actual_time_ms": 110.0 * index + error,
            "timing_error_ms": error,
            "intended_velocity": np.full(len(index), 65),
            "actual_velocity": velocity,
            "velocity_error": velocity - 65,
            "is_grace_note": np.zeros(len(index), bool),
            "is_accent": index % 3 == 1,
            "diddle_position": np.where(index % 3 == 2, 1.0, np.nan),
            "flam_spacing_ms": nothing,
            "parent_stroke_index": nothing,
            "buzz_count": nothing,
            "sample_id": repeated(ids, STROKES),
        }
    )


def repeated(ids: pa.ChunkedArray, times: int) -> pa.ChunkedArray:
    """Return each id so many times."""
    return ids.take(pa.array(np.repeat(np.arange(len(ids)), times)))


def midi_file() -> bytes:
    """Return a MIDI file as generators write it, of `STROKES` notes."""
    notes = b"\x00\x90\x26\x40\x01\x26\x00" + b"\x68\x26\x50\x01\x26\x00" * (STROKES - 1)
    track = b"\x00\xff\x51\x03\x07\xa1\x20" + notes + b"\x00\xff\x2f\x00"
    head = b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk"
    return head + len(track).to_bytes(4, "big") + track


def make_labels(root: Path, clips: int, *, audio: bool) -> pa.Table:
    """Write the labels and the MIDI files of a folder, a part at a time; return the samples."""
    rng = np.random.default_rng(0)
    writers: dict[str, pq.ParquetWriter] = {}
    (root / "labels").mkdir(parents=True)
    parts = []
    for first in range(0, clips, CLIPS_AT_ONCE):
        part = samples(first, min(first + CLIPS_AT_ONCE, clips), audio=audio)
        ids = part["sample_id"]
        tables = {"samples": part, "exercises": exercises(ids, rng)}
        tables |= {"measures": measures(ids, rng), "strokes": strokes(ids, rng)}
        for name, table in tables.items():
            if name not in writers:
                writers[name] = pq.ParquetWriter(root / f"labels/{name}.parquet", table.schema)
            writers[name].write_table(table)
        parts.append(part)
    for writer in writers.values():
        writer.close()
    made = pa.concat_tables(parts)
    write_midi(root, made)
    write_splits(root, made)
    return made


def write_midi(root: Path, made: pa.Table) -> None:
    """Write the MIDI file of each performance."""
    content = midi_file()
    for slug in RUDIMENTS:
        (root / "midi" / slug).mkdir(parents=True)
    for path in made["midi_path"].drop_null().to_pylist():
        (root / path).write_bytes(content)


def write_splits(root: Path, made: pa.Table) -> None:
    """Write `splits.json`: seven of ten players in train."""
    players = sorted(set(made["profile_id"].to_pylist()))
    parts = {"train": players[::10], "val": players[8::10], "test": players[9::10]}
    parts["train"] = [p for p in players if p not in {*parts["val"], *parts["test"]}]
    content = {f"{name}_profile_ids": ids for name, ids in parts.items()}
    (root / "splits.json").write_text(json.dumps(content))


def write_audio(root: Path, made: pa.Table) -> None:
    """Write the clips: decaying noise at each stroke, another in either channel."""
    rng = np.random.default_rng(1)
    time_sec = np.arange(round(CLIP_SEC * RATE_HZ)) / RATE_HZ
    fade = np.exp(-25 * (time_sec % 0.11))[:, None]
    for path in made["audio_path"].to_pylist():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        wave = 0.2 * fade * rng.standard_normal((len(fade), 2))
        soundfile.write(root / path, wave, RATE_HZ, subtype="PCM_24")


def least(paths: list[str], out: str) -> None:
    """Do the least that an import must: decode, mean, encode."""
    for number, path in enumerate(paths):
        wave, rate_hz = soundfile.read(path, dtype="float32")
        soundfile.write(f"{out}/{number}.flac", wave.mean(axis=1), rate_hz, subtype="PCM_16")


def plainly(root: Path, made: pa.Table, out: Path, workers: int) -> float:
    """Return the seconds that the least takes, with processes that are ready."""
    paths = [str(root / path) for path in made["audio_path"].to_pylist()]
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers) as pool:
        pool.starmap(least, [([], "")] * workers)
        parts = []
        for worker in range(workers):
            (out / str(worker)).mkdir(parents=True)
            parts.append((paths[worker::workers], str(out / str(worker))))
        began = time.perf_counter()
        pool.starmap(least, parts, chunksize=1)
        return time.perf_counter() - began


def imported(root: Path, out: Path, workers: int, configs: tuple[str, ...]) -> float:
    """Return the seconds of an import; the processes that it starts are its own affair."""
    request = Request(configs=configs, tokenizers=parse_tokenizers(["grid"]))
    began = time.perf_counter()
    import_sousa(root, out, request, workers=workers)
    return time.perf_counter() - began


def compare_audio(folder: Path, clips: int, workers: int) -> Iterator[str]:
    """Yield the lines about imports with audio."""
    root = folder / "audio-source"
    made = make_labels(root, clips, audio=True)
    write_audio(root, made)
    runs: dict[str, Callable[[Path], float]] = {
        "decode, mean, encode": lambda out: plainly(root, made, out, workers),
        "import: audio": lambda out: imported(root, out, workers, ("audio",)),
        "import: all configs": lambda out: imported(
            root, out, workers, ("audio", "audio_16k", "midi_only", "labels_only")
        ),
    }
    took: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            out = folder / "out"
            took[name].append(run(out))
            shutil.rmtree(out)
    shutil.rmtree(root)
    base = statistics.median(took["decode, mean, encode"])
    yield f"{clips} clips of {CLIP_SEC:g} s, {workers} processes, medians of {ROUNDS} rounds"
    for name, seconds in took.items():
        middle = statistics.median(seconds)
        yield f"  {name:24} {clips / middle:7.1f} clips/s   {base / middle:5.2f} of the first"


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *map(int, children)]


def private_mb(pid: int) -> float:
    """Return the memory that a process has for itself, without clean pages of mapped files."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) / 1024


def run_import(root: Path, out: Path, *options: str) -> tuple[float, float, float, float]:
    """Return seconds and processor seconds of the command, the most MB of one process, of all."""
    command = [str(Path(sys.executable).parent / "sousa"), "import", "sousa", str(root), str(out)]
    began, worked, one, all_ = time.perf_counter(), worked_sec(), 0.0, 0.0
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            each = [private_mb(pid) for pid in family(process.pid)]
            one, all_ = max(one, *each, 0.0), max(all_, sum(each))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit("the import failed")
    return time.perf_counter() - began, worked_sec() - worked, one, all_


def worked_sec() -> float:
    """Return the processor seconds of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_labels(folder: Path, clips: int, workers: int) -> Iterator[str]:
    """Yield the lines about imports without audio, by the command."""
    for configs in ("midi_only,labels_only", "labels_only"):
        options = ("--configs", configs, "--workers", str(workers))
        seconds, worked, one, all_ = run_import(folder / "labels-source", folder / "out", *options)
        shutil.rmtree(folder / "out")
        yield (
            f"  {clips} clips, {configs:22} {seconds:6.1f} s, {worked:5.1f} s of "
            f"processors   at most {one:4.0f} MB in one process, {all_:4.0f} MB in all"
        )


OPENING = """
import sys, time
import sousa.loaders
began = time.perf_counter()
data = sousa.loaders.SOUSADataset(sys.argv[1], target=sys.argv[2])
print(len(data), time.perf_counter() - began)
"""


def measure_opening(root: Path) -> str:
    """Return a line about how long a folder takes to open."""
    found = []
    for target in ("overall_score", "skill_tier"):
        took = []
        for _ in range(ROUNDS):
            command = [sys.executable, "-c", OPENING, str(root), target]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rows, seconds = output.split()
            took.append(float(seconds))
        found.append(f"{target} {statistics.median(took):.2f} s")
    return f"  SOUSADataset of {int(rows):7} clips opens: {', '.join(found)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--labels", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, help="where files go meanwhile")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        lines: list[Any] = []
        if options.clips:
            lines += compare_audio(folder, options.clips, options.workers)
        if options.labels:
            make_labels(folder / "few", 1_000, audio=False)
            lines.append(measure_opening(folder / "few"))
            make_labels(folder / "labels-source", options.labels, audio=False)
            lines.append(measure_opening(folder / "labels-source"))
            lines += measure_labels(folder, options.labels, options.workers)
        sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
