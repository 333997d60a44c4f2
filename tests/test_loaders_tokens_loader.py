"""Batches of sequences come in an order that can be named, stopped and taken up again."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from token_data import clips, in_memory, table, vocabulary, write_folder

from sousa.loaders import (
    Loader,
    TokenCollator,
    TokenDataset,
    create_dataloader,
    create_token_dataloader,
)
from sousa.loaders.pages import Patience
from sousa.loaders.shards import Shards

KINDS = {
    "windows": {"max_seq_len": 16, "mode": "window", "eos": True},
    "packs": {"max_seq_len": 40, "mode": "pack", "bos": True},
    "stream": {"max_seq_len": 16, "mode": "window", "streaming": True},
    "packed stream": {"max_seq_len": 40, "mode": "pack", "streaming": True},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("tokens"), clips(150), shards=3, group_rows=9)


def batches(loader: Loader) -> list[list[list[int]]]:
    return [batch["input_ids"].tolist() for batch in loader]


def sequences(loader: Loader) -> Counter[tuple[int, ...]]:
    found: Counter[tuple[int, ...]] = Counter()
    for batch in loader:
        pairs = zip(batch["input_ids"].tolist(), batch["lengths"].tolist(), strict=True)
        found.update(tuple(ids[:length]) for ids, length in pairs)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("own", [False, True])
def test_more_processes_than_sequences_have_empty_batches(
    tmp_path: Path, kind: str, own: bool
) -> None:
    """Of the same keys and types, so that all processes go on together."""
    folder = write_folder(tmp_path / "few", [*clips(3), []], shards=1, group_rows=2)
    transform = (lambda sample: sample) if own else None
    tokens = TokenDataset(folder, transform=transform, **KINDS[kind])
    collator = (
        (lambda samples: TokenCollator(0, names={"max_seqlen": None})(samples)) if own else None
    )
    made = [
        list(create_token_dataloader(tokens, 4, collator=collator, rank=rank, world_size=20))
        for rank in range(20)
    ]
    assert {len(batches) for batches in made} == {1}
    sizes = [len(batch["input_ids"]) for (batch,) in made]
    assert set(sizes) == {0, 1}
    full, empty = made[sizes.index(1)][0], made[sizes.index(0)][0]
    assert full.keys() == empty.keys()
    assert empty["sample_ids"] == []
    for key in ("input_ids", "labels", "attention_mask"):
        assert empty[key].dtype == full[key].dtype
        assert empty[key].ndim == full[key].ndim
        assert empty[key].numel() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_is_a_function_of_seed_and_epoch(folder: Path, kind: str) -> None:
    tokens = TokenDataset(folder, **KINDS[kind])
    first = create_token_dataloader(tokens, 8, seed=3)
    epochs = [batches(first), batches(first)]
    again = create_token_dataloader(TokenDataset(folder, **KINDS[kind]), 8, num_workers=2, seed=3)
    again.set_epoch(1)
    assert batches(again) == epochs[1] != epochs[0]
    assert batches(create_token_dataloader(tokens, 8, seed=4)) != epochs[0]
    if "pack" not in kind:  # a packed stream puts other clips together in each epoch
        whole = sequences(create_token_dataloader(tokens, 8, shuffle=False))
        assert sequences(create_token_dataloader(tokens, 8)) == whole


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_from_any_batch(folder: Path, kind: str) -> None:
    tokens = TokenDataset(folder, **KINDS[kind])
    loader = create_token_dataloader(tokens, 8)
    whole, states = [], []
    for batch in loader:
        whole.append(batch["input_ids"].tolist())
        states.append(json.loads(json.dumps(loader.state_dict())))
    for made in range(0, len(states), 3):
        other = create_token_dataloader(TokenDataset(folder, **KINDS[kind]), 8, num_workers=1)
        other.load_state_dict(states[made])
        rest = batches(other)
        if made + 1 < len(whole):
            assert rest == whole[made + 1 :]
        else:
            assert rest != whole  # the next epoch


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_share_the_sequences(folder: Path, kind: str) -> None:
    tokens = TokenDataset(folder, **KINDS[kind])
    one = sequences(create_token_dataloader(tokens, 8))
    shares = [create_token_dataloader(tokens, 4, rank=rank, world_size=3) for rank in range(3)]
    found = [batches(loader) for loader in shares]
    assert {len(each) for each in found} == {len(found[0])}
    again = [create_token_dataloader(tokens, 4, rank=rank, world_size=3) for rank in range(3)]
    assert sum((sequences(loader) for loader in again), Counter()) == one


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"max_seq_len": 20}, "the state belongs to another loader: data was"),
        ({"eos": None}, "the state belongs to another loader: data was"),
        ({"prefix": 0}, "the state belongs to another loader: data was"),
    ],
)
def test_a_state_of_other_sequences_is_refused(
    folder: Path, changed: dict[str, Any], message: str
) -> None:
    options = KINDS["stream"] | {"eos": True}
    state = create_token_dataloader(TokenDataset(folder, **options), 8).state_dict()
    other = create_token_dataloader(TokenDataset(folder, **(options | changed)), 8)
    with pytest.raises(ValueError, match=message):
        other.load_state_dict(state)


def test_a_state_of_other_data_or_batches_is_refused() -> None:
    lists = clips(20)
    state = create_token_dataloader(loaded(lists), 4, collator=TokenCollator(0)).state_dict()
    lists[7][-1] ^= 1
    with pytest.raises(ValueError, match="data was"):
        create_token_dataloader(loaded(lists), 4).load_state_dict(state)
    with pytest.raises(ValueError, match="batch_size was 4 and is 5"):
        create_token_dataloader(loaded(clips(20)), 5).load_state_dict(state)


def loaded(lists: list[list[int]]) -> TokenDataset:
    return TokenDataset(in_memory(table(lists)), tokenizer=vocabulary())


def test_batches_are_those_of_the_collator(folder: Path) -> None:
    """What is gathered in one go is what the samples, one by one, would become."""
    for kind in ("windows", "packs"):
        tokens = TokenDataset(folder, **KINDS[kind])
        collator = TokenCollator(0, "left")
        loader = create_token_dataloader(tokens, 8, shuffle=False, collator=collator)
        made = list(loader)
        tokens.set_transform(lambda sample: sample)
        for fast, slow in zip(made, loader, strict=True):
            assert fast.keys() == slow.keys()
            for name, value in fast.items():
                same = torch.equal(value, slow[name]) if torch.is_tensor(value) else False
                assert same or value == slow[name], name


def test_lengths_and_figures(folder: Path) -> None:
    tokens = TokenDataset(folder, **KINDS["packs"])
    loader = create_token_dataloader(tokens, 8, drop_last=True)
    made = batches(loader)
    assert len(loader) == len(made) == len(tokens) // 8
    told = loader.stats()
    assert told.clips == 8 * len(made)
    assert 0 <= told.padding < 0.2
    streamed = create_token_dataloader(TokenDataset(folder, **KINDS["stream"]), 8)
    with pytest.raises(TypeError, match="nobody knows how many batches"):
        len(streamed)


def test_batches_are_changed_where_they_are_made(folder: Path) -> None:
    loader = create_token_dataloader(
        TokenDataset(folder), 8, batch_transform=lambda batch: {"ids": batch["input_ids"]}
    )
    assert all(set(batch) == {"ids"} for batch in loader)


@pytest.mark.parametrize("kind", KINDS)
def test_create_dataloader_takes_tokens(folder: Path, kind: str) -> None:
    tokens = TokenDataset(folder, **KINDS[kind])
    whole = batches(create_token_dataloader(tokens, 8, seed=3))
    assert batches(create_dataloader(tokens, 8, seed=3)) == whole
    again = create_dataloader(TokenDataset(folder, **KINDS[kind]), 8, num_workers=1, seed=3)
    for _ in zip(range(2), again, strict=False):
        state = again.state_dict()
    resumed = create_dataloader(TokenDataset(folder, **KINDS[kind]), 8, seed=3)
    resumed.load_state_dict(state)
    assert batches(resumed) == whole[2:]


def test_any_function_makes_batches(folder: Path) -> None:
    """Also one that makes no dict."""
    tokens = TokenDataset(folder)
    loader = create_dataloader(
        tokens, 8, shuffle=False, collate_fn=lambda samples: [s["sample_id"] for s in samples]
    )
    assert [name for batch in loader for name in batch] == [s["sample_id"] for s in tokens]
    with pytest.raises(TypeError, match="collator must be a function or None, got 3"):
        create_dataloader(tokens, collate_fn=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"stratify": "skill_tier"}, {"fixed_length": 8}, {"bucket": True}, {"timeout": 3}]
)
def test_options_of_sound_are_refused(folder: Path, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}= has no meaning for a TokenDataset: leave"):
        create_dataloader(TokenDataset(folder), **options)


def test_wrong_arguments_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="no tokenizer tells which id is PAD"):
        create_token_dataloader(in_memory(table(clips(2))))
    with pytest.raises(TypeError, match="shuffle must be True or False, got 1"):
        create_token_dataloader(folder, shuffle=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1, got 0"):
        create_token_dataloader(folder, 0)


@pytest.mark.parametrize(("columns", "rows"), [(("tokens",), 128), (("tokens", "audio"), 8)])
def test_streams_without_audio_are_read_many_rows_at_a_time(
    columns: tuple[str, ...], rows: int
) -> None:
    content = table(clips(300), audio=[{"bytes": b"", "path": ""}] * 300)
    shards = Shards(in_memory(content).to_iterable_dataset(), columns, "test")
    (first, *_) = shards.piece(0, 0, 0, Patience()).open().iter(rows)
    assert shards.piece(0, 0, 0, Patience()).chunk_rows == rows == first.num_rows
