"""Score set `v1`: every score falls with its own fault and with no other.

A perfect performance has 100 in every score that applies (`groove_feel_proxy` and
`tier_confidence` 1, `weak_hand_index` 50), at any rudiment and tempo. A score is None exactly
where the rudiment, not the playing, has nothing for it to judge. A fault of size `x` costs

    score = 100 / (1 + (x / h)^1.5)

smoothly, strictly, and never down to 0; `h`, in `HALF`, is the fault that halves the score.

=======================  ==========================================================================
score                    the fault `x`
=======================  ==========================================================================
timing_accuracy          ms by which all of the performance lies early or late
timing_consistency       ms of scatter (standard deviation) around everything below
tempo_stability          tempo deviation (RMS over the strokes) of a parabola through the errors
subdivision_evenness     ms of deviation (RMS) between the places within the beat
velocity_control         scatter of log velocity within (kind of stroke, hand), fade taken out
accent_differentiation   share by which accents stand out less than intended; more costs nothing
accent_accuracy          100 x (1 - x): share of strokes on the wrong side of midway between
                         accents and taps of their hand, beyond what scatter explains; where no
                         accent is heard there is no contrast, which is the fault above
hand_balance             log ratio of the loudness of like strokes, left to right
weak_hand_index          50 (1 + w / (1 + |w|)); w = log ratio left to right / h(hand_balance)
                         + scatter right less left / h(timing_consistency)
flam_quality             mean relative error of the lead of single graces before their primary
drag_quality             the same over both graces of drags
diddle_quality           relative error of the gap from first to second stroke: its mean, and its
                         spread beyond what the scatter of the timing explains
buzz_quality             mean relative error of the gaps from bounce to bounce
roll_sustain             fall of log velocity from the first stroke to the last
groove_feel_proxy        geometric mean of the four timing scores, of 1
overall_score            mean of the scores that apply, weighted by `WEIGHTS`
tier_confidence          probability of the likeliest tier given the overall score, see `TIERS`
=======================  ==========================================================================

Timing is judged on the strokes that stand on the grid by themselves. Graces, bounces and second
strokes of diddles have their own spacing and their own score; added strokes that nothing intends
are left out. Errors are split as in work on synchronised tapping into a constant asynchrony, a
trend and variability (Repp 2005, doi:10.3758/BF03206433; Wing and Kristofferson 1973,
doi:10.3758/BF03198607), here with a part that repeats within the beat as well; `trend` has the
mathematics. Where the same strokes could show two faults, one is judged: an offset that drift or
uneven places explain is none, and second strokes of diddles that are late make no late place.

Loudness is judged as log(actual / intended velocity), so that ratios count: Weber's law.
"""

from collections.abc import Mapping
from math import exp, log, pow, sqrt
from typing import Final

from sousa.builders import fault_dynamics, fault_spacing, fault_timing
from sousa.builders.fault_timing import Timing
from sousa.builders.rudiments import Rudiment
from sousa.builders.schema import SKILL_TIERS
from sousa.builders.strokes import Strokes

Scores = dict[str, float | None]

POWER: Final = 1.5
"""Of the law from fault to score: faults too small to hear cost next to nothing."""

HALF: Final[Mapping[str, float]] = {
    "timing_accuracy": 25.0,  # ms
    "timing_consistency": 35.0,  # ms
    "tempo_stability": 0.025,  # share of the tempo
    "subdivision_evenness": 15.0,  # ms
    "velocity_control": 0.2,  # log velocity
    "accent_differentiation": 0.5,  # share of the contrast
    "hand_balance": 0.25,  # log velocity
    "flam_quality": 0.5,  # share of the spacing
    "drag_quality": 0.5,  # share of the spacing
    "diddle_quality": 0.25,  # share of the gap
    "buzz_quality": 0.5,  # share of the gap
    "roll_sustain": 0.3,  # log velocity
}
"""Fault that halves a score.

Chosen by us so that the tiers spread over the scale: timing that scatters by 10, 16, 32 and 55 ms
(ranges of professionals to beginners after Fujii et al. 2011, doi:10.1525/mp.2011.28.5.491, and
Repp 2005) gives 87, 76, 53 and 34 points for `timing_consistency`.
"""

WEIGHTS: Final[Mapping[str, float]] = {
    "timing_accuracy": 0.2,
    "timing_consistency": 0.15,
    "tempo_stability": 0.1,
    "subdivision_evenness": 0.1,
    "velocity_control": 0.1,
    "accent_differentiation": 0.1,
    "accent_accuracy": 0.1,
    "hand_balance": 0.15,
    "flam_quality": 0.1,
    "drag_quality": 0.1,
    "diddle_quality": 0.1,
    "buzz_quality": 0.1,
    "roll_sustain": 0.05,
}
"""Weights in `overall_score`: those of SOUSA for its scores, ours for the rest; relative to the sum
over the scores that apply."""

GROOVE: Final = tuple(WEIGHTS)[:4]
"""The scores of timing."""

TIERS: Final[Mapping[str, float]] = dict(zip(SKILL_TIERS, (0.2, 0.85, 1.75, 2.65), strict=True))
"""Mean log-odds of the overall score of players of each tier, as sampled by `players`.

`tier_confidence` takes log(score / (100 - score)) for normal with these means and `TIER_SPREAD`.
Equal spreads put a score beyond the best tier's mean ever more surely into that tier, up to
exactly 1 for a perfect performance.
"""

TIER_SPREAD: Final = 0.35
"""Standard deviation of those log-odds within a tier."""


def score(strokes: Strokes, rudiment: Rudiment, tempo_bpm: float) -> Scores:
    """Return the scores of a clip by name; none where no stroke stands on the grid.

    Args:
        strokes: As played.
        rudiment: What was to be played; it says which scores apply.
        tempo_bpm: Quarter notes per minute.
    """
    intended = fault_timing.is_intended(strokes, tempo_bpm)
    if not intended.any():
        return {}
    timing = fault_timing.judge(strokes, intended, tempo_bpm)
    dynamics = fault_dynamics.judge(strokes, intended)
    spacing = fault_spacing.judge(strokes, rudiment, timing)
    faults = {
        "timing_accuracy": timing.offset_ms,
        "timing_consistency": timing.scatter_ms,
        "tempo_stability": timing.drift,
        "subdivision_evenness": timing.unevenness_ms,
        "velocity_control": dynamics.scatter,
        "accent_differentiation": dynamics.flatness if rudiment.has_accents else None,
        "hand_balance": abs(dynamics.balance),
        "flam_quality": spacing.flam,
        "drag_quality": spacing.drag,
        "diddle_quality": spacing.diddle,
        "buzz_quality": spacing.buzz,
        "roll_sustain": dynamics.fade if rudiment.is_roll else None,
    }
    scores: Scores = {
        name: None if fault is None else points(fault, HALF[name]) for name, fault in faults.items()
    }
    scores["accent_accuracy"] = 100 * (1 - dynamics.misplaced) if rudiment.has_accents else None
    overall = _overall(scores)
    return scores | {
        "weak_hand_index": _weak_hand(dynamics.balance, timing),
        "groove_feel_proxy": _groove(scores),
        "overall_score": overall,
        "tier_confidence": _tier_confidence(overall),
    }


def points(fault: float, half: float) -> float:
    """Return the score of a fault, in (0, 100].

    Args:
        fault: Its size, at least 0.
        half: The size that gives 50.

    Examples:
        >>> points(0, 35), points(35, 35)
        (100.0, 50.0)
    """
    return 100 / (1 + pow(fault / half, POWER))


def _groove(scores: Scores) -> float:
    """Return the geometric mean of the four timing scores, of 1."""
    product: float = 1.0
    for name in GROOVE:
        product *= (scores[name] or 0.0) / 100
    return sqrt(sqrt(product))


def _overall(scores: Scores) -> float:
    """Return the weighted mean of the scores that apply; as 100 less a mean it is exact there."""
    missing = {name: 100 - value for name, value in scores.items() if value is not None}
    weighted = sum(WEIGHTS[name] * value for name, value in missing.items())
    return 100 - weighted / sum(WEIGHTS[name] for name in missing)


def _weak_hand(balance: float, timing: Timing) -> float:
    """Return 50 for hands alike, towards 0 for a left that is softer or scatters more."""
    left_ms, right_ms = timing.hand_scatter_ms
    weakness = balance / HALF["hand_balance"]
    weakness += (right_ms - left_ms) / HALF["timing_consistency"]
    return 50 * (1 + weakness / (1 + abs(weakness)))


def _tier_confidence(overall: float) -> float:
    """Return the probability of the likeliest tier, in (1/4, 1]."""
    if overall == 100:
        return 1.0
    odds = log(overall / (100 - overall))
    logs = [-((odds - mean) ** 2) / (2 * TIER_SPREAD**2) for mean in TIERS.values()]
    return 1 / sum(exp(value - max(logs)) for value in logs)
