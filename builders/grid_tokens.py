"""Exact tokens: bars, places on a grid of twelfths of a quarter, and the ticks off it.

    header  [Division + 4 digits] TimeSig Tempo, and the program of each track
    event   Bar [TimeSig]
            Position [track] Drum|Pitch Micro Velocity [Duration ...]
            Position [track] Control|PedalOn|PedalOff|Bend Micro
            Position Tempo|TimeSig|Key Micro

A drum's note is four tokens, a tone's five or six. The track is written where it is not that of
the event before in the bar; each bar begins with the first one. Files of other than 480 ticks to
the quarter note say so, and count what lies between two ticks in two more digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders import bars
from sousa.builders.batches import (
    Batch,
    Instruments,
    Strokes,
    check,
    put_sound,
    put_sticking,
    put_tracks,
    put_velocity,
    split_rows,
    track_tokens,
)
from sousa.builders.events import DURATION, Events
from sousa.builders.grid_vocabulary import BEAT, FAMILIES, KEY_ZERO, LENGTHS, MOST_BEATS, TEMPOS_BPM
from sousa.builders.schema import TICKS_PER_QUARTER
from sousa.builders.vocabulary import (
    ABSENT,
    DIGIT,
    STICKING,
    Ids,
    Ints,
    Layout,
    Vocabulary,
)

MOST_BARS: Final = 1_000_000
MOST_TICKS: Final = 2**31 - 1

# Places in the row of an event.
_PLACE, _WHO, _WHAT, _DATA = 0, range(1, 4), 4, range(5, 11)
_MICRO, _FINE, _VELOCITY, _STICKING = 11, range(12, 14), 14, range(15, 17)
_LENGTH, _REST, _REST_FINE = range(17, 22), 22, range(23, 25)

_KINDS: Final = {"signatures": 1, "tempos": 1, "keys": 0, "controls": 0, "bends": 0, "notes": 0}
"""Tables in the order of simultaneous events; the first signature and tempo are in the header."""

_BAR_RANK, _CUT_RANK, _CUT_BAR_RANK, _EVENT_RANK = range(4)
"""Order of what has the same key: a signature within a bar comes before the bars after it."""


@dataclass(frozen=True)
class GridCode:
    """Events to ids.

    Attributes:
        sticking: Whether hands and stroke types are tokens.
    """

    sticking: bool

    ticks_per_quarter: ClassVar[int] = TICKS_PER_QUARTER
    """Of what decoding gives, unless the tokens say otherwise."""

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens."""
        return Vocabulary(FAMILIES + STICKING * self.sticking)

    def check(self, events: Events) -> None:
        """Refuse a file that these tokens cannot carry.

        Raises:
            ValueError: If it is one.
        """
        last = check(events, TICKS_PER_QUARTER, MOST_TICKS)
        shortest = min(bars.bar_ticks(*signature) for _, *signature in events.signatures.tolist())
        if last // shortest >= MOST_BARS:
            raise ValueError(f"grid tokens hold at most {MOST_BARS} bars, the file has more")
        for _, sharps, minor in events.keys.tolist():
            if not (0 <= sharps + KEY_ZERO < DIGIT and 0 <= minor < DIGIT):
                raise ValueError(f"a key must have at most 7 sharps or 8 flats, got {sharps}")

    def encode(self, files: Sequence[Events], strokes: Sequence[Strokes] | None) -> list[Ids]:
        """Return the ids of files that `check` lets pass."""
        return _Pass(self.vocabulary, files).ids(strokes if self.sticking else None)


def microseconds(bpm: Ints) -> Ints:
    """Return the length of the quarter note that a tempo token stands for."""
    return np.rint(60e6 / bpm).astype(np.int64)


def coarse_ticks(tick: Ints, scale: Ints) -> tuple[Ints, Ints]:
    """Return ticks at 480 to the quarter note, and how many of the file's lie after each."""
    coarse = tick * TICKS_PER_QUARTER // scale
    return coarse, tick - first_tick(coarse, scale)


def first_tick(coarse: Ints, scale: Ints) -> Ints:
    """Return the first of a file's ticks that is not before a tick at 480 to the quarter note."""
    return -(-coarse * scale // TICKS_PER_QUARTER)


class _Pass:
    """One pass over the events of some files, all at once."""

    def __init__(self, v: Vocabulary, files: Sequence[Events]) -> None:
        self._v = v
        self._files = files
        self._batch = Batch(files, _KINDS)
        scale = self._batch.scale[self._batch.file]
        self._coarse, self._fine = coarse_ticks(self._batch.tick, scale)
        self._key = bars.key(self._coarse)
        self._stretches = self._find_stretches()

    def ids(self, strokes: Sequence[Strokes] | None) -> list[Ids]:
        """Return the ids of each file."""
        batch, stretches, rows = self._batch, self._stretches, len(self._batch)
        stretch = stretches.of(batch.file, self._key)
        is_later = np.diff(stretches.file, prepend=-1) == 0
        cut, is_there = batch.parts["signatures"], np.ones(rows, np.bool_)
        stretch[cut] = np.flatnonzero(is_later) - 1  # a signature stands in what it ends
        is_there[cut] = ~stretches.on_line[is_later]  # or opens a bar, and is no row of its own
        bar, place = np.divmod(self._key - stretches.start[stretch], stretches.length[stretch])
        last_bar = np.full(len(stretches.file), -1)
        np.maximum.at(last_bar, stretch[is_there], bar[is_there])
        lines = bars.lines(stretches, stretches.bars(last_bar))
        layout = Layout(rows + len(lines.stretch))
        self._put_events(layout, place)
        if strokes is not None:
            put_sticking(layout, batch, self._v, strokes, _STICKING)
        self._put_bars(layout, lines, np.cumsum(is_later) - 1, is_later)
        file = np.append(batch.file, stretches.file[lines.stretch])
        rank = np.full(rows, _EVENT_RANK)
        rank[cut] = _CUT_RANK
        key = np.append(self._key, lines.key)
        order = _order(file, key, np.append(rank, np.where(lines.is_cut, _CUT_BAR_RANK, _BAR_RANK)))
        order = order[np.append(is_there, np.ones(len(lines.key), np.bool_))[order]]
        self._put_tracks(layout, order, file)
        tokens, lengths = layout.flat(order)
        bodies = split_rows(tokens, lengths, file[order], len(self._files))
        heads = [_header(events, self._v) for events in self._files]
        return [np.concatenate(pair) for pair in zip(heads, bodies, strict=True)]

    def _find_stretches(self) -> bars.Stretches:
        part = self._batch.parts["signatures"]
        coarse, fine = iter(self._coarse[part].tolist()), iter(self._fine[part].tolist())
        found = []
        for events in self._files:
            signatures = events.signatures.tolist()
            later = range(1, len(signatures))
            found.append(
                (
                    [0, *(next(coarse) for _ in later)],
                    [bars.bar_ticks(*signature) for _, *signature in signatures],
                    [True, *(next(fine) == 0 for _ in later)],
                )
            )
        return bars.stretches(found)

    def _put_events(self, layout: Layout, place: Ints) -> None:
        v, batch, every = self._v, self._batch, slice(0, len(self._batch))
        step, micro = np.divmod(place, bars.STEP_TICKS)
        layout.put(_PLACE, every, v.first("Position") + step)
        layout.put(_MICRO, every, v.first("Micro") + micro)
        between = np.flatnonzero(self._fine)
        if len(between):
            layout.put_digits(_FINE, between, self._fine[between], v.first("Digit"))
        put_sound(layout, batch, v, _WHAT, _DATA)
        put_velocity(layout, batch, v, _VELOCITY)
        self._put_durations(layout)
        signatures, tempos, keys = (batch.parts[kind] for kind in ("signatures", "tempos", "keys"))
        rows = np.arange(signatures.start, signatures.stop)
        _put_signatures(layout, v, rows, *batch.tables["signatures"][1:])
        _put_tempos(layout, v, np.arange(tempos.start, tempos.stop), batch.tables["tempos"][1])
        if keys.start < keys.stop:
            _, sharps, minor = batch.tables["keys"]
            layout.put(_WHAT, keys, v.first("Key"))
            layout.put(_DATA[0], keys, v.first("Digit") + KEY_ZERO + sharps)
            layout.put(_DATA[1], keys, v.first("Digit") + minor)

    def _put_durations(self, layout: Layout) -> None:
        v, batch = self._v, self._batch
        stated = batch.stated()
        if not len(stated):
            return
        duration = batch.tables["notes"][DURATION][stated]
        rows = batch.parts["notes"].start + stated
        coarse, fine = coarse_ticks(duration, batch.scale[batch.file[rows]])
        steps, rest = np.divmod(coarse + bars.EARLY_TICKS, bars.STEP_TICKS)
        layout.put_long(_LENGTH, rows, steps, v.first("Duration"), LENGTHS)
        is_whole = rest == bars.EARLY_TICKS
        layout.put(_REST, rows, np.where(is_whole, ABSENT, v.first("Micro") + rest))
        between = fine > 0
        layout.put_digits(_REST_FINE, rows[between], fine[between], v.first("Digit"))

    def _put_bars(
        self, layout: Layout, lines: bars.Lines, later: Ints, is_later: NDArray[np.bool_]
    ) -> None:
        """Write the bar lines, and the signatures that begin at one."""
        first = len(self._batch)
        layout.put(_PLACE, slice(first, None), self._v.first("Bar"))
        opens = np.flatnonzero(lines.opens & is_later[lines.stretch])
        table = self._batch.tables["signatures"][1:, later[lines.stretch[opens]]]
        _put_signatures(layout, self._v, first + opens, *table)

    def _put_tracks(self, layout: Layout, order: Ints, file: Ints) -> None:
        """Write the track of each event that is not of the same track as the one before it."""
        batch = self._batch
        if len(batch.who) == len(self._files):
            return
        first = batch.first_track[file]
        track = np.append(batch.track, first[len(batch) :])  # a bar begins with the first track
        order = order[track[order] >= 0]
        in_order, begins = track[order], np.diff(file[order], prepend=-1) != 0
        before = np.where(begins, first[order], np.roll(in_order, 1))
        is_new = (in_order != before) & (order < len(batch))
        put_tracks(layout, batch, self._v, order[is_new], _WHO)


def _order(file: Ints, key: Ints, rank: Ints) -> Ints:
    return np.argsort(file << 38 | key << 2 | rank, kind="stable")


def _put_signatures(
    layout: Layout, v: Vocabulary, rows: Ints, numerator: Ints, denominator: Ints
) -> None:
    """Write `TimeSig_n` of n/4; one digit after it is the denominator; three are both numbers."""
    if not len(rows):
        return
    power = np.log2(denominator).astype(np.int64)
    digit, is_long = v.first("Digit"), numerator > MOST_BEATS
    layout.put(_WHAT, rows, v.first("TimeSig") + np.minimum(numerator, MOST_BEATS) - 1)
    layout.put_digits(_DATA[:2], rows[is_long], numerator[is_long], digit)
    other = is_long | (denominator != BEAT)
    layout.put(_DATA[2], rows[other], digit + power[other])


def _put_tempos(layout: Layout, v: Vocabulary, rows: Ints, quarter_us: Ints) -> None:
    """Write the nearest `Tempo_n`; six digits after it are the microseconds, if others."""
    if not len(rows):
        return
    bpm = np.rint(60e6 / np.maximum(quarter_us, 1)).clip(TEMPOS_BPM[0], TEMPOS_BPM[-1])
    bpm = bpm.astype(np.int64)
    layout.put(_WHAT, rows, v.first("Tempo") + bpm - TEMPOS_BPM[0])
    other = microseconds(bpm) != quarter_us
    layout.put_digits(_DATA, rows[other], quarter_us[other], v.first("Digit"))


def _header(events: Events, v: Vocabulary) -> Ids:
    signature, tempo = tuple(events.signatures[0].tolist()), int(events.tempos[0, 1])
    return _cached_header(v, events.ticks_per_quarter, signature, tempo, events.instruments)


@lru_cache(maxsize=4096)
def _cached_header(
    v: Vocabulary,
    scale: int,
    signature: tuple[int, int, int],
    quarter_us: int,
    instruments: Instruments,
) -> Ids:
    row = np.zeros(1, np.int64)
    layout = Layout(1)
    if scale != TICKS_PER_QUARTER:
        layout.put(-5, row, v.first("Division"))
        layout.put_digits(range(-4, 0), row, np.array([scale]), v.first("Digit"))
    _, numerator, denominator = np.array(signature)[:, None]
    _put_signatures(layout, v, row, numerator, denominator)
    tempo = Layout(1)
    _put_tempos(tempo, v, row, np.array([quarter_us]))
    tracks = np.array(track_tokens(instruments, v), np.uint16)
    return np.concatenate([layout.flat(row)[0], tempo.flat(row)[0], tracks])
