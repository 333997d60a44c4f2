from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.keys import generator
from sousa.builders.performance import perform
from sousa.builders.players import (
    ABILITIES,
    CORRELATIONS,
    LEFT_HANDED,
    correlation,
    sample_player,
)
from sousa.builders.rudiments import RUDIMENTS
from sousa.builders.schema import SKILL_TIERS

BEGINNER, PROFESSIONAL = sample_player(42, 0), sample_player(42, 3)
MANY = [sample_player(7, index) for index in range(1200)]


@given(seed=st.integers(0, 2**63), index=st.integers(0, 10_000))
def test_a_player_depends_on_seed_and_index_alone(seed, index):
    player = sample_player(seed, index)
    assert player == sample_player(seed, index)
    assert player != sample_player(seed + 1, index)
    assert player.skill_tier == SKILL_TIERS[index % 4]


def test_names_are_stable_from_build_to_build():
    assert sample_player(42, 0).profile_id == "beg000-3140342e"
    names = [sample_player(42, index).profile_id[:6] for index in range(5)]
    assert names == ["beg000", "int001", "adv002", "pro003", "beg004"]


def test_no_two_players_share_a_name():
    assert len({player.profile_id for player in MANY}) == len(MANY)


def test_about_one_in_ten_is_left_handed():
    share = np.mean([player.dominant_hand == "left" for player in MANY])
    assert share == pytest.approx(LEFT_HANDED, abs=0.03)


@pytest.mark.parametrize("name", ABILITIES)
def test_every_ability_averages_what_its_tier_says(name):
    for tier in range(4):
        values = [getattr(player, name) for player in MANY[tier::4]]
        slack = 0.25 * ABILITIES[name].deviations[tier]  # limits cut some tails
        assert np.mean(values) == pytest.approx(ABILITIES[name].means[tier], abs=slack)


@pytest.mark.parametrize("name", ABILITIES)
def test_every_ability_rises_or_falls_with_the_tier(name):
    steps = np.diff(ABILITIES[name].means)
    assert (steps > 0).all() or (steps < 0).all()


def test_correlations_are_possible_and_close_to_those_named():
    matrix, names = correlation(), list(ABILITIES)
    assert np.diag(matrix) == pytest.approx(1)
    assert np.linalg.eigvalsh(matrix).min() >= -1e-12
    for a, b, named in CORRELATIONS:
        assert matrix[names.index(a), names.index(b)] == pytest.approx(named, abs=0.1)


def test_players_of_one_tier_show_the_correlations():
    intermediate = np.array([[getattr(p, name) for name in ABILITIES] for p in MANY[1::4]])
    seen = np.corrcoef(intermediate.T)
    # 300 players: the standard error of a correlation is below 0.06.
    assert np.abs(seen - correlation()).max() < 0.25


SHOWS = ("multiple_bounce_roll", "double_stroke_open_roll", "flam_paradiddle")


@pytest.mark.parametrize("name", ABILITIES)
def test_every_ability_can_be_heard(name):
    player = replace(BEGINNER, accent_accuracy=0.8)
    other = replace(player, **{name: getattr(PROFESSIONAL, name)})

    def takes(who):
        clips = [perform(RUDIMENTS[slug], who, 100, 4, generator(1, slug)) for slug in SHOWS]
        played = [(clip.strokes.actual_time_ms, clip.strokes.actual_velocity) for clip in clips]
        return [array.tolist() for pair in played for array in pair]

    assert takes(player) != takes(other)


def test_strain_counts_the_bpm_outside_the_comfortable_tempos():
    assert [BEGINNER.strain(bpm) for bpm in (50, 60, 100, 130)] == [10, 0, 0, 30]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"skill_tier": "genius"}, "skill_tier must be one of .*got 'genius'"),
        ({"dominant_hand": "both"}, "dominant_hand must be one of .*got 'both'"),
        (
            {"comfort_bpm": (100.0, 60.0)},
            r"comfort_bpm must rise from above 0, got \(100.0, 60.0\)",
        ),
        ({"fatigue": -0.1}, r"fatigue must be in \[0, 0.3\], got -0.1"),
        ({"loudness": float("nan")}, r"loudness must be in \[0.5, 1.2\], got nan"),
    ],
)
def test_players_who_cannot_exist_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(BEGINNER, **change)


def test_a_negative_index_is_refused():
    with pytest.raises(ValueError, match="index of a player must be at least 0, got -1"):
        sample_player(42, -1)
