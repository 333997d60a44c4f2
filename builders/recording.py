"""What is known of a recording: every setting that shaped its sound."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sousa.builders import electronics, microphones, rooms
from sousa.builders.schema import SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording as it is really rendered; None stands for what is not used.

    Attributes:
        preset: Name of the set-up it is one take of.
        room: A name in `rooms.ROOMS`, with `wet`; heard by a microphone.
        wet: Share of the room in the amplitude, [0, 0.95].
        mic: A name in `microphones.MICROPHONES`, with `position` and `distance_m`.
        position: A name in `microphones.POSITIONS`.
        distance_m: From the drum, [0.02, 20].
        preamp: A name in `electronics.PREAMPS`, with `drive`.
        drive: Its saturation, [0, 1].
        ratio: Of the compressor, >= 1, with `threshold_db`.
        threshold_db: In dBFS.
        noise: One of `electronics.NOISES`, with `noise_db`.
        noise_db: Its RMS in dBFS.
        low_cut_hz: High-pass corner.
        high_cut_hz: Low-pass corner.
        bit_depth: Of a coarse converter.
        sample_rate: Of a slow converter, a whole fraction of 44,100 Hz.

    Raises:
        ValueError: If a name is unknown, a value out of range, or what a setting needs is missing.
    """

    preset: str
    room: str | None = None
    wet: float | None = None
    mic: str | None = None
    position: str | None = None
    distance_m: float | None = None
    preamp: str | None = None
    drive: float | None = None
    ratio: float | None = None
    threshold_db: float | None = None
    noise: str | None = None
    noise_db: float | None = None
    low_cut_hz: float | None = None
    high_cut_hz: float | None = None
    bit_depth: int | None = None
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be rendered."""
        for name, needed in _NEEDS.items():
            missing = [other for other in needed if getattr(self, other) is None]
            if missing and getattr(self, name) is not None:
                raise ValueError(f"{self.preset}: {name} needs {', '.join(missing)}")
        for name, known in _NAMES.items():
            value = getattr(self, name)
            if value is not None and value not in known:
                raise ValueError(f"{self.preset}: {name} must be one of {known}, got {value!r}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{self.preset}: {name} must be in [{low}, {high}], got {value}")
        if self.sample_rate is not None and SAMPLE_RATE % self.sample_rate:
            raise ValueError(
                f"{self.preset}: sample_rate must divide {SAMPLE_RATE}, got {self.sample_rate}"
            )

    def columns(self) -> dict[str, str | float | int | None]:
        """Return the `aug_*` columns of a row."""
        return {column: getattr(self, name) for column, name in _COLUMNS.items()}


_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "room": ("wet", "mic"),
    "wet": ("room",),
    "mic": ("position", "distance_m"),
    "position": ("mic",),
    "distance_m": ("mic",),
    "preamp": ("drive",),
    "drive": ("preamp",),
    "ratio": ("threshold_db",),
    "threshold_db": ("ratio",),
    "noise": ("noise_db",),
    "noise_db": ("noise",),
}
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "room": tuple(rooms.ROOMS),
    "mic": tuple(microphones.MICROPHONES),
    "position": tuple(microphones.POSITIONS),
    "preamp": tuple(electronics.PREAMPS),
    "noise": electronics.NOISES,
}
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "wet": (0, 0.95),
    "distance_m": (0.02, 20),
    "drive": (0, 1),
    "ratio": (1, 100),
    "threshold_db": (-80, 0),
    "noise_db": (-120, -10),
    "low_cut_hz": (10, 20_000),
    "high_cut_hz": (100, 20_000),
    "bit_depth": (4, 24),
    "sample_rate": (1000, SAMPLE_RATE),
}
_COLUMNS: Final = {
    "aug_room_type": "room",
    "aug_room_wet_dry": "wet",
    "aug_mic_type": "mic",
    "aug_mic_position": "position",
    "aug_mic_distance": "distance_m",
    "aug_preamp": "preamp",
    "aug_preamp_drive": "drive",
    "aug_compression_ratio": "ratio",
    "aug_compression_threshold_db": "threshold_db",
    "aug_noise_type": "noise",
    "aug_noise_level_db": "noise_db",
    "aug_low_cut_hz": "low_cut_hz",
    "aug_high_cut_hz": "high_cut_hz",
    "aug_bit_depth": "bit_depth",
    "aug_sample_rate": "sample_rate",
}
