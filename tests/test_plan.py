"""A plan says which clips, where, and by which chance."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.plan import (
    MOST_ROWS_PER_SHARD,
    PRESET_SIZES,
    ClipKey,
    Plan,
    kit_name,
    make_plan,
)
from sousa.builders.rudiments import RUDIMENTS
from sousa.builders.schema import SKILL_TIERS, SPLITS

plans = st.builds(
    Plan,
    players=st.integers(12, 40),
    tempos=st.integers(1, 3),
    variants=st.integers(1, 3),
    rudiments=st.lists(st.sampled_from(list(RUDIMENTS)), min_size=1, max_size=4).map(tuple),
    seed=st.integers(0, 99),
)


@pytest.mark.parametrize(
    ("preset", "clips"), [("tiny", 480), ("small", 1_200), ("medium", 12_000), ("full", 100_000)]
)
def test_presets_have_as_many_clips_as_they_say(preset: str, clips: int) -> None:
    plan = make_plan(preset, dict.fromkeys(("players", "tempos", "variants")))
    assert plan.num_clips == clips == sum(shard.rows for shard in plan.shards)
    assert set(PRESET_SIZES) == {"tiny", "small", "medium", "full"}


@given(plans)
def test_every_clip_is_in_exactly_one_shard(plan: Plan) -> None:
    keys = [
        (key.player, key.rudiment.slug, key.tempo_index, key.variant)
        for shard in plan.shards
        for key in plan.clips(shard)
    ]
    assert len(keys) == len(set(keys)) == plan.num_clips
    assert all(0 < shard.rows <= MOST_ROWS_PER_SHARD for shard in plan.shards)


@given(plans)
def test_no_player_is_in_two_splits_and_every_tier_is_in_each(plan: Plan) -> None:
    members = [player for split in SPLITS for player in plan.players_of[split]]
    assert sorted(members) == list(range(plan.players))
    for split in SPLITS:
        tiers = {plan.player(player).skill_tier for player in plan.players_of[split]}
        assert tiers == set(SKILL_TIERS)


@given(plans)
def test_clips_stay_in_the_split_of_their_player(plan: Plan) -> None:
    for shard in plan.shards:
        assert {key.player for key in plan.clips(shard)} <= set(plan.players_of[shard.split])


def test_any_run_of_rows_is_a_fair_sample_of_tiers_and_rudiments() -> None:
    """Of 64 rows in a row each tier has 16, up to the deal's jitter, and most rudiments occur."""
    plan = Plan(players=40)
    shard = plan.shards[0]
    keys = plan.clips(shard)
    for begin in range(0, shard.rows - 64, 7):
        run = keys[begin : begin + 64]
        counts = np.bincount([key.player % 4 for key in run], minlength=4)
        assert counts.min() >= 13
        assert counts.max() <= 19
        assert len({key.rudiment.slug for key in run}) >= 24


def test_a_larger_plan_changes_nothing_about_the_clips_of_a_smaller() -> None:
    """More players, rudiments, tempos, variants, other configs: chance stays with its clip."""
    small = Plan(players=12, rudiments=("flam", "drag"))
    large = Plan(players=20, tempos=2, variants=3, configs=("labels_only",))
    for player in range(12):
        for slug in ("flam", "drag"):
            key = ClipKey(player, RUDIMENTS[slug], 0, 0)
            assert small.player(player) == large.player(player)
            assert small.tempo_bpm(key) == large.tempo_bpm(key)
            assert small.recording(key) == large.recording(key)


def test_tempos_and_recordings_of_a_performance_differ() -> None:
    plan = Plan(players=12, tempos=5, variants=5)
    for slug in RUDIMENTS:
        keys = [ClipKey(3, RUDIMENTS[slug], tempo, 0) for tempo in range(5)]
        low, high = RUDIMENTS[slug].tempo_range_bpm
        tempos = {plan.tempo_bpm(key) for key in keys}
        assert len(tempos) == 5
        assert all(low <= tempo <= high for tempo in tempos)
        recordings = {plan.recording(replace(keys[0], variant=variant)) for variant in range(5)}
        assert len(recordings) == 5


def test_tempo_tells_nothing_about_the_tier() -> None:
    """Mean tempo by tier over 100 players x 40 rudiments: 4 standard errors of 40 / sqrt(1000)."""
    plan = Plan(players=100)
    tempos = np.array(
        [
            [plan.tempo_bpm(ClipKey(player, rudiment, 0, 0)) for rudiment in RUDIMENTS.values()]
            for player in range(100)
        ]
    )
    means = [tempos[tier::4].mean() for tier in range(4)]
    assert np.ptp(means) < 4 * 40 / np.sqrt(1000)
    of_players = tempos.mean(axis=1)
    assert of_players.std() < 1.5 * tempos.std() / np.sqrt(40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"players": 11},
            r"three splits need 12 players, got 11; or .*--splits train",
        ),
        ({"players": 0}, "players must be at least 1, got 0"),
        ({"variants": 10_000}, "variants must be at most"),
        ({"tempos": 1_000}, "tempos must be at most"),
        ({"rudiments": ("flam", "flim")}, "single_stroke_roll.*; got 'flim', did you mean flam"),
        ({"rudiments": ()}, "rudiments must name at least one"),
        ({"configs": ("video",)}, "configs must be of audio, .*got 'video'"),
        ({"tokens": ("remi",)}, "of MidiTok need a configuration: remi:CONFIG.json, got 'remi'"),
        ({"score_set": "v2"}, "score-set must be of v1, sousa-v0; got 'v2'"),
        ({"splits": ("test",)}, "splits must be train,validation,test or train"),
        ({"kit": "triangle"}, "kit must be of .*got 'triangle'"),
    ],
)
def test_impossible_plans_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plan(**{"players": 12} | options)  # type: ignore[arg-type]


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match=r"preset must be of tiny, .*; got 'huge'"):
        make_plan("huge", {})


def test_a_soundfont_is_no_kit_of_ours_whatever_it_is_called() -> None:
    assert kit_name("sf2:fonts/concert.sf2") == "sf2:concert"
    assert kit_name("concert") == "concert"
