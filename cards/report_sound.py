"""The audio of a clip to what a page plays and shows: a file for browsers, peaks, a spectrogram."""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from sousa.builders.schema import PREPARED_RATE

PLAYED: Final = {"FLAC": "audio/flac", "WAV": "audio/wav", "MP3": "audio/mpeg"}
"""Formats that every browser plays, by their names in libsndfile."""

PLAYED_AS: Final = frozenset(
    {"PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "MPEG_LAYER_III"}
)
"""Ways to store samples that every browser plays."""

LARGEST_BYTES: Final = 400_000
"""Of a file that is put into the page as it is."""

EXCERPT_SEC: Final = 20.0
"""Of a recording, what is played and shown."""

PEAKS: Final = 4000
"""Points of a waveform."""

WINDOW_SEC: Final = 0.023
"""Of the Fourier transform: some two wavelengths of the lowest mode of a snare drum."""

MEL_BANDS: Final = 96
MOST_FRAMES: Final = 900
RANGE_DB: Final = 70.0
"""Between the darkest and the lightest colour of a spectrogram."""

SHADES: Final = 32
INFERNO: Final = ("000004", "210c4a", "57106e", "8a226a", "bc3754", "e45a31", "f98e09", "f9cb35")
"""Every eighth of matplotlib's colour map of that name, without the last; its colours stay in order
for the colour-blind, and in grey."""


class SilentError(ValueError):
    """Audio that cannot be decoded, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What a page plays and shows of a clip.

    Attributes:
        content: An audio file.
        media_type: Its type.
        seconds: Its length.
        rate_hz: Its sample rate.
        note: What was done to it; empty if it is as stored.
        peaks: Lowest and highest sample of each of `PEAKS` equal parts, `(2, PEAKS)` int8, the
            loudest 127.
        spectrogram: A PNG, low frequencies below.
        ticks_khz: Share of its height, from below, of some frequencies in kHz.
    """

    content: bytes
    media_type: str
    seconds: float
    rate_hz: int
    note: str
    peaks: NDArray[np.int8]
    spectrogram: bytes
    ticks_khz: tuple[tuple[float, float], ...]


def sound(content: bytes) -> Sound:
    """Return what a page shows of an audio file; no more than `EXCERPT_SEC` is decoded.

    Raises:
        SilentError: If it cannot be decoded or holds no samples.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as opened:
            rate, total = int(opened.samplerate), int(opened.frames)
            kind, stored = str(opened.format), str(opened.subtype)
            read = opened.read(int(EXCERPT_SEC * rate), dtype="float32", always_2d=True)
    except (RuntimeError, ValueError) as error:
        raise SilentError(f"its audio cannot be decoded: {error}") from error
    wave = np.nan_to_num(read.mean(axis=1, dtype=np.float32))
    if not len(wave):
        raise SilentError("its audio holds no samples")
    seconds, note = len(wave) / rate, ""
    played = kind in PLAYED and stored in PLAYED_AS
    if not played or len(content) > LARGEST_BYTES or len(wave) < total:
        note = _what_was_done(len(wave) < total, total / rate, rate)
        content, kind = _small(wave, rate), "FLAC"
    picture, ticks = spectrogram(wave, rate)
    return Sound(
        content=content,
        media_type=PLAYED[kind],
        seconds=seconds,
        rate_hz=rate,
        note=note,
        peaks=peaks(wave),
        spectrogram=picture,
        ticks_khz=ticks,
    )


def _what_was_done(cut: bool, seconds: float, rate: int) -> str:  # noqa: FBT001 - of two, private
    what = f"the first {EXCERPT_SEC:g} s of {seconds:.0f} s, " if cut else ""
    return f"{what}played in mono at {min(rate, PREPARED_RATE)} Hz to keep this page small"


def _small(wave: NDArray[np.float32], rate: int) -> bytes:
    if rate > PREPARED_RATE:
        wave, rate = soxr.resample(wave, rate, PREPARED_RATE), PREPARED_RATE
    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1, 1), rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def peaks(wave: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return the lowest and highest sample of equal parts, `(2, PEAKS)`, the loudest 127.

    >>> peaks(np.array([0.5, -0.25], np.float32))[:, [0, -1]].tolist()
    [[127, -64], [127, -64]]
    """
    bounds = np.linspace(0, len(wave), PEAKS + 1)[:-1].astype(np.int64)
    loudest = float(np.abs(wave).max()) or 1.0
    both = np.stack([np.minimum.reduceat(wave, bounds), np.maximum.reduceat(wave, bounds)])
    return np.round(both / loudest * 127).astype(np.int8)


def spectrogram(
    wave: NDArray[np.float32], rate: int
) -> tuple[bytes, tuple[tuple[float, float], ...]]:
    """Return a spectrogram in mel bands as a PNG, and where some frequencies are in it."""
    width = max(16, round(WINDOW_SEC * rate))
    hop = max(1, round(rate / 200), -(-len(wave) // MOST_FRAMES))
    padded = np.pad(wave, (0, max(0, width - len(wave))))
    transform = ShortTimeFFT(hann(width, sym=False), hop, rate, mfft=2 * width)
    frames = transform.p_num(len(wave)) if len(wave) >= width else 1
    power = np.abs(transform.stft(padded, p0=0, p1=max(1, min(frames, -(-len(wave) // hop)))))
    bins = power.astype(np.float32) ** 2
    top = rate / 2
    edges = _hertz(np.linspace(_mel(min(40.0, top / 4)), _mel(top), MEL_BANDS + 1))
    starts = np.minimum(edges / top * (len(bins) - 1), len(bins) - 1).astype(np.int64)
    widths = np.maximum(np.diff(starts), 1)[:, None]
    bands = np.add.reduceat(bins, starts[:-1], axis=0) / widths
    level = 10 * np.log10(bands + 1e-12)
    shade = (level - level.max() + RANGE_DB) / RANGE_DB * (SHADES - 1)
    image = np.clip(np.round(shade), 0, SHADES - 1).astype(np.uint8)[::-1]
    marks = [hz for hz in (100, 200, 500, 1000, 2000, 5000, 10_000) if edges[0] < hz < top * 0.95]
    low, high = _mel(edges[0]), _mel(top)
    ticks = tuple((hz / 1000, round((_mel(hz) - low) / (high - low), 4)) for hz in marks)
    return png(image, palette()), ticks


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


def palette() -> NDArray[np.uint8]:
    """Return the colours of the shades, `(SHADES, 3)`, dark to light."""
    anchors = np.array([list(bytes.fromhex(colour)) for colour in INFERNO], np.float64)
    places = np.linspace(0, len(anchors) - 1, SHADES)
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


def png(image: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """Return an indexed image, `(height, width)`, with its palette, `(n, 3)`, as a PNG file."""
    height, width = image.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), image], axis=1)  # 0: no filter
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": colours.tobytes(),
        b"IDAT": zlib.compress(lines.tobytes(), 9),
        b"IEND": b"",
    }
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
