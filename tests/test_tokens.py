"""Tokens of a snare lose nothing that they promise to keep, and their files are what they were."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.events import TICK, VELOCITY, read
from sousa.builders.midi import Notes, decode, encode
from sousa.builders.schema import HANDS, STROKE_TYPES
from sousa.builders.tokens import OWN_TYPES, TOKENIZERS, OwnTokenizer, load_tokenizer, to_json

notes = st.builds(
    lambda tick, velocity, tempo_bpm, beats: Notes(
        np.sort(np.array(tick[: len(velocity)], np.int64)),
        np.array(velocity[: len(tick)], np.int64),
        tempo_bpm,
        beats,
    ),
    st.lists(st.integers(0, 40_000), max_size=60),
    st.lists(st.integers(1, 127), max_size=60),
    st.integers(20, 300),
    st.integers(1, 12),
)
SIXTEENTHS = encode(Notes(np.arange(64) * 120 + 3, np.full(64, 90), 120, 4))
STROKES = {"hand": ["R", "L"], "stroke_type": ["accent", "tap"]}


def names_of(tokenizer: OwnTokenizer, ids: np.ndarray) -> str:
    names = {id_: name for name, id_ in tokenizer.vocab.items()}
    return " ".join(names[id_] for id_ in ids.tolist())


@given(notes)
def test_grid_tokens_give_the_same_file_back(played: Notes) -> None:
    tokenizer = TOKENIZERS["grid"]()
    midi = encode(played)
    ids = tokenizer.encode(midi)
    assert tokenizer.decode(ids) == midi
    assert not set(ids.tolist()) & set(tokenizer.special_ids.values())
    assert tokenizer.illegal_share(ids) == 0


@given(notes)
def test_clock_tokens_are_within_half_a_step(played: Notes) -> None:
    tokenizer = TOKENIZERS["ms"]()
    midi = encode(played)
    ids = tokenizer.encode(midi)
    again = read(tokenizer.decode(ids)).notes
    assert np.array_equal(again[:, VELOCITY], decode(midi).velocity)
    assert np.all(np.abs(2 * again[:, TICK] - decode(midi).onset_ms) <= 1 + 1e-6)
    assert np.array_equal(tokenizer.encode(tokenizer.decode(ids)), ids)
    assert tokenizer.illegal_share(ids) == 0


def test_two_strokes_are_these_grid_tokens() -> None:
    """At 2/4: tick 0 is bar 0, position 0; tick 1085 = 27 * 40 + 5 is bar 1, position 27 - 24."""
    tokenizer = TOKENIZERS["grid"]()
    ids = tokenizer.encode(encode(Notes(np.array([0, 1085]), np.array([100, 7]), 90, 2)))
    assert names_of(tokenizer, ids) == (
        "TimeSig_2 Tempo_90 Bar Position_0 Drum_38 Micro_0 Velocity_100 "
        "Bar Position_3 Drum_38 Micro_5 Velocity_7"
    )


def test_two_strokes_are_these_tokens_of_hands() -> None:
    midi = encode(Notes(np.array([0, 1085]), np.array([100, 7]), 90, 2))
    grid, clock = TOKENIZERS["grid+hands"](), TOKENIZERS["ms+hands"]()
    assert names_of(grid, grid.encode(midi, STROKES)) == (
        "TimeSig_2 Tempo_90 Bar Position_0 Drum_38 Micro_0 Velocity_100 Hand_R Stroke_accent "
        "Bar Position_3 Drum_38 Micro_5 Velocity_7 Hand_L Stroke_tap"
    )
    # 1085 / 480 * 60 / 90 s is 1506.9 ms: 753 steps of 2 ms.
    assert names_of(clock, clock.encode(midi, STROKES)) == (
        "Shift_0 Drum_38 Velocity_100 Hand_R Stroke_accent "
        "Shift_500 Shift_253 Drum_38 Velocity_7 Hand_L Stroke_tap"
    )
    assert grid.decode(grid.encode(midi, STROKES)) == midi
    by_id = {
        "hand": [HANDS.index("R"), HANDS.index("L")],
        "stroke_type": [STROKE_TYPES.index("accent"), STROKE_TYPES.index("tap")],
    }
    assert np.array_equal(grid.encode(midi, by_id), grid.encode(midi, STROKES))
    assert grid.illegal_share(grid.encode(midi, STROKES)) == 0


def test_tokens_of_hands_need_a_stroke_for_each_note() -> None:
    tokenizer = TOKENIZERS["grid+hands"]()
    midi = encode(Notes(np.array([0]), np.array([100]), 90, 2))
    with pytest.raises(ValueError, match="need the strokes of a file, not only its MIDI"):
        tokenizer.encode(midi)
    with pytest.raises(ValueError, match="the file has 1 notes, the row 2 strokes"):
        tokenizer.encode(midi, STROKES)
    for hand in (None, "X", 9, -1):
        with pytest.raises(ValueError, match="hand of each stroke must be of L, R; got "):
            tokenizer.encode(midi, {"hand": [hand], "stroke_type": [0]})
    refused, fits = tokenizer.tokenize([midi, midi], [STROKES, {"hand": [0], "stroke_type": [0]}])
    assert (refused.ids, refused.reason) == (None, "the file has 1 notes, the row 2 strokes")
    assert fits.exact


def test_a_snare_takes_four_tokens_a_note_and_the_clock_three() -> None:
    """64 sixteenths in four bars of 4/4."""
    assert len(TOKENIZERS["grid"]().encode(SIXTEENTHS)) == 2 + 4 + 4 * 64
    assert len(TOKENIZERS["ms"]().encode(SIXTEENTHS)) == 3 * 64


def test_special_tokens_are_passed_over_in_decoding() -> None:
    tokenizer = TOKENIZERS["grid"]()
    midi = encode(Notes(np.array([3]), np.array([64]), 120, 4))
    special = tokenizer.special_ids
    padded = [special["BOS"], *tokenizer.encode(midi).tolist(), special["EOS"], special["PAD"]]
    assert tokenizer.decode(padded) == midi


def test_a_fractional_tempo_is_kept_to_the_microsecond() -> None:
    tokenizer = TOKENIZERS["grid"]()
    midi = encode(Notes(np.array([0]), np.array([64]), 93.7, 4))
    ids = tokenizer.encode(midi)
    # 60e6 / 93.7 is 640,342 = 0x09c556.
    assert " Tempo_94 Digit_0 Digit_9 Digit_12 Digit_5 Digit_5 Digit_6 " in names_of(tokenizer, ids)
    assert tokenizer.decode(ids) == midi


@pytest.mark.parametrize(
    ("name", "tokens", "message"),
    [
        ("grid", "TimeSig_4 Tempo_90 Drum_38", "token 2 must be Position or Bar, got Drum"),
        ("grid", "TimeSig_4 Tempo_90 Bar Position_0", "token 4 must be Drum or Pitch .* the end"),
        ("grid", "TimeSig_4 Tempo_90 Position_0 Drum_38", "first Position must come after a Bar"),
        ("grid", "TimeSig_4 Digit_0 Digit_0 Tempo_90", "no, one or three Digits after it, got 2"),
        (
            "grid",
            "TimeSig_4 Tempo_90 Program_0 Bar Position_0 Program_1",
            "the header names 0 tracks Program_1",
        ),
        ("grid", "TimeSig_4 Tempo_90 Bar Position_0 Drum_38 Micro_-1 Velocity_9", "times must be"),
        ("ms", "Shift_3 Velocity_9", "token 1 must be Drum or Pitch .*, got Velocity"),
        ("ms", "Shift_500", "token 1 must be Shift, got the end"),
        ("ms", "Shift_0 Control Digit_8 Digit_0 Digit_1 Digit_1", r"token 3 must be in \[0, 127\]"),
        ("ms", "Shift_0 Control Digit_1 Digit_1 Digit_8 Digit_1", r"in \[0, 127\], got 129"),
        ("ms", "Shift_0 Bend Digit_4 Digit_0 Digit_0 Digit_0", r"in \[0, 16383\], got 16384"),
        ("ms", "Drums Digit_9 Digit_9", r"in \[0, 127\], got 153"),
        ("grid", "Division Digit_8 Digit_0 Digit_0 Digit_0", r"in \[1, 32767\], got 32768"),
        ("grid", f"TimeSig_4 Tempo_90{6 * ' Digit_0'}", r"in \[1, 16777215\], got 0"),
        (
            "grid",
            "TimeSig_4 Tempo_90 Bar Position_0 Drum_38 Micro_0 Velocity_9 Duration_0 Micro_-1",
            "must not end before it begins, got a duration of -1",
        ),
    ],
)
def test_what_is_no_sequence_is_refused(name: str, tokens: str, message: str) -> None:
    tokenizer = TOKENIZERS[name]()
    with pytest.raises(ValueError, match=message):
        tokenizer.decode([tokenizer.vocab[token] for token in tokens.split()])


@pytest.mark.parametrize(
    ("ids", "got"),
    [
        ([5, -1], "got -1 in place 1"),
        ([998], "got 998 in place 0"),
        ([2**70], "got 118059.* in place 0"),
        ([[1, 2]], r"got \[1, 2\] in place 0"),
        ([5, 5.0], "got 5.0 in place 1"),
        ([True], "got True in place 0"),
        (["5"], "got '5' in place 0"),
        ([None], "got None in place 0"),
        (None, "got None"),
        (5, "got 5"),
        ("12", "got '12'"),
        (b"12", "got b'12'"),
        (np.array([[1]]), r"got an array of int64 of shape \(1, 1\)"),
        (np.array([4.0]), r"got an array of float64 of shape \(1,\)"),
        (np.array([True]), r"got an array of bool of shape \(1,\)"),
        (np.array([4, 998]), "got 998 in place 1"),
        (np.array([4, -1]), "got -1 in place 1"),
    ],
)
def test_ids_of_another_vocabulary_are_refused(ids: object, got: str) -> None:
    tokenizer = TOKENIZERS["grid"]()
    message = rf"^ids must be a list of whole numbers in \[0, 997\], {got}"
    for read_ids in (tokenizer.decode, tokenizer.illegal_share):
        with pytest.raises(ValueError, match=message):
            read_ids(ids)


def test_ids_may_be_any_list_of_whole_numbers() -> None:
    tokenizer = TOKENIZERS["grid"]()
    ids = tokenizer.encode(SIXTEENTHS)
    lists = (ids.tolist(), tuple(ids), iter(ids.tolist()), ids.astype(np.int64), pa.array(ids))
    assert {tokenizer.decode(each) for each in lists} == {SIXTEENTHS}


@pytest.mark.parametrize("name", OWN_TYPES)
def test_what_is_no_bytes_is_no_file(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    with pytest.raises(ValueError, match=r"^a MIDI file must be bytes, got NoneType$"):
        tokenizer.encode(None)
    (refused,) = tokenizer.tokenize(["song.mid"])
    assert (refused.ids, refused.reason) == (None, "a MIDI file must be bytes, got str")


@pytest.mark.parametrize(("name", "least"), [("grid", 0.6), ("ms", 0.5)])
def test_shuffled_tokens_break_the_grammar(name: str, least: float) -> None:
    """Of three or four kinds of token, about one may follow another."""
    tokenizer = TOKENIZERS[name]()
    ids = tokenizer.encode(SIXTEENTHS)
    shares = [
        tokenizer.illegal_share(np.random.default_rng(seed).permutation(ids)) for seed in range(50)
    ]
    assert min(shares) > least


def test_a_position_that_goes_back_within_its_bar_is_illegal() -> None:
    tokenizer = TOKENIZERS["grid"]()
    stroke = "Position_{} Drum_38 Micro_0 Velocity_9"
    text = f"TimeSig_4 Tempo_90 Bar {stroke.format(5)} {stroke.format(4)} Bar {stroke.format(0)}"
    ids = [tokenizer.vocab[token] for token in text.split()]
    assert tokenizer.illegal_share(ids) == pytest.approx(1 / 15)


@pytest.mark.parametrize("name", OWN_TYPES)
def test_a_tokenizer_survives_its_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokenizer = TOKENIZERS[name]()
    path.write_text(to_json(tokenizer))
    loaded = load_tokenizer(path)
    assert loaded == tokenizer
    assert loaded.vocab == tokenizer.vocab
    content = json.loads(path.read_text())
    assert set(content) >= {"type", "version", "ticks_per_quarter", "vocab", "hash"}
    assert content["hash"] == tokenizer.hash
    spans = content["grammar"]["families"]
    assert [spans["Drum"][0], spans["Velocity"][1]] == [tokenizer.vocab["Drum_27"], 127]


@pytest.mark.parametrize("name", ["grid", "ms"])
def test_there_are_fewer_than_a_thousand_ids(name: str) -> None:
    assert sorted(TOKENIZERS[name]().vocab.values()) == list(range(len(TOKENIZERS[name]().vocab)))
    assert len(TOKENIZERS[name]().vocab) < 1000


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"Bar": 4', '"Bar": 5'),
        lambda text: text.replace('"version": 2', '"version": 1'),
        lambda text: text.replace('"Position"', '"Place"', 1),
    ],
)
def test_a_changed_file_is_refused(tmp_path: Path, change) -> None:
    path = tmp_path / "tokens.json"
    text = to_json(TOKENIZERS["grid"]())
    path.write_text(change(text))
    assert path.read_text() != text
    with pytest.raises(ValueError, match="vocabulary or hash"):
        load_tokenizer(path)


@pytest.mark.parametrize("content", ["[]", '{"type": ["grid"]}', '{"type": "words"}'])
def test_a_file_of_no_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="type must be one of grid, ms, "):
        load_tokenizer(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokens.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: not the JSON of a tokenizer: "):
        load_tokenizer(path)


def test_versions_are_those_of_the_schemes() -> None:
    """The grid is what it was; the clock has ticks of its own since version 3."""
    found = {name: json.loads(to_json(TOKENIZERS[name]())) for name in OWN_TYPES}
    shown = {name: (each["version"], each["ticks_per_quarter"]) for name, each in found.items()}
    assert shown == {"grid": (2, 480), "grid+hands": (2, 480), "ms": (3, 250), "ms+hands": (3, 250)}
