"""Levels, curve and contrasts are recovered, and scatter does not pass for them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.trend import beyond, contrasts, fit, shrunk

sizes = st.floats(-50, 50).map(lambda value: round(value, 3))


@given(levels=st.tuples(sizes, sizes, sizes), slope=sizes, bend=sizes)
def test_levels_and_parabola_are_recovered_exactly(
    levels: tuple[float, float, float], slope: float, bend: float
) -> None:
    group = np.array([0, 1, 1, 3] * 5)
    time = np.linspace(0, 1, 20)
    values = np.array([*levels[:2], 0.0, levels[2]])[group] + slope * time + bend * time**2
    trend = fit(values, group, time, 4)
    assert trend.level == pytest.approx([*levels[:2], 0.0, levels[2]], abs=1e-6)
    assert trend.curve(time) == pytest.approx(slope * time + bend * time**2, abs=1e-6)
    assert trend.curve.slope(time) == pytest.approx(slope + 2 * bend * time, abs=1e-5)
    assert trend.count.tolist() == [5, 10, 0, 5]
    assert trend.residual == pytest.approx(np.zeros(20), abs=1e-6)


def test_scatter_is_no_trend() -> None:
    rng = np.random.default_rng(1)
    group, time = np.arange(32) % 4, np.linspace(0, 1, 32)
    trends = [fit(rng.standard_normal(32), group, time, 4) for _ in range(200)]
    assert np.mean([trend.variance for trend in trends]) == pytest.approx(1, abs=0.05)
    assert np.mean([trend.curve.line == 0 for trend in trends]) > 0.75


@given(places=st.tuples(sizes, sizes, sizes), beats=st.lists(sizes, min_size=2, max_size=9))
def test_contrasts_do_not_see_the_blocks(
    places: tuple[float, float, float], beats: list[float]
) -> None:
    """The third place is missing in every other block."""
    pairs = [(b, p) for b in range(len(beats)) for p in range(3) if p < 2 or b % 2 == 0]
    block, place = np.array(pairs).T
    values = np.array(beats)[block] + np.array(places)[place]
    deviation, size = contrasts(values, place, block)
    expected = np.array(places) - np.array(places)[place].mean()
    assert deviation == pytest.approx(expected, abs=1e-6)
    assert size == pytest.approx(np.sqrt((expected[place] ** 2).mean()), abs=1e-6)


def test_one_group_has_no_contrast() -> None:
    deviation, size = contrasts(np.array([1.0, 5.0]), np.array([0, 0]), np.array([0, 1]))
    assert (deviation.tolist(), size) == ([0.0], 0.0)


def test_what_scatter_explains_is_taken_out() -> None:
    """One dimension: mean 1, standard deviation sqrt(2), so 10 - 2 x 2.41421 = 5.17157."""
    assert beyond(10.0, 2.0) ** 2 == pytest.approx(5.17157, abs=1e-5)
    assert beyond(4.0, 2.0) == 0
    assert shrunk(-3.0, 0.0) == -3
