from dataclasses import fields
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import detrend

from sousa.builders.keys import generator
from sousa.builders.labels import score
from sousa.builders.mistakes import (
    COLLAPSE,
    DOUBLED,
    FALSE_ACCENT,
    MISSED,
    MISSED_ACCENT,
    STUMBLE,
    WRONG_STICKING,
    Mistakes,
)
from sousa.builders.performance import (
    ACCENT_VELOCITY,
    GRACE_VELOCITY,
    TAP_VELOCITY,
    Performance,
    lead_in_ms,
    notate,
    perform,
)
from sousa.builders.players import sample_player
from sousa.builders.rudiments import RUDIMENTS
from sousa.builders.schema import SKILL_TIERS
from sousa.builders.strokes import LEFT, NONE, RIGHT

SEED = 42

rudiments = st.sampled_from(list(RUDIMENTS.values()))
players = st.builds(sample_player, st.integers(0, 10), st.integers(0, 200))
tempos = st.one_of(st.integers(40, 220), st.floats(40, 220))
rngs = st.builds(np.random.default_rng, st.integers(0, 2**32))


@cache
def corpus():
    """Clips of 32 players and all rudiments: player, rudiment, tempo, performance."""
    clips = []
    for index in range(32):
        player = sample_player(SEED, index)
        for slug, rudiment in RUDIMENTS.items():
            rng = generator(SEED, "test", index, slug)
            tempo_bpm = int(rng.integers(*rudiment.tempo_range_bpm, endpoint=True))
            num_cycles = max(1, round(4 * tempo_bpm / 60 / rudiment.beats))
            clip = perform(rudiment, player, tempo_bpm, num_cycles, rng)
            clips.append((player, rudiment, tempo_bpm, clip))
    return clips


def by_tier(measure):
    """Return what `measure(strokes)` gives for each flawless clip, for each tier."""
    found = {tier: [] for tier in SKILL_TIERS}
    for player, _, _, clip in corpus():
        if not len(clip.mistakes):
            found[player.skill_tier] += measure(clip.strokes)
    return found


def grid(strokes):
    return strokes.take(np.flatnonzero(strokes.is_primary))


# As notated


def test_the_lead_in_is_a_beat_or_half_a_slow_one():
    assert [lead_in_ms(bpm) for bpm in (60, 119, 120, 200)] == [500, 252.101, 500, 300]


def test_paradiddle_at_120_as_worked_by_hand():
    strokes = notate(RUDIMENTS["single_paradiddle"], 120, 1).strokes
    assert strokes.intended_time_ms.tolist() == [500 + 125 * n for n in range(8)]
    accent, tap = ACCENT_VELOCITY, TAP_VELOCITY
    assert strokes.intended_velocity.tolist() == [accent, tap, tap, tap] * 2
    assert strokes.hand.tolist() == [RIGHT, LEFT, RIGHT, RIGHT, LEFT, RIGHT, LEFT, LEFT]
    assert strokes.diddle_position.tolist() == [NONE, NONE, 1, 2] * 2


def test_drag_at_60_as_worked_by_hand():
    strokes = notate(RUDIMENTS["drag"], 60, 1).strokes
    assert strokes.intended_time_ms[:6].tolist() == [440, 470, 500, 940, 970, 1000]
    assert strokes.parent_stroke_index[:6].tolist() == [2, 2, NONE, 5, 5, NONE]
    assert strokes.intended_velocity[:2].tolist() == [GRACE_VELOCITY] * 2
    assert strokes.flam_spacing_ms[:2].tolist() == [60, 30]


def test_buzz_strokes_are_evenly_filled_with_fading_bounces():
    strokes = notate(RUDIMENTS["multiple_bounce_roll"], 100, 2).strokes
    assert np.diff(strokes.intended_time_ms) == pytest.approx(30, abs=0.002)
    assert strokes.intended_velocity[:5].tolist() == [68, 61, 55, 50, 45]
    assert set(strokes.buzz_count[strokes.is_primary].tolist()) == {5}


@given(rudiment=rudiments, tempo_bpm=tempos, num_cycles=st.integers(1, 5))
def test_graces_lead_by_less_than_half_the_gap(rudiment, tempo_bpm, num_cycles):
    strokes = notate(rudiment, tempo_bpm, num_cycles).strokes
    primary = strokes.intended_time_ms[strokes.is_primary]
    shortest = min(np.diff(primary, prepend=0.0).tolist())
    lead = strokes.flam_spacing_ms[strokes.is_grace_note]
    assert (lead > 0).all()
    gap = np.diff(primary, prepend=-np.inf)[
        np.searchsorted(primary, strokes.intended_time_ms[strokes.is_grace_note])
    ]
    assert (lead <= 0.45 * gap + 0.001).all()
    assert shortest > 0


@given(rudiment=rudiments, tempo_bpm=tempos, num_cycles=st.integers(1, 5))
def test_notation_is_perfect_and_periodic(rudiment, tempo_bpm, num_cycles):
    score = notate(rudiment, tempo_bpm, num_cycles)
    strokes = score.strokes
    assert not strokes.timing_error_ms.any()
    assert not strokes.velocity_error.any()
    assert len(score.mistakes) == 0
    assert score.num_measures == num_cycles * rudiment.beats / rudiment.beats_per_measure
    cycle_ms = rudiment.beats * 60_000 / tempo_bpm
    lap = len(strokes) // num_cycles
    steps = strokes.intended_time_ms[lap:] - strokes.intended_time_ms[:-lap]
    assert steps == pytest.approx(cycle_ms, abs=0.002)
    beats = (grid(strokes).intended_time_ms - lead_in_ms(tempo_bpm)) * tempo_bpm / 60_000
    notated = [float(note.beat) for note in rudiment.notes]
    assert beats[: len(notated)] == pytest.approx(notated, abs=1e-4)


# As played


@given(rudiments, players, tempos, st.integers(1, 6), rngs)
def test_strokes_keep_their_order_and_their_parents(rudiment, player, tempo_bpm, cycles, rng):
    clip = perform(rudiment, player, tempo_bpm, cycles, rng)
    strokes, time_ms = clip.strokes, clip.strokes.actual_time_ms
    assert time_ms[0] >= 1
    assert (np.diff(time_ms) > 0).all()
    assert (np.diff(grid(strokes).actual_time_ms) >= 5).all()
    assert np.array_equal(time_ms, np.round(time_ms, 3))
    assert (time_ms[-1] - strokes.intended_time_ms[-1]) < 0.3 * time_ms[-1]
    assert 1 <= strokes.actual_velocity.min() <= strokes.actual_velocity.max() <= 127
    child = np.flatnonzero(strokes.parent_stroke_index != NONE)
    parent = strokes.parent_stroke_index[child]
    assert strokes.is_primary[parent].all()
    assert np.array_equal(parent > child, strokes.is_grace_note[child])
    assert np.array_equal(strokes.is_grace_note | strokes.is_bounce, ~strokes.is_primary)
    assert np.array_equal(clip.measure[child], clip.measure[parent])
    assert (np.diff(clip.measure) >= 0).all()
    assert clip.measure.max() < clip.num_measures


@given(rudiments, players, tempos, st.integers(0, 2**32))
def test_the_same_chance_gives_the_same_performance(rudiment, player, tempo_bpm, seed):
    first, second = (
        perform(rudiment, player, tempo_bpm, 2, np.random.default_rng(seed)) for _ in range(2)
    )
    for a, b in ((first.strokes, second.strokes), (first.mistakes, second.mistakes)):
        for field in fields(a):
            assert np.array_equal(getattr(a, field.name), getattr(b, field.name))


@given(rudiments, players, tempos, rngs)
def test_what_was_intended_is_what_is_notated(rudiment, player, tempo_bpm, rng):
    written = notate(rudiment, tempo_bpm, 4).strokes
    clip = perform(rudiment, player, tempo_bpm, 4, rng)
    doubled = clip.mistakes.stroke_index[clip.mistakes.kind == DOUBLED]
    meant = np.delete(np.arange(len(clip.strokes)), doubled)
    place = np.searchsorted(written.intended_time_ms, clip.strokes.intended_time_ms[meant])
    for name in ("intended_time_ms", "intended_velocity", "stroke_type", "is_accent"):
        notated = getattr(written, name)[place]
        assert np.array_equal(getattr(clip.strokes, name)[meant], notated)


# Published ranges (Fujii et al. 2011; Repp 2005; Wing and Kristofferson 1973)

TIMING_SD_MS = {
    "beginner": (35, 80),
    "intermediate": (20, 45),
    "advanced": (8, 25),
    "professional": (5, 15),
}
VELOCITY_CV = {
    "beginner": (0.18, 0.35),
    "intermediate": (0.12, 0.25),
    "advanced": (0.08, 0.18),
    "professional": (0.05, 0.12),
}


def timing_sd_ms(strokes):
    played = grid(strokes)
    line = np.polyfit(played.intended_time_ms, played.timing_error_ms, 1)
    return [np.std(played.timing_error_ms - np.polyval(line, played.intended_time_ms))]


def velocity_cvs(strokes):
    played = grid(strokes)
    kinds = [played.actual_velocity[played.stroke_type == kind] for kind in range(5)]
    return [np.std(kind) / np.mean(kind) for kind in kinds if len(kind) > 3]


@pytest.mark.parametrize("tier", SKILL_TIERS)
def test_detrended_timing_lies_well_within_the_published_range(tier):
    low, high = TIMING_SD_MS[tier]
    margin = 0.15 * (high - low)
    assert low + margin < np.mean(by_tier(timing_sd_ms)[tier]) < high - margin


@pytest.mark.parametrize("tier", SKILL_TIERS)
def test_velocities_vary_well_within_the_published_range(tier):
    low, high = VELOCITY_CV[tier]
    margin = 0.15 * (high - low)
    assert low + margin < np.median(by_tier(velocity_cvs)[tier]) < high - margin


@pytest.mark.parametrize("measure", [timing_sd_ms, velocity_cvs])
def test_tiers_are_ordered(measure):
    averages = [np.median(values) for values in by_tier(measure).values()]
    assert averages == sorted(averages, reverse=True)


def test_few_strokes_are_as_loud_as_midi_allows():
    loudest = by_tier(lambda strokes: (strokes.actual_velocity == 127).tolist())
    assert all(np.mean(values) < 0.02 for values in loudest.values())


@pytest.mark.parametrize("tier", SKILL_TIERS)
def test_a_long_interval_tends_to_follow_a_short_one(tier):
    """Wing and Kristofferson 1973: successive intervals correlate negatively, down to -1/2."""

    def lag_1(strokes):
        played = grid(strokes)
        interval = np.diff(played.timing_error_ms)
        return [np.corrcoef(interval[1:], interval[:-1])[0, 1]]

    assert -0.5 < np.mean(by_tier(lag_1)[tier]) < -0.05


@pytest.mark.parametrize("tier", range(4))
def test_slow_errors_are_larger_than_fast_ones(tier):
    """Hennig et al. 2011: the power of the errors falls with frequency as 1/f does."""
    power = np.zeros(245)
    for take in range(16):
        rng = generator(SEED, "long", tier, take)
        player = sample_player(SEED, tier)
        strokes = perform(RUDIMENTS["single_stroke_roll"], player, 90, 40, rng).strokes
        time_ms = np.arange(1000, 50_000, 100.0)
        error = np.interp(time_ms, strokes.intended_time_ms, strokes.timing_error_ms)
        power += np.abs(np.fft.rfft(detrend(error) * np.hanning(len(error)))[1:]) ** 2
    hertz = np.fft.rfftfreq(len(time_ms), 0.1)[1:]
    slow, middle, fast = (
        power[(hertz >= low) & (hertz < high)].mean()
        for low, high in ((0.12, 0.25), (0.3, 0.6), (1, 5))
    )
    assert 1.5 < slow / middle < 5  # 1/f: an octave and a half halves the power, and more
    assert middle > 2 * fast


def test_strokes_lead_the_beat_and_beginners_most():
    means = by_tier(lambda strokes: [grid(strokes).timing_error_ms.mean()])
    averages = [np.mean(values) for values in means.values()]
    assert averages == sorted(averages)
    assert averages[-1] < 0


@pytest.mark.parametrize("tier", range(4))
def test_the_weak_hand_is_softer_and_later(tier):
    player = sample_player(SEED, tier)
    rngs = [generator(SEED, "hands", tier, take) for take in range(200)]
    clips = [perform(RUDIMENTS["single_stroke_roll"], player, 90, 4, rng) for rng in rngs]
    late_ms, ratio = [], []
    for strokes in (clip.strokes for clip in clips if not len(clip.mistakes)):
        weak = strokes.hand == (LEFT if player.dominant_hand == "right" else RIGHT)
        error, velocity = strokes.timing_error_ms, strokes.actual_velocity
        late_ms.append(error[weak].mean() - error[~weak].mean())
        ratio.append(velocity[weak].mean() / velocity[~weak].mean())
    assert np.mean(late_ms) == pytest.approx(player.weak_hand_delay_ms, abs=2.5)
    assert np.mean(ratio) == pytest.approx(player.weak_hand_loudness, abs=0.02)


def test_uncomfortable_tempos_loosen_a_beginner_more_than_a_professional():
    def spread(index, tempo_bpm):
        player = sample_player(SEED, index)
        rngs = [generator(SEED, "strain", take) for take in range(60)]
        clips = [perform(RUDIMENTS["flam"], player, tempo_bpm, 6, rng) for rng in rngs]
        return np.mean([timing_sd_ms(c.strokes) for c in clips if not len(c.mistakes)])

    beginner, professional = (spread(index, 180) / spread(index, 90) for index in (0, 3))
    assert beginner > professional


def test_flams_of_better_players_are_closer_to_the_notation():
    errors = by_tier(
        lambda strokes: (
            np.abs(
                strokes.flam_spacing_ms
                - (strokes.intended_time_ms[strokes.parent_stroke_index] - strokes.intended_time_ms)
            )[strokes.is_grace_note]
        ).tolist()
    )
    averages = [np.mean(values) for values in errors.values()]
    assert averages == sorted(averages, reverse=True)
    assert averages[0] > 2 * averages[3]


CORRELATIONS = (
    ("timing_accuracy", "timing_consistency", 0.5),
    ("timing_accuracy", "hand_balance", 0.3),
    ("timing_accuracy", "overall_score", 0.6),
    ("velocity_control", "accent_differentiation", 0.15),
    ("hand_balance", "overall_score", 0.4),
)


@cache
def scores():
    """Return every score of every clip as arrays, null as NaN."""
    rows = [score(clip.strokes, rudiment, bpm) for _, rudiment, bpm, clip in corpus()]
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}


@pytest.mark.parametrize(("a", "b", "published"), CORRELATIONS)
def test_scores_go_together_as_published(a, b, published):
    first, second = scores()[a], scores()[b]
    both = ~np.isnan(first + second)
    assert np.corrcoef(first[both], second[both])[0, 1] >= published


@pytest.mark.parametrize("name", ["timing_accuracy", "timing_consistency", "hand_balance"])
def test_scores_rise_with_the_tier(name):
    tier = np.array([SKILL_TIERS.index(player.skill_tier) for player, *_ in corpus()])
    averages = [scores()[name][tier == each].mean() for each in range(4)]
    assert averages == sorted(averages)


# Mistakes


def mistakes_of(kind):
    """Yield each clip that has a mistake, the mistake's place in it and its stroke."""
    for _, rudiment, tempo_bpm, clip in corpus():
        for place in np.flatnonzero(clip.mistakes.kind == kind):
            written = notate(rudiment, tempo_bpm, clip.num_cycles).strokes
            yield written, clip, clip.mistakes.intended_time_ms[place], place


@pytest.mark.parametrize("kind", range(COLLAPSE + 1))
def test_every_mistake_happens_and_names_a_stroke_that_was_notated_there(kind):
    found = list(mistakes_of(kind))
    assert found
    for _, clip, intended_ms, place in found:
        stroke = clip.mistakes.stroke_index[place]
        if kind == MISSED:
            assert stroke == NONE
        else:
            assert clip.strokes.intended_time_ms[stroke] == intended_ms


@given(rudiments, players, tempos, rngs)
def test_strokes_less_the_missed_and_more_the_doubled_sound(rudiment, player, tempo_bpm, rng):
    written = notate(rudiment, tempo_bpm, 8).strokes
    clip = perform(rudiment, player, tempo_bpm, 8, rng)
    missed, doubled = (int((clip.mistakes.kind == kind).sum()) for kind in (MISSED, DOUBLED))
    # Bounces may be lost without a mistake.
    notated, sounding = (int((~strokes.is_bounce).sum()) for strokes in (written, clip.strokes))
    assert sounding == notated - missed + doubled
    assert (np.diff(clip.mistakes.intended_time_ms) >= 0).all()


def test_a_missed_stroke_is_notated_and_does_not_sound():
    for written, clip, intended_ms, _ in mistakes_of(MISSED):
        assert intended_ms in written.intended_time_ms
        assert intended_ms not in clip.strokes.intended_time_ms


def test_a_doubled_stroke_follows_one_of_the_same_hand_and_is_softer():
    for written, clip, intended_ms, place in mistakes_of(DOUBLED):
        strokes, second = clip.strokes, clip.mistakes.stroke_index[place]
        assert intended_ms not in written.intended_time_ms
        assert strokes.timing_error_ms[second] == 0
        assert strokes.velocity_error[second] == 0
        assert 0 < strokes.actual_time_ms[second] - strokes.actual_time_ms[second - 1] <= 60
        assert strokes.hand[second] == strokes.hand[second - 1]
        assert strokes.actual_velocity[second] < strokes.actual_velocity[second - 1]


def test_hands_are_the_notated_ones_but_for_wrong_stickings():
    for _, rudiment, tempo_bpm, clip in corpus():
        written, strokes = notate(rudiment, tempo_bpm, clip.num_cycles).strokes, clip.strokes
        notated = dict(zip(written.intended_time_ms, written.hand, strict=True))
        wrong = {
            float(strokes.intended_time_ms[stroke])
            for stroke in range(len(strokes))
            if notated.get(strokes.intended_time_ms[stroke], strokes.hand[stroke])
            != strokes.hand[stroke]
        }
        labelled = clip.mistakes.kind == WRONG_STICKING
        assert wrong == set(clip.mistakes.intended_time_ms[labelled].tolist())


def test_accents_are_missed_and_taps_accented_where_the_labels_say():
    missed, false, kept = [], [], []
    for _, _, _, clip in corpus():
        strokes, mistakes = clip.strokes, clip.mistakes
        for kind, ratios, accented in ((MISSED_ACCENT, missed, True), (FALSE_ACCENT, false, False)):
            wrong = mistakes.stroke_index[mistakes.kind == kind]
            assert (strokes.is_accent[wrong] == accented).all()
            ratios += (strokes.actual_velocity / strokes.intended_velocity)[wrong].tolist()
        if strokes.is_accent.any() and not len(mistakes):
            kept.append(np.mean(strokes.actual_velocity / strokes.intended_velocity))
    assert np.mean(missed) < 0.8 * np.mean(kept)
    assert np.mean(false) > 1.1 * np.mean(kept)


def test_a_stumble_comes_late_and_is_recovered_from():
    onset, after = [], []
    for _, clip, _, place in mistakes_of(STUMBLE):
        strokes, stroke = grid(clip.strokes), clip.mistakes.stroke_index[place]
        which = int(clip.strokes.is_primary[:stroke].sum())
        error = strokes.timing_error_ms
        if 0 < which < len(strokes) - 5:
            onset.append(error[which] - error[which - 1])
            after.append(error[which + 5] - error[which])
    assert np.mean(onset) > 40
    assert np.mean(after) < -25


def test_a_collapsing_tempo_ends_slower_and_only_happens_above_the_comfortable_ones():
    slower = []
    for player, _, tempo_bpm, clip in corpus():
        for stroke in clip.mistakes.stroke_index[clip.mistakes.kind == COLLAPSE]:
            assert tempo_bpm > player.comfort_bpm[1]
            error = clip.strokes.timing_error_ms
            slower.append(error[-1] - error[stroke])
    assert np.mean(slower) > 50


def test_mistakes_are_rarer_with_skill():
    rates = {tier: [0, 0] for tier in SKILL_TIERS}
    for player, _, _, clip in corpus():
        rates[player.skill_tier][0] += len(clip.mistakes)
        rates[player.skill_tier][1] += len(clip.strokes)
    per_hundred = [100 * mistakes / strokes for mistakes, strokes in rates.values()]
    assert per_hundred == sorted(per_hundred, reverse=True)
    assert 1 < per_hundred[0] < 3
    assert per_hundred[3] < 0.1


# Refusals


def test_performances_that_cannot_be_are_refused():
    rudiment = RUDIMENTS["flam"]
    with pytest.raises(ValueError, match="num_cycles must be at least 1, got 0"):
        notate(rudiment, 120, 0)
    for tempo_bpm in (0, -1, float("nan")):
        with pytest.raises(ValueError, match=f"tempo_bpm must be above 0, got {tempo_bpm}"):
            notate(rudiment, tempo_bpm, 1)
    with pytest.raises(ValueError, match="mistakes need equally long arrays"):
        Mistakes(kind=np.zeros(1, np.int8))
    clip = notate(rudiment, 120, 1)
    with pytest.raises(ValueError, match="one measure a stroke, got 0 measures for 8 strokes"):
        Performance(
            strokes=clip.strokes,
            measure=np.zeros(0, np.int32),
            mistakes=Mistakes(),
            num_cycles=1,
            num_measures=1,
        )
