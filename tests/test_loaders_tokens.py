"""Sequences of token columns, from whatever the user has."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
import torch
from token_data import BAR, clips, in_memory, table, tokenizer_text, vocabulary, write_folder
from torch.utils.data import DataLoader

from sousa.loaders import BrokenRowError, TokenCollator, TokenDataset, Vocabulary
from sousa.loaders.token_dataset import TokenStream

MODES = ("truncate", "window", "pack")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("tokens"), clips())


def ids_of(dataset: Any) -> list[list[int]]:
    return [sample["input_ids"].tolist() for sample in dataset]


@pytest.mark.parametrize("mode", MODES)
def test_folders_and_datasets_give_the_same(folder: Path, mode: str) -> None:
    options: dict[str, Any] = {"max_seq_len": 24, "mode": mode, "bos": True, "eos": True}
    data = in_memory(table(clips()))
    found = TokenDataset(folder, **options)
    same = TokenDataset(data, tokenizer=folder / "tokenizers/tokens.json", **options)
    split = datasets.DatasetDict({"train": data})
    third = TokenDataset(split, tokenizer=vocabulary(), **options)
    assert ids_of(found) == ids_of(same) == ids_of(third)
    assert len(found) == found.accounting.sequences
    assert found.accounting == same.accounting
    assert found.accounting.total == sum(map(len, clips()))


@pytest.mark.parametrize("mode", ["truncate", "window"])
def test_streams_give_what_numbers_give(folder: Path, mode: str) -> None:
    options: dict[str, Any] = {"max_seq_len": 24, "mode": mode, "eos": True}
    stored = TokenDataset(folder, **options)
    streamed = TokenDataset(folder, streaming=True, **options)
    theirs = in_memory(table(clips())).to_iterable_dataset(num_shards=3)
    third = TokenDataset(theirs, tokenizer=vocabulary(), **options)
    assert isinstance(streamed, TokenStream)
    assert ids_of(streamed) == ids_of(third) == ids_of(stored)
    assert streamed.accounting == stored.accounting
    for count in (1, 3):  # workers of a plain DataLoader share the sequences
        plain = DataLoader(streamed, 5, collate_fn=TokenCollator(0), num_workers=0)
        assert sum(len(batch["lengths"]) for batch in plain) == len(stored), count


def test_a_packed_stream_keeps_every_token(folder: Path) -> None:
    streamed = TokenDataset(folder, max_seq_len=32, mode="pack", streaming=True)
    tokens = sorted(id_ for ids in ids_of(streamed) for id_ in ids)
    told = streamed.accounting
    assert told.total == told.kept == sum(map(len, clips()))
    assert len(tokens) == told.kept + told.added
    with pytest.raises(TypeError, match="nobody knows how many sequences a stream gives"):
        len(streamed)
    with pytest.raises(TypeError, match="sequences of a stream have no numbers"):
        streamed[0]


def test_samples_by_hand() -> None:
    data = in_memory(table([[5, 6, BAR, 8, 16], [5, 7, BAR, 9, 17]]))
    packed = TokenDataset(data, max_seq_len=12, mode="pack", bos=1, eos=2, tokenizer=vocabulary())
    only = packed[0]
    assert len(packed) == 2  # 7 tokens each, with BOS and EOS
    assert only["input_ids"].tolist() == [1, 5, 6, BAR, 8, 16, 2]
    assert only["loss_mask"].tolist() == [False] + [True] * 6
    assert only["cu_seqlens"].tolist() == [0, 7]
    assert only["sample_id"] == ["clip-0000"]
    both = TokenDataset(data, max_seq_len=14, mode="pack", bos=1, eos=2, tokenizer=vocabulary())[0]
    assert both["document_ids"].tolist() == [0] * 7 + [1] * 7
    assert both["position_ids"].tolist() == [*range(7), *range(7)]
    assert both["sample_id"] == ["clip-0000", "clip-0001"]


def test_rows_without_tokens_are_counted() -> None:
    data = in_memory(table([[5, 6], None, [], [7]]))
    tokens = TokenDataset(data, max_seq_len=8)
    assert ids_of(tokens) == [[5, 6], [7]]
    told = tokens.accounting
    assert (told.rows, told.empty, told.nulls, told.total, told.kept) == (4, 2, 1, 3, 3)


def test_labels_of_rows() -> None:
    names = datasets.ClassLabel(names=["professional", "beginner"])
    classes = datasets.Dataset.from_dict(
        {"tokens": [[5], [6]], "skill_tier": [0, 1], "overall_score": [50.0, None]},
        features=datasets.Features(
            {
                "tokens": datasets.List(datasets.Value("uint16")),
                "skill_tier": names,
                "overall_score": datasets.Value("float32"),
            }
        ),
    )
    tiers = TokenDataset(classes, target="skill_tier")
    assert [int(sample["label"]) for sample in tiers] == [3, 0]  # ids of the schema
    scores = TokenCollator(0, labels="row")(list(TokenDataset(classes, target="overall_score")))
    assert scores["labels"][0] == 0.5
    assert scores["label_mask"].tolist() == [True, False]
    pair = TokenDataset(classes, target=["overall_score"], mode="pack")[0]
    assert pair["label"].shape == (2, 1)


def test_a_label_that_cannot_be_names_its_row() -> None:
    data = in_memory(table([[5]], skill_tier=pa.array(["virtuoso"])))
    with pytest.raises(BrokenRowError, match="row 0, sample clip-0000: skill_tier must be one of"):
        TokenDataset(data, target="skill_tier")


def test_another_column_is_decoded_from_the_first() -> None:
    other = pa.array([[7, 8, 9], [4]], pa.list_(pa.uint16()))
    tokens = TokenDataset(in_memory(table([[5, 6], [7]], other=other)), target_column="other")
    assert [sample["target_ids"].tolist() for sample in tokens] == [[7, 8, 9], [4]]
    batch = TokenCollator(0, bos_id=1, seq2seq=True)(list(tokens))
    assert batch["decoder_input_ids"].tolist() == [[1, 7, 8], [1, 0, 0]]


def test_several_vocabularies_are_cut_anywhere() -> None:
    lists = [[[row, 2 * row] for row in range(5)], [[9, 9]]]
    tokens = TokenDataset(
        in_memory(pa.table({"tokens": lists})), max_seq_len=4, mode="window", bos=1
    )
    assert ids_of(tokens) == [
        [[1, 1], [0, 0], [1, 2], [2, 4]],
        [[3, 6], [4, 8]],
        [[1, 1], [9, 9]],
    ]


def test_transforms_see_every_sample(folder: Path) -> None:
    def doubled(sample: Any) -> Any:
        return sample | {"input_ids": 2 * sample["input_ids"]}

    tokens = TokenDataset(folder, transform=[doubled, doubled])
    plain = TokenDataset(folder)
    assert torch.equal(tokens[3]["input_ids"], 4 * plain[3]["input_ids"])
    tokens.set_transform(None)
    assert torch.equal(tokens[3]["input_ids"], plain[3]["input_ids"])
    with pytest.raises(TypeError, match="transform must be a function or None, got 3"):
        tokens.set_transform(3)  # type: ignore[arg-type]


def test_a_tokenizer_of_other_tokens_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(tokenizer_text(["PAD", "BOS"]))
    with pytest.raises(ValueError, match=r"column tokens was made by the tokenizer .*, not by"):
        TokenDataset(folder, tokenizer=other)
    same = TokenDataset(folder, tokenizer=str(folder / "tokenizers" / "tokens.json"))
    assert same.vocabulary is not None
    with pytest.raises(ValueError, match=r"row 0: id 5 is none of .*other\.json, whose ids are be"):
        TokenDataset(in_memory(table(clips())), tokenizer=other)


def test_a_changed_tokenizer_stops_before_training(folder: Path, tmp_path: Path) -> None:
    copy = write_folder(tmp_path / "copy", clips(3))
    path = copy / "tokenizers" / "tokens.json"
    path.write_text(path.read_text().replace("Velocity_1", "Velocity_9"))
    with pytest.raises(ValueError, match=r"tokens\.json was changed since it was written"):
        TokenDataset(copy)
    assert Vocabulary.read(folder / "tokenizers" / "tokens.json").special("PAD") == 0


@pytest.mark.parametrize(
    "of",
    [
        lambda hashes: {"tokenizers": hashes, "plan": {"tokens": ["grid"]}},
        lambda hashes: {"plan": {"tokens": hashes}},
    ],
    ids=["built", "imported"],
)
def test_another_tokenizer_than_that_of_the_manifest_is_refused(
    tmp_path: Path, of: Callable[[dict[str, str]], dict[str, Any]]
) -> None:
    copy = write_folder(tmp_path / "copy", clips(3))
    path = copy / "tokenizers" / "tokens.json"
    stated = json.loads(path.read_text())
    (copy / "manifest.json").write_text(json.dumps(of({"tokens": stated["hash"]})))
    assert TokenDataset(copy).vocabulary is not None
    names = [f"Other_{id_}" for id_ in range(len(stated["vocab"]))]  # of the same size
    path.write_text(tokenizer_text(names))
    with pytest.raises(ValueError, match=r"tokens\.json is another tokenizer than the one"):
        TokenDataset(copy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column": "tokens_ms"}, r"has no column tokens_ms in config midi_only: name another"),
        ({"config": "audio"}, r"config must be one of midi_only in .*, got 'audio'"),
        ({"split": "test"}, r"split must be one of train in .*, got 'test'"),
        ({"mode": "cut"}, "mode must be one of truncate, window, pack, got 'cut'"),
        ({"stride": 4}, "stride= is for mode='window', got mode='truncate'"),
        ({"max_seq_len": 1}, "max_seq_len must be an integer >= 2, got 1"),
        ({"mode": "pack", "prefix": 600}, "prefix must be at most half of max_seq_len"),
        ({"bos": 18}, "bos must be an id below 18, got 18"),
        ({"cut": "beat"}, "cut must be one of event, bar, token, got 'beat'"),
        ({"mode": "pack", "target_column": "tokens"}, "target_column= needs whole rows"),
    ],
)
def test_wrong_options_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TokenDataset(folder, **options)


def test_special_tokens_need_a_tokenizer() -> None:
    data = in_memory(table(clips(2)))
    with pytest.raises(ValueError, match="bos=True needs a tokenizer: pass tokenizer=, or an id"):
        TokenDataset(data, bos=True)
    assert TokenDataset(data, bos=0)[0]["input_ids"][0] == 0  # an id like any other
    with pytest.raises(FileNotFoundError, match="no folder nowhere"):
        TokenDataset("nowhere")
    with pytest.raises(TypeError, match=r"tokens come from a folder.*got a int"):
        TokenDataset(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("streaming", [False, True])
def test_damaged_files_are_named_or_left_out(tmp_path: Path, *, streaming: bool) -> None:
    folder = write_folder(tmp_path / "data", clips(12))
    path = folder / "midi_only" / "train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BrokenRowError, match=r"train-00001-of-00002\.parquet: not a whole Parquet"):
        list(TokenDataset(folder, streaming=streaming))
    tokens = TokenDataset(folder, streaming=streaming, on_error="skip")
    assert ids_of(tokens) == clips(12)[:6]
    assert [Path(each.file).name for each in tokens.broken] == [path.name]
    path.unlink()
    with pytest.raises(BrokenRowError, match="the file is missing"):
        TokenDataset(folder, streaming=streaming)


def test_a_tokenizer_file_is_kept_whole(folder: Path) -> None:
    text = (folder / "tokenizers" / "tokens.json").read_text()
    found = TokenDataset(folder).vocabulary
    assert found is not None
    assert found.text == text
    assert json.loads(text)["hash"] == found.hash
