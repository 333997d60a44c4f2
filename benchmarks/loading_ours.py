"""Our loader as its users have it, through its public names; and its innermost loop alone."""

import time
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from loading_limits import RATE_HZ, batches_without_end, threads_rate
from loading_rounds import Entrant, loader_rate

from sousa.loaders import Loader, SOUSADataset, create_dataloader
from sousa.loaders.decode import Decoder
from sousa.loaders.padded import write_floats
from sousa.loaders.sound import FULL_SCALE, Sound
from sousa.loaders.waves import Waves

BATCH_SIZE = 32
WORKERS = (1, 2)


def our_loader(
    folder: Path,
    workers: int,
    *,
    streaming: bool,
    config: str = "audio_16k",
    normalize: bool = False,
    **options: Any,
) -> Loader:
    dataset = SOUSADataset(
        folder,
        "train",
        "skill_tier",
        RATE_HZ,
        normalize_audio=normalize,
        config=config,
        streaming=streaming,
    )
    return create_dataloader(dataset, BATCH_SIZE, num_workers=workers, **options)


def ours(name: str, folder: Path, **options: Any) -> Entrant:
    """Return our loader as one that trains epoch after epoch."""
    loaders: dict[int, Loader] = {}

    def rate(workers: int, seconds: float) -> float:
        if workers not in loaders:
            loaders[workers] = our_loader(folder, workers, **options)
            for _ in loaders[workers]:
                pass
        return loader_rate(loaders[workers], seconds)

    return Entrant(f"ours, {name}", rate, WORKERS)


def ours_at_first(name: str, folder: Path, **options: Any) -> Entrant:
    """Return our loader in its first epoch, in which it maps the files: a new one each time."""

    def rate(workers: int, seconds: float) -> float:
        return loader_rate(our_loader(folder, workers, **options), seconds)

    return Entrant(f"ours, {name}", rate, WORKERS)


def kernel(clips: list[npt.NDArray[np.int16]]) -> Entrant:
    """Return the loop that writes our batches, alone: into one batch a thread, over and over."""
    longest = max(map(len, clips))

    def steps(thread: int) -> Iterator[int]:
        rows = np.zeros((BATCH_SIZE, longest), np.float32)
        mask = np.zeros(rows.shape, np.bool_)
        waves = Waves(Decoder(), normalize=False)
        sounds = [Sound(clip, FULL_SCALE, RATE_HZ) for clip in clips]
        for places in batches_without_end(len(clips), BATCH_SIZE, thread):
            chosen = [sounds[place] for place in places]
            write_floats(waves, chosen, [len(sound.samples) for sound in chosen], rows, mask)
            yield BATCH_SIZE

    return Entrant("kernel of ours, alone", partial(threads_rate, steps), (1, 2))


def state_late(folder: Path, *, streaming: bool) -> dict[str, Any]:
    """Return the state of a loader at 90 % of an epoch."""
    loader = our_loader(folder, 2, streaming=streaming)
    for _, _ in zip(range(len(loader) * 9 // 10), loader, strict=False):
        pass
    return loader.state_dict()


def seconds_to_start(
    folder: Path, state: dict[str, Any], *, streaming: bool
) -> tuple[float, float, float]:
    """Return how long it takes to open data, to have a first batch, and to have one late."""
    began = time.perf_counter()
    loader = our_loader(folder, 2, streaming=streaming)
    opening = time.perf_counter() - began
    first = seconds_to_batch(loader, None)
    return opening, first, seconds_to_batch(our_loader(folder, 2, streaming=streaming), state)


def seconds_to_batch(loader: Loader, state: dict[str, Any] | None) -> float:
    """Return the wait for a first batch; what it takes to stop afterwards is not in it."""
    began = time.perf_counter()
    if state is not None:
        loader.load_state_dict(state)
    batches = iter(loader)
    next(batches)
    return time.perf_counter() - began


def time_spent(folder: Path) -> str:
    """Return what a loader says of itself after a pass over a stream."""
    loader = our_loader(folder, 2, streaming=True)
    for _ in loader:
        pass
    stats = loader.stats()
    said = {field.name: getattr(stats, field.name) for field in fields(stats)}
    return ", ".join(f"{name} {value:.6g}" for name, value in said.items() if name != "skipped")
