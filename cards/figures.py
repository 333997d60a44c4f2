"""Facts and clips to the figures of a page: SVG, drawn with nothing but text.

The same data give the same bytes: every number is rounded, and no font or library takes part.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

import numpy as np
import soundfile
from numpy.typing import NDArray

from sousa.builders.schema import SCORE_BEST
from sousa.cards.samples import Sample

WIDTH: Final = 860
MARGIN: Final = 20
INK: Final = "#1f2937"
FAINT: Final = "#6b7280"
WAVE: Final = "#cbd5e1"
HAND_COLOURS: Final = {"R": "#2563eb", "L": "#ea580c"}
TIER_COLOURS: Final = ("#94a3b8", "#60a5fa", "#2563eb", "#1e3a8a")

PANEL: Final = 200
"""Height of one clip, in pixels, as all that follow."""
RIDGE: Final = 72
"""Height of one tier."""
LABELS: Final = 130
"""Width of the names of the tiers."""


def clips(samples: Sequence[Sample]) -> str:
    """Return a picture of clips: the sound, and each stroke as notated and as played.

    Raises:
        OSError: If the audio of a clip cannot be decoded.
    """
    shapes = [
        shape
        for number, sample in enumerate(samples)
        for shape in _clip(sample, number * PANEL + MARGIN)
    ]
    note = "Bars: strokes as played, as high as loud. Ticks below: where the notation has them."
    hands = [("R", "right hand"), ("L", "left hand")]
    bottom = len(samples) * PANEL + MARGIN
    shapes += _legend([(HAND_COLOURS[hand], name) for hand, name in hands], note, bottom)
    return _picture(shapes, bottom + 20, "Waveform and strokes of the samples")


def scores(overall: Mapping[str, Sequence[int]]) -> str:
    """Return a picture of how `overall_score` is distributed in each tier.

    Args:
        overall: Rows in each of equal bins from 0 to the best score, by tier.
    """
    shapes = [_text(MARGIN, 32, "overall_score by skill tier: share of the tier's clips", size=15)]
    right, top = WIDTH - MARGIN, 50
    highest = max((max(rows) / (sum(rows) or 1) for rows in overall.values()), default=1.0) or 1.0
    for place, (tier, rows) in enumerate(overall.items()):
        base = top + (place + 1) * RIDGE
        step = (right - LABELS) / len(rows)
        most = highest * sum(rows)
        colour = TIER_COLOURS[place % len(TIER_COLOURS)]
        shapes.append(_text(MARGIN, base - 8, tier))
        shapes += [
            _box(LABELS + number * step + 1, base, step - 2, (RIDGE - 14) * count / most, colour)
            for number, count in enumerate(rows)
            if count
        ]
        shapes.append(_line(LABELS, base, right, base, FAINT))
    bottom = top + len(overall) * RIDGE
    best = SCORE_BEST["overall_score"]
    for tick in range(0, 101, 20):
        across = LABELS + (right - LABELS) * tick / 100
        shapes.append(_text(across, bottom + 20, f"{best * tick / 100:g}", anchor="middle"))
    return _picture(shapes, bottom + 34, "Distribution of overall_score in each skill tier")


def _clip(sample: Sample, top: float) -> Iterable[str]:
    """Yield a clip's title, waveform and strokes, `PANEL` high."""
    wave, rate = _decoded(sample)
    seconds = max(len(wave) / rate, 1e-3)
    middle, half = top + 95, 55
    yield _text(MARGIN, top + 14, title(sample), size=15)
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
        across = _across(time_ms / 1000, seconds)
        floor = middle + half
        yield _line(across, floor, across, floor - 2 * half * velocity / 127, colour, 2)
    for time_ms in fields.get("intended_time_ms", []):
        if time_ms is not None:
            across = _across(time_ms / 1000, seconds)
            yield _line(across, middle + half + 3, across, middle + half + 10, INK)
    for second in range(int(seconds) + 1):
        yield _text(_across(second, seconds), middle + half + 26, f"{second} s", fill=FAINT)


def title(sample: Sample) -> str:
    """Return what a clip is, in a few words; empty if nothing is known of it."""
    labels = sample.labels
    words = [labels[n].replace("_", " ") for n in ("skill_tier", "rudiment_slug") if labels.get(n)]
    numbers = (("tempo_bpm", "{:g} quarter notes per minute"), ("overall_score", "score {:.0f}"))
    words += [form.format(labels[name]) for name, form in numbers if labels.get(name) is not None]
    return ", ".join(words)


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
    path = " ".join(f"{across:.0f},{down:.1f}" for across, down in [*points, *under[::-1]])
    return f'<polygon points="{path}" fill="{WAVE}"/>'


def _across(second: float, seconds: float) -> float:
    return MARGIN + (WIDTH - 2 * MARGIN) * second / seconds


def _legend(colours: Iterable[tuple[str, str]], note: str, down: float) -> Iterable[str]:
    across = float(MARGIN)
    for colour, name in colours:
        yield _box(across, down, 10, 10, colour)
        yield _text(across + 16, down, name, fill=FAINT)
        across += 100
    yield _text(across, down, note, fill=FAINT)


def _text(
    across: float, down: float, text: str, *, size: int = 13, fill: str = INK, anchor: str = "start"
) -> str:
    shown = escape("".join(mark for mark in text if mark.isprintable()))
    return (
        f'<text x="{across:.1f}" y="{down:.1f}" font-size="{size}" fill="{fill}" '
        f'text-anchor="{anchor}">{shown}</text>'
    )


def _box(across: float, base: float, width: float, height: float, fill: str) -> str:
    return (
        f'<rect x="{across:.1f}" y="{base - height:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" fill="{fill}"/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
    )


def _picture(shapes: Iterable[str], height: float, name: str) -> str:
    """Return the whole file; on white, for pages that are dark."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(name)}" font-family="Helvetica, Arial, sans-serif">'
    )
    ground = f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>'
    return "\n".join([head, ground, *shapes, "</svg>"]) + "\n"
