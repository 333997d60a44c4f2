"""What tokens do not hold of a file is said, and what they cannot hold is refused."""

import io
import re

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from token_scores import scores

from sousa.builders.events import DURATION, TICK, Events, read, write
from sousa.builders.tokens import OwnTokenizer

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


METER = mido.MetaMessage("time_signature", numerator=4, denominator=1)


@pytest.mark.parametrize(
    ("tokenizer", "file", "reason"),
    [
        (GRID, b"", "not a MIDI file of 0 bytes"),
        (GRID, file_of(ON, OFF)[:30], "not a MIDI file of 30 bytes"),
        (GRID, file_of(ON, OFF).replace(b"\x01\xe0", b"\xe7\x28", 1), "Division type is not ticks"),
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
        (CLOCK, file_of(ON, OFF.copy(time=2**27)), "at most 24 hours, the file has 39"),
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
    """By a loop over the tempos, for every note; but for half a tick, which decoding rounds to."""
    again = CLOCK.decode_events(CLOCK.encode_events([events])[0])
    expected, found = (
        sorted((*note[1:4], _ms(each, note[TICK]), _length_ms(each, note)) for note in notes)
        for each, notes in ((e, e.notes.tolist()) for e in (events, again))
    )
    assert [note[:3] for note in found] == [note[:3] for note in expected]
    if found:
        tolerance_ms = 1 + 0.5 * 500 / 480 + 1e-6
        times = [np.array([note[3:] for note in notes]) for notes in (expected, found)]
        assert np.abs(times[0] - times[1]).max() <= tolerance_ms


def _length_ms(events: Events, note: list[int]) -> float:
    """Return how long a note is; that of a drum's may be left to the reader."""
    is_drum = events.instruments[note[1]][1]
    return 0 if is_drum else _ms(events, note[TICK] + note[DURATION]) - _ms(events, note[TICK])


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
