"""Batches of sequences: padding, labels, masks, places of documents."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from token_data import clips, in_memory, table, vocabulary

from sousa.loaders import TokenCollator, TokenDataset

PAD = 0


def sample(*ids: int, **more: Any) -> dict[str, Any]:
    return {"input_ids": torch.tensor(ids), **more}


@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=7), min_size=1, max_size=5),
    st.sampled_from(["right", "left"]),
    st.sampled_from(["shift", "copy"]),
)
def test_batches_are_the_sequences_and_padding(
    lists: list[list[int]], side: str, labels: str
) -> None:
    batch = TokenCollator(PAD, side, labels)([sample(*ids) for ids in lists])
    longest = max(map(len, lists))
    for row, ids in enumerate(lists):
        pad = longest - len(ids)
        said = [*ids[1:], -100] if labels == "shift" else [-100, *ids[1:]]
        for key, value, fill in (("input_ids", ids, PAD), ("labels", said, -100)):
            whole = [fill] * pad + value if side == "left" else value + [fill] * pad
            assert batch[key][row].tolist() == whole
        assert batch["attention_mask"][row].sum() == len(ids)
        assert batch["lengths"][row] == len(ids)


def test_a_token_equal_to_padding_is_a_token() -> None:
    batch = TokenCollator(PAD)([sample(5, PAD, 6), sample(7)])
    assert batch["attention_mask"].tolist() == [[True] * 3, [True, False, False]]
    assert batch["labels"][0].tolist() == [PAD, 6, -100]


def test_packed_documents_by_hand() -> None:
    """Two clips in one sequence: nothing is learnt across their ends, and places begin anew."""
    packed = sample(4, 5, 6, 7, 8, cu_seqlens=torch.tensor([0, 3, 5]), document_ids=torch.zeros(5))
    short = sample(9, 10, cu_seqlens=torch.tensor([0, 2]), document_ids=torch.zeros(2))
    batch = TokenCollator(PAD)([packed, short])
    assert batch["labels"].tolist() == [[5, 6, -100, 8, -100], [10, -100, -100, -100, -100]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1], [0, 1, 0, 0, 0]]
    assert batch["document_ids"].tolist() == [[0, 0, 0, 1, 1], [0, 0, -1, -1, -1]]
    assert batch["cu_seqlens"].tolist() == [0, 3, 5, 7]
    assert batch["max_seqlen"] == 3
    flat = TokenCollator(PAD, "none")([packed, short])
    assert flat["input_ids"].tolist() == [[4, 5, 6, 7, 8, 9, 10]]
    assert flat["document_ids"].tolist() == [[0, 0, 0, 1, 1, 2, 2]]


def test_the_loss_mask_decides_what_is_learnt() -> None:
    masked = sample(4, 5, 6, loss_mask=torch.tensor([False, False, True]))
    assert TokenCollator(PAD)([masked])["labels"].tolist() == [[-100, 6, -100]]
    assert TokenCollator(PAD, labels="copy")([masked])["labels"].tolist() == [[-100, -100, 6]]


def test_bos_and_eos_also_where_their_id_is_0() -> None:
    batch = TokenCollator(9, bos_id=0, eos_id=1)([sample(4, 5), sample(6)])
    assert batch["input_ids"].tolist() == [[0, 4, 5, 1], [0, 6, 1, 9]]
    assert batch["labels"].tolist() == [[4, 5, 1, -100], [6, 1, -100, -100]]


def test_sequence_to_sequence() -> None:
    given_ = sample(4, 5, target_ids=torch.tensor([6, 7, 8]))
    batch = TokenCollator(PAD, bos_id=1, eos_id=2, seq2seq=True)([given_])
    assert batch["input_ids"].tolist() == [[4, 5]]
    assert batch["decoder_input_ids"].tolist() == [[1, 6, 7, 8]]
    assert batch["labels"].tolist() == [[6, 7, 8, 2]]
    own = TokenCollator(PAD, seq2seq=True)([sample(4, 5, 6), sample(7, 8)])
    assert own["decoder_input_ids"].tolist() == [[4, 5], [7, 0]]
    assert own["labels"].tolist() == [[5, 6], [8, -100]]
    assert own["decoder_attention_mask"].tolist() == [[True, True], [True, False]]


def test_names_and_labels_of_rows() -> None:
    rows = [sample(4, 5, label=torch.tensor(2)), sample(6, label=torch.tensor(0))]
    names = {"input_ids": "src", "labels": "tgt", "attention_mask": "mask", "loss_mask": None}
    batch = TokenCollator(PAD, names=names)(rows)
    assert set(batch) == {"src", "tgt", "mask", "lengths", "row_labels"}
    assert TokenCollator(PAD, labels="row")(rows)["labels"].tolist() == [2, 0]
    assert "labels" not in TokenCollator(PAD, labels=None)(rows)
    assert TokenCollator(PAD, multiple_of=8)(rows)["input_ids"].shape == (2, 8)


def test_several_vocabularies() -> None:
    rows = [{"input_ids": torch.tensor([[1, 2], [3, 4]])}, {"input_ids": torch.tensor([[5, 6]])}]
    batch = TokenCollator(PAD, "left")(rows)
    assert batch["input_ids"].tolist() == [[[1, 2], [3, 4]], [[0, 0], [5, 6]]]
    assert batch["labels"].tolist() == [[[3, 4], [-100] * 2], [[-100] * 2] * 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pad_id": -1}, "pad_id must be an integer >= 0, got -1"),
        ({"side": "top"}, "side must be one of right, left, none, got 'top'"),
        ({"labels": "next"}, "labels must be one of shift, copy, row, got 'next'"),
        ({"names": {"ids": "x"}}, "names must be one of input_ids, .*, got 'ids'"),
        ({"seq2seq": True, "side": "none"}, "seq2seq=True needs padding"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TokenCollator(**{"pad_id": 0, **options})


def test_batches_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample, got none"):
        TokenCollator(PAD)([])
    with pytest.raises(ValueError, match="labels='row' needs samples with a label"):
        TokenCollator(PAD, labels="row")([sample(4)])


@pytest.mark.parametrize("mode", ["truncate", "window", "pack"])
def test_pairs_and_batches_say_the_same(mode: str) -> None:
    """What `pair` shows of a sequence is what the collator makes of its sample."""
    data = in_memory(table(clips(12)))
    tokens = TokenDataset(data, max_seq_len=24, mode=mode, bos=1, eos=2, tokenizer=vocabulary())
    for index in range(len(tokens)):
        pair, batch = tokens.pair(index), TokenCollator(PAD)([tokens[index]])
        assert torch.equal(pair.src, batch["input_ids"][0])
        assert torch.equal(pair.tgt, batch["labels"][0])
        assert np.array_equal(pair.mask, batch["labels"][0] != -100)
    assert torch.equal(tokens.pair(-1).src, tokens[-1]["input_ids"])
    with pytest.raises(IndexError, match=r"index must be in \[-\d+, \d+\), got 1000"):
        tokens.pair(1000)
