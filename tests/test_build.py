"""One build is one result: whoever builds it, and however often it is killed."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sousa.builders.build import build, render
from sousa.builders.claim import claimed
from sousa.builders.plan import Plan
from sousa.builders.schema import CONFIGS

PLAN = Plan(players=12, rudiments=("flam", "five_stroke_roll"), seed=3)
OTHER = Plan(players=12, rudiments=("flam", "five_stroke_roll"), seed=4)

CHILD = """
import os, signal, sys
from pathlib import Path
from sousa.builders.build import build
from sousa.builders.plan import Plan
def progress(count, done=[0]):
    done[0] += count
    print(done[0], flush=True)
    if done[0] >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    plan = Plan(players=12, rudiments=("flam", "five_stroke_roll"), seed=3)
    build(plan, Path(sys.argv[1]), engine=sys.argv[2], workers=2, progress=progress)
"""


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("reference") / "out"
    build(PLAN, out, engine="serial")
    return digests(out)


@pytest.mark.parametrize(("engine", "workers"), [("processes", 2), ("processes", 3)])
def test_the_same_bytes_for_any_number_of_workers(
    engine: str, workers: int, reference: dict[str, str], tmp_path: Path
) -> None:
    build(PLAN, tmp_path / "out", engine=engine, workers=workers)
    assert digests(tmp_path / "out") == reference


def test_the_manifest_names_every_shard_as_it_is(reference: dict[str, str], tmp_path: Path) -> None:
    build(PLAN, tmp_path, engine="serial")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    shards = {file["path"]: file for file in manifest["shards"]}
    assert set(shards) == {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.parquet")}
    for path, file in shards.items():
        assert file["sha256"] == reference[path]
        assert file["bytes"] == (tmp_path / path).stat().st_size
        assert file["rows"] == pq.read_metadata(tmp_path / path).num_rows
    assert manifest["plan"]["seed"] == 3
    stored = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("tokenizers/*")}
    assert manifest["tokenizers"] == {column: each["hash"] for column, each in stored.items()}
    assert stored
    assert not (tmp_path / ".sousa").exists()


@pytest.mark.parametrize(
    ("engine", "clips"), [("serial", 1), ("serial", 9), ("serial", 20), ("processes", 10)]
)
def test_killed_and_run_again_it_is_as_if_nothing_had_happened(
    engine: str, clips: int, reference: dict[str, str], tmp_path: Path
) -> None:
    """SIGKILL after so many clips: what is visible is whole, finished shards are kept."""
    command = [sys.executable, "-c", CHILD, str(tmp_path), engine, str(clips)]
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    visible = [p for p in tmp_path.rglob("*.parquet") if ".sousa" not in p.parts]
    for path in visible:
        assert (
            digests(tmp_path)[str(path.relative_to(tmp_path))]
            == reference[str(path.relative_to(tmp_path))]
        )
    assert not (tmp_path / "manifest.json").exists()
    recorded = [json.loads(p.read_text()) for p in (tmp_path / ".sousa").glob("*-of-*.json")]
    finished = {tmp_path / file["path"]: None for record in recorded for file in record}
    before = {path: path.stat().st_mtime_ns for path in finished}
    build(PLAN, tmp_path, engine="serial")
    assert digests(tmp_path) == reference
    assert {path: path.stat().st_mtime_ns for path in finished} == before


def test_a_shard_that_was_damaged_meanwhile_is_made_again(
    reference: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path), "serial", "17"]
    subprocess.run(command, capture_output=True, check=False)
    path = next(p for p in tmp_path.glob("*/*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    build(PLAN, tmp_path, engine="serial")
    assert digests(tmp_path) == reference


def test_interrupted_it_stops_and_leaves_no_process(tmp_path: Path) -> None:
    """Its output ends when the last process that could write to it is gone: within two seconds."""
    command = [sys.executable, "-c", CHILD, str(tmp_path), "processes", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # workers are at work
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=2)
        assert process.returncode != 0


def lose_a_shard(out: Path) -> None:
    next((out / "audio").glob("train-*")).unlink()


def lose_a_config(out: Path) -> None:
    shutil.rmtree(out / "midi_only")


def lose_small_files(out: Path) -> None:
    (out / "splits.json").unlink()
    shutil.rmtree(out / "tokenizers")


def cut_a_shard(out: Path) -> None:
    path = next((out / "audio_16k").glob("test-*"))
    path.write_bytes(path.read_bytes()[:1000])


def flip_a_bit(out: Path) -> None:
    path = next((out / "labels_only").glob("test-*"))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm", [lose_a_shard, lose_a_config, lose_small_files, cut_a_shard, flip_a_bit]
)
def test_a_finished_dataset_that_was_damaged_is_mended(
    harm: Callable[[Path], None], reference: dict[str, str], tmp_path: Path
) -> None:
    build(PLAN, tmp_path, engine="serial")
    harm(tmp_path)
    assert digests(tmp_path) != reference
    build(PLAN, tmp_path, engine="serial")
    assert digests(tmp_path) == reference


@pytest.mark.parametrize("damage", [b"", b"{", b"[{}]", b"[[]]", b"\xff", b"[" * 100_000])
def test_a_damaged_record_only_costs_its_shard(
    damage: bytes, reference: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path), "serial", "17"]
    subprocess.run(command, capture_output=True, check=False)
    next((tmp_path / ".sousa").glob("*.shard.json")).write_bytes(damage)
    build(PLAN, tmp_path, engine="serial")
    assert digests(tmp_path) == reference


@pytest.mark.parametrize("manifest", [b"[]", b"3", b"\xff", b"[" * 100_000])
def test_a_hostile_manifest_is_no_dataset_of_ours(manifest: bytes, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest)
    with pytest.raises(FileExistsError, match=r"neither empty nor .*'manifest\.json'"):
        build(PLAN, tmp_path, engine="serial")


def test_nobody_builds_where_another_does_not_even_to_overwrite(tmp_path: Path) -> None:
    with claimed(tmp_path, {"plan": "another"}, overwrite=False) as state:
        (state / "flam.parquet.7").write_bytes(b"half")
        for overwrite in (False, True):
            with pytest.raises((BlockingIOError, FileExistsError)):
                build(PLAN, tmp_path, engine="serial", overwrite=overwrite)
        assert {path.name for path in state.iterdir()} == {"lock", "plan.json", "flam.parquet.7"}


def test_the_card_is_written_before_the_dataset_counts_as_finished(tmp_path: Path) -> None:
    seen: list[bool] = []

    def describe(out: Path) -> None:
        seen.append((out / "manifest.json").exists() and (out / ".sousa").exists())

    build(PLAN, tmp_path, engine="serial", describe=describe)
    assert seen == [True]
    assert not (tmp_path / ".sousa").exists()


def test_building_again_does_nothing(tmp_path: Path) -> None:
    build(PLAN, tmp_path, engine="serial")
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    told: list[int] = []
    build(PLAN, tmp_path, engine="serial", progress=told.append)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == stamps
    assert sum(told) == PLAN.num_clips


def test_another_plan_is_never_mixed_in(reference: dict[str, str], tmp_path: Path) -> None:
    build(PLAN, tmp_path, engine="serial")
    with pytest.raises(FileExistsError, match=r"another plan \(seed: 3 there, 4 asked\)"):
        build(OTHER, tmp_path, engine="serial")
    assert digests(tmp_path) == reference


def test_nor_into_a_folder_with_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"neither empty nor .*'thesis\.tex'"):
        build(PLAN, tmp_path, engine="serial")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_overwrite_replaces_the_dataset_and_nothing_else(
    reference: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "mine.wav").write_bytes(b"mine")
    build(OTHER, tmp_path, engine="serial", overwrite=True)
    build(PLAN, tmp_path, engine="serial", overwrite=True)
    assert (tmp_path / "audio" / "mine.wav").read_bytes() == b"mine"
    assert {k: v for k, v in digests(tmp_path).items() if k != "audio/mine.wav"} == reference


def test_a_config_is_the_same_whatever_else_is_built(
    reference: dict[str, str], tmp_path: Path
) -> None:
    plan = Plan(players=12, rudiments=PLAN.rudiments, seed=3, configs=("labels_only",))
    build(plan, tmp_path, engine="serial")
    paths = [path for path in reference if path.startswith("labels_only/")]
    assert paths
    assert all(digests(tmp_path)[path] == reference[path] for path in paths)


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """Files may grow to 200 kB only, which the operating system refuses as it does a full disk."""
    program = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        "import sys; from sousa.builders.cli import main; sys.exit(main())"
    )
    options = ["build", str(tmp_path / "out"), "--preset", "tiny", "--rudiments", "flam"]
    done = subprocess.run(
        [sys.executable, "-c", program, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("sousa build: ")
    assert "File too large" in last
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out").rglob("*.parquet*")) == []


def test_render_is_a_pure_function_of_plan_and_shard() -> None:
    shard = PLAN.shards[-1]
    first = [tables["audio"] for tables in render(PLAN, shard, ("audio",))]
    again = [tables["audio"] for tables in render(PLAN, shard, CONFIGS)]
    assert all(a.equals(b) for a, b in zip(first, again, strict=True))
