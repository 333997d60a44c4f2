"""Stratified batches of streams: shares in each batch, every row, in bounded memory."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from loader_data import ids_of, row, table

from sousa.builders.schema import SKILL_TIERS
from sousa.loaders import create_dataloader, stratified_feed, windows

Steps = list[list[list[str]]]
CLIPS = [row("audio_16k", index) for index in range(80)]
WEIGHTS = dict(zip(SKILL_TIERS, (1, 0, 2.5, 0.5), strict=True))
TIERS = st.lists(st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3]), min_size=1, max_size=80)
SIZES = st.integers(1, 12)
WORLDS = st.integers(1, 3)
policies = pytest.mark.parametrize("policy", ["oversample", "undersample"])


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Windows of about ten rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_BYTES", 50_000)
        yield


@pytest.fixture
def little() -> Iterator[None]:
    """Memory for about twenty rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stratified_feed, "HELD_BYTES", 100_000)
        yield


def data_of(tiers: Sequence[int]) -> datasets.Dataset:
    rows = [CLIPS[index % 80] | {"skill_tier": tier} for index, tier in enumerate(tiers)]
    rows = [each | {"sample_id": str(index)} for index, each in enumerate(rows)]
    return datasets.Dataset(table("audio_16k", rows))


def stream_of(tiers: Sequence[int]) -> datasets.IterableDataset:
    return data_of(tiers).to_iterable_dataset(num_shards=min(3, len(tiers)))


def loader_of(data: Any, **options: Any) -> Any:
    defaults = {"batch_size": 4, "num_workers": 0, "stratify": "skill_tier"}
    return create_dataloader(data, **(defaults | options))


def steps_of(data: Any, world_size: int, **options: Any) -> Steps:
    """The ids of each step, for each rank."""
    ranks = [
        ids_of(loader_of(data, rank=rank, world_size=world_size, **options))
        for rank in range(world_size)
    ]
    return list(map(list, zip(*ranks, strict=True)))  # all have as many batches


def flat(steps: Steps) -> list[str]:
    return [name for step in steps for batch in step for name in batch]


def counts_of(tiers: Sequence[int], steps: Steps) -> list[list[Counter[int]]]:
    return [[Counter(tiers[int(name)] for name in batch) for batch in step] for step in steps]


@policies
@settings(max_examples=15)
@given(TIERS, SIZES, WORLDS, st.booleans(), st.booleans())
def test_where_a_stream_fits_steps_are_those_of_map_style_data(
    policy: str, tiers: list[int], size: int, world_size: int, drop_last: bool, weighted: bool
) -> None:
    options: dict[str, Any] = {"policy": policy, "batch_size": size, "drop_last": drop_last}
    shares = dict.fromkeys(SKILL_TIERS, 1.0)
    if weighted and set(tiers) != {1}:
        shares = options["weights"] = WEIGHTS
    steps = steps_of(stream_of(tiers), world_size, **options)
    expected = steps_of(data_of(tiers), world_size, **options)
    assert counts_of(tiers, steps) == counts_of(tiers, expected)
    used = Counter[str]()
    for step in steps:
        used.update(flat([step]))
        for tier in set(tiers):
            of_tier = [used[str(row)] for row, each in enumerate(tiers) if each == tier]
            assert max(of_tier) - min(of_tier) <= 1  # all once, then all again
    repeats = policy == "oversample"
    assert repeats or max(used.values(), default=0) <= 1
    if repeats and not drop_last:
        assert set(used) == {
            str(row) for row, tier in enumerate(tiers) if shares[SKILL_TIERS[tier]]
        }


@policies
@pytest.mark.parametrize("held_bytes", [1, 100_000])
@settings(max_examples=12)
@example(tiers=[0] + [1, 2, 3] * 25, size=1, world_size=1, in_order=False)  # the first must stay
@given(tiers=TIERS, size=SIZES, world_size=WORLDS, in_order=st.booleans())
def test_a_longer_stream_has_equal_shares_of_the_classes_so_far(
    policy: str, held_bytes: int, tiers: list[int], size: int, world_size: int, in_order: bool
) -> None:
    tiers = sorted(tiers) if in_order else tiers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stratified_feed, "HELD_BYTES", held_bytes)
        steps = steps_of(stream_of(tiers), world_size, policy=policy, batch_size=size)
    names = flat(steps)
    if policy == "oversample":
        assert set(names) == set(map(str, range(len(tiers))))
    else:
        assert len(set(names)) == len(names)
    met: set[int] = set()
    for step in counts_of(tiers, steps):
        met = met.union(*step)
        assert all(max(c[t] for t in met) - min(c[t] for t in met) <= 1 for c in step)


@policies
@pytest.mark.usefixtures("little")
def test_memory_does_not_grow_with_the_stream(policy: str) -> None:
    tiers = [0] * 300 + [0, 1, 2] * 60 + [3] * 20
    weights = dict(zip(SKILL_TIERS, (1, 1, 1, 0.05), strict=True))
    data = data_of(tiers)
    mixed = data.shuffle(seed=0).flatten_indices()
    for parts, shares in ((data, None), (mixed, None), (mixed, weights)):
        loader = loader_of(parts.to_iterable_dataset(num_shards=2), policy=policy, weights=shares)
        before = pa.total_allocated_bytes()
        most = max(pa.total_allocated_bytes() - before for _ in loader)
        assert most < 450_000 < data.data.nbytes / 4


@pytest.mark.usefixtures("little")
def test_rarer_classes_are_neither_lost_nor_worn_out() -> None:
    tiers = ([0] * 19 + [1]) * 30
    names = flat(steps_of(stream_of(tiers), 1, batch_size=6))
    repeats = Counter(name for name in names if tiers[int(name)] == 1)
    assert len(repeats) == 30
    assert max(repeats.values()) < 4 * sum(repeats.values()) / 30
    names = flat(steps_of(stream_of(tiers), 1, batch_size=6, policy="undersample"))
    assert sum(tiers[int(name)] for name in names) > 24  # as many as there are, about


@policies
@pytest.mark.usefixtures("little")
def test_steps_larger_than_memory_are_made(policy: str) -> None:
    tiers = [0, 1, 1, 1] * 60
    steps = steps_of(stream_of(tiers), 2, batch_size=25, policy=policy)
    assert len(steps) >= (4 if policy == "oversample" else 2)
    first = [name for batch in steps[0] for name in batch]
    assert len(set(first)) == len(first) == 50


@pytest.mark.usefixtures("little")
@settings(max_examples=10)
@given(TIERS, SIZES, st.integers(0, 9), WORLDS, WORLDS)
def test_a_longer_stream_resumes_with_other_ranks(
    tiers: list[int], size: int, made: int, before: int, after: int
) -> None:
    seen: list[str] = []
    state: dict[str, Any] = {}
    for rank in range(before):
        loader = loader_of(stream_of(tiers), batch_size=size, rank=rank, world_size=before)
        for _, batch in zip(range(made), loader, strict=False):
            seen += batch["sample_ids"]
        state = loader.state_dict()
    ended = state["epoch"] == 1
    for rank in range(after):
        loader = loader_of(stream_of(tiers), batch_size=size, rank=rank, world_size=after)
        loader.load_state_dict(state)
        seen += [] if ended else chain.from_iterable(ids_of(loader))
    assert set(seen) == set(map(str, range(len(tiers))))


def test_more_classes_than_rows_of_a_batch_have_their_shares_over_several() -> None:
    stream = datasets.Dataset(table("audio_16k", CLIPS)).to_iterable_dataset(num_shards=3)
    counts: Counter[str] = Counter()
    loader = loader_of(stream, stratify="rudiment_slug", batch_size=16)
    for made, batch in enumerate(loader, start=1):
        counts.update(batch["metadata"]["rudiment_slugs"])
        assert set(counts.values()) <= {int(made * 0.4), int(made * 0.4) + 1}
        assert len(counts) == 40 or made < 3
    assert counts == Counter(dict.fromkeys(counts, 2))


@pytest.mark.parametrize(
    ("weights", "share"), [(None, 0.5), ({"pad": 3, "maple": 1}, 0.75), ({"pad": 1, "maple": 0}, 1)]
)
def test_any_column_of_strings_has_classes(weights: dict[str, float] | None, share: float) -> None:
    for sizes in (8, 5):
        loader = loader_of(stream_of([0] * 60), stratify="kit", weights=weights, batch_size=sizes)
        for names in ids_of(loader):
            pads = sum(int(name) % 2 == 0 for name in names)
            assert abs(pads - share * len(names)) < 1


def test_a_label_column_of_the_users_own_has_classes() -> None:
    data = data_of([0] * 40)
    mine = pa.array([index % 3 for index in range(40)])
    data = data.add_column("mine", mine.to_pylist())
    data = data.cast_column("mine", datasets.ClassLabel(names=["x", "y", "z"]))
    loader = loader_of(
        data.to_iterable_dataset(), stratify="mine", weights={"x": 1, "y": 0, "z": 1}
    )
    for names in ids_of(loader):
        counts = Counter(int(name) % 3 for name in names)
        assert abs(counts[0] - counts[2]) <= 1
        assert not counts[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"expert": 1}}, "weights must be for beginner, .*; got one for expert"),
        ({"weights": {"beginner": 0}}, "not all 0"),
        ({"weights": {"beginner": -1}}, "weights must be finite and >= 0"),
        ({"weights": {"beginner": 1}}, "for each skill_tier, got none for intermediate: give it"),
        ({"stratify": "kit", "weights": {"pad": 1}}, "for each kit, got none for maple: give it"),
        ({"stratify": "mood"}, "has no column mood; it has sample_id"),
        ({"stratify": "tempo_bpm"}, r"tempo_bpm holds \d+\.\d, not classes"),
        ({"stratify": "num_cycles"}, "num_cycles is null in some rows: filter them out first"),
    ],
)
def test_classes_that_cannot_be_shared_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        ids_of(loader_of(stream_of([0, 1, 2, 3]), **options))
    assert not re.search("\n", str(caught.value))


@policies
def test_a_stream_of_no_rows_that_have_a_share_has_no_batches(policy: str) -> None:
    for weights in (None, WEIGHTS):
        stream = stream_of([1] * 5) if weights else stream_of([1]).skip(1)
        assert ids_of(loader_of(stream, policy=policy, weights=weights)) == []
