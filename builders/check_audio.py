"""Checks of audio: does it decode, is it what the row says, and does one hear the strokes?

Every check takes a `Clip` and what was decoded, and returns what it measured and a message for each
thing that is wrong.
"""

import hashlib
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from sousa.builders import encoding, hearing
from sousa.builders.findings import Figure
from sousa.builders.recorded import Recorded
from sousa.builders.schema import SAMPLE_RATE
from sousa.builders.view import Rows

SILENCE_DBFS: Final = -60.0
"""A clip whose loudest sample is below this is silent: single strokes peak above -40."""

MOST_CLIPPED: Final = 10
"""Samples at full scale that chance may leave; a clipped stroke has many."""

LOUDNESS_DBFS: Final = (-60.0, -6.0)
"""Level of a clip that is neither lost in 16 bits nor squashed: of 1,200 built clips the quietest
has -45, the loudest -13; noise at full scale has -4.8, a square wave 0."""

BLOCK_SEC: Final = 0.4
"""Length of the blocks whose level is taken, as in ITU-R BS.1770."""

GATE_DB: Final = 10.0
"""Blocks that are this much below the mean of all do not count, as there."""

RESAMPLED_STEPS: Final = 2
"""Steps of 16 bits by which two ways of rounding the same resampled audio may differ."""


class Judged(NamedTuple):
    """What a check says of a clip.

    Attributes:
        value: What it measured; NaN where there was nothing to measure.
        messages: What is wrong.
    """

    value: float
    messages: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The audio of a row, and what the row says of it.

    Attributes:
        file: The encoded bytes.
        recorded: How its config stores audio.
        duration_sec: As the row has it; NaN where it does not say.
        strokes: Times, velocities and kinds of the strokes, by field; empty where unknown.
        original: The same row's samples at 44.1 kHz, where they are to be compared.
        sha256: Of the samples, where the row says it.
    """

    file: bytes | None
    recorded: Recorded
    duration_sec: float
    strokes: dict[str, NDArray[Any]]
    original: NDArray[np.int16] | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What an audio file holds.

    Attributes:
        samples: `(samples, channels)`, int16.
        rate_hz: Samples per second.
        stated: Samples by the file's header.
        subtype: How they are coded, as libsndfile calls it.
    """

    samples: NDArray[np.int16]
    rate_hz: int
    stated: int
    subtype: str


def decode(file: bytes | None) -> Decoded:
    """Decode an audio file.

    Raises:
        ValueError: If there is none, or it is damaged.
    """
    if not file:
        raise ValueError("there is no audio")
    try:
        with soundfile.SoundFile(io.BytesIO(file)) as opened:
            samples = opened.read(dtype="int16", always_2d=True)
            return Decoded(samples, opened.samplerate, opened.frames, opened.subtype)
    except soundfile.SoundFileError as error:
        raise ValueError(f"the audio cannot be decoded: {error}") from error


def check_format(clip: Clip, audio: Decoded) -> Judged:
    """Find audio of another rate, width, number of channels or length."""
    wrong = []
    kind: tuple[int | str, ...] = (audio.rate_hz, audio.samples.shape[1], audio.subtype)
    must: tuple[int | str, ...] = (clip.recorded.rate_hz, 1, "PCM_16")
    if clip.recorded.freely:
        kind, must = kind[:1], must[:1]
    if kind != must:
        wrong.append(f"must be {must} (rate, channels, coding), is {kind}")
    frames = len(audio.samples)
    if frames != audio.stated:
        wrong.append(f"ends after {frames} of {audio.stated} samples")
    off_sec = frames / audio.rate_hz - clip.duration_sec
    if abs(off_sec) > 1 / audio.rate_hz:
        found = f"is {frames / audio.rate_hz:.4f} s long"
        wrong.append(f"{found}, duration_sec is {clip.duration_sec:.4f}")
    if clip.sha256 and hashlib.sha256(audio.samples.astype("<i2").data).hexdigest() != clip.sha256:
        wrong.append("the samples are not those of audio_sha256")
    return Judged(1000 * off_sec, wrong)


def check_level(_: Clip, audio: Decoded) -> Judged:
    """Find audio that is silent or clipped."""
    samples = audio.samples
    low, high = (int(samples.min()), int(samples.max())) if samples.size else (0, 0)
    peak = max(-low, high) / encoding.FULL_SCALE
    peak_dbfs = 20 * math.log10(max(peak, 1e-10))
    if peak_dbfs < SILENCE_DBFS:
        return Judged(peak_dbfs, [f"is silent: its peak is {peak_dbfs:.0f} dBFS"])
    full = encoding.FULL_SCALE - 1
    clipped = 0
    if max(-low, high) >= full:
        clipped = int(np.count_nonzero((samples >= full) | (samples <= -full)))
    wrong = [f"is clipped: {clipped} samples are at full scale"] * (clipped > MOST_CLIPPED)
    return Judged(peak_dbfs, wrong)


def check_loudness(_: Clip, audio: Decoded) -> Judged:
    """Find audio that is much softer or louder than a recording of a drum can be."""
    level = level_dbfs(audio.samples[:, 0], audio.rate_hz)
    low, high = LOUDNESS_DBFS
    if level < SILENCE_DBFS - 20 or low <= level <= high:  # silence is found by its peak
        return Judged(level, [])
    return Judged(level, [f"has a level of {level:.0f} dBFS, must lie in [{low:g}, {high:g}]"])


def level_dbfs(samples: NDArray[np.int16], rate_hz: int) -> float:
    """Return the root mean square of what sounds, as that of a full-scale sample is 0 dB.

    Blocks far below the mean are left out (the gate of ITU-R BS.1770; its weighting of
    frequencies, made for programmes, is not applied).
    """
    size = max(1, min(len(samples), int(rate_hz * BLOCK_SEC)))
    whole = samples[: len(samples) // size * size].astype(np.float32).reshape(-1, size)
    power = np.einsum("ij,ij->i", whole, whole) / (size * encoding.FULL_SCALE**2)
    if not power.any():
        return -200.0
    loud = power >= power.mean() * 10 ** (-GATE_DB / 10)
    return float(10 * np.log10(power[loud].mean()))


def check_onsets(clip: Clip, audio: Decoded) -> Judged:
    """Find audio that does not sound at its strokes."""
    heard = hearing.listen(audio.samples[:, 0], audio.rate_hz, clip.strokes)
    return (
        Judged(heard.offset_ms, list(heard.refusals(clip.recorded.most_off_ms)))
        if heard
        else Judged(math.nan, [])
    )


def check_prepared(clip: Clip, audio: Decoded) -> Judged:
    """Find prepared audio that is not the original at another rate."""
    if clip.original is None:
        return Judged(math.nan, [])
    expected = encoding.resample(clip.original, SAMPLE_RATE, clip.recorded.rate_hz)
    found = audio.samples[:, 0]
    if len(found) != len(expected):
        wrong = f"has {len(found)} samples, the resampled original {len(expected)}"
        return Judged(math.nan, [wrong])
    steps = int(np.max(np.abs(found.astype(np.int32) - expected), initial=0))
    wrong = f"differs from the resampled original by {steps} steps of 16 bits"
    return Judged(steps, [wrong] * (steps > RESAMPLED_STEPS))


AUDIO_CHECKS: Final[dict[str, Callable[[Clip, Decoded], Judged]]] = {
    "audio": check_format,
    "level": check_level,
    "loudness": check_loudness,
    "onsets": check_onsets,
    "audio_16k": check_prepared,
}

FIGURES: Final = {
    "audio": Figure("ms longer than duration_sec", "far"),
    "level": Figure("peak dBFS", "max"),
    "loudness": Figure("level dBFS", "min"),
    "onsets": Figure("ms heard after the label", "far"),
    "audio_16k": Figure("steps of 16 bits off"),
}
"""What the checks measure."""

Verdict = dict[str, Judged]
"""What each check says."""


def judge_pair(clip: Clip, prepared: Clip | None) -> tuple[Decoded | None, Verdict, Verdict]:
    """Judge a clip, and the same row's prepared audio, which must be the clip's at its rate.

    Returns:
        What was decoded of the first, and what is to be said of each.
    """
    audio, verdict = judge(clip)
    if prepared is None:
        return audio, verdict, {}
    original = audio.samples[:, 0] if audio else None
    return audio, verdict, judge(replace(prepared, strokes={}, original=original))[1]


def judge(clip: Clip) -> tuple[Decoded | None, Verdict]:
    """Decode a clip and go through the checks that apply to it.

    Returns:
        What was decoded, and what was found. A file that cannot be decoded is a finding of the
        first check.
    """
    try:
        audio = decode(clip.file)
    except ValueError as error:
        return None, {"audio": Judged(math.nan, [str(error)])}
    applies = {"onsets": bool(clip.strokes), "audio_16k": clip.original is not None}
    checks = [(name, check) for name, check in AUDIO_CHECKS.items() if applies.get(name, True)]
    return audio, {name: check(clip, audio) for name, check in checks}


def clips_of(rows: Rows, recorded: Recorded) -> Iterator[Clip]:
    """Yield the clip of each row of a config with audio.

    Args:
        rows: With `audio` and `duration_sec`.
        recorded: How the config stores audio.
    """
    lists = rows.strokes if "strokes" in rows else None
    files = rows.table["audio"].combine_chunks().field("bytes")
    stated = "audio_sha256" in rows and recorded.rate_hz == SAMPLE_RATE
    digests = rows.cells("audio_sha256") if stated else [None] * len(rows)
    for row, duration_sec in enumerate(rows["duration_sec"].tolist()):
        part = slice(*lists.starts[row : row + 2]) if lists else slice(0)
        yield Clip(
            file=files[row].as_py(),
            recorded=recorded,
            duration_sec=duration_sec,
            sha256=digests[row],
            strokes={name: cell[part] for name, cell in lists.fields.items()} if lists else {},
        )
