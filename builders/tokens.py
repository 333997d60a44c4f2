"""MIDI files to token ids and back.

Two tokenizers, both of a snare's notes:

    grid  exact: every tick, velocity, tempo and time signature comes back. Four tokens a note:
          `Position` on a grid of twelfths of a quarter, `Drum`, `Micro` (ticks off the grid) and
          `Velocity`; `Bar` at each bar line; `TimeSig` and `Tempo` once.
    ms    a clock of 2 ms that knows no tempo. Three tokens a note: `Shift`, `Drum`, `Velocity`.

A twelfth of a quarter holds sixteenths and triplets; a grid alone would destroy what makes a
performance skilled, hence the microtiming in single ticks.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sousa.builders.midi import SNARE, Notes, decode, encode, ticks
from sousa.builders.schema import TICKS_PER_QUARTER

SPECIALS: Final = ("PAD", "BOS", "EOS", "MASK")
STEPS_PER_QUARTER: Final = 12
STEP_TICKS: Final = TICKS_PER_QUARTER // STEPS_PER_QUARTER
MOST_BEATS: Final = 12
TEMPOS_BPM: Final = range(20, 301)
DRUM_PITCHES: Final = range(27, 89)
VELOCITIES: Final = range(1, 128)
CLOCK_MS: Final = 2
MOST_STEPS: Final = 500
"""Steps of the `ms` clock in one token; longer gaps take several."""

Ids = NDArray[np.uint16]


class Tokenizer(Protocol):
    """What a token column needs."""

    @property
    def type(self) -> str:
        """Its name on the command line, such as `grid`."""

    @property
    def vocab(self) -> dict[str, int]:
        """Ids by token."""

    def encode(self, midi: bytes) -> Ids:
        """Return the ids of a MIDI file."""

    def decode(self, ids: Iterable[int]) -> bytes:
        """Return a MIDI file of what the ids say."""

    @property
    def special_ids(self) -> dict[str, int]:
        """Ids of PAD, BOS, EOS and MASK; they are never in `encode`'s output."""


def _vocab(*families: tuple[str, Iterable[int]]) -> dict[str, int]:
    names = [
        *SPECIALS,
        "Bar",
        *(f"{name}_{value}" for name, values in families for value in values),
    ]
    return {name: id_ for id_, name in enumerate(names)}


@dataclass(frozen=True)
class _Vocabulary:
    """What all tokenizers have."""

    type: str
    vocab: dict[str, int] = field(repr=False)

    @property
    def special_ids(self) -> dict[str, int]:
        """Ids of PAD, BOS, EOS and MASK; they are never in `encode`'s output."""
        return {name: self.vocab[name] for name in SPECIALS}


@dataclass(frozen=True)
class GridTokenizer(_Vocabulary):
    """Exact tokens: a grid, and the ticks off it."""

    type: str = "grid"
    vocab: dict[str, int] = field(
        default_factory=lambda: _vocab(
            ("TimeSig", range(1, MOST_BEATS + 1)),
            ("Tempo", TEMPOS_BPM),
            ("Position", range(MOST_BEATS * STEPS_PER_QUARTER)),
            ("Drum", DRUM_PITCHES),
            ("Micro", range(-STEP_TICKS // 2, STEP_TICKS // 2)),
            ("Velocity", VELOCITIES),
        ),
        repr=False,
    )

    def encode(self, midi: bytes) -> Ids:
        """Return the ids of a MIDI file that `midi.encode` wrote.

        Raises:
            ValueError: If the file holds what these tokens cannot carry.
        """
        notes = decode(midi)
        tempo_bpm = round(notes.tempo_bpm)
        if tempo_bpm not in TEMPOS_BPM or encode(_at(notes, tempo_bpm)) != midi:
            raise ValueError(
                f"grid tokens need a whole tempo in [20, 300], got {notes.tempo_bpm:.2f}"
            )
        if notes.beats_per_measure > MOST_BEATS:
            raise ValueError(f"grid tokens need at most 12/4, got {notes.beats_per_measure}/4")
        step, micro = np.divmod(notes.tick + STEP_TICKS // 2, STEP_TICKS)
        bar, position = np.divmod(step, notes.beats_per_measure * STEPS_PER_QUARTER)
        new_bars = np.diff(bar, prepend=-1)
        ends = np.cumsum(new_bars + 4) + 2
        ids = np.full(ends[-1] if len(ends) else 2, self.vocab["Bar"], np.uint16)
        ids[0] = self.vocab[f"TimeSig_{notes.beats_per_measure}"]
        ids[1] = self.vocab[f"Tempo_{tempo_bpm}"]
        ids[ends - 4] = self.vocab["Position_0"] + position
        ids[ends - 3] = self.vocab[f"Drum_{SNARE}"]
        ids[ends - 2] = self.vocab[f"Micro_{-STEP_TICKS // 2}"] + micro
        ids[ends - 1] = self.vocab["Velocity_1"] + notes.velocity - 1
        return ids

    def decode(self, ids: Iterable[int]) -> bytes:
        """Return the MIDI file; special tokens are passed over.

        Raises:
            ValueError: If the ids are not a whole sequence of this tokenizer.
        """
        body = _without_specials(ids)
        bar = np.cumsum(body == self.vocab["Bar"]) - 1
        values = body[body != self.vocab["Bar"]].astype(np.int64)
        bar = bar[body != self.vocab["Bar"]]
        if len(values) < 2 or len(values) % 4 != 2:
            raise ValueError(f"expected TimeSig, Tempo and 4 tokens a note, got {len(values)}")
        beats = int(values[0]) - self.vocab["TimeSig_1"] + 1
        tempo_bpm = int(values[1]) - self.vocab["Tempo_20"] + TEMPOS_BPM.start
        position, _, micro, velocity = values[2:].reshape(-1, 4).T
        step = bar[2::4] * beats * STEPS_PER_QUARTER + position - self.vocab["Position_0"]
        tick = step * STEP_TICKS + micro - self.vocab["Micro_0"]
        return encode(Notes(tick, velocity - self.vocab["Velocity_1"] + 1, tempo_bpm, beats))


@dataclass(frozen=True)
class ClockTokenizer(_Vocabulary):
    """Tokens on a clock of 2 ms; decoding gives a file at 120 quarter notes per minute."""

    type: str = "ms"
    vocab: dict[str, int] = field(
        default_factory=lambda: _vocab(
            ("Shift", range(MOST_STEPS + 1)), ("Drum", DRUM_PITCHES), ("Velocity", VELOCITIES)
        ),
        repr=False,
    )

    def encode(self, midi: bytes) -> Ids:
        """Return the ids of a MIDI file that `midi.encode` wrote.

        Raises:
            ValueError: If the bytes are no such file.
        """
        notes = decode(midi)
        steps = np.diff(np.rint(notes.onset_ms / CLOCK_MS).astype(np.int64), prepend=0)
        longest, rest = np.divmod(steps, MOST_STEPS)
        ends = np.cumsum(longest + 3)
        ids = np.full(ends[-1] if len(ends) else 0, self.vocab[f"Shift_{MOST_STEPS}"], np.uint16)
        ids[ends - 3] = self.vocab["Shift_0"] + rest
        ids[ends - 2] = self.vocab[f"Drum_{SNARE}"]
        ids[ends - 1] = self.vocab["Velocity_1"] + notes.velocity - 1
        return ids

    def decode(self, ids: Iterable[int]) -> bytes:
        """Return a MIDI file at 120 quarter notes per minute; special tokens are passed over."""
        body = _without_specials(ids).astype(np.int64)
        shift = np.where(body < self.vocab[f"Drum_{DRUM_PITCHES.start}"], body, 0)
        elapsed = np.cumsum(np.where(shift > 0, shift - self.vocab["Shift_0"], 0))
        is_velocity = body >= self.vocab["Velocity_1"]
        onset_ms = CLOCK_MS * elapsed[is_velocity].astype(np.float64)
        velocity = body[is_velocity] - self.vocab["Velocity_1"] + 1
        return encode(Notes(ticks(onset_ms, 120), velocity, 120, 4))


TOKENIZERS: Final[dict[str, Callable[[], Tokenizer]]] = {
    "grid": GridTokenizer,
    "ms": ClockTokenizer,
}
COLUMNS: Final = {"grid": "tokens", "ms": "tokens_ms"}
"""Token column of each tokenizer."""


def _at(notes: Notes, tempo_bpm: float) -> Notes:
    return Notes(notes.tick, notes.velocity, tempo_bpm, notes.beats_per_measure)


def _without_specials(ids: Iterable[int]) -> Ids:
    body = np.asarray(list(ids), np.uint16)
    return body[body >= len(SPECIALS)]


def to_json(tokenizer: Tokenizer) -> str:
    """Return the file `tokenizers/<column>.json` of a tokenizer."""
    content: dict[str, Any] = {
        "type": tokenizer.type,
        "version": 1,
        "ticks_per_quarter": TICKS_PER_QUARTER,
        "special_ids": tokenizer.special_ids,
        "vocab": tokenizer.vocab,
    }
    return json.dumps(content | {"hash": _hash(content)}, indent=1) + "\n"


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Return the tokenizer that a file of `tokenizers/` describes.

    Raises:
        ValueError: If the file was changed, or is of another type or version.
    """
    content = json.loads(Path(path).read_text())
    stated = content.pop("hash", None)
    if content.get("type") not in TOKENIZERS:
        allowed = ", ".join(TOKENIZERS)
        raise ValueError(f"{path}: type must be one of {allowed}, got {content.get('type')!r}")
    tokenizer = TOKENIZERS[content["type"]]()
    if _hash(content) != stated or content["vocab"] != tokenizer.vocab:
        raise ValueError(f"{path}: vocabulary or hash is not that of this version's tokenizer")
    return tokenizer


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
