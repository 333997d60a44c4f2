"""Samples become batches, and every score and class a label."""

import math
import re
from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.schema import RUDIMENTS, SCORE_BEST, SKILL_TIERS
from sousa.loaders import (
    ID_TO_RUDIMENT,
    ID_TO_SKILL_TIER,
    RUDIMENT_LABELS,
    RUDIMENT_TO_ID,
    SKILL_TIER_LABELS,
    SKILL_TIER_TO_ID,
    collate_fixed_length,
    collate_variable_length,
)
from sousa.loaders.labelling import Labels, labelled
from sousa.loaders.rows import Declared
from sousa.loaders.targets import CLASS_TARGETS, Target


def sample(length: int, label: Any = 1, name: str = "a") -> dict[str, Any]:
    mask = torch.ones(label.shape if isinstance(label, torch.Tensor) else (), dtype=torch.bool)
    return {
        "waveform": torch.arange(1.0, length + 1),
        "label": label,
        "label_mask": mask,
        "sample_id": name,
        "skill_tier": "advanced",
        "rudiment_slug": "flam",
        "tempo_bpm": 120,
    }


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=6)


@given(lengths)
def test_padding_loses_nothing_and_adds_silence(sizes: list[int]) -> None:
    batch = collate_variable_length([sample(size) for size in sizes])
    assert batch["lengths"].tolist() == sizes
    assert batch["waveforms"].shape == (len(sizes), max(sizes))
    assert batch["attention_mask"].sum(dim=1).tolist() == sizes
    for row, size in enumerate(sizes):
        assert torch.equal(batch["waveforms"][row, :size], torch.arange(1.0, size + 1))
        assert not batch["waveforms"][row, size:].any()


@given(lengths, st.integers(1, 40))
def test_a_fixed_length_cuts_the_end_or_pads_it(sizes: list[int], length: int) -> None:
    batch = collate_fixed_length([sample(size) for size in sizes], length, pad_value=-7)
    assert batch["waveforms"].shape == (len(sizes), length)
    assert batch["lengths"].tolist() == [min(size, length) for size in sizes]
    assert (batch["waveforms"] != -7).equal(batch["attention_mask"])


def test_a_batch_has_the_types_that_training_needs() -> None:
    batch = collate_variable_length([sample(2, name="x"), sample(3, name="y")])
    assert batch["waveforms"].dtype == torch.float32
    assert batch["lengths"].dtype == batch["labels"].dtype == torch.int64
    assert batch["attention_mask"].dtype == batch["label_mask"].dtype == torch.bool
    assert batch["label_mask"].all()
    assert batch["sample_ids"] == ["x", "y"]
    assert batch["metadata"] == {
        "skill_tiers": ["advanced"] * 2,
        "rudiment_slugs": ["flam"] * 2,
        "tempo_bpms": [120, 120],
    }


def test_several_scores_become_the_columns_of_labels() -> None:
    batch = collate_variable_length([sample(2, torch.tensor([0.5, 1.0]))] * 3)
    assert batch["labels"].shape == batch["label_mask"].shape == (3, 2)
    assert batch["labels"].dtype == torch.float32


def test_what_cannot_be_stacked_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        collate_variable_length([])
    features = sample(4) | {"waveform": torch.zeros(64, 101)}
    with pytest.raises(ValueError, match=r"sample a must be \(T,\), is \(64, 101\).*collate_fn"):
        collate_variable_length([features])
    for length in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="target_length is a number of samples"):
            collate_fixed_length([sample(4)], length)  # type: ignore[arg-type]


def test_label_maps_are_those_of_the_schema() -> None:
    assert list(SKILL_TIERS) == SKILL_TIER_LABELS
    assert list(RUDIMENTS) == RUDIMENT_LABELS
    assert SKILL_TIER_TO_ID["professional"] == 3
    assert ID_TO_SKILL_TIER[0] == "beginner"
    assert RUDIMENT_TO_ID["single_stroke_roll"] == 0
    assert {RUDIMENT_TO_ID[name]: name for name in RUDIMENT_LABELS} == ID_TO_RUDIMENT


DECLARED = Declared((), {"skill_tier": ("professional", "beginner")}, None)


def labels_of(target: str | list[str], kind: Any = None, **stored: list[Any]) -> Labels:
    """The labels of some rows that are whole but for what is given."""
    size = len(next(iter(stored.values())))
    usual = {"sample_id": "a", "skill_tier": "beginner", "rudiment_slug": "flam", "tempo_bpm": 90.0}
    columns = {name: [value] * size for name, value in usual.items()} | stored
    arrays = {
        name: pa.array(values, kind if name in stored else None) for name, values in columns.items()
    }
    return labelled(pa.table(arrays), Target.of(target), DECLARED)


@pytest.mark.parametrize("stored", [[0, 0], ["professional", "professional"]])
def test_a_class_keeps_its_id_of_the_schema_whatever_ids_the_data_uses(stored: list[Any]) -> None:
    found = labels_of("skill_tier", skill_tier=stored)
    assert (found.labels, found.skill_tiers, found.broken) == ([3, 3], ["professional"] * 2, {})


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ([1, 2], "skill_tier is 2, of 2 declared classes"),
        ([1, -1], "skill_tier is -1, of 2 declared classes"),
        (["beginner", "expert"], "skill_tier must be one of beginner.*is expert"),
        (["beginner", None], "skill_tier must be one of beginner.*is None"),
    ],
)
def test_a_class_that_is_not_in_the_schema_is_broken(stored: list[Any], message: str) -> None:
    found = labels_of("skill_tier", skill_tier=stored)
    assert found.labels[0] == 0
    assert list(found.broken) == [1]
    assert re.match(message, found.broken[1])


@given(
    st.sampled_from(sorted(SCORE_BEST)),
    st.lists(st.none() | st.floats(0, 1, width=32), min_size=1, max_size=5),
)
def test_a_score_is_scaled_to_its_best_and_a_missing_one_is_nan(
    name: str, shares: list[float | None]
) -> None:
    stored = [None if share is None else share * SCORE_BEST[name] for share in shares]
    found = labels_of(name, pa.float32(), **{name: stored})
    expected = [math.nan if share is None else share for share in shares]
    assert found.labels == pytest.approx(expected, nan_ok=True)
    listed = labels_of([name, name], pa.float32(), **{name: stored})
    assert [pair[1] for pair in listed.labels] == pytest.approx(expected, nan_ok=True)  # type: ignore[index]


def test_a_column_of_text_is_no_score() -> None:
    found = labels_of("overall_score", overall_score=["good", "bad"])
    assert found.broken == dict.fromkeys((0, 1), "overall_score holds string")


@pytest.mark.parametrize(("name", "classes"), [*zip(CLASS_TARGETS, (4, 2, 40), strict=True)])
def test_the_number_of_classes_is_that_of_the_schema(name: str, classes: int) -> None:
    assert Target.of(name).num_classes == classes
    assert Target.of("overall_score").num_classes is None


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("tempo_bpm", "one of skill_tier.*overall_score.*got tempo_bpm"),
        (["overall_score", "skill_tier"], "a list of timing_accuracy.*got skill_tier"),
        ([], "got none"),
    ],
)
def test_an_unknown_target_is_refused(target: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Target.of(target)
