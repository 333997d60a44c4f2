"""Shapes of pictures, as SVG: text, boxes and lines, and the file around them.

The same data give the same bytes: every number is rounded, and no font or library takes part.
"""

from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 860
MARGIN: Final = 20
INK: Final = "#1f2937"
FAINT: Final = "#6b7280"

MOST_TICKS: Final = 20


def across(second: float, seconds: float) -> float:
    """Return where a moment lies from left to right, in pixels."""
    return MARGIN + (WIDTH - 2 * MARGIN) * second / seconds


def seconds_axis(seconds: float, down: float) -> Iterable[str]:
    """Yield the labels of an axis of time."""
    step = max(1, -int(-seconds // MOST_TICKS))
    for second in range(0, int(seconds) + 1, step):
        yield text(across(second, seconds), down, f"{second} s", fill=FAINT)


def legend(colours: Iterable[tuple[str, str]], note: str, down: float) -> Iterable[str]:
    """Yield boxes of colours with what they mean, and a note."""
    left = float(MARGIN)
    for colour, name in colours:
        yield box(left, down, 10, 10, colour)
        yield text(left + 16, down, name, fill=FAINT)
        left += 100
    yield text(left, down, note, fill=FAINT)


def text(
    left: float, down: float, words: str, *, size: int = 13, fill: str = INK, anchor: str = "start"
) -> str:
    """Return text on one line; marks that are not shown are left out."""
    shown = escape("".join(mark for mark in words if mark.isprintable()))
    return (
        f'<text x="{left:.1f}" y="{down:.1f}" font-size="{size}" fill="{fill}" '
        f'text-anchor="{anchor}">{shown}</text>'
    )


def box(left: float, base: float, width: float, height: float, fill: str) -> str:
    """Return a box that stands on `base`."""
    return (
        f'<rect x="{left:.1f}" y="{base - height:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" fill="{fill}"/>'
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1) -> str:
    """Return a line."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
    )


def picture(shapes: Iterable[str], height: float, name: str) -> str:
    """Return the whole file; on white, for pages that are dark."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(name)}" font-family="Helvetica, Arial, sans-serif">'
    )
    ground = f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>'
    return "\n".join([head, ground, *shapes, "</svg>"]) + "\n"
