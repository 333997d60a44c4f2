"""What a clip is worth: its measures and its scores.

    measures   figures of every measure, from a performance
    score      judgements of the clip, from its strokes alone

The formulas stand in `scores_v1` and `scores_sousa`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders import scores_sousa, scores_v1
from sousa.builders.performance import Performance
from sousa.builders.rudiments import RUDIMENTS, Rudiment
from sousa.builders.schema import RUDIMENTS as SLUGS
from sousa.builders.schema import SCORES
from sousa.builders.strokes import LEFT, NONE, RIGHT, Strokes

SCORE_SETS: Final = ("v1", "sousa-v0")
"""Names of the sets of formulas, the default first."""

FIELDS: Final = tuple(field.name for field in fields(Strokes))
"""What is needed of each stroke."""


def score(
    strokes: Strokes | Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    rudiment: Rudiment | str | int,
    tempo_bpm: float,
    score_set: str = "v1",
    *,
    skill_tier: str | None = None,
) -> dict[str, float | None]:
    """Return the scores of a clip, named and ordered as in `schema.SCORES`.

    A score that does not apply to the rudiment is None. Without strokes there is nothing to
    judge: every score of `v1` is None.

    Args:
        strokes: As `Strokes`, as a `strokes` cell of a row (a dict of equally long lists), or one
            dict for each stroke. Hands and stroke types may be names or ids. Further fields are
            not looked at, but for `index`: where there is one, parents are given by it.
        rudiment: One of the 40, or its slug, or its id in the dataset (0 to 39).
        tempo_bpm: Quarter notes per minute.
        score_set: One of `SCORE_SETS`.
        skill_tier: The player's; only `sousa-v0` asks for it, for its `tier_confidence`.

    Raises:
        ValueError: If there is no such score set, or the tempo is not above 0.
        KeyError: If there is no such rudiment, or the strokes lack a field.

    Examples:
        >>> from sousa.builders.performance import notate
        >>> perfect = notate(RUDIMENTS["flam_tap"], 120, 4)
        >>> scores = score(perfect.strokes, "flam_tap", 120)
        >>> scores["flam_quality"], scores["drag_quality"], scores["overall_score"]
        (100.0, None, 100.0)
    """
    if score_set not in SCORE_SETS:
        raise ValueError(f"score_set must be one of {', '.join(SCORE_SETS)}, got {score_set!r}")
    if not tempo_bpm > 0:
        raise ValueError(f"tempo_bpm must be above 0, got {tempo_bpm}")
    played, asked = _strokes(strokes), _rudiment(rudiment)
    if score_set == "v1":
        scores = scores_v1.score(played, asked, tempo_bpm)
    else:
        scores = scores_sousa.score(played, asked, skill_tier)
    return {judged.name: scores.get(judged.name) for judged in SCORES}


def measures(performance: Performance) -> dict[str, NDArray[Any]]:
    """Return the fields of the `measures` column, one entry for each measure.

    A measure covers strokes `stroke_start` up to, not including, `stroke_end`: all that sound in
    it, graces and bounces too. Spreads are divided by the number of strokes. The figures of a
    measure without strokes are 0; comparisons of the hands are NaN where one does not play.
    """
    strokes, measure, size = performance.strokes, performance.measure, performance.num_measures
    edges = np.searchsorted(measure, np.arange(size + 1))
    error_ms, velocity = strokes.timing_error_ms, strokes.actual_velocity.astype(np.float64)
    timing, loudness = _spread(error_ms, measure, size), _spread(velocity, measure, size)
    largest = np.zeros(size)
    np.maximum.at(largest, measure, np.abs(error_ms))

    def by_hand(values: NDArray[np.float64]) -> NDArray[np.float64]:
        hand = strokes.hand
        sides = [np.bincount(measure[hand == h], values[hand == h], size) for h in (LEFT, RIGHT)]
        count = [np.bincount(measure[hand == h], minlength=size) for h in (LEFT, RIGHT)]
        return np.array(sides) / np.where(count, count, np.nan)

    loud, late = by_hand(velocity), by_hand(error_ms)
    return {
        "index": np.arange(size, dtype=np.int32),
        "stroke_start": edges[:-1].astype(np.int32),
        "stroke_end": edges[1:].astype(np.int32),
        "timing_mean_error_ms": timing[0],
        "timing_std_ms": timing[1],
        "timing_max_error_ms": largest,
        "velocity_mean": loudness[0],
        "velocity_std": loudness[1],
        "velocity_consistency": np.where(
            loudness[0] > 0, 1 - loudness[1] / np.maximum(loudness[0], 1), 0
        ),
        "lr_velocity_ratio": loud[LEFT] / loud[RIGHT],
        "lr_timing_diff_ms": late[LEFT] - late[RIGHT],
    }


def _spread(
    values: NDArray[np.float64], measure: NDArray[np.int32], size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each measure; 0 where it is empty."""
    share = 1 / np.maximum(np.bincount(measure, minlength=size), 1)
    mean = np.bincount(measure, values, size) * share
    return mean, np.sqrt(np.bincount(measure, (values - mean[measure]) ** 2, size) * share)


def _rudiment(rudiment: Rudiment | str | int) -> Rudiment:
    if isinstance(rudiment, Rudiment):
        return rudiment
    if not isinstance(rudiment, str) and 0 <= rudiment < len(SLUGS):
        return RUDIMENTS[SLUGS[rudiment]]
    if rudiment not in SLUGS:
        raise KeyError(
            "rudiment must be a slug of schema.RUDIMENTS, such as 'flam', or an id in"
            f" [0, {len(SLUGS)}), got {rudiment!r}"
        )
    return RUDIMENTS[str(rudiment)]


def _strokes(
    strokes: Strokes | Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
) -> Strokes:
    if isinstance(strokes, Strokes):
        return strokes
    columns = strokes if isinstance(strokes, Mapping) else _columns(strokes)
    missing = [name for name in FIELDS if name not in columns]
    if missing:
        raise KeyError(f"strokes need the fields {', '.join(FIELDS)}; missing {', '.join(missing)}")
    made = Strokes.from_columns(columns)
    return _with_parents_by(made, columns.get("index", range(len(made))))


def _columns(strokes: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Turn dicts, one for each stroke, into lists of the fields that all of them have."""
    names = set.intersection(*map(set, strokes)) if len(strokes) else set(FIELDS)
    return {name: [stroke[name] for stroke in strokes] for name in names}


def _with_parents_by(strokes: Strokes, index: Sequence[int]) -> Strokes:
    """Return strokes whose parents are places, from ones whose parents are values of `index`."""
    places = {int(value): place for place, value in enumerate(index)} | {NONE: NONE}
    parents = strokes.parent_stroke_index.tolist()
    lost = set(parents) - set(places)
    if lost:
        raise KeyError(
            f"parent_stroke_index {min(lost)} is of no stroke; give graces and bounces together"
            " with their primaries"
        )
    numbered = np.array([places[parent] for parent in parents], np.int32)
    return replace(strokes, parent_stroke_index=numbered)
