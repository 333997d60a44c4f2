"""A folder in the existing SOUSA layout becomes a dataset: the same values, in our rows."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import sousa_data
import soxr
from datasets import concatenate_datasets, load_dataset
from hypothesis import given
from hypothesis import strategies as st
from sousa_data import TAIL_SEC, Source, Variant
from symusic import Score

from sousa.builders import cli
from sousa.builders.import_sousa import Imported, import_sousa
from sousa.builders.midi_channel import snare_on_drums
from sousa.builders.schema import (
    HANDS,
    MEASURE_FIELDS,
    METADATA,
    RUDIMENTS,
    SCORES,
    SKILL_TIERS,
    STROKE_FIELDS,
    STROKE_TYPES,
)
from sousa.builders.sousa_request import Request
from sousa.builders.tokens import parse_tokenizers
from sousa.loaders.dataset import SOUSADataset

GRID = Request(tokenizers=parse_tokenizers(["grid"]))
BARE = replace(GRID, configs=("midi_only", "labels_only"))
LABELS = Request(configs=("labels_only",))
SAMPLES = "labels/samples.parquet"

Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """What the generator writes today."""
    return sousa_data.make(tmp_path_factory.mktemp("sousa") / "source")


@pytest.fixture(scope="session")
def imported(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of it, by the command."""
    out = tmp_path_factory.mktemp("imported") / "dataset"
    assert cli.main(["import", "sousa", str(source.root), str(out), "--workers", "1"]) == 0
    return out


@pytest.fixture
def bare(tmp_path: Path) -> Source:
    """A folder without media, to be damaged."""
    return sousa_data.make(tmp_path / "source", Variant(audio=False, midi=False))


def rows_of(out: Path, config: str, split: str = "*") -> Rows:
    """The rows of a config by sample id, in stored order."""
    files = sorted((out / config).glob(f"{split}-*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    found = {row["sample_id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def files_of(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def by_sample(table: pa.Table) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        found.setdefault(row.pop("sample_id"), []).append(row)
    return found


def null(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def single(value: Any) -> Any:
    """What float32 makes of a number."""
    return None if null(value) is None else float(np.float32(value))


# What comes out


def test_every_value_is_the_source_s(source: Source, imported: Path) -> None:
    """The reference is written out from the format, not taken from the schema's types."""
    rows = rows_of(imported, "audio")
    scores = by_sample(source.tables["exercises"])
    assert set(rows) == set(source.ids())
    for sample in source.tables["samples"].to_pylist():
        row = rows[sample["sample_id"]]
        for name in ("profile_id", "augmentation_group_id", "num_cycles", "num_strokes"):
            assert row[name] == sample[name]
        assert row["rudiment_slug"] == RUDIMENTS.index(sample["rudiment_slug"])
        assert row["skill_tier"] == SKILL_TIERS.index(sample["skill_tier"])
        assert row["skill_tier_binary"] == SKILL_TIERS.index(sample["skill_tier"]) // 2
        assert row["dominant_hand"] == ["right", "left"].index(sample["dominant_hand"])
        assert (row["tempo_bpm"], row["kit"]) == (sample["tempo_bpm"], "FluidR3_GM")
        assert row["duration_sec"] == single(sample["duration_sec"] + TAIL_SEC)
        assert row["aug_room_wet_dry"] == single(0.35)
        assert (row["aug_compression_ratio"], row["aug_bit_depth"]) == (None, None)
        assert (row["mistakes"], row["num_mistakes"], row["aug_preamp"]) == (None, None, None)
        (scored,) = scores[sample["sample_id"]]
        assert {s.name: row[s.name] for s in SCORES} == {
            s.name: single(scored.get(s.name)) for s in SCORES
        }


def test_strokes_and_measures_keep_the_order_of_their_rows(source: Source, imported: Path) -> None:
    strokes, measures = (by_sample(source.tables[name]) for name in ("strokes", "measures"))
    for sample_id, row in rows_of(imported, "midi_only").items():
        played = strokes[sample_id]
        found = row["strokes"]
        assert set(found) == {field.name for field in STROKE_FIELDS}
        for name in set(found) - {"hand", "stroke_type"}:
            assert found[name] == [null(stroke[name]) for stroke in played], name
        assert found["hand"] == [HANDS.index(stroke["hand"]) for stroke in played]
        assert found["stroke_type"] == [STROKE_TYPES.index(s["stroke_type"]) for s in played]
        for field in MEASURE_FIELDS:
            stored = [each[field.name] for each in measures[sample_id]]
            is_whole = field.type.dtype == "int32"  # type: ignore[union-attr]
            expected = stored if is_whole else [single(value) for value in stored]
            assert row["measures"][field.name] == expected, field.name
    buzz = next(r for r in rows_of(imported, "midi_only").values() if r["rudiment_slug"] == 3)
    assert buzz["strokes"]["index"] == [0, 3, 1, 4, 2, 5]
    assert min(row["strokes"]["actual_time_ms"][0] for row in [buzz]) < 0


def test_the_midi_of_a_group_is_that_of_all_its_rows(source: Source, imported: Path) -> None:
    rows = rows_of(imported, "midi_only")
    samples = source.tables["samples"].to_pylist()
    for first, second in zip(samples[::2], samples[1::2], strict=True):
        stored = (source.root / first["midi_path"]).read_bytes()
        assert second["midi_path"] is None
        for sample in (first, second):
            row = rows[sample["sample_id"]]
            changed = [pair for pair in zip(stored, row["midi"], strict=True) if len({*pair}) > 1]
            assert changed == [(0x90, 0x99)]  # all events share that status
            (track,) = Score.from_midi(row["midi"]).tracks
            assert (track.is_drum, len(track.notes)) == (True, 6)
            assert (row["tokens_exact"], len(row["tokens"]) > 6) == (True, True)


def test_midi_is_not_that_of_a_like_named_group_of_another_player(tmp_path: Path) -> None:
    few = Variant(audio=False, splits=False, players=1)
    folder = sousa_data.make(tmp_path / "source", few)
    samples = folder.tables["samples"]
    place = samples.column_names.index("augmentation_group_id")
    groups = pa.array(["same"] * len(samples))
    folder.write("samples", samples.set_column(place, "augmentation_group_id", groups))
    players = samples["profile_id"].to_pylist()
    last = players.index(players[-1])
    for row in range(last, len(players)):
        folder.change("samples", "midi_path", row, None)
    for path in folder.root.glob("midi/*/*.mid"):
        if path.stem in folder.ids()[last:]:
            path.unlink()
    import_sousa(folder.root, tmp_path / "out", BARE)
    rows = rows_of(tmp_path / "out", "midi_only")
    assert {rows[sample_id]["midi"] for sample_id in folder.ids()[last:]} == {None}
    assert all(rows[sample_id]["midi"] for sample_id in folder.ids()[:last])


def test_audio_is_the_mean_of_the_channels_in_16_bits(source: Source, imported: Path) -> None:
    rows, prepared = rows_of(imported, "audio"), rows_of(imported, "audio_16k")
    for number, sample_id in enumerate(source.ids()[:6]):
        stored = sousa_data.sound(number, 0.05 + TAIL_SEC).mean(axis=1)
        assert rows[sample_id]["audio"]["path"] == f"{sample_id}.flac"
        with soundfile.SoundFile(pa.BufferReader(rows[sample_id]["audio"]["bytes"])) as file:
            kind = (file.format, file.subtype, file.channels, file.samplerate)
            assert kind == ("FLAC", "PCM_16", 1, 44_100)
            samples = file.read(dtype="int16")
        np.testing.assert_allclose(samples, stored * 32768, atol=0.5 + 1e-3)
        wave = soxr.resample(samples.astype(np.float32) / 32768, 44_100, 16_000, quality="HQ")
        header, pcm = prepared[sample_id]["audio"]["bytes"][:44], 2 * len(wave)
        assert header[40:44] == pcm.to_bytes(4, "little")
        found = np.frombuffer(prepared[sample_id]["audio"]["bytes"][44:], "<i2")
        np.testing.assert_allclose(found, wave * 32768, atol=0.5 + 1e-3)


def test_a_loader_gets_from_the_folder_what_it_gets_from_the_dataset(
    source: Source, imported: Path
) -> None:
    options: dict[str, Any] = {"target": ["overall_score", "flam_quality"]}
    options |= {"resample_rate": None, "normalize_audio": False}
    for split in ("train", "validation", "test"):
        ours = SOUSADataset(imported, split=split, config="audio", **options)
        theirs = SOUSADataset(source.root, split=split, **options)
        found = {sample["sample_id"]: sample for sample in map(ours.__getitem__, range(len(ours)))}
        assert len(found) == len(theirs) == 24
        for sample in map(theirs.__getitem__, range(len(theirs))):
            same = found[sample["sample_id"]]
            np.testing.assert_allclose(same["waveform"], sample["waveform"], atol=0.51 / 32768)
            np.testing.assert_array_equal(same["label_mask"], sample["label_mask"])
            np.testing.assert_allclose(same["label"], sample["label"], rtol=2**-22)  # float32
            for name in ("skill_tier", "rudiment_slug", "tempo_bpm"):
                assert same[name] == sample[name]


def test_imported_and_built_rows_can_be_joined(imported: Path, built: Path, tmp_path: Path) -> None:
    for config in ("audio_16k", "midi_only", "labels_only"):
        both = [
            load_dataset(
                "parquet",
                data_files=str(out / config / "train-*.parquet"),
                split="train",
                cache_dir=str(tmp_path),
            )
            for out in (built, imported)
        ]
        shared = {name: both[0].features[name] for name in both[0].features if "_ms" not in name}
        assert {name: both[1].features[name] for name in shared} == shared
        joined = concatenate_datasets(both)
        assert len(joined) == sum(map(len, both))
        assert joined.features["rudiment_slug"] == both[0].features["rudiment_slug"]


def test_a_rerun_changes_nothing_and_other_options_are_refused(
    source: Source, imported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_of(imported)
    command = ["import", "sousa", str(source.root), str(imported), "--workers", "1"]
    assert cli.main(command) == 0
    assert capsys.readouterr().out == "rows: train 24, validation 24, test 24\n"
    assert cli.main([*command, "--keep-midi"]) == 1
    assert "keep_midi: False there, True asked" in capsys.readouterr().err
    assert files_of(imported) == before


# Variants

TEXTS = {"text": pa.large_string()}
VARIANTS: dict[str, dict[str, Any]] = {
    "large strings": TEXTS,
    "no index": {"index": False},
    "validation": {"val": "validation_profile_ids"},
    "flat": {"flat": True},
    "unknown columns": {"extra": True},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_give_the_same_rows(tmp_path: Path, imported: Path, name: str) -> None:
    variant = sousa_data.make(tmp_path / "source", Variant(audio=False, **VARIANTS[name]))
    result = import_sousa(variant.root, tmp_path / "out", GRID)
    assert result.rows == {"train": 24, "validation": 24, "test": 24}
    assert result.left_out["without"] == ["audio"]
    extra = ["labels/moods.parquet", f"{SAMPLES}: mood"] if "unknown" in name else []
    assert result.left_out["ignored"] == extra
    for split in result.rows:
        expected = rows_of(imported, "midi_only", split)
        found = rows_of(tmp_path / "out", "midi_only", split)
        for sample_id, row in expected.items():
            assert found[sample_id] == row | {"duration_sec": single(0.05)}


LOADED: dict[str, dict[str, Any]] = VARIANTS | {
    "ray": {"ids": "ray"},
    "not augmented": {"augmented": False},
    "no splits": {"splits": False},
    "empty splits": {"splits": None},
    "one split": {"splits": True},
}


@pytest.mark.parametrize("name", LOADED)
def test_a_loader_takes_every_variant(tmp_path: Path, name: str) -> None:
    """Of a few clips; the strokes, which it never reads, may be damaged."""
    variant = Variant(**{"players": 1, **LOADED[name]})
    folder = sousa_data.make(tmp_path / "source", variant)
    (folder.root / "labels" / "strokes.parquet").write_text("damaged")
    dataset = SOUSADataset(folder.root, target="skill_tier", resample_rate=None)
    assert [dataset[row]["sample_id"] for row in range(24)] == folder.ids()
    assert {len(dataset[row]["waveform"]) for row in range(24)} == {24_255}


def test_what_old_folders_lack_is_null(tmp_path: Path) -> None:
    old = sousa_data.make(tmp_path / "source", Variant(audio=False, augmented=False, ids="ray"))
    samples = old.tables["samples"].drop_columns(["dominant_hand", "num_cycles", "soundfont"])
    old.write("samples", samples)
    import_sousa(old.root, tmp_path / "out", BARE)
    rows = rows_of(tmp_path / "out", "labels_only")
    assert set(rows) == set(old.ids())
    names = [column.name for column in METADATA if column.name.startswith("aug_")]
    for name in [*names, "dominant_hand", "num_cycles", "kit"]:
        assert {row[name] for row in rows.values()} == {None}, name


def test_tables_may_be_in_any_order(source: Source, tmp_path: Path, imported: Path) -> None:
    """The rows of a clip keep theirs; those of other clips may stand between them."""
    mixed = Source(tmp_path / "source", dict(source.tables))
    rng = np.random.default_rng(1)
    for name in ("strokes", "measures", "exercises"):
        table = source.tables[name]
        clips = np.unique(table["sample_id"].to_pylist(), return_inverse=True)[1]
        keys = np.empty(len(table))
        for clip in np.unique(clips):
            keys[clips == clip] = np.sort(rng.random((clips == clip).sum()))
        mixed.write(name, table.take(np.argsort(keys)))
    mixed.write("samples")
    shutil.copy(source.root / "splits.json", mixed.root)
    shutil.copytree(source.root / "midi", mixed.root / "midi")
    import_sousa(mixed.root, tmp_path / "out", BARE)
    found, expected = (rows_of(out, "midi_only") for out in (tmp_path / "out", imported))
    for sample_id, row in expected.items():
        assert {**found[sample_id], "duration_sec": row["duration_sec"]} == row


@pytest.mark.parametrize(
    ("suffix", "rate", "channels", "subtype"),
    [(".flac", 44_100, 1, "PCM_16"), (".wav", 48_000, 2, "PCM_24"), (".flac", 22_050, 1, "PCM_16")],
)
def test_audio_of_other_kinds(
    tmp_path: Path, suffix: str, rate: int, channels: int, subtype: str
) -> None:
    """Mono FLAC of 16 bits is copied; another rate is resampled as the project does."""
    folder = sousa_data.make(tmp_path / "source", Variant(midi=False))
    wave = 0.5 * np.sin(0.05 * np.arange(rate * 11 // 20))
    path = f"audio/other{suffix}"
    samples = np.repeat(wave[:, None], channels, axis=1)
    soundfile.write(folder.root / path, samples, rate, subtype=subtype)
    folder.change("samples", "audio_path", 5, path)
    request = Request(configs=("audio",))
    import_sousa(folder.root, tmp_path / "out", request)
    row = rows_of(tmp_path / "out", "audio")[folder.ids()[5]]
    stored = (folder.root / path).read_bytes()
    if (rate, channels) == (44_100, 1):
        assert row["audio"]["bytes"] == stored
        return
    found, at = soundfile.read(pa.BufferReader(row["audio"]["bytes"]))
    read, _ = soundfile.read(folder.root / path, dtype="float32", always_2d=True)
    expected = soxr.resample(read[:, 0], rate, 44_100, quality="HQ")
    assert (at, row["duration_sec"]) == (44_100, single(len(expected) / 44_100))
    np.testing.assert_allclose(found, expected, atol=0.6 / 32768)


def test_midi_may_stay_as_it_is_or_be_missing(tmp_path: Path) -> None:
    folder = sousa_data.make(tmp_path / "source", Variant(audio=False))
    first = folder.file("midi", 0)
    kept = first.read_bytes()
    import_sousa(folder.root, tmp_path / "kept", replace(BARE, keep_midi=True))
    assert rows_of(tmp_path / "kept", "midi_only")[folder.ids()[1]]["midi"] == kept
    folder.change("samples", "midi_path", 0, None)
    first.unlink()
    import_sousa(folder.root, tmp_path / "out", BARE)
    row = rows_of(tmp_path / "out", "midi_only")[folder.ids()[1]]
    assert (row["midi"], row["tokens"], row["tokens_exact"]) == (None, None, False)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 127)), min_size=1, max_size=20),
    st.integers(0, 15),
    st.booleans(),
)
def test_only_the_channel_of_the_snare_moves(
    notes: list[tuple[int, int]], channel: int, other: bool
) -> None:
    """Oracle: symusic reads the same notes; every byte that differs is a status on its channel."""
    ticks = np.cumsum([wait + 2 for wait, _ in notes]).tolist()
    midi = sousa_data.snare_file(ticks, [velocity for _, velocity in notes], channel)
    if other:  # another pitch on that channel: it is no snare's
        midi = midi.replace(bytes([0x90 | channel, 38]), bytes([0x90 | channel, 60]), 1)
    moved = snare_on_drums(midi)
    if other or channel == 9:
        assert moved == midi
        return
    differing = [(a, b) for a, b in zip(midi, moved, strict=True) if a != b]
    assert differing == [(0x90 | channel, 0x99)]
    (before,), (after,) = (Score.from_midi(each).tracks for each in (midi, moved))
    assert (after.is_drum, after.notes.numpy()["velocity"].tolist()) == (
        True,
        before.notes.numpy()["velocity"].tolist(),
    )
    assert after.notes.numpy()["time"].tolist() == ticks


def _cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8])


BROKEN_MIDI: dict[str, tuple[Callable[[Path], object], str, int]] = {
    "missing": (Path.unlink, r"midi file 'midi/.*' is missing", 1),
    "empty": (lambda file: file.write_bytes(b""), r"midi file 'midi/.*' is empty", 1),
    "text": (lambda file: file.write_text("no"), r"MIDI file 'midi/.*': not a MIDI file", 2),
    "cut": (_cut_short, r"MIDI file 'midi/.*': truncated: ", 2),
}


@pytest.mark.parametrize("name", BROKEN_MIDI)
def test_broken_midi_is_named(tmp_path: Path, name: str) -> None:
    """All clips that it is the file of are left out."""
    damage, reason, lost = BROKEN_MIDI[name]
    few = Variant(audio=False, splits=False, players=1)
    folder = sousa_data.make(tmp_path / "source", few)
    damage(folder.file("midi", 2))
    with pytest.raises(OSError, match=rf"{SAMPLES} row 2 \(.*\): {reason}"):
        import_sousa(folder.root, tmp_path / "out", BARE)
    result = import_sousa(folder.root, tmp_path / "out", BARE, on_error="skip", overwrite=True)
    assert (result.rows, result.left_out["faults"]) == ({"train": 24 - lost}, lost)


def test_hands_in_tokens_go_by_time(tmp_path: Path) -> None:
    """Rows of a buzz roll may be in another order than its notes: here the bounces come last."""
    few = Variant(audio=False, splits=False, players=1)
    folder = sousa_data.make(tmp_path / "source", few)
    request = replace(BARE, tokenizers=parse_tokenizers(["grid+hands"]))
    import_sousa(folder.root, tmp_path / "straight", request)
    table = folder.tables["strokes"]
    place = np.argsort(
        np.arange(len(table)) // 6 * 6 + np.arange(len(table)) % 2 * 3, kind="stable"
    )
    folder.write("strokes", table.take(place))
    import_sousa(folder.root, tmp_path / "turned", request)
    straight, turned = (rows_of(tmp_path / n, "midi_only") for n in ("straight", "turned"))
    for sample_id, row in straight.items():
        assert row["strokes"]["hand"] == [0, 1] * 3
        assert turned[sample_id]["strokes"]["hand"] == [0] * 3 + [1] * 3
        assert turned[sample_id]["tokens_hands"] == row["tokens_hands"]


# Splits


def splits_of(out: Path) -> dict[str, set[str]]:
    return {
        split: {row["profile_id"] for row in rows_of(out, "labels_only", split).values()}
        for split in ("train", "validation", "test")
    }


def listed(out: Path) -> dict[str, set[str]]:
    content = json.loads((out / "splits.json").read_text())
    return {
        long: set(content[f"{short}_profile_ids"])
        for long, short in {"train": "train", "validation": "val", "test": "test"}.items()
    }


@pytest.mark.parametrize("splits", [None, False])
def test_without_splits_new_ones_are_made(tmp_path: Path, splits: bool | None) -> None:
    folder = sousa_data.make(tmp_path / "source", Variant(audio=False, midi=False, splits=splits))
    result = import_sousa(folder.root, tmp_path / "out", LABELS)
    assert result.left_out["split"] == "new"
    found = splits_of(tmp_path / "out")
    assert found == listed(tmp_path / "out")
    for players in found.values():  # of three players of a tier, one in each
        assert sorted(player[-3:] for player in players) == ["adv", "beg", "int", "pro"]


def test_too_few_players_are_all_train_unless_splits_are_asked_for(tmp_path: Path) -> None:
    few = Variant(audio=False, midi=False, splits=False, players=2)
    folder = sousa_data.make(tmp_path / "source", few)
    result = import_sousa(folder.root, tmp_path / "out", LABELS)
    assert (result.rows, result.left_out["split"]) == ({"train": 48}, "train")
    assert result.left_out["empty_splits"] == ["validation", "test"]
    with pytest.raises(ValueError, match=r"--resplit needs 3 players of each tier, got 2 beginner"):
        import_sousa(folder.root, tmp_path / "new", replace(LABELS, resplit=True))


def test_players_that_no_split_names_are_reported(
    tmp_path: Path, bare: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bare.root / "splits.json"
    content = json.loads(path.read_text())
    (lost, *_) = content["test_profile_ids"]
    path.write_text(json.dumps(content | {"test_profile_ids": []}))
    out = tmp_path / "out"
    command = ["import", "sousa", str(bare.root), str(out), "--configs", "labels_only"]
    assert cli.main([*command, "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "rows: train 24, validation 24\n" in said
    assert f"in no split: 24 rows of 4 players that splits.json does not name, such as {lost}" in (
        said
    )
    assert "empty splits: test\n" in said
    entries = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert len(entries) == 24
    assert entries[0] | {"row": 0, "sample_id": ""} == {
        "path": "splits.json",
        "row": 0,
        "sample_id": "",
        "reason": f"player {lost!r} is in no split",
    }
    assert cli.main([*command, "--resplit", "--overwrite", "--workers", "1"]) == 0
    assert "rows: train 24, validation 24, test 24\nsplits: new ones" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", r"must hold lists train_profile_ids, .*; mend it, or make new splits"),
        ('{"train_profile_ids": ["x"]}', "names none of the players that there are"),
        ('{"train_profile_ids": ["x"], "test_profile_ids": ["x"]}', "'x' in train and in test"),
    ],
)
def test_splits_that_make_no_sense(
    tmp_path: Path, bare: Source, content: str, message: str
) -> None:
    (bare.root / "splits.json").write_text(content)
    with pytest.raises(ValueError, match=rf"splits\.json .*{message}"):
        import_sousa(bare.root, tmp_path / "out", LABELS)
    assert not (tmp_path / "out").exists()


def test_rows_are_mixed_and_the_seed_decides_how(source: Source, tmp_path: Path) -> None:
    orders = []
    for seed in (1, 2):
        out = tmp_path / str(seed)
        import_sousa(source.root, out, replace(LABELS, seed=seed))
        rows = [*rows_of(out, "labels_only", "train").values()]
        orders.append([row["sample_id"] for row in rows])
        for start in range(0, 24, 6):  # any six have all four tiers
            assert {row["skill_tier"] for row in rows[start : start + 6]} == {0, 1, 2, 3}
    assert orders[0] != orders[1]


# What cannot be imported


def _other_format(folder: Source) -> None:
    soundfile.write(folder.file("audio", 3), np.zeros(24_255), 44_100, format="WAV")


def _of_length(seconds: float) -> Callable[[Source], None]:
    def damage(folder: Source) -> None:
        soundfile.write(folder.file("audio", 3), sousa_data.sound(3, seconds), 44_100)

    return damage


def _cut(folder: Source) -> None:
    path = folder.file("audio", 3)
    path.write_bytes(path.read_bytes()[:-900])


def _claiming(samples: int) -> Callable[[Source], None]:
    """Let the header of a FLAC file say that it holds so many."""

    def damage(folder: Source) -> None:
        content = bytearray(folder.file("audio", 3).read_bytes())
        content[21] = content[21] & 0xF0 | samples >> 32
        content[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
        folder.file("audio", 3).write_bytes(content)

    return damage


def _large(folder: Source) -> None:
    with folder.file("audio", 3).open("r+b") as file:
        file.truncate(1 << 30)


def _linked(folder: Source) -> None:
    path = folder.file("audio", 3)
    path.rename(folder.root.parent / "outside.flac")
    path.symlink_to(folder.root.parent / "outside.flac")


def _path(value: str) -> Callable[[Source], None]:
    return lambda folder: folder.change("samples", "audio_path", 3, value)


MEDIA: dict[str, tuple[Callable[[Source], object], str]] = {
    "absolute": (_path("/etc/hostname"), r"audio file '/etc/hostname' is not in the folder"),
    "parent": (_path("audio/../../x.flac"), r"audio file 'audio/\.\./.*' is not in the folder"),
    "link": (_linked, r"audio file '.*' is not in the folder"),
    "folder": (_path("audio"), r"audio file 'audio' is not a file"),
    "missing": (lambda f: f.file("audio", 3).unlink(), r"audio file '.*flac' is missing"),
    "empty": (lambda f: f.file("audio", 3).write_bytes(b""), r"audio file '.*' is empty"),
    "format": (_other_format, r"audio file '.*' is WAV, not what \.flac says"),
    "text": (lambda f: f.file("audio", 3).write_text("no"), r"audio file '.*' cannot be decoded"),
    "long": (
        _of_length(0.7),
        r"audio file '.*' is 0\.700 s long; its row says 0\.050 s, with or without 0\.5 s",
    ),
    "short": (_of_length(0.45), r"audio file '.*' is 0\.450 s long; its row says 0\.050 s"),
    "claim": (_claiming(1 << 35), r"audio file '.*' claims 34359738368 samples in \d+ bytes"),
    "hour": (_claiming(1 << 26), r"audio file '.*' has 67108864 x 2 samples, more than"),
    "large": (_large, r"audio file '.*' has 1073741824 bytes, more than"),
    "cut": (_cut, r"audio file '.*' (cannot be decoded|ends after)"),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """One player of each tier, with audio; to be copied and damaged."""
    root = tmp_path_factory.mktemp("small") / "source"
    return sousa_data.make(root, Variant(players=1, splits=False))


@pytest.mark.parametrize("name", MEDIA)
def test_a_broken_file_stops_the_import_or_is_left_out(
    small: Source, tmp_path: Path, name: str
) -> None:
    damage, reason = MEDIA[name]
    shutil.copytree(small.root, tmp_path / "source", symlinks=True)
    folder = Source(tmp_path / "source", dict(small.tables))
    damage(folder)
    request = replace(GRID, configs=("audio",))
    sample_id = folder.ids()[3]
    place = rf"{SAMPLES} row 3 \({sample_id}\): {reason}"
    with pytest.raises(OSError, match=rf"{place}.*; mend it, or leave .* --on-error skip"):
        import_sousa(folder.root, tmp_path / "out", request)
    assert not (tmp_path / "out" / "manifest.json").exists()
    result = import_sousa(folder.root, tmp_path / "out", request, on_error="skip", overwrite=True)
    assert (result.rows, result.left_out["faults"]) == ({"train": 23}, 1)
    assert set(folder.ids()) - set(rows_of(tmp_path / "out", "audio")) == {sample_id}
    (line,) = (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["row"] == 3


def test_midi_of_a_clip_that_is_left_out_is_still_its_group_s(
    small: Source, tmp_path: Path
) -> None:
    shutil.copytree(small.root, tmp_path / "source")
    folder = Source(tmp_path / "source", dict(small.tables))
    folder.file("audio", 2).unlink()
    folder.write("exercises", folder.tables["exercises"].filter(np.arange(24) != 4))
    import_sousa(folder.root, tmp_path / "out", GRID, on_error="skip")
    rows = rows_of(tmp_path / "out", "midi_only")
    assert set(folder.ids()) - set(rows) == {folder.ids()[2], folder.ids()[4]}
    assert all(row["midi"] and row["tokens_exact"] for row in rows.values())


def _unknown_stroke(folder: Source) -> None:
    folder.change("strokes", "sample_id", 8, "nobody")


def _no_scores(folder: Source) -> None:
    folder.write("exercises", folder.tables["exercises"].filter(np.arange(24) != 3))


def _cell(table: str, column: str, row: int, value: Any) -> Callable[[Source], None]:
    return lambda folder: folder.change(table, column, row, value)


def _as_text(table: pa.Table, column: str, row: int) -> pa.Table:
    """Return a table with a column as text, of which one row is no number."""
    cells: list[str | None] = table[column].cast(pa.string()).to_pylist()
    cells[row] = "good"
    return table.set_column(table.column_names.index(column), column, pa.array(cells))


TABLES: dict[str, tuple[Callable[[Source], None], str, int]] = {
    "twice": (
        lambda f: f.change("samples", "sample_id", 3, f.ids()[2]),
        r"row 2 .*: its sample_id stands in rows 2, 3 \(the first of 3\)",
        22,
    ),
    "rudiment": (
        _cell("samples", "rudiment_slug", 3, "six_stroke_rol"),
        r"row 3 .*: rudiment_slug is 'six_stroke_rol', none of the 40",
        23,
    ),
    "tier": (
        _cell("samples", "skill_tier", 3, "expert"),
        r"row 3 .*: skill_tier is 'expert', must be of beginner, .*, professional",
        23,
    ),
    "no player": (_cell("samples", "profile_id", 3, None), r"row 3 .*: has no profile_id", 23),
    "id": (_cell("samples", "sample_id", 3, "a/b"), r"'a/b' cannot be the name of a file", 23),
    "scores": (_no_scores, r"row 3 .*: labels/exercises.parquet has no row of it", 23),
    "hand": (
        _cell("strokes", "hand", 20, "B"),
        r"row 3 .*: labels/strokes.parquet row 20: hand is 'B', must be of L, R",
        23,
    ),
    "half a stroke": (
        _cell("strokes", "index", 20, 1.5),
        r"row 3 .*: labels/strokes.parquet row 20: index is 1.5, which int32 cannot hold",
        23,
    ),
    "large number": (
        _cell("samples", "num_cycles", 3, 2**40),
        r"row 3 .*: num_cycles is 1099511627776, which int32 cannot hold",
        23,
    ),
    "text": (
        lambda f: f.write("exercises", _as_text(f.tables["exercises"], "overall_score", 3)),
        r"row 3 .*: labels/exercises.parquet row 3: overall_score is 'good', which float cannot",
        23,
    ),
    "stray": (
        _unknown_stroke,
        r"labels/strokes.parquet row 8 \(nobody\): is of no sample in .*; rows like that: 1",
        24,
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_broken_row_stops_the_import_or_is_left_out(tmp_path: Path, name: str) -> None:
    damage, message, left = TABLES[name]
    few = Variant(audio=False, midi=False, splits=False, players=1)
    folder = sousa_data.make(tmp_path / "source", few)
    damage(folder)
    with pytest.raises(OSError, match=message):
        import_sousa(folder.root, tmp_path / "out", BARE)
    result = import_sousa(folder.root, tmp_path / "out", BARE, on_error="skip", overwrite=True)
    assert sum(result.rows.values()) == left
    assert result.left_out["faults"] >= 1
    assert (
        len((tmp_path / "out" / "quarantine.jsonl").read_text().splitlines())
        == (result.left_out["faults"])
    )


def test_the_source_is_not_overwritten(bare: Source, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(bare.root)
    command = ["import", "sousa", str(bare.root), str(bare.root / "."), "--overwrite"]
    assert cli.main(command) == 1
    assert "is the source itself; choose another folder" in capsys.readouterr().err
    assert files_of(bare.root) == before


def test_only_what_was_asked_for_is_said_to_be_missing(tmp_path: Path, bare: Source) -> None:
    found = import_sousa(bare.root, tmp_path / "labels", LABELS)
    assert found.left_out["without"] == []


def test_tables_that_cannot_be_read_are_named(
    tmp_path: Path, bare: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bare.root / "labels" / "strokes.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    command = ["import", "sousa", str(bare.root), str(tmp_path / "out"), "--workers", "1"]
    assert cli.main(command) == 1
    assert f"sousa import: {path} cannot be read: " in capsys.readouterr().err
    path.write_bytes(whole)
    strokes = pq.read_table(path)
    nested = pa.array([[0]] * len(strokes))
    place = strokes.column_names.index("index")
    pq.write_table(strokes.set_column(place, "index", nested), path)
    assert cli.main(command) == 1
    said = capsys.readouterr().err
    assert "labels/strokes.parquet, rows 0 to" in said
    assert "column index of type list" in said
    path.unlink()
    assert cli.main(command) == 1
    assert f"{bare.root} has no labels/strokes.parquet" in capsys.readouterr().err
    assert cli.main(["import", "sousa", str(tmp_path), str(tmp_path / "out")]) == 1
    assert "it is not in the SOUSA layout" in capsys.readouterr().err
    assert cli.main([*command, "--configs", "audio"]) == 1
    assert cli.main([*command, "--configs", "sound"]) == 2
    assert "configs must be of audio" in capsys.readouterr().err


# Reliability


def _interrupted(after: int) -> Callable[[str, int], Callable[[int], None]]:
    """Progress that is interrupted when so many clips are done."""
    done = 0

    def progress(unit: str, total: int) -> Callable[[int], None]:
        del total

        def told(count: int) -> None:
            nonlocal done
            done += count if unit == "clips" else 0
            if done >= after:
                raise KeyboardInterrupt

        return told

    return progress


def test_interrupted_or_by_several_processes_the_bytes_are_the_same(
    source: Source, imported: Path, tmp_path: Path
) -> None:
    def is_ours(name: str) -> bool:
        return not name.startswith(("README", "card", "croissant"))

    expected = {name: held for name, held in files_of(imported).items() if is_ours(name)}
    out = tmp_path / "out"
    for clips in (1, 30):
        with pytest.raises(KeyboardInterrupt):
            import_sousa(source.root, out, GRID, progress=_interrupted(clips))
        assert not (out / "manifest.json").exists()
        partial = [name for name in files_of(out) if ".parquet" in name and ".sousa" not in name]
        assert all(files_of(out)[name] == expected[name] for name in partial)
    finished = import_sousa(source.root, out, GRID, workers=2)
    assert finished == Imported({"train": 24, "validation": 24, "test": 24}, finished.left_out)
    assert files_of(out) == expected


def test_files_that_change_while_an_import_is_interrupted_are_read_again(
    source: Source, tmp_path: Path
) -> None:
    out, whole, root = tmp_path / "out", tmp_path / "whole", tmp_path / "source"
    shutil.copytree(source.root, root)
    with pytest.raises(KeyboardInterrupt):
        import_sousa(root, out, GRID, progress=_interrupted(30))
    assert list(out.glob("midi_only/*.parquet"))
    for path in root.glob("midi/*/*.mid"):
        content = path.read_bytes()
        path.write_bytes(content.replace(b"\x07\xa1\x20", b"\x07\xa1\x21"))
    import_sousa(root, out, GRID)
    import_sousa(root, whole, GRID)
    assert files_of(out) == files_of(whole)
    assert all(b"\x07\xa1\x21" in row["midi"] for row in rows_of(out, "midi_only").values())


@pytest.mark.parametrize("name", ["quarantine.jsonl", "audio/train-00000-of-00001.parquet"])
def test_a_damaged_import_is_mended_and_still_says_what_it_lacks(
    source: Source, tmp_path: Path, name: str
) -> None:
    out, root = tmp_path / "out", tmp_path / "source"
    shutil.copytree(source.root, root)
    for path in root.glob("audio/flam/*.flac"):
        path.write_bytes(path.read_bytes()[:-900])
    request = Request(configs=("audio",))
    whole = import_sousa(root, out, request, on_error="skip")
    assert whole.left_out["faults"] > 0
    before = files_of(out)
    (out / name).unlink()
    assert import_sousa(root, out, request, on_error="skip") == whole
    assert files_of(out) == before
