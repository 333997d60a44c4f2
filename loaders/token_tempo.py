"""Rows of grid tokens get another tempo: the grid moves, deviations stay in milliseconds."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from sousa.builders.schema import TICKS_PER_QUARTER
from sousa.loaders.layout import Indices
from sousa.loaders.token_values import Ids, Ragged
from sousa.loaders.token_vocabulary import Vocabulary

STEPS_PER_QUARTER: Final = 12
"""Of the grid of `grid` tokens."""

STEP_TICKS: Final = TICKS_PER_QUARTER // STEPS_PER_QUARTER

PLAIN: Final = ("TimeSig", "Tempo", "Bar", "Position", "Drum", "Drums", "Pitch", "Program")
"""Families of rows of which each event is a note; and those that only follow a note's onset:"""

FOLLOWING: Final = ("Micro", "Velocity", "Duration", "Hand", "Stroke")

Flags = npt.NDArray[np.bool_]


class Events(NamedTuple):
    """The notes of some rows.

    Attributes:
        at: Where each begins in all ids: its `Position`; `Micro` comes two tokens later.
        size: Tokens of each.
        row: Its row.
        bar: Bars before it, counted from 0.
        grid: Where its place on the grid is, in ticks from the start.
        deviation: Ticks that it is off it.
    """

    at: Indices
    size: Indices
    row: Indices
    bar: Indices
    grid: Indices
    deviation: Indices


def at_other_tempos(
    rows: Ragged, vocabulary: Vocabulary, factors: npt.NDArray[np.float64]
) -> Ragged:
    """Return rows at tempos multiplied by factors, to whole ones that the tokens have.

    Args:
        rows: Of `grid` tokens. Rows with several tempos, time signatures or tracks stay as they
            are, and so do rows that would begin before 0 or become longer.
        vocabulary: Of the tokens.
        factors: One for each row.
    """
    able = movable(rows, vocabulary)
    if not able.any():
        return rows
    tempo_at = first_of(rows, vocabulary.mask(["Tempo"]))
    tempos, slowest = families_of(vocabulary, "Tempo")
    old = np.where(able, np.searchsorted(tempos, rows.values[tempo_at]) + slowest, slowest)
    fastest = slowest + len(tempos) - 1
    new = np.clip(np.rint(old * factors), slowest, fastest).astype(np.int64)
    able &= new != old
    events, moved, able = moved_events(rows, vocabulary, new / old, able)
    made = written(rows, vocabulary, events, moved.bar, able)
    header = (tempo_at - rows.offsets[:-1])[able]
    made.values[made.offsets[:-1][able] + header] = tempos[new[able] - slowest]
    at = np.flatnonzero(vocabulary.mask(["Position"])[made.values])
    at = at[able[np.searchsorted(made.offsets, at, side="right") - 1]]
    micros, lowest = families_of(vocabulary, "Micro")
    made.values[at] = families_of(vocabulary, "Position")[0][moved.position]
    made.values[at + 2] = micros[moved.micro - lowest]
    return made


def onsets_moved(
    rows: Ragged, vocabulary: Vocabulary, old: Indices, new: Indices
) -> list[list[float]]:
    """Return by how many milliseconds the notes of each row begin later at its new tempo.

    Args:
        rows: As they were.
        vocabulary: Of the tokens.
        old: Quarter notes a minute of each row.
        new: The same after it was changed; rows with the same have nothing moved.
    """
    moved: list[list[float]] = [[] for _ in range(rows.rows)]
    changed = np.asarray(new != old)
    if changed.any():
        events = events_of(rows, vocabulary, changed)
        ticks = events.grid + scaled(events, new / old)
        tick_ms = 60_000 / TICKS_PER_QUARTER
        before = (events.grid + events.deviation) * (tick_ms / old[events.row])
        later = ticks * (tick_ms / new[events.row]) - before
        for row, each in zip(events.row.tolist(), later.tolist(), strict=True):
            moved[row].append(each)
    return moved


def scaled(events: Events, factor: npt.NDArray[np.float64]) -> Indices:
    """Return how many ticks notes are off the grid at tempos multiplied by factors."""
    return np.rint(events.deviation * factor[events.row]).astype(np.int64)


class Moved(NamedTuple):
    """Where notes come to be.

    Attributes:
        bar: Counted from 0.
        position: On the grid.
        micro: Ticks off it.
    """

    bar: Indices
    position: Indices
    micro: Indices


def moved_events(
    rows: Ragged, vocabulary: Vocabulary, factor: npt.NDArray[np.float64], able: Flags
) -> tuple[Events, Moved, Flags]:
    """Return the notes of rows that can be moved in their new order, and which rows these are."""
    events = events_of(rows, vocabulary, able)
    beats = beats_of(rows, vocabulary, able)
    tick = events.grid + scaled(events, factor)
    step, micro = np.divmod(tick + STEP_TICKS // 2, STEP_TICKS)
    bar, position = np.divmod(step, beats[events.row] * STEPS_PER_QUARTER)
    last = np.full((2, rows.rows), -1)
    np.maximum.at(last[0], events.row, events.bar)
    np.maximum.at(last[1], events.row, bar)
    able = able & (last[1] <= last[0])
    able[events.row[tick < 0]] = False
    order = np.lexsort((tick, events.row))
    order = order[able[events.row[order]]]
    places = Moved(bar[order], position[order], micro[order] - STEP_TICKS // 2)
    return Events(*(each[order] for each in events)), places, able


def families_of(vocabulary: Vocabulary, family: str) -> tuple[Indices, int]:
    """Return the ids of a family by value, and its lowest value."""
    values = {int(value): id_ for value, id_ in vocabulary.families[family].items()}
    lowest = min(values)
    return np.array([values[value] for value in range(lowest, max(values) + 1)]), lowest


def first_of(rows: Ragged, mask: Flags) -> Indices:
    """Return where each row has its first token of some kind; the row's start if it has none."""
    at = np.flatnonzero(mask[rows.values])
    first = np.append(at, 0)[np.searchsorted(at, rows.offsets[:-1])]
    there = (first >= rows.offsets[:-1]) & (first < rows.offsets[1:])
    return np.where(there, first, rows.offsets[:-1])


def counted(rows: Ragged, mask: Flags) -> Indices:
    """Return how many tokens of some kind each row has."""
    ends = np.concatenate([[0], np.cumsum(mask[rows.values])])
    return np.diff(ends[rows.offsets])


def movable(rows: Ragged, vocabulary: Vocabulary) -> Flags:
    """Return which rows have one tempo, one time signature, and only whole notes on one track."""
    mask = vocabulary.mask
    positions = counted(rows, mask(["Position"]))
    able = (counted(rows, mask(["Tempo"])) == 1) & (counted(rows, mask(["TimeSig"])) == 1)
    able &= (counted(rows, mask((*PLAIN, *FOLLOWING))) == rows.lengths) & (positions > 0)
    able &= counted(rows, mask(["Program", "Drums"])) <= 1
    at = np.flatnonzero(mask(["Position"])[rows.values])
    padded = np.append(rows.values, [0, 0])
    whole = mask(["Drum", "Pitch"])[padded[at + 1]] & mask(["Micro"])[padded[at + 2]]
    row = np.searchsorted(rows.offsets, at, side="right") - 1
    able[row[~whole]] = False
    ends = mask(["Bar"])[rows.values[np.maximum(rows.offsets[1:] - 1, 0)]] if len(at) else able
    return np.asarray(able & ~ends)


def beats_of(rows: Ragged, vocabulary: Vocabulary, able: Flags) -> Indices:
    """Return the quarter notes of each row's bars; 1 where rows stay as they are."""
    at = first_of(rows, vocabulary.mask(["TimeSig"]))
    ids, least = families_of(vocabulary, "TimeSig")
    return np.where(able, np.searchsorted(ids, rows.values[at]) + least, 1)


def events_of(rows: Ragged, vocabulary: Vocabulary, able: Flags) -> Events:
    """Return the notes of rows that can be moved."""
    ids = rows.values
    is_bar = vocabulary.mask(["Bar"])[ids]
    starts = np.flatnonzero(is_bar | vocabulary.mask(["Position"])[ids])
    row = np.searchsorted(rows.offsets, starts, side="right") - 1
    following = np.minimum(np.append(starts[1:], len(ids)), rows.offsets[row + 1])
    bars = np.concatenate([[0], np.cumsum(is_bar)])
    note = able[row] & ~is_bar[starts]
    at, row = starts[note], row[note]
    bar = bars[at] - bars[rows.offsets[row]] - 1
    positions, micros = families_of(vocabulary, "Position"), families_of(vocabulary, "Micro")
    position = np.searchsorted(positions[0], ids[at])
    deviation = np.searchsorted(micros[0], ids[at + 2]) + micros[1]
    steps = bar * beats_of(rows, vocabulary, able)[row] * STEPS_PER_QUARTER + position
    return Events(at, following[note] - at, row, bar, steps * STEP_TICKS, deviation)


def written(
    rows: Ragged, vocabulary: Vocabulary, events: Events, bar: Indices, moved: Flags
) -> Ragged:
    """Return rows of which some have their notes in another order, with bar lines before them.

    A row becomes its header, then for each note so many bar lines and its tokens.
    """
    header = first_of(rows, vocabulary.mask(["Bar", "Position"])) - rows.offsets[:-1]
    first = np.append(True, events.row[1:] != events.row[:-1])[: len(events.row)]
    bars = np.where(first, bar + 1, np.diff(bar, prepend=0))
    sizes = np.concatenate([np.where(moved, header, rows.lengths), bars + events.size])
    source = np.concatenate([rows.offsets[:-1], events.at - bars])
    row = np.concatenate([np.arange(rows.rows), events.row])
    order = np.argsort(row, kind="stable")  # a row's header, then its notes
    ends = np.cumsum(sizes[order])
    at = np.arange(ends[-1] if len(ends) else 0)
    at += np.repeat(source[order] - (ends - sizes[order]), sizes[order])
    ids: Ids = rows.values.take(at, mode="clip")
    note_at = (ends - sizes[order])[order >= rows.rows]
    number = order[order >= rows.rows] - rows.rows
    lines = np.repeat(note_at - np.concatenate([[0], np.cumsum(bars[number])[:-1]]), bars[number])
    if len(lines):
        ids[lines + np.arange(len(lines))] = vocabulary.families["Bar"][""]
    lengths = np.bincount(row, sizes, rows.rows).astype(np.int64)
    return Ragged(ids, np.concatenate([[0], np.cumsum(lengths)]))
