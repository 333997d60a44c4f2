"""Facts and clips to the figures of a page."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from sousa.builders.schema import SCORE_BEST
from sousa.cards.note_samples import Roll
from sousa.cards.samples import Sample
from sousa.cards.shapes import (
    FAINT,
    INK,
    MARGIN,
    WIDTH,
    across,
    box,
    legend,
    line,
    picture,
    seconds_axis,
    text,
)

WAVE: Final = "#cbd5e1"
HAND_COLOURS: Final = {"R": "#2563eb", "L": "#ea580c"}
TIER_COLOURS: Final = ("#94a3b8", "#60a5fa", "#2563eb", "#1e3a8a")

NOTE_COLOUR, DRUM_COLOUR = TIER_COLOURS[2], HAND_COLOURS["L"]

ROLL: Final = 260
"""Height of all pitches of a file together, in pixels, and of one pitch at most."""
THICKEST: Final = 10

PANEL: Final = 200
"""Height of one clip, as of all that follow in pixels."""
RIDGE: Final = 72
"""Height of one tier."""
LABELS: Final = 130
"""Width of the names of the tiers."""


def clips(samples: Sequence[Sample]) -> str:
    """Return a picture of clips: the sound, and each stroke as notated and as played, or events.

    Raises:
        OSError: If the audio of a clip cannot be decoded.
    """
    shapes = [
        shape
        for number, sample in enumerate(samples)
        for shape in _clip(sample, number * PANEL + MARGIN)
    ]
    bottom = len(samples) * PANEL + MARGIN
    if any(sample.strokes for sample in samples):
        note = "Bars: strokes as played, as high as loud. Ticks below: where the notation has them."
        hands = [("R", "right hand"), ("L", "left hand")]
        shapes += legend([(HAND_COLOURS[hand], name) for hand, name in hands], note, bottom)
    elif any(sample.onsets_ms for sample in samples):
        shapes += legend([], "Ticks below: where events begin.", bottom)
    return picture(shapes, bottom + 20, "Waveform and events of the samples")


def notes(roll: Roll) -> str:
    """Return a picture of the notes of a MIDI file, by pitch and time."""
    low, high = min(roll.pitches), max(roll.pitches)
    step = min(THICKEST, ROLL / (high - low + 1))
    floor = MARGIN + step * (high - low + 1)
    shapes = [
        box(
            across(start, roll.seconds),
            floor - step * (pitch - low),
            max(2.0, across(end, roll.seconds) - across(start, roll.seconds) - 1),
            max(1.0, step - 1),
            DRUM_COLOUR if is_drum else NOTE_COLOUR,
        )
        for start, end, pitch, is_drum in zip(
            roll.starts_sec, roll.ends_sec, roll.pitches, roll.are_drums, strict=True
        )
    ]
    shapes += seconds_axis(roll.seconds, floor + 20)
    kinds = [(NOTE_COLOUR, "pitched"), (DRUM_COLOUR, "drums")]
    shapes += legend(kinds, f"Up: pitch, {low} to {high}. A box is a note.", floor + 46)
    return picture(shapes, floor + 60, "Notes of a MIDI file")


def scores(overall: Mapping[str, Sequence[int]]) -> str:
    """Return a picture of how `overall_score` is distributed in each tier.

    Args:
        overall: Rows in each of equal bins from 0 to the best score, by tier.
    """
    shapes = [text(MARGIN, 32, "overall_score by skill tier: share of the tier's clips", size=15)]
    right, top = WIDTH - MARGIN, 50
    highest = max((max(rows) / (sum(rows) or 1) for rows in overall.values()), default=1.0) or 1.0
    for place, (tier, rows) in enumerate(overall.items()):
        base = top + (place + 1) * RIDGE
        step = (right - LABELS) / len(rows)
        most = highest * sum(rows)
        colour = TIER_COLOURS[place % len(TIER_COLOURS)]
        shapes.append(text(MARGIN, base - 8, tier))
        shapes += [
            box(LABELS + number * step + 1, base, step - 2, (RIDGE - 14) * count / most, colour)
            for number, count in enumerate(rows)
            if count
        ]
        shapes.append(line(LABELS, base, right, base, FAINT))
    bottom = top + len(overall) * RIDGE
    best = SCORE_BEST["overall_score"]
    for tick in range(0, 101, 20):
        left = LABELS + (right - LABELS) * tick / 100
        shapes.append(text(left, bottom + 20, f"{best * tick / 100:g}", anchor="middle"))
    return picture(shapes, bottom + 34, "Distribution of overall_score in each skill tier")


def _clip(sample: Sample, top: float) -> Iterable[str]:
    """Yield a clip's title, waveform and strokes, `PANEL` high."""
    wave, rate = _decoded(sample)
    seconds = max(len(wave) / rate, 1e-3)
    middle, half = top + 95, 55
    yield text(MARGIN, top + 14, title(sample), size=15)
    yield _envelope(wave, middle, half)
    fields = sample.strokes
    played = fields.get("actual_time_ms", [])
    loud = fields.get("actual_velocity", [])
    hands = fields.get("hand", [])
    for time_ms, velocity, hand in zip(played, loud, hands, strict=False):
        if None in (time_ms, velocity, hand):
            continue
        name = sample.hands[hand] if 0 <= hand < len(sample.hands) else ""
        colour = HAND_COLOURS.get(name, INK)
        left, floor = across(time_ms / 1000, seconds), middle + half
        yield line(left, floor, left, floor - 2 * half * velocity / 127, colour, 2)
    for time_ms in fields.get("intended_time_ms", sample.onsets_ms):
        if time_ms is not None:
            left = across(time_ms / 1000, seconds)
            yield line(left, middle + half + 3, left, middle + half + 10, INK)
    yield from seconds_axis(seconds, middle + half + 26)


def title(sample: Sample) -> str:
    """Return what a clip is, in a few words; empty if nothing is known of it."""
    labels = sample.labels
    words = [labels[n].replace("_", " ") for n in ("skill_tier", "rudiment_slug") if labels.get(n)]
    numbers = (("tempo_bpm", "{:g} quarter notes per minute"), ("overall_score", "score {:.0f}"))
    words += [form.format(labels[name]) for name, form in numbers if labels.get(name) is not None]
    return ", ".join([*words, *sample.classes])


def _decoded(sample: Sample) -> tuple[NDArray[np.float32], int]:
    try:
        wave, rate = soundfile.read(io.BytesIO(sample.content), dtype="float32", always_2d=True)
    except RuntimeError as error:
        raise OSError(f"{sample.where}: its audio cannot be decoded; {error}") from error
    return wave.mean(axis=1), int(rate)


def _envelope(wave: NDArray[np.float32], middle: float, half: float) -> str:
    """Return the highest and lowest sample of each pixel as one shape."""
    if not len(wave):
        return ""
    bounds = np.linspace(0, len(wave), WIDTH - 2 * MARGIN + 1).astype(int)[:-1]
    peak = float(np.abs(wave).max()) or 1.0
    high = np.maximum.reduceat(wave, bounds) / peak
    low = np.minimum.reduceat(wave, bounds) / peak
    pixels = range(MARGIN, MARGIN + len(bounds))
    points = [(pixel, middle - half * value) for pixel, value in zip(pixels, high, strict=True)]
    under = [(pixel, middle - half * value) for pixel, value in zip(pixels, low, strict=True)]
    path = " ".join(f"{left:.0f},{down:.1f}" for left, down in [*points, *under[::-1]])
    return f'<polygon points="{path}" fill="{WAVE}"/>'
