"""Strokes to a standard MIDI file, and back to ticks and velocities."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from symusic import Note, Score, Tempo, TimeSignature, Track

from sousa.builders.schema import TICKS_PER_QUARTER

SNARE: Final = 38
"""Acoustic Snare of the General MIDI percussion map."""

LONGEST_TICKS: Final = 60
"""Length of a note that nothing follows: a thirty-second. Drums ignore it, piano rolls show it."""


@dataclass(frozen=True, slots=True, eq=False)
class Notes:
    """The notes of one drum track, in file order.

    Attributes:
        tick: Onsets, int64, `TICKS_PER_QUARTER` to the quarter note.
        velocity: int64 in [1, 127].
        tempo_bpm: Quarter notes per minute, as whole as the file's microseconds allow.
        beats_per_measure: Upper number of the time signature n/4.
    """

    tick: NDArray[np.int64]
    velocity: NDArray[np.int64]
    tempo_bpm: float
    beats_per_measure: int

    @property
    def onset_ms(self) -> NDArray[np.float64]:
        """Onsets from the start of the file."""
        return self.tick.astype(np.float64) * ms_per_tick(self.tempo_bpm)


def microseconds_per_quarter(tempo_bpm: float) -> int:
    """Return what a MIDI file stores for a tempo."""
    return round(60e6 / tempo_bpm)


def ms_per_tick(tempo_bpm: float) -> float:
    """Return the length of a tick at the tempo that the file stores."""
    return microseconds_per_quarter(tempo_bpm) / 1000 / TICKS_PER_QUARTER


def ticks(onset_ms: NDArray[np.float64], tempo_bpm: float) -> NDArray[np.int64]:
    """Round onsets to ticks, each by itself, so that errors never add up."""
    return np.rint(onset_ms / ms_per_tick(tempo_bpm)).astype(np.int64)


def encode(notes: Notes) -> bytes:
    """Return a standard MIDI file: one drum track on channel 10, note 38.

    Simultaneous notes all survive: they end together, before the next one begins.

    Raises:
        ValueError: If notes are not in time order or begin before 0.
    """
    tick = notes.tick.astype(np.int32)
    if len(tick) and (tick[0] < 0 or np.any(np.diff(tick) < 0)):
        raise ValueError(f"ticks must rise from 0, got {tick.tolist()}")
    later = np.searchsorted(tick, tick, side="right")
    following = np.append(tick, np.int32(np.iinfo(np.int32).max))[later]
    score = Score(TICKS_PER_QUARTER)
    quarter_us = microseconds_per_quarter(notes.tempo_bpm)
    score.tempos.append(Tempo(0, mspq=quarter_us))
    score.time_signatures.append(TimeSignature(0, notes.beats_per_measure, 4))
    track = Track(name="snare", program=0, is_drum=True)
    track.notes = Note.from_numpy(
        time=tick,
        duration=np.minimum(LONGEST_TICKS, following - tick).astype(np.int32),
        pitch=np.full(len(tick), SNARE, np.int8),
        velocity=notes.velocity.astype(np.int8),
    )
    score.tracks.append(track)
    return bytes(score.dumps_midi())


def decode(midi: bytes) -> Notes:
    """Read the file that `encode` wrote.

    Raises:
        ValueError: If the bytes are no MIDI file, or one of another kind.
    """
    try:
        score = Score.from_midi(midi)
    except RuntimeError as error:
        raise ValueError(f"not a MIDI file of {len(midi)} bytes: {error}") from error
    if len(score.tracks) > 1 or len(score.tempos) != 1 or len(score.time_signatures) != 1:
        raise ValueError(f"expected one track, tempo and time signature, got {score}")
    track = score.tracks[0] if score.tracks else Track(is_drum=True)  # a file without notes
    signature, notes = score.time_signatures[0], track.notes.numpy()
    kind = (score.ticks_per_quarter, signature.denominator, track.is_drum)
    if kind != (TICKS_PER_QUARTER, 4, True) or set(notes["pitch"].tolist()) - {SNARE}:
        raise ValueError(
            f"expected note {SNARE} on channel 10 in n/4 time at {TICKS_PER_QUARTER} ticks, "
            f"got {track}, {signature} at {score.ticks_per_quarter}"
        )
    return Notes(
        tick=notes["time"].astype(np.int64),
        velocity=notes["velocity"].astype(np.int64),
        tempo_bpm=60e6 / score.tempos[0].mspq,
        beats_per_measure=signature.numerator,
    )
