"""Counts to charts: SVG that takes its colours from the style sheet of the page it stands in.

The same counts give the same text: every number is rounded, and no font or library takes part.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.cards.report_bins import Bins

WIDTH: Final = 460
LEFT: Final = 112
"""Width of the names of tiers and classes."""
RIGHT: Final = WIDTH - 16
ROW: Final = 50
"""Height of one violin."""
BAR: Final = 24
EMPTY: Final = "(empty)"
"""Stands for a class whose name is nothing that can be seen."""
HEAT_STEPS: Final = 9
"""Colours of a heat map; the style sheet has one for each."""


def violins(groups: Mapping[str, Bins], axis: str, view: tuple[float, float]) -> str:
    """Return the distribution in each group, with its quartiles and median.

    Args:
        groups: Values by name.
        axis: What the values are.
        view: Lowest and highest value that is drawn.
    """
    low, high = view
    bottom = len(groups) * ROW + 8

    def at(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (min(max(value, low), high) - low) / (high - low)

    shapes = _axis(ticks(low, high), at, (4, bottom), axis)
    for place, (name, bins) in enumerate(groups.items()):
        middle = place * ROW + ROW / 2 + 4
        shapes.append(text(LEFT - 10, middle + 4, name, anchor="end"))
        if not bins.counts.sum():
            continue
        q1, median, q3 = (bins.quantile(share) for share in (0.25, 0.5, 0.75))
        told = f"{name}: median {median:.4g}, half of all from {q1:.4g} to {q3:.4g}"
        shapes += [
            f'<g class="tier{place % 4}"><title>{escape(told)}</title>',
            _outline(bins, at, middle, view),
            f'<rect class="box" x="{at(q1):.1f}" y="{middle - 5:.1f}" '
            f'width="{at(q3) - at(q1):.1f}" height="10" rx="3"/>',
            f'<circle class="median" cx="{at(median):.1f}" cy="{middle:.1f}" r="4"/></g>',
        ]
    return _svg(shapes, bottom + 40)


def histogram(values: NDArray[np.float32], axis: str) -> str:
    """Return how often values are there."""
    low, high = float(values.min()), float(values.max())
    whole = bool((values == np.round(values)).all())
    step = nice_step((high - low) / 30 or 1.0)
    step = max(1.0, step) if whole else step
    begin = math.floor(low / step) * step
    bins = max(1, math.floor((high - begin) / step) + 1)
    counts, edges = np.histogram(values, bins=bins, range=(begin, begin + bins * step))
    end, height, base = begin + bins * step, 150, 160
    left = 52

    def at(value: float) -> float:
        return left + (RIGHT - left) * (value - begin) / (end - begin)

    most = int(counts.max())
    shapes = _axis(ticks(begin, end), at, (10, base), axis)
    for tick in ticks(0, most, 4):
        y = base - height * tick / most
        if tick != int(tick):
            continue
        shapes.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}"/>')
        shapes.append(text(left - 6, y + 4, f"{tick:,.0f}", "faint", "end"))
    for count, first in zip(counts.tolist(), edges.tolist(), strict=False):
        if count:
            told = f"{first:.4g} to {first + step:.4g}: {count:,} clips"
            width = max(1.0, at(first + step) - at(first) - 1.5)
            shapes.append(
                f'<rect class="bar" x="{at(first) + 0.75:.1f}" '
                f'y="{base - height * count / most:.1f}" width="{width:.1f}" '
                f'height="{height * count / most:.1f}"><title>{escape(told)}</title></rect>'
            )
    shapes.append(f'<line class="axis" x1="{left}" y1="{base}" x2="{RIGHT}" y2="{base}"/>')
    return _svg(shapes, base + 40)


def bars(counts: Sequence[tuple[str, int]]) -> str:
    """Return how often each class is there, a bar for each."""
    left, most = 150, max(count for _, count in counts)
    shapes = []
    for place, (name, count) in enumerate(counts):
        y = place * BAR + 4
        width = (RIGHT - 50 - left) * count / most
        shapes += [
            text(left - 10, y + 14, shortened(name.strip() or EMPTY, 18), anchor="end"),
            f'<rect class="bar" x="{left}" y="{y}" width="{width:.1f}" height="{BAR - 6}" rx="2">'
            f"<title>{escape(f'{name}: {count:,} clips')}</title></rect>",
            text(left + width + 6, y + 14, f"{count:,}", "faint"),
        ]
    return _svg(shapes, len(counts) * BAR + 8)


def heat(
    rows: Sequence[str],
    columns: Sequence[str],
    cell: Callable[[str, str], tuple[float, str, str] | None],
) -> str:
    """Return a table of colours.

    Args:
        rows: Their names.
        columns: Theirs.
        cell: Returns of a row and a column the colour, from 0 to 1, what stands in the cell, and
            what it tells when pointed at; None where there is nothing.
    """
    left, top, height = 160, 24, 19
    width = (RIGHT - left) / len(columns)
    shapes = [
        text(left + (place + 0.5) * width, 14, shortened(name, 14), "head", "middle")
        for place, name in enumerate(columns)
    ]
    for down, row in enumerate(rows):
        y = top + down * height
        shapes.append(text(left - 10, y + 13.5, row.replace("_", " "), anchor="end"))
        for across, column in enumerate(columns):
            x = left + across * width
            size = f'x="{x:.1f}" y="{y}" width="{width - 2:.1f}" height="{height - 2}" rx="2"'
            found = cell(row, column)
            if found is None:
                shapes.append(f'<rect class="empty" {size}/>')
                continue
            share, shown, told = found
            step = min(HEAT_STEPS - 1, int(share * HEAT_STEPS))
            shapes += [
                f'<g class="heat{step}"><title>{escape(told)}</title><rect {size}/>',
                text(x + width / 2 - 1, y + 12.8, shown, "on", "middle") + "</g>",
            ]
    return _svg(shapes, top + len(rows) * height + 4)


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Return round numbers from `low` to `high`, no more than about `most`.

    >>> ticks(0, 100, 5)
    [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    """
    step = nice_step((high - low) / most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def nice_step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10 times a power of ten that is no smaller.

    >>> nice_step(13)
    20.0
    """
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def text(across: float, down: float, words: str, class_: str = "ink", anchor: str = "start") -> str:
    """Return a line of text; letters that XML does not know are left out."""
    shown = escape("".join(mark for mark in words if mark.isprintable()))
    return (
        f'<text class="{class_}" x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}">'
        f"{shown}</text>"
    )


def shortened(words: str, most: int) -> str:
    """Return words cut to a number of letters, underscores as blanks."""
    words = words.replace("_", " ")
    return words if len(words) <= most else words[: most - 1] + "…"


def _outline(
    bins: Bins, at: Callable[[float], float], middle: float, view: tuple[float, float]
) -> str:
    """Return the smoothed density on both sides of a line."""
    edges = np.linspace(bins.low, bins.high, len(bins.counts) + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    inside = (centres >= view[0]) & (centres <= view[1])
    wide = (view[1] - view[0]) / (bins.high - bins.low) * len(bins.counts) / 40
    taps = np.arange(-round(3 * wide), round(3 * wide) + 1)
    kernel = np.exp(-0.5 * (taps / wide) ** 2)
    padded = np.pad(bins.counts.astype(np.float64), len(taps) // 2, mode="reflect")
    density = np.convolve(padded, kernel, mode="valid")[inside]
    every = max(1, len(density) // 120)
    half = density[::every] / (density.max() or 1.0) * (ROW / 2 - 6)
    across = [at(value) for value in centres[inside][::every]]
    above = [f"{x:.1f},{middle - y:.1f}" for x, y in zip(across, half, strict=True)]
    below = [f"{x:.1f},{middle + y:.1f}" for x, y in zip(across, half, strict=True)]
    return f'<polygon class="violin" points="{" ".join([*above, *below[::-1]])}"/>'


def _axis(
    marks: Sequence[float], at: Callable[[float], float], span: tuple[float, float], name: str
) -> list[str]:
    top, base = span
    shapes = [
        f'<line class="grid" x1="{at(mark):.1f}" y1="{top}" x2="{at(mark):.1f}" y2="{base}"/>'
        for mark in marks
    ]
    shapes += [text(at(mark), base + 16, f"{mark:g}", "faint", "middle") for mark in marks]
    return [*shapes, text(RIGHT, base + 34, name, "faint", "end")]


def _svg(shapes: Sequence[str], height: float) -> str:
    """Return the picture; its name and description are those of the figure around it."""
    body = "\n".join(shapes)
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" {{labels}}>\n{body}\n</svg>'
