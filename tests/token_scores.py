"""Random scores of any instruments, and MIDI files of them that mido writes and reads."""

import io
from collections import defaultdict

import mido
import numpy as np
from hypothesis import strategies as st

from sousa.builders.events import Events, write

DIVISIONS = (480, 1, 24, 96, 220, 240, 384, 960, 1024, 32_767)
Heard = dict[tuple[int, bool], list[tuple[int, int, int, int]]]


@st.composite
def scores(draw: st.DrawFn, drums: bool = True) -> Events:
    """Return events as `read` orders them: anything that a file can say, far apart or dense."""
    scale = draw(st.sampled_from(DIVISIONS))
    ticks = st.integers(0, draw(st.sampled_from([40 * scale, scale // 6 + 1])))
    is_drum = st.booleans() if drums else st.just(False)
    instruments = draw(st.lists(st.tuples(st.integers(0, 127), is_drum), min_size=1, max_size=5))
    tracks = st.integers(0, len(instruments) - 1)
    lengths = st.one_of(st.integers(0, 3 * scale), st.just(scale // 8), ticks)
    signatures = st.tuples(st.integers(1, 30), st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]))
    quarter_us = st.one_of(
        st.integers(20, 300).map(lambda bpm: round(60e6 / bpm)), st.integers(1, 2**24 - 1)
    )
    byte = st.integers(0, 127)
    pedal = st.tuples(st.just(64), st.sampled_from([0, 127, 70]))
    notes = draw(st.lists(st.tuples(ticks, tracks, byte, st.integers(1, 127), lengths)))
    controls = draw(
        st.lists(
            st.tuples(ticks, tracks, st.one_of(pedal, st.tuples(byte, byte))).map(
                lambda row: (row[0], row[1], *row[2])
            ),
            max_size=6,
        )
    )
    bends = draw(st.lists(st.tuples(ticks, tracks, st.integers(-8192, 8191)), max_size=4))
    keys = draw(st.lists(st.tuples(ticks, st.integers(-7, 7), st.integers(0, 1)), max_size=3))
    return Events(
        ticks_per_quarter=scale,
        instruments=tuple(instruments),
        notes=_sorted(notes, 5, by=2),
        tempos=_changes(draw, ticks, quarter_us.map(lambda us: (us,))),
        signatures=_changes(draw, ticks, signatures),
        keys=_sorted(keys, 3, by=1),
        controls=_sorted(controls, 4, by=2),
        bends=_sorted(bends, 3, by=2),
    )


@st.composite
def crowds(draw: st.DrawFn) -> bytes:
    """Return a file of many notes of few pitches, drums and not, that overlap and end together."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale, count = int(rng.choice(DIVISIONS)), int(rng.integers(1, 80))
    tick = rng.integers(0, scale * rng.choice([1, 8, 30]) + 1, count)
    lengths = [0, 1, scale // 8, *rng.integers(0, scale + 1, 3)]
    columns = (rng.integers(0, 3, count), rng.choice([38, 60, 61], count))
    notes = np.stack([tick, *columns, rng.integers(1, 128, count), rng.choice(lengths, count)], 1)
    tempos = [(0, *rng.integers(9**6, 2**21, 1)), (int(tick.max()) // 2 + 1, 500_000)]
    empty = np.empty((0, 4), np.int32)
    return write(
        Events(
            ticks_per_quarter=scale,
            instruments=((0, True), (5, False), (9, True)),
            notes=notes[np.lexsort((notes[:, 1], tick))].astype(np.int32),
            tempos=np.array(tempos, np.int32),
            signatures=np.array([(0, 4, 4)], np.int32),
            keys=empty[:, :3],
            controls=empty,
            bends=empty[:, :3],
        )
    )


def _sorted(rows: list[tuple[int, ...]], width: int, by: int) -> np.ndarray:
    rows.sort(key=lambda row: row[:by])
    return np.array(rows, np.int32).reshape(-1, width)


def _changes(
    draw: st.DrawFn, ticks: st.SearchStrategy[int], values: st.SearchStrategy[tuple[int, ...]]
) -> np.ndarray:
    later = draw(st.dictionaries(ticks, values, max_size=4)) | {0: draw(values)}
    return np.array([(tick, *later[tick]) for tick in sorted(later)], np.int32)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Return a type-1 file by mido, with another program on each channel and a pedal."""
    scale = draw(st.sampled_from(DIVISIONS))
    parsed = mido.MidiFile(ticks_per_beat=scale)
    tempo = mido.MidiTrack([mido.MetaMessage("track_name", name="ö tempo")])
    parsed.tracks.append(tempo)
    for wait, quarter_us in draw(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 9**7)))):
        tempo.append(mido.MetaMessage("set_tempo", tempo=quarter_us, time=wait))
    for channel in draw(st.sets(st.integers(0, 15), max_size=4)):
        track = mido.MidiTrack()
        parsed.tracks.append(track)
        track.append(mido.Message("program_change", channel=channel, program=3 * channel))
        track += _messages(draw, channel, scale)
    buffer = io.BytesIO()
    parsed.save(file=buffer)
    return buffer.getvalue()


def _messages(draw: st.DrawFn, channel: int, scale: int) -> list[mido.Message]:
    notes = draw(
        st.lists(
            st.tuples(
                *(st.integers(0, 8 * scale), st.integers(1, 3 * scale)),
                *(st.integers(30, 40), st.integers(1, 127)),
            )
        )
    )
    # Notes of one pitch do not overlap: which end belongs to which beginning is a reader's choice.
    free: dict[int, int] = defaultdict(int)
    messages = []
    for tick, length, pitch, velocity in sorted(notes, key=lambda note: note[0]):
        if tick >= free[pitch]:
            free[pitch] = tick + length
            note = {"channel": channel, "note": pitch}
            messages.append((tick, 1, mido.Message("note_on", velocity=velocity, **note)))
            messages.append((tick + length, 0, mido.Message("note_off", **note)))
    timed = sorted(messages, key=lambda item: item[:2])
    ticks = [0, *(tick for tick, _, _ in timed)]
    return [
        message.copy(time=tick - before)
        for (tick, _, message), before in zip(timed, ticks, strict=False)
    ]


def heard(file: bytes) -> Heard:
    """Return onset, pitch, velocity and duration of the notes of each program, as mido reads them.

    Simultaneous notes are in file order.
    """
    parsed = mido.MidiFile(file=io.BytesIO(file))
    notes: Heard = defaultdict(list)
    for track in parsed.tracks:
        tick, program = 0, dict.fromkeys(range(16), 0)
        sounding: dict[tuple[int, int], list[tuple[int, int, list[tuple[int, ...]]]]] = defaultdict(
            list
        )
        for message in track:
            tick += message.time
            if message.type == "program_change":
                program[message.channel] = message.program
            elif message.type == "note_on" and message.velocity:
                who = notes[program[message.channel], message.channel == 9]
                sounding[message.channel, message.note].append((tick, len(who), who))
                who.append((tick, message.note, message.velocity, -1))
            elif message.type in ("note_on", "note_off"):
                begun, place, who = sounding[message.channel, message.note].pop(0)
                who[place] = (*who[place][:3], tick - begun)
    return dict(notes)
