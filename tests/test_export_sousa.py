"""A dataset becomes a folder in the existing SOUSA layout, and comes back from it as it was."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sousa_data
from sousa_data import SCORES, Variant

from sousa.builders import cli
from sousa.builders.export_sousa import export_sousa
from sousa.builders.import_sousa import import_sousa
from sousa.builders.schema import RUDIMENTS
from sousa.builders.sousa_request import Request
from sousa.builders.tokens import parse_tokenizers
from sousa.loaders.dataset import SOUSADataset

BOTH = Request(tokenizers=parse_tokenizers(["grid", "ms"]))

TEXT, WHOLE, NUMBER, TRUTH = pa.string(), pa.int64(), pa.float64(), pa.bool_()
STROKES = {
    **dict.fromkeys(("index",), WHOLE),
    **dict.fromkeys(("hand", "stroke_type"), TEXT),
    **dict.fromkeys(("intended_time_ms", "actual_time_ms", "timing_error_ms"), NUMBER),
    **dict.fromkeys(("intended_velocity", "actual_velocity", "velocity_error"), WHOLE),
    **dict.fromkeys(("is_grace_note", "is_accent"), TRUTH),
    **dict.fromkeys(("diddle_position", "flam_spacing_ms", "parent_stroke_index"), NUMBER),
    **{"buzz_count": NUMBER, "sample_id": TEXT},
}
SAMPLES = {
    **dict.fromkeys(("sample_id", "profile_id", "rudiment_slug"), TEXT),
    **{"tempo_bpm": WHOLE, "duration_sec": NUMBER, "num_cycles": WHOLE},
    **dict.fromkeys(("skill_tier", "skill_tier_binary", "dominant_hand"), TEXT),
    **{"midi_path": TEXT, "audio_path": TEXT, "num_strokes": WHOLE, "num_measures": WHOLE},
    **dict.fromkeys(("soundfont", "augmentation_preset", "augmentation_group_id"), TEXT),
    **{"aug_soundfont": TEXT, "aug_room_type": TEXT, "aug_room_wet_dry": NUMBER},
    **{"aug_mic_distance": NUMBER, "aug_mic_type": TEXT, "aug_compression_ratio": NUMBER},
}


@pytest.fixture(scope="module")
def exported(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built dataset, by the command."""
    target = tmp_path_factory.mktemp("exported") / "layout"
    assert cli.main(["export", "sousa", str(built), str(target)]) == 0
    return target


def rows_of(out: Path, config: str) -> dict[str, dict[str, Any]]:
    files = sorted((out / config).glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return {row["sample_id"]: row for row in rows}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def head(folder: Path, table: str, columns: int) -> dict[str, pa.DataType]:
    schema = pq.read_schema(folder / "labels" / f"{table}.parquet")
    return {field.name: field.type for field in [*schema][:columns]}


def test_the_tables_have_the_columns_and_types_of_the_layout(exported: Path) -> None:
    """Written out from the format; what is ours stands behind."""
    assert head(exported, "samples", len(SAMPLES)) == SAMPLES
    scores = {**dict.fromkeys(SCORES, NUMBER), "sample_id": TEXT}
    assert head(exported, "exercises", len(scores)) == scores
    assert head(exported, "strokes", 99) == STROKES
    measures = pq.read_table(exported / "labels" / "measures.parquet")
    assert measures.column_names[:3] == ["index", "stroke_start", "stroke_end"]
    assert {measures.schema.field(n).type for n in measures.column_names[3:-1]} == {NUMBER}
    frame = pq.read_table(exported / "labels" / "strokes.parquet").to_pandas()
    assert set(frame["hand"]) == {"L", "R"}
    assert str(frame["buzz_count"].dtype) == "float64"


def test_files_are_stored_as_they_are(built: Path, exported: Path) -> None:
    rows = rows_of(built, "audio")
    samples = pq.read_table(exported / "labels" / "samples.parquet").to_pylist()
    assert {sample["sample_id"] for sample in samples} == set(rows)
    for sample in samples:
        row = rows[sample["sample_id"]]
        slug = RUDIMENTS[row["rudiment_slug"]]
        assert sample["audio_path"] == f"audio/{slug}/{sample['sample_id']}.flac"
        assert (exported / sample["audio_path"]).read_bytes() == row["audio"]["bytes"]
        assert (exported / sample["midi_path"]).read_bytes() == row["midi"]
        assert sample["tempo_bpm"] == row["tempo_bpm"]
    splits = json.loads((exported / "splits.json").read_text())
    ours = json.loads((built / "splits.json").read_text())
    for key in ("train_profile_ids", "val_profile_ids", "test_profile_ids"):
        assert set(splits[key]) == set(ours[key])
    assert splits["stats"] == ours["stats"]
    index = json.loads((exported / "index.json").read_text())
    ids = [sample["sample_id"] for sample in samples]
    assert (index["num_samples"], index["sample_ids"]) == (48, ids)


def test_an_import_of_an_export_gives_the_same_rows(
    built: Path, exported: Path, tmp_path: Path
) -> None:
    """All columns of all configs: the labels, the strokes, the mistakes, the bytes."""
    import_sousa(exported, tmp_path / "again", BOTH)
    for config in ("audio", "audio_16k", "midi_only", "labels_only"):
        expected, found = rows_of(built, config), rows_of(tmp_path / "again", config)
        assert set(found) == set(expected)
        for sample_id, row in expected.items():
            same = {name: cell for name, cell in found[sample_id].items() if "_exact" not in name}
            assert same == row
    plan = json.loads((tmp_path / "again" / "manifest.json").read_text())["plan"]
    assert (plan["score_set"], plan["split"]) == ("v1", "source")


def test_the_loader_reads_an_export_as_it_reads_the_dataset(built: Path, exported: Path) -> None:
    options: dict[str, Any] = {"split": "validation", "target": ["overall_score", "flam_quality"]}
    ours, theirs = SOUSADataset(built, config="audio", **options), SOUSADataset(exported, **options)
    assert len(ours) == len(theirs)
    for number in range(len(ours)):
        mine, other = ours[number], theirs[number]
        assert mine["sample_id"] == other["sample_id"]
        np.testing.assert_array_equal(mine["waveform"], other["waveform"])
        np.testing.assert_allclose(mine["label"], other["label"], rtol=2**-22)


def test_what_was_imported_goes_back(tmp_path: Path) -> None:
    """Without audio; MIDI is stored once for each group."""
    source = sousa_data.make(tmp_path / "source", Variant(audio=False, augmented=False))
    request = replace(BOTH, seed=7)
    import_sousa(source.root, tmp_path / "first", request)
    export_sousa(tmp_path / "first", tmp_path / "layout")
    assert len([*(tmp_path / "layout" / "midi").rglob("*.mid")]) == 36
    assert not (tmp_path / "layout" / "audio").exists()
    import_sousa(tmp_path / "layout", tmp_path / "second", request)
    assert rows_of(tmp_path / "second", "midi_only") == rows_of(tmp_path / "first", "midi_only")
    plan = json.loads((tmp_path / "second" / "manifest.json").read_text())["plan"]
    assert plan["score_set"] == "sousa-v0"


def _interrupted(after: int) -> Callable[[int], Callable[[int], None]]:
    def progress(_: int) -> Callable[[int], None]:
        left = after

        def told(count: int) -> None:
            nonlocal left
            left -= count
            if left < 0:
                raise KeyboardInterrupt

        return told

    return progress


def test_an_interrupted_export_goes_on(built: Path, exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "layout"
    with pytest.raises(KeyboardInterrupt):
        export_sousa(built, target, progress=_interrupted(30))
    there = {path.name for path in target.iterdir()}
    assert there == {".sousa", "audio", "midi"}
    assert export_sousa(built, target) == 48
    assert files_of(target) == files_of(exported)


def test_nothing_is_exported_into_what_was_begun_of_another_dataset(
    built: Path, tmp_path: Path
) -> None:
    target, other = tmp_path / "layout", tmp_path / "other"
    with pytest.raises(KeyboardInterrupt):
        export_sousa(built, target, progress=_interrupted(30))
    begun = files_of(target)
    shutil.copytree(built, other)
    (other / "manifest.json").unlink()
    with pytest.raises(FileExistsError, match="holds something else"):
        export_sousa(other, target)
    assert files_of(target) == begun
    midi = next(target.glob("midi/*/*.mid"))
    midi.write_bytes(midi.read_bytes()[::-1])
    export_sousa(built, target)
    assert midi.read_bytes()[:4] == b"MThd"


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rudiment_slug", 99, "rudiment_slug must be an id of 40: 99"),
        ("rudiment_slug", None, "rudiment_slug must be an id of 40: None"),
        ("skill_tier", -1, "skill_tier must be an id of 4: -1"),
        ("dominant_hand", 2, "dominant_hand must hold ids of 2 classes"),
        ("profile_id", None, "has no profile_id"),
        ("sample_id", "../a", "cannot name a file"),
        ("strokes", ..., "must have a column strokes"),
    ],
)
def test_rows_that_cannot_be_are_refused(
    built: Path, tmp_path: Path, column: str, value: Any, message: str
) -> None:
    shutil.copytree(built / "midi_only", tmp_path / "data" / "midi_only")
    path = next(tmp_path.glob("data/midi_only/train-*.parquet"))
    table = pq.read_table(path)
    place, cells = table.column_names.index(column), table[column].to_pylist()
    if value is ...:
        table = table.remove_column(place)
    else:
        changed = pa.array([value, *cells[1:]], table.schema.field(column).type)
        table = table.set_column(place, table.schema.field(column), changed)
    pq.write_table(table, path)
    with pytest.raises(ValueError, match=message):
        export_sousa(tmp_path / "data", tmp_path / "layout")
    assert not (tmp_path / "layout" / "index.json").exists()


def test_what_cannot_be_exported_is_refused(
    built: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_of(exported)
    assert cli.main(["export", "sousa", str(built), str(exported)]) == 0  # the same: nothing to do
    assert files_of(exported) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("work")
    assert cli.main(["export", "sousa", str(built), str(tmp_path / "mine")]) == 1
    assert "mine holds something else; choose a new or an empty folder" in capsys.readouterr().err
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.mid").write_bytes(sousa_data.snare_file([0, 10], [9, 9]))
    assert cli.main(["import", "midi", str(tmp_path / "tree"), str(tmp_path / "midi")]) == 0
    assert cli.main(["export", "sousa", str(tmp_path / "midi"), str(tmp_path / "no")]) == 1
    assert "was imported from midi data, which the SOUSA layout" in capsys.readouterr().err
    shutil.copytree(built / "labels_only", tmp_path / "labels" / "labels_only")
    assert cli.main(["export", "sousa", str(tmp_path / "labels"), str(tmp_path / "no")]) == 1
    assert "must have rows of audio or midi_only, its configs: labels_only" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "no").exists()
