"""Check of a whole dataset: can one hear what the labels of kit, room and microphone say?

Half of the clips teach a linear classifier which sound goes with which value, and the other half
ask it. A column whose values cannot be told apart by ear any better than by chance says nothing
about the sound: in the existing SOUSA data that is the SoundFont, which the renderer ignores.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sousa.builders.findings import Whole

Floats = NDArray[np.float64]

COLUMNS: Final = ("kit", "augmentation_preset", "aug_room_type", "aug_mic_type")
"""Columns that say how a clip sounds."""

FEWEST: Final = 60
"""Clips of a value, without which it is not judged."""

RIDGE: Final = 1.0
"""Weight of the penalty, in clips."""

SIGMAS: Final = 3.0
"""Least distance from chance of what can be heard, in its standard deviations."""

MARGIN: Final = 0.03
"""Least share of right answers above chance."""

SEED: Final = 6


def check(every: pa.Table, sampled: pa.Table, *, built: bool) -> Whole:
    """Find columns whose values sound the same."""
    del every, built
    if "sound" not in sampled.column_names:
        return Whole(0)
    heard = sampled.filter(pc.is_valid(sampled["sound"]))
    if not heard.num_rows:
        return Whole(0)
    flat = heard["sound"].combine_chunks().flatten()
    sounds = flat.to_numpy().astype(np.float64).reshape(heard.num_rows, -1)
    figures: dict[str, Any] = {}
    wrong = tuple(_inaudible(heard, sounds, figures))
    if not figures:
        figure = f"not judged: no column has two values with {FEWEST} clips each"
        return Whole(0, wrong, figure)
    said = (f"{name} {each['right']:.0%} ({each['chance']:.0%})" for name, each in figures.items())
    figure = f"told by ear (by chance): {', '.join(said)}"
    return Whole(heard.num_rows, wrong, figure, figures)


def _inaudible(
    table: pa.Table, sounds: Floats, figures: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    for name in (name for name in COLUMNS if name in table.column_names):
        encoded = table[name].combine_chunks().dictionary_encode()
        codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy().astype(np.int64)
        often = np.flatnonzero(np.bincount(codes) >= FEWEST)
        if len(often) < 2:
            continue
        chosen = np.isin(codes, often)
        right, spread = told(sounds[chosen], np.searchsorted(often, codes[chosen]))
        chance = 1 / len(often)
        figures[name] = {"right": round(right, 4), "chance": round(chance, 4)}
        if right - chance < max(MARGIN, SIGMAS * spread):
            yield (
                f"column {name}",
                f"its {len(often)} values sound the same: {right:.0%} told by ear, {chance:.0%} "
                "by chance",
            )


def told(sounds: Floats, codes: NDArray[np.int64]) -> tuple[float, float]:
    """Return how many of the clips a classifier tells right, and the spread of that by chance.

    Args:
        sounds: Descriptions, `(clips, features)`.
        codes: Class of each clip, all of 0, 1, ... in use.

    Returns:
        Mean over the classes of the share of right answers, and its standard deviation if the
        answers were random.
    """
    order = np.random.default_rng(SEED).permutation(len(codes))
    classes = int(codes.max()) + 1
    scale = sounds.std(axis=0)
    x = (sounds - sounds.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    x = np.concatenate([x, x[:, :] ** 2, np.ones((len(x), 1))], axis=1)
    shares = np.zeros((2, classes))
    asked_of = np.zeros((2, classes))
    for turn, (learn, ask) in enumerate(((order[::2], order[1::2]), (order[1::2], order[::2]))):
        share = np.bincount(codes[learn], minlength=classes)
        target = np.eye(classes)[codes[learn]] / np.maximum(share, 1)
        weight = 1 / np.maximum(share, 1)[codes[learn]]
        square = (x[learn] * weight[:, None]).T @ x[learn]
        square += RIDGE / len(learn) * np.eye(x.shape[1])
        answer = (x[ask] @ np.linalg.solve(square, x[learn].T @ target)).argmax(axis=1)
        asked_of[turn] = np.bincount(codes[ask], minlength=classes)
        hits = np.bincount(codes[ask], answer == codes[ask], minlength=classes)
        shares[turn] = hits / np.maximum(asked_of[turn], 1)
    chance = 1 / classes
    each = chance * (1 - chance) / np.maximum(asked_of.sum(axis=0), 1)
    return float(shares.mean()), float(np.sqrt(each.sum()) / classes)
