"""Recordings in a folder: which there are, and their samples as they are stored here."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from sousa.builders.encoding import quantise
from sousa.builders.midi_listing import Listed
from sousa.builders.schema import SAMPLE_RATE

FORMATS: Final = {
    ".wav": ("WAV", "WAVEX", "RF64"),
    ".flac": ("FLAC",),
    ".ogg": ("OGG",),
    ".oga": ("OGG",),
    ".opus": ("OGG",),
    ".mp3": ("MP3", "MPEG"),
}
"""What libsndfile may find in files by the endings of their names, in small letters."""

BLOCK_SAMPLES: Final = 1 << 20
"""Samples of all channels that are decoded at a time, before their channels become one."""

SHORTEST_SEC: Final = 0.001
"""A row is at least so long: what is shorter may be no sample at another rate."""

SIZE_UNKNOWN: Final = (0, 0xFFFFFFFF)
"""Sizes that a program writes into a WAV file whose end it does not know yet."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A decoded recording.

    Attributes:
        samples: Mono, at `SAMPLE_RATE`.
        rate_hz: Of the file.
        channels: Of the file.
    """

    samples: NDArray[np.int16]
    rate_hz: int
    channels: int

    def sha256(self) -> str:
        """Return the digest of the samples as little-endian bytes."""
        return hashlib.sha256(self.samples.astype("<i2").tobytes()).hexdigest()


def recordings(root: Path, left_out: Path) -> Iterator[Listed]:
    """Yield the recordings below a folder, by their paths; folders are not followed by links.

    Args:
        root: The folder.
        left_out: A folder that is passed over: that of the dataset, which may lie in `root`.

    Raises:
        OSError: If `root` itself cannot be read.
    """
    os.scandir(root).close()
    unread: list[Listed] = []

    def note(error: OSError) -> None:
        path = Path(error.filename).relative_to(root).as_posix()
        unread.append(Listed(path, reason=f"unreadable folder: {error.strerror}"))

    for folder, below, names in os.walk(root, onerror=note):
        at = Path(folder)
        below[:] = sorted(name for name in below if not _is_same(at / name, left_out))
        for name in [*names, *(name for name in below if (at / name).is_symlink())]:
            path = at / name
            listed = path.relative_to(root).as_posix()
            if path.is_symlink() and path.is_dir():
                unread.append(Listed(listed, reason="link to a folder, which is not followed"))
            elif path.suffix.lower() in FORMATS:
                unread.append(_listed(path, listed))
    yield from sorted(unread, key=lambda each: os.fsencode(each.path))


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _listed(path: Path, listed: str) -> Listed:
    try:
        size = path.stat().st_size
    except OSError as error:  # such as a link that leads nowhere, or to itself
        return Listed(listed, reason=f"unreadable: {error.strerror}")
    if not path.is_file():
        return Listed(listed, reason="not a regular file")
    return Listed(listed, size)


def check_inside(root: Path, path: str) -> None:
    """Refuse a path that a link leads out of a folder.

    Raises:
        ValueError: If it does.
        OSError: If it leads nowhere.
    """
    try:
        target = (root / path).resolve(strict=True)
    except RuntimeError as error:  # a link to itself, before Python 3.13
        raise ValueError("a link that leads to itself") from error
    if not target.is_relative_to(root.resolve()):
        raise ValueError("a link that leads out of the folder")


def decoded(root: Path, path: str, max_sec: float) -> Recording:
    """Read a recording: the mean of its channels, at `SAMPLE_RATE`, in 16 bits.

    Args:
        root: The folder.
        path: From it.
        max_sec: How long it may be; memory follows it.

    Raises:
        OSError: If it cannot be read.
        ValueError: If there is no sound in it that can be decoded, or not that of its ending.
    """
    check_inside(root, path)
    file = root / path
    if not file.stat().st_size:
        raise ValueError("empty: 0 bytes")
    try:
        with soundfile.SoundFile(os.fsencode(file)) as opened:
            _check_format(file, opened.format)
            mono = _mono(opened, max_sec)
            rate_hz, channels = opened.samplerate, opened.channels
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        raise ValueError(f"cannot be decoded: {reason}") from error
    if rate_hz != SAMPLE_RATE:
        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE, quality="HQ")
    samples = quantise(mono)
    if (seconds := len(samples) / SAMPLE_RATE) < SHORTEST_SEC:
        raise ValueError(f"too short: {1000 * seconds:.2g} ms, must be at least 1 ms")
    return Recording(samples, rate_hz, channels)


def _check_format(file: Path, found: str) -> None:
    allowed = FORMATS[file.suffix.lower()]
    if found not in allowed:
        raise ValueError(f"its name ends in {file.suffix}, and it holds {found}")
    if found == "WAV" and (missing := _missing_bytes(file)):
        raise ValueError(f"cut off: {missing} bytes of its samples are missing")


def _mono(opened: soundfile.SoundFile, max_sec: float) -> NDArray[np.float32]:
    """Read a file block by block, so that only one channel of it is ever held."""
    frames = opened.frames
    if not frames:
        raise ValueError("empty: 0 samples")
    if frames > max_sec * opened.samplerate:
        seconds = frames / opened.samplerate
        raise ValueError(f"too long: {seconds:.0f} s, against --max-sec {max_sec:g}")
    mono = np.empty(frames, np.float32)
    filled, most = 0, max(1, BLOCK_SAMPLES // opened.channels)
    while filled < frames:
        block = opened.read(min(most, frames - filled), dtype="float32", always_2d=True)
        if not len(block):
            break
        if not np.isfinite(block).all():
            raise ValueError(f"has samples that are no numbers, near {filled}")
        mono[filled : filled + len(block)] = block.mean(axis=1)
        filled += len(block)
    if filled < frames and opened.format == "FLAC":
        raise ValueError(f"cut off: it has {filled} of {frames} samples")
    return mono[:filled]


def _missing_bytes(file: Path) -> int:
    """Return how many bytes of its samples a RIFF WAV file lacks."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        if opened.read(4) != b"RIFF":
            return 0
        at = 12
        while at + 8 <= size:
            opened.seek(at)
            header = opened.read(8)
            length = int.from_bytes(header[4:], "little")
            if header[:4] == b"data":
                return 0 if length in SIZE_UNKNOWN else max(0, at + 8 + length - size)
            at += 8 + length + length % 2
    return 0
