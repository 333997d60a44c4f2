"""The laws of buckets: every row once, little padding, and the same from any step on."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sousa.loaders.buckets import (
    BucketBatchSampler,
    bucketed,
    dealt,
    evenly,
    filled,
    kept_steps,
    padding,
    remaining,
    split,
    window_count,
)
from sousa.loaders.layout import Layout

Batches = list[list[int]]
LONGEST = 9


def sampler(lengths: Any, batch_size: int = 4, **options: Any) -> BucketBatchSampler:
    lengths = np.array(lengths, np.int64)
    ends = [*range(5, len(lengths), 5), len(lengths)]
    layout = Layout(tuple(np.diff([0, *ends]).tolist()), 3)
    data: Any = SimpleNamespace(layout=layout, classes=None)
    return BucketBatchSampler(data, lengths, batch_size, **options)


def steps_of(
    lengths: Any, world_size: int, epoch: int = 0, past: Any = (), **options: Any
) -> list[Batches]:
    """The steps of all ranks: `[step][rank]` is a batch."""
    ranks = [
        sampler(lengths, rank=rank, world_size=world_size, **options) for rank in range(world_size)
    ]
    passes = [list(one.batches(epoch, past)) for one in ranks]
    assert [len(batches) for batches in passes] == [one.total(epoch, past) for one in ranks]
    return [list(step) for step in zip(*passes, strict=True)]


def rows_of(steps: list[Batches]) -> list[int]:
    return [row for step in steps for batch in step for row in batch]


clips = st.lists(st.integers(1, LONGEST), max_size=70)
sizes = st.one_of(
    st.fixed_dictionaries({"batch_size": st.integers(1, 6)}),
    st.fixed_dictionaries({"max_samples": st.integers(LONGEST, 40)}),
)
kinds = st.builds(lambda size, shuffle: size | {"shuffle": shuffle}, sizes, st.booleans())
worlds = st.integers(1, 5)


def check_bounds(batches: Batches, lengths: list[int], options: dict[str, Any]) -> None:
    for batch in filter(None, batches):
        if "max_samples" in options:
            assert len(batch) * max(lengths[row] for row in batch) <= options["max_samples"]
        else:
            assert len(batch) <= options["batch_size"]


@given(clips, worlds, kinds, st.integers(0, 3))
@example([1] * 8, 3, {"batch_size": 4, "shuffle": False}, 0)  # 2, 3 and 3 rows
@example([1] * 9 + [9], 3, {"max_samples": 9, "shuffle": False}, 0)  # the 9 must stay alone
def test_ranks_share_the_rows_and_have_equally_many_batches(
    lengths: list[int], world_size: int, options: dict[str, Any], epoch: int
) -> None:
    steps = steps_of(lengths, world_size, epoch, **options)
    assert sorted(rows_of(steps)) == [*range(len(lengths))]
    assert steps == steps_of(lengths, world_size, epoch, **options)
    batches = [batch for step in steps for batch in step]
    check_bounds(batches, lengths, options)
    assert all(batches) or len(lengths) < len(batches)
    if "batch_size" in options and steps:
        assert max(map(len, steps[-1])) - min(map(len, steps[-1])) <= 1


@given(clips, worlds, kinds)
def test_drop_last_loses_less_than_a_step(
    lengths: list[int], world_size: int, options: dict[str, Any]
) -> None:
    steps = steps_of(lengths, world_size, drop_last=True, **options)
    used = rows_of(steps)
    assert len(used) == len(set(used))
    if "max_samples" in options:
        every = [batch for [batch] in steps_of(lengths, 1, **options)]
        assert [batch for step in steps for batch in step] == every[: len(steps) * world_size]
        assert len(every) - len(steps) * world_size < world_size
    else:
        assert {len(batch) for step in steps for batch in step} <= {options["batch_size"]}
        assert len(lengths) - len(used) < options["batch_size"] * world_size


legs = st.lists(st.tuples(worlds, st.integers(0, 30)), max_size=4)


@given(clips, legs, worlds, kinds, st.booleans())
@example([1] * 24, [(5, 1)], 1, {"batch_size": 4, "shuffle": True}, True)
@example([1] * 9, [(2, 1)], 3, {"batch_size": 4, "shuffle": True}, False)  # 9 rows in 2 steps
def test_an_epoch_goes_on_with_any_number_of_ranks(
    lengths: list[int], legs: Any, last: int, options: dict[str, Any], drop_last: bool
) -> None:
    past: tuple[tuple[int, int], ...] = ()
    used: list[int] = []
    for world_size, wanted in legs:
        steps = steps_of(lengths, world_size, past=past, drop_last=drop_last, **options)
        made = wanted % (len(steps) + 1)
        used += rows_of(steps[:made])
        past += ((world_size, made),)
    rest = steps_of(lengths, last, past=past, drop_last=drop_last, **options)
    check_bounds([batch for step in rest for batch in step], lengths, options)
    used += rows_of(rest)
    assert len(used) == len(set(used))
    if not drop_last:
        assert len(used) == len(lengths)
    elif "batch_size" in options:
        assert len(lengths) - len(used) < options["batch_size"] * last


@given(clips, worlds, kinds, st.booleans(), st.tuples(st.integers(0, 30), st.integers(0, 30)))
@example([1] * 9, 2, {"batch_size": 4, "shuffle": True}, False, (1, 0))
def test_an_epoch_goes_on_unchanged_with_the_same_ranks(
    lengths: list[int], world: int, options: dict[str, Any], drop_last: bool, cut: tuple[int, int]
) -> None:
    options |= {"drop_last": drop_last}
    whole = steps_of(lengths, world, **options)
    made = cut[0] % (len(whole) + 1)
    assert steps_of(lengths, world, past=((world, made),), **options) == whole[made:]
    more = cut[1] % (len(whole) - made + 1)
    twice = ((world, made), (world, more))
    assert steps_of(lengths, world, past=twice, **options) == whole[made + more :]


@given(clips, st.integers(LONGEST, 40), st.integers(1, 3))
def test_a_batch_takes_rows_while_they_fit(lengths: list[int], most: int, windows: int) -> None:
    expected: Batches = []
    for window in np.array_split(np.arange(len(lengths)), windows):
        batch: list[int] = []
        for row in sorted(window.tolist(), key=lambda row: -lengths[row]):
            if batch and (len(batch) + 1) * lengths[batch[0]] > most:
                expected.append(batch)
                batch = []
            batch.append(row)
        expected += [batch] if batch else []
    batches = filled(np.arange(len(lengths)), np.array(lengths, np.int64), most, windows, None)
    assert [batch.tolist() for batch in batches] == expected


def test_windows_are_sorted_and_rows_that_fill_no_batch_come_last() -> None:
    lengths = np.array([3, 9, 1, 7, 5, 2, 8, 4, 9])
    batches = bucketed(np.arange(9), lengths, batch_size=2, windows=2, rng=None)
    assert [batch.tolist() for batch in batches] == [[1, 3], [0, 2], [6, 4], [7, 5], [8]]


def test_equally_long_rows_stay_in_their_order() -> None:
    order = np.random.default_rng(0).permutation(60)
    for cut in (bucketed, filled):
        batches = cut(order, np.arange(60) % 2 + 1, 4, 1, None)
        expected = [*order[order % 2 == 1], *order[order % 2 == 0]]
        assert np.concatenate(batches).tolist() == expected


def test_buckets_pad_less_and_are_not_in_order_of_length() -> None:
    """1000 clips of 1 to 5 s at 16 kHz, in batches of 10: padded, 37 % become 4 %."""
    lengths = np.random.default_rng(1).integers(16_000, 80_000, 1000)
    order = sampler(lengths)._layout.shuffled(0, 0).reshape(-1, 10)
    plain = np.mean([padding(lengths[rows]) for rows in order])
    batches = list(sampler(lengths, 10).batches(0))
    assert np.mean([padding(lengths[rows]) for rows in batches]) < 0.04 < 0.3 < plain
    longest = [lengths[rows].max() for rows in batches]
    for part in (longest, longest[:25]):  # of the epoch, and of one of its four windows
        assert abs(np.corrcoef(np.arange(len(part)), part)[0, 1]) < 0.5


def test_rows_meet_others_in_the_next_epoch() -> None:
    lengths = np.random.default_rng(1).permutation(400)
    one = sampler(lengths, 10)
    first, second = ({frozenset(batch) for batch in one} for _ in range(2))
    assert len(first & second) < 4
    few = sampler(range(60), 10)  # one window: the same batches, but not in the same order
    place = [[59 in batch for batch in few.batches(epoch)].index(True) for epoch in range(9)]
    assert len(set(place)) > 3


def test_dropped_rows_are_of_any_length() -> None:
    lengths = np.arange(1, 104)
    left = [set(range(103)) - set(rows_of(steps_of(lengths, 1, e, drop_last=True))) for e in (0, 1)]
    assert [len(rows) for rows in left] == [3, 3]
    assert left[0] != left[1]
    assert not {0, 1, 2, 100, 101, 102} & (left[0] | left[1])


@pytest.mark.parametrize(
    ("batches", "windows"), [(0, 1), (15, 1), (16, 2), (40, 4), (449, 4), (451, 5), (6250, 62)]
)
def test_windows_are_about_100_batches(batches: int, windows: int) -> None:
    assert window_count(batches) == windows


def made_of(*batches: list[int]) -> list[np.ndarray]:
    return [np.array(batch) for batch in batches]


def listed(steps: list[list[np.ndarray]]) -> list[Batches]:
    return [[batch.tolist() for batch in step] for step in steps]


def by_length(batches: list[np.ndarray], count: int) -> list[np.ndarray]:
    return evenly(batches, count, np.array([1, 2, 3, 4, 5, 6, 7, 8, 9]))


def test_the_last_batches_are_cut_anew_for_all_ranks() -> None:
    batches = made_of([0, 1, 2], [6, 7, 8], [3, 4, 5])
    assert listed(dealt(batches, 2, by_length)) == [[[0, 1, 2], [6, 7, 8]], [[5], [4, 3]]]
    assert listed(dealt(batches, 2, split)) == [[[0, 1, 2], [6, 7, 8]], [[3, 4], [5]]]
    assert listed(dealt(batches, 2, split, drop_last=True)) == [[[0, 1, 2], [6, 7, 8]]]


def test_steps_with_rows_to_lend_lend_them() -> None:
    """Two ranks, one row left, and before it a step of single rows: the first step must lend."""
    batches = made_of([0, 1, 2], [3], [4], [5], [6])
    assert [kept_steps(batches[:end], 2) for end in range(6)] == [0, 0, 1, 0, 2, 0]
    assert listed(dealt(batches, 2, split)) == [[[0, 1], [2]], [[3], [4]], [[5], [6]]]
    assert listed(dealt(made_of([0, 1], [2]), 3, by_length)) == [[[2], [1], [0]]]


def test_too_few_rows_leave_batches_empty() -> None:
    assert listed(dealt(made_of([4], [5], [6]), 2, split)) == [[[4], [5]], [[6], []]]
    assert listed(dealt([], 2, split)) == []


def test_batches_that_were_not_cut_anew_stay_whole_for_other_ranks() -> None:
    """4 ranks would share the last 2 of 10 batches; 2 ranks, after 8 of them, have one each."""
    batches = made_of(*([row] * 4 for row in range(10)))
    for steps in range(3):
        left = remaining(batches, ((4, steps),), split)
        assert listed([left]) == listed([batches[4 * steps :]])
    assert remaining(batches, ((4, 3),), split) == []


def test_padding_is_the_share_of_a_batch_that_no_clip_fills() -> None:
    assert padding(np.array([10, 5, 3, 2])) == 0.5
    assert padding(np.array([7, 7])) == padding(np.array([0])) == 0.0
    assert padding(np.array([], np.int64)) == 0.0


def test_passes_follow_each_other_as_epochs() -> None:
    one, other = (sampler([row % 9 + 1 for row in range(50)], max_samples=30) for _ in range(2))
    counts, passes = zip(*((len(one), list(one)) for _ in range(3)), strict=True)
    assert [len(batches) for batches in passes] == [*counts]
    for epoch in (2, 0, 1):
        other.set_epoch(epoch)
        assert list(other) == passes[epoch]
    assert len({str(batches) for batches in passes}) == 3


def test_all_that_decides_the_order_is_in_its_key() -> None:
    lengths = [5, 3, 4, 1]
    base = sampler(lengths).key()
    assert json.loads(json.dumps(base)) == base == sampler(np.array(lengths, np.int32)).key()
    others = [{"batch_size": 3}, {"shuffle": False}, {"drop_last": True}, {"seed": 1}]
    for options in [*others, {"max_samples": 9}, {"lengths": [5, 3, 4, 2]}]:
        assert sampler(**({"lengths": lengths} | options)).key() != base
    assert sampler(lengths, 2, max_samples=9).key() == sampler(lengths, 3, max_samples=9).key()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_samples": 6}, "have max_samples=6 samples, row 1 alone has up to 7; allow more"),
        ({"max_samples": 0}, "max_samples must be an integer >= 1, got 0"),
        ({"max_samples": 2.5}, r"max_samples must be an integer >= 1, got 2\.5"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampler([5, 7, 1], **options)


def test_lengths_are_one_for_each_row() -> None:
    data: Any = SimpleNamespace(layout=Layout((3,)))
    with pytest.raises(ValueError, match=r"one for each of 3 rows, got an array of shape \(2,\)"):
        BucketBatchSampler(data, np.array([1, 2]), 4)
    with pytest.raises(ValueError, match="row 0 alone has up to 9"):
        filled(np.arange(1), np.array([9]), 8, 1, None)


def test_rows_without_length_have_a_place() -> None:
    batches = filled(np.arange(5), np.array([0, 0, 3, 0, 0]), 4, 1, None)
    assert [batch.tolist() for batch in batches] == [[2], [0, 1, 3, 4]]
