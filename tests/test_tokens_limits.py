"""What tokens do not hold of a file is said, and what they cannot hold is refused."""

import io
import re

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from token_scores import scores

from sousa.builders.events import (
    DURATION,
    THIRTY_SECONDS,
    TICK,
    TRACK,
    Events,
    implied_durations,
    read,
    write,
)
from sousa.builders.tokens import OwnTokenizer

HALF_A_STEP_MS = 1 + 1e-6
GRID, CLOCK = OwnTokenizer("grid"), OwnTokenizer("ms")
ON, OFF = (mido.Message(kind, note=60, velocity=64, time=10) for kind in ("note_on", "note_off"))


def file_of(*messages: mido.Message, scale: int = 480) -> bytes:
    buffer = io.BytesIO()
    mido.MidiFile(tracks=[mido.MidiTrack(messages)], ticks_per_beat=scale).save(file=buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("messages", "missing"),
    [
        ((ON, ON, OFF), "1 notes that never end"),
        ((ON,), "1 notes that never end"),
        ((ON, mido.Message("polytouch", note=60, value=9), OFF), "1 aftertouches"),
        ((ON, mido.Message("aftertouch", value=9), OFF), "1 aftertouches"),
        ((ON, OFF), ""),
        ((mido.Message("control_change", channel=5, control=7), ON, OFF), ""),  # of no instrument
        ((mido.MetaMessage("lyrics", text="ö", time=3), ON, OFF), ""),
        ((mido.Message("sysex", data=(126, 127, 9, 1)), ON, OFF), ""),
        ((mido.Message("control_change", control=64, value=100), ON, OFF), ""),
        ((ON, mido.Message("pitchwheel", pitch=-77), OFF), ""),
    ],
)
@pytest.mark.parametrize("tokenizer", [GRID, CLOCK])
def test_what_is_heard_and_not_held_is_named(
    tokenizer: OwnTokenizer, messages: tuple[mido.Message, ...], missing: str
) -> None:
    (encoded,) = tokenizer.tokenize([file_of(*messages)])
    assert encoded.reason == (f"the tokens do not hold {missing}" if missing else "")
    assert encoded.exact == (not missing)
    assert encoded.ids is not None


def test_controls_of_a_channel_that_sounds_in_another_track_are_missed() -> None:
    pedal = mido.Message("control_change", control=64, value=127)
    buffer = io.BytesIO()
    tracks = [mido.MidiTrack([pedal]), mido.MidiTrack([ON, OFF])]
    mido.MidiFile(tracks=tracks).save(file=buffer)
    (encoded,) = GRID.tokenize([buffer.getvalue()])
    assert encoded.reason == "the tokens do not hold 1 control changes"


def two_patterns() -> bytes:
    buffer = io.BytesIO()
    tracks = [mido.MidiTrack([ON, OFF])] * 2
    mido.MidiFile(type=2, tracks=tracks).save(file=buffer)
    return buffer.getvalue()


def test_a_single_pattern_and_a_file_in_a_container_are_as_any_file() -> None:
    whole = file_of(ON, OFF)
    pattern = whole[:9] + b"\x02" + whole[10:]
    size = len(whole).to_bytes(4, "little")
    riff = b"RIFF" + (len(whole) + 12).to_bytes(4, "little") + b"RMIDdata" + size + whole
    for tokenizer in (GRID, CLOCK):
        expected, *found = tokenizer.tokenize([whole, pattern, riff])
        assert all(each.exact and np.array_equal(each.ids, expected.ids) for each in found)


def test_an_instrument_whose_notes_never_end_is_none() -> None:
    """Its bend would be lost when what was decoded is read."""
    bend = mido.Message("pitchwheel", channel=3, pitch=5)
    midi = file_of(ON, ON.copy(channel=3), bend, OFF)
    for tokenizer in (GRID, CLOCK):
        (encoded,) = tokenizer.tokenize([midi])
        reason = "the tokens do not hold 1 notes that never end, 1 pitch bends"
        assert (encoded.exact, encoded.reason) == (False, reason)
        assert np.array_equal(tokenizer.encode(tokenizer.decode(encoded.ids)), encoded.ids)


@pytest.mark.parametrize("late", [0, 1])
def test_the_clock_holds_24_hours_to_the_step(late: int) -> None:
    """At 120 BPM a tick of 250 to the quarter note is a step: also what comes back is held."""
    day = 24 * 3_600_000 // 2
    drum = [each.copy(channel=9) for each in (ON, OFF)]
    events = read(file_of(*drum, scale=250))
    notes = np.array([(day + late, 0, 38, 1, 700)], np.int32)
    (encoded,) = CLOCK.tokenize([write(_with(events, notes=notes))])
    if late:
        assert "at most 24 hours, the file has 24.01" in encoded.reason
    else:
        assert np.array_equal(CLOCK.encode(CLOCK.decode(encoded.ids)), encoded.ids)


METER = mido.MetaMessage("time_signature", numerator=4, denominator=1)


@pytest.mark.parametrize(
    ("tokenizer", "file", "reason"),
    [
        (GRID, b"", "empty file"),
        (GRID, b"MThd", "truncated: the header has 4 of 14 bytes"),
        (GRID, b"MT", "truncated: the header has 2 of 14 bytes"),
        (GRID, b"MTrk", "not a MIDI file: begins with b'MTrk', must begin with b'MThd'"),
        (GRID, file_of(ON, OFF)[:30], "truncated: 0 of 1 tracks are whole, the next has 8 of"),
        (CLOCK, file_of(ON, OFF).replace(b"\x01\xe0", b"\xe7\x28", 1), "SMPTE division: ticks are"),
        (GRID, two_patterns(), "type 2: 2 patterns that have no common time"),
        (CLOCK, two_patterns(), "type 2: 2 patterns that have no common time"),
        (
            GRID,
            file_of(METER, ON, OFF).replace(b"\x58\x04\x04\x00", b"\x58\x04\x04\x09"),
            "a time signature must be n/1 to n/128 with n above 0, got 4/",
        ),
        (GRID, file_of(ON, OFF.copy(time=2**27), scale=10), "must last at most 4473924 quarter"),
        (
            GRID,
            file_of(
                mido.MetaMessage("time_signature", numerator=1, denominator=128),
                ON,
                OFF.copy(time=2**24),
            ),
            "grid tokens hold at most 1000000 bars, the file has more",
        ),
        (CLOCK, file_of(ON, OFF.copy(time=2**27)), "at most 24 hours, the file has 38.8"),
    ],
)
def test_what_cannot_be_held_is_refused(tokenizer: OwnTokenizer, file: bytes, reason: str) -> None:
    whole = file_of(ON, OFF)
    refused, fits = tokenizer.tokenize([file, whole])
    assert (refused.ids, refused.exact) == (None, False)
    assert reason in refused.reason
    assert np.array_equal(fits.ids, tokenizer.encode(whole))
    with pytest.raises(ValueError, match=re.escape(reason)):
        tokenizer.encode(file)


def test_tracks_of_one_program_are_told_apart_up_to_a_number() -> None:
    notes = np.array([[0, track, 60, 64, 10] for track in range(257)], np.int32)
    events = read(file_of(ON, OFF))
    most = _with(events, instruments=((5, False),) * 256, notes=notes[:256])
    assert GRID.decode_events(GRID.encode_events([most])[0]) == most
    too_many = _with(events, instruments=((5, False),) * 257, notes=notes)
    (refused,) = GRID.tokenize([write(too_many)])
    assert refused.reason == "at most 256 tracks may have one program, got 257"


@given(scores())
@settings(max_examples=60)
def test_the_clock_is_within_a_millisecond_of_the_tempo_map(events: Events) -> None:
    """By a loop over the tempos, for every note: where it begins, and where it ends.

    Of a drum's note the end may be the usual: in the file, and in what comes back.
    """
    again = CLOCK.decode_events(CLOCK.encode_events([events])[0])
    for note, usual, found, usual_again in zip(*_by_track(events), *_by_track(again), strict=True):
        assert found[1:4] == note[1:4]
        assert abs(2 * found[TICK] - _ms(events, note[TICK])) <= HALF_A_STEP_MS
        end_ms = _ms(events, note[TICK] + note[DURATION])
        if abs(2 * (found[TICK] + found[DURATION]) - end_ms) > HALF_A_STEP_MS:
            is_drum = events.instruments[note[TRACK]][1]
            expected = (True, usual, usual_again)
            assert (is_drum, note[DURATION], found[DURATION]) == expected


def _by_track(events: Events) -> tuple[list[list[int]], list[int]]:
    """Return the notes track by track, and the usual duration of each."""
    notes = events.notes[np.argsort(events.notes[:, TRACK], kind="stable")].astype(np.int64)
    if not len(notes):
        return [], []
    most = np.full(len(notes), events.ticks_per_quarter // THIRTY_SECONDS)
    return notes.tolist(), implied_durations(notes[:, TICK], notes[:, TRACK], most).tolist()


def _ms(events: Events, tick: int) -> float:
    """Return when a tick is, by its definition."""
    tempos = events.tempos.tolist()
    ends = [start for start, _ in tempos[1:]] + [2**40]
    return sum(
        max(0, min(tick, end) - start) * quarter_us / 1000 / events.ticks_per_quarter
        for (start, quarter_us), end in zip(tempos, ends, strict=True)
    )


def _with(events: Events, **changes: object) -> Events:
    names = Events.__dataclass_fields__
    return Events(**({name: getattr(events, name) for name in names} | changes))
