"""Tokens of files of any instruments give the file's events back."""

import io
from dataclasses import replace

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import ControlChange, KeySignature, Note, PitchBend, Score, Tempo, TimeSignature, Track
from token_scores import crowds, files, heard, scores

from sousa.builders.events import DURATION, TRACK, Events, read, write
from sousa.builders.tokens import OwnTokenizer

GRID, CLOCK = OwnTokenizer("grid"), OwnTokenizer("ms")


@given(scores())
@settings(max_examples=300)
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


@given(st.one_of(crowds(), scores().map(write)))
def test_the_clock_gives_back_its_own_tokens(midi: bytes) -> None:
    """Of any file, drums and pitched, whichever tempos it has."""
    ids = CLOCK.encode(midi)
    again = CLOCK.decode(ids)
    assert np.array_equal(CLOCK.encode(again), ids)
    assert read(again) == CLOCK.decode_events(ids)
    assert CLOCK.illegal_share(ids) == 0


@given(scores())
def test_the_clock_gives_back_its_own_tokens_of_events_that_no_file_can_hold(
    events: Events,
) -> None:
    (ids,) = CLOCK.encode_events([events])
    assert np.array_equal(CLOCK.encode_events([CLOCK.decode_events(ids)])[0], ids)


def test_notes_of_a_drum_that_would_end_out_of_turn_are_all_written_with_their_ends() -> None:
    """At 60 BPM: to ticks 70 and 72, which is 145.8 and 150 ms; the second end is the usual."""
    note = {"note": 38, "channel": 9}
    messages = [
        mido.MetaMessage("set_tempo", tempo=1_000_000),
        mido.Message("note_on", velocity=9, **note),
        mido.Message("note_on", velocity=8, time=12, **note),
        mido.Message("note_off", time=58, **note),
        mido.Message("note_off", time=2, **note),
    ]
    names = {id_: name for name, id_ in CLOCK.vocab.items()}
    ids = CLOCK.encode(midi_of(messages))
    assert " ".join(names[id_] for id_ in ids.tolist()) == (
        "Shift_0 Drum_38 Velocity_9 Duration_2 Duration_23 "
        "Shift_12 Drum_38 Velocity_8 Duration_2 Duration_13"
    )
    assert np.array_equal(CLOCK.encode(CLOCK.decode(ids)), ids)
    alone = CLOCK.encode(midi_of([messages[0], messages[2], messages[4].copy(time=60)]))
    assert [names[id_] for id_ in alone.tolist()] == ["Shift_12", "Drum_38", "Velocity_8"]


@given(files())
def test_mido_hears_the_same_file(midi: bytes) -> None:
    (encoded,) = GRID.tokenize([midi])
    assert encoded.exact, encoded.reason
    assert heard(GRID.decode(encoded.ids)) == heard(midi)


@given(st.one_of(files(), crowds()))
def test_events_survive_being_written(midi: bytes) -> None:
    """In their order, also notes of no length among others."""
    events = read(midi)
    assert read(write(events)) == events
    assert read(GRID.decode(GRID.encode(midi))) == events


@given(scores())
def test_files_are_those_of_symusic_but_for_notes_of_no_length(events: Events) -> None:
    events = replace(events, notes=events.notes[events.notes[:, DURATION] > 0])
    assert write(events) == by_symusic(events)


def test_notes_of_no_length_stay_where_they_are_among_simultaneous_ones() -> None:
    notes = [
        (5, 0, 60, 1, 9),
        (5, 0, 61, 2, 0),
        (5, 0, 62, 3, 0),
        (5, 0, 50, 4, 9),
        (5, 0, 51, 5, 0),
    ]
    events = _lone(480, np.array(notes, np.int32))
    assert read(write(events)).notes.tolist() == [list(note) for note in notes]


def test_a_longer_wait_than_a_message_can_have_is_written_in_parts() -> None:
    last = 2**31 - 2
    events = _lone(480, np.array([(0, 0, 60, 1, last), (last, 0, 61, 2, 1)], np.int32))
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


def midi_of(messages: list[mido.Message]) -> bytes:
    buffer = io.BytesIO()
    mido.MidiFile(tracks=[mido.MidiTrack(messages)], ticks_per_beat=480).save(file=buffer)
    return buffer.getvalue()


def by_symusic(events: Events) -> bytes:
    score = Score(events.ticks_per_quarter)
    score.tempos = [Tempo(tick, mspq=us) for tick, us in events.tempos.tolist()]
    score.time_signatures = [TimeSignature(*row) for row in events.signatures.tolist()]
    score.key_signatures = [KeySignature(*row) for row in events.keys.tolist()]
    for index, (program, is_drum) in enumerate(events.instruments):
        notes, controls, bends = (
            np.delete(table[table[:, TRACK] == index], TRACK, axis=1).tolist()
            for table in (events.notes, events.controls, events.bends)
        )
        is_snare = is_drum and all(pitch == 38 for _, pitch, _, _ in notes)
        track = Track(name="snare" if is_snare else "", program=program, is_drum=is_drum)
        track.notes = [
            Note(tick, length, pitch, velocity) for tick, pitch, velocity, length in notes
        ]
        track.controls = [ControlChange(*row) for row in controls]
        track.pitch_bends = [PitchBend(*row) for row in bends]
        score.tracks.append(track)
    return bytes(score.dumps_midi())


def _lone(scale: int, notes: np.ndarray) -> Events:
    none = np.empty((0, 4), np.int32)
    signatures = np.array([(0, 1, 128)], np.int32)
    tempos = np.array([(0, 500_000)], np.int32)
    return Events(scale, ((7, False),), notes, tempos, signatures, none[:, :3], none, none[:, :3])
