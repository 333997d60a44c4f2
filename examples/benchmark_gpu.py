"""Measure how long training waits for data, with clips sent as float32 and as 16-bit integers.

    python examples/benchmark_gpu.py DATA [--steps 200] [--device auto]

DATA is a folder that `sousa build` wrote, or a Hub id, with the config `audio_16k`. The network is
that of train_skill.py. A step waits from asking for a batch until it can be used on the device.
"""

import argparse
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn
from train_skill import RATE_HZ, RhythmNet

from sousa.loaders import Loader, SOUSADataset, create_dataloader

TRANSFERS = ("float32", "int16")
WARM_UP = 5  # steps in which kernels are chosen and buffers made


class Times(NamedTuple):
    """Seconds of some steps, and the clips in them."""

    waiting: float
    whole: float
    clips: int


def load(transfer: str, args: argparse.Namespace) -> Loader:
    return create_dataloader(
        SOUSADataset(args.data, "train", "skill_tier", RATE_HZ, config="audio_16k"),
        args.batch_size,
        fixed_length=5 * RATE_HZ,
        drop_last=True,
        device=args.device,
        transfer=transfer,
    )


def endless(loader: Loader) -> Iterator[dict[str, Any]]:
    """Yield the batches of epoch after epoch."""
    while True:
        yield from loader


def now(device: str) -> float:
    """Return the time, in seconds, at which the device has done what it was asked to."""
    if device == "cuda":
        torch.cuda.current_stream().synchronize()  # not the stream that copies ahead
    return time.perf_counter()


def measure(model: nn.Module, loader: Loader, steps: int, device: str) -> Times:
    """Return the times of training steps, after a few that are not counted."""
    optimizer = torch.optim.AdamW(model.parameters())
    criterion = nn.CrossEntropyLoss()
    batches = endless(loader)
    waiting = whole = 0.0
    clips = 0
    for step in range(WARM_UP + steps):
        asked = now(device)
        batch = next(batches)
        given = now(device)
        optimizer.zero_grad()
        criterion(model(batch["waveforms"]), batch["labels"]).backward()
        optimizer.step()
        done = now(device)
        if step >= WARM_UP:
            waiting += given - asked
            whole += done - asked
            clips += len(batch["labels"])
    batches.close()
    return Times(waiting, whole, clips)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder or Hub id")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    args = parser.parse_args(argv)
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, got {args.steps}")
    try:
        loaders = {transfer: load(transfer, args) for transfer in TRANSFERS}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if any(len(loader) == 0 for loader in loaders.values()):
        parser.error(f"--batch-size {args.batch_size} is more than the clips of the train split")
    if args.device == "cpu":
        print("There is no GPU in use: the network and the loader share the processor.")
    print("clips sent as    waiting    ms a step    clips/s")
    for transfer, loader in loaders.items():
        torch.manual_seed(0)
        times = measure(RhythmNet().to(args.device), loader, args.steps, args.device)
        share, step_ms = times.waiting / times.whole, 1e3 * times.whole / args.steps
        print(f"{transfer:13} {share:10.1%} {step_ms:12.2f} {times.clips / times.whole:10,.0f}")


if __name__ == "__main__":
    main()
