"""What annotation files of each kind say, and which columns come of it."""

import json
import re
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from audio_data import write_csv
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.annotation_files import given as given_file
from sousa.builders.annotations import Annotations, Entry, Events, named, scalar
from sousa.builders.audio_columns import cells, decided
from sousa.builders.audio_schema import annotated, columns, recorded
from sousa.builders.features import arrow_schema
from sousa.builders.schema import SKILL_TIERS, Label, ListOf, Struct, Value


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def pyjama(path: Path, definitions: Any, entries: Any, version: Any = 1.41) -> Path:
    collection = {"descriptiondefinition": definitions, "entry": entries}
    return write_json(path, {"schemaversion": version, "collection": collection})


def rows_of(found: Annotations) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return types and cells by column, as they are stored."""
    fields = decided(found, {})
    types = {field.column.name: field.column.type for field in fields}
    made = [cells(entry, fields) for entry in found.entries]
    schema = arrow_schema(tuple(field.column for field in fields))
    assert pa.Table.from_pylist(made, schema=schema).to_pylist() == made
    return types, made


def test_pyjama_of_version_1_2_has_segments_and_global_values(tmp_path: Path) -> None:
    definitions = {
        "filepath": {"typeContent": "text", "typeExtent": "global", "typeConstraint": "filePath"},
        "structtype": {
            "typeContent": "text",
            "typeExtent": "segment",
            "typeConstraint": "valueInDictionary",
            "dictionary": ["Silence", "A", "B"],
        },
        "tempo": {"typeContent": "numeric", "typeExtent": "global"},
        "release-date": {"typeContent": "text", "typeExtent": "global"},
    }
    first = {
        "filepath": [{"value": "10/audio.mp3"}],
        "structtype": [
            {"value": "A", "time": 0.25, "duration": 52.5},
            {"value": "Silence", "time": 0.0, "duration": 0.25},
        ],
        "tempo": [{"value": 125.5}],
        "release-date": [{"value": "2000"}],
    }
    second = {"filepath": [{"value": "11/audio.mp3"}], "structtype": [], "tempo": [{"value": ""}]}
    path = pyjama(tmp_path / "salami.pyjama", definitions, [first, second], version=1.2)
    found = given_file(str(path)).read()
    assert [entry.path for entry in found.entries] == ["10/audio.mp3", "11/audio.mp3"]
    types, (one, two) = rows_of(found)
    names = Label(("A", "B", "Silence"))  # all that are allowed, by the alphabet
    assert types["structtype"].fields[2].type == ListOf(names)
    assert one["structtype"] == {
        "onset_sec": [0.0, 0.25],
        "duration_sec": [0.25, 52.5],
        "value": [2, 0],
    }
    assert types["tempo"] == Value("float32")
    assert (one["tempo"], one["release_date"]) == (125.5, "2000")
    assert two == {"structtype": None, "tempo": None, "release_date": None}


def test_pyjama_of_version_1_4_has_several_values_and_values_over_time(tmp_path: Path) -> None:
    definitions = {
        "filepath": {"type_content": "text", "type_extent": "global"},
        "genre": {"type_content": "text", "type_extent": "global"},
        "beat": {"type_content": "numeric", "type_extent": "marker"},
        "f0": {"type_extent": "breakpoint", "row_name": ["violin", "cello"]},
        "clock": {"type_extent": "breakpoint_time"},
        "loudness": {"type_extent": "breakpoint_value", "row_name": ["loudness"]},
        "mean": {"type_extent": "global", "type_content": "numeric", "row_name": ["c1", "c2"]},
        "notes": {"type_extent": "segment"},
    }
    entry = {
        "filepath": [{"value": "./a.wav"}],
        "genre": [{"value": "blues", "confidence": 0.75}, {"value": "rock", "confidence": 0.5}],
        "beat": [{"value": 2, "time": 1.5}, {"value": 1, "time": 0.5}],
        "f0": [{"time": [0.0, 0.5, 1.0], "value": [[1, 2, 3], [4, 5, 6]]}],
        "clock": [{"value": [[0, 2]]}],
        "loudness": [{"value": [[-3.0, -6.0]]}],
        "mean": [{"value": [[0.5], [0.25]]}],
        "notes": [{"value": [440.0, "la"], "time": 0.0, "duration": 1.0}],
    }
    found = given_file(str(pyjama(tmp_path / "x.pyjama", definitions, [entry, dict(entry)]))).read()
    types, (row, _) = rows_of(found)
    assert types["genre"] == ListOf(Label(("blues", "rock")))
    assert (row["genre"], row["genre_confidence"]) == ([0, 1], [0.75, 0.5])
    assert row["beat"] == {"onset_sec": [0.5, 1.5], "value": [1.0, 2.0]}
    assert row["f0"] == {"onset_sec": [0, 0.5, 1], "cello": [4, 5, 6], "violin": [1, 2, 3]}
    assert row["loudness"] == {"onset_sec": [0.0, 2.0], "loudness": [-3.0, -6.0]}
    assert (row["mean_c1"], row["mean_c2"]) == (0.5, 0.25)
    assert row["notes"]["value_1"] == [440.0]
    assert "clock" not in row


def test_matrices_of_pyjama_may_lie_either_way(tmp_path: Path) -> None:
    by_time = {"f0": {"typeExtent": "breakpoint", "columnName": ["x", "y"]}}
    by_row = {"f0": {"type_extent": "breakpoint", "row_name": ["x", "y"]}}
    made = []
    for definitions, matrix in ((by_time, [[1, 3], [2, 4]]), (by_row, [[1, 2], [3, 4]])):
        entry = {"filepath": [{"value": "a.wav"}], "f0": [{"time": [0.0, 1.0], "value": matrix}]}
        path = pyjama(tmp_path / "x.pyjama", definitions, [entry])
        made.append(given_file(str(path)).read().entries[0].events["f0"].fields)
    assert made[0] == made[1] == {"x": [1, 2], "y": [3, 4]}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"filepath": []}, "must have one path in filepath, has 0"),
        ({"filepath": [{"value": "a"}, {"value": "b"}]}, "must have one path in filepath, has 2"),
        ([], "is no JSON object"),
        ({"beat": [{"value": 1}]}, "beat time is missing"),
        ({"beat": [{"time": "soon"}]}, "beat time must be a number, got str"),
        ({"beat": [{"time": [1, 2], "value": [1, 2, 3]}]}, "2 times, and values of another number"),
        ({"beat": [{"time": 1, "duration": -1}]}, "beat duration must be at least 0, got -1"),
        ({"tempo": [{"value": 1e999}]}, "tempo must be finite"),
        ({"tempo": [{"value": 10**400}]}, "tempo must be finite"),
        ({"title": [{"value": "\ud800"}]}, "title is no Unicode text"),
    ],
)
def test_entries_that_cannot_be_used_are_named(tmp_path: Path, entry: Any, reason: str) -> None:
    definitions = {"beat": {"type_extent": "marker"}}
    good = {"filepath": [{"value": "good.wav"}]}
    bad = {"filepath": [{"value": "bad.wav"}], **entry} if isinstance(entry, dict) else entry
    found = given_file(str(pyjama(tmp_path / "x.pyjama", definitions, [bad, good]))).read()
    assert [entry.path for entry in found.entries] == ["good.wav"]
    [(where, why)] = found.unusable
    assert where == "x.pyjama entry 0"
    assert reason in why


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON: too deeply nested"),
        ("[1]", "must hold a JSON object, holds list"),
        ('{"schemaversion": 2.0}', "must have schemaversion 1.x, has 2.0"),
        ('{"schemaversion": 1.2, "collection": []}', "has no list collection.entry"),
    ],
)
def test_what_is_no_pyjama_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.pyjama").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        given_file(str(tmp_path / "x.pyjama")).read()


def observation(time: float, duration: float, value: Any, confidence: Any = None) -> Any:
    return {"time": time, "duration": duration, "value": value, "confidence": confidence}


def jams(path: Path, *annotations: tuple[str, Any], **about: Any) -> Path:
    listed = [{"namespace": name, "data": data} for name, data in annotations]
    metadata = {"title": path.stem, "artist": "X", "duration": 10.0, **about}
    return write_json(path, {"annotations": listed, "file_metadata": metadata, "sandbox": {}})


def test_jams_files_have_events_and_labels_of_whole_recordings(tmp_path: Path) -> None:
    beats = [observation(1.0, 0, 2), observation(0.5, 0, 1)]
    dense = {"time": [0, 1], "duration": [1, 1], "value": [{"index": 0, "frequency": 440}, None]}
    tags = [observation(0, 10, "loud", 0.5), observation(0, 10, "fast", 0.25)]
    jams(tmp_path / "a" / "x.jams", ("beat", beats), ("beat", beats[:1]), ("pitch_contour", dense))
    jams(tmp_path / "b.jams", ("tag_open", tags), ("chord", [observation(0, 2, "C:maj")]))
    jams(tmp_path / "c.jams", ("tag_open", tags), ("chord", []), filename="sub/real.wav")
    found = given_file(str(tmp_path)).read()
    assert [entry.path for entry in found.entries] == ["a/x", "b", "sub/real.wav"]
    _, (x, b, c) = rows_of(found)
    assert x["beat"] == {"onset_sec": [0.5, 1.0], "duration_sec": [0, 0], "value": [1.0, 2.0]}
    assert x["beat_2"]["value"] == [2.0]
    assert x["pitch_contour"]["frequency"] == [440.0, None]
    assert x["tag_open"] is None
    assert (b["tag_open"], b["tag_open_confidence"]) == ([1, 0], [0.5, 0.25])  # fast, loud
    assert b["chord"]["value"] == ["C:maj"]
    assert c["chord"] == {"onset_sec": [], "duration_sec": [], "value": []}  # looked for, not there


def test_tags_of_parts_are_events(tmp_path: Path) -> None:
    jams(tmp_path / "a.jams", ("tag_open", [observation(0, 10, "loud")]))
    jams(tmp_path / "b.jams", ("tag_open", [observation(4, 2, "loud")]))
    found = given_file(f"{tmp_path}/*.jams").read()
    assert [entry.events["tag_open"].onset_sec for entry in found.entries] == [[0], [4]]


def test_jams_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jams").write_text("{")
    write_json(tmp_path / "b.jams", {"entry": []})
    jams(tmp_path / "c.jams", ("beat", {"time": [1, 2], "duration": [0]}))
    jams(tmp_path / "d.JAMS", ("beat", "none"))
    (tmp_path / "folder.jams").mkdir()
    found = given_file(str(tmp_path)).read()
    assert not found.entries
    assert [where for where, _ in found.unusable] == ["a.jams", "b.jams", "c.jams", "d.JAMS"]
    reasons = [reason for _, reason in found.unusable]
    assert reasons[0].startswith("is no JSON: ")  # they are published: no path of this machine
    assert "no list of annotations" in reasons[1]
    assert "lists of unequal length" in reasons[2]
    assert "no list of observations" in reasons[3]


def test_rows_of_a_table_are_labels_and_several_rows_several_values(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "\ufefffile,tag,id,year\na.wav,calm,007,1999\na.wav,dark,007,1999\n\n"
        'b.wav,calm,008,\n"c, d.wav",dark,,2001\n'
    )
    types, (a, b, c) = rows_of(given_file(str(tmp_path / "x.csv")).read())
    assert types == {
        "id": Value("string"),  # 007 is a name
        "tag": ListOf(Label(("calm", "dark"))),
        "year": Value("float32"),
    }
    assert a == {"id": "007", "tag": [0, 1], "year": 1999.0}
    assert (b["tag"], b["year"]) == ([0], None)
    assert (c["id"], c["tag"]) == (None, [1])


def test_rows_with_times_are_events(tmp_path: Path) -> None:
    rows = [
        {"path": "a.wav", "time": "1.5", "duration": "", "label": "snare", "player": "P"},
        {"path": "a.wav", "time": "0.5", "duration": "0.25", "label": "kick", "player": "P"},
        {"path": "b.wav", "time": "", "duration": "", "label": "", "player": "Q"},
        {"path": "c.wav", "time": "2", "duration": "", "label": "kick", "player": "R"},
    ]
    _, (a, b, c) = rows_of(given_file(str(write_csv(tmp_path / "x.csv", rows))).read())
    assert (a["player"], b["player"]) == ("P", "Q")
    assert a["events"] == {
        "onset_sec": [0.5, 1.5],
        "duration_sec": [0.25, None],
        "label": [0, 1],
    }
    assert b["events"] == {"onset_sec": [], "duration_sec": [], "label": []}
    assert c["events"]["label"] == [0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,genre\na,b\n", "has no column file, .*; it has name, genre"),
        ("", "has no column file"),
        ("file,x,x\n", "must name each column once, has file, x, x"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        given_file(str(tmp_path / "x.csv")).read()
    (tmp_path / "x.csv").write_bytes(b"file\n\xff\n")
    with pytest.raises(ValueError, match=r"is no UTF-8 text: .* at 5"):
        given_file(str(tmp_path / "x.csv")).read()


def test_rows_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("file\ttime\na.wav\t1\t2\n\t1\nb.wav\tsoon\nc.wav\t1\n")
    found = given_file(str(tmp_path / "x.tsv")).read()
    assert [entry.path for entry in found.entries] == ["c.wav"]
    assert found.unusable == [
        ("x.tsv line 2", "has 3 cells, the header has 2"),
        ("x.tsv line 3", "names no file"),
        ("x.tsv line 4", "line 4 time must be a number, got 'soon'"),
    ]


def test_other_files_are_refused_by_their_ending(tmp_path: Path) -> None:
    (tmp_path / "x.xml").touch()
    with pytest.raises(ValueError, match=r"must be a file in .pyjama, .jams, .csv, .tsv, or a"):
        given_file(str(tmp_path / "x.xml"))
    with pytest.raises(FileNotFoundError, match="no file of annotations"):
        given_file(str(tmp_path / "x.csv"))
    with pytest.raises(FileNotFoundError, match=r"no .jams file in"):
        given_file(str(tmp_path))


def entries(**labels: list[list[Any]]) -> Annotations:
    rows = max(map(len, labels.values()))
    made = [Entry(f"{row}.wav", str(row)) for row in range(rows)]
    for name, values in labels.items():
        for entry, value in zip(made, values, strict=True):
            if value:
                entry.labels[name] = value
    return Annotations(made)


def test_types_follow_from_values() -> None:
    found = entries(
        few=[["b"], ["a"], ["b"], []],
        free=[["w"], ["x"], ["y"], ["z"]],
        mixed=[[1.0], ["one"], [1.0], ["one"]],
        large=[[1.0], [2.0**30 + 1], [3.0], [4.0]],
        many=[[1.5, 2.5], [], [3.5], [4.5]],
    )
    types, rows = rows_of(found)
    assert types == {
        "few": Label(("a", "b")),
        "free": Value("string"),
        "large": Value("float64"),
        "many": ListOf(Value("float32")),
        "mixed": Label(("1", "one")),
    }
    assert rows[0] == {"few": 1, "free": "w", "large": 1.0, "many": [1.5, 2.5], "mixed": 0}
    assert (rows[3]["few"], rows[1]["many"]) == (None, None)


def test_a_user_says_what_labels_are() -> None:
    found = entries(year=[[1999.0], [2001.0]], title=[["A"], ["A"]], number=[["3"], [4.0]])
    fields = decided(found, {"year": "class", "title": "text", "number": "number"})
    types = {field.column.name: field.column.type for field in fields}
    assert types["year"] == Label(("1999", "2001"))
    assert (types["title"], types["number"]) == (Value("string"), Value("float32"))
    assert [cells(entry, fields)["number"] for entry in found.entries] == [None, 4.0]
    assert [f.source for f in decided(found, {"year": ""})] == ["year"]
    found.entries[0].events["hits"] = Events([1.0], [None], {"label": [2.0], "velocity": [90.0]})
    struct = decided(found, {"hits": "class"})[0].column.type
    assert isinstance(struct, Struct)
    assert [part.type for part in struct.fields[1:]] == [
        ListOf(Label(("2",))),
        ListOf(Value("float32")),
    ]
    found.classes["title"] = ("A", "B")
    assert decided(found, {"title": "text"})[0].column.type == Value("string")
    assert decided(found, {"title": ""})[0].column.type == Label(("A", "B"))
    found.entries[0].events["title"] = Events([1.0], [None], {"value": ["A"]})
    made = [field.column for field in decided(found, {"title": ""})]
    assert [column.name for column in made] == ["title", "title_2"]  # a label, and events
    with pytest.raises(
        ValueError, match="--labels must be of number, title, year, hits; got 'yaer'"
    ):
        decided(found, {"yaer": ""})


def test_names_clash_neither_with_ours_nor_with_each_other() -> None:
    names = ["audio", "a b", "a-b", "2nd", "tempo_bpm", "overall_score", "midi", "Sample_ID"]
    found = entries(**{name: [[1.5], [2.5]] for name in names})
    found.entries[0].labels["skill_tier"] = ["beginner"]
    found.entries[1].labels["skill_tier"] = ["advanced"]
    found.entries[0].events["a_b"] = Events([1.0], [None], {"onset_sec": ["x"]})
    made = {field.source: field.column for field in decided(found, {"skill_tier": "class"})}
    assert made["skill_tier"].type == Label(SKILL_TIERS)  # the ids are the contract's
    made = {field.source: field.column for field in decided(found, {})}
    assert {source: column.name for source, column in made.items() if source != column.name} == {
        "2nd": "label_2nd",
        "a-b": "a_b_2",
        "a b": "a_b",
        "a_b": "a_b_3",
        "audio": "label_audio",
        "midi": "label_midi",
        "Sample_ID": "label_Sample_ID",
        "skill_tier": "label_skill_tier",  # nearly all differ, so they are no classes
    }
    struct = made["a_b"].type
    assert isinstance(struct, Struct)
    assert [part.name for part in struct.fields] == ["onset_sec", "onset_sec_2"]


def test_scores_have_our_names_where_they_are_in_our_range() -> None:
    found = entries(overall_score=[[0.0], [100.0]], timing_accuracy=[[50.0], [100.5]])
    found.entries[0].labels["tempo_stability"] = ["n/a"]
    found.entries[1].labels["groove_feel_proxy"] = [0.5]
    made = [field.column.name for field in decided(found, {})]
    assert made == [
        *("groove_feel_proxy", "overall_score", "label_tempo_stability", "label_timing_accuracy"),
    ]


def test_a_plan_keeps_the_columns() -> None:
    found = entries(genre=[["a"], ["a"], ["b"]], number=[[1.0], [2.0], [3.0]])
    found.entries[0].events["beat"] = Events([1.0], [None], {"value": [1.0]})
    made = tuple(field.column for field in decided(found, {}))
    plan = json.loads(json.dumps({"columns": recorded(made)}))
    assert annotated(plan) == made
    assert [column.name for column in columns("audio_16k", plan)[-4:]] == [
        *(column.name for column in made),
        "audio",
    ]
    for damaged in ({}, {"columns": 3}, {"columns": [{"name": "x"}]}, {"columns": [7]}):
        assert annotated(damaged) == ()


def test_values_are_read_as_they_are() -> None:
    assert [scalar(value, "x") for value in (True, None, float("nan"), " ", 3)] == [
        "true",
        None,
        None,
        None,
        3.0,
    ]
    assert named([["a", 1]], "x") == {"value": '[["a", 1]]'}


KEYS = st.sampled_from(
    ["value", "time", "duration", "filepath", "data", "namespace", "beat", "tag_a", "sandbox", ""]
) | st.text(max_size=2)
Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
EXTENTS = st.sampled_from(["marker", "segment", "breakpoint", "breakpoint_value", "global", ""])


def stored(found: Annotations) -> None:
    """Store what was found, which must go."""
    for entry in found.entries:
        for events in entry.events.values():
            assert events.onset_sec == sorted(events.onset_sec)
            assert all(len(v) == len(events.onset_sec) for v in events.fields.values())
    fields = decided(found, {})
    rows = [{"sample_id": entry.where, **cells(entry, fields)} for entry in found.entries]
    schema = arrow_schema(columns("labels_only", {"columns": recorded([f.column for f in fields])}))
    assert pa.Table.from_pylist(rows, schema=schema).num_rows == len(rows)


@given(st.lists(st.dictionaries(KEYS, Json) | Json, max_size=4), st.dictionaries(KEYS, EXTENTS))
def test_whatever_a_pyjama_file_holds_is_read_or_named(entries: Any, extents: Any) -> None:
    definitions = {name: {"type_extent": extent} for name, extent in extents.items()}
    for number, entry in enumerate(entries):
        if isinstance(entry, dict):
            entry.setdefault("filepath", [{"value": f"{number}.wav"}])
    with TemporaryDirectory() as folder:
        found = given_file(str(pyjama(Path(folder) / "x.pyjama", definitions, entries))).read()
    assert len(found.entries) + len(found.unusable) == len(entries)
    stored(found)


@given(Json, Json, st.lists(st.dictionaries(KEYS, Json) | Json, max_size=4))
def test_whatever_a_jams_file_holds_is_read_or_named(about: Any, more: Any, data: Any) -> None:
    observed = [{"namespace": "beat", "data": data}, {"namespace": "tag_a", "data": more}]
    content = {"file_metadata": about, "sandbox": more, "annotations": [*observed, more]}
    with TemporaryDirectory() as folder:
        found = given_file(str(write_json(Path(folder) / "x.jams", content))).read()
    assert len(found.entries) + len(found.unusable) == 1
    stored(found)


@given(st.text(alphabet='ab,\n"1.e-\r\t ;é', max_size=60))
def test_whatever_a_table_holds_is_read_or_named(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_text("file,time,label,b\n" + text, encoding="utf-8", newline="")
        with suppress(ValueError):  # such as a quote that does not end
            stored(given_file(str(path)).read())
