"""Checks of audio: does it decode, is it what the row says, and does one hear the strokes?

Every check takes a `Clip` and yields a message for each thing that is wrong.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from sousa.builders import encoding, hearing
from sousa.builders.schema import CONFIG_RATES, SAMPLE_RATE
from sousa.builders.view import Rows

Wrong = Iterator[str]

SILENCE_DBFS: Final = -60.0
"""A clip whose loudest sample is below this is silent: single strokes peak above -40."""

MOST_CLIPPED: Final = 10
"""Samples at full scale that chance may leave; a clipped stroke has many."""

RESAMPLED_STEPS: Final = 2
"""Steps of 16 bits by which two ways of rounding the same resampled audio may differ."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The audio of a row, and what the row says of it.

    Attributes:
        file: The encoded bytes.
        rate_hz: The rate of its config.
        duration_sec: As the row has it.
        strokes: Times, velocities and kinds of the strokes, by field; empty where unknown.
        original: The same row's samples at 44.1 kHz, where they are to be compared.
    """

    file: bytes | None
    rate_hz: int
    duration_sec: float
    strokes: dict[str, NDArray[Any]]
    original: NDArray[np.int16] | None = None


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


def check_format(clip: Clip, audio: Decoded) -> Wrong:
    """Find audio of another rate, width, number of channels or length."""
    kind = (audio.rate_hz, audio.samples.shape[1], audio.subtype)
    if kind != (clip.rate_hz, 1, "PCM_16"):
        yield f"must be {(clip.rate_hz, 1, 'PCM_16')} (rate, channels, coding), is {kind}"
    frames = len(audio.samples)
    if frames != audio.stated:
        yield f"ends after {frames} of {audio.stated} samples"
    if abs(frames / audio.rate_hz - clip.duration_sec) > 1 / audio.rate_hz:
        yield f"is {frames / audio.rate_hz:.4f} s long, duration_sec is {clip.duration_sec:.4f}"


def check_level(_: Clip, audio: Decoded) -> Wrong:
    """Find audio that is silent or clipped."""
    samples = audio.samples
    low, high = (int(samples.min()), int(samples.max())) if samples.size else (0, 0)
    peak = max(-low, high) / encoding.FULL_SCALE
    peak_dbfs = 20 * np.log10(max(peak, 1e-10))
    if peak_dbfs < SILENCE_DBFS:
        yield f"is silent: its peak is {peak_dbfs:.0f} dBFS"
    full = encoding.FULL_SCALE - 1
    if max(-low, high) >= full:
        clipped = int(np.count_nonzero((samples >= full) | (samples <= -full)))
        if clipped > MOST_CLIPPED:
            yield f"is clipped: {clipped} samples are at full scale"


def check_onsets(clip: Clip, audio: Decoded) -> Wrong:
    """Find audio that does not sound at its strokes."""
    heard = hearing.listen(audio.samples[:, 0], audio.rate_hz, clip.strokes)
    if heard is not None:
        yield from heard.refusals()


def check_prepared(clip: Clip, audio: Decoded) -> Wrong:
    """Find prepared audio that is not the original at another rate."""
    if clip.original is None:
        return
    expected = encoding.resample(clip.original, SAMPLE_RATE, clip.rate_hz)
    found = audio.samples[:, 0]
    if len(found) != len(expected):
        yield f"has {len(found)} samples, the resampled original {len(expected)}"
        return
    steps = int(np.max(np.abs(found.astype(np.int32) - expected), initial=0))
    if steps > RESAMPLED_STEPS:
        yield f"differs from the resampled original by {steps} steps of 16 bits"


AUDIO_CHECKS: Final[dict[str, Callable[[Clip, Decoded], Wrong]]] = {
    "audio": check_format,
    "level": check_level,
    "onsets": check_onsets,
    "audio_16k": check_prepared,
}


Verdict = list[tuple[str, list[str]]]
"""Names of checks, each with what it found."""


def judge_pair(clip: Clip, prepared: Clip | None) -> tuple[Verdict, Verdict]:
    """Judge a clip, and the same row's prepared audio, which must be the clip's at its rate."""
    audio, verdict = judge(clip)
    if prepared is None:
        return verdict, []
    original = audio.samples[:, 0] if audio else None
    return verdict, judge(replace(prepared, strokes={}, original=original))[1]


def judge(clip: Clip) -> tuple[Decoded | None, Verdict]:
    """Decode a clip and go through the checks that apply to it.

    Returns:
        What was decoded, and what was found. A file that cannot be decoded is a finding of the
        first check.
    """
    try:
        audio = decode(clip.file)
    except ValueError as error:
        return None, [("audio", [str(error)])]
    applies = {"onsets": bool(clip.strokes), "audio_16k": clip.original is not None}
    checks = [(name, check) for name, check in AUDIO_CHECKS.items() if applies.get(name, True)]
    return audio, [(name, list(check(clip, audio))) for name, check in checks]


def clip_of(rows: Rows, row: int) -> Clip:
    """Return the clip of a row of a config with audio."""
    fields = rows.strokes.fields if "strokes" in rows else {}
    part = slice(*rows.strokes.starts[row : row + 2]) if fields else slice(0)
    return Clip(
        file=rows.table["audio"][row]["bytes"].as_py(),
        rate_hz=CONFIG_RATES[rows.config],
        duration_sec=float(rows["duration_sec"][row]),
        strokes={name: cell[part] for name, cell in fields.items()},
    )
