"""A built folder, as a user of plain `datasets` sees it."""

import io
import json
from itertools import chain
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from sousa.builders import midi
from sousa.builders.labels import score
from sousa.builders.schema import CONFIGS, SCORES, SPLITS, columns
from sousa.builders.tokens import load_tokenizer


@pytest.fixture(scope="module")
def rows(built: Path, tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    """All rows of config `audio`, undecoded."""
    cache = str(tmp_path_factory.mktemp("cache"))
    splits = datasets.load_dataset(str(built), cache_dir=cache)
    joined = datasets.concatenate_datasets([splits[split] for split in SPLITS])
    return joined.cast_column("audio", datasets.Audio(44_100, decode=False))


@pytest.mark.parametrize("config", CONFIGS)
def test_plain_datasets_loads_every_config(config: str, built: Path, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(built), config, cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in loaded.items()} == dict.fromkeys(SPLITS, 16)
    features = [rows.features for rows in loaded.values()]
    assert features[0] == features[1] == features[2]
    tokens = ("tokens", "tokens_ms")
    assert list(features[0]) == [column.name for column in columns(config, tokens)]


@pytest.mark.parametrize("config", CONFIGS)
def test_plain_datasets_streams_every_config(config: str, built: Path) -> None:
    stream = datasets.load_dataset(str(built), config, split="test", streaming=True)
    if config.startswith("audio"):
        stream = stream.decode(enable=False)
    assert sum(1 for _ in stream) == 16


def test_plain_datasets_decodes_the_audio(built: Path) -> None:
    pytest.importorskip("torchcodec", reason="needs FFmpeg", exc_type=(ImportError, OSError))
    for config, rate in (("audio", 44_100), ("audio_16k", 16_000)):
        row = next(iter(datasets.load_dataset(str(built), config, split="test", streaming=True)))
        samples = row["audio"].get_all_samples()
        assert samples.sample_rate == rate
        assert samples.data.shape == (1, round(row["duration_sec"] * rate))


def test_audio_is_16_bit_mono_flac_of_the_stated_length(rows: datasets.Dataset) -> None:
    for row in rows.select_columns(["audio", "duration_sec"]):
        with soundfile.SoundFile(io.BytesIO(row["audio"]["bytes"])) as file:
            assert (file.format, file.subtype, file.channels) == ("FLAC", "PCM_16", 1)
            assert file.samplerate == 44_100
            assert file.frames == round(row["duration_sec"] * 44_100)


def test_both_rates_hold_the_same_sound(built: Path, rows: datasets.Dataset) -> None:
    """soxr by itself, from the decoded original: equal up to the rounding to 16 bits."""
    soxr = pytest.importorskip("soxr")
    originals = {row["sample_id"]: row["audio"]["bytes"] for row in rows}
    for path in (built / "audio_16k").glob("*.parquet"):
        for row in pq.read_table(path, columns=["sample_id", "audio"]).to_pylist():
            wave, _ = soundfile.read(io.BytesIO(originals[row["sample_id"]]), dtype="float32")
            prepared, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
            assert rate == 16_000
            expected = soxr.resample(wave, 44_100, 16_000, quality="HQ")
            assert len(expected) == len(prepared)
            assert np.abs(np.clip(expected, -1, 1) - prepared).max() <= 1.01 / 32_768


def test_midi_and_strokes_agree_within_half_a_tick(rows: datasets.Dataset) -> None:
    for row in rows.remove_columns("audio"):
        notes, strokes = midi.decode(row["midi"]), row["strokes"]
        assert len(notes.tick) == row["num_strokes"] == len(strokes["index"])
        error_ms = notes.onset_ms - np.array(strokes["actual_time_ms"])
        assert np.abs(error_ms).max() <= midi.ms_per_tick(row["tempo_bpm"]) / 2 + 0.001
        assert notes.velocity.tolist() == strokes["actual_velocity"]


def test_strokes_are_in_time_order_from_zero_on(rows: datasets.Dataset) -> None:
    for row in rows.remove_columns("audio"):
        times = np.array(row["strokes"]["actual_time_ms"])
        assert times[0] >= 0
        assert np.all(np.diff(times) >= 0)
        assert row["strokes"]["index"] == list(range(row["num_strokes"]))
        errors = times - np.array(row["strokes"]["intended_time_ms"])
        assert np.allclose(errors, row["strokes"]["timing_error_ms"], atol=1e-9)
        assert len(row["measures"]["index"]) == row["num_measures"]
        assert len(row["mistakes"]["kind"]) == row["num_mistakes"]


def test_scores_can_be_recomputed_from_the_strokes_of_a_row(rows: datasets.Dataset) -> None:
    for row in rows.remove_columns("audio"):
        again = score(row["strokes"], row["rudiment_slug"], row["tempo_bpm"])
        for name in (each.name for each in SCORES):
            stored = row[name]
            assert (stored is None) == (again[name] is None), name
            assert stored is None or stored == pytest.approx(again[name], rel=1e-5, abs=1e-5)


def test_tokens_give_the_midi_file_back(built: Path, rows: datasets.Dataset) -> None:
    tokenizer = load_tokenizer(built / "tokenizers" / "tokens.json")
    for row in rows.remove_columns("audio"):
        assert tokenizer.decode(row["tokens"]) == row["midi"]


def test_ids_name_clips_performances_and_players(rows: datasets.Dataset, built: Path) -> None:
    assert len(set(rows["sample_id"])) == len(rows) == 48
    splits = json.loads((built / "splits.json").read_text())
    members = [splits[f"{split}_profile_ids"] for split in ("train", "val", "test")]
    assert sorted(chain(*members)) == sorted(set(rows["profile_id"]))
    assert set(rows[:16]["profile_id"]) == set(members[0])
    assert splits["stats"]["val_skill_distribution"]["beginner"] == 1


def test_every_shard_declares_the_same_features(built: Path) -> None:
    for config in CONFIGS:
        schemas = [pq.read_schema(path) for path in sorted((built / config).glob("*"))]
        assert len(schemas) == 3
        assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas)
