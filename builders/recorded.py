"""How the audio of a config is stored, and how near to its labels it must be."""

from typing import Final, NamedTuple

from sousa.builders.hearing import APART_MS

SOUSA_OFF_MS: Final = 8.0
"""The same in audio of the existing SOUSA generator: it cuts the time of each MIDI message to whole
samples, so that by the end of a clip the sound is up to 7.8 ms early."""


class Recorded(NamedTuple):
    """How a config stores audio.

    Attributes:
        rate_hz: Samples per second.
        freely: Whether in any coding and with any number of channels.
        most_off_ms: Most by which its strokes may sound late or early.
    """

    rate_hz: int
    freely: bool = False
    most_off_ms: float = APART_MS
