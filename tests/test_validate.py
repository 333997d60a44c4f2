"""A good folder has no findings; each kind of damage is found by its own check."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import damage
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import Row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sousa.builders.findings import Finding
from sousa.builders.validate import CHECKS, num_rows, validate


@pytest.fixture
def labels(built: Path, tmp_path: Path) -> Path:
    return damage.copy(built, tmp_path / "labels", "midi_only", "labels_only")


def findings(folder: Path) -> list[Finding]:
    return validate(folder).findings


def checks(folder: Path) -> set[str]:
    return {finding.check for finding in findings(folder)}


def test_a_built_folder_has_no_findings_and_every_check_looked_at_something(built: Path):
    report = validate(built, every=True)
    assert report.findings == []
    assert [outcome.check for outcome in report.outcomes] == list(CHECKS)
    assert all(outcome.examined for outcome in report.outcomes)
    assert len(list(report.lines())) == len(CHECKS)


def test_progress_tells_of_every_row_once(built: Path):
    told: list[int] = []
    validate(built, progress=told.append)
    assert sum(told) == num_rows(built) == 48 * 5


def test_a_sample_looks_at_fewer_rows_but_at_all_labels(built: Path, tmp_path: Path):
    folder = damage.copy(built, tmp_path / "groups", "audio")
    for path in folder.glob("audio/*.parquet"):
        damage.rewrite(path, pq.read_table(path), row_group_size=2)
    damage.record(folder)
    examined = {o.check: o.examined for o in validate(folder, sample=12).outcomes}
    assert examined["strokes"] == examined["midi"] == 48
    assert 12 <= examined["onsets"] == examined["scores"] < 24


def test_no_folder_is_refused(tmp_path: Path):
    with pytest.raises(NotADirectoryError, match=r"expected a folder .*, got .*nowhere"):
        validate(tmp_path / "nowhere")


def test_a_report_shows_the_first_findings_and_how_many_more(labels: Path):
    for row in range(4):
        damage.change_row(labels, lambda cells: cells.update(tempo_bpm=-1.0), row)
    lines = list(validate(labels).lines(most=3))
    at = next(i for i, line in enumerate(lines) if line.startswith("values"))
    assert lines[at].endswith("4 findings")
    assert "row 0" in lines[at + 1]
    assert lines[at + 4].strip() == "... and 1 more"


def test_rows_that_differ_between_configs_are_found(labels: Path):
    def change(cells: Row) -> None:
        if "midi" in cells:
            raise KeyError
        cells["kit"] = "another"

    where = damage.change_row(labels, change)
    assert [(f.check, f.where) for f in findings(labels)] == [("configs", where)]


def test_configs_of_different_length_are_found(labels: Path):
    path = damage.shard(labels, "labels_only")
    damage.rewrite(path, pq.read_table(path).slice(1))
    damage.record(labels)
    assert [(f.check, f.where) for f in findings(labels)] == [("configs", "labels_only/train")]


def test_an_id_that_occurs_twice_is_found_at_both_rows(labels: Path):
    first = pq.read_table(damage.shard(labels, "midi_only"))["sample_id"][0].as_py()
    damage.change_row(labels, lambda cells: cells.update(sample_id=first))
    places = [finding.where for finding in findings(labels) if finding.check == "ids"]
    assert [place.split(" (")[0].rsplit(" ", 1)[1] for place in places] == ["0", "3"]


def test_a_player_in_two_splits_is_found(labels: Path):
    player = pq.read_table(damage.shard(labels, "midi_only", "test"))["profile_id"][0].as_py()
    damage.change_row(labels, lambda cells: cells.update(profile_id=player))
    messages = [finding.message for finding in findings(labels) if finding.check == "splits"]
    assert f"player {player} is in both splits" in messages
    assert f"lacks player {player}, who has rows in this split" in messages


def test_a_performance_in_two_splits_is_found(labels: Path):
    path = damage.shard(labels, "midi_only", "test")
    group = pq.read_table(path)["augmentation_group_id"][0].as_py()
    damage.change_row(labels, lambda cells: cells.update(augmentation_group_id=group))
    assert checks(labels) == {"groups"}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"train_profile_ids": []}', b"\xff"])
def test_splits_that_are_not_listed_are_found(labels: Path, content: bytes):
    damage.replace(labels / "splits.json", content)
    assert checks(labels) == {"splits"}


def first_entry(**fields: object) -> Callable[[Path], None]:
    """Change the manifest's first shard."""

    def change(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["shards"][0] |= fields
        damage.replace(folder / "manifest.json", json.dumps(manifest).encode())

    return change


def content(path: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: damage.replace(folder / path, content)


def flip_a_byte(folder: Path) -> None:
    path = damage.shard(folder, "midi_only")
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1
    damage.replace(path, bytes(damaged))


def rename(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / old).rename(folder / new)
        damage.record(folder)

    return change


def truncate(folder: Path) -> None:
    path = damage.shard(folder, "midi_only")
    damage.replace(path, path.read_bytes()[:-200])


def empty(folder: Path) -> None:
    for config in ("midi_only", "labels_only"):
        path = damage.shard(folder, config, "test")
        damage.rewrite(path, pq.read_table(path).slice(0, 0))
    damage.record(folder)


def columns(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    """Change the table of one shard of labels."""

    def change_shard(folder: Path) -> None:
        path = damage.shard(folder, "labels_only")
        damage.rewrite(path, change(pq.read_table(path)))
        damage.record(folder)

    return change_shard


TRAIN = "labels_only/train-00000-of-00001.parquet"
FOLDER_DAMAGE = {
    "no manifest": ("manifest", lambda folder: (folder / "manifest.json").unlink()),
    "a manifest that is no JSON": ("manifest", content("manifest.json", b"{")),
    "a manifest without shards": ("manifest", content("manifest.json", b'{"shards": 3}')),
    "another size": ("manifest", first_entry(bytes=1)),
    "another hash": ("manifest", first_entry(sha256="0" * 64)),
    "another number of rows": ("manifest", first_entry(rows=1)),
    "a path out of the folder": ("manifest", first_entry(path="../secret")),
    "an absolute path": ("manifest", first_entry(path="/etc/passwd")),
    "a file listed twice": ("manifest", first_entry(path=TRAIN)),
    "a missing file": ("manifest", lambda folder: (folder / TRAIN).unlink()),
    "a file too many": ("manifest", content("labels_only/notes.txt", b"")),
    "one changed byte": ("manifest", flip_a_byte),
    "a name of another kind": ("files", rename(TRAIN, "labels_only/train.parquet")),
    "a split of another name": ("files", rename(TRAIN, "labels_only/dev-00000-of-00001.parquet")),
    "a shard of two": ("files", rename(TRAIN, "labels_only/train-00000-of-00002.parquet")),
    "a truncated file": ("files", truncate),
    "no Parquet": ("files", content(TRAIN, b"PAR1 but not really PAR1")),
    "an empty file": ("files", content(TRAIN, b"")),
    "a split without rows": ("files", empty),
    "no configs": (
        "files",
        lambda folder: [shutil.rmtree(folder / c) for c in ("midi_only", "labels_only")],
    ),
    "a missing column": ("schema", columns(lambda table: table.drop_columns(["kit"]))),
    "an undeclared column": (
        "schema",
        columns(lambda table: table.append_column("x", table["kit"])),
    ),
    "a column of another type": (
        "schema",
        columns(lambda t: t.set_column(7, "tempo_bpm", t["tempo_bpm"].cast("float64"))),
    ),
    "another order of columns": ("schema", columns(lambda t: t.select(t.column_names[::-1]))),
    "no features": ("schema", columns(lambda table: table.replace_schema_metadata())),
    "other class names": (
        "schema",
        columns(
            lambda table: table.replace_schema_metadata(
                {k: v.replace(b"beginner", b"novice") for k, v in table.schema.metadata.items()}
            )
        ),
    ),
    "a changed tokenizer": ("tokens", content("tokenizers/tokens.json", b'{"type": "grid"}')),
}


@pytest.mark.parametrize("damaged", FOLDER_DAMAGE)
def test_a_wrong_folder_is_found(labels: Path, damaged: str):
    check, change = FOLDER_DAMAGE[damaged]
    change(labels)
    assert check in checks(labels)


def test_a_missing_token_file_makes_its_column_undeclared(labels: Path):
    (labels / "tokenizers" / "tokens_ms.json").unlink()
    messages = {finding.message for finding in findings(labels)}
    assert messages == {"has undeclared columns tokens_ms"}


@pytest.mark.parametrize("rows", [1, 10_000])
def test_row_groups_of_the_wrong_size_are_found(built: Path, tmp_path: Path, rows: int):
    """Groups of one clip are below 10 MB; all clips thirty times over in one are above 40 MB."""
    folder = damage.copy(built, tmp_path / "groups", "audio")
    path = damage.shard(folder, "audio", "test")
    table = pq.read_table(path)
    damage.rewrite(
        path,
        pa.concat_tables([table] * (1 if rows == 1 else 30)),
        row_group_size=rows,
        compression="none",
        use_dictionary=False,
    )
    damage.record(folder)
    report = validate(folder, sample=1)
    found = [f for f in report.findings if f.check == "row_groups"]
    assert found[0].where == f"audio/{path.name} row group 0"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_torn_is_a_finding_and_never_an_error(labels: Path, data: st.DataObject):
    """Cut a shard short, or overwrite any piece of it."""
    path = damage.shard(labels, "midi_only")
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=40))
    torn = whole[:at] if data.draw(st.booleans()) else whole[:at] + junk + whole[at + len(junk) :]
    damage.replace(path, torn)
    assert (validate(labels).findings != []) == (torn != whole)
    damage.replace(path, whole)
