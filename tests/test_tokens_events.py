"""Tokens of files of any instruments give the file's events back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from token_scores import files, heard, scores

from sousa.builders.events import Events, read, write
from sousa.builders.tokens import OwnTokenizer

GRID, CLOCK = OwnTokenizer("grid"), OwnTokenizer("ms")


@given(scores())
@settings(max_examples=600)
def test_the_grid_gives_back_all_that_a_score_says(events: Events) -> None:
    (ids,) = GRID.encode_events([events])
    assert GRID.decode_events(ids) == events
    assert GRID.illegal_share(ids) == 0
    assert ids.dtype == np.uint16


@given(st.lists(scores(), min_size=2, max_size=3))
def test_files_of_one_pass_do_not_change_each_other(batch: list[Events]) -> None:
    for tokenizer in (GRID, CLOCK):
        alone = [tokenizer.encode_events([events])[0] for events in batch]
        together = tokenizer.encode_events(batch)
        assert all(map(np.array_equal, alone, together))


@given(scores())
def test_the_clock_gives_back_its_own_events(events: Events) -> None:
    (ids,) = CLOCK.encode_events([events])
    again = CLOCK.decode_events(ids)
    assert CLOCK.decode_events(CLOCK.encode_events([again])[0]) == again
    assert CLOCK.illegal_share(ids) == 0
    assert again.notes.shape == events.notes.shape
    assert sorted(map(tuple, again.notes[:, 1:4].tolist())) == sorted(
        map(tuple, events.notes[:, 1:4].tolist())
    )


@given(scores(drums=False))
def test_the_clock_gives_back_its_own_tokens_where_all_durations_are_stated(events: Events) -> None:
    (ids,) = CLOCK.encode_events([events])
    assert np.array_equal(CLOCK.encode_events([CLOCK.decode_events(ids)])[0], ids)


@given(files())
def test_mido_hears_the_same_file(midi: bytes) -> None:
    (encoded,) = GRID.tokenize([midi])
    assert encoded.exact, encoded.reason
    assert heard(GRID.decode(encoded.ids)) == heard(midi)


@given(files())
def test_events_survive_being_written(midi: bytes) -> None:
    events = read(midi)
    assert read(write(events)) == events


@pytest.mark.parametrize("scale", [480, 960])
def test_signatures_may_stand_anywhere_in_bars_shorter_than_a_step(scale: int) -> None:
    """Bars of 15 ticks, two signatures in or between them, a note on every third tick."""
    ticks = np.arange(0, 130 * scale // 480, 3, dtype=np.int32)
    notes = np.stack([ticks, 0 * ticks, 60 + 0 * ticks, 64 + 0 * ticks, 1 + 0 * ticks], axis=1)
    plain = read(write(_lone(scale, notes)))
    files = [
        replace(plain, signatures=np.array([(0, 1, 128), (a, 1, 128), (a + b, 3, 128)], np.int32))
        for a in range(1, 36, 2)
        for b in range(1, 36)
    ]
    for events, ids in zip(files, GRID.encode_events(files), strict=True):
        assert GRID.decode_events(ids) == events


def _lone(scale: int, notes: np.ndarray) -> Events:
    none = np.empty((0, 4), np.int32)
    signatures = np.array([(0, 1, 128)], np.int32)
    tempos = np.array([(0, 500_000)], np.int32)
    return Events(scale, ((7, False),), notes, tempos, signatures, none[:, :3], none, none[:, :3])
