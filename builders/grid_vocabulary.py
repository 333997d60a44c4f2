"""The families of tokens of the grid."""

from typing import Final

from sousa.builders import bars
from sousa.builders.batches import DRUM_PITCHES
from sousa.builders.vocabulary import SOUND, Family

MOST_BEATS: Final = 12
BEAT: Final = 4
"""Denominator of the time signatures that are one token."""

TEMPOS_BPM: Final = range(20, 301)
VELOCITIES: Final = range(1, 128)
MICRO: Final = range(-bars.EARLY_TICKS, bars.STEP_TICKS - bars.EARLY_TICKS)
LENGTHS: Final = 48
"""Durations in steps that are one token: those below a whole note; longer ones are numbers of this
base."""

KEY_ZERO: Final = 8

FAMILIES: Final[tuple[Family, ...]] = (
    ("Bar", None),
    ("TimeSig", range(1, MOST_BEATS + 1)),
    ("Tempo", TEMPOS_BPM),
    ("Position", range(bars.MOST_STEPS)),
    ("Drum", DRUM_PITCHES),
    ("Micro", MICRO),
    ("Velocity", VELOCITIES),
    *SOUND,  # from here on since version 2
    ("Division", None),
    ("Key", None),
    ("Duration", range(LENGTHS)),
)
