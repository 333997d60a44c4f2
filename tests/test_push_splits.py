"""Splits that were prepared with `datasets` arrive as they are, with a card that is right."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from datasets import (
    Audio,
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    IterableDataset,
    IterableDatasetDict,
    List,
    Value,
    load_dataset,
)
from hub import Hub
from huggingface_hub import HfApi
from pushing import REPO, push, small, stored

from sousa.builders.schema import RUDIMENTS
from sousa.cards import inferred, prepared
from sousa.cards.audio_cells import audio_cell
from sousa.cards.failures import HubError
from sousa.cards.splits import push_splits

pytest_plugins = ["hub_fixtures"]

HAND = ClassLabel(names=["left", "right"])


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return small(built, tmp_path / "drums", "audio_16k", "labels_only")


def opened(folder: Path, config: str) -> DatasetDict:
    files = {s: str(folder / config / f"{s}-*") for s in ("train", "validation", "test")}
    return load_dataset("parquet", data_files=files, cache_dir=str(folder.parent / "cache"))


def front_matter(hub: Hub) -> dict[str, Any]:
    _, block, _ = hub.content(REPO, "README.md", "main").decode().split("---\n", 2)
    content: dict[str, Any] = yaml.safe_load(block)
    return content


def test_filtered_splits_arrive_with_their_features(hub: Hub, folder: Path):
    data = opened(folder, "audio_16k").filter(
        lambda tier: tier == 3, input_columns=["skill_tier"], load_from_cache_file=False
    )
    pushed = push_splits(data, REPO, private=True, tag="v1")
    assert hub.repository(REPO).private
    assert hub.repository(REPO).tags["v1"] == pushed.commit
    there = load_dataset(REPO)
    assert there.num_rows == {"train": 4, "validation": 4, "test": 4}
    assert there["train"].features == data["train"].features
    assert there["train"].features["rudiment_slug"] == ClassLabel(names=list(RUDIMENTS))
    for split, rows in data.items():
        arrow = rows.with_format("arrow")[:]
        assert there[split].with_format("arrow")[:].equals(arrow)
    assert set(stored(hub)) >= {f"default/{split}-00000-of-00001.parquet" for split in data}
    info = front_matter(hub)["dataset_info"]
    assert {s["name"]: s["num_examples"] for s in info["splits"]} == dict(there.num_rows)
    page = hub.content(REPO, "README.md", "main").decode()
    assert "| `audio` | audio, 16000 Hz |  | the clip |" in page


@pytest.mark.usefixtures("hub")
def test_a_stream_arrives_in_order(folder: Path):
    data = opened(folder, "labels_only")
    stream = IterableDatasetDict({n: split.to_iterable_dataset() for n, split in data.items()})
    push_splits(stream, REPO, config="labels")
    there = load_dataset(REPO, "labels")
    assert {n: s["sample_id"][:] for n, s in there.items()} == {
        n: s["sample_id"][:] for n, s in data.items()
    }
    assert there["test"].features == data["test"].features


@pytest.mark.usefixtures("hub")
def test_a_stream_of_unknown_features_tells_them_by_its_rows():
    stream = Dataset.from_dict({"text": ["r l r r", "l r l l"]}).to_iterable_dataset()
    push_splits(stream.map(lambda row: {"tokens": [len(row["text"])]}), REPO)
    there = load_dataset(REPO, split="train")
    assert there[:] == {"text": ["r l r r", "l r l l"], "tokens": [[7], [7]]}


FEATURES = Features({"beat": Value("float32"), "hits": List(Value("int32")), "hand": HAND})


def nullable() -> IterableDataset:
    """A stream whose first rows are null or empty in some columns."""
    rows = [
        {"beat": None if i < 40 else i / 2, "hits": [i] * (i % 3), "hand": i % 2} for i in range(80)
    ]
    table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)
    return Dataset(table).to_iterable_dataset(num_shards=2)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("change", "features"),
    [
        (lambda rows: rows.filter(lambda row: row["hand"] == 1), FEATURES),
        (
            lambda rows: rows.map(lambda row: {"beat": row["beat"]}, features=FEATURES),
            FEATURES,
        ),
        (
            lambda rows: rows.map(lambda row: {"twice": row["beat"] and 2 * row["beat"]}),
            Features({**FEATURES, "twice": Value("float64")}),
        ),
        (
            lambda rows: rows.map(lambda row: {"beat": [row["hand"]], "hand": -1.5}).take(70),
            Features(
                {"beat": List(Value("int64")), "hits": FEATURES["hits"], "hand": Value("float64")}
            ),
        ),
    ],
    ids=["filter", "map", "map-without-features", "map-to-other-kinds"],
)
def test_streams_that_were_filtered_or_mapped_arrive(
    change: Callable[[IterableDataset], IterableDataset], features: Features
):
    changed = change(nullable())
    push_splits(changed, REPO)
    there = load_dataset(REPO, split="train")
    assert there.features == features
    assert list(there) == list(changed)


@pytest.mark.usefixtures("hub")
def test_rows_that_are_not_of_one_kind_are_one_line():
    rows = [{"x": 1}] * 2000 + [{"x": "a"}]
    for stream in (rows, rows[-2:]):
        with pytest.raises(ValueError, match=r"^a row does not fit the features: .*") as found:
            push_splits(IterableDataset.from_generator(lambda stream=stream: iter(stream)), REPO)
        assert len(str(found.value).splitlines()) == 1


def test_an_option_that_is_not_there_is_refused(hub: Hub):
    with pytest.raises(TypeError, match="unexpected keyword argument 'privat'"):
        push_splits(Dataset.from_dict({"x": [1]}), REPO, privat=True)  # type: ignore[call-arg]
    assert hub.requests() == []


CATS = {"README.md": b"---\nlicense: mit\n---\n# Cats\n\nMine.\n", "LICENSE": b"mine"}


@pytest.mark.parametrize(
    "manifest", [{}, {"manifest.json": b"{}"}, {"manifest.json": b'{"name": "an app"}'}]
)
def test_a_repository_of_others_is_left_alone_or_keeps_what_they_wrote(
    hub: Hub, manifest: dict[str, bytes]
):
    hub.create(REPO)
    hub.commit(REPO, CATS | manifest)
    before = stored(hub)
    data = Dataset.from_dict({"x": [1]})
    with pytest.raises(HubError, match=r"holds something else .* with force=True"):
        push_splits(data, REPO)
    assert stored(hub) == before
    push_splits(data, REPO, force=True, prune=True)
    page = hub.content(REPO, "README.md", "main").decode()
    assert page.endswith("---\n# Cats\n\nMine.\n")
    assert front_matter(hub)["license"] == "mit"
    assert hub.content(REPO, "LICENSE", "main") == b"mine"
    assert load_dataset(REPO, split="train")[:] == {"x": [1]}


def test_what_people_wrote_into_the_card_of_the_only_config_stays(hub: Hub):
    push_splits(Dataset.from_dict({"x": [1]}), REPO)
    page = hub.content(REPO, "README.md", "main").decode()
    mark = "<!-- prose:begin uses -->\n"
    edited = page.replace(mark, f"{mark}To swing.\n").replace("license: unknown", "license: mit")
    hub.commit(REPO, {"README.md": edited.encode(), "LICENSE": b"MIT"})
    push_splits(Dataset.from_dict({"x": [1, 2]}), REPO, prune=True)
    assert f"{mark}To swing.\n" in hub.content(REPO, "README.md", "main").decode()
    assert front_matter(hub)["license"] == "mit"
    assert "LICENSE" in stored(hub)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("order", [("default", "slow"), ("slow", "default"), ("fast", "slow")])
def test_two_configs_load_in_any_order(order: tuple[str, str]):
    """`datasets` takes the name `default` for the default config, beside any that says so."""
    for number, config in enumerate(order):
        push_splits(Dataset.from_dict({"x": [number]}), REPO, config=config)
    for number, config in enumerate(order):
        assert load_dataset(REPO, config, split="train")["x"][:] == [number]
    first = order.index("default") if "default" in order else 0
    assert load_dataset(REPO, split="train")["x"][:] == [first]


def tone(rate_hz: int, container: str) -> bytes:
    file = io.BytesIO()
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz // 10) / rate_hz)
    soundfile.write(file, wave, rate_hz, format=container, subtype="PCM_16")
    return file.getvalue()


HEARD = Features({"audio": Audio(16_000), "hand": HAND})
UNREAD = Features({"audio": Audio(16_000, decode=False), "hand": HAND})


def audio_stream() -> IterableDataset:
    cells = [{"bytes": tone(16_000, "FLAC"), "path": None}] * 3
    table = pa.table({"audio": cells, "hand": [0, 1, 0]}, schema=HEARD.arrow_schema)
    return Dataset(table).to_iterable_dataset()


def samples() -> np.ndarray[Any, np.dtype[np.float32]]:
    wave, _ = soundfile.read(io.BytesIO(tone(16_000, "FLAC")), dtype="float32")
    return wave


@pytest.mark.parametrize(
    ("change", "features"),
    [
        (lambda row: {"hand": 1 - row["hand"]}, UNREAD),
        (lambda _: {"audio": {"array": samples(), "sampling_rate": 16_000}}, UNREAD),
        (lambda row: {"audio": row["audio"]["bytes"]}, UNREAD),
        (
            lambda _: {"wave": {"array": list(samples()), "sampling_rate": 16_000}},
            Features({**UNREAD, "wave": Audio()}),
        ),
        (lambda row: {"copy": row["audio"]}, Features({**UNREAD, "copy": Audio()})),
    ],
    ids=["labels", "samples", "bytes", "new-samples", "new-bytes"],
)
def test_audio_of_a_mapped_stream_is_audio(
    hub: Hub, change: Callable[[dict[str, Any]], dict[str, Any]], features: Features
):
    """A mapped stream has forgotten its features; here it has not decoded its audio."""
    mapped = audio_stream().decode(False).map(change)
    assert mapped.features is None
    push_splits(mapped, REPO)
    rows = pq.read_table(
        io.BytesIO(hub.content(REPO, "default/train-00000-of-00001.parquet", "main"))
    )
    assert Features.from_arrow_schema(rows.schema) == features
    expected = [change(row)["hand"] if "hand" in change(row) else row["hand"] for row in bare()]
    assert rows["hand"].to_pylist() == expected
    for name in features.keys() - {"hand"}:
        for cell in rows[name].to_pylist():
            wave, rate_hz = soundfile.read(io.BytesIO(cell["bytes"]), dtype="float32")
            assert rate_hz == 16_000
            assert np.array_equal(wave, samples())


def bare() -> list[dict[str, Any]]:
    return list(audio_stream().decode(False))


@pytest.mark.skipif(not datasets.config.TORCHCODEC_AVAILABLE, reason="decoding needs torchcodec")
@pytest.mark.parametrize("is_ours", [False, True], ids=["datasets", "torchcodec"])
def test_decoders_of_a_mapped_stream_are_audio(hub: Hub, is_ours: bool):
    decoders = pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))

    def change(_: dict[str, Any]) -> dict[str, Any]:
        return {"audio": decoders.AudioDecoder(tone(16_000, "FLAC"))} if is_ours else {"hand": 1}

    push_splits(audio_stream().map(change), REPO)
    rows = pq.read_table(
        io.BytesIO(hub.content(REPO, "default/train-00000-of-00001.parquet", "main"))
    )
    assert Features.from_arrow_schema(rows.schema) == HEARD
    for cell in rows["audio"].to_pylist():
        wave, rate_hz = soundfile.read(io.BytesIO(cell["bytes"]), dtype="float32")
        assert (cell["bytes"][:4], rate_hz) == (b"RIFF" if is_ours else b"fLaC", 16_000)
        assert np.array_equal(wave, samples())


def test_no_more_rows_with_audio_are_read_ahead_than_are_needed():
    """32 batches of clips may be a gigabyte; of what is light they cost nothing."""
    read: list[int] = []

    def rows(is_heard: bool) -> Iterator[dict[str, Any]]:
        for number in range(2000):
            read.append(number)
            tempo = None if number < 50 else number
            yield {"x": tempo, "y": bare()[0]["audio"] if is_heard else None}

    def ahead(is_heard: bool) -> int:
        read.clear()
        stream = IterableDataset.from_generator(rows, gen_kwargs={"is_heard": is_heard})
        batches = iter(stream.iter(prepared.BATCH_ROWS))
        assert inferred.rows_ahead(batches, prepared._table)
        return len(read)

    assert ahead(is_heard=True) <= 3 * prepared.BATCH_ROWS
    assert ahead(is_heard=False) >= 1000


@pytest.mark.parametrize("forget", [False, True])
def test_a_stream_without_rows_is_one_line(hub: Hub, forget: bool):
    stream = audio_stream()
    none = (stream.decode(False).map(lambda row: row) if forget else stream).filter(lambda _: False)
    with pytest.raises(ValueError, match=r"^split train has no rows; leave it out$"):
        push_splits(none, REPO)
    assert hub.requests("POST") == []


@pytest.mark.parametrize("cell", [7, {"bytes": None, "path": None}, [1.0], {"x": 1}])
def test_what_is_no_audio_is_refused(cell: object):
    with pytest.raises(ValueError, match=r"^audio must (be|have) .*, (got|has) "):
        audio_cell(cell)


@pytest.mark.parametrize("container", ["FLAC", "WAV"])
def test_audio_is_stored_at_the_rate_that_its_feature_declares(hub: Hub, container: str):
    features = Features({"audio": Audio(16_000), "hit": Value("int32")})
    cells = [{"bytes": tone(rate_hz, container), "path": None} for rate_hz in (16_000, 44_100)]
    table = {"audio": [*cells, None], "hit": [1, 2, 3]}
    push_splits(Dataset(pa.table(table, schema=features.arrow_schema)), REPO)
    rows = pq.read_table(
        io.BytesIO(hub.content(REPO, "default/train-00000-of-00001.parquet", "main"))
    )
    kept, changed, none = rows["audio"].to_pylist()
    assert kept["bytes"] == cells[0]["bytes"]
    assert none is None
    wave, rate_hz = soundfile.read(io.BytesIO(changed["bytes"]))
    expected, _ = soundfile.read(io.BytesIO(cells[0]["bytes"]))
    assert rate_hz == 16_000
    assert soundfile.info(io.BytesIO(changed["bytes"])).format == container
    assert np.abs(wave - expected)[100:-100].max() < 0.01


def test_a_config_joins_those_that_are_there(hub: Hub, folder: Path):
    assert push(folder) == 0
    page = hub.content(REPO, "README.md", "main").decode().split("---\n", 2)[2]
    before = stored(hub)
    data = opened(folder, "labels_only")
    order = np.argsort(data["test"]["overall_score"][:])
    push_splits(data["test"].select(order), REPO, config="sorted")
    content = front_matter(hub)
    names = [config["config_name"] for config in content["configs"]]
    assert names == ["audio_16k", "labels_only", "sorted"]
    assert [config.get("default", False) for config in content["configs"]] == [True, False, False]
    assert [info["config_name"] for info in content["dataset_info"]] == names
    assert hub.content(REPO, "README.md", "main").decode().endswith(page)
    after = stored(hub)
    unchanged = before.keys() - {"README.md", "manifest.json"}
    assert {path: after[path] for path in unchanged} == {path: before[path] for path in unchanged}
    scores = load_dataset(REPO, "sorted", split="test")["overall_score"][:]
    assert scores == sorted(scores)
    recorded = json.loads(hub.content(REPO, "manifest.json", "main"))["shards"]
    assert sum(shard["path"].startswith("sorted/") for shard in recorded) == 1


def test_fewer_shards_than_before_do_not_double_rows(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    data = Dataset.from_dict({"beat": list(range(100))})
    with monkeypatch.context() as few:
        few.setattr(prepared, "SHARD_BYTES", 1)
        few.setattr(prepared, "ROW_GROUP_BYTES", 400)
        push_splits(data, REPO)
    assert load_dataset(REPO, split="train")["beat"][:] == list(range(100))
    several = {path for path in stored(hub) if path.startswith("default/")}
    assert len(several) > 1
    push_splits(data.select(range(50)), REPO)
    assert load_dataset(REPO, split="train")["beat"][:] == list(range(50))
    push_splits(data.select(range(50)), REPO, prune=True)
    left = {path for path in stored(hub) if path.startswith("default/")}
    assert left == {"default/train-00000-of-00001.parquet"}


def test_a_config_is_not_put_where_the_repository_has_a_file(hub: Hub):
    push_splits(Dataset.from_dict({"x": [1]}), REPO)
    hub.commit(REPO, {"takes": b"mine"})
    with pytest.raises(HubError, match=r"^org/drums has a file takes; choose another name"):
        push_splits(Dataset.from_dict({"x": [1]}), REPO, config="takes")


@pytest.mark.usefixtures("hub")
def test_the_same_splits_again_are_not_sent_again():
    data = Dataset.from_dict({"beat": [1, 2, 3]})
    first = push_splits(data, REPO)
    again = push_splits(data, REPO)
    assert again.commit == first.commit
    assert again.new_bytes == again.sent_bytes == 0


@pytest.mark.parametrize(
    ("data", "config", "error", "message"),
    [
        ([1, 2], "default", TypeError, "data must be a Dataset, DatasetDict, .* got list"),
        (DatasetDict(), "default", ValueError, "got no split at all"),
        ({"a b": [1]}, "default", TypeError, "got dict"),
        (DatasetDict({"a-b": Dataset.from_dict({"x": [1]})}), "default", ValueError, "a-b"),
        (Dataset.from_dict({"x": []}), "default", ValueError, "split train has no rows"),
        (DatasetDict({"all": Dataset.from_dict({"x": [1]})}), "default", ValueError, "named all"),
        (DatasetDict({"a" * 201: Dataset.from_dict({"x": [1]})}), "default", ValueError, "splits"),
        (Dataset.from_dict({"x": [1]}), "manifest.json", ValueError, "config must be a name"),
        (Dataset.from_dict({"x": [1]}), "a" * 201, ValueError, "config must be a name"),
        (Dataset.from_dict({"x": [1]}), "../up", ValueError, "config must be a name"),
        (Dataset.from_dict({"x": [1]}), "card", ValueError, "config must be a name"),
        (Dataset.from_dict({"x": [1]}), "LICENSE", ValueError, "config must be a name"),
        (Dataset.from_dict({"x": [1]}), "License.txt", ValueError, "config must be a name"),
        (Dataset.from_dict({"x": [1]}), "splits.json", ValueError, "config must be a name"),
        (Dataset.from_dict({"x": [1]}), "readme.MD", ValueError, "config must be a name"),
        (
            DatasetDict({"a": Dataset.from_dict({"x": [1]}), "b": Dataset.from_dict({"x": ["1"]})}),
            "default",
            ValueError,
            "split b must have the features of a, has others",
        ),
        (
            IterableDataset.from_generator(lambda: iter([{"x": None}])),
            "default",
            ValueError,
            "its first rows are null in x; give `features`",
        ),
    ],
    ids=[
        "list",
        "empty",
        "dict",
        "split",
        "all",
        "long",
        "ours",
        "long-config",
        "rows",
        "path",
        "taken",
        "license",
        "license-file",
        "splits",
        "readme",
        "features",
        "null",
    ],
)
def test_what_cannot_be_pushed_is_refused(
    hub: Hub, data: Dataset, config: str, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        push_splits(data, REPO, config=config)
    assert not HfApi().repo_exists(REPO, repo_type="dataset")
    assert hub.requests("POST") == []
