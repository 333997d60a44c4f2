"""Recordings with annotations become a dataset, whatever lies among them."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import soxr
from audio_data import collection, run, wave, write_csv, write_recording
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders import cli
from sousa.builders.audio_plan import Take, linked, placed, splits_drawn, splits_named
from sousa.builders.audio_shards import EvenGroups
from sousa.builders.encoding import quantise, resample
from sousa.builders.kinds import declared_columns, kind_of
from sousa.builders.schema import SPLITS

CHILD = """
import os, signal, sys
from sousa.builders import audio_commands, cli
class Progress:
    def __init__(self, total, unit):
        self.unit, self.done = unit, 0
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def __call__(self, count):
        self.done += count
        if f"{self.unit} {self.done}" == sys.argv[1]:
            os.killpg(0, signal.SIGKILL)
if __name__ == "__main__":
    audio_commands.Progress = Progress
    sys.exit(cli.main(sys.argv[2:]))
"""


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(out: Path, config: str = "audio") -> list[dict[str, Any]]:
    return [
        {**row, "split": path.name.partition("-")[0]}
        for path in sorted((out / config).iterdir())
        for row in pq.read_table(path).to_pylist()
    ]


def quarantine(out: Path) -> dict[str, str]:
    lines = (out / "quarantine.jsonl").read_text("utf-8").splitlines()
    return {entry["path"]: entry["reason"] for entry in map(json.loads, lines)}


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    collection(folder)
    return folder


@pytest.fixture(scope="module")
def imported(music: Path) -> Path:
    assert run(music, music / "out", "--split-by", "artist") == 0
    return music / "out"


def samples(cell: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.int16]]:
    found, _ = soundfile.read(pa.BufferReader(cell["bytes"]), dtype="int16")
    return np.asarray(found, np.int16)


def test_audio_is_what_other_programs_decode(music: Path, imported: Path) -> None:
    prepared = {row["sample_id"]: row["audio"] for row in rows_of(imported, "audio_16k")}
    rows = rows_of(imported)
    assert len(rows) == 12
    for row in rows:
        decoded, rate_hz = soundfile.read(
            music / "music" / row["source_path"], dtype="float32", always_2d=True
        )
        mono = decoded.mean(axis=1)
        if rate_hz != 44_100:
            mono = soxr.resample(mono, rate_hz, 44_100, quality="HQ")
        stored = samples(row["audio"])
        np.testing.assert_array_equal(stored, quantise(mono))
        assert row["audio_sha256"] == hashlib.sha256(stored.tobytes()).hexdigest()
        assert row["duration_sec"] == np.float32(len(stored) / 44_100)
        assert (row["source_sample_rate_hz"], row["source_channels"]) == (
            rate_hz,
            decoded.shape[1],
        )
        at_16k = samples(prepared[row["sample_id"]])
        np.testing.assert_array_equal(at_16k, resample(stored, 44_100, 16_000))


def test_a_sixteen_bit_recording_at_44100_is_kept_exactly(music: Path, imported: Path) -> None:
    exact = [row for row in rows_of(imported) if row["source_path"].endswith("song00.wav")]
    source, _ = soundfile.read(music / "music" / exact[0]["source_path"], dtype="int16")
    np.testing.assert_array_equal(samples(exact[0]["audio"]), source)


def test_labels_are_columns_and_artists_stay_together(imported: Path) -> None:
    whole = load_dataset(str(imported), "labels_only", cache_dir=str(imported.parent / "cache"))
    splits: dict[str, set[int]] = {}
    for split in SPLITS:
        assert whole[split].features["genre"].names == ["jazz", "pop", "rock"]
        splits[split] = set(whole[split]["artist"])
    assert all(splits.values())
    assert sum(map(len, splits.values())) == 6 == len(set.union(*splits.values()))
    rows = {row["source_path"]: row for split in SPLITS for row in whole[split]}
    assert rows["disc 2/song05.flac"]["mood"] is None
    assert rows["disc 1/song04.wav"]["mood"] == 0.5
    assert rows["disc 1/song04.wav"]["title"] == "Song 4"
    assert rows["disc 1/song04.wav"]["genre"] == 0
    record = json.loads((imported / "splits.json").read_text())
    assert record["group"] == "artist"
    assert record["train_groups"] == [f"artist {at}" for at in sorted(splits["train"])]
    assert record["stats"]["train_rows"] == len(whole["train"])


def test_the_plan_declares_what_the_files_hold(imported: Path) -> None:
    plan = json.loads((imported / "manifest.json").read_text())["plan"]
    assert kind_of(plan) == "audio"
    for config in plan["configs"]:
        stored = pq.read_schema(next((imported / config).iterdir())).names
        assert [column.name for column in declared_columns(plan, config, ())] == stored


def test_an_import_goes_on_where_it_was_killed(music: Path, imported: Path, tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    out = tmp_path / "out"
    command = ["import", "audio", music / "music", out, "--annotations", music / "labels.csv"]
    command += ["--split-by", "artist", "--workers", "2"]
    for killed_at in ("recordings 5", "rows 7"):
        child = subprocess.Popen(
            [sys.executable, tmp_path / "child.py", killed_at, *map(str, command)],
            start_new_session=True,
        )
        assert child.wait() == -signal.SIGKILL
        assert not (out / "manifest.json").exists()
    kept = {path.name: path.stat().st_mtime_ns for path in (out / ".sousa").glob("verdicts*")}
    assert kept
    assert run(music, out, "--split-by", "artist") == 0
    assert digests(out) == digests(imported)
    before = (out / "manifest.json").stat().st_mtime_ns
    assert run(music, out, "--split-by", "artist") == 0  # there is nothing left to do
    assert (out / "manifest.json").stat().st_mtime_ns == before


def hostile(folder: Path) -> dict[str, str]:
    """Write what cannot be imported, beside two recordings that can; return how each is refused."""
    root = folder / "music"
    for seed, name in enumerate(("good.wav", "sub/good.flac", "cut.wav", "alone.ogg", "cut.flac")):
        write_recording(root / name, seed)
    write_recording(folder / "outside.wav", 9)
    for name in ("cut.wav", "cut.flac"):
        data = (root / name).read_bytes()
        (root / name).write_bytes(data[: len(data) // 2])
    (root / "empty.wav").touch()
    (root / "noise.mp3").write_bytes(bytes(range(256)) * 20)
    shutil.copy(root / "good.wav", root / "is-wav.flac")
    soundfile.write(root / "no-samples.wav", np.zeros((0, 1)), 44_100)
    soundfile.write(root / "short.wav", np.zeros((7, 1)), 8000)
    soundfile.write(root / "nan.wav", np.full(100, np.nan, np.float32), 44_100, subtype="FLOAT")
    (root / "link.wav").symlink_to(folder / "outside.wav")
    (root / "loop.wav").symlink_to(root / "loop.wav")
    (root / "linked").symlink_to(folder)
    (root / "inner.wav").symlink_to(root / "good.wav")
    outside = str(folder / "outside.wav")
    refused = {
        "cut.wav": "cut off: ",
        "cut.flac": "cut off: |cannot be decoded: ",
        "empty.wav": "empty: 0 bytes",
        "noise.mp3": "cannot be decoded: |its name ends in|empty",
        "is-wav.flac": "its name ends in .flac, and it holds WAV",
        "no-samples.wav": "empty: 0 samples",
        "short.wav": "too short: 0.88 ms, must be at least 1 ms",
        "nan.wav": "has samples that are no numbers",
        "link.wav": "a link that leads out of the folder",
        "loop.wav": "unreadable: |a link that leads to itself",
        outside: "an absolute path",
        "C:\\music\\x.wav": "an absolute path",
        "../outside.wav": "a path that leads out",
        "sub/../../outside.wav": "a path that leads out",
        "gone.wav": "no such recording",
        "./good.wav": "annotated twice: labels.csv line 2 means the same recording",
    }
    rows = [{"file": name, "genre": "x"} for name in ("good.wav", "sub/good.flac", "inner.wav")]
    write_csv(folder / "labels.csv", [*rows, *({"file": name} for name in refused)])
    return {
        **refused,
        "alone.ogg": "no annotation",
        "linked": "link to a folder, which is not followed",
    }


def test_what_cannot_be_imported_is_listed_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = hostile(tmp_path)
    out = tmp_path / "music" / "out"  # in the tree itself, which is passed over
    assert run(tmp_path, out) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "cannot be imported, such as" in told[0]
    assert "leave them out with --on-error skip, or mend them" in told[0]
    assert not (out / "audio").exists()
    assert run(tmp_path, out, "--on-error", "skip") == 0
    found = quarantine(out)
    assert found.keys() == refused.keys()
    for path, reason in found.items():
        assert any(reason.startswith(each) for each in refused[path].split("|")), (path, reason)
    rows = rows_of(out, "labels_only")
    assert {row["source_path"] for row in rows} == {"good.wav", "inner.wav", "sub/good.flac"}
    of_path = {row["source_path"]: row for row in rows}
    assert of_path["good.wav"]["split"] == of_path["inner.wav"]["split"]  # the same audio
    assert of_path["good.wav"]["sample_id"] != of_path["inner.wav"]["sample_id"]
    assert "rejected: 18" in capsys.readouterr().out


def test_names_need_not_be_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    write_recording(tmp_path / "music" / "good.wav", 1).rename(tmp_path / "music" / f"{name}.wav")
    (tmp_path / "jams").mkdir()
    (tmp_path / "jams" / f"{name}.jams").write_text('{"annotations": [], "sandbox": {"a": "b"}}')
    (tmp_path / "jams" / f"{name}2.jams").write_text('{"annotations": []}')
    options = ["--annotations", str(tmp_path / "jams"), "--on-error", "skip"]
    assert run(tmp_path, tmp_path / "out", *options) == 0
    [row] = rows_of(tmp_path / "out")
    assert row["source_path"] == "caf\\xe9.wav"
    assert quarantine(tmp_path / "out") == {"caf\\udce92": "no such recording in the folder"}


def test_paths_may_be_written_as_other_systems_do(tmp_path: Path) -> None:
    names = (unicodedata.normalize("NFD", "café.wav"), "disc/LOUD.WAV", "a b.wav", "both.wav")
    for seed, name in enumerate((*names, "both.WAV")):
        path = write_recording(tmp_path / "music" / f"{seed}.wav", seed)
        (tmp_path / "music" / name).parent.mkdir(exist_ok=True)
        path.rename(tmp_path / "music" / name)
    given = (unicodedata.normalize("NFC", "café.wav"), "disc\\LOUD.wav", " a b.wav ", "both.Wav")
    refused = ("..\\a b.wav", "loud.WAV", "other/a b.wav", ".")
    write_csv(tmp_path / "labels.csv", [{"FileName": name, "x": "y"} for name in given + refused])
    configs = ["--configs", "labels_only", "--on-error", "skip"]
    assert run(tmp_path, tmp_path / "out", *configs) == 0
    rows = rows_of(tmp_path / "out", "labels_only")
    assert {row["source_path"] for row in rows} == set(names[:3])
    found = quarantine(tmp_path / "out")
    assert {found.pop(name) for name in refused} == {"no such recording in the folder"}
    assert found == {
        "both.Wav": "may mean any of 2 recordings: both.WAV, both.wav",
        "both.WAV": "no annotation",
        "both.wav": "no annotation",
    }


def test_annotations_of_another_recording_are_found_by_its_length(tmp_path: Path) -> None:
    for seed, name in enumerate(("good", "longer", "early", "late")):
        write_recording(tmp_path / "music" / f"{name}.wav", seed, seconds=0.2)
        time_sec = {"early": -0.6, "late": 0.8}.get(name, 0.6)
        beat = {"namespace": "beat", "data": [{"time": 0.1}, {"time": time_sec}]}
        about = {"duration": {"good": 0.6, "longer": 0.8}.get(name)}
        content = json.dumps({"file_metadata": about, "annotations": [beat]})
        (tmp_path / f"{name}.jams").write_text(content)
    options = ["--annotations", str(tmp_path), "--on-error", "skip", "--configs", "labels_only"]
    assert run(tmp_path, tmp_path / "out", *options) == 0
    assert [row["source_path"] for row in rows_of(tmp_path / "out", "labels_only")] == ["good.wav"]
    assert quarantine(tmp_path / "out") == {
        "longer.wav": "another length: 0.20 s, annotated as 0.80 s",
        "early.wav": "times outside: beat at -0.60 s, it is 0.20 s long",
        "late.wav": "times outside: beat at 0.80 s, it is 0.20 s long",
    }
    rows = [{"file": f"{name}.wav", "duration_sec": "1"} for name in ("good", "longer")]
    options[1] = str(write_csv(tmp_path / "labels.csv", [*rows, {"file": "late.wav"}]))
    assert run(tmp_path, tmp_path / "again", *options) == 0
    [row] = rows_of(tmp_path / "again", "labels_only")
    assert (row["source_path"], row["label_duration_sec"]) == ("late.wav", None)


def test_groups_may_be_of_several_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for seed in range(8):
        write_recording(tmp_path / "music" / f"{seed}.wav", seed)
        players = (seed // 2, "everybody's") if seed < 4 else (seed // 2,)
        rows += [{"file": f"{seed}.wav", "player": f"P{player}"} for player in players]
    write_csv(tmp_path / "labels.csv", rows)
    options = ["--split-by", "player", "--labels", "player:class", "--configs", "labels_only"]
    assert run(tmp_path, tmp_path / "out", *options) == 0
    splits = {row["source_path"]: row["split"] for row in rows_of(tmp_path / "out", "labels_only")}
    assert len({splits[f"{seed}.wav"] for seed in range(4)}) == 1
    assert len(set(splits.values())) == 3
    assert cli.main(["validate", str(tmp_path / "out")]) == 0
    [train, other, *_] = sorted((tmp_path / "out" / "labels_only").iterdir())
    pq.write_table(pq.read_table(train), other)  # the same players on both sides
    assert cli.main(["validate", str(tmp_path / "out")]) == 1
    assert re.search("groups +3 +[1-9].*\n.*group P.* is in both splits", capsys.readouterr().out)


def test_how_loud_recordings_are_is_but_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loud = 3 * wave(1, 44_100)
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "loud.wav", loud, 44_100, subtype="FLOAT")
    soundfile.write(tmp_path / "music" / "silent.wav", 0 * loud, 44_100)
    write_csv(tmp_path / "labels.csv", [{"file": "loud.wav"}, {"file": "silent.wav"}])
    assert run(tmp_path, tmp_path / "out", "--configs", "audio") == 0
    assert cli.main(["validate", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert re.search("warning: .* is clipped: ", told)
    assert re.search("warning: .* is silent: ", told)


def test_a_folder_names_splits(tmp_path: Path) -> None:
    names = {"a": "train", "b": "Valid", "c": "test", "d": "train", "e": "", "f": "later"}
    for seed, name in enumerate(names):
        write_recording(tmp_path / "music" / f"{name}.wav", seed)
    shutil.copy(tmp_path / "music" / "c.wav", tmp_path / "music" / "d.wav")
    rows = [{"file": f"{name}.wav", "set": split} for name, split in names.items()]
    write_csv(tmp_path / "labels.csv", rows)
    configs = ["--configs", "labels_only", "--split-field", "set", "--on-error", "skip"]
    assert run(tmp_path, tmp_path / "out", *configs) == 0
    found = {row["source_path"]: row["split"] for row in rows_of(tmp_path / "out", "labels_only")}
    assert found == {"a.wav": "train", "b.wav": "validation", "c.wav": "test"}
    reasons = quarantine(tmp_path / "out")
    assert reasons["d.wav"] == "duplicate: the same audio as c.wav, in another split"
    assert reasons["e.wav"].endswith("it is nothing")
    assert reasons["f.wav"].endswith("it is later")
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["labels_only"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--annotations", "x.xml"], r"annotations must be a file in .pyjama, .jams, .csv"),
        (["--labels", "gerne"], "--labels must be of artist, genre, .*did you mean genre"),
        (["--labels", "genre:kind"], "the kind of --labels genre must be of class, text, number"),
        (["--split-by", "album"], "--split-by must be of artist, genre, .*; got 'album'"),
        (["--split-field", "artist", "--split", "0.5"], "leave out --split"),
        (["--configs", "midi_only"], "configs must be of audio, audio_16k, labels_only"),
        (["--split", "2"], "must be one to three shares"),
        (["--max-sec", "0"], "--max-sec must be above 0"),
    ],
)
def test_wrong_commands_are_refused_in_a_line(
    music: Path, options: Sequence[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(music, music / "never", *options) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) <= 2
    assert re.search(message, told), told
    assert not (music / "never").exists()


def test_other_annotations_are_another_dataset(
    music: Path, imported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(music, imported, "--split-by", "genre") == 1
    assert "holds the dataset of another plan (group: artist there" in capsys.readouterr().err


def test_a_recording_that_is_too_long_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recording(tmp_path / "music" / "long.wav", 1, seconds=1.5)
    write_csv(tmp_path / "labels.csv", [{"file": "long.wav", "genre": "x"}])
    assert run(tmp_path, tmp_path / "out", "--max-sec", "1", "--on-error", "skip") == 1
    assert "too long: 2 s, against --max-sec 1" in capsys.readouterr().err


Group = st.sampled_from([f"g{number}" for number in range(8)])
Takes = st.lists(
    st.tuples(st.integers(0, 12), st.sets(Group, max_size=3)), min_size=1, max_size=24
).map(
    lambda made: [
        Take(f"{at}.wav", f"sha {sound}", 1000 + at, tuple(sorted(groups)))
        for at, (sound, groups) in enumerate(made)
    ]
)


@given(Takes, st.integers(0, 5), st.randoms(use_true_random=False))
def test_no_group_and_no_sound_is_in_two_splits(takes: list[Take], seed: int, random: Any) -> None:
    drawn = splits_drawn(takes, (0.6, 0.2, 0.2), seed).split_of
    split_of = {take.path: split for take, split in zip(takes, drawn, strict=True)}
    assert None not in split_of.values()
    for first in takes:
        for second in takes:
            if first.audio_sha256 == second.audio_sha256 or {*first.groups} & {*second.groups}:
                assert split_of[first.path] == split_of[second.path]
    groups = linked([[*take.groups, take.audio_sha256] for take in takes])
    assert len(set(split_of.values())) == min(3, len(groups))  # none is empty if there are enough
    shuffled = random.sample(takes, len(takes))
    again = splits_drawn(shuffled, (0.6, 0.2, 0.2), seed).split_of
    assert dict(zip((take.path for take in shuffled), again, strict=True)) == split_of


@given(Takes, st.integers(0, 5))
def test_every_recording_is_in_one_shard(takes: list[Take], seed: int) -> None:
    split_of = [SPLITS[at % 3] if at % 4 else None for at in range(len(takes))]
    shards = list(placed(takes, split_of, seed))
    found = {at: shard.split for shard, rows in shards for at in rows}
    assert found == {at: split for at, split in enumerate(split_of) if split}
    assert sum(shard.rows for shard, _ in shards) == len(found)


def test_shares_are_kept_where_groups_are_small() -> None:
    takes = [Take(f"{at}.wav", str(at), 1, (f"g{at // 4}",)) for at in range(400)]
    drawn = splits_drawn(takes, (0.8, 0.1, 0.1), 42).split_of
    assert [drawn.count(split) for split in SPLITS] == [320, 40, 40]
    assert splits_drawn(takes, (0.8, 0.1, 0.1), 43).split_of != drawn
    takes += [Take(f"big{at}.wav", f"big{at}", 1, ("big",)) for at in range(200)]
    drawn = splits_drawn(takes, (0.8, 0.1, 0.1), 42).split_of
    assert drawn[-1] == "train"  # a group that no other split can hold
    assert [drawn.count(split) for split in SPLITS] == [480, 60, 60]


def test_named_splits_keep_equal_audio_in_one() -> None:
    takes = [Take(f"{at}.wav", "same", 1, (name,)) for at, name in enumerate(["train", "val"])]
    found = splits_named(takes, "set")
    assert found.split_of == [None, "validation"]
    assert found.left_out == {0: "duplicate: the same audio as 1.wav, in another split"}


@given(st.lists(st.integers(1, 70), min_size=1, max_size=60))
def test_row_groups_are_even_whatever_the_rows(sizes: list[int]) -> None:
    groups = EvenGroups(least_bytes=120, most_bytes=400)
    rows = [pa.table({"x": np.zeros(size, np.uint8)}) for size in sizes]
    made = [group for row in rows for group in groups.add(row)]
    made += list(groups.rest())
    assert sum(group.nbytes for group in made) == sum(sizes)
    assert all(group.nbytes <= 400 for group in made)
    assert all(group.nbytes >= 120 for group in made) or len(made) == 1


def test_a_row_is_weighed_as_often_however_many_wait() -> None:
    class Weighed:
        times = 0

        @property
        def nbytes(self) -> int:
            Weighed.times += 1
            return 1

    groups, rows = EvenGroups(), 100
    for _ in range(rows):
        row: Any = Weighed()
        assert list(groups.add(row)) == []
    assert Weighed.times <= 2 * rows


def test_a_row_that_is_larger_than_a_group_is_one() -> None:
    groups = EvenGroups(least_bytes=120, most_bytes=400)
    sizes = [10, 500, 10, 130, 500]
    made = [g for size in sizes for g in groups.add(pa.table({"x": np.zeros(size, np.uint8)}))]
    made += list(groups.rest())
    assert [group.nbytes for group in made] == [10, 500, 140, 500]


def test_files_that_are_changed_meanwhile_stop_the_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collection(tmp_path, songs=8)
    (tmp_path / "child.py").write_text(CHILD)
    out = tmp_path / "out"
    command = ["import", "audio", tmp_path / "music", out]
    command += ["--annotations", tmp_path / "labels.csv", "--workers", "1"]
    child = [sys.executable, tmp_path / "child.py", "recordings 6", *map(str, command)]
    assert subprocess.run(child, start_new_session=True, check=False).returncode == -signal.SIGKILL
    song = tmp_path / "music" / "disc 0" / "song00.wav"
    soundfile.write(song, wave(99, 8820), 44_100)  # as long as before
    assert song.stat().st_size == 44 + 2 * 8820
    assert run(tmp_path, out) == 1
    assert "song00.wav was changed while it was imported" in capsys.readouterr().err
