"""What a MIDI file must be like to be imported."""

from dataclasses import asdict, dataclass
from typing import Final

from sousa.builders.midi_events import Events

MEGABYTE: Final = 1_000_000

LEAST_READ_SEC: Final = 0.1
"""Less time than a process may need between two files on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds; None is no bound.

    Attributes:
        min_notes, max_notes: Of the notes.
        min_sec, max_sec: Of the time to the end of the last note.
        max_silence_sec: Of the time in which no note sounds, the start included.
        min_density, max_density: Of the notes a second.
        max_file_mb: Of the file's size; memory follows it, by a factor of 50.
        max_events: Of the events of all kinds.
        max_read_sec: Of the time that a file may take; it is stopped then.
    """

    min_notes: int = 1
    max_notes: int | None = None
    min_sec: float | None = 0.001
    max_sec: float | None = None
    max_silence_sec: float | None = None
    min_density: float | None = None
    max_density: float | None = None
    max_file_mb: float = 4.0
    max_events: int = 1_000_000
    max_read_sec: float = 60.0

    def __post_init__(self) -> None:
        """Refuse bounds that no file can keep.

        Raises:
            ValueError: If a bound is below 0, or a lower one above its upper one.
        """
        bounds = asdict(self)
        for name, bound in bounds.items():
            if bound is not None and not bound >= 0:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 0, got {bound}")
        if self.max_read_sec < LEAST_READ_SEC:
            raise ValueError(
                f"--max-read-sec must be at least {LEAST_READ_SEC:g}, got {self.max_read_sec:g}"
            )
        for what in ("notes", "sec", "density"):
            low, high = bounds[f"min_{what}"], bounds[f"max_{what}"]
            if low is not None and high is not None and low > high:
                raise ValueError(f"--min-{what} {low} is above --max-{what} {high}")

    def refusal(self, events: Events) -> str:
        """Return why a file is not imported; empty if it is."""
        notes, seconds = len(events.notes["pitch"]), events.duration_sec
        density = notes / seconds if seconds else 0.0
        silence = events.longest_silence_sec
        rules: tuple[tuple[str, float, float | None], ...] = (
            ("min-notes", notes, self.min_notes),
            ("max-notes", notes, self.max_notes),
            ("min-sec", seconds, self.min_sec),
            ("max-sec", seconds, self.max_sec),
            ("max-silence-sec", silence, self.max_silence_sec),
            ("min-density", density, self.min_density),
            ("max-density", density, self.max_density),
        )
        for option, value, bound in rules:
            if bound is not None and (value < bound if option.startswith("min") else value > bound):
                unit = _UNITS[option.partition("-")[2]]
                return f"filtered: {value:.6g} {unit}, against --{option} {bound:g}"
        return ""


_UNITS: Final = {
    "notes": "notes",
    "sec": "seconds",
    "silence-sec": "seconds of silence",
    "density": "notes a second",
}
