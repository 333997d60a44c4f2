"""A tree of MIDI files becomes a dataset, whatever lies in it, and however often it is killed."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import copy, record, rewrite, shard
from datasets import load_dataset
from guarded_jobs import DeadlyTokenizer
from hypothesis import given
from hypothesis import strategies as st
from midi_corpus import hostile_tree, song

from sousa.builders import cli
from sousa.builders.import_midi import import_midi
from sousa.builders.import_plan import ImportPlan, Readable, duplicates, placed, shares
from sousa.builders.midi_listing import Listed, listing
from sousa.builders.schema import SPLITS
from sousa.builders.tokens import load_tokenizer
from sousa.builders.validate import validate

CHILD = """
import os, signal, sys
from pathlib import Path
from sousa.builders import import_midi
from sousa.builders.import_plan import ImportPlan
from sousa.builders.tokens import parse_tokenizers
TOKENIZERS = parse_tokenizers(["grid", "ms"])
def progress(unit, total, done=[0]):
    def tell(count):
        done[0] += count
        if done[0] >= int(sys.argv[3]):
            os.killpg(0, signal.SIGKILL)
    return tell
if __name__ == "__main__":
    import_midi.FILES_PER_RUN = 4
    import_midi.import_midi(
        Path(sys.argv[1]), Path(sys.argv[2]),
        lambda files, sha: ImportPlan(files=files, listing_sha256=sha, tokenizers=TOKENIZERS),
        progress=progress,
    )
"""


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(out: Path, config: str = "midi_only") -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted((out / config).iterdir())])


def quarantine(out: Path) -> dict[str, str]:
    lines = (out / "quarantine.jsonl").read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert all(list(entry) == ["path", "reason"] for entry in entries)
    return {entry["path"]: entry["reason"] for entry in entries}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("tree") / "root"
    root.mkdir()
    return root, hostile_tree(root)


@pytest.fixture(scope="module")
def imported(tree: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("imported") / "out"
    options = ["--tokens", "grid,ms", "--workers", "1"]
    assert cli.main(["import", "midi", str(tree[0]), str(out), *options]) == 0
    return out


def test_every_bad_file_is_in_the_quarantine_table_with_its_reason(
    tree: tuple[Path, dict[str, str]], imported: Path
) -> None:
    found = quarantine(imported)
    wrong = {path: reason for path, reason in tree[1].items() if path not in found}
    assert wrong == {}
    for path, reason in found.items():
        assert reason.startswith(tree[1][path]), (path, reason)


def test_every_good_file_is_a_row_with_its_bytes(
    imported: Path,
) -> None:
    rows = table(imported).select(["source_path", "midi", "midi_sha256", "sample_id"]).to_pylist()
    good = {f"good-{seed}.mid" for seed in range(1, 12)} | {
        *("copy.mid", "演奏/глубоко/ñandú.MIDI", "latin-\\xe9.mid", "unended.mid", "riff.rmi"),
        *("tempos.mid", "type2-one.mid"),
    }
    assert {row["source_path"] for row in rows} == good
    for row in rows:
        assert row["midi"].startswith(b"MThd")
        assert row["midi_sha256"] == hashlib.sha256(row["midi"]).hexdigest()
        assert row["midi_sha256"].startswith(row["sample_id"])
        if row["source_path"].isascii() and row["source_path"].endswith("d-1.mid"):
            assert row["midi"] == song(1)
    by_path = {row["source_path"]: row["midi"] for row in rows}
    assert by_path["riff.rmi"] == song(102)
    assert by_path["演奏/глубоко/ñandú.MIDI"] == song(100)


def test_rows_say_what_is_in_the_file(imported: Path) -> None:
    rows = {row["source_path"]: row for row in table(imported).to_pylist()}
    good = rows["good-1.mid"]
    assert (good["num_notes"], good["num_tracks"], good["midi_type"]) == (16, 2, 1)
    assert good["has_drums"]
    assert good["has_pedals"]
    assert good["programs"] == good["program_changes"]["program"]
    assert good["tempo_bpm"] == 120
    assert good["time_signatures"] == {"tick": [0], "numerator": [3], "denominator": [4]}
    assert good["pedals"] == {
        **{"track": [0], "channel": [1], "controller": [64], "value": [127], "tick": [10]}
    }
    assert len(good["notes"]["pitch"]) == 16
    unended = rows["unended.mid"]
    assert unended["num_unended_notes"] == 1
    assert unended["notes"]["is_ended"] == [True, False]
    assert not unended["tokens_exact"]
    assert rows["tempos.mid"]["num_tempos"] == 5000
    assert rows["tempos.mid"]["track_names"] == ["", ""]


def test_tokens_give_the_file_back(imported: Path) -> None:
    tokenizer = load_tokenizer(imported / "tokenizers" / "tokens.json")
    for row in table(imported).to_pylist():
        assert row["tokens"] == tokenizer.encode(row["midi"]).tolist()
        assert row["tokens_exact"] == (row["source_path"] != "unended.mid")


def test_datasets_reads_it_and_the_card_and_validate_know_it(
    imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_dataset(str(imported), "labels_only", split="train", cache_dir=str(tmp_path))
    assert "midi" not in loaded.features
    assert loaded.num_rows == sum(
        pq.read_metadata(path).num_rows for path in (imported / "midi_only").glob("train-*")
    )
    assert (imported / "README.md").is_file()
    assert cli.main(["validate", str(imported), "--all"]) == 0
    told = capsys.readouterr().out
    assert "import" in told
    assert "finding" not in told


def test_validate_finds_a_changed_event(imported: Path, tmp_path: Path) -> None:
    out = copy(imported, tmp_path / "out", "midi_only")
    path = shard(out, "midi_only")
    whole = pq.read_table(path)
    cells = whole.to_pylist()
    cells[0]["notes"]["velocity"][0] ^= 1
    rewrite(path, pa.Table.from_pylist(cells, schema=whole.schema))
    record(out)
    findings = validate(out).findings
    assert [(each.check, each.message) for each in findings] == [
        ("import", "notes is not what the MIDI says")
    ]


def test_the_same_bytes_for_any_number_of_workers_and_nothing_to_do_the_second_time(
    tree: tuple[Path, dict[str, str]], imported: Path, tmp_path: Path
) -> None:
    words = ["import", "midi", str(tree[0]), str(tmp_path / "out"), "--tokens", "grid,ms"]
    assert cli.main([*words, "--workers", "2"]) == 0
    before = digests(tmp_path / "out")
    assert before == {
        path: digest for path, digest in digests(imported).items() if not path.startswith(".sousa")
    }
    assert cli.main([*words, "--workers", "1"]) == 0
    assert digests(tmp_path / "out") == before
    (path,) = (tmp_path / "out" / "midi_only").glob("train-*")
    path.write_bytes(path.read_bytes()[:-9])
    assert cli.main([*words, "--workers", "1"]) == 0  # mends what is damaged
    assert digests(tmp_path / "out") == before


def test_killed_and_run_again_it_is_as_if_nothing_had_happened(
    tree: tuple[Path, dict[str, str]], imported: Path, tmp_path: Path
) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    words = [sys.executable, str(tmp_path / "child.py"), str(tree[0]), str(tmp_path / "out")]
    for place in ("17", "45"):
        killed = subprocess.run([*words, place], start_new_session=True, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert not (tmp_path / "out" / "manifest.json").exists()
    subprocess.run([*words, "1000000"], check=True)
    found, expected = digests(tmp_path / "out"), digests(imported)
    assert found == {path: expected[path] for path in expected if path in found}
    described = {"README.md", "croissant.json", "card/notes.svg"}
    assert expected.keys() - found.keys() <= {*described, ".sousa/judged-good"}


def test_splits_by_folder_and_equal_files_in_one_split_only(tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    files = {"train/a": 1, "train/b": 2, "Val/c": 3, "test/d": 4, "test/same": 1, "other/e": 5}
    for path, seed in {**files, "train/copy": 2, "top": 6}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{path}.mid").write_bytes(song(seed))
    options = ["--split-by", "folder", "--keep-duplicates", "--tokens", "", "--workers", "1"]
    assert cli.main(["import", "midi", str(root), str(out), *options]) == 0
    found = {
        path.name.partition("-")[0]: sorted(pq.read_table(path)["source_path"].to_pylist())
        for path in (out / "labels_only").iterdir()
    }
    assert found == {
        "train": ["train/b.mid", "train/copy.mid"],
        "validation": ["Val/c.mid"],
        "test": ["test/d.mid", "test/same.mid"],
    }
    reasons = quarantine(out)
    assert reasons["train/a.mid"] == "duplicate: the same bytes as test/same.mid"
    assert reasons["other/e.mid"].startswith("in no folder of a split (train, validation, ")
    assert reasons.keys() == {"train/a.mid", "other/e.mid", "top.mid"}
    ids = table(out)["sample_id"].to_pylist()
    assert len(set(ids)) == len(ids)


def test_nothing_kept_is_an_error_that_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    assert cli.main(["import", "midi", str(root), str(out)]) == 1
    assert "there is no MIDI file in the folder" in capsys.readouterr().err
    (root / "a.mid").write_bytes(b"nothing")
    assert cli.main(["import", "midi", str(root), str(out)]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("sousa import: none of 1 files can be imported; ")
    assert told.endswith(
        "such as 'a.mid': not a MIDI file: begins with b'noth', must begin with b'MThd'"
    )
    assert quarantine(out) == {
        "a.mid": "not a MIDI file: begins with b'noth', must begin with b'MThd'"
    }
    (root / "b.mid").write_bytes(song(1))
    words = ["import", "midi", str(root), str(out), "--workers", "1"]
    assert cli.main([*words, "--min-notes", "1000"]) == 1
    assert cli.main(words) == 0  # corrected, it needs no more
    assert quarantine(out).keys() == {"a.mid"}
    (root / "c.mid").write_bytes(song(2))
    capsys.readouterr()
    assert cli.main(words) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert "holds the dataset of another plan (" in told
    assert not re.search(r"[0-9a-f]{20}", told)


def test_links_out_of_the_tree_are_not_followed(tmp_path: Path) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    for folder in (root / "sub", other):
        folder.mkdir(parents=True)
    for path, seed in {root / "sub" / "a.mid": 1, other / "b.mid": 2, root / "data": 3}.items():
        path.write_bytes(song(seed))
    links = {
        "all": other,
        "b.mid": other / "b.mid",
        "c.mid": root / "data",
        "d": root / "sub",
        "e": root,
        "loop": root / "loop",
        "text.txt": other / "b.mid",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    (root / "sub" / "up").symlink_to("..")
    there = "link out of the folder, not followed"
    inside = "link to a folder whose files are listed without it"
    assert {each.name: each.reason for each in listing(root, tmp_path / "out")} == {
        "all": there,
        "b.mid": there,
        "c.mid": "",
        "d": inside,
        "e": inside,
        "loop": "unreadable: Too many levels of symbolic links",
        "sub/a.mid": "",
        "sub/up": inside,
    }
    (tmp_path / "root link").symlink_to(root)
    assert list(listing(tmp_path / "root link", root)) == []
    again = list(listing(tmp_path / "root link", tmp_path / "out"))
    assert again == list(listing(root, tmp_path / "out"))


@given(st.binary(min_size=1, max_size=12).filter(lambda name: not {0, 47} & set(name)))
def test_a_name_can_be_told_from_how_it_is_shown(name: bytes) -> None:
    shown = Listed(os.fsdecode(name)).name.encode()
    back = re.sub(
        rb"\\(?:x([0-9a-f]{2})|\\)",
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\",
        shown,
    )
    assert back == name


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--split", "1.5"], 2, "must be one to three shares in [0, 1] that sum to 1 or less"),
        (["--split", "0.5,0.4,0.2"], 2, "must be one to three shares"),
        (["--split", "0.9", "--split-by", "folder"], 2, "not allowed with argument --split"),
        (["--min-notes", "3", "--max-notes", "2"], 2, "--min-notes 3 is above --max-notes 2"),
        (["--tokens", "gird"], 2, "did you mean grid?"),
        (["--tokens", "grid+hands"], 2, "--tokens grid+hands needs labelled strokes"),
        (["--workers", "0"], 2, "--workers must be at least 1, got 0"),
        (["--max-read-sec", "0"], 2, "--max-read-sec must be at least 0.1, got 0"),
        ([], 1, "No such file or directory: "),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = str(tmp_path / "none"), str(tmp_path / "out")
    assert cli.main(["import", "midi", source, out, *words]) == code
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_the_tree_cannot_be_the_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mid").write_bytes(song(1))
    words = ["import", "midi", str(tmp_path), str(tmp_path / "." / "")]
    assert cli.main([*words, "--overwrite"]) == 2
    assert "OUT must be another folder than DIR" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.mid"]


def test_a_file_that_ends_the_process_which_makes_tokens_is_a_row_without_them(
    tmp_path: Path,
) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    for seed in range(5):
        (root / f"{seed}.mid").write_bytes(song(seed))

    def plan(files: int, digest: str) -> ImportPlan:
        deadly = {"tokens": DeadlyTokenizer(song(3))}
        return ImportPlan(
            files=files,
            listing_sha256=digest,
            tokenizers=deadly,  # type: ignore[arg-type]
            shares=(1, 0, 0),
        )

    assert import_midi(root, out, plan).rows == {"train": 5}
    rows = {row["source_path"]: row for row in table(out).to_pylist()}
    assert {name for name, row in rows.items() if row["tokens"] is None} == {"3.mid"}
    assert {name for name, row in rows.items() if not row["tokens_exact"]} == {"3.mid"}
    assert rows["3.mid"]["num_notes"] == 16


def test_a_file_that_changes_meanwhile_is_no_row(tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    (root / "a.mid").write_bytes(song(1))

    def progress(unit: str, total: int) -> object:
        if unit == "rows":
            (root / "a.mid").write_bytes(song(2))
        return lambda _: total

    def plan(files: int, digest: str) -> ImportPlan:
        return ImportPlan(files=files, listing_sha256=digest)

    with pytest.raises(OSError, match=r"a\.mid was changed while it was imported"):
        import_midi(root, out, plan, progress=progress)  # type: ignore[arg-type]


def test_the_folder_of_the_dataset_may_lie_in_the_tree(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(song(1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.mid").write_bytes(song(2))
    (tmp_path / "link").symlink_to(tmp_path / "out")
    assert [each.path for each in listing(tmp_path, tmp_path / "out")] == ["a.mid"]


FILES = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), st.integers(0, 2)), max_size=40)


@given(FILES, st.booleans(), st.booleans(), st.integers(0, 3))
def test_equal_files_never_lie_in_two_splits_and_no_file_is_lost(
    files: list[tuple[int, int, int]], by_folder: bool, keep: bool, seed: int
) -> None:
    """Files are (what they play, how it is written, the folder's split)."""
    names = [hashlib.sha256(bytes([play])).digest() for play, _, _ in files]
    contents = [hashlib.sha256(bytes(file[:2])).digest() for file in files]
    readable = Readable(
        np.arange(len(files)) * 3,
        np.frombuffer(b"".join(contents), "V32"),
        np.frombuffer(b"".join(names), "V32"),
        np.full(len(files), 5_000_000),
        np.array([split if by_folder else -1 for _, _, split in files], np.int64),
    )
    plan = ImportPlan(
        files=len(files),
        listing_sha256="",
        shares=None if by_folder else shares("0.5"),
        seed=seed,
        keep_duplicates=keep,
    )
    kept, left_out = duplicates(readable, plan)
    shards = list(placed(kept, plan))
    lines = [line for each in shards for line in each.lines]
    assert sorted(lines + [each.line for each in left_out]) == [3 * n for n in range(len(files))]
    splits: dict[bytes, set[str]] = {}
    for placed_ in shards:
        assert len(placed_.lines) == len(placed_.ids) == placed_.shard.rows > 0
        for line in placed_.lines:
            splits.setdefault(names[line // 3], set()).add(placed_.shard.split)
    assert all(len(found) == 1 for found in splits.values())
    ids = [id_ for each in shards for id_ in each.ids]
    assert len(set(ids)) == len(ids)
    for each in left_out:
        assert names[each.line // 3] == names[each.of // 3]
        assert each.of in lines
    if not keep:
        assert len(lines) == len(set(names))
    if not by_folder and len(splits) >= len(SPLITS):
        assert set.union(*splits.values()) == set(SPLITS)
    counted = Counter(each.shard.split for each in shards)
    assert all(each.shard.count == counted[each.shard.split] for each in shards)
