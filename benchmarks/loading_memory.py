"""How much memory a pass over a stream takes, as a process of its own.

    python benchmarks/loading_memory.py DIR [--workers 2]

Streams `train` of `audio_16k` once, shuffled, in batches of 32.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from building import family

from sousa.loaders import SOUSADataset, create_dataloader

SAMPLE_SEC = 0.01


def private_kb(pid: int) -> int:
    """Return a process's memory that is no page of a file; those the system may take any time."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def peak_private_mb(folder: Path, workers: int) -> float:
    """Return the peak of the private memory of a pass, over all its processes."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder), "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
    )
    peak_kb = 0
    while process.poll() is None:
        peak_kb = max(peak_kb, sum(map(private_kb, family(process.pid))))
        time.sleep(SAMPLE_SEC)
    if process.returncode:
        raise SystemExit(f"streaming {folder} failed")
    return peak_kb / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="Stream a folder once.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    dataset = SOUSADataset(
        options.folder, "train", "skill_tier", config="audio_16k", streaming=True
    )
    loader = create_dataloader(dataset, batch_size=32, num_workers=options.workers)
    print(f"{sum(len(batch['lengths']) for batch in loader)} clips")


if __name__ == "__main__":
    main()
