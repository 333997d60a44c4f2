"""`sousa-v0` is the existing formulas, worked by hand."""

from collections.abc import Sequence
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.labels import score
from sousa.builders.performance import notate
from sousa.builders.rudiments import RUDIMENTS, Rudiment
from sousa.builders.schema import SKILL_TIERS
from sousa.builders.scores_sousa import TIERS, WEIGHTS
from sousa.builders.strokes import ACCENT, BUZZ, DIDDLE, GRACE, NONE, TAP, Strokes


def played(
    error_ms: Sequence[float],
    velocity: Sequence[int] | None = None,
    *,
    kind: Sequence[int] | None = None,
    hand: Sequence[int] | None = None,
    parent: Sequence[int] | None = None,
    diddle: Sequence[int] | None = None,
) -> Strokes:
    """Strokes 100 ms apart; by default taps of velocity 80, right hand first."""
    count = len(error_ms)
    kinds = np.array(kind or [TAP] * count, np.int8)
    loud = np.array(velocity or [80] * count, np.int32)
    intended = 100.0 * np.arange(count)
    return Strokes(
        hand=np.array(hand if hand is not None else [1, 0] * count, np.int8)[:count],
        stroke_type=kinds,
        intended_time_ms=intended,
        actual_time_ms=intended + np.array(error_ms, np.float64),
        intended_velocity=loud,
        actual_velocity=loud,
        is_grace_note=kinds == GRACE,
        is_accent=kinds == ACCENT,
        diddle_position=np.array(diddle or [NONE] * count, np.int32),
        parent_stroke_index=np.array(parent or [NONE] * count, np.int32),
    )


def v0(strokes: Strokes, slug: str = "single_stroke_roll") -> dict[str, float]:
    scores = score(strokes, slug, 120, "sousa-v0")
    return {name: value for name, value in scores.items() if value is not None}


def test_timing_accuracy_has_its_ceiling_at_92() -> None:
    """e = 0: 100 / (1 + exp(-25 / 10)) = 100 / 1.082085 = 92.414; |e| = 25: 100 / 2 = 50."""
    assert v0(played([0, 0, 0, 0]))["timing_accuracy"] == pytest.approx(92.414, abs=1e-3)
    assert v0(played([25, -25, 25, -25]))["timing_accuracy"] == pytest.approx(50)


def test_timing_consistency_has_its_ceiling_at_87() -> None:
    """std 0: 100 / (1 + exp(-15 / 8)) = 100 / 1.153355 = 86.704; e = +-15: std 15, so 50."""
    assert v0(played([7, 7, 7, 7]))["timing_consistency"] == pytest.approx(86.704, abs=1e-3)
    assert v0(played([15, -15, 15, -15]))["timing_consistency"] == pytest.approx(50)


def test_tempo_stability_loses_ten_points_a_millisecond_per_second() -> None:
    """e grows by 0.3 ms each 100 ms, 3 ms/s: 100 - 30 = 70. At 15 ms/s nothing is left."""
    assert v0(played([0, 0.3, 0.6, 0.9]))["tempo_stability"] == pytest.approx(70)
    assert v0(played([0, 1.5, 3, 4.5]))["tempo_stability"] == 0
    assert v0(played([9]))["tempo_stability"] == 100


def test_subdivision_evenness_is_the_spread_of_the_gap_ratios() -> None:
    """Gaps 110, 90, 110 over 100: mean 1.03333, off by 0.0667, -0.1333, 0.0667: std 0.094281."""
    assert v0(played([0, 10, 0, 10]))["subdivision_evenness"] == pytest.approx(90.572, abs=1e-3)
    assert v0(played([0]))["subdivision_evenness"] == 100


def test_velocity_control_punishes_any_spread() -> None:
    """80 and 100: std 10, 100 - 20 = 80. 20 and 120: std 50, nothing is left."""
    assert v0(played([0] * 4, [80, 100, 80, 100]))["velocity_control"] == pytest.approx(80)
    assert v0(played([0] * 4, [20, 120, 20, 120]))["velocity_control"] == 0


def test_accent_differentiation_is_160_times_the_contrast() -> None:
    """Accents 120, taps 60 and a buzz 70, mean 65: 160 x 55 / 127 = 69.291."""
    strokes = played([0] * 4, [120, 60, 120, 70], kind=[ACCENT, TAP, ACCENT, BUZZ])
    assert v0(strokes)["accent_differentiation"] == pytest.approx(69.291, abs=1e-3)
    only_diddles = played([0] * 2, [120, 60], kind=[ACCENT, DIDDLE])
    assert v0(only_diddles)["accent_differentiation"] == 80


def test_accent_accuracy_counts_accents_above_the_mean() -> None:
    """Velocities 120, 60, 70, 60: mean 77.5; one of the accents 120 and 70 is above: 50."""
    strokes = played([0] * 4, [120, 60, 70, 60], kind=[ACCENT, TAP, ACCENT, TAP])
    assert v0(strokes)["accent_accuracy"] == 50
    assert v0(played([0] * 4))["accent_accuracy"] == 100


def test_hand_balance_mixes_loudness_and_timing() -> None:
    """Right: velocity 100, |e| 20; left: 80, |e| 10.

    Loudness 100 x 80 / 100 = 80. Symmetry 10 / 20 = 0.5; mean |e| = 15 gives
    100 / (1 + exp(-1)) = 73.106; timing 0.4 x 50 + 0.6 x 73.106 = 63.864. Half of each: 71.932.
    The weak hand index is 100 x 10 / 30 = 33.333.
    """
    scores = v0(played([20, 10, -20, -10], [100, 80, 100, 80]))
    assert scores["hand_balance"] == pytest.approx(71.932, abs=1e-3)
    assert scores["weak_hand_index"] == pytest.approx(33.333, abs=1e-3)


def test_one_hand_alone_is_balanced() -> None:
    scores = v0(played([20, 10, -20, -10], hand=[1, 1, 1, 1]))
    assert (scores["hand_balance"], scores["weak_hand_index"]) == (100, 50)


def test_graces_are_timed_by_their_lead() -> None:
    """A grace 70 ms late of its grid place leads by 30: its error is 30 - 30 = 0, as is the tap's.

    Lead 15: error -15, and flam_quality 100 - 5 x (20 - 15) = 75. Lead 50: 100 - 3 x 10 = 70.
    """
    flam = {"kind": [GRACE, TAP], "parent": [1, NONE], "hand": [0, 1]}
    assert v0(played([70, 0], **flam), "flam")["timing_accuracy"] == pytest.approx(92.414, abs=1e-3)
    assert v0(played([70, 0], **flam), "flam")["flam_quality"] == 100
    tight = v0(played([85, 0], **flam), "flam")
    assert tight["flam_quality"] == pytest.approx(75)
    assert tight["timing_accuracy"] == pytest.approx(100 / (1 + exp((7.5 - 25) / 10)))
    assert v0(played([50, 0], **flam), "flam")["flam_quality"] == pytest.approx(70)
    assert v0(played([0, 0]), "flam")["flam_quality"] == 80


def test_bounces_are_timed_as_graces() -> None:
    """A bounce 100 ms after its stroke leads by -100: error -130; mean |e| = 65."""
    buzz = played([0, 0], kind=[BUZZ, BUZZ], parent=[NONE, 0])
    scores = v0(buzz, "multiple_bounce_roll")
    assert scores["timing_accuracy"] == pytest.approx(100 / (1 + exp(4)))


def test_diddle_quality_is_the_mean_error_of_the_gaps() -> None:
    """Gaps 90 and 120 over 100: mean |ratio - 1| = 0.15; 100 - 200 x 0.15 = 70."""
    strokes = played([0, -10, 0, 20], kind=[DIDDLE] * 4, diddle=[1, 2, 1, 2])
    assert v0(strokes, "double_stroke_open_roll")["diddle_quality"] == pytest.approx(70)
    assert v0(played([0, 0]), "single_stroke_roll")["diddle_quality"] == 80


def test_an_accented_diddle_is_no_diddle() -> None:
    strokes = played([0, -10], kind=[ACCENT, DIDDLE], diddle=[1, 2])
    assert v0(strokes, "single_paradiddle")["diddle_quality"] == 80


def test_roll_sustain_compares_the_last_quarter_with_the_first() -> None:
    """Six strokes: the first quarter is one (100), the last, rounded up, two (80 and 60): 70."""
    assert v0(played([0] * 6, [100, 99, 99, 99, 80, 60]))["roll_sustain"] == pytest.approx(70)
    assert v0(played([0] * 3))["roll_sustain"] == 80
    assert v0(played([0] * 4, [80, 80, 80, 90]))["roll_sustain"] == 100


def test_groove_adds_repetition_to_accuracy() -> None:
    """e = 20, -20, ... six times: accuracy 1 - 20 / 50 = 0.6; |autocorrelation| 1 at all lags: 0.9.

    The gaps of pairs are 60 over 100, so 0.6 with no spread: a swing adds 0.1, which makes 1.
    """
    swung = [20.0, -20.0] * 3
    assert v0(played(swung))["groove_feel_proxy"] == pytest.approx(1.0)
    assert v0(played([-e for e in swung]))["groove_feel_proxy"] == pytest.approx(0.9)
    assert v0(played([40] * 6))["groove_feel_proxy"] == pytest.approx(0.5)  # 0.2 + 0.3, no spread
    assert v0(played([40] * 5))["groove_feel_proxy"] == pytest.approx(0.35)  # too few: 0.2 + 0.15
    assert v0(played([0] * 3))["groove_feel_proxy"] == 0.5


def test_overall_is_weighted_and_tier_confidence_is_gaussian() -> None:
    """A perfect single stroke roll, velocity 80 throughout.

    0.2 x 92.414 + 0.15 x 86.704 + 0.1 x (100 + 100 + 100 + 80 + 100) = 79.489, and hands
    0.5 x 100 + 0.5 x (0.4 x 0 + 0.6 x 92.414) = 77.724 x 0.15 = 11.659: 91.147.
    """
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    strokes = played([0] * 8)
    overall = v0(strokes)["overall_score"]
    assert overall == pytest.approx(91.147, abs=1e-3)
    for tier in SKILL_TIERS:
        mean, spread = TIERS[tier]
        confidence = score(strokes, 0, 120, "sousa-v0", skill_tier=tier)["tier_confidence"]
        assert confidence == pytest.approx(exp(-0.5 * ((overall - mean) / spread) ** 2))
    assert v0(strokes)["tier_confidence"] == 0.5


@pytest.mark.parametrize("rudiment", RUDIMENTS.values(), ids=lambda rudiment: rudiment.slug)
def test_scores_belong_to_categories(rudiment: Rudiment) -> None:
    scores = score(notate(rudiment, 100, 2).strokes, rudiment, 100, "sousa-v0")
    expected = {
        "flam": {"diddle_quality", "roll_sustain"},
        "diddle": {"flam_quality", "roll_sustain"},
        "roll": {"flam_quality"},
        "drag": {"flam_quality", "diddle_quality", "roll_sustain"},
    }[rudiment.category] | {"drag_quality", "buzz_quality"}
    assert {name for name, value in scores.items() if value is None} == expected


@given(rudiment=st.sampled_from(list(RUDIMENTS.values())), tempo_bpm=st.integers(60, 180))
def test_a_perfect_performance_reaches_no_more_than_the_ceilings(
    rudiment: Rudiment, tempo_bpm: int
) -> None:
    """What `v1` is for: graces, bounces and accents cost a perfect player points here."""
    scores = v0(notate(rudiment, tempo_bpm, 2).strokes, rudiment.slug)
    assert scores["timing_accuracy"] <= 92.415
    assert scores["timing_consistency"] <= 86.705
    assert scores["overall_score"] < 92


def test_without_strokes_scores_are_zero() -> None:
    scores = v0(played([]), "flam")
    assert scores.pop("weak_hand_index") == 50
    assert scores.pop("tier_confidence") == 0.5
    assert set(scores.values()) == {0.0}
    assert "flam_quality" not in scores
