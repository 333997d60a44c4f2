"""Each contradiction within a row is found by its own check, which names the row."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import damage
import pytest
from damage import Row

from sousa.builders import midi
from sousa.builders.schema import RUDIMENTS
from sousa.builders.validate import validate

FLAMS = RUDIMENTS.index("flam_accent")
BUZZES = RUDIMENTS.index("multiple_bounce_roll")


@pytest.fixture
def labels(built: Path, tmp_path: Path) -> Path:
    return damage.copy(built, tmp_path / "labels", "midi_only", "labels_only")


def strokes(**fields: object) -> Callable[[Row], None]:
    """Set fields of stroke 2; a function is given the old value."""

    def change(cells: Row) -> None:
        for name, value in fields.items():
            old = cells["strokes"][name][2]
            cells["strokes"][name][2] = value(old) if callable(value) else value

    return change


def event(column: str, field: str, value: object) -> Callable[[Row], None]:
    """Set a field of the first measure or mistake."""

    def change(cells: Row) -> None:
        cells[column][field][0] = value

    return change


def row(**columns: object) -> Callable[[Row], None]:
    def change(cells: Row) -> None:
        for name, value in columns.items():
            cells[name] = value(cells[name]) if callable(value) else value

    return change


def drop_a_hand(cells: Row) -> None:
    cells["strokes"]["hand"].pop()


def swap_strokes(cells: Row) -> None:
    for values in cells["strokes"].values():
        values[2], values[3] = values[3], values[2]


def set_grace(**fields: object) -> Callable[[Row], None]:
    def change(cells: Row) -> None:
        grace = cells["strokes"]["is_grace_note"].index(True)
        for name, value in fields.items():
            cells["strokes"][name][grace] = value

    return change


ROW_DAMAGE = {
    "a score above its best": ("values", row(overall_score=100.5)),
    "a negative score": ("values", row(timing_accuracy=-0.1)),
    "a score that is not a number": ("values", row(timing_accuracy=math.nan)),
    "a tempo of zero": ("values", row(tempo_bpm=0.0)),
    "a class that does not exist": ("values", row(rudiment_slug=40)),
    "a null where none is allowed": ("values", row(kit=None)),
    "a stroke without velocity": ("values", strokes(actual_velocity=0)),
    "a stroke of no type": ("values", strokes(stroke_type=5)),
    "a stroke with a null": ("values", strokes(hand=None)),
    "an infinite onset": ("values", strokes(actual_time_ms=math.inf)),
    "lists of two lengths": ("lists", drop_a_hand),
    "no lists at all": ("lists", row(strokes=None)),
    "two tiers that disagree": ("tiers", row(skill_tier_binary=lambda old: 1 - old)),
    "an index that is no position": ("strokes", strokes(index=7)),
    "strokes out of order": ("strokes", swap_strokes),
    "a timing error that is none": ("strokes", strokes(timing_error_ms=lambda old: old + 1)),
    "a velocity error that is none": ("strokes", strokes(velocity_error=lambda old: old + 1)),
    "a third position in a diddle": ("strokes", strokes(diddle_position=3)),
    "a clip shorter than its strokes": ("strokes", row(duration_sec=1.0)),
    "more strokes than there are": ("summary", row(num_strokes=lambda old: old + 1)),
    "fewer measures than there are": ("summary", row(num_measures=lambda old: old - 1)),
    "more mistakes than there are": ("summary", row(num_mistakes=lambda old: old + 1)),
    "a measure that leaves strokes out": ("measures", event("measures", "stroke_end", 1)),
    "a measure that begins late": ("measures", event("measures", "stroke_start", 1)),
    "a mean that is not that of the measure": ("measured", event("measures", "velocity_mean", 1.0)),
    "a spread that is not": ("measured", event("measures", "timing_std_ms", 500.0)),
    "a ratio where both hands play": ("measured", event("measures", "lr_velocity_ratio", None)),
    "no measures": (
        "measures",
        lambda c: (c["measures"].update({n: [] for n in c["measures"]}), c.update(num_measures=0)),
    ),
    "a MIDI file of another row": ("midi", row(midi=lambda old: old[:40])),
    "tokens in another order": ("tokens", row(tokens=lambda old: old[::-1])),
    "tokens that are missing": ("tokens", row(tokens_ms=lambda old: old[:-1])),
    "a score that the strokes do not give": (
        "scores",
        row(timing_accuracy=lambda old: (old + 50) % 100),
    ),
    "a score that does not apply": ("scores", row(drag_quality=lambda old: None if old else 50.0)),
}


@pytest.mark.parametrize("damaged", ROW_DAMAGE)
def test_a_wrong_row_is_named_by_its_check(labels: Path, damaged: str):
    check, change = ROW_DAMAGE[damaged]
    where = damage.change_row(labels, change)
    found = [finding for finding in validate(labels).findings if finding.check == check]
    assert {finding.where for finding in found} <= {where, where.replace("labels_", "midi_")}
    assert found


PARENT_DAMAGE = {
    "a grace without a parent": (FLAMS, set_grace(parent_stroke_index=None)),
    "a parent outside the clip": (FLAMS, set_grace(parent_stroke_index=10_000)),
    "a grace that leads itself": (FLAMS, set_grace(parent_stroke_index=0)),
    "a spacing that is none": (FLAMS, set_grace(flam_spacing_ms=500.0)),
    "a null spacing": (FLAMS, set_grace(flam_spacing_ms=None)),
    "a spacing of a tap": (BUZZES, strokes(flam_spacing_ms=10.0)),
    "a bounce of a bounce": (BUZZES, strokes(parent_stroke_index=1)),
    "a wrong number of bounces": (BUZZES, lambda c: c["strokes"]["buzz_count"].__setitem__(0, 99)),
    "a count on a bounce": (BUZZES, strokes(buzz_count=3)),
}


@pytest.mark.parametrize("damaged", PARENT_DAMAGE)
def test_a_wrong_parent_is_found(labels: Path, damaged: str):
    slug, change = PARENT_DAMAGE[damaged]
    number = damage.rudiment_row(labels, slug)
    where = damage.change_row(labels, change, number)
    assert where in {
        finding.where for finding in validate(labels).findings if finding.check == "parents"
    }


def shift_midi(cells: Row, *, by_ms: float = 0.0, louder: int = 0, tempo: float = 1.0) -> None:
    notes = midi.decode(cells["midi"])
    tick = notes.tick + round(by_ms / midi.ms_per_tick(notes.tempo_bpm))
    velocity = notes.velocity - louder
    beats = notes.beats_per_measure
    cells["midi"] = midi.encode(midi.Notes(tick, velocity, notes.tempo_bpm * tempo, beats))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by_ms": 5.0}, "more than half a tick"),
        ({"louder": 1}, "has velocity"),
        ({"tempo": 2.0}, "quarter notes per minute"),
    ],
)
def test_a_midi_file_that_plays_something_else_is_found(
    labels: Path, change: dict[str, float], message: str
):
    where = damage.change_row(labels, partial(shift_midi, **change))
    found = [f for f in validate(labels).findings if f.check == "midi"]
    assert [finding.where for finding in found] == [where]
    assert message in found[0].message
