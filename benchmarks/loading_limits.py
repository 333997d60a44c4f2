"""What no loader can pass: converting, and decoding and resampling, with nothing around them."""

import io
import itertools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import torch
from loading_rounds import Entrant

Pcm = npt.NDArray[np.int16]
Batch = npt.NDArray[np.float32]

SCALE = np.float32(1 / 32768)
RATE_HZ = 16_000


def multiply(batch: Batch, clips: list[Pcm]) -> None:
    for row, clip in zip(batch, clips, strict=True):
        np.multiply(clip, SCALE, out=row[: len(clip)])
        row[len(clip) :] = 0


def copy_then_scale_clip(batch: Batch, clips: list[Pcm]) -> None:
    for row, clip in zip(batch, clips, strict=True):
        part = row[: len(clip)]
        np.copyto(part, clip)
        np.multiply(part, SCALE, out=part)
        row[len(clip) :] = 0


def copy_then_scale_batch(batch: Batch, clips: list[Pcm]) -> None:
    for row, clip in zip(batch, clips, strict=True):
        np.copyto(row[: len(clip)], clip)
        row[len(clip) :] = 0
    np.multiply(batch, SCALE, out=batch)


def torch_copy_then_scale(batch: Batch, clips: list[Pcm]) -> None:
    for row, clip in zip(torch.from_numpy(batch), clips, strict=True):
        row[: len(clip)].copy_(torch.from_numpy(clip)).mul_(1 / 32768)
        row[len(clip) :] = 0


def torch_multiply(batch: Batch, clips: list[Pcm]) -> None:
    scale = torch.tensor(1 / 32768)
    for row, clip in zip(torch.from_numpy(batch), clips, strict=True):
        torch.mul(torch.from_numpy(clip), scale, out=row[: len(clip)])
        row[len(clip) :] = 0


WAYS = (
    multiply,
    copy_then_scale_clip,
    copy_then_scale_batch,
    torch_copy_then_scale,
    torch_multiply,
)


def conversion(clips: list[Pcm], batch_size: int) -> list[Entrant]:
    """Return the ways to make padded float32 batches of int16 clips that lie in memory."""
    longest = max(map(len, clips))

    def entrant(way: Callable[[Batch, list[Pcm]], None]) -> Entrant:
        def steps(thread: int) -> Iterator[int]:
            buffer = np.zeros(batch_size * longest, np.float32)
            for places in batches_without_end(len(clips), batch_size, thread):
                chosen = [clips[place] for place in places]
                length = max(map(len, chosen))
                way(buffer[: batch_size * length].reshape(batch_size, length), chosen)
                yield batch_size

        return Entrant(
            f"limit: {way.__name__.replace('_', ' ')}",
            lambda threads, seconds: threads_rate(steps, threads, seconds),
            (1, 2),
        )

    return [entrant(way) for way in WAYS]


def decoding(encoded: list[bytes]) -> list[Entrant]:
    """Return the ways to decode by soundfile and resample by soxr what lies in memory."""

    def from_bytes(thread: int) -> Iterator[int]:
        for (place,) in batches_without_end(len(encoded), 1, thread):
            resampled(*soundfile.read(io.BytesIO(encoded[place]), dtype="float32"))
            yield 1

    def from_memory_file(thread: int) -> Iterator[int]:
        # libsndfile reads a descriptor by itself, bytes through Python and its lock.
        descriptor = os.memfd_create("clip")
        try:
            for (place,) in batches_without_end(len(encoded), 1, thread):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, encoded[place], 0)
                os.lseek(descriptor, 0, os.SEEK_SET)
                with soundfile.SoundFile(descriptor, closefd=False) as file:
                    resampled(file.read(dtype="float32"), file.samplerate)
                yield 1
        finally:
            os.close(descriptor)

    def entrant(name: str, way: Callable[[int], Iterator[int]]) -> Entrant:
        return Entrant(name, lambda threads, seconds: threads_rate(way, threads, seconds), (2,))

    found = [entrant("limit: soundfile, soxr", from_bytes)]
    if hasattr(os, "memfd_create"):  # on Linux
        found.append(entrant("limit: soundfile from a memory file, soxr", from_memory_file))
    return found


def resampled(wave: npt.NDArray[np.float32], rate_hz: int) -> npt.NDArray[np.float32]:
    """Return a waveform at 16 kHz."""
    return wave if rate_hz == RATE_HZ else soxr.resample(wave, rate_hz, RATE_HZ, quality="HQ")


def batches_without_end(rows: int, batch_size: int, seed: int) -> Iterator[list[int]]:
    """Return shuffled batches of row numbers, epoch after epoch, all of them full."""
    for epoch in itertools.count():
        order = np.random.default_rng([seed, epoch]).permutation(rows)
        yield from order[: rows // batch_size * batch_size].reshape(-1, batch_size).tolist()


def threads_rate(steps: Callable[[int], Iterator[int]], threads: int, seconds: float) -> float:
    """Return the clips per second of some threads together, each doing steps of some clips."""

    def run(thread: int) -> float:
        clips = 0
        began = time.perf_counter()
        for done in steps(thread):
            clips += done
            if time.perf_counter() - began > seconds:
                break
        return clips / (time.perf_counter() - began)

    used = torch.get_num_threads()
    torch.set_num_threads(1)  # the threads are ours
    try:
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(run, range(threads)))
    finally:
        torch.set_num_threads(used)
