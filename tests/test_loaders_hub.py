"""A published dataset is read as its folder is: downloaded or streamed, and nothing else is."""

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hub import OWNER, Hub
from hub_client import disconnect, go_offline
from hub_faults import Cut, Fault
from huggingface_hub import HfApi
from loader_data import ids_of
from published import (
    NAME,
    SPLITS,
    TRAIN_16K,
    flat,
    loader_of,
    paths,
    published_on,
    shards_in,
    written,
)

from sousa.loaders import SOUSADataset, create_dataloader, ranges, windows
from sousa.loaders.access import At, HubError
from sousa.loaders.remote import by_card, matches, published


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("published"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path) -> Iterator[Hub]:
    with published_on(monkeypatch, tmp_path, folder) as hub:
        yield hub


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of a few rows, requests of a few clips."""
    monkeypatch.setattr(windows, "WINDOW_BYTES", 120_000)
    monkeypatch.setattr(ranges, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(ranges, "NEAR_BYTES", 0)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("split", [None, "test"])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_published_dataset_is_its_folder(
    folder: Path, split: str | None, streaming: bool
) -> None:
    local = loader_of(folder, split, shuffle=False, target="skill_tier")
    remote = loader_of(NAME, split, shuffle=False, target="skill_tier", streaming=streaming)
    assert len(remote) == len(local)
    assert len(remote.maker.dataset) == (sum(SPLITS.values()) if split is None else SPLITS[split])
    for one, other in zip(local, remote, strict=True):
        assert one["sample_ids"] == other["sample_ids"]
        assert torch.equal(one["waveforms"], other["waveforms"])
        assert torch.equal(one["labels"], other["labels"])


def test_only_what_is_asked_for_is_downloaded_and_once(hub: Hub, tmp_path: Path) -> None:
    dataset = SOUSADataset(NAME, "test")
    shards = [f"audio_16k/test-0000{number}-of-00002.parquet" for number in range(2)]
    assert sorted(paths(hub)) == sorted(["README.md", *shards])
    cache = tmp_path / "home" / "hub"
    assert {path.name for path in cache.rglob("*.parquet")} == {Path(s).name for s in shards}
    assert not list(tmp_path.rglob("*.arrow"))
    hub.forget_requests()
    assert SOUSADataset(NAME, "test").fingerprint() == dataset.fingerprint()
    assert len(hub.requests()) == 2
    assert not [log for log in hub.requests() if "/tree/" in log.path or "/resolve/" in log.path]
    assert len(SOUSADataset(NAME, "validation", config="audio", resample_rate=None)) == 5
    assert {path.split("-")[0] for path in paths(hub)} == {"audio/validation"}


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_first_batch_takes_one_footer_and_one_row_group(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, shuffle: bool
) -> None:
    """Groups of 7 rows; the card tells columns and length, the list of files their sizes."""
    monkeypatch.setattr(windows, "WINDOW_BYTES", 8 * 20_000)
    dataset = SOUSADataset(NAME, "train", streaming=True)
    assert len(dataset) == 40
    assert paths(hub) == ["README.md"]
    hub.forget_requests()
    batches = iter(create_dataloader(dataset, 4, num_workers=0, shuffle=shuffle))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    footer, data = hub.requests()
    assert footer.path == data.path
    path = footer.path.split("/", 6)[-1]
    size = hub.files(NAME)[path].size
    assert footer.headers["range"] == f"bytes={max(0, size - 65536)}-{size - 1}"
    first, last = (int(at) for at in data.headers["range"][6:].split("-"))
    groups = pq.read_metadata(pa.BufferReader(hub.content(NAME, path)))
    spans = [wanted_span(groups.row_group(number)) for number in range(groups.num_row_groups)]
    assert (first, last + 1) in (spans if shuffle else spans[:1])


def wanted_span(group: pq.RowGroupMetaData) -> tuple[int, int]:
    """Where the sample ids begin, which are first, and the clips end."""
    chunks = [group.column(number) for number in range(group.num_columns)]
    ids, clips = (
        next(chunk for chunk in chunks if chunk.path_in_schema == name)
        for name in ("sample_id", "audio.bytes")
    )
    return ids.data_page_offset, clips.data_page_offset + clips.total_compressed_size


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_reads_each_byte_once_and_not_the_other_columns(hub: Hub, shuffle: bool) -> None:
    loader = loader_of(NAME, "train", streaming=True, shuffle=shuffle)
    orders = [flat(ids_of(loader)) for _ in range(2)]
    assert [sorted(order) for order in orders] == 2 * [[f"clip-{i:04d}" for i in range(40)]]
    assert (orders[0] == orders[1]) is not shuffle
    spans: dict[str, list[tuple[int, int]]] = {}
    for logged in hub.requests("GET", TRAIN_16K):
        first, last = logged.headers["range"][6:].split("-")
        spans.setdefault(logged.path, []).append((int(first), int(last)))
    assert len(spans) == 2
    for path, asked in spans.items():
        content = hub.content(NAME, path.split("/", 6)[-1])
        group = pq.read_metadata(pa.BufferReader(content)).row_group(0)
        unused = group.column(1)
        assert unused.path_in_schema == "profile_id"
        at = unused.data_page_offset
        assert not any(first <= at <= last for first, last in asked[1:])
        data = asked[1:]  # after the footer, which the second epoch has still
        first_epoch = sorted(data[: len(data) // 2])
        assert sorted(data[len(data) // 2 :]) == first_epoch
        assert all(one[1] < other[0] for one, other in itertools.pairwise(first_epoch))
        assert max(last - first for first, last in data) < 20_000


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_late_state_is_gone_on_from_without_what_was_before(hub: Hub, shuffle: bool) -> None:
    loader = loader_of(NAME, "train", streaming=True, shuffle=shuffle, seed=3)
    whole = ids_of(loader)
    for taken in range(1, len(whole)):
        loader = loader_of(NAME, "train", streaming=True, shuffle=shuffle, seed=3)
        assert len(list(itertools.islice(loader, taken))) == taken
        state = json.loads(json.dumps(loader.state_dict()))
        assert OWNER.token not in json.dumps(state)
        resumed = loader_of(NAME, "train", streaming=True, shuffle=shuffle, seed=3)
        resumed.load_state_dict(state)
        hub.forget_requests()
        assert ids_of(resumed) == whole[taken:]
    if not shuffle:  # the last batch is in the last row group of the second file
        assert {path.split("-")[1] for path in paths(hub)} == {"00001"}
        assert len(paths(hub)) < 8


@pytest.mark.usefixtures("hub", "small")
def test_ranks_share_an_epoch() -> None:
    alone = ids_of(loader_of(NAME, "train", streaming=True))
    assert len(alone) == 10
    dataset = SOUSADataset(NAME, "train", streaming=True)
    shares = [
        ids_of(create_dataloader(dataset, 4, num_workers=0, rank=rank, world_size=2))
        for rank in (0, 1)
    ]
    assert len(shares[0]) == len(shares[1])
    assert sorted(flat(shares[0] + shares[1])) == sorted(flat(alone))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_state_belongs_to_the_data_and_not_to_a_name(
    hub: Hub, folder: Path, tmp_path: Path, streaming: bool
) -> None:
    first = hub.commits(NAME)[0].id
    HfApi().create_tag(NAME, tag="v1", repo_type="dataset")
    state = loader_of(NAME, "test", streaming=streaming).state_dict()
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    shard = changed / "audio_16k" / "test-00000-of-00002.parquet"
    content = bytearray(shard.read_bytes())
    clip = content.index(b"RIFF") + 200  # one step of a sound; the footer stays as it is
    content[clip] ^= 1
    shard.write_bytes(content)
    hub.upload_folder(NAME, changed)
    for revision in ("v1", first):
        loader_of(NAME, "test", streaming=streaming, revision=revision).load_state_dict(state)
    with pytest.raises(ValueError, match="belongs to another loader: data was"):
        loader_of(NAME, "test", streaming=streaming).load_state_dict(state)


@pytest.mark.parametrize("how", ["offline", "dead"])
@pytest.mark.parametrize("streaming", [False, True])
def test_what_was_downloaded_needs_no_network(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, how: str, streaming: bool
) -> None:
    there = ids_of(loader_of(NAME, "test", shuffle=False))
    expected = loader_of(NAME, "test", streaming=streaming, shuffle=False).state_dict()
    commit = hub.commits(NAME)[0].id
    disconnect()
    if how == "offline":
        go_offline(monkeypatch)
    else:
        fault = Fault(Cut("before"), times=None)
        hub.inject(fault)
    for revision in (None, "main", commit):
        loader = loader_of(NAME, "test", streaming=streaming, shuffle=False, revision=revision)
        assert ids_of(loader) == there
        loader.load_state_dict(expected)
    if not streaming:
        error = FileNotFoundError if how == "offline" else ConnectionError
        with pytest.raises(error, match=r"^[^\n]*(HF_HUB_OFFLINE|tries)[^\n]*$"):
            SOUSADataset(NAME, "train")
    with pytest.raises((FileNotFoundError, ConnectionError), match=r"^[^\n]*org/other[^\n]*$"):
        SOUSADataset("org/other", streaming=streaming)


@pytest.mark.usefixtures("hub")
def test_what_was_not_downloaded_cannot_be_streamed_offline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    SOUSADataset(NAME, "test")
    go_offline(monkeypatch)
    loader = loader_of(NAME, "train", streaming=True)
    with pytest.raises(HubError, match=r"^org/drums/audio_16k/train.* not whole in the cache, and"):
        next(iter(loader))


def test_a_card_that_counts_wrong_is_no_length(hub: Hub, folder: Path) -> None:
    """Of other files it is not believed; of these very files, it is found out."""
    card = (folder / "README.md").read_text()
    stale = card.replace("download_size: ", "download_size: 1")
    hub.commit(NAME, {"README.md": stale.replace("num_examples: 40", "num_examples: 41").encode()})
    dataset = SOUSADataset(NAME, "train", streaming=True)
    hub.forget_requests()
    assert len(dataset) == 40
    assert len(hub.requests("GET", TRAIN_16K)) == 1  # the first footer was needed for columns
    hub.commit(NAME, {"README.md": card.replace("num_examples: 40", "num_examples: 41").encode()})
    loader = loader_of(NAME, "train", streaming=True)
    with pytest.raises(ValueError, match=r"card of .*/audio_16k counts 41 rows, .* hold 40"):
        ids_of(loader)


def test_without_a_card_the_files_speak(hub: Hub, folder: Path) -> None:
    hub.create("org/bare")
    hub.commit("org/bare", shards_in(folder))
    for streaming in (False, True):
        dataset = SOUSADataset("org/bare", streaming=streaming)
        assert len(dataset) == sum(SPLITS.values())
    hub.create("org/empty")
    with pytest.raises(FileNotFoundError, match=r"holds no <config>/<split>-00000-of-00001"):
        SOUSADataset("org/empty")


@pytest.mark.usefixtures("hub")
def test_the_card_says_which_files_are_a_split() -> None:
    files = list(published(NAME, At()).files["audio"]["train"])
    entry = {"config_name": "mine", "data_files": [{"split": "fold.1", "path": "audio/tr*"}]}
    assert by_card([entry], files) == {"mine": {"fold.1": files}}
    assert by_card([{"config_name": "mine", "data_files": "**"}], files) == {
        "mine": {"train": files}
    }
    assert by_card([{"config_name": "mine"}], files) == by_card("x", files) == {}
    twice = {"config_name": "mine", "data_files": ["audio/*", "audio/train-*"]}
    assert by_card([twice], files) == {"mine": {"train": files}}
    assert not matches("audio/x/y.parquet", "audio/*")


def test_strata_and_buckets_come_of_a_stream(hub: Hub) -> None:
    for options in ({"stratify": "kit"}, {"bucket": True}):
        dataset = SOUSADataset(NAME, "train", streaming=True)
        loader = create_dataloader(dataset, 4, num_workers=0, **options)
        assert set(flat(ids_of(loader))) == {f"clip-{i:04d}" for i in range(40)}
    assert len(hub.requests("GET", TRAIN_16K)) < 2 * (2 + 6 + 2)


@pytest.mark.usefixtures("hub")
def test_what_plain_datasets_pushed_is_read(folder: Path) -> None:
    """One config of its own name, files in `data`, other row groups."""
    files = sorted(map(str, folder.glob("audio_16k/train-*")))
    features = datasets.Features.from_arrow_schema(pq.read_schema(files[0]))
    plain = datasets.Dataset(pq.read_table(files), info=datasets.DatasetInfo(features=features))
    datasets.DatasetDict({"fold_a": plain}).push_to_hub("org/plain", num_shards={"fold_a": 2})
    for streaming in (False, True):
        loader = loader_of("org/plain", "fold_a", streaming=streaming, shuffle=False)
        assert flat(ids_of(loader)) == [f"clip-{i:04d}" for i in range(40)]
        assert len(loader.maker.dataset) == 40
    with pytest.raises(ValueError, match="config must be one of default in org/plain, got 'audio'"):
        SOUSADataset("org/plain", config="audio")
