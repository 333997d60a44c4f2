"""Token files of MidiTok and of Aria become sequences like any others."""

import json
from pathlib import Path

import pytest

from sousa.builders.tokens import parse_tokenizers, to_json
from sousa.loaders import TokenDataset, Vocabulary, read_aria_jsonl, read_miditok_json


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_miditok_files_are_rows(tmp_path: Path) -> None:
    write(tmp_path / "b.json", {"ids": [4, 5, 6], "are_ids_encoded": False})
    write(tmp_path / "ä" / "a.json", {"ids": [[7, 8], [9]]})  # two tracks
    write(tmp_path / "c.json", {"ids": []})
    rows = read_miditok_json(tmp_path).to_dict()
    assert rows["sample_id"] == ["b.json", "c.json", "ä/a.json:0", "ä/a.json:1"]
    assert rows["tokens"] == [[4, 5, 6], [], [7, 8], [9]]
    tokens = TokenDataset(tmp_path, max_seq_len=4, mode="pack", eos=2)
    assert tokens.accounting.total == tokens.accounting.kept == 6


def test_miditok_files_of_several_vocabularies(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {"ids": [[4, 5, 6], [7, 8, 9]]})
    assert read_miditok_json(tmp_path)[0]["tokens"] == [[4, 5, 6], [7, 8, 9]]


def test_miditok_writes_what_we_read(tmp_path: Path) -> None:
    """`save_tokens` of MidiTok itself is the oracle."""
    package = pytest.importorskip("miditok")
    tokenizer = package.TSD(package.TokenizerConfig(use_programs=False))
    sequence = package.TokSequence(ids=[4, 9, 12])
    tokenizer.save_tokens(sequence, tmp_path / "one.json")
    assert read_miditok_json([tmp_path / "one.json"])[0]["tokens"] == [4, 9, 12]


@pytest.mark.parametrize("content", [{"tokens": [1]}, [1], {"ids": ["a"]}, {"ids": 3}])
def test_other_json_is_refused(tmp_path: Path, content: object) -> None:
    path = write(tmp_path / "a.json", content)
    with pytest.raises(ValueError, match=r"a\.json is no token file of MidiTok"):
        read_miditok_json([path])


def test_ids_too_large_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {"ids": [4, 70_000]})
    with pytest.raises(ValueError, match="ids that are no whole numbers in"):
        read_miditok_json(tmp_path)


def test_aria_lines_are_rows(tmp_path: Path) -> None:
    header = {"tokenizer_name": "abs", "tokenizer_config": {}, "max_seq_len": 6}
    first = [["prefix", "instrument", "piano"], "<S>", ["piano", 60, 45], ["onset", 0], "<E>"]
    lines = [header, first, ["<S>", ["piano", 60, 45], "<E>", "<P>", "<P>"]]
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    rows, vocabulary = read_aria_jsonl(path)
    assert vocabulary.type == "aria:abs"
    assert vocabulary.special_ids == {"PAD": 0, "BOS": 1, "EOS": 2}
    names = {id_: name for name, id_ in vocabulary.tokens.items()}
    back = [[names[id_] for id_ in row] for row in rows["tokens"]]
    assert back == [
        ["prefix_instrument_piano", "BOS", "piano_60_45", "onset_0", "EOS"],
        ["BOS", "piano_60_45", "EOS", "PAD", "PAD"],
    ]
    tokens = TokenDataset(path, max_seq_len=8)
    assert tokens[0]["input_ids"].tolist() == rows[0]["tokens"]
    assert tokens.vocabulary is not None
    assert tokens.vocabulary.hash == vocabulary.hash


def test_lines_that_are_no_tokens_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"tokenizer_name": "abs"}\n["a"]\n"b"\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 3: it must be a list of tokens"):
        read_aria_jsonl(path)
    path.write_text('["a"\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 1: no JSON"):
        read_aria_jsonl(path)


@pytest.mark.parametrize(("name", "depth"), [("REMI", 1), ("Octuple", 2)])
def test_columns_of_miditok_know_their_tokenizer(tmp_path: Path, name: str, depth: int) -> None:
    """Its file is one that MidiTok loads; its special tokens and events are known from it."""
    package = pytest.importorskip("miditok")
    config = tmp_path / "config.json"
    package.TokenizerConfig(use_programs=True).save_to_json(config)
    ((column, tokenizer),) = parse_tokenizers([f"{name.lower()}:{config}"]).items()
    found = Vocabulary.parse(to_json(tokenizer), column)
    assert found.hash == tokenizer.hash
    assert found.special_ids == {"PAD": 0, "BOS": 1, "EOS": 2, "MASK": 3}
    assert found.size == 1 + max(tokenizer.vocab.values())
    begins = found.mask(found.starts)
    assert begins.any() == (depth == 1)
