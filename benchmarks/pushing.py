"""How fast a push is, beside hashing and copying; in how much memory; and what a kill costs.

    python benchmarks/pushing.py [--folder OUT] [--repeats 3] [--kills 20]

Pushes about 1 GB (or the dataset in OUT) to the Hub of the tests on this machine, by Xet and by
LFS, with hashing and copying the same files in the same rounds; prints medians. The Hub runs on
the same cores: it hashes and stores what arrives. Copies are flushed to the disk. The folder is
judged by `sousa validate` once, before.

Memory is the peak of the private memory of the push, without clean pages of mapped files. With
`--kills` each way of sending is killed at random moments and run again: each time the repository
must be complete and verified, nothing must be visible before, and no file that had arrived may be
sent twice. By Xet that is seen in the bytes: two batches may have been on their way.
"""

import argparse
import hashlib
import os
import platform
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hub import Hub

PROGRAM = Path(sys.executable).with_name("sousa")
REPO = "org/drums"
MB = 1e6
WAYS = {"Xet": {}, "LFS": {"HF_HUB_DISABLE_XET": "1"}}
ARRIVALS = "/_lfs/[0-9a-f]+$|/_cas/v1/xorbs/"


@dataclass(frozen=True, slots=True)
class Run:
    """One push: its time, the rate of its sending alone, and its peak of memory."""

    seconds: float
    sending_mb_per_second: float
    peak_mb: float


class Place:
    """A Hub and the home of a client, both new."""

    def __init__(self, hub: Hub, home: Path, way: str) -> None:
        self.hub = hub
        self.environment = os.environ | hub.environment(home) | WAYS[way]

    def start(self, folder: Path) -> subprocess.Popen[str]:
        """Begin a push."""
        return subprocess.Popen(
            [PROGRAM, "push", str(folder), REPO],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def push(self, folder: Path) -> Run:
        """Push, and watch the memory meanwhile."""
        began, peak_kb = time.perf_counter(), 0
        process = self.start(folder)
        while process.poll() is None:
            peak_kb = max(peak_kb, dirty_kb(process.pid))
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        shown = process.stderr.read() if process.stderr else ""
        if process.returncode:
            raise SystemExit(f"the push failed: {shown}")
        rate = re.search(r"([\d.]+) ([kMG]?)B a second", shown)
        factor = {"": 1e-6, "k": 1e-3, "M": 1.0, "G": 1e3}
        sending = float(rate[1]) * factor[rate[2]] if rate else 0.0
        return Run(seconds, sending, peak_kb * 1024 / MB)


@contextmanager
def place(way: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as scratch, Hub(Path(scratch) / "hub") as hub:
        yield Place(hub, Path(scratch) / "home", way)


def dirty_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def files_of(folder: Path) -> list[Path]:
    """Return what is pushed: our own state is in a folder whose name begins with a dot."""
    inside = [(path, path.relative_to(folder)) for path in sorted(folder.rglob("*"))]
    return [path for path, name in inside if path.is_file() and not name.parts[0].startswith(".")]


def seconds_of_copy(folder: Path) -> float:
    """Return the time in which the files are hashed and copied, one after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        for number, file in enumerate(files_of(folder)):
            with file.open("rb") as opened:
                hashlib.file_digest(opened, "sha256")
            copy = Path(scratch) / str(number)
            shutil.copyfile(file, copy)
            with copy.open("rb") as opened:
                os.fsync(opened.fileno())
        return time.perf_counter() - began


def seconds_of_judging(folder: Path) -> float:
    """Return how long `sousa validate` takes; after it, a push need not judge the folder."""
    began = time.perf_counter()
    subprocess.run([PROGRAM, "validate", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def report_speed(folder: Path, repeats: int) -> None:
    size_mb = sum(file.stat().st_size for file in files_of(folder)) / MB
    judging = seconds_of_judging(folder)
    copies: list[float] = []
    runs: dict[str, list[Run]] = {way: [] for way in WAYS}
    again: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        copies.append(seconds_of_copy(folder))
        for way in WAYS:
            with place(way) as there:
                runs[way].append(there.push(folder))
                there.hub.forget_requests()
                again[way].append(there.push(folder).seconds)
                if there.hub.bytes_received():
                    raise SystemExit(f"the second push sent {there.hub.bytes_received()} bytes")
    print(f"| `sousa validate`, once before | {judging:.0f} s |")
    limit = size_mb / statistics.median(copies)
    print(f"| hashing and copying {size_mb:.0f} MB | {limit:.0f} MB/s |")
    for way, done in runs.items():
        sending = statistics.median(run.sending_mb_per_second for run in done)
        whole = size_mb / statistics.median(run.seconds for run in done)
        print(f"| push by {way}, sending | {sending:.0f} MB/s, {sending / limit:.0%} of that |")
        print(f"| push by {way}, whole command | {whole:.0f} MB/s, {whole / limit:.0%} of that |")
        print(f"| push by {way}, peak of memory | {max(run.peak_mb for run in done):.0f} MB |")
        print(f"| second push by {way}, no bytes sent | {statistics.median(again[way]):.1f} s |")


def report_kills(folder: Path, kills: int, way: str) -> None:
    rng = random.Random(f"kills {way}")
    with place(way) as there:
        whole = there.push(folder)
        undisturbed = there.hub.bytes_received()
    half_seen = twice = 0
    extra: list[int] = []
    for _ in range(kills):
        with place(way) as there:
            process = there.start(folder)
            time.sleep(rng.uniform(0.5, whole.seconds))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            half_seen += is_half(there.hub, folder)
            there.push(folder)  # which fails unless the repository is complete and verified
            half_seen += is_half(there.hub, folder)
            arrived = Counter(
                request.path
                for request in there.hub.requests("*", ARRIVALS)
                if request.method in ("PUT", "POST") and request.status == 200
            )
            if way == "LFS":
                twice += sum(count > 1 for count in arrived.values())
            extra.append(there.hub.bytes_received() - undisturbed)
    print(
        f"| {kills} kills by {way}, then again | {kills} complete and verified, "
        f"{half_seen} seen half, bytes sent twice at most {max(extra) / MB:.0f} MB "
        + (f"(of files that had arrived: {twice}) |" if way == "LFS" else "(what was on its way) |")
    )


def is_half(hub: Hub, folder: Path) -> bool:
    """Return whether a repository shows some of the files, but not all."""
    try:
        shown = [path for path in hub.files(REPO, "main") if not path.startswith(".")]
    except Exception:  # there is no repository yet
        return False
    return 0 < len(shown) < len(files_of(folder))


@contextmanager
def dataset(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        subprocess.run(
            [PROGRAM, "build", str(out), "--players", "36", "--tempos", "2", "--variants", "1"],
            check=True,
        )
        yield out


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how datasets are pushed.")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kills", type=int, default=0)
    options = parser.parse_args()
    packages = " ".join(f"{name} {version(name)}" for name in ("huggingface_hub", "hf_xet"))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ",
        end="",
    )
    print(f"{packages}\n\n| what | figure |\n|---|---|")
    with dataset(options.folder) as folder:
        if options.repeats:
            report_speed(folder, options.repeats)
        for way in WAYS if options.kills else ():
            report_kills(folder, options.kills, way)


if __name__ == "__main__":
    main()
