"""How fast datasets are built, beside the limit, and in how much memory.

    python benchmarks/building.py [--repeats 3] [--workers 2] [--memory]

Builds `small` with config `audio` alone and with all four configs in turn, and encodes the same
clips to FLAC alone, in one run; prints medians and ratios, and where the time of a clip goes. The
limit is what the workers would reach if clips came from nothing and only FLAC encoding were left.
With `--memory` it also builds `medium` (labels only, and a part with audio) and compares peaks of
private memory, over all processes of a build.
"""

import argparse
import io
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import soundfile

from sousa.builders import clips, encoding, stage
from sousa.builders.keys import generator
from sousa.builders.plan import Plan, make_plan

PROGRAM = Path(sys.executable).with_name("sousa")
SAMPLE_CLIPS = 100


def seconds_of_build(preset: str, configs: str, workers: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run_build(folder, preset, configs, workers).wait()
        return time.perf_counter() - began


def run_build(
    folder: str, preset: str, configs: str, workers: int, *more: str
) -> subprocess.Popen[bytes]:
    options = ["--preset", preset, "--configs", configs, "--workers", str(workers), *more]
    out = str(Path(folder) / "out")
    return subprocess.Popen([PROGRAM, "build", out, *options], stderr=subprocess.DEVNULL)


def peak_private_mb(preset: str, configs: str, workers: int, *more: str) -> float:
    """Return the peak of the private memory of a build's processes together."""
    with tempfile.TemporaryDirectory() as folder:
        process = run_build(folder, preset, configs, workers, *more)
        peak_kb = 0
        while process.poll() is None:
            peak_kb = max(peak_kb, sum(map(private_kb, family(process.pid))))
            time.sleep(0.05)
        if process.returncode:
            raise SystemExit(f"building {preset} failed")
        return peak_kb / 1024


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *map(int, children)]


def private_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def seconds_of_flac(folder: Path) -> float:
    """Return the mean time in which one clip is encoded, over clips of a build."""
    path = next((folder / "audio").glob("train-*"))
    rows = pq.ParquetFile(path).iter_batches(SAMPLE_CLIPS, columns=["audio"])
    files = [row["audio"]["bytes"] for row in next(rows).to_pylist()]
    waves = [soundfile.read(io.BytesIO(file), dtype="int16")[0] for file in files]
    began = time.perf_counter()
    for wave in waves:
        encoding.flac(wave, 44_100)
    return (time.perf_counter() - began) / len(waves)


def stages_ms(plan: Plan) -> dict[str, float]:
    """Return the mean milliseconds of each stage of a clip, one thread."""
    spent: dict[str, float] = {}

    def timed(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        result = function(*arguments)
        spent[name] = spent.get(name, 0.0) + time.perf_counter() - began
        return result

    keys = plan.clips(plan.shards[0])
    for key in keys[:10]:  # fill the caches of kits and rooms
        clips.row(plan, clips.take(plan, key), ("audio",))
    for key in keys[:SAMPLE_CLIPS]:
        kit, preset = plan.recording(key)
        rng = generator(0, "benchmark")
        take = timed("performance", clips.take, plan, key)
        timed("labels, MIDI, tokens", clips.row, plan, take, ())
        recording = stage.draw(stage.PRESETS[preset], rng)
        dry = timed("strokes to sound", clips.dry, take, kit, take.num_steps * 441, rng)
        wave = timed("recording", stage.record, dry, recording, rng)
        samples = timed("16 bits", encoding.quantise, wave)
        timed("FLAC", encoding.flac, samples, 44_100)
        prepared = timed("16 kHz", encoding.resample, samples, 44_100, 16_000)
        timed("WAV", encoding.wav, prepared, 16_000)
    return {name: 1000 * seconds / SAMPLE_CLIPS for name, seconds in spent.items()}


def report_speed(repeats: int, workers: int) -> None:
    plan = make_plan("small", dict.fromkeys(("players", "tempos", "variants")))
    everything = "audio,audio_16k,midi_only,labels_only"
    alone, together, flac = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        run_build(folder, "tiny", "audio", workers).wait()
        for _ in range(repeats):
            alone.append(seconds_of_build("small", "audio", workers))
            together.append(seconds_of_build("small", everything, workers))
            flac.append(seconds_of_flac(Path(folder) / "out"))
    rate = plan.num_clips / statistics.median(alone)
    limit = workers / statistics.median(flac)
    ratio = statistics.median(b / a for a, b in zip(alone, together, strict=True))
    print(f"| `small`, config `audio`, {workers} workers | {rate:.0f} clips/s |")
    print(f"| all four configs, against `audio` alone | {ratio:.2f} x the time |")
    print(f"| FLAC encoding alone, {workers} processes | {limit:.0f} clips/s |")
    print(f"| share of that limit | {rate / limit:.0%} |")
    for name, milliseconds in stages_ms(plan).items():
        print(f"| - {name} | {milliseconds:.2f} ms a clip |")


def report_memory(workers: int) -> None:
    few = peak_private_mb("small", "labels_only", workers)
    many = peak_private_mb("medium", "labels_only", workers)
    print(f"| peak memory, labels, `small` / `medium` | {few:.0f} / {many:.0f} MB |")
    everything = "audio,audio_16k,midi_only,labels_only"
    small = peak_private_mb("small", everything, workers)
    part = ("--rudiments", "flam,single_paradiddle,multiple_bounce_roll,triple_ratamacue")
    medium = peak_private_mb("medium", everything, workers, *part, "--tempos", "8")
    print(
        f"| peak memory, all configs, `small` / 3,200 of `medium` | {small:.0f} / {medium:.0f} MB |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast datasets are built.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    packages = " ".join(f"{name} {version(name)}" for name in ("numpy", "soundfile", "pyarrow"))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ",
        end="",
    )
    print(f"{packages}\n\n| what | figure |\n|---|---|")
    report_speed(options.repeats, options.workers)
    if options.memory:
        report_memory(options.workers)


if __name__ == "__main__":
    main()
