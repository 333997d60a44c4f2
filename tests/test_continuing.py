"""What a model may write next: all of it decodes, and all that we write is among it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from symusic import Score
from token_scores import scores

from sousa.builders.continuing import Continuing
from sousa.builders.events import DURATION, Events
from sousa.builders.tokenizer import Tokenizer
from sousa.builders.tokens import OWN_TYPES, OwnTokenizer, parse_tokenizers

ROOM = 64


def written(tokenizer: Tokenizer, seed: int, room: int = ROOM) -> list[int]:
    """Ids drawn by nothing but chance, up to the last place where they can end."""
    rng = np.random.default_rng(seed)
    sequence, whole = Continuing(tokenizer), 0
    ids: list[int] = []
    while len(ids) < room:
        hurry = not sequence.sounds and len(ids) >= room // 2
        id_ = int(rng.choice(np.flatnonzero(sequence.allowed(hurry=hurry))))
        if id_ == tokenizer.special_ids["EOS"]:
            break
        sequence.take(id_)
        ids.append(id_)
        if sequence.is_whole:
            whole = len(ids)
    return ids[:whole]


def notes_of(midi: bytes) -> int:
    return sum(len(track.notes) for track in Score.from_midi(midi).tracks)


@pytest.mark.parametrize("name", OWN_TYPES)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_allowed_plays(name: str, seed: int) -> None:
    tokenizer = OwnTokenizer(name)
    ids = written(tokenizer, seed)
    assert notes_of(tokenizer.decode(ids)) > 0
    assert tokenizer.illegal_share(ids) == 0


@pytest.mark.parametrize("name", ["grid", "ms"])
@settings(max_examples=60)
@given(score=scores())
def test_what_we_write_is_allowed(name: str, score: Events) -> None:
    """But for notes of no length, and for drums whose usual length would be none."""
    tokenizer = OwnTokenizer(name)
    names = [tokenizer.vocabulary.names[id_] for id_ in tokenizer.encode_events([score])[0]]
    assume(score.ticks_per_quarter >= 8 and np.all(score.notes[:, DURATION] > 0))
    assume(name == "grid" or "Duration_0" not in names)
    sequence = Continuing(tokenizer)
    for token in names:
        sequence.take(tokenizer.vocab[token])
    assert sequence.is_whole
    assert sequence.sounds == (len(score.notes) > 0)


def test_by_hand() -> None:
    tokenizer = OwnTokenizer("grid")
    vocab, sequence = tokenizer.vocab, Continuing(tokenizer)
    end = vocab["EOS"]
    for token in [
        "TimeSig_4",
        "Tempo_120",
        "Bar",
        "Position_5",
        "Drum_38",
        "Micro_0",
        "Velocity_64",
    ]:
        assert not sequence.allowed()[end]
        sequence.take(vocab[token])
    allowed = sequence.allowed()
    assert allowed[end]
    assert allowed[vocab["Position_5"]]
    assert not allowed[vocab["Position_4"]]
    assert not allowed[vocab["PAD"]]
    assert not allowed[vocab["Velocity_64"]]
    assert not Continuing(tokenizer).allowed()[end]
    with pytest.raises(ValueError, match=r"may not come here"):
        sequence.take(vocab["Tempo_20"])


def test_the_first_note_cannot_begin_before_the_file() -> None:
    tokenizer = OwnTokenizer("grid")
    sequence = Continuing(tokenizer)
    for token in ["TimeSig_4", "Tempo_120", "Bar", "Position_0", "Drum_38"]:
        sequence.take(tokenizer.vocab[token])
    names = [tokenizer.vocabulary.names[id_] for id_ in np.flatnonzero(sequence.allowed())]
    assert names == [f"Micro_{tick}" for tick in range(20)]


def test_tokens_of_others_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("miditok")
    config = tmp_path / "remi.json"
    config.write_text("{}")
    theirs = parse_tokenizers([f"remi:{config}"])["tokens_remi"]
    with pytest.raises(ValueError, match="known of grid and ms tokens and their subwords, not of"):
        Continuing(theirs)
