"""A MIDI file's events are those that mido and symusic find; whatever is damaged is refused."""

import io
import math
import random

import mido
import numpy as np
import pytest
import symusic
from hypothesis import given
from hypothesis import strategies as st
from midi_corpus import UNENDED, midi, smf, song

from sousa.builders.midi_events import Events, events
from sousa.builders.midi_limits import Limits
from sousa.builders.smf import parse, unwrap

BYTE = st.integers(0, 127)
CHANNEL = st.integers(0, 15)
TIME = st.integers(0, 300_000)
MESSAGE = st.one_of(
    st.builds(
        mido.Message,
        st.sampled_from(["note_on", "note_off"]),
        note=st.integers(60, 63),
        velocity=BYTE,
        channel=st.integers(0, 1),
        time=TIME,
    ),
    st.builds(
        mido.Message,
        st.just("control_change"),
        control=BYTE,
        value=BYTE,
        channel=CHANNEL,
        time=TIME,
    ),
    st.builds(mido.Message, st.just("program_change"), program=BYTE, channel=CHANNEL, time=TIME),
    st.builds(mido.Message, st.just("aftertouch"), value=BYTE, channel=CHANNEL, time=TIME),
    st.builds(mido.Message, st.just("pitchwheel"), pitch=st.integers(-8192, 8191), time=TIME),
    st.builds(mido.Message, st.just("sysex"), data=st.lists(BYTE, max_size=200), time=TIME),
    st.builds(mido.MetaMessage, st.just("set_tempo"), tempo=st.integers(1, 2**24 - 1), time=TIME),
    st.builds(mido.MetaMessage, st.just("lyrics"), text=st.text("ab", max_size=200), time=TIME),
)
TRACKS = st.lists(st.lists(MESSAGE, max_size=30), max_size=4)


def played(content: bytes) -> Events:
    return events(parse(content))


@given(TRACKS, st.booleans())
def test_every_channel_event_is_read_as_mido_reads_it(
    tracks: list[list[mido.Message]], running: bool
) -> None:
    content = midi(*tracks)
    if not running:
        content = with_every_status(content)
    expected = mido.MidiFile(file=io.BytesIO(content))
    found = parse(content)
    assert len(found.tracks) == len(expected.tracks)
    for track, wanted in zip(found.tracks, expected.tracks, strict=True):
        tick, rows = 0, []
        for message in wanted:
            tick += message.time
            if not message.is_meta and message.type != "sysex":
                status, *data = message.bytes()
                rows.append((tick, status & 0xF0, status & 0x0F, *data, *[0] * (2 - len(data))))
        columns = (track.tick, track.status, track.channel, *track.data.T)
        assert list(zip(*(column.tolist() for column in columns), strict=True)) == rows
        assert track.end_tick == tick


def with_every_status(content: bytes) -> bytes:
    """Write a file anew without running status, which mido uses wherever it can."""
    file = mido.MidiFile(file=io.BytesIO(content))
    out = bytearray(content[:14])
    for messages in file.tracks:
        track = bytearray()
        for message in messages:
            if message.type == "sysex":
                data = bytes(message.bytes()[1:])
                track += bytes([*varlen(message.time), 0xF0, *varlen(len(data))]) + data
            else:
                track += bytes([*varlen(message.time), *message.bytes()])
        out += b"MTrk" + len(track).to_bytes(4, "big") + track
    return bytes(out)


def varlen(number: int) -> list[int]:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.insert(0, number & 0x7F | 0x80)
    return digits


@given(TRACKS)
def test_notes_that_end_are_those_of_symusic(tracks: list[list[mido.Message]]) -> None:
    content = midi(*tracks)
    found = played(content).notes
    ended = found["is_ended"] == 1
    names = ("onset_tick", "duration_ticks", "pitch", "velocity")
    ours = zip(*(found[name][ended].tolist() for name in names), strict=True)
    theirs = [
        (note.time, note.duration, note.pitch, note.velocity)
        for track in symusic.Score.from_midi(content).tracks
        for note in track.notes
    ]
    assert sorted(ours) == sorted(theirs)
    ons = [m for track in tracks for m in track if m.type == "note_on" and m.velocity]
    assert len(ended) == len(ons)


def test_notes_that_never_end_last_until_their_pitch_comes_again_or_the_track_ends() -> None:
    """By hand: 60 from 0 to 192; 62 from 96, never ended, to the end of the track at 288."""
    notes = played(UNENDED).notes
    assert notes["pitch"].tolist() == [60, 62]
    assert notes["duration_ticks"].tolist() == [192, 192]
    assert notes["is_ended"].tolist() == [1, 0]
    again = smf(b"\x00\x90\x3c\x40\x10\x3c\x41\x10\x3c\x42\x10\x3c\x00\x00\xff\x2f\x00")
    notes = played(again).notes
    assert notes["duration_ticks"].tolist() == [48, 16, 16]
    assert notes["is_ended"].tolist() == [1, 0, 0]


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 2**24 - 1)), max_size=20))
def test_times_follow_the_tempo_map(changes: list[tuple[int, int]]) -> None:
    """The oracle adds up the seconds of mido, event by event, in Python's floats."""
    tempos = [mido.MetaMessage("set_tempo", tempo=tempo, time=gap) for gap, tempo in changes]
    notes = []
    for pitch in range(30):
        on = {"note": pitch, "velocity": 1, "time": 777}
        notes += [mido.Message("note_on", **on), mido.Message("note_off", note=pitch, time=0)]
    content = midi(tempos, notes)
    elapsed, expected = 0.0, []
    for message in mido.MidiFile(file=io.BytesIO(content)):
        elapsed += message.time
        if message.type == "note_on":
            expected.append(1000 * elapsed)
    np.testing.assert_allclose(played(content).onset_ms, expected, rtol=1e-9, atol=1e-6)


def test_pedals_programs_signatures_and_names_are_there() -> None:
    track = [
        mido.MetaMessage("key_signature", key="Ebm"),
        mido.MetaMessage("time_signature", numerator=7, denominator=8, time=5),
        mido.Message("program_change", channel=2, program=40, time=5),
        mido.Message("note_on", channel=2, note=60, velocity=9),
        mido.Message("control_change", channel=2, control=64, value=90, time=10),
        mido.Message("control_change", channel=2, control=7, value=1),
        mido.Message("note_off", channel=2, note=60, time=10),
        mido.Message("program_change", channel=2, program=41),
        mido.Message("note_on", channel=2, note=60, velocity=9),
        mido.Message("note_off", channel=2, note=60, time=10),
    ]
    found = played(midi(track))
    assert {name: cells.tolist() for name, cells in found.key_signatures.items()} == {
        **{"tick": [0], "sharps": [-6], "is_minor": [1]},
    }
    assert [cells.tolist() for cells in found.time_signatures.values()] == [[5], [7], [8]]
    assert found.pedals["controller"].tolist() == [64]
    assert found.pedals["value"].tolist() == [90]
    assert found.program_changes["program"].tolist() == [40, 41]
    assert found.program_changes["channel"].tolist() == [3, 3]
    assert found.notes["program"].tolist() == [40, 41]
    named = smf(b"\x00\xff\x03\x06" + "太鼓".encode() + b"\x00\xff\x2f\x00")
    assert played(named).track_names == ("太鼓",)
    assert played(smf(b"\x00\xff\x03\x01\xe9\x00\xff\x2f\x00")).track_names == ("é",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"MThd", "truncated: the header has 4 of 14 bytes"),
        (b"RIFF" + bytes(20), "not a MIDI file: begins with b'RIFF'"),
        (smf(b"", kind=3), "malformed header: 6 bytes, type 3"),
        (smf(b"", kind=2, tracks=2), "type 2: 2 patterns that have no common time"),
        (smf(b"\x00"), "malformed track 0: ends within the event at byte 0"),
        (smf(b"\x00\x90\x3c"), "malformed track 0: no event at byte 0"),
        (smf(b"\x00\xc0\x01\x00\x02\x00\x80"), "no event at byte 5"),
        (smf(b"\x80\x80\x80\x80\x00"), "no number of variable length at byte 0"),
        (smf(b"\x00\xff\x01\x7fabc"), "the event at byte 1 has 3 of 127 bytes"),
        (smf(b"\x00\xff\x58\x02\x04\x02"), "an event of type 0x58 is too short"),
        (smf(b"\x00\xff\x58\x04\x04\xff\x18\x08"), "a time signature of 4/2^255"),
        (smf(b"\xff\xff\xff\x7f\x90\x3c\x40" * 9), "lasts 2415919095 ticks"),
    ],
)
def test_what_is_damaged_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("^", r"\^")):
        played(content)


@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_no_damage_does_more_than_be_refused(seed: int, rng: random.Random) -> None:
    content = bytearray(song(seed))
    for _ in range(rng.randrange(1, 6)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    try:
        found = played(unwrap(bytes(content[: rng.randrange(len(content) + 1)])))
    except ValueError:
        return
    assert math.isfinite(found.duration_sec)
    assert (found.notes["duration_ticks"] >= 0).all()


def test_what_plays_the_same_has_the_same_digest() -> None:
    """Names, running status and the split into tracks make no difference; a velocity does."""
    digest = played(song(1)).digest()
    assert played(song(1, name="other")).digest() == digest
    assert played(with_every_status(song(1))).digest() == digest
    assert played(song(2)).digest() != digest
    one = [mido.Message("note_on", note=60, velocity=5), mido.Message("note_off", note=60, time=9)]
    two = [mido.Message("note_on", note=61, velocity=5), mido.Message("note_off", note=61, time=9)]
    merged = [one[0], two[0], one[1], two[1].copy(time=0)]
    assert played(midi(one, two)).digest() == played(midi(merged)).digest()
    louder = [one[0].copy(velocity=6), one[1]]
    assert played(midi(louder, two)).digest() != played(midi(one, two)).digest()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"min_notes": 3}, "filtered: 2 notes, against --min-notes 3"),
        ({"max_notes": 1}, "filtered: 2 notes, against --max-notes 1"),
        ({"min_sec": 2.1}, "filtered: 2 seconds, against --min-sec 2.1"),
        ({"max_sec": 1.9}, "filtered: 2 seconds, against --max-sec 1.9"),
        ({"max_silence_sec": 0.9}, "filtered: 1 seconds of silence, against --max-silence-sec 0.9"),
        ({"min_density": 1.1}, "filtered: 1 notes a second, against --min-density 1.1"),
        ({"max_density": 0.9}, "filtered: 1 notes a second, against --max-density 0.9"),
        ({"min_notes": 2, "max_notes": 2, "max_silence_sec": 1, "min_density": 1}, ""),
    ],
)
def test_filters_say_what_was_found_and_what_was_allowed(
    limits: dict[str, float], reason: str
) -> None:
    """At 960 ticks a second: a note from 0 to 0.25 s, one from 1.25 to 2 s."""
    track = [
        mido.Message("note_on", note=60, velocity=5, time=0),
        mido.Message("note_off", note=60, time=240),
        mido.Message("note_on", note=60, velocity=5, time=960),
        mido.Message("note_off", note=60, time=720),
    ]
    assert Limits(**limits).refusal(played(midi(track))) == reason


def test_limits_that_nothing_can_keep_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--min-notes 3 is above --max-notes 2"):
        Limits(min_notes=3, max_notes=2)
    with pytest.raises(ValueError, match=r"--max-sec must be at least 0, got nan"):
        Limits(max_sec=math.nan)
