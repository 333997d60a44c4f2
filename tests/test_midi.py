"""MIDI files hold the strokes: mido reads what we write."""

import io

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders import midi

played = st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 127)), min_size=1, max_size=80)
tempos = st.integers(40, 240)


def notes_of(pairs: list[tuple[int, int]], tempo_bpm: float, beats: int = 4) -> midi.Notes:
    tick, velocity = np.array(sorted(pairs, key=lambda pair: pair[0])).T
    return midi.Notes(tick, velocity, tempo_bpm, beats)


def read_by_mido(file: bytes) -> tuple[mido.MidiFile, list[tuple[int, int]]]:
    """Return the file, and tick and velocity of each note-on."""
    parsed = mido.MidiFile(file=io.BytesIO(file))
    tick, notes = 0, []
    for message in mido.merge_tracks(parsed.tracks):
        tick += message.time
        if message.type == "note_on" and message.velocity > 0:
            assert (message.channel, message.note) == (9, 38)
            notes.append((tick, message.velocity))
    return parsed, notes


@given(played, tempos)
def test_mido_reads_every_note_in_order(pairs: list[tuple[int, int]], tempo_bpm: int) -> None:
    notes = notes_of(pairs, tempo_bpm)
    parsed, found = read_by_mido(midi.encode(notes))
    assert found == list(zip(notes.tick.tolist(), notes.velocity.tolist(), strict=True))
    assert parsed.ticks_per_beat == 480


@given(played, tempos, st.integers(1, 12))
def test_decode_inverts_encode(pairs: list[tuple[int, int]], tempo_bpm: int, beats: int) -> None:
    notes = notes_of(pairs, tempo_bpm, beats)
    again = midi.decode(midi.encode(notes))
    assert np.array_equal(again.tick, notes.tick)
    assert np.array_equal(again.velocity, notes.velocity)
    assert again.tempo_bpm == pytest.approx(tempo_bpm, rel=1e-5)
    assert again.beats_per_measure == beats


@given(st.lists(st.floats(0, 60_000), min_size=1, max_size=50), tempos)
def test_ticks_are_within_half_a_tick_however_long_the_clip(
    onsets: list[float], tempo_bpm: int
) -> None:
    onset_ms = np.sort(np.array(onsets))
    velocity = np.full(len(onset_ms), 64)
    file = midi.encode(midi.Notes(midi.ticks(onset_ms, tempo_bpm), velocity, tempo_bpm, 4))
    error_ms = midi.decode(file).onset_ms - onset_ms
    assert np.abs(error_ms).max() <= midi.ms_per_tick(tempo_bpm) / 2 + 1e-6


def test_tempo_and_time_signature_are_set_at_the_start() -> None:
    parsed, _ = read_by_mido(midi.encode(notes_of([(5, 64)], 90, 3)))
    messages = {message.type: message for message in parsed.tracks[0] if message.time == 0}
    assert messages["set_tempo"].tempo == 666_667  # 60e6 / 90, rounded
    signature = messages["time_signature"]
    assert (signature.numerator, signature.denominator) == (3, 4)


def test_two_simultaneous_strokes_survive_mido_and_symusic() -> None:
    file = midi.encode(notes_of([(480, 40), (480, 112), (481, 70)], 120))
    _, found = read_by_mido(file)
    assert found == [(480, 40), (480, 112), (481, 70)]
    assert midi.decode(file).velocity.tolist() == [40, 112, 70]


def test_a_note_ends_before_the_next_begins() -> None:
    """Otherwise a reader could take the end of the first for the end of the second."""
    parsed, _ = read_by_mido(midi.encode(notes_of([(0, 64), (7, 64), (7, 65), (8, 66)], 120)))
    sounding = 0
    for message in parsed.tracks[0]:
        if message.type == "note_on":
            assert sounding == 0 or message.time == 0
        sounding += {"note_on": 1, "note_off": -1}.get(message.type, 0)
    assert sounding == 0


def test_strokes_before_the_start_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ticks must rise from 0, got \[-1\]"):
        midi.encode(midi.Notes(np.array([-1]), np.array([64]), 120, 4))


@pytest.mark.parametrize("file", [b"", b"RIFF", b"MThd" + bytes(10)])
def test_what_is_no_midi_file_is_refused(file: bytes) -> None:
    with pytest.raises(ValueError, match=rf"not a MIDI file of {len(file)} bytes|expected one"):
        midi.decode(file)


def test_another_instrument_is_refused() -> None:
    track = mido.MidiTrack([mido.Message("note_on", channel=0, note=38, velocity=64, time=0)])
    track.append(mido.Message("note_off", channel=0, note=38, time=10))
    track.insert(0, mido.MetaMessage("set_tempo", tempo=500_000))
    track.insert(0, mido.MetaMessage("time_signature", numerator=4, denominator=4))
    buffer = io.BytesIO()
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(file=buffer)
    with pytest.raises(ValueError, match="expected note 38 on channel 10"):
        midi.decode(buffer.getvalue())
