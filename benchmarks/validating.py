"""How fast datasets are judged, beside decoding their audio and doing nothing with it.

    python benchmarks/validating.py DATASET [--repeats 3] [--workers 2]

In each round `sousa validate --all` judges a folder that `sousa build` made, every row with its
audio at both rates; then a program in as many processes decodes the same audio with plain
`soundfile`, and one process alone does. Each is a command of its own, imports and all. Prints
medians and ratios, of clips a second and of clips a second of processor time (which other work on
the machine changes less), where the time of a clip goes, and the peak of private memory over all
processes.
"""

import argparse
import io
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pyarrow.parquet as pq
import soundfile
from building import family, private_kb

from sousa.builders import encoding, hearing
from sousa.builders.check_audio import clips_of, decode
from sousa.builders.folder import open_folder
from sousa.builders.parts import HEARD
from sousa.builders.row_facts import Sounded
from sousa.builders.schema import CONFIG_RATES, SAMPLE_RATE

PROGRAM = Path(sys.executable).with_name("sousa")
SAMPLE_CLIPS = 60


class Round(NamedTuple):
    """What a command took.

    Attributes:
        wall: Clips a second.
        busy: Clips a second of processor time, over all its processes.
        peak_mb: Peak of its private memory.
    """

    wall: float
    busy: float
    peak_mb: float


def measure(command: list[str | Path], clips: int) -> Round:
    began, peak_kb = time.perf_counter(), 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        while process.poll() is None:
            peak_kb = max(peak_kb, sum(map(private_kb, family(process.pid))))
            time.sleep(0.2)
        seconds = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(process.communicate()[0])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Round(clips / seconds, clips / busy, peak_kb / 1024)


def decode_file(path: Path) -> int:
    """Decode all clips of a shard with `soundfile`, a row group in memory."""
    clips = 0
    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(64, columns=["audio"]):
            for file in batch["audio"].field("bytes"):
                soundfile.read(io.BytesIO(file.as_py()), dtype="int16")
                clips += 1
    return clips


def decode_all(files: list[Path], workers: int) -> None:
    """Decode the clips of a folder: what this program does when it is called with `--decode`."""
    if workers == 1:
        sum(map(decode_file, files))
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        sum(pool.map(decode_file, files))


def stages(root: Path) -> dict[str, float]:
    """Return processor milliseconds a clip of what is done to audio, on one core."""
    folder = open_folder(root)
    split = next(iter(folder.reference.values()))
    rows = split.read(0, min(SAMPLE_CLIPS, split.rows), HEARD)
    clips = list(clips_of(rows, folder.recorded(split.config)))
    decoded = [decode(clip.file) for clip in clips]
    prepared = CONFIG_RATES["audio_16k"]
    work: dict[str, Callable[[int], object]] = {
        "decode": lambda n: decode(clips[n].file),
        "hear the strokes": lambda n: hearing.listen(
            decoded[n].samples[:, 0], decoded[n].rate_hz, clips[n].strokes
        ),
        "resample, to compare": lambda n: encoding.resample(
            decoded[n].samples[:, 0], SAMPLE_RATE, prepared
        ),
        "describe the sound": lambda n: Sounded(decoded[n], -30.0),
    }
    found = {}
    for name, run in work.items():
        began = time.process_time()
        for number in range(len(clips)):
            run(number)
        found[name] = 1000 * (time.process_time() - began) / len(clips)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="built with configs audio and audio_16k")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--decode", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    files = sorted(
        path for config in CONFIG_RATES for path in (options.dataset / config).glob("*.parquet")
    )
    if options.decode:
        decode_all(files, options.workers)
        return
    clips = sum(pq.read_metadata(path).num_rows for path in files if path.parent.name == "audio")
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores; Python", end=" ")
    print(platform.python_version(), *(f"{name} {version(name)}" for name in ("soundfile", "soxr")))

    decode: list[str | Path] = [sys.executable, __file__, options.dataset, "--decode", "--workers"]
    shared = str(options.workers)
    commands: dict[str, list[str | Path]] = {
        "sousa validate --all": [
            *(PROGRAM, "validate", options.dataset, "--all", "--workers", shared)
        ],
        "soundfile decodes both rates": [*decode, shared],
        "the same in one process": [*decode, "1"],
    }
    rounds: dict[str, list[Round]] = {name: [] for name in commands}
    for _ in range(options.repeats):
        for name, command in commands.items():
            rounds[name].append(measure(command, clips))

    print(f"\n{clips} clips at both rates, {shared} processes; medians of {options.repeats} rounds")
    print(f"\n{'':<32}{'clips/s':>9}{'ratio':>7}{'per cpu-s':>11}{'ratio':>7}{'MB':>7}")
    first = next(iter(rounds.values()))
    for name, each in rounds.items():
        wall, busy = (median(one[field] for one in each) for field in (0, 1))
        ratios = [
            median(one[field] for one in first) / now for field, now in ((0, wall), (1, busy))
        ]
        peak_mb = max(one.peak_mb for one in each)
        print(
            f"{name:<32}{wall:>9.0f}{ratios[0]:>7.2f}{busy:>11.0f}{ratios[1]:>7.2f}{peak_mb:>7.0f}"
        )
    print("\nprocessor milliseconds a clip")
    for stage, milliseconds in stages(options.dataset).items():
        print(f"  {stage:<24}{milliseconds:>6.2f}")


if __name__ == "__main__":
    main()
