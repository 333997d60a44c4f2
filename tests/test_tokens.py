"""Tokens lose nothing that they promise to keep."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.midi import Notes, decode, encode
from sousa.builders.tokens import TOKENIZERS, load_tokenizer, to_json

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


@given(notes)
def test_grid_tokens_give_the_same_file_back(played: Notes) -> None:
    tokenizer = TOKENIZERS["grid"]()
    midi = encode(played)
    ids = tokenizer.encode(midi)
    assert tokenizer.decode(ids) == midi
    assert not set(ids.tolist()) & set(tokenizer.special_ids.values())


@given(notes)
def test_clock_tokens_are_within_half_a_step_and_half_a_tick(played: Notes) -> None:
    tokenizer = TOKENIZERS["ms"]()
    ids = tokenizer.encode(encode(played))
    again = decode(tokenizer.decode(ids))
    assert np.array_equal(again.velocity, played.velocity)
    assert np.all(np.abs(again.onset_ms - played.onset_ms) <= 1 + 0.5 * 500 / 480 + 1e-6)
    assert np.array_equal(tokenizer.encode(tokenizer.decode(ids)), ids)


def test_two_strokes_are_these_grid_tokens() -> None:
    """At 2/4: tick 0 is bar 0, position 0; tick 1085 = 27 * 40 + 5 is bar 1, position 27 - 24."""
    tokenizer = TOKENIZERS["grid"]()
    names = {id_: name for name, id_ in tokenizer.vocab.items()}
    ids = tokenizer.encode(encode(Notes(np.array([0, 1085]), np.array([100, 7]), 90, 2)))
    assert " ".join(names[id_] for id_ in ids.tolist()) == (
        "TimeSig_2 Tempo_90 Bar Position_0 Drum_38 Micro_0 Velocity_100 "
        "Bar Position_3 Drum_38 Micro_5 Velocity_7"
    )


def test_special_tokens_are_passed_over_in_decoding() -> None:
    tokenizer = TOKENIZERS["grid"]()
    midi = encode(Notes(np.array([3]), np.array([64]), 120, 4))
    special = tokenizer.special_ids
    padded = [special["BOS"], *tokenizer.encode(midi).tolist(), special["EOS"], special["PAD"]]
    assert tokenizer.decode(padded) == midi


def test_a_fractional_tempo_is_refused() -> None:
    midi = encode(Notes(np.array([0]), np.array([64]), 93.7, 4))
    with pytest.raises(ValueError, match=r"whole tempo in \[20, 300\], got 93\.70"):
        TOKENIZERS["grid"]().encode(midi)


def test_half_a_note_is_refused() -> None:
    with pytest.raises(ValueError, match="TimeSig, Tempo and 4 tokens a note, got 3"):
        TOKENIZERS["grid"]().decode([10, 20, 30])


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_survives_its_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokenizer = TOKENIZERS[name]()
    path.write_text(to_json(tokenizer))
    loaded = load_tokenizer(path)
    assert loaded.vocab == tokenizer.vocab
    assert set(json.loads(path.read_text())) >= {
        *("type", "version", "ticks_per_quarter", "vocab", "hash")
    }
    assert max(tokenizer.vocab.values()) < 1000


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(to_json(TOKENIZERS["grid"]()).replace('"Bar": 4', '"Bar": 5'))
    with pytest.raises(ValueError, match="vocabulary or hash"):
        load_tokenizer(path)
