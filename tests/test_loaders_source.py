"""Folders, Hub datasets and `datasets.Dataset` objects become samples."""

import pickle
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from loader_data import encoded, row, table, tone, write_folder, write_shard

from sousa.builders.schema import RUDIMENTS, SKILL_TIERS
from sousa.loaders import BrokenRowError, SOUSADataset, create_dataloader

SPLITS = {"train": 17, "validation": 5, "test": 6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("built"), SPLITS)


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> datasets.DatasetDict:
    cache = tmp_path_factory.mktemp("cache")
    return datasets.load_dataset(str(folder / "audio_16k"), cache_dir=str(cache))


def same(one: SOUSADataset, other: SOUSADataset) -> bool:
    pairs = [(one[i], other[i]) for i in range(max(len(one), len(other)))]
    return all(
        a["sample_id"] == b["sample_id"] and torch.equal(a["waveform"], b["waveform"])
        for a, b in pairs
    )


def test_all_splits_come_in_the_order_of_the_schema(folder: Path) -> None:
    dataset = SOUSADataset(folder)
    assert len(dataset) == 28
    assert [dataset[i]["sample_id"] for i in range(28)] == [f"clip-{i:04d}" for i in range(28)]


@pytest.mark.parametrize(("split", "first"), [("train", 0), ("validation", 17), ("test", 22)])
def test_a_split_is_read_as_plain_datasets_reads_it(
    folder: Path, plain: datasets.DatasetDict, split: str, first: int
) -> None:
    dataset = SOUSADataset(str(folder), split)
    assert len(dataset) == SPLITS[split] == len(plain[split])
    assert dataset[0]["sample_id"] == f"clip-{first:04d}" == plain[split]["sample_id"][0]
    assert same(dataset, SOUSADataset(plain[split]))
    assert same(dataset, SOUSADataset(plain, split))


def test_a_sample_says_what_the_row_says(folder: Path) -> None:
    sample = SOUSADataset(folder, target=["flam_quality", "groove_feel_proxy"])[15]
    assert sample["waveform"].dtype == torch.float32
    assert sample["waveform"].shape == (1600,)  # 0.1 s at 16 kHz
    assert sample["skill_tier"] == SKILL_TIERS[15 % 4]
    assert sample["rudiment_slug"] == RUDIMENTS[15]
    assert sample["tempo_bpm"] == 105.5
    assert sample["label_mask"].tolist() == [False, True]
    assert sample["label"][0].isnan()
    assert float(sample["label"][1]) == pytest.approx(0.4)  # a score in [0, 1] stays


def test_whole_tempos_are_ints(folder: Path) -> None:
    tempo_bpm = SOUSADataset(folder)[1]["tempo_bpm"]
    assert (tempo_bpm, type(tempo_bpm)) == (91, int)


def test_audio_resampled_is_audio_16k_up_to_16_bit_rounding(folder: Path) -> None:
    prepared = SOUSADataset(folder, normalize_audio=False)
    resampled = SOUSADataset(folder, config="audio", normalize_audio=False)
    stored = SOUSADataset(folder, resample_rate=None, normalize_audio=False)
    for i in (0, 3):
        assert len(prepared[i]["waveform"]) == len(resampled[i]["waveform"])
        difference = (prepared[i]["waveform"] - resampled[i]["waveform"]).abs().max()
        assert difference <= 0.5001 / 32768
        expected = tone(i, 0.1 + 0.02 * i) / 32768  # `None` keeps the stored rate: `audio`
        np.testing.assert_array_equal(stored[i]["waveform"].numpy(), expected.astype(np.float32))


def test_work_is_done_in_the_documented_order(folder: Path) -> None:
    """The peak lies at the beginning, so normalising before truncation scales alike."""
    whole = SOUSADataset(folder)[4]["waveform"]
    assert whole.abs().max() == 1
    late = SOUSADataset(folder, transform=lambda wave: -wave[wave.abs() < 1])[4]["waveform"]
    assert torch.equal(late, -whole[whole.abs() < 1])
    for normalized in (True, False):
        longer = SOUSADataset(folder, normalize_audio=normalized)[4]["waveform"]
        cut = SOUSADataset(folder, max_length_sec=0.05, normalize_audio=normalized)[4]["waveform"]
        assert cut.shape == (800,)
        assert torch.allclose(cut, longer[:800], atol=1e-6)


def test_indices_behave_like_those_of_a_list(folder: Path) -> None:
    dataset = SOUSADataset(folder, "test")
    assert dataset[-1]["sample_id"] == dataset[5]["sample_id"] == "clip-0027"
    assert [sample["sample_id"][-2:] for sample in dataset.__getitems__([5, 0, 5])] == [
        "27",
        "22",
        "27",
    ]
    for index in (6, -7):
        with pytest.raises(IndexError, match=rf"index must be in \[-6, 6\), got {index}"):
            dataset[index]


def test_a_dataset_of_the_users_own_making_is_read_in_its_order(
    plain: datasets.DatasetDict,
) -> None:
    both = datasets.concatenate_datasets([plain["test"], plain["train"]])
    mine = both.filter(lambda slug: slug % 2 == 0, input_columns="rudiment_slug").shuffle(seed=3)
    mine = mine.select_columns(
        ["audio", "sample_id", "tempo_bpm", "rudiment_slug", "skill_tier", "overall_score"]
    )
    dataset = SOUSADataset(mine, target="overall_score")
    assert [dataset[i]["sample_id"] for i in range(len(dataset))] == list(mine["sample_id"])
    dataset = SOUSADataset(mine, target="rudiment_slug")
    assert dataset.num_classes == 40  # of the schema, though half of them are filtered out
    assert [dataset[i]["label"] for i in range(len(dataset))] == list(mine["rudiment_slug"])


def test_labels_may_be_stored_as_names_or_under_other_ids() -> None:
    rows = table("audio_16k", [row("audio_16k", i) for i in range(8)])
    names = pa.array([SKILL_TIERS[i % 4] for i in range(8)])
    at = rows.schema.get_field_index("skill_tier")
    renamed = datasets.Dataset(rows.set_column(at, "skill_tier", names).replace_schema_metadata())
    other = renamed.class_encode_column("skill_tier")  # alphabetical ids
    for data in (renamed, other):
        dataset = SOUSADataset(
            data.remove_columns("rudiment_slug").add_column("rudiment_slug", ["flam"] * 8),
            target="skill_tier",
        )
        assert [dataset[i]["label"] for i in range(8)] == [0, 1, 2, 3, 0, 1, 2, 3]
        assert dataset[0]["skill_tier"] == "beginner"


def test_a_copy_reads_the_same_rows(folder: Path) -> None:
    dataset = SOUSADataset(folder)
    dataset[0]
    copied = pickle.loads(pickle.dumps(dataset))
    assert same(dataset, copied)
    assert copied.fingerprint() == dataset.fingerprint()


def test_some_configs_and_splits_are_enough(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": 4, "test": 3}, configs=["audio"])
    write_folder(tmp_path, {"train": 4}, configs=["audio_16k"])
    assert len(SOUSADataset(tmp_path)) == 7  # audio_16k lacks a split, audio has both
    assert len(SOUSADataset(tmp_path, "test")) == 3
    assert len(SOUSADataset(tmp_path, "train")) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "val"}, "split must be one of train, validation, test in .*, got 'val'"),
        ({"config": "audio_48k"}, "config must be one of audio, audio_16k in .*'audio_48k'"),
        ({"target": "loudness"}, "target must be one of skill_tier.*got loudness"),
        ({"resample_rate": 0}, "resample_rate must be a whole number of Hz above 0 or None, got 0"),
        ({"max_length_sec": -1}, "max_length_sec must be a number above 0"),
        ({"on_error": "ignore"}, "on_error must be one of raise, skip, got 'ignore'"),
        ({"target": None}, "target must be one of skill_tier.*got None"),
        (
            {"resample_rate": "16k"},
            "resample_rate must be a whole number of Hz above 0 or None, got '16k'",
        ),
        (
            {"resample_rate": 1.5},
            "resample_rate must be a whole number of Hz above 0 or None, got 1.5",
        ),
        (
            {"resample_rate": True},
            "resample_rate must be a whole number of Hz above 0 or None, got True",
        ),
        ({"config": "midi_only"}, "midi_only holds no audio; of .* audio, audio_16k can be read"),
    ],
)
def test_impossible_options_are_refused(folder: Path, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SOUSADataset(folder, **options)


def test_what_is_no_dataset_is_refused(tmp_path: Path, plain: datasets.DatasetDict) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        SOUSADataset(tmp_path / "nowhere")
    with pytest.raises(TypeError, match=r"a folder, a Hub id, .*, got a list"):
        SOUSADataset([1, 2])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="transform must be a function or None, got 3"):
        SOUSADataset(plain["test"], transform=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"is no built dataset.* but nothing; `sousa build`"):
        SOUSADataset(tmp_path)
    with pytest.raises(ValueError, match="is one split of one config"):
        SOUSADataset(plain["test"], "test")
    with pytest.raises(
        ValueError, match=r"datasets.Dataset has no column overall_score; it has sample"
    ):
        SOUSADataset(plain["test"].remove_columns("overall_score"))
    write_folder(tmp_path, {"train": 1}, ["audio_16k", "labels_only"], shards=1)
    with pytest.raises(ValueError, match="44100 Hz needs config audio; name another"):
        SOUSADataset(tmp_path, resample_rate=44_100)
    with pytest.raises(
        ValueError, match=r"labels_only holds no audio; of .* audio_16k can be read"
    ):
        SOUSADataset(tmp_path, config="labels_only")


def break_rows(folder: Path, clips: dict[int, bytes | None]) -> Path:
    rows = [row("audio", index) for index in range(10)]
    for index, clip in clips.items():
        rows[index]["audio"] = {"bytes": clip, "path": "/etc/hostname"}
    write_shard(folder / "audio" / "train-00000-of-00001.parquet", table("audio", rows), 4)
    return folder


BROKEN = {
    2: (b"", "audio is empty: 0 bytes"),
    3: (None, "audio is null"),
    6: (encoded(tone(1), 44_100)[:1000], "audio "),
    9: (encoded(tone(1), 22_050), "audio is stored at 22050 Hz, the column declares 44100 Hz"),
}


@pytest.mark.parametrize("index", sorted(BROKEN))
@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_broken_row_is_named(tmp_path: Path, index: int, num_workers: int) -> None:
    clip, cause = BROKEN[index]
    dataset = SOUSADataset(break_rows(tmp_path, {index: clip}))
    expected = rf"train-00000-of-00001.parquet, row {index}, sample clip-000{index}: {cause}"
    with pytest.raises(BrokenRowError, match=expected):
        dataset[index]
    with pytest.raises(BrokenRowError, match=expected):
        dataset.__getitems__([0, index])
    loader = create_dataloader(dataset, 4, shuffle=False, num_workers=num_workers)
    with pytest.raises(BrokenRowError, match=expected):
        list(loader)
    before = index // 4  # what came before it counts
    assert loader.state_dict()["past"] == ([[1, before]] if before else [])


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_broken_rows_are_left_out_and_listed(
    tmp_path: Path, num_workers: int, batch_size: int
) -> None:
    break_rows(tmp_path, {index: clip for index, (clip, _) in BROKEN.items()})
    dataset = SOUSADataset(tmp_path, target=["overall_score", "flam_quality"])
    loader = create_dataloader(dataset, batch_size, num_workers=num_workers, on_error="skip")
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader)
        assert {batch["labels"].shape[1] for batch in batches} == {2}
        used = [name for batch in batches for name in batch["sample_ids"]]
        assert sorted(used) == [f"clip-{i:04d}" for i in range(10) if i not in BROKEN]
    stats = loader.stats()
    assert (stats.batches, stats.clips) == (2 * len(loader), 12)
    assert sorted(entry.row or 0 for entry in stats.skipped) == sorted(BROKEN)
    for file, at, sample_id, cause in stats.skipped:
        assert file == str(tmp_path / "audio" / "train-00000-of-00001.parquet")
        assert sample_id == f"clip-{at:04d}"
        assert BROKEN[at or 0][1] in cause


def test_the_loader_decides_about_broken_rows(tmp_path: Path) -> None:
    dataset = SOUSADataset(break_rows(tmp_path, {2: b""}), on_error="skip")
    assert len(dataset.__getitems__([1, 2, 3])) == 2
    assert sum(len(b["sample_ids"]) for b in create_dataloader(dataset, num_workers=0)) == 9
    with pytest.raises(BrokenRowError, match="row 2"):
        list(create_dataloader(dataset, num_workers=0, on_error="raise"))


def test_truncated_and_missing_files_are_named_or_left_out(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": 12}, ["audio_16k"], shards=4)
    torn, gone = sorted((tmp_path / "audio_16k").glob("*"))[1:3]
    torn.write_bytes(torn.read_bytes()[:-100])
    gone.unlink()
    with pytest.raises(BrokenRowError, match=f"{gone.name}: the file is missing"):
        SOUSADataset(tmp_path)
    dataset = SOUSADataset(tmp_path, on_error="skip")
    assert len(dataset) == 6
    loader = create_dataloader(dataset, num_workers=0)
    assert sum(len(batch["sample_ids"]) for batch in loader) == 6
    assert {(Path(entry.file).name, entry.row) for entry in loader.stats().skipped} == {
        (torn.name, None),
        (gone.name, None),
    }
    gone.write_bytes(b"")
    with pytest.raises(BrokenRowError, match=rf"{torn.name}: not a whole Parquet file: .*skip"):
        SOUSADataset(tmp_path)


def test_a_file_that_shrinks_meanwhile_is_an_error_and_no_crash(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": 6}, ["audio_16k"], shards=1)
    dataset = SOUSADataset(tmp_path)
    loader = create_dataloader(dataset, on_error="skip", num_workers=0)
    path = next((tmp_path / "audio_16k").iterdir())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BrokenRowError, match="row 5: not a whole Parquet file: changed from"):
        dataset[5]
    assert sum(len(batch["sample_ids"]) for batch in loader) == 0
    assert [entry.row for entry in sorted(loader.stats().skipped)] == [0, 1, 2, 3, 4, 5]


def damage(path: Path) -> None:
    """Zero all that lies before the footer; the size and the footer stay."""
    content = path.read_bytes()
    data = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    path.write_bytes(b"PAR1" + bytes(data - 4) + content[data:])


@pytest.mark.parametrize("harm", [damage, Path.unlink])
@pytest.mark.parametrize("options", [{}, {"stratify": "skill_tier"}, {"stratify": "kit"}])
def test_files_that_are_lost_after_opening_are_skipped_everywhere(
    tmp_path: Path, harm: Any, options: dict[str, Any]
) -> None:
    write_folder(tmp_path, {"train": 16}, ["audio_16k"], shards=2)
    dataset = SOUSADataset(tmp_path)
    lost, kept = sorted((tmp_path / "audio_16k").glob("*"))
    harm(lost)
    loader = create_dataloader(dataset, 4, num_workers=0, on_error="skip", **options)
    used = [name for batch in loader for name in batch["sample_ids"]]
    assert sorted(used) == [f"clip-{i:04d}" for i in range(8, 16)]
    assert {entry.file for entry in loader.stats().skipped} == {str(lost)}
    again = create_dataloader(dataset, 4, num_workers=0, on_error="skip", **options)
    again.load_state_dict(loader.state_dict())
    harm(kept)
    with pytest.raises(ValueError, match=f"no file can be read for its kit; {lost}: not a whole"):
        create_dataloader(dataset, on_error="skip", stratify="kit")


def test_no_file_at_all_is_one_clear_error(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": 4}, ["audio_16k"], shards=1)
    path = next((tmp_path / "audio_16k").iterdir())
    path.write_bytes(b"")
    loader = create_dataloader(tmp_path, on_error="skip", num_workers=0)
    assert list(loader) == []
    assert loader.state_dict()["of"]["rows"] == 0
    with pytest.raises(ValueError, match=f"no file can be read for its kit; {path}: not a whole"):
        create_dataloader(tmp_path, on_error="skip", stratify="kit")


def test_the_loader_decides_about_broken_files(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": 8}, ["audio_16k"], shards=2)
    torn = min((tmp_path / "audio_16k").glob("*"))
    torn.write_bytes(b"")
    loader = create_dataloader(tmp_path, num_workers=0, on_error="skip")
    assert sum(len(batch["sample_ids"]) for batch in loader) == 4
    dataset = SOUSADataset(tmp_path, on_error="skip")
    assert [entry.file for entry in dataset.broken] == [str(torn)]
    with pytest.raises(BrokenRowError, match=f"{torn}: not a whole Parquet file") as caught:
        create_dataloader(dataset, on_error="raise")
    assert caught.value.broken == dataset.broken[0]


def test_a_broken_row_can_be_told_from_a_worker_of_any_loader(tmp_path: Path) -> None:
    dataset = SOUSADataset(break_rows(tmp_path, {2: b""}))
    loader = torch.utils.data.DataLoader(dataset, 4, num_workers=1, collate_fn=list)
    with pytest.raises(BrokenRowError, match="row 2, sample clip-0002: audio is empty") as caught:
        list(loader)
    assert caught.value.broken is None
    with pytest.raises(BrokenRowError) as caught:
        dataset[2]
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (str(copied), copied.broken) == (str(caught.value), caught.value.broken)


@pytest.mark.parametrize(
    ("column", "value", "cause"),
    [
        ("tempo_bpm", float("nan"), "tempo_bpm is nan"),
        ("tempo_bpm", float("inf"), "tempo_bpm is inf"),
        ("overall_score", float("inf"), r"overall_score must be in \[0, 100\], is inf"),
        ("overall_score", -1.0, r"overall_score must be in \[0, 100\], is -1.0"),
        ("overall_score", 100.5, r"overall_score must be in \[0, 100\], is 100.5"),
        ("sample_id", None, "sample_id is null"),
        ("skill_tier", None, "skill_tier is null"),
        ("rudiment_slug", None, "rudiment_slug is null"),
        ("sample_id", b"\xff", r"sample_id is not UTF-8: b'\\xff'"),
    ],
)
def test_rows_with_impossible_values_are_broken_rows(
    tmp_path: Path, column: str, value: Any, cause: str
) -> None:
    rows = table("audio_16k", [row("audio_16k", index) for index in range(6)])
    at = rows.schema.get_field_index(column)
    values = rows.column(column).to_pylist()
    values[4] = value
    kind = rows.schema.field(column).type
    if isinstance(value, bytes):  # Arrow makes no such text, but takes over its bytes
        texts = [text.encode() if isinstance(text, str) else text for text in values]
        array = pa.Array.from_buffers(kind, 6, pa.array(texts, pa.binary()).buffers())
    else:
        array = pa.array(values, kind)
    changed = rows.set_column(at, rows.schema.field(column), array)
    path = tmp_path / "audio_16k" / "train-00000-of-00001.parquet"
    write_shard(path, changed)
    for data, place in ((tmp_path, str(path)), (datasets.Dataset(changed), "datasets.Dataset")):
        dataset = SOUSADataset(data)
        with pytest.raises(BrokenRowError, match=f"{place}, row 4.*: {cause}; repair"):
            dataset[4]
        loader = create_dataloader(dataset, 3, num_workers=0, on_error="skip")
        assert sum(len(batch["sample_ids"]) for batch in loader) == 5
        assert [entry.row for entry in loader.stats().skipped] == [4]
        assert loader.state_dict()["epoch"] == 1


def test_a_mistyped_folder_is_not_asked_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "file").touch()
    for name in ("demo/tinyy", "demo/file"):
        with pytest.raises(FileNotFoundError, match=f"^no folder {name}$"):
            SOUSADataset(name)
    with pytest.raises(FileNotFoundError, match=r"^no folder nobody/drums, and as a .* Hub .*nob"):
        SOUSADataset("nobody/drums")


def test_shards_of_two_builds_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": 4}, ["audio_16k"], shards=1)
    write_folder(tmp_path, {"train": 4}, ["audio_16k"], shards=2)
    for on_error in ("raise", "skip"):
        with pytest.raises(ValueError, match="several builds of one split, -of-00001 and -of-000"):
            SOUSADataset(tmp_path, on_error=on_error)


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_labels_and_copied_clips_are_read_group_by_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    """Work rather than time: a shuffled epoch reads each of the five row groups once."""
    path = tmp_path / "audio_16k" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    rows = table("audio_16k", [row("audio_16k", index) for index in range(34)])
    pq.write_table(rows, path, row_group_size=7, compression=compression, use_dictionary=False)
    read: list[tuple[int, bool]] = []
    original = pq.ParquetFile.read_row_groups

    def counted(
        self: pq.ParquetFile, groups: list[int], columns: list[str], **options: Any
    ) -> pa.Table:
        read.extend((group, "audio" in columns) for group in groups)
        return original(self, groups, columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    loader = create_dataloader(SOUSADataset(tmp_path), 4, num_workers=0)
    assert sum(len(batch["sample_ids"]) for batch in loader) == 34
    assert sorted(read) == [(group, compression == "zstd") for group in range(5)]


def test_a_built_folder_has_the_same_clips_in_both_audio_configs(built: Path) -> None:
    """Up to the rounding of `audio_16k` to 16 bits, and of both to float32."""
    prepared = SOUSADataset(built, "test", normalize_audio=False)
    resampled = SOUSADataset(built, "test", normalize_audio=False, config="audio")
    for index in range(len(prepared)):
        one, other = prepared[index]["waveform"], resampled[index]["waveform"]
        assert one.shape == other.shape
        assert (one - other).abs().max() <= 0.501 / 32768
