"""Scores of strokes in any form; measures that can be recomputed from the strokes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.labels import SCORE_SETS, measures, score
from sousa.builders.performance import Performance, notate, perform
from sousa.builders.players import sample_player
from sousa.builders.rudiments import RUDIMENTS
from sousa.builders.schema import HANDS, MEASURE_FIELDS, SCORES, STROKE_TYPES
from sousa.builders.strokes import LEFT, NONE, RIGHT


def human(slug: str, seed: int = 3, tempo_bpm: float = 100) -> Performance:
    player = sample_player(9, seed)
    return perform(RUDIMENTS[slug], player, tempo_bpm, 3, np.random.default_rng(seed))


def as_dicts(performance: Performance) -> list[dict[str, object]]:
    """One dict a stroke, with names for labels and None for null, as `datasets` may give them."""
    columns = {name: values.tolist() for name, values in performance.strokes.columns().items()}
    columns["hand"] = [HANDS[i] for i in columns["hand"]]
    columns["stroke_type"] = [STROKE_TYPES[i] for i in columns["stroke_type"]]
    for name in ("diddle_position", "parent_stroke_index", "buzz_count"):
        columns[name] = [None if value == NONE else value for value in columns[name]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


# Scores.


@pytest.mark.parametrize("score_set", SCORE_SETS)
@pytest.mark.parametrize("slug", ["flam_drag", "multiple_bounce_roll", "single_ratamacue"])
def test_all_forms_of_strokes_and_rudiments_give_the_same_scores(slug: str, score_set: str) -> None:
    performance, rudiment = human(slug), RUDIMENTS[slug]
    expected = score(performance.strokes, rudiment, 100, score_set)
    rows = as_dicts(performance)
    cell = {name: [row[name] for row in rows] for name in rows[0]}
    assert score(performance.strokes.columns(), slug, 100, score_set) == expected
    assert score(cell, rudiment.number - 1, 100, score_set) == expected
    assert score(rows, np.int64(rudiment.number - 1), 100, score_set) == expected  # type: ignore[arg-type]


def test_names_come_in_the_order_of_the_schema() -> None:
    strokes = human("flam").strokes
    for score_set in SCORE_SETS:
        assert list(score(strokes, "flam", 100, score_set)) == [s.name for s in SCORES]


def test_scores_are_plain_floats_or_none() -> None:
    for slug in RUDIMENTS:
        for score_set in SCORE_SETS:
            values = score(human(slug).strokes, slug, 100, score_set).values()
            assert {type(value) for value in values} <= {float, type(None)}, slug


def test_parents_are_found_by_index_wherever_their_rows_stand() -> None:
    performance = human("flam_tap")
    rows = as_dicts(performance)
    for row in rows:
        row["index"] = 10 * int(str(row["index"]))
        if row["parent_stroke_index"] is not None:
            row["parent_stroke_index"] = 10 * int(str(row["parent_stroke_index"]))
    expected = score(performance.strokes, "flam_tap", 100)
    assert score(rows, "flam_tap", 100) == expected
    assert score(rows[::-1], "flam_tap", 100) == pytest.approx(expected)


@pytest.mark.parametrize("empty", [[], {name: [] for name in as_dicts(human("flam"))[0]}])
def test_nothing_played_has_no_v1_score(empty: object) -> None:
    assert set(score(empty, "flam", 100).values()) == {None}  # type: ignore[arg-type]


def test_the_tier_matters_to_sousa_v0_alone() -> None:
    strokes = human("flam").strokes
    assert score(strokes, "flam", 100, skill_tier="beginner") == score(strokes, "flam", 100)
    told = score(strokes, "flam", 100, "sousa-v0", skill_tier="beginner")
    assert told != score(strokes, "flam", 100, "sousa-v0")


def test_refusals_say_what_was_allowed() -> None:
    strokes = notate(RUDIMENTS["flam"], 100, 1).strokes
    with pytest.raises(ValueError, match="must be one of v1, sousa-v0, got 'v2'"):
        score(strokes, "flam", 100, "v2")
    with pytest.raises(ValueError, match="tempo_bpm must be above 0, got 0"):
        score(strokes, "flam", 0)
    for unknown in ("flamm", 40, -1):
        with pytest.raises(KeyError, match=rf"id in \[0, 40\), got {unknown!r}"):
            score(strokes, unknown, 100)
    with pytest.raises(KeyError, match="missing hand"):
        score({k: v for k, v in strokes.columns().items() if k != "hand"}, "flam", 100)
    with pytest.raises(KeyError, match="missing stroke_type"):
        score(
            [{k: v for k, v in as_dicts(human("flam"))[0].items() if k != "stroke_type"}], 19, 100
        )
    orphan = as_dicts(human("flam"))[:1]
    with pytest.raises(KeyError, match="parent_stroke_index 1 is of no stroke"):
        score(orphan, "flam", 100)


# Measures.


@given(slug=st.sampled_from(sorted(RUDIMENTS)), seed=st.integers(0, 99))
def test_measures_are_what_their_strokes_say(slug: str, seed: int) -> None:
    performance = human(slug, seed)
    strokes, cells = performance.strokes, measures(performance)
    assert list(cells) == [field.name for field in MEASURE_FIELDS]
    assert cells["index"].tolist() == list(range(performance.num_measures))
    assert cells["stroke_start"][0] == 0
    assert cells["stroke_end"][-1] == len(strokes)
    assert (cells["stroke_start"][1:] == cells["stroke_end"][:-1]).all()
    for m, (start, end) in enumerate(zip(cells["stroke_start"], cells["stroke_end"], strict=True)):
        assert (performance.measure[start:end] == m).all()
        error, velocity = strokes.timing_error_ms[start:end], strokes.actual_velocity[start:end]
        hand = strokes.hand[start:end]
        if start == end:
            continue
        assert cells["timing_mean_error_ms"][m] == pytest.approx(error.mean())
        assert cells["timing_std_ms"][m] == pytest.approx(error.std())
        assert cells["timing_max_error_ms"][m] == pytest.approx(np.abs(error).max())
        assert cells["velocity_mean"][m] == pytest.approx(velocity.mean())
        assert cells["velocity_std"][m] == pytest.approx(velocity.std())
        consistency = 1 - velocity.std() / velocity.mean()
        assert cells["velocity_consistency"][m] == pytest.approx(consistency)
        if len(set(hand.tolist())) == 2:
            means = [velocity[hand == side].mean() for side in (LEFT, RIGHT)]
            late = [error[hand == side].mean() for side in (LEFT, RIGHT)]
            assert cells["lr_velocity_ratio"][m] == pytest.approx(means[0] / means[1])
            assert cells["lr_timing_diff_ms"][m] == pytest.approx(late[0] - late[1])


def test_a_measure_without_strokes_is_zero_and_a_missing_hand_is_nan() -> None:
    """Measures of a single stroke roll, with all but the right hand's of the first one lost."""
    whole = notate(RUDIMENTS["single_stroke_roll"], 120, 2)
    strokes = whole.strokes
    kept = np.flatnonzero((whole.measure == 0) & (strokes.hand == RIGHT))
    rest = replace(whole, strokes=strokes.take(kept), measure=whole.measure[kept])
    cells = measures(rest)
    assert cells["stroke_start"].tolist() == [0] + [len(kept)] * (whole.num_measures - 1)
    assert cells["stroke_end"].tolist() == [len(kept)] * whole.num_measures
    assert np.isnan(cells["lr_velocity_ratio"]).all()
    assert np.isnan(cells["lr_timing_diff_ms"]).all()
    figures = [field.name for field in MEASURE_FIELDS[3:9]]
    assert [cells[name][1] for name in figures] == [0.0] * len(figures)
    assert cells["velocity_consistency"][0] == 1
