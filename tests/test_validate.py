"""A good folder has no findings; each kind of damage is found by its own check."""

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import damage
import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import Row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sousa.builders import cli
from sousa.builders import findings as findings_module
from sousa.builders.check_files import check_row_groups
from sousa.builders.check_tables import CHECKS_OF, WHOLE_CHECKS
from sousa.builders.findings import SCREEN_LINES, Finding
from sousa.builders.folder import open_folder
from sousa.builders.kinds import BUILT
from sousa.builders.parts import Judge, Piece
from sousa.builders.validate import num_rows, validate


@pytest.fixture
def labels(built: Path, tmp_path: Path) -> Path:
    return damage.copy(built, tmp_path / "labels", "midi_only", "labels_only")


@pytest.fixture
def scalars(built: Path, tmp_path: Path) -> Path:
    return damage.copy(built, tmp_path / "scalars", "labels_only")


def findings(folder: Path) -> list[Finding]:
    return validate(folder).findings


def checks(folder: Path) -> set[str]:
    return {finding.check for finding in findings(folder)}


def test_a_built_folder_has_no_findings_and_every_check_looked_at_something(built: Path):
    report = validate(built, every=True)
    assert report.findings == []
    assert [outcome.check for outcome in report.outcomes] == list(CHECKS_OF[BUILT].names)
    unseen = {outcome.check for outcome in report.outcomes if not outcome.examined}
    assert unseen == set(WHOLE_CHECKS) - {
        "players",
        "duplicates",
    }  # 48 clips show nothing about a dataset
    unjudged = [outcome.figure for outcome in report.outcomes if outcome.check in unseen]
    assert all(figure.startswith("not judged: ") for figure in unjudged)


def test_progress_tells_of_every_row_once(built: Path):
    told: list[int] = []
    validate(built, progress=told.append)
    assert sum(told) == num_rows(built) == 48 * 4


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


def test_a_report_is_one_screen_with_the_first_findings_of_each_check(labels: Path):
    for row in range(10):
        damage.change_row(labels, lambda cells: cells.update(tempo_bpm=-1.0), row)
    for row in range(10, 15):
        damage.change_row(labels, lambda cells: cells.update(num_strokes=1), row)
    lines = list(validate(labels).lines())
    assert len(lines) <= SCREEN_LINES
    at = next(i for i, line in enumerate(lines) if line.startswith("values"))
    assert lines[at].endswith("10 errors")
    assert "row 0" in lines[at + 1]
    summed = next(i for i, line in enumerate(lines) if line.startswith("summary"))
    assert lines[summed].endswith("5 errors")
    assert "row 10" in lines[summed + 1]
    assert lines[-1] == "wrong: 15 errors, 0 warnings"


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
    changed = damage.change_row(labels, lambda cells: cells.update(profile_id=player))
    found = [finding for finding in findings(labels) if finding.check == "splits"]
    leaks = [each for each in found if each.message == f"player {player} is in both splits"]
    assert str(leaks[0].rows[0]).endswith(changed.partition("/")[2])
    assert [place.file.split("/")[1].split("-")[0] for place in leaks[0].rows] == ["train", "test"]
    assert leaks[0].where == ", ".join(map(str, leaks[0].rows))
    assert all(place.sample_id for place in leaks[0].rows)
    assert f"lacks player {player}, who has rows in this split" in [each.message for each in found]


def test_a_player_of_two_tiers_is_found(labels: Path):
    """From beginner to intermediate and back, which the binary tier does not contradict."""
    tiers = pq.read_table(damage.shard(labels, "midi_only"))["skill_tier"].to_pylist()
    row = next(row for row, tier in enumerate(tiers) if row > 2 and tier < 2)
    where = damage.change_row(labels, lambda cells: cells.update(skill_tier=1 - tiers[row]), row)
    where = where.replace("labels_only", "midi_only")
    found = [finding for finding in findings(labels) if finding.check == "players"]
    assert where in {finding.where for finding in found} or where in found[0].message
    assert all("skill_tier: player " in finding.message for finding in found)


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


def pipe(folder: Path) -> None:
    path = damage.shard(folder, "labels_only")
    path.unlink()
    os.mkfifo(path)


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
    "a path that cannot be": ("manifest", first_entry(path="labels_only/\0")),
    "a file listed twice": ("manifest", first_entry(path=TRAIN)),
    "a missing file": ("manifest", lambda folder: (folder / TRAIN).unlink()),
    "a file too many": ("manifest", content("labels_only/notes.txt", b"")),
    "one changed byte": ("manifest", flip_a_byte),
    "a name of another kind": ("files", rename(TRAIN, "labels_only/train.parquet")),
    "a split of another name": ("files", rename(TRAIN, "labels_only/dev-00000-of-00001.parquet")),
    "a shard of two": ("files", rename(TRAIN, "labels_only/train-00000-of-00002.parquet")),
    "a truncated file": ("files", truncate),
    "no Parquet": ("files", content(TRAIN, b"PAR1 but not really PAR1")),
    "a pipe": ("files", pipe),
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
    where, _ = next(check_row_groups(open_folder(folder)))
    assert where == f"audio/{path.name} row group 0"


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def many_rows(built: Path, out: Path) -> Path:
    """Return a folder of 240 rows in groups of 16, each row five times: full of findings."""
    folder = damage.copy(built, out, "midi_only", "labels_only")
    for path in folder.glob("*/*.parquet"):
        table = pa.concat_tables([pq.read_table(path)] * 5)
        damage.rewrite(path, table, row_group_size=16)
    damage.record(folder)
    return folder


def test_what_is_found_does_not_depend_on_the_workers(built: Path, tmp_path: Path):
    folder = many_rows(built, tmp_path / "many")
    told: list[int] = []
    alone, shared = validate(folder), validate(folder, workers=2, progress=told.append)
    assert alone == shared
    assert {finding.check for finding in alone.findings} == {"ids"}
    assert sum(told) == num_rows(folder) == 480


def test_findings_of_which_there_are_many_are_counted(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(findings_module, "MOST_KEPT", 7)
    report = validate(many_rows(built, tmp_path / "many"))
    (ids,) = (outcome for outcome in report.outcomes if outcome.check == "ids")
    assert ids.errors == 240
    assert len(ids.findings) == 7
    assert len(list(report.lines())) <= SCREEN_LINES


def test_json_has_counts_figures_and_the_rows_of_each_finding(
    labels: Path, capsys: pytest.CaptureFixture[str]
):
    where = damage.change_row(labels, lambda cells: cells.update(num_strokes=1))
    assert cli.main(["validate", str(labels), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["format"], report["verdict"], report["errors"]) == (1, "error", 1)
    checks = {each["check"]: each for each in report["checks"]}
    assert checks["summary"]["verdict"] == "error"
    (finding,) = checks["summary"]["findings"]
    (row,) = finding["rows"]
    assert finding["where"] == where.replace("labels_only", "midi_only")
    assert f"{row['file']} row {row['row']} ({row['sample_id']})" == finding["where"]
    assert 0 < checks["midi"]["figures"]["median"] < checks["midi"]["figures"]["worst"] < 2
    assert checks["audio"]["verdict"] == "-"


def test_what_is_only_doubtful_leaves_the_exit_code_alone(
    labels: Path, capsys: pytest.CaptureFixture[str]
):
    (labels / "manifest.json").unlink()
    (labels / "splits.json").unlink()
    assert cli.main(["validate", str(labels)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert (
        "    warning: manifest.json: is missing: nothing says which files there should be" in shown
    )
    assert shown[-1].startswith("good: 0 errors, ")
    assert shown[-1].endswith("leave the exit code alone")


def test_a_folder_that_datasets_wrote_is_judged_as_far_as_it_can_be(built: Path, tmp_path: Path):
    """Another config, other columns, no manifest; a wrong row in it is found all the same."""
    folder = tmp_path / "plain"
    (folder / "data").mkdir(parents=True)
    data = datasets.load_dataset(
        "parquet", data_files=str(damage.shard(built, "audio_16k")), cache_dir=str(tmp_path / "c")
    )["train"]
    assert isinstance(data, datasets.Dataset)
    data = data.cast_column("audio", datasets.Audio(decode=False, sampling_rate=16_000))
    data = data.add_column("mine", list(range(len(data)))).remove_columns(["tokens", "tokens_ms"])
    data.to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    report = validate(folder)
    assert report.is_good
    messages = {finding.message for finding in report.findings}
    assert "cannot judge the columns mine" in messages
    examined = {outcome.check: outcome.examined for outcome in report.outcomes}
    assert examined["onsets"] == examined["scores"] == examined["audio"] == len(data)
    assert (examined["tokens"], examined["audio_16k"]) == (0, 0)

    table = pq.read_table(folder / "data" / "train-00000-of-00001.parquet")
    wrong = table.set_column(
        table.column_names.index("num_strokes"), "num_strokes", pa.array([1] * len(table), "int32")
    )
    pq.write_table(wrong, folder / "data" / "train-00000-of-00001.parquet")
    assert len(validate(folder).findings) == len(table) + len(report.findings)


def test_a_row_group_that_ends_its_process_is_a_finding(labels: Path):
    """Here it is only said to; a file that does so would be a fault of a library."""
    piece = Piece(
        *("midi_only", "train", 0, 16), judged=True, compared=False, heard=False, sampled=True
    )
    part = Judge(open_folder(labels)).refused(piece, "ends the process that works on it (SIGSEGV)")
    (finding,) = part.tally.report({}).findings
    assert finding.where.endswith("row group 0")
    assert finding.message.startswith("cannot be judged: it ends the process")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=JSON, kind=st.sampled_from(["built", "midi", "sousa", "audio"]) | JSON)
def test_hostile_json_is_a_finding_and_never_an_error(scalars: Path, content: object, kind: object):
    plan = {"import": kind, "score_set": content, "columns": content, "group": content}
    manifest = {"plan": plan, "shards": [{"path": content, "rows": content}, content]}
    for path in ("splits.json", "manifest.json", "tokenizers/tokens.json"):
        damage.replace(scalars / path, json.dumps(content).encode())
        assert validate(scalars).findings
    damage.replace(scalars / "manifest.json", json.dumps(manifest).encode())
    assert not validate(scalars).is_good


NUMBERS = st.sampled_from([0, -1, 1, 127, 2**31 - 1, -(2**31), None])
TIMES = st.sampled_from([0.0, -1e300, 1e300, math.inf, math.nan, 5e-324, None])


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_hostile_rows_are_findings_and_never_an_error(labels: Path, data: st.DataObject):
    """Put any number into any column or list of a row, in any kind of dataset."""
    path = damage.shard(labels, "midi_only", "test")
    table = pq.read_table(path)
    cells = table.slice(2, 1).to_pylist()[0]
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(set(cells) - {"tokens", "tokens_ms"})))
        field, place = table.schema.field(name), name
        target = cells
        if isinstance(cells[name], dict):
            place = data.draw(st.sampled_from(sorted(cells[name])))
            target, values = cells[name], cells[name][place]
            field = field.type.field(place).type.value_field
        is_float = pa.types.is_floating(field.type)
        value: object = data.draw(TIMES if is_float else NUMBERS)
        if not is_float and not pa.types.is_integer(field.type):
            value = None
        if target is cells:
            target[place] = value
        else:
            target[place] = [value, *values[1:]]
    kind = data.draw(st.sampled_from(["built", "sousa"]))
    changed = pa.Table.from_pylist([cells], schema=table.schema)
    damage.rewrite(path, pa.concat_tables([table.slice(0, 2), changed, table.slice(3)]))
    damage.record(labels, kind)
    validate(labels)
    damage.rewrite(path, table)
