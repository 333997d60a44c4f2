"""Token columns come and go; all else in a folder stays as it is."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from midi_corpus import UNENDED, song
from test_import_midi import digests

from sousa.builders import cli
from sousa.builders.build import build
from sousa.builders.plan import Plan
from sousa.builders.tokens import load_tokenizer, parse_tokenizers
from sousa.builders.validate import validate

PLAN = {"players": 12, "rudiments": ("flam",), "seed": 3}

CHILD = """
import os, signal, sys
from pathlib import Path
from sousa.builders.tokenize import tokenize
from sousa.builders.tokens import parse_tokenizers
def progress(total, done=[0]):
    def tell(count):
        done[0] += count
        if done[0] >= int(sys.argv[2]):
            os.killpg(0, signal.SIGKILL)
    return tell
if __name__ == "__main__":
    tokenize(Path(sys.argv[1]), parse_tokenizers(["ms"]), progress=progress)
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built folder with `grid` tokens and all configs."""
    out = tmp_path_factory.mktemp("plain") / "out"
    build(Plan(**PLAN, tokens=("grid",)), out, engine="serial")
    return out


@pytest.fixture(scope="module")
def more(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder with `ms` tokens as well."""
    out = tmp_path_factory.mktemp("more") / "out"
    shutil.copytree(plain, out, copy_function=os.link)
    assert cli.main(["tokenize", str(out), "--tokens", "ms", "--workers", "2"]) == 0
    return out


@pytest.fixture
def folder(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "folder", copy_function=os.link))


def shards(out: Path) -> dict[str, str]:
    return {path: digest for path, digest in digests(out).items() if path.endswith(".parquet")}


def test_what_comes_out_is_what_a_build_with_those_tokens_gives(
    more: Path, plain: Path, tmp_path: Path
) -> None:
    build(Plan(**PLAN, tokens=("grid", "ms")), tmp_path / "built", engine="serial")
    expected = digests(tmp_path / "built")
    found = digests(more)
    assert {path: found[path] for path in expected} == expected
    assert {path.partition("/")[0] for path in found.keys() - expected.keys()} <= {
        *("README.md", "croissant.json", "card")
    }
    assert validate(plain).findings == []  # the links of the copy were not written through
    assert "tokens_ms" in (more / "README.md").read_text()
    assert validate(more).findings == []


def test_other_columns_keep_values_row_groups_and_encodings(folder: Path, plain: Path) -> None:
    assert cli.main(["tokenize", str(folder), "--tokens", "ms,grid", "--workers", "1"]) == 0
    for path in shards(plain):
        with pq.ParquetFile(plain / path) as old, pq.ParquetFile(folder / path) as new:
            assert new.metadata.num_row_groups == old.metadata.num_row_groups
            names = [name for name in old.schema_arrow.names if not name.startswith("tokens")]
            for group in range(old.metadata.num_row_groups):
                table = new.read_row_group(group, columns=names)
                assert table.equals(old.read_row_group(group, columns=names))
                assert new.metadata.row_group(group).num_rows == table.num_rows
            if "audio" in names:
                last = new.metadata.row_group(0).num_columns - 1
                for place in (last - 1, last):
                    column = new.metadata.row_group(0).column(place)
                    assert column.path_in_schema in ("audio.bytes", "audio.path")
                    assert column.compression == "UNCOMPRESSED"
    labels = {path for path in shards(plain) if path.startswith("labels_only")}
    assert all(shards(folder)[path] == shards(plain)[path] for path in labels)


def test_an_imported_folder_gets_tokens_too(tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    for seed in range(6):
        (root / f"{seed}.mid").write_bytes(song(seed))
    (root / "unended.mid").write_bytes(UNENDED)
    words = ["import", "midi", str(root), str(out), "--workers", "1", "--split", "1"]
    assert cli.main([*words, "--tokens", "ms"]) == 0
    assert cli.main(["tokenize", str(out), "--tokens", "grid", "--workers", "1"]) == 0
    both = tmp_path / "both"
    assert cli.main([*words[:3], str(both), *words[4:], "--tokens", "grid,ms"]) == 0
    assert digests(out) == digests(both)
    rows = pq.read_table(next((out / "midi_only").iterdir())).to_pylist()
    tokenizer = load_tokenizer(out / "tokenizers" / "tokens.json")
    assert [row["tokens"] for row in rows] == [tokenizer.encode(r["midi"]).tolist() for r in rows]
    assert sum(not row["tokens_exact"] for row in rows) == 1
    assert validate(out).findings == []


def test_sticking_tokens_need_strokes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["tokenize", str(folder), "--tokens", "grid+hands", "--workers", "1"]) == 0
    row = pq.read_table(next((folder / "midi_only").glob("train-*"))).slice(0, 1).to_pylist()[0]
    tokenizer = parse_tokenizers(["grid+hands"])["tokens_hands"]
    assert row["tokens_hands"] == tokenizer.encode(row["midi"], row["strokes"]).tolist()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.mid").write_bytes(song(1))
    out = tmp_path / "out"
    assert cli.main(["import", "midi", str(tmp_path / "root"), str(out), "--workers", "1"]) == 0
    capsys.readouterr()
    assert cli.main(["tokenize", str(out), "--tokens", "grid+hands"]) == 1
    told = capsys.readouterr().err
    assert told == f"sousa tokenize: grid+hands needs the column `strokes`, which {out} lacks\n"


def test_killed_and_run_again_it_is_as_if_nothing_had_happened(
    folder: Path, plain: Path, more: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    words = [sys.executable, str(tmp_path / "child.py"), str(folder)]
    killed = subprocess.run([*words, "7"], start_new_session=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert shards(folder) != shards(plain)
    assert json.loads((folder / "manifest.json").read_text())["plan"]["tokens"] == ["grid"]
    assert cli.main(["tokenize", str(folder), "--tokens", "grid"]) == 1
    assert "has not finished the columns tokens_ms; run that command" in capsys.readouterr().err
    subprocess.run([*words, "1000000"], check=True)
    found, expected = digests(folder), digests(more)
    assert found == {path: expected[path] for path in found}
    assert shards(folder) == shards(more)


def test_what_is_no_finished_dataset_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*words: str, code: int) -> str:
        assert cli.main(["tokenize", *words]) == code
        return capsys.readouterr().err

    assert "no finished dataset: it has no manifest.json" in told(
        str(tmp_path / "none"), "--tokens", "ms", code=1
    )
    assert "did you mean ms?" in told(str(folder), "--tokens", "mss", code=2)
    assert "--tokens must name at least one" in told(str(folder), "--tokens", ",", code=2)
    assert "must name grid once, got 'grid' again" in told(
        str(folder), "--tokens", "grid,grid", code=2
    )
    assert "the name of a folder is needed" in told("", "--tokens", "grid", code=2)
    (path,) = (folder / "audio").glob("test-*")
    path.unlink()
    path.write_bytes(b"PAR1")
    assert f"{path}: " in told(str(folder), "--tokens", "ms", code=1)
    (folder / "manifest.json").unlink()
    hostile = {"plan": {}, "shards": [{"path": "../train-00000-of-00001.parquet", "rows": 1}]}
    (folder / "manifest.json").write_text(json.dumps(hostile))
    assert "'../train-00000-of-00001.parquet' is no shard of the folder" in told(
        str(folder), "--tokens", "ms", code=1
    )
    (folder / "manifest.json").write_text("[]")
    assert "must hold `plan` and `shards`" in told(str(folder), "--tokens", "ms", code=1)
