"""A folder in the original SOUSA layout becomes samples."""

import json
import logging
import math
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from read_elsewhere import clips

from sousa.builders.schema import RUDIMENTS, SKILL_TIERS
from sousa.loaders.classes import classes_of
from sousa.loaders.dataset import SOUSADataset
from sousa.loaders.errors import BrokenRowError
from sousa.loaders.labelling import IDENTITY
from sousa.loaders.original import OriginalSource, is_original, score_rows
from sousa.loaders.rows import AUDIO

SCORED = (*IDENTITY, "overall_score", "flam_quality", AUDIO)
SPLITS = {"train": (0, 1), "validation": (2,), "test": (3,)}
ROWS = 16


NAMES = [f"{SKILL_TIERS[i % 4][:3]}{i:03d}_{RUDIMENTS[i]}_90bpm_raw_gym" for i in range(ROWS)]
PATHS = [f"audio/{RUDIMENTS[i]}/{NAMES[i]}.flac" for i in range(ROWS)]


def sound_of(row: int) -> np.ndarray:
    """Stereo, its channels differ."""
    left = 0.5 * np.sin((0.03 + 0.005 * row) * np.arange(2205))
    return np.stack([left, 0.2 * left + 0.01], axis=1)


def samples(text: pa.DataType | None = None) -> pa.Table:
    """`samples.parquet` as its generator writes it; players in turn."""
    known = {"sample_id": NAMES, "profile_id": ["ann", "bob", "cem", "dan"] * 4}
    known |= {"rudiment_slug": [*RUDIMENTS[:ROWS]], "skill_tier": [*SKILL_TIERS] * 4}
    known["audio_path"] = PATHS
    columns = {name: pa.array(values, text or pa.string()) for name, values in known.items()}
    numbers = {"tempo_bpm": np.arange(60, 60 + ROWS), "duration_sec": np.full(ROWS, 0.05)}
    return pa.table(columns | numbers | {"aug_bit_depth": pa.nulls(ROWS)})


def exercises() -> pa.Table:
    """`exercises.parquet`: the flam score is NaN or null where there is no flam."""
    flams = [(97.25, math.nan, None)[i % 3] for i in range(ROWS)]
    overall = [100 * (i + 0.1) / (ROWS + 1) for i in range(ROWS)]
    return pa.table({"flam_quality": flams, "overall_score": overall, "sample_id": NAMES})


def replaced(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, [pa.array(values)])


def listed(val: str) -> dict[str, Any]:
    return {"train_profile_ids": ["bob", "ann"], val: ["cem"], "test_profile_ids": ["dan"]}


def write(folder: Path, labels: Any = None, scores: Any = None, splits: Any = None) -> Path:
    """Write a folder without audio."""
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for name, table in (("samples", labels or samples()), ("exercises", scores or exercises())):
        pq.write_table(table, folder / "labels" / f"{name}.parquet", row_group_size=5)
    (folder / "splits.json").write_text(json.dumps(splits or listed("val_profile_ids")))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With audio: stereo, 24 bits."""
    folder = write(tmp_path_factory.mktemp("original"))
    for row, path in enumerate(PATHS):
        (folder / path).parent.mkdir(parents=True)
        soundfile.write(folder / path, sound_of(row), 44_100, subtype="PCM_24")
    return folder


def picked(source: OriginalSource, column: str) -> list[Any]:
    picks = source.pick(range(source.layout.rows))
    found = [pick.chunk.table[column][pick.row].as_py() for pick in picks]  # type: ignore[union-attr]
    assert found == source.column(column)[0].to_pylist()
    return found


def in_split(split: str | None) -> list[str]:
    wanted = {None: [*SPLITS], "val": ["validation"]}.get(split, [split])
    return [NAMES[row] for each in wanted for row in range(ROWS) if row % 4 in SPLITS[each]]


@pytest.mark.parametrize(
    "text", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary("int32", "utf8")]
)
@pytest.mark.parametrize("val", ["val_profile_ids", "validation_profile_ids"])
def test_splits_are_by_player_in_the_order_of_the_schema(
    tmp_path: Path, text: pa.DataType, val: str
) -> None:
    write(tmp_path, samples(text), splits=listed(val))
    for split in (None, "val", *SPLITS):
        source = OriginalSource(tmp_path, split, SCORED)
        assert picked(source, "sample_id") == in_split(split)
        picks = source.pick(range(source.layout.rows))
        places = [pick.chunk.places.where(pick.row) for pick in picks]  # type: ignore[union-attr]
        assert [NAMES[row] for _, row in places] == in_split(split)
        order, names = classes_of(source, "skill_tier")
        assert [names[i] for i in order] == picked(source, "skill_tier")


def test_a_sample_says_what_the_tables_say(folder: Path) -> None:
    """By SOUSADataset; the reference is written out from the format."""
    assert (is_original(folder), is_original(folder / "audio")) == (True, False)
    dataset = SOUSADataset(
        folder, target=["overall_score", "flam_quality"], resample_rate=None, normalize_audio=False
    )
    found = {sample["sample_id"]: sample for sample in map(dataset.__getitem__, range(ROWS))}
    assert list(found) == in_split(None)
    for row in range(ROWS):
        sample = found[NAMES[row]]
        assert sample["skill_tier"] == SKILL_TIERS[row % 4]
        assert sample["rudiment_slug"] == RUDIMENTS[row]
        assert (sample["tempo_bpm"], type(sample["tempo_bpm"])) == (60 + row, int)
        assert sample["label_mask"].tolist() == [True, row % 3 == 0]
        assert sample["label"][0] == torch.tensor((row + 0.1) / (ROWS + 1))
        np.testing.assert_allclose(sample["waveform"], sound_of(row).mean(axis=1), atol=2**-22)
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[5]["waveform"], dataset[5]["waveform"])
    assert again.fingerprint() == dataset.fingerprint()


@given(st.permutations(range(9)), st.sets(st.integers(0, 8)))
def test_scores_go_by_sample_id(order: list[int], without: set[int]) -> None:
    keys = [str(row) for row in order if row not in without]
    found = score_rows([str(row) for row in range(9)], keys).to_pylist()
    assert found == [None if row in without else keys.index(str(row)) for row in range(9)]


def test_scores_are_exact_and_missing_ones_null(tmp_path: Path) -> None:
    write(tmp_path, scores=exercises().take([7, 2, 0, 3, 15]))
    source = OriginalSource(tmp_path, None, SCORED)
    stored = dict(zip(picked(source, "sample_id"), picked(source, "overall_score"), strict=True))
    expected = exercises()["overall_score"].to_pylist()
    kept = [expected[row] if row in (7, 2, 0, 3, 15) else None for row in range(ROWS)]
    assert stored == dict(zip(NAMES, kept, strict=True))
    assert source.column("flam_quality")[0].null_count == ROWS - 3  # but 0, 3 and 15; NaN is null


def test_repeated_ids_keep_their_own_scores(tmp_path: Path) -> None:
    """As a generator leaves them that was run twice into one folder."""
    twice, scores = (pa.concat_tables([table] * 2) for table in (samples(), exercises()))
    write(tmp_path, twice, replaced(scores, "overall_score", range(32)))
    source = OriginalSource(tmp_path, "test", SCORED)
    assert picked(source, "overall_score") == [*range(3, 32, 4)]


def test_players_of_no_split_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = replaced(samples(), "profile_id", ["ann", "dan", None, "eve"] * 4)
    write(tmp_path, labels)
    with caplog.at_level(logging.WARNING, "sousa.loaders"):
        source = OriginalSource(tmp_path, None, SCORED)
    assert picked(source, "sample_id") == NAMES[::4] + NAMES[1::4]
    (said,) = caplog.messages
    assert said.startswith(f"8 of 16 rows of {tmp_path}/labels/samples.parquet are in no split")
    with pytest.raises(ValueError, match=r"split must be one of train, test in .*'validation'"):
        OriginalSource(tmp_path, "val", SCORED)


@pytest.mark.parametrize("content", [None, "", "{}", '{"train_profile_ids": []}'])
def test_without_splits_rows_come_as_stored(tmp_path: Path, content: str | None) -> None:
    write(tmp_path, samples().drop_columns(["profile_id"]))
    (tmp_path / "splits.json").unlink()
    if content is not None:
        (tmp_path / "splits.json").write_text(content)
    assert picked(OriginalSource(tmp_path, None, SCORED), "sample_id") == NAMES
    with pytest.raises(ValueError, match=r"split must be None, got 'train': there is no .*splits"):
        OriginalSource(tmp_path, "train", SCORED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must hold lists train_profile_ids, val_.*: Expecting property"),
        ("[1]", "must hold lists train_profile_ids"),
        ('{"train_profile_ids": 3}', "must hold lists train_profile_ids"),
        ("[" * 100_000, "must hold lists train_profile_ids"),
        ('{"test_profile_ids": ["x"]}', r"names none of the players in .*samples.parquet"),
        ('{"train_profile_ids": ["x"], "test_profile_ids": ["x"]}', "'x' in train and in test"),
    ],
)
def test_splits_that_make_no_sense_are_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path)
    (tmp_path / "splits.json").write_text(text)
    with pytest.raises(ValueError, match=f"splits.json .*{message}"):
        OriginalSource(tmp_path, None, SCORED)


def test_a_column_may_be_in_either_table_but_must_be_in_one(tmp_path: Path) -> None:
    write(tmp_path, scores=exercises().drop_columns(["flam_quality"]))
    with pytest.raises(ValueError, match=r"exercises.parquet has no column flam_quality; it has"):
        OriginalSource(tmp_path, None, SCORED)
    with pytest.raises(ValueError, match=r"samples.parquet has no column mood; it has sample_id"):
        OriginalSource(tmp_path, None, (*IDENTITY, "mood"))
    scored = samples().append_column("flam_quality", pa.array(np.arange(16.0)))
    write(tmp_path, scored, exercises().drop_columns(["flam_quality"]))
    assert picked(OriginalSource(tmp_path, "validation", SCORED), "flam_quality") == [2, 6, 10, 14]
    (tmp_path / "labels" / "exercises.parquet").unlink()
    assert OriginalSource(tmp_path, None, IDENTITY).layout.rows == ROWS
    with pytest.raises(ValueError, match=r"no column sample_id, overall_score; it has none: it is"):
        OriginalSource(tmp_path, None, SCORED)


@pytest.mark.parametrize("table", ["samples", "exercises"])
def test_a_damaged_table_is_named(tmp_path: Path, table: str) -> None:
    path = write(tmp_path) / "labels" / f"{table}.parquet"
    source = OriginalSource(tmp_path, None, IDENTITY)
    path.write_bytes(path.read_bytes()[:-100])
    wanted = {"samples": "duration_sec", "exercises": "overall_score"}[table]
    with pytest.raises(BrokenRowError, match=rf"{path}: not a whole .*: changed from \d+ to \d+"):
        source.column(wanted)
    column, read = source.column(wanted, skip_broken=True)
    assert (column.null_count, read.any(), len(source.broken)) == (ROWS, False, 1)
    with pytest.raises(BrokenRowError, match=rf"{path}: not a whole Parquet file: .*; repair it"):
        OriginalSource(tmp_path, None, SCORED)
    source = OriginalSource(tmp_path, None, SCORED, skip_broken=True)
    assert (source.layout.rows, [entry.file for entry in source.broken]) == (0, [str(path)])
    assert source.column("sample_id")[0].to_pylist() == []


def test_a_clip_is_found_by_its_path_else_by_its_id(tmp_path: Path) -> None:
    write(tmp_path, replaced(samples(), "audio_path", ["a/clip.wav", "gone", *[None] * 14]))
    (tmp_path / "splits.json").unlink()
    flat = [f"audio/{name}.flac" for name in NAMES]
    for place in ("a/clip.wav", PATHS[1], *flat):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(place)
    found = clips(OriginalSource(tmp_path, None, SCORED), [0, 1, 2])
    assert [clip.decode() for clip in found] == ["a/clip.wav", PATHS[1], flat[2]]
    pq.write_table(samples().drop_columns(["audio_path"]), tmp_path / "labels" / "samples.parquet")
    assert clips(OriginalSource(tmp_path, None, SCORED), [0]) == [flat[0].encode()]


OUTSIDE = "is not in the dataset's folder"


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("{outside}/secret.flac", f"secret.flac' {OUTSIDE}"),
        ("audio/../splits.json", OUTSIDE),
        ("linked/secret.flac", f"'linked/secret.flac' {OUTSIDE}"),
        ("link.flac", f"'link.flac' {OUTSIDE}"),
        ("a\0b", rf"'a\\x00b' {OUTSIDE}"),
        ("audio", "'audio': not a file"),
        ("pipe", "'pipe': not a file"),
        ("x" * 300, "x': File name too long"),
        ("gone\n.flac", r"'gone\\n.flac' is missing"),
        (None, f"'{PATHS[0]}' is missing"),
    ],
)
def test_a_clip_that_cannot_be_had_is_named(tmp_path: Path, path: str | None, cause: str) -> None:
    (tmp_path / "secret.flac").write_bytes(b"secret")
    inside = tmp_path / "data"
    said = path and path.format(outside=tmp_path)
    write(inside, replaced(samples(), "audio_path", [said, *["x"] * 15]))
    (inside / "audio").mkdir()
    (inside / "link.flac").symlink_to(tmp_path / "secret.flac")
    (inside / "linked").symlink_to(tmp_path)
    os.mkfifo(inside / "pipe")
    with pytest.raises(BrokenRowError, match=f"samples.parquet, row 0, .*{NAMES[0]}: .*{cause}"):
        SOUSADataset(inside)[0]


def test_ids_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    labels = replaced(samples(), "sample_id", ["../../../secret"] * ROWS)
    write(tmp_path, labels.drop_columns(["audio_path"]))
    with pytest.raises(BrokenRowError, match=f"secret.flac' {OUTSIDE}"):
        SOUSADataset(tmp_path)[0]


def test_a_spawned_worker_reads_the_same_also_by_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    source = OriginalSource(tmp_path / "link", "train", SCORED)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(clips, source, [1]).result(timeout=120)  # tells if the process dies
    assert found == [(folder / PATHS[1]).read_bytes()]


def test_the_fingerprint_tells_other_rows_and_another_order(folder: Path, tmp_path: Path) -> None:
    prints = [OriginalSource(folder, s, SCORED).fingerprint() for s in (None, *SPLITS)]
    assert len(set(prints)) == 4
    write(tmp_path, samples(pa.large_string()))
    assert OriginalSource(tmp_path, None, IDENTITY).fingerprint() == prints[0]
    write(tmp_path, samples().take([1, 0, *range(2, 16)]))
    assert OriginalSource(tmp_path, None, IDENTITY).fingerprint() != prints[0]
