"""Audio files of any kind, as libsndfile reads them."""

import io
import os
import threading
from collections.abc import Callable
from typing import Final

import numpy as np
import soundfile

from sousa.loaders.chunks import Clip
from sousa.loaders.sound import Wave, mono


class Memory:
    """A file in memory."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("clip")
        self.pid = os.getpid()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        """Close it; a forked process has a descriptor of its own."""
        close(self.descriptor)


class Scratch(threading.local):
    """A file in memory for each thread, from which libsndfile reads without asking Python."""

    memory: Memory | None = None

    def descriptor(self) -> int:
        """Return the file of this thread of this process."""
        if self.memory is None or self.memory.pid != os.getpid():  # the place in it would be shared
            self.memory = Memory()
        return self.memory.descriptor


SCRATCH: Final = Scratch()


def opened(clip: Clip) -> soundfile.SoundFile:
    """Return an encoded file as libsndfile has it.

    Raises:
        soundfile.LibsndfileError: If it is none.
    """
    if not hasattr(os, "memfd_create"):  # Linux has it
        return soundfile.SoundFile(io.BytesIO(clip))
    descriptor = SCRATCH.descriptor()
    os.pwrite(descriptor, clip, 0)
    os.ftruncate(descriptor, len(clip))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return soundfile.SoundFile(descriptor, closefd=False)


def read(file: soundfile.SoundFile, part: slice) -> Wave:
    """Return some frames of a file, the mean of their channels, `(T,)`.

    Raises:
        ValueError: If the file ends early, or holds NaN or infinite samples.
        soundfile.LibsndfileError: If it is damaged.
    """
    frames = part.stop - part.start
    if part.start:
        file.seek(part.start)
    samples = file.read(frames, dtype="float32", always_2d=True)
    if len(samples) < frames:
        raise ValueError(f"audio ends after {part.start + len(samples)} of {file.frames} samples")
    if not np.isfinite(samples).all():
        raise ValueError("audio holds NaN or infinite samples")
    return np.asarray(mono(samples), np.float32)
