"""The laws of order: every row once, the same order for the same key, from any batch on."""

import json
from collections import Counter
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sousa.loaders import StratifiedBatchSampler
from sousa.loaders.layout import Layout
from sousa.loaders.samplers import BatchOrder, Place, RowBatchSampler, step_bounds
from sousa.loaders.shares import integer_shares

Batches = list[list[int]]


class Stored(SimpleNamespace):
    """What samplers need of a dataset: how rows lie, and the class of each."""

    def __len__(self) -> int:
        return self.layout.rows

    def classes(self, _: str) -> tuple[np.ndarray, list[str]]:
        found, ids = np.unique(self.labels, return_inverse=True)
        return ids, [f"class {name}" for name in found]

    def known_classes(self, _: str) -> tuple[str, ...]:
        return ("beginner",)


def dataset(labels: list[int] | int, group: int = 5, open_groups: int = 3) -> Any:
    rows = labels if isinstance(labels, int) else len(labels)
    ends = [*range(group, rows, group), rows]
    layout = Layout(tuple(np.diff([0, *ends]).tolist()), open_groups)
    return Stored(layout=layout, labels=labels)


def over_ranks(kind: Any, data: Any, world_size: int, **options: Any) -> list[Batches]:
    samplers = [
        kind(data, rank=rank, world_size=world_size, **options) for rank in range(world_size)
    ]
    passes = [list(sampler) for sampler in samplers]
    assert [len(batches) for batches in passes] == [len(sampler) for sampler in samplers]
    return passes


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 12), st.integers(0, 5))
def test_a_shuffled_order_has_every_row_once(rows: int, group: int, opened: int, seed: int) -> None:
    layout = dataset(rows, group=group, open_groups=opened).layout
    order = layout.shuffled(seed, 3)
    assert sorted(order) == list(range(rows))
    np.testing.assert_array_equal(order, layout.shuffled(seed, 3))


@given(st.integers(20, 60), st.integers(1, 4))
def test_a_shuffle_needs_only_the_open_groups_at_a_time(rows: int, opened: int) -> None:
    order = dataset(rows, group=5, open_groups=opened).layout.shuffled(0, 0)
    groups = order // 5
    at = {group: np.flatnonzero(groups == group) for group in set(groups.tolist())}
    for place in range(rows):
        assert sum(here[0] <= place <= here[-1] for here in at.values()) <= opened
    # No window is much smaller than the others: else an epoch would end with one group alone.
    in_last = len(at) // -(-len(at) // opened)
    smallest = rows - 5 * (len(at) - 1)
    assert len(set(groups[-5 * (in_last - 1) - smallest :].tolist())) >= in_last


def batch_means(order: np.ndarray) -> np.ndarray:
    """How far the mean of each batch of 32 is from what is expected of sorted data."""
    return (order[: len(order) // 32 * 32].reshape(-1, 32).mean(axis=1) + 0.5) / len(order) - 0.5


@given(st.integers(0, 2**32), st.integers(400, 1600), st.integers(25, 100))
@settings(max_examples=20)
def test_sorted_data_in_windows_looks_like_a_full_shuffle(
    seed: int, groups: int, opened: int
) -> None:
    """Batch means vary as those of independent rows, 1 / (12 x 32), and not in waves."""
    means = batch_means(Layout((64,) * groups, opened).shuffled(seed, 0))
    spread = 5 / np.sqrt(len(means))  # five standard errors
    assert abs(means.var() * 12 * 32 - 1) < np.sqrt(2) * spread
    assert abs((means[1:] * means[:-1]).mean() * 12 * 32) < spread


def test_one_window_is_as_random_as_a_permutation() -> None:
    """Every row comes first about equally often: 2000 draws of 20 rows, 100 +- 5 x 9.7."""
    layout = Layout((5, 5, 5, 5), 4)
    first = Counter(int(layout.shuffled(seed, 0)[0]) for seed in range(2000))
    assert all(51 < first[row] < 149 for row in range(20))


plain = st.fixed_dictionaries(
    {"batch_size": st.integers(1, 7), "shuffle": st.booleans(), "drop_last": st.booleans()}
)


@given(st.integers(0, 80), st.integers(1, 5), plain)
def test_ranks_share_the_rows_and_have_equally_many_batches(
    rows: int, world_size: int, options: dict[str, Any]
) -> None:
    passes = over_ranks(RowBatchSampler, dataset(rows), world_size, **options)
    size = options["batch_size"]
    used = [row for batches in passes for batch in batches for row in batch]
    sizes = [len(batch) for batches in passes for batch in batches]
    assert len(used) == len(set(used))
    assert len({len(batches) for batches in passes}) == 1
    assert max(sizes, default=0) <= size
    if options["drop_last"]:
        assert rows - len(used) < size * world_size
        assert set(sizes) <= {size}
    else:
        assert len(used) == rows
        assert min(sizes, default=1) > 0 or rows < len(sizes)


def test_stored_order_is_kept() -> None:
    assert list(RowBatchSampler(dataset(7), 3, shuffle=False)) == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_last_step_with_fewer_rows_than_ranks_borrows(rank: int) -> None:
    """9 rows, 2 ranks, batches of 4: one row is left over, two batches must be filled."""
    assert step_bounds(9, 4, 2, drop_last=False).tolist() == [0, 7, 9]
    passes = over_ranks(RowBatchSampler, dataset(9), 2, batch_size=4, shuffle=False)
    assert passes[rank] == [[[0, 1, 2], [7]], [[3, 4, 5, 6], [8]]][rank]


labels = st.lists(st.integers(0, 4), min_size=1, max_size=60)
stratified = st.fixed_dictionaries(
    {"batch_size": st.integers(1, 9), "policy": st.sampled_from(["oversample", "undersample"])}
)


def counts_of(batches: Batches, classes: list[int]) -> np.ndarray:
    return np.array([[sum(classes[r] == c for r in b) for c in set(classes)] for b in batches])


@given(labels, st.integers(1, 3), stratified)
def test_each_batch_is_within_one_of_equal_shares(
    classes: list[int], world_size: int, options: dict[str, Any]
) -> None:
    passes = over_ranks(StratifiedBatchSampler, dataset(classes), world_size, **options)
    for batches in passes:
        assert len(batches) == len(passes[0])
        for batch, counts in zip(batches, counts_of(batches, classes), strict=True):
            assert 0 < len(batch) <= options["batch_size"]
            assert (abs(counts - len(batch) / len(set(classes))) < 1).all()


@given(labels, st.integers(1, 9), st.lists(st.sampled_from([0.5, 1, 2, 3.3]), min_size=5))
def test_each_batch_is_within_one_of_given_shares(
    classes: list[int], batch_size: int, values: list[float]
) -> None:
    present = sorted(set(classes))
    weights = {f"class {name}": values[name] for name in present}
    shares = np.array([weights[f"class {name}"] for name in present])
    batches = list(StratifiedBatchSampler(dataset(classes), batch_size, weights=weights))
    for batch, counts in zip(batches, counts_of(batches, classes), strict=True):
        assert (abs(counts - len(batch) * shares / shares.sum()) < 1).all()


@given(labels, st.integers(1, 3), st.integers(1, 9))
def test_oversampling_uses_every_row_and_none_twice_before_all_of_its_class(
    classes: list[int], world_size: int, batch_size: int
) -> None:
    passes = over_ranks(StratifiedBatchSampler, dataset(classes), world_size, batch_size=batch_size)
    used = Counter(row for batches in passes for batch in batches for row in batch)
    assert set(used) == set(range(len(classes)))
    for name in set(classes):
        times = [used[row] for row, label in enumerate(classes) if label == name]
        assert max(times) - min(times) <= 1
    # The largest class repeats at most what the last step's batches are rounded up by.
    assert (
        len(passes[0]) <= -(-max(Counter(classes).values()) * len(set(classes)) // batch_size) + 1
    )


@given(labels, st.integers(1, 3), st.integers(1, 9))
def test_undersampling_repeats_nothing_and_ends_with_the_rarest_class(
    classes: list[int], world_size: int, batch_size: int
) -> None:
    passes = over_ranks(
        StratifiedBatchSampler,
        dataset(classes),
        world_size,
        batch_size=batch_size,
        policy="undersample",
    )
    used = Counter(row for batches in passes for batch in batches for row in batch)
    assert set(used.values()) <= {1}
    rarest = min(Counter(classes).values())
    in_class = Counter(classes[row] for row in used)
    assert all(in_class[name] <= rarest + world_size for name in in_class)


@pytest.mark.parametrize("batch_size", [4, 50, 7])
def test_balanced_classes_are_used_exactly_once(batch_size: int) -> None:
    """As 480 clips of four tiers: no row is repeated to fill the last batch."""
    sampler = StratifiedBatchSampler(dataset([row % 4 for row in range(480)]), batch_size)
    batches = list(sampler)
    assert sorted(row for batch in batches for row in batch) == list(range(480))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)


def test_drop_last_leaves_out_what_does_not_fill_a_batch() -> None:
    sampler = StratifiedBatchSampler(dataset([row % 4 for row in range(30)]), 8, drop_last=True)
    assert [len(batch) for batch in sampler] == [8] * len(sampler)


def test_more_classes_than_rows_share_the_fewest_batches_that_hold_all() -> None:
    """40 classes in batches of 16: any 5 batches are 80 rows, 2 of each class."""
    classes = [row % 40 for row in range(400)]
    for batches in over_ranks(StratifiedBatchSampler, dataset(classes), 2, batch_size=16):
        counts = counts_of(batches, classes)
        assert len(batches) == 13
        assert (abs(np.cumsum(counts, axis=0)[4:10] - np.arange(5, 11)[:, None] * 0.4) <= 1).all()
        assert (counts[:5].sum(axis=0) == 2).all()


def test_a_class_without_weight_is_left_out() -> None:
    weights = {"class 0": 1.0, "class 1": 0.0, "class 2": 3.0}
    batches = list(StratifiedBatchSampler(dataset([0, 1, 2] * 8), 4, weights=weights))
    assert {tuple(counts) for counts in counts_of(batches[:-1], [0, 1, 2] * 8)} == {(1, 0, 3)}
    assert not counts_of(batches[-1:], [0, 1, 2] * 8)[0, 1]


orders = st.sampled_from(
    [
        lambda: RowBatchSampler(dataset(23), 4, seed=5),
        lambda: RowBatchSampler(dataset(23), 4, shuffle=False),
        lambda: RowBatchSampler(dataset(23), 4, rank=1, world_size=3),
        lambda: StratifiedBatchSampler(dataset([0, 1, 1] * 8), 5, seed=5),
        lambda: StratifiedBatchSampler(dataset([0, 1, 1] * 8), 2, rank=1, world_size=2),
    ]
)


@given(orders, st.integers(0, 3), st.integers(0, 40))
def test_a_pass_can_begin_at_any_batch(make: Any, epoch: int, batch: int) -> None:
    whole: BatchOrder = make()
    whole.set_epoch(epoch)
    expected = list(whole)
    rest: BatchOrder = make()
    batch %= max(1, len(rest))
    rest.seek(Place(epoch).after(batch, rest.world_size))
    assert list(rest) == expected[batch:]
    assert list(rest) == list(whole)  # and the next pass is the next epoch


@given(
    st.sampled_from(["row", "stratified", "drop_last"]),
    st.lists(st.integers(0, 3), min_size=1, max_size=40),
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=3),
)
def test_an_epoch_goes_on_with_another_number_of_ranks(
    kind: str, classes: list[int], batch_size: int, legs: list[tuple[int, int]]
) -> None:
    """Every row once, or for strata at least once, whatever ranks take part one after the other."""
    data, place, used = dataset(classes), Place(3), []
    make = StratifiedBatchSampler if kind == "stratified" else RowBatchSampler
    for world_size, steps in [*legs, (2, 1000)]:
        options = {"drop_last": kind == "drop_last", "world_size": world_size}
        ranks = [make(data, batch_size, rank=rank, **options) for rank in range(world_size)]
        passes = [list(islice(rank.batches(*place[:2]), steps)) for rank in ranks]
        assert len({len(batches) for batches in passes}) == 1
        used += [row for batches in passes for batch in batches for row in batch]
        if ranks[0].total(*place[:2]) == len(passes[0]):
            break
        place = place.after(len(passes[0]), world_size)
    if kind == "stratified":
        assert set(used) == set(range(len(classes)))
    else:
        assert len(used) == len(set(used))
        lost = batch_size * max(2, *(world_size for world_size, _ in legs))
        assert len(used) > len(classes) - lost if kind == "drop_last" else len(used) == len(classes)


@given(orders)
def test_passes_follow_each_other_as_epochs(make: Any) -> None:
    sampler, other = make(), make()
    passes = [list(sampler) for _ in range(3)]
    for epoch in (2, 0, 1):
        other.set_epoch(epoch)
        assert list(other) == passes[epoch]


def test_another_seed_or_epoch_is_another_order() -> None:
    for kind in (RowBatchSampler, StratifiedBatchSampler):
        data = dataset([row % 4 for row in range(40)])
        first, again = list(kind(data, 8, seed=0)), kind(data, 8, seed=0)
        assert first == list(again) != list(again)
        assert first != list(kind(data, 8, seed=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
        ({"batch_size": 2.5}, r"batch_size must be an integer >= 1, got 2\.5"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"rank": 2, "world_size": 2}, "rank must be in .* got rank = 2, world_size = 2"),
        ({"rank": 0}, "got rank = 0, world_size = None"),
        ({"policy": "guess"}, "policy must be one of oversample, undersample, got 'guess'"),
        ({"weights": {"class 0": 1.0}}, "weights must be .* class 0, class 1, and not all 0"),
        ({"weights": {"class 0": 0, "class 1": 0}}, "not all 0"),
        ({"weights": {"class 0": -1, "class 1": 2}}, "weights must be finite and >= 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StratifiedBatchSampler(dataset([0, 1]), **({"batch_size": 2} | options))


def test_a_place_beyond_the_epoch_is_refused() -> None:
    for kind in (RowBatchSampler, StratifiedBatchSampler):
        for past in (((1, 3),), ((2, 2),), ((3, 9), (1, 1))):
            with pytest.raises(ValueError, match=r"nothing is left of epoch 1 after \(\("):
                kind(dataset([0, 1, 1, 0]), 2).seek(Place(1, past))


def test_weights_become_whole_shares() -> None:
    names = ["a", "b", "c"]
    assert integer_shares(names, {"a": 0.1, "b": 0.2, "c": 0.7}).tolist() == [1, 2, 7]
    odd = integer_shares(names, {"a": np.pi, "b": np.e, "c": 1e-9})
    assert odd.min() > 0
    assert odd[0] / odd[1] == pytest.approx(np.pi / np.e, rel=1e-5)


def test_an_empty_dataset_has_no_batches() -> None:
    data = dataset([], group=1)
    for kind in (RowBatchSampler, StratifiedBatchSampler):
        assert over_ranks(kind, data, 2, batch_size=4) == [[], []]


def test_weights_are_for_classes_that_there_are() -> None:
    data = dataset([0, 1, 1])
    with pytest.raises(ValueError, match=r"weights must be for class 0, .*; got one for novice"):
        StratifiedBatchSampler(data, 2, weights={"class 0": 1, "class 1": 1, "novice": 1})
    with pytest.raises(TypeError, match=r"weights must map names of classes to shares, got \[1, 1"):
        StratifiedBatchSampler(data, 2, weights=[1, 1])  # type: ignore[arg-type]
    # A class that is declared may have a weight where the data has none of its rows.
    weights = {"class 0": 1, "class 1": 1, "beginner": 1}
    assert len(StratifiedBatchSampler(data, 2, weights=weights)) == 2


@pytest.mark.parametrize("kind", [RowBatchSampler, StratifiedBatchSampler])
def test_numbers_of_numpy_are_numbers(kind: Any) -> None:
    data = dataset([0, 1, 1, 0])
    options: dict[str, Any] = {"rank": np.int64(0), "world_size": np.int64(1), "seed": np.int8(3)}
    if kind is StratifiedBatchSampler:
        options["weights"] = {"class 0": np.float32(1), "class 1": np.int64(2)}
    sampler = kind(data, np.int64(2), **options)
    assert json.loads(json.dumps(sampler.key())) == sampler.key()
    sampler.set_epoch(np.int64(1))
    assert json.dumps(sampler.place) == "[1, [], null, 0]"


@pytest.mark.parametrize("kind", [RowBatchSampler, StratifiedBatchSampler])
def test_a_pass_keeps_the_place_it_was_made_at(kind: Any) -> None:
    data = dataset([row % 4 for row in range(40)])
    sampler, other = kind(data, 8), kind(data, 8)
    begun = iter(sampler)
    sampler.set_epoch(0)
    expected = list(other)
    assert list(begun) == expected
    assert list(sampler) == expected  # the epoch that was asked for is not used up


def test_anything_else_is_no_dataset() -> None:
    with pytest.raises(TypeError, match=r"of a SOUSADataset or a datasets\.Dataset, got a list"):
        StratifiedBatchSampler([1, 2], 2)  # type: ignore[arg-type]
