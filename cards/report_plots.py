"""A tally to the figures of a report: which there are, what they are called and what they tell."""

from collections import Counter
from collections.abc import Iterator, Mapping
from html import escape
from typing import Final, NamedTuple

import numpy as np

from sousa.builders.schema import RUDIMENTS, SCORE_BEST, SCORES
from sousa.cards import report_drawing as drawing
from sousa.cards.report_bins import Bins
from sousa.cards.report_tally import Tally

MOST_BARS: Final = 16
TITLES: Final = {
    "tempo_bpm": "Tempo",
    "duration_sec": "Length of the clips",
    "num_strokes": "Strokes of a clip",
    "num_notes": "Notes of a clip",
    "notes_per_sec": "Notes a second",
    "kit": "Drums",
    "augmentation_preset": "Recording set-ups",
}
AXES: Final = {
    "tempo_bpm": "quarter notes per minute",
    "duration_sec": "seconds",
    "num_strokes": "strokes",
    "num_notes": "notes",
    "notes_per_sec": "notes a second",
}


class Figure(NamedTuple):
    """A chart and what stands above it."""

    title: str
    note: str
    svg: str


def figures(found: Tally) -> str:
    """Return all figures as HTML."""
    return "\n".join(_html(number, figure) for number, figure in enumerate(_figures(found)))


def _html(number: int, figure: Figure) -> str:
    name = f"figure-{number}"
    svg = figure.svg.replace("{labels}", f'aria-labelledby="{name}"', 1)
    return (
        f'<figure><figcaption id="{name}"><h3>{escape(figure.title)}</h3>'
        f"<p>{escape(figure.note)}</p></figcaption>\n{svg}</figure>"
    )


def _figures(found: Tally) -> Iterator[Figure]:
    if _counted(found.overall):
        best = float(SCORE_BEST["overall_score"])
        yield Figure(
            "Overall score by tier",
            f"Shape: how often; bar: the middle half; dot: the median. {_medians(found.overall)}",
            drawing.violins(found.overall, "overall_score", (0.0, best)),
        )
    if found.played:
        yield _rudiments(found)
    if _counted(found.errors):
        yield _errors(found.errors)
    if len(found.tiers) > 1 and found.scores:
        yield _scores(found)
    for name, values in found.numbers.items():
        title = TITLES.get(name, name.replace("_", " "))
        middle = f"From {values.min():.4g} to {values.max():.4g}, median {np.median(values):.4g}."
        yield Figure(title, middle, drawing.histogram(values, AXES.get(name, name)))
    for name, counts in found.classes.items():
        yield _classes(name, counts)


def _counted(groups: Mapping[str, Bins]) -> bool:
    return any(bins.counts.any() for bins in groups.values())


def _medians(groups: Mapping[str, Bins], unit: str = "") -> str:
    there = {name: bins.quantile(0.5) for name, bins in groups.items() if bins.counts.any()}
    told = ", ".join(f"{name} {median:.3g}{unit}" for name, median in there.items())
    return f"Medians: {told}."


def _errors(errors: Mapping[str, Bins]) -> Figure:
    """Return the timing errors, in a view that holds nearly all of each tier."""
    there = [bins for bins in errors.values() if bins.counts.any()]
    farthest = max(abs(bins.quantile(share)) for bins in there for share in (0.01, 0.99))
    reach = drawing.nice_step(max(farthest, 5.0))
    note = f"Of every stroke: left of 0 is early, right of it late. {_medians(errors, ' ms')}"
    svg = drawing.violins(errors, "early <  timing error in ms  > late", (-reach, reach))
    return Figure("Timing error by tier", note, svg)


def _rudiments(found: Tally) -> Figure:
    played = found.played
    rows = [slug for slug in RUDIMENTS if any(slug == name for name, _ in played)]
    means = [total / count for _, total, count in played.values() if count]
    most = max(rows_ for rows_, _, _ in played.values())
    low = 10.0 * (min(means, default=0.0) // 10)
    high = max(10.0 * -(-max(means, default=0.0) // 10), low + 10)

    def cell(rudiment: str, tier: str) -> tuple[float, str, str] | None:
        if (rudiment, tier) not in played:
            return None
        clips, total, count = played[rudiment, tier]
        words = f"{rudiment.replace('_', ' ')}, {tier}: {clips:,} clips"
        if not means:
            return clips / most, f"{clips:,}", words
        mean = total / count if count else low
        share = (mean - low) / (high - low)
        return share, f"{clips:,}", f"{words}, mean score {mean:.1f}"

    scale = f"mean overall score, from dark at {low:g} to light at {high:g}"
    colour = scale if means else "the same"
    note = f"Number: clips; colour: {colour}."
    return Figure("Rudiments by tier", note, drawing.heat(rows, found.tiers, cell))


def _scores(found: Tally) -> Figure:
    judged = {name for (name, _), (_, count) in found.scores.items() if count}
    names = [score.name for score in SCORES if score.name in judged]

    def cell(name: str, tier: str) -> tuple[float, str, str] | None:
        total, count = found.scores.get((name, tier), (0.0, 0))
        if not count:
            return None
        mean, best = total / count, SCORE_BEST[name]
        shown = f"{mean:.0f}" if best == 100 else f"{mean:.2f}"
        words = f"{name.replace('_', ' ')}, {tier}: mean {mean:.4g} of {best}, {count:,} clips"
        return mean / best, shown, words

    note = "Mean over the clips that a score applies to; dark is 0, light the best."
    return Figure("What separates the tiers", note, drawing.heat(names, found.tiers, cell))


def _classes(name: str, counts: Counter[str]) -> Figure:
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    more = f"; the {MOST_BARS} most frequent of {len(ranked)}" if len(ranked) > MOST_BARS else ""
    title = TITLES.get(name, name.replace("_", " "))
    return Figure(title, f"Clips of each{more}.", drawing.bars(ranked[:MOST_BARS]))
