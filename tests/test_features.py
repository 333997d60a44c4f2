"""Our Arrow schemas are those that `datasets` would write."""

import datasets
import pytest

from sousa.builders.features import arrow_schema
from sousa.builders.schema import (
    CONFIGS,
    HANDS,
    MISTAKES,
    RUDIMENTS,
    SKILL_TIERS,
    STROKE_TYPES,
    columns,
)


@pytest.mark.parametrize("config", CONFIGS)
def test_datasets_reads_the_features_and_would_write_the_same_schema(config: str) -> None:
    ours = arrow_schema(columns(config, ("tokens", "tokens_ms")))
    theirs = datasets.Features.from_arrow_schema(ours).arrow_schema
    assert theirs.equals(ours, check_metadata=True)


def test_labels_are_class_labels_in_pinned_order() -> None:
    features = datasets.Features.from_arrow_schema(arrow_schema(columns("labels_only")))
    assert features["rudiment_slug"].names == list(RUDIMENTS)
    assert features["skill_tier"].str2int("professional") == 3
    assert features["dominant_hand"].names == ["right", "left"]


def test_label_ids_are_frozen_for_this_schema_version() -> None:
    """A changed order would silently relabel every published dataset."""
    assert SKILL_TIERS == ("beginner", "intermediate", "advanced", "professional")
    assert HANDS == ("L", "R")
    assert STROKE_TYPES == ("tap", "accent", "grace", "diddle", "buzz")
    assert MISTAKES[:2] == ("missed_stroke", "doubled_stroke")
    assert len(RUDIMENTS) == len(set(RUDIMENTS)) == 40
    assert (RUDIMENTS[0], RUDIMENTS[15], RUDIMENTS[19], RUDIMENTS[30], RUDIMENTS[39]) == (
        *("single_stroke_roll", "single_paradiddle", "flam", "drag", "triple_ratamacue"),
    )


def test_configs_differ_in_what_they_leave_out() -> None:
    names = {config: [column.name for column in columns(config)] for config in CONFIGS}
    assert names["audio"] == names["audio_16k"] == [*names["midi_only"], "audio"]
    nested = ["strokes", "measures", "mistakes", "midi", "tokens"]
    assert names["midi_only"] == names["labels_only"] + nested


def test_an_unknown_config_is_refused() -> None:
    with pytest.raises(ValueError, match=r"config must be one of audio, .*, got 'video'"):
        columns("video")
