"""What was imported from the existing SOUSA layout is held to its own formulas."""

from collections.abc import Callable
from pathlib import Path

import damage
import pyarrow.parquet as pq
import pytest
from damage import Row

from sousa.builders import cli
from sousa.builders.findings import WARNING
from sousa.builders.validate import validate


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve players' flams and buzzes by the formulas of the existing generator, and back."""
    folder = tmp_path_factory.mktemp("sousa")
    made = ["build", str(folder / "built"), "--preset", "tiny", "--score-set", "sousa-v0"]
    made += ["--rudiments", "multiple_bounce_roll,flam", "--configs", "midi_only"]
    assert cli.main([*made, "--workers", "1"]) == 0
    assert cli.main(["export", "sousa", str(folder / "built"), str(folder / "theirs")]) == 0
    back = ["import", "sousa", str(folder / "theirs"), str(folder / "ours"), "--workers", "1"]
    assert cli.main([*back, "--configs", "midi_only"]) == 0
    return folder / "ours"


@pytest.fixture
def folder(imported: Path, tmp_path: Path) -> Path:
    return damage.copy(imported, tmp_path / "copy", "midi_only")


def test_what_was_exported_and_imported_has_no_findings(imported: Path):
    report = validate(imported, every=True)
    assert report.findings == []
    examined = {outcome.check: outcome.examined for outcome in report.outcomes}
    assert examined["strokes"] == examined["scores"] == examined["midi"] == 24
    assert "parents" not in examined


def stroke(field: str, value: object) -> Callable[[Row], None]:
    def change(cells: Row) -> None:
        cells["strokes"][field][2] = value

    return change


def row(**columns: object) -> Callable[[Row], None]:
    return lambda cells: cells.update(columns)


DAMAGE = {
    "two strokes of one index": ("strokes", stroke("index", 1), "index must be unique"),
    "a timing error that is none": ("strokes", stroke("timing_error_ms", 500.0), "timing_error_ms"),
    "a parent that is no stroke": ("strokes", stroke("parent_stroke_index", 10_000), "parent_"),
    "a clip shorter than its strokes": ("strokes", row(duration_sec=1.0), "within the clip"),
    "a count of strokes": ("summary", row(num_strokes=3), "num_strokes is 3, but there are"),
    "a score of other strokes": ("scores", row(timing_accuracy=1.5), "timing_accuracy is 1.5"),
    "no MIDI file": ("midi", row(midi=b"MThd"), "not a MIDI file of 4 bytes"),
}


@pytest.mark.parametrize("damaged", DAMAGE)
def test_a_wrong_row_is_found(folder: Path, damaged: str):
    check, change, message = DAMAGE[damaged]
    where = damage.change_row(folder, change)
    (finding,) = (each for each in validate(folder).findings if each.check == check)
    assert finding.where == where
    assert message in finding.message


def test_what_a_source_does_not_say_is_no_finding(folder: Path):
    nothing = dict.fromkeys(("num_strokes", "timing_accuracy", "skill_tier_binary", "midi"))
    damage.change_row(folder, row(**nothing, mistakes=None))
    assert validate(folder).findings == []


def test_midi_files_of_other_notes_are_a_known_defect(folder: Path):
    table = pq.read_table(damage.shard(folder, "midi_only"))
    other = next(
        cells["midi"]
        for cells in table.select(["midi", "num_strokes"]).to_pylist()
        if cells["num_strokes"] != table["num_strokes"][3].as_py()
    )
    damage.change_row(folder, row(midi=other))
    found = {finding.check: finding for finding in validate(folder).findings}
    assert found["midi"].severity == WARNING
    assert found["midi"].message.endswith("(known of data that several workers generated)")


def test_a_time_before_the_clip_is_how_the_first_grace_is(folder: Path):
    def early(cells: Row) -> None:
        cells["strokes"]["actual_time_ms"][0] = -20.0
        cells["strokes"]["timing_error_ms"][0] = -20.0 - cells["strokes"]["intended_time_ms"][0]

    damage.change_row(folder, early)
    assert "strokes" not in {finding.check for finding in validate(folder).findings}
