"""Score set `sousa-v0`: the formulas of the SOUSA generator, for comparison with its data.

Kept as they are, so that values can be compared: a perfect performance does not reach 100. All
strokes count alike, graces and bounces among them, whose timing error is their lead before their
primary less 30 ms. Means and standard deviations are over the strokes, divided by their number.

=======================  ==========================================================================
score                    formula; `e` timing errors in ms, `v` velocities, a hand's `a` = mean |e|
=======================  ==========================================================================
timing_accuracy          100 / (1 + exp((mean |e| - 25) / 10))
timing_consistency       100 / (1 + exp((std e - 15) / 8))
tempo_stability          100 - 10 |slope of e over time, ms/s|, at least 0, without graces
subdivision_evenness     100 - 100 std(played / intended gap to the next stroke), at least 0
velocity_control         100 - 2 std v, at least 0
accent_differentiation   160 (mean v of accents - mean v of taps and buzzes) / 127, in [0, 100];
                         80 without either
accent_accuracy          100 x share of accents with v > mean v; 100 without accents
hand_balance             half: 100 x ratio of the hands' mean v; 0.2: 100 x ratio of their a; 0.3:
                         100 / (1 + exp((mean a - 25) / 10)); 100 where one hand plays
weak_hand_index          100 a(left) / (a(left) + a(right)); 50 where that says nothing
flam_quality             flam rudiments: mean over graces of 100 for a lead in [20, 40] ms, 5 less
                         per ms below, 3 less per ms above; 80 without graces
diddle_quality           diddle and roll rudiments: 100 - 200 mean |played / intended gap - 1|
                         over the diddles, at least 0; 80 without diddles
roll_sustain             roll rudiments: 100 x mean v of the last quarter / of the first, at most
                         100; 80 below 4 strokes
groove_feel_proxy        see `_groove`
overall_score            mean of the first eight, weighted by `WEIGHTS`
tier_confidence          exp(-z^2 / 2), z the overall score standardised by the player's tier,
                         see `TIERS`; 0.5 where the tier is unknown
=======================  ==========================================================================

`drag_quality` and `buzz_quality` are ours and None here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.rudiments import Rudiment
from sousa.builders.schema import SCORES
from sousa.builders.strokes import BUZZ, DIDDLE, LEFT, NONE, RIGHT, TAP, Strokes

Floats = NDArray[np.float64]
Scores = dict[str, float | None]

IDEAL_LEAD_MS: Final = 30.0
DEFAULT: Final = 80.0
"""Score where there is nothing to judge, as far as the rudiment's category has the score."""

WEIGHTS: Final[Mapping[str, float]] = {
    "timing_accuracy": 0.2,
    "timing_consistency": 0.15,
    "tempo_stability": 0.1,
    "subdivision_evenness": 0.1,
    "velocity_control": 0.1,
    "accent_differentiation": 0.1,
    "accent_accuracy": 0.1,
    "hand_balance": 0.15,
}

TIERS: Final[Mapping[str, tuple[float, float]]] = {
    "beginner": (34.3, 6.6),
    "intermediate": (45.7, 10.1),
    "advanced": (61.0, 10.8),
    "professional": (73.5, 10.7),
}
"""Mean and standard deviation of the overall score of each tier."""

UNKNOWN_TIER: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The strokes as the formulas see them."""

    strokes: Strokes
    is_grace: NDArray[np.bool_]
    """Graces, and the bounces of buzz strokes."""
    lead_ms: Floats
    """Of the strokes that have a primary, before it; else NaN."""
    error_ms: Floats
    raw_error_ms: Floats
    velocity: Floats


def score(strokes: Strokes, rudiment: Rudiment, skill_tier: str | None = None) -> Scores:
    """Return the scores of a clip by name.

    Args:
        strokes: As played. Without any, scores are 0, `weak_hand_index` is 50, and those that
            belong to a category are None.
        rudiment: Its category says which scores apply.
        skill_tier: The player's, for `tier_confidence`.
    """
    if not len(strokes):
        special = ("flam_quality", "drag_quality", "diddle_quality", "buzz_quality", "roll_sustain")
        empty: Scores = {s.name: None if s.name in special else 0.0 for s in SCORES}
        return empty | {"weak_hand_index": 50.0, "tier_confidence": UNKNOWN_TIER}
    rows = _rows(strokes)
    scores = _timing(rows) | _dynamics(rows) | _hands(rows)
    overall = sum(weight * scores[name] for name, weight in WEIGHTS.items())
    category = rudiment.category
    return scores | {
        "flam_quality": _flams(rows) if category == "flam" else None,
        "drag_quality": None,
        "diddle_quality": _diddles(rows) if category in ("diddle", "roll") else None,
        "buzz_quality": None,
        "roll_sustain": _sustain(rows.velocity) if category == "roll" else None,
        "groove_feel_proxy": _groove(rows),
        "overall_score": overall,
        "tier_confidence": _tier_confidence(overall, skill_tier),
    }


def _rows(strokes: Strokes) -> _Rows:
    is_grace = strokes.is_grace_note | strokes.is_bounce
    led = is_grace & (strokes.parent_stroke_index != NONE)
    lead_ms = strokes.actual_time_ms[strokes.parent_stroke_index] - strokes.actual_time_ms
    raw_ms = strokes.actual_time_ms - strokes.intended_time_ms
    return _Rows(
        strokes=strokes,
        is_grace=is_grace,
        lead_ms=np.where(led, lead_ms, np.nan),
        error_ms=np.where(led, lead_ms - IDEAL_LEAD_MS, raw_ms),
        raw_error_ms=raw_ms,
        velocity=strokes.actual_velocity.astype(np.float64),
    )


def _timing(rows: _Rows) -> dict[str, float]:
    strokes, error_ms = rows.strokes, rows.error_ms
    slope = _slope(strokes.intended_time_ms[~rows.is_grace] / 1000, error_ms[~rows.is_grace])
    uneven = 0.0
    if len(strokes) > 1:
        gaps = np.diff(strokes.actual_time_ms), np.diff(strokes.intended_time_ms)
        uneven = float(np.std(gaps[0] / np.maximum(gaps[1], 1)))
    return {
        "timing_accuracy": _sigmoid(float(np.mean(np.abs(error_ms))), 25, 10),
        "timing_consistency": _sigmoid(float(np.std(error_ms)), 15, 8),
        "tempo_stability": max(0.0, 100 - 10 * abs(slope)),
        "subdivision_evenness": max(0.0, 100 - 100 * uneven),
    }


def _dynamics(rows: _Rows) -> dict[str, float]:
    velocity, kind = rows.velocity, rows.strokes.stroke_type
    accents = velocity[rows.strokes.is_accent]
    taps = velocity[(kind == TAP) | ((kind == BUZZ) & ~rows.strokes.is_accent)]
    differentiation, accuracy = DEFAULT, 100.0
    if len(accents) and len(taps):
        contrast = float(np.mean(accents) - np.mean(taps)) / 127 * 20
        differentiation = min(100.0, max(0.0, 8 * contrast))
    if len(accents):
        accuracy = 100 * float(np.mean(accents > np.mean(velocity)))
    return {
        "velocity_control": max(0.0, 100 - 2 * float(np.std(velocity))),
        "accent_differentiation": differentiation,
        "accent_accuracy": accuracy,
    }


def _hands(rows: _Rows) -> dict[str, float]:
    left, right = rows.strokes.hand == LEFT, rows.strokes.hand == RIGHT
    if not (left.any() and right.any()):
        return {"hand_balance": 100.0, "weak_hand_index": 50.0}
    loud = [float(np.mean(rows.velocity[hand])) for hand in (left, right)]
    off = [float(np.mean(np.abs(rows.error_ms[hand]))) for hand in (left, right)]
    symmetry = min(off) / max(*off, 1.0)
    timing = 0.4 * 100 * symmetry + 0.6 * _sigmoid(sum(off) / 2, 25, 10)
    return {
        "hand_balance": 0.5 * 100 * min(loud) / max(loud) + 0.5 * timing,
        "weak_hand_index": 100 * off[0] / sum(off) if sum(off) else 50.0,
    }


def _flams(rows: _Rows) -> float:
    lead_ms = rows.lead_ms[~np.isnan(rows.lead_ms)]
    if not len(lead_ms):
        return DEFAULT
    tight, open_ = np.maximum(20 - lead_ms, 0), np.maximum(lead_ms - 40, 0)
    return float(np.mean(np.maximum(100 - 5 * tight - 3 * open_, 0)))


def _diddles(rows: _Rows) -> float:
    strokes = rows.strokes
    position = np.where(strokes.stroke_type == DIDDLE, strokes.diddle_position, NONE)
    intended = np.diff(strokes.intended_time_ms)
    pair = (position[:-1] == 1) & (position[1:] == 2) & (intended > 0)
    if not pair.any():
        return DEFAULT
    ratio = np.diff(strokes.actual_time_ms)[pair] / intended[pair]
    return max(0.0, 100 - 200 * float(np.mean(np.abs(ratio - 1))))


def _sustain(velocity: Floats) -> float:
    if len(velocity) < 4:
        return DEFAULT
    first = velocity[: len(velocity) // 4]
    last = velocity[-len(velocity) // 4 :]  # rounded up, other than the first quarter
    return min(100.0, 100 * float(np.mean(last)) / float(np.mean(first)))


def _groove(rows: _Rows) -> float:
    """Return accuracy raised by what repeats in the errors, of 1.

    1 - mean |e| / 50, at least 0, plus 0.3 times the mean |autocorrelation| at lags 1 to 4, plus
    0.1 for a swing; at most 1, and 0.5 below 4 strokes. `e` is actual less intended, also of
    graces.
    """
    error_ms = rows.raw_error_ms
    if len(error_ms) < 4:
        return 0.5
    accurate = max(0.0, 1 - float(np.mean(np.abs(error_ms))) / 50)
    return min(1.0, accurate + 0.3 * _repetition(error_ms) + 0.1 * _swings(rows.strokes))


def _repetition(error_ms: Floats) -> float:
    if len(error_ms) < 6:
        return 0.5
    centred = error_ms - np.mean(error_ms)
    spread = np.std(centred)
    if spread == 0:
        return 1.0
    unit = centred / spread
    lags = [abs(float(np.mean(unit[:-lag] * unit[lag:]))) for lag in range(1, 5)]
    return sum(lags) / len(lags)


def _swings(strokes: Strokes) -> bool:
    """Return whether the gaps within pairs of strokes are evenly about two thirds of theirs."""
    pairs = len(strokes) // 2 * 2
    played = np.diff(strokes.actual_time_ms[:pairs])[::2]
    intended = np.diff(strokes.intended_time_ms[:pairs])[::2]
    ratio = played[intended > 0] / intended[intended > 0]
    ratio = ratio[(ratio > 0.3) & (ratio < 1.7)]
    return len(ratio) >= 2 and bool(np.std(ratio) < 0.15 and 0.55 < np.mean(ratio) < 0.75)


def _tier_confidence(overall: float, skill_tier: str | None) -> float:
    if skill_tier is None or skill_tier not in TIERS:
        return UNKNOWN_TIER
    mean, spread = TIERS[skill_tier]
    return exp(-0.5 * ((overall - mean) / spread) ** 2)


def _sigmoid(value: float, middle: float, width: float) -> float:
    return 100 / (1 + exp(min((value - middle) / width, 700)))  # beyond, exp overflows


def _slope(x: Floats, y: Floats) -> float:
    """Return the slope of the straight line through some points; 0 where there is none."""
    if len(x) < 2:
        return 0.0
    off = x - np.mean(x)
    spread = float(off @ off)
    return float(off @ y) / spread if spread else 0.0
