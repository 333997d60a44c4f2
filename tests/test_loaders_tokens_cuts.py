"""Every token is in a sequence or counted as dropped; sequences fit, and begin with events."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_data import BAR, FAST, FIRST, LOUD, SIG, SLOW, SOFT, clip, rows_of, vocabulary

from sousa.loaders.token_packing import packed
from sousa.loaders.token_rules import Rules, rules_of
from sousa.loaders.token_sequences import Sequences
from sousa.loaders.token_values import check_ids, ragged
from sousa.loaders.token_vocabulary import Vocabulary

VOCABULARY = vocabulary()
BOS, EOS = 1, 2


def rules(most: int, mode: str, **options: object) -> Rules:
    wanted = {"stride": None, "cut": "event", "bos": None, "eos": None, "prefix": None}
    return rules_of(VOCABULARY, most=most, mode=mode, **(wanted | options))  # type: ignore[arg-type]


def lists_of(sequences: Sequences) -> list[list[int]]:
    return [sequences.flat(np.array([at])).ids.tolist() for at in range(len(sequences))]


def written(made: Sequences) -> list[list[int]]:
    """Each piece as its parts say, token by token."""
    ids, pieces, how = made.rows.values.tolist(), made.pieces, made.rules
    expected = []
    for at in range(len(pieces)):
        prefix = [ids[where] for where in pieces.prefix[at] if where >= 0]
        body = ids[pieces.start[at] : pieces.stop[at]]
        bos = [how.bos] if how.bos is not None and pieces.head[at] else []
        eos = [how.eos] if how.eos is not None and pieces.tail[at] else []
        expected.append([*bos, *prefix, *body, *eos])
    return expected


@st.composite
def any_rules(draw: st.DrawFn) -> Rules:
    mode = draw(st.sampled_from(["truncate", "window", "pack"]))
    stride = draw(st.none() | st.integers(1, 40)) if mode == "window" else None
    return rules(
        draw(st.integers(6, 30)),
        mode,
        stride=stride,
        cut=draw(st.sampled_from(["event", "bar", "token"])),
        bos=draw(st.sampled_from([None, BOS])),
        eos=draw(st.sampled_from([None, EOS])),
        prefix=draw(st.sampled_from([None, 0, 1, 3])),
    )


ANY_ROWS = st.lists(st.lists(st.integers(4, 17), max_size=60), max_size=8)
CLIPS = st.lists(st.builds(clip, st.integers(0, 9), st.integers(0, 40)), max_size=8)


@given(ANY_ROWS | CLIPS, any_rules())
def test_every_token_is_accounted_for(lists: list[list[int]], how: Rules) -> None:
    """Counted from the pieces one by one, the sums are those of `accounting`."""
    rows = rows_of(lists)
    made = Sequences.of(rows, how)
    copies = np.zeros(len(rows.values), int)
    for start, stop in zip(made.pieces.start, made.pieces.stop, strict=True):
        assert start < stop
        copies[start:stop] += 1
    told = made.accounting
    assert told.total == told.kept + told.dropped == sum(map(len, lists))
    assert (told.kept, told.dropped) == ((copies > 0).sum(), (copies == 0).sum())
    assert told.repeated == copies.sum() - told.kept
    found = sorted(lists_of(made)) if how.mode != "pack" else None
    assert found in (None, sorted(written(made)))
    lengths = [len(each) for each in lists_of(made)]
    assert sum(lengths) == told.kept + told.repeated + told.added
    assert max(lengths, default=0) <= how.most
    assert (told.rows, told.empty) == (len(lists), sum(not each for each in lists))
    assert set(made.pieces.row.tolist()) == {row for row, ids in enumerate(lists) if ids}


@given(ANY_ROWS | CLIPS, any_rules())
def test_pieces_begin_with_events(lists: list[list[int]], how: Rules) -> None:
    rows = rows_of(lists)
    pieces = Sequences.of(rows, how).pieces
    later = ~pieces.head & ~pieces.inside
    if how.begins is not None:
        first = rows.values[pieces.start[later]]
        assert how.events is not None
        assert (how.begins[first] | how.events[first]).all()


@given(ANY_ROWS | CLIPS, any_rules().filter(lambda how: how.mode != "truncate"))
def test_without_a_stride_pieces_are_the_rows_again(lists: list[list[int]], how: Rules) -> None:
    rows = rows_of(lists)
    made = Sequences.of(rows, how)
    if how.stride is None:
        order = np.lexsort((made.pieces.start, made.pieces.row))
        spans = zip(made.pieces.start[order], made.pieces.stop[order], strict=True)
        again = [id_ for start, stop in spans for id_ in rows.values[start:stop].tolist()]
        assert again == rows.values.tolist()
    if how.stride is None or how.stride == 1:
        assert made.accounting.dropped == 0
        assert sum(map(len, lists_of(made))) == sum(map(len, written(made)))
        sizes = [each for each in lists if each]
        flat = [id_ for each in lists_of(made) for id_ in each]
        assert flat.count(BOS) == (len(sizes) if how.bos else 0)
        assert flat.count(EOS) == (len(sizes) if how.eos else 0)


@given(CLIPS.filter(bool), any_rules().filter(lambda how: how.mode == "window"))
def test_windows_of_a_row_are_the_same_whatever_follows_it(
    lists: list[list[int]], how: Rules
) -> None:
    together = Sequences.of(rows_of(lists), how)
    alone = [Sequences.of(rows_of([each]), how) for each in lists]
    assert lists_of(together) == [ids for each in alone for ids in lists_of(each)]


def test_a_stride_beyond_the_end_of_a_row_ends_it() -> None:
    """EOS has no room in a first window of 6, so there is a second one; 7 more is beyond."""
    row = [SIG, SLOW, FIRST, SOFT, FIRST + 1, LOUD]
    lists = [[*row, FIRST, SOFT], row]
    assert lists_of(Sequences.of(rows_of(lists), rules(6, "window", stride=6, eos=EOS))) == [
        row,
        [SIG, SLOW, FIRST, SOFT, EOS],
        row[:4],
        [SIG, SLOW, FIRST + 1, LOUD, EOS],
    ]
    made = Sequences.of(rows_of(lists), rules(6, "window", stride=100))
    assert lists_of(made) == [row, row]
    assert made.accounting.dropped == 2


def test_windows_by_hand() -> None:
    """9 tokens in sequences of 6: a first one with BOS, a second with the header and EOS."""
    row = [SIG, SLOW, BAR, FIRST, SOFT, FIRST + 1, LOUD, FIRST + 2, SOFT]
    made = Sequences.of(rows_of([row]), rules(6, "window", bos=BOS, eos=EOS))
    assert lists_of(made) == [
        [BOS, SIG, SLOW, BAR, FIRST, SOFT],
        [SIG, SLOW, FIRST + 1, LOUD],
        [SIG, SLOW, FIRST + 2, SOFT, EOS],
    ]
    told = made.accounting
    assert (told.total, told.kept, told.dropped, told.added) == (9, 9, 0, 6)


def test_the_prefix_says_the_tempo_that_holds() -> None:
    row = [SIG, SLOW, BAR, FIRST, SOFT, FIRST + 1, FAST, FIRST + 2, LOUD, FIRST + 3, SOFT]
    made = Sequences.of(rows_of([row]), rules(6, "window"))
    assert lists_of(made)[1:] == [
        [SIG, SLOW, FIRST + 1, FAST, FIRST + 2, LOUD],
        [SIG, FAST, FIRST + 3, SOFT],
    ]


def test_a_stride_overlaps_and_the_loss_mask_leaves_the_prefix_out() -> None:
    made = Sequences.of(rows_of([clip(0, 6)]), rules(8, "window", stride=4))
    second = made.flat(np.array([1]))
    assert second.ids.tolist()[:2] == [SIG, FAST]
    assert second.learnt.tolist() == [False, False] + [True] * (len(second.ids) - 2)
    assert made.accounting.repeated > 0


def test_bars_are_not_cut_where_they_fit() -> None:
    made = Sequences.of(rows_of([clip(0, 12)]), rules(13, "window", cut="bar"))
    assert [each[2] for each in lists_of(made)] == [BAR, BAR, BAR]
    assert {len(each) for each in lists_of(made)} == {11}


def test_an_event_longer_than_a_sequence_is_cut_and_counted() -> None:
    made = Sequences.of(rows_of([[BAR] + [SOFT] * 9]), rules(4, "window"))
    assert made.accounting.inside == 2
    assert made.accounting.dropped == 0


def test_a_tokenizer_without_bars_cannot_cut_there() -> None:
    other = vocabulary(["PAD", "Shift_1", "Velocity_1"])
    with pytest.raises(ValueError, match=r"cut='bar' needs Bar tokens.*have none: cut='event'"):
        rules_of(other, most=8, mode="pack", stride=None, cut="bar", bos=None, eos=None, prefix=0)


@given(st.lists(st.integers(1, 20), max_size=60), st.integers(20, 40))
def test_packs_are_those_of_best_fit_decreasing(lengths: list[int], capacity: int) -> None:
    """As many, and as full, as by the textbook's loop over one document after the other."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [room for room in rooms if room >= length]
        if fitting:
            rooms.remove(min(fitting))
        rooms.append((min(fitting) if fitting else capacity) - length)
    pack = packed(np.array(lengths, np.int64), capacity)
    sums = np.bincount(pack, lengths).astype(int).tolist() if lengths else []
    assert sorted(capacity - each for each in sums) == sorted(rooms)
    assert list(dict.fromkeys(pack.tolist())) == sorted(set(pack.tolist()))


def test_ids_of_another_tokenizer_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tokens, row 1: id 18 is none of .*ids are below 18"):
        check_ids(rows_of([[4, 5], [6, 18]]), VOCABULARY, "tokens")


def test_a_changed_tokenizer_is_refused() -> None:
    from token_data import tokenizer_text

    with pytest.raises(ValueError, match=r"x\.json was changed since it was written"):
        Vocabulary.parse(tokenizer_text().replace("Tempo_90", "Tempo_91"), "x.json")
    with pytest.raises(ValueError, match=r"x\.json is no tokenizer: it must be JSON"):
        Vocabulary.parse("[1]", "x.json")


@given(
    st.lists(st.none() | st.lists(st.integers(0, 17), max_size=5), max_size=9), st.integers(0, 3)
)
def test_columns_are_read_whatever_their_pieces(lists: list[list[int] | None], cut: int) -> None:
    kind = pa.list_(pa.uint16())
    whole = pa.array(lists, kind)
    column = pa.chunked_array([whole.slice(0, cut), whole.slice(cut)], kind)
    rows = ragged(column, "tokens")
    assert [rows.row(at).tolist() for at in range(rows.rows)] == [each or [] for each in lists]
    assert rows.nulls == lists.count(None)


def test_tokens_of_several_vocabularies_are_a_table() -> None:
    column = pa.chunked_array([pa.array([[[1, 2], [3, 4]], [], [[5, 6]]])])
    rows = ragged(column, "tokens")
    assert rows.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(ValueError, match="equally many ids for each token"):
        ragged(pa.chunked_array([pa.array([[[1, 2], [3]]])]), "tokens")
    with pytest.raises(ValueError, match=r"tokens holds string, not lists of token ids"):
        ragged(pa.chunked_array([pa.array(["a"])]), "tokens")
