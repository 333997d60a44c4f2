"""Subwords stand for ids of a token column, and for nothing else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midi_corpus import UNENDED, song
from tokenizers import Tokenizer

from sousa.builders import cli, midi, subword_models, subword_tokens
from sousa.builders.build import build
from sousa.builders.plan import Plan
from sousa.builders.subword_models import train
from sousa.builders.subword_tokens import MODELS, SubwordTokenizer
from sousa.builders.subword_training import Training, trained
from sousa.builders.subword_words import as_ids, as_text, split_of
from sousa.builders.tokens import load_tokenizer
from sousa.builders.validate import validate
from sousa.loaders import TokenDataset

COLUMNS = [f"tokens_{model}" for model in MODELS]
SIZE = 1400

CHILD = """
import sys
from pathlib import Path
from sousa.builders.subword_training import Training, trained
found = trained(Path(sys.argv[1]), Training(model=sys.argv[2], vocab_size=1400))
sys.stdout.write(found.tokenizer.to_json())
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain") / "out"
    plan = Plan(players=12, rudiments=("flam",), seed=3, configs=("midi_only", "labels_only"))
    build(plan, out, engine="serial")
    return out


@pytest.fixture(scope="module")
def folder(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder with a column of each model."""
    out = Path(shutil.copytree(plain, tmp_path_factory.mktemp("more") / "out"))
    for model in MODELS:
        options = ["--model", model, "--vocab-size", str(SIZE), "--workers", "1"]
        assert cli.main(["tokenizer", "train", str(out), *options]) == 0
    return out


def of(folder: Path, column: str) -> SubwordTokenizer:
    found = load_tokenizer(folder / "tokenizers" / f"{column}.json")
    assert isinstance(found, SubwordTokenizer)
    return found


def rows(folder: Path) -> list[dict[str, object]]:
    shards = sorted((folder / "midi_only").glob("*.parquet"))
    names = ["midi", "tokens", *COLUMNS]
    return [row for shard in shards for row in pq.read_table(shard, columns=names).to_pylist()]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_new_column_says_what_the_old_one_does_in_fewer_ids(folder: Path, column: str) -> None:
    tokenizer = of(folder, column)
    found = rows(folder)
    for row in found:
        assert tokenizer.expand(row[column]).tolist() == row["tokens"]
        assert tokenizer.encode(row["midi"]).tolist() == row[column]
        assert tokenizer.decode(row[column]) == tokenizer.base.decode(row["tokens"])
    assert sum(len(row[column]) for row in found) < 0.9 * sum(len(row["tokens"]) for row in found)
    assert tokenizer.to_json() == (folder / "tokenizers" / f"{column}.json").read_text()


@pytest.mark.parametrize("column", COLUMNS)
def test_ids_of_the_base_stay_and_no_subword_reaches_over_an_event(
    folder: Path, column: str
) -> None:
    tokenizer = of(folder, column)
    base = tokenizer.base.vocab
    assert len(base) < len(tokenizer.vocab) <= SIZE
    assert sorted(tokenizer.vocab.values()) == list(range(len(tokenizer.vocab)))
    assert {name: tokenizer.vocab[name] for name in base} == base
    assert tokenizer.special_ids == tokenizer.base.special_ids
    for name in tokenizer.vocab:
        later = name.split("_+")[1:]
        assert not {part.partition("_")[0] for part in later} & {"Bar", "Position"}


@pytest.mark.parametrize("column", COLUMNS)
def test_any_ids_of_the_base_come_back(folder: Path, column: str) -> None:
    tokenizer = of(folder, column)
    most = len(tokenizer.base.vocab) - 1
    known = [row["tokens"] for row in rows(folder)]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.one_of(st.lists(st.integers(0, most)), st.sampled_from(known)), max_size=4))
    def holds(parts: list[list[int]]) -> None:
        ids = [id_ for part in parts for id_ in part]
        assert tokenizer.expand(tokenizer.compress(ids)).tolist() == ids

    holds()
    long = [most] * 1000  # no event begins: more than the longest word
    assert tokenizer.expand(tokenizer.compress(long)).tolist() == long


@pytest.mark.parametrize("column", COLUMNS)
def test_many_files_give_what_each_gives_and_what_the_package_does(
    folder: Path, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when words are forgotten in between."""
    tokenizer = of(folder, column)
    files = [row["midi"] for row in rows(folder)]
    rng = np.random.default_rng(0)
    files += [
        midi.encode(midi.Notes(np.cumsum(rng.integers(1, 300, n)), rng.integers(1, 128, n), 90, 4))
        for n in (0, 1, 50, 200)
    ]
    split = split_of(tokenizer.base.vocab, subword_tokens.event_starts(tokenizer.base))
    model = Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_json())["model"]))
    words = split.words([tokenizer.base.encode(file) for file in files])
    expected = [model.encode(row, is_pretokenized=True).ids for row in words]
    for most in (subword_tokens.MOST_KNOWN, 10):
        monkeypatch.setattr(subword_tokens, "MOST_KNOWN", most)
        assert [each.ids.tolist() for each in tokenizer.tokenize(files)] == expected
        assert [tokenizer.encode(file).tolist() for file in files] == expected


def test_words_begin_at_events_and_are_never_too_long() -> None:
    split = split_of({"a": 0, "Bar": 1}, ("Bar",))
    long = np.zeros(300, np.uint16)
    rows = [
        np.array([1, 0, 0, 1], np.uint16),
        long[:0],
        np.array([0, 1], np.uint16),
        long,
        long[:1],
    ]
    found = [[as_ids(word).tolist() for word in row] for row in split.words(rows)]
    assert found == [
        [[1, 0, 0], [1]],
        [],
        [[0], [1]],
        [[0] * 128, [0] * 128, [0] * 44],
        [[0]],
    ]
    assert split.words([]) == []


def test_folder_is_valid_and_loads(folder: Path, plain: Path) -> None:
    assert validate(folder).findings == []
    for path in (plain / "labels_only").glob("*.parquet"):
        assert path.read_bytes() == (folder / "labels_only" / path.name).read_bytes()
    expected = [row["tokens_bpe"] for row in rows(folder)]
    dataset = TokenDataset(folder, split="train", column="tokens_bpe", max_seq_len=4096)
    found = [np.asarray(dataset[place]["input_ids"]).tolist() for place in range(len(dataset))]
    assert len(found) > 0
    assert all(ids in expected for ids in found)


@pytest.mark.parametrize("model", MODELS)
def test_another_process_gives_the_same_file(folder: Path, plain: Path, model: str) -> None:
    command = [sys.executable, "-c", CHILD, str(plain), model]
    child = subprocess.run(command, capture_output=True, text=True, check=True)
    assert child.stdout == of(folder, f"tokens_{model}").to_json()


def test_of_many_rows_some_are_drawn_by_the_seed(plain: Path) -> None:
    def of_seed(seed: int) -> str:
        found = trained(plain, Training(vocab_size=SIZE, max_rows=2, seed=seed))
        assert (found.rows, found.of_rows > 2) == (2, True)
        return json.dumps(json.loads(found.tokenizer.to_json())["model"])

    assert of_seed(1) == of_seed(1)
    assert len({of_seed(seed) for seed in range(4)}) > 1


def pieces(model: str, words: list[str], vocab_size: int) -> dict[str, int]:
    """Subwords of words over the ids 0 to 3, as digits."""
    texts = [as_text(np.array([int(digit) for digit in word])) for word in words]
    vocab = train(model, [texts], 4, vocab_size).get_vocab()
    return {"".join(map(str, as_ids(piece).tolist())): id_ for piece, id_ in vocab.items()}


@pytest.mark.parametrize("model", ["bpe", "wordpiece"])
def test_bpe_merges_the_most_frequent_pair_first(model: str) -> None:
    """`01` is there four times, then `01` `2` three times; `03` once, which is too little."""
    words = ["012", "012", "012", "01", "03"]
    expected = {"0": 0, "1": 1, "2": 2, "3": 3, "01": 4, "012": 5}
    assert pieces(model, words, 100) == expected
    assert pieces(model, words, 5) == {name: id_ for name, id_ in expected.items() if id_ < 5}


def test_unigram_keeps_what_the_likeliest_splits_use() -> None:
    """`012` is one subword wherever it stands, so none within it is used twice."""
    assert pieces("unigram", ["012"] * 3 + ["0123"] * 2 + ["3"] * 9, 5).keys() == {*"0123", "012"}


def test_unigram_forgets_the_rarest_parts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """`012` is there before `13` and `20`, and more often, so no limit makes it forgotten."""
    monkeypatch.setattr(subword_models, "MOST_PARTS", 2)
    words = ["012"] * 9 + ["13"] * 2 + ["20"] * 2 + ["31"]
    found = pieces("unigram", words, 8).keys()
    assert "012" in found
    assert "13" not in found


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--vocab-size", "600"], 2, "vocab_size must be more than the 998 ids of tokens, got 600"),
        (["--vocab-size", "65537"], 2, "vocab_size must be at most 65536, got 65537"),
        (["--column", "tokens_ms"], 2, "column must be one of tokens, tokens_bpe"),
        (["--column", "nope"], 2, "column must be one of tokens, tokens_bpe"),
        (["--column", "tokens_bpe"], 2, "tokens_bpe has subwords already"),
        (["--name", "tokens_ms"], 2, "must not be that of another tokenizer, got 'tokens_ms'"),
        (["--name", "midi"], 2, "name must be like tokens_bpe, got 'midi'"),
        (["--name", "tokens_a_exact"], 2, "name must be like tokens_bpe, got 'tokens_a_exact'"),
        (["--max-rows", "0"], 2, "max_rows must be at least 1, got 0"),
        (["--model", "lzw"], 2, "invalid choice: 'lzw'"),
        (["--workers", "0"], 2, "--workers must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, message: str
) -> None:
    assert cli.main(["tokenizer", "train", str(folder), *options]) == code
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_what_is_no_dataset_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tokenizer", "train", str(tmp_path)]) == 1
    assert "holds no finished dataset: it has no manifest.json" in capsys.readouterr().err
    assert cli.main(["tokenizer", "train", ""]) == 2
    assert "the name of a folder is needed" in capsys.readouterr().err


def test_without_the_package_it_says_what_to_install(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subword_tokens.package.cache_clear()
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ValueError, match=r'pip install "sousa-datasets\[miditok\]"'):
        trained(plain, Training())


def test_ids_and_files_of_others_are_refused(folder: Path, tmp_path: Path) -> None:
    tokenizer = of(folder, "tokens_bpe")
    most = len(tokenizer.vocab)
    for ids in ([most], [-1], [1.5], ["1"], [None], [[1]]):
        with pytest.raises(
            ValueError, match=rf"whole numbers in \[0, {most - 1}\], got .* place 0"
        ):
            tokenizer.decode(ids)
    for ids in ([998], [-1], [1.5]):
        with pytest.raises(ValueError, match=r"whole numbers in \[0, 997\], got .* place 0"):
            tokenizer.compress(ids)
    changed = tmp_path / "tokens_bpe.json"
    content = json.loads(tokenizer.to_json())
    changed.write_text(json.dumps(content | {"training": {}}))
    with pytest.raises(ValueError, match="vocabulary or hash is not that of this version"):
        load_tokenizer(changed)


def test_rows_that_the_base_could_not_store_stay_empty(tmp_path: Path) -> None:
    """MidiTok makes two sequences of a song's two tracks, so its row has none."""
    source, out, config = tmp_path / "source", tmp_path / "out", tmp_path / "remi.json"
    source.mkdir()
    (source / "song.mid").write_bytes(song(1))
    (source / "one track.mid").write_bytes(UNENDED)
    config.write_text("{}")
    options = ["--tokens", f"grid,remi:{config}", "--workers", "1", "--split", "1"]
    assert cli.main(["import", "midi", str(source), str(out), *options]) == 0
    train_it = ["tokenizer", "train", str(out), "--column", "tokens_remi", "--name", "tokens_wp"]
    assert cli.main([*train_it, "--model", "wordpiece", "--workers", "1"]) == 0
    tokenizer = of(out, "tokens_wp")
    table = pq.read_table(next((out / "midi_only").glob("train-*.parquet")))
    assert table["tokens_wp_exact"].equals(table["tokens_remi_exact"])
    pairs = list(zip(table["tokens_wp"].to_pylist(), table["tokens_remi"].to_pylist(), strict=True))
    for found, base in pairs:
        assert (None if found is None else tokenizer.expand(found).tolist()) == base
    assert sorted(found is None for found, _ in pairs) == [False, True]
    assert validate(out).findings == []
