"""Rows of tokens are cut into pieces that fit, at the beginning of events or of bars."""

from typing import Any, Final, NamedTuple

import numpy as np

from sousa.loaders.layout import Indices
from sousa.loaders.token_rules import CHANGING, Flags, Pieces, Rules
from sousa.loaders.token_values import Ids, Ragged

MOST_PREFIX: Final = 64
"""Tokens before a row's first event that are taken for what all events depend on; more are not."""

NONE: Final = -1
"""In place of a position."""


class Cut(NamedTuple):
    """Some pieces, of different rows each."""

    row: Indices
    start: Indices
    stop: Indices
    tail: Flags
    again: Indices
    inside: Flags


def cut(rows: Ragged, rules: Rules) -> Pieces:
    """Return the pieces of all rows that have tokens, in their order."""
    row = np.flatnonzero(rows.lengths)
    start, stop = rows.offsets[row], rows.offsets[row + 1]
    bos, eos = rules.bos is not None, rules.eos is not None
    long = stop - start > rules.most - bos - eos
    done = [Cut(row[~long], start[~long], stop[~long], *nothing(~long, tail=True))]
    if rules.mode == "truncate":
        limit = np.minimum(start + rules.most - bos, stop)[long]
        found = stops(rows.values, start[long], np.minimum(limit, stop[long] - 1), rules)[0]
        ends = np.where(limit == stop[long], limit, found)
        done.append(Cut(row[long], start[long], ends, *nothing(long, tail=False)))
        prefix = np.empty((rows.rows, 0), np.int64)
    else:
        prefix = prefixes(rows, row[long], rules)
        done += windows(rows, row[long], prefix, rules)
    columns: list[Any] = [np.concatenate(each) for each in zip(*done, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    row, start, stop, tail, again, inside = (each[order] for each in columns)
    head = start == rows.offsets[row]
    attached = np.where(head[:, None], NONE, prefix[row])
    latest_changes(rows.values, attached, start, rules)
    number = np.arange(len(row)) - np.searchsorted(row, row)
    return Pieces(row, start, stop, head, tail, attached, again, inside, number)


def nothing(chosen: Flags, *, tail: bool) -> tuple[Flags, Indices, Flags]:
    """Return what is said about pieces that begin their rows."""
    size = int(chosen.sum())
    return np.full(size, tail), np.zeros(size, np.int64), np.zeros(size, bool)


def windows(rows: Ragged, row: Indices, prefix: Indices, rules: Rules) -> list[Cut]:
    """Return the windows of rows that do not fit: the first of each row, then the second, ..."""
    made: list[Cut] = []
    eos = rules.eos is not None
    start, end = rows.offsets[row], rows.offsets[row + 1]
    room = np.full(len(row), rules.most - (rules.bos is not None))
    attached = (prefix >= 0).sum(axis=1)
    again, inside = np.zeros(len(row), np.int64), np.zeros(len(row), bool)
    while len(row):
        last = end - start <= room - eos
        stop, within = stops(rows.values, start, np.minimum(start + room, end - 1), rules)
        stop = np.where(last, end, stop)
        made.append(Cut(row, start, stop, last, again, inside))
        following, inside = stop, within
        if rules.stride is not None:
            wanted = start + rules.stride
            spans = start, stop, np.minimum(wanted, end - 1)
            following, inside = after_stride(rows.values, spans, within, rules)
            ended = wanted >= end  # what is left is not reached, or there was no room for EOS
            beyond = np.where(wanted > start + room, end, stop)
            following, inside = np.where(ended, beyond, following), np.where(ended, within, inside)
        left = ~last & (following < end)
        again = np.maximum(stop - following, 0)[left]
        row, start, end, inside = row[left], following[left], end[left], inside[left]
        room = rules.most - attached[row]
    return made


def after_stride(
    values: Ids, spans: tuple[Indices, Indices, Indices], within: Flags, rules: Rules
) -> tuple[Indices, Flags]:
    """Return where the next windows begin, and whether that is within an event."""
    start, stop, wanted = spans
    at = latest(values, wanted, start, rules.begins)
    if rules.begins is not rules.events:
        at = np.where(at < 0, latest(values, wanted, start, rules.events), at)
    found = at >= 0
    return np.where(found, at, stop), ~found & within


def stops(values: Ids, start: Indices, limit: Indices, rules: Rules) -> tuple[Indices, Flags]:
    """Return where pieces end that may not reach beyond a limit, and whether within an event.

    They end where another may begin; else where another event begins; else at the limit.
    """
    found = latest(values, limit, start, rules.begins)
    if rules.begins is not rules.events:
        found = np.where(found < 0, latest(values, limit, start, rules.events), found)
    within = found < 0
    return np.where(within, limit, found), within


def latest(values: Ids, limit: Indices, after: Indices, begins: Flags | None) -> Indices:
    """Return the last position in (after, limit] with which a piece may begin; `NONE` for none."""
    if begins is None:
        return np.where(limit > after, limit, NONE)
    at = limit.copy()
    searching = np.arange(len(at))
    while len(searching):
        here = at[searching]
        none = here <= after[searching]
        at[searching[none]] = NONE
        searching = searching[~none & ~begins[values[here]]]
        at[searching] -= 1
    return at


def prefixes(rows: Ragged, row: Indices, rules: Rules) -> Indices:
    """Return where the tokens are that further windows of some rows begin with, for all rows."""
    start, length = rows.offsets[row], rows.lengths[row]
    most = min(MOST_PREFIX, rules.most // 2)
    if rules.prefix is not None:
        found = np.minimum(rules.prefix, length)
    elif rules.events is None:
        found = np.zeros(len(row), np.int64)
    else:
        head = start[:, None] + np.arange(most + 1)
        events = rules.events[rows.values[np.minimum(head, len(rows.values) - 1)]]
        found = np.where(events.any(axis=1), events.argmax(axis=1), 0)
    slots = np.arange(found.max(initial=0))
    prefix = np.full((rows.rows, len(slots)), NONE)
    prefix[row] = np.where(slots < found[:, None], start[:, None] + slots, NONE)
    return prefix


def latest_changes(values: Ids, attached: Indices, start: Indices, rules: Rules) -> None:
    """Let prefixes say what holds where their pieces begin: the last tempo, not the first."""
    if rules.changing is None or rules.digits is None or not (attached >= 0).any():
        return
    plain = np.append(~rules.digits[values[1:]], True)  # whose value is one token
    family = np.where(attached >= 0, rules.changing[values[np.maximum(attached, 0)]], 0)
    for number in range(1, len(CHANGING) + 1):
        piece, slot = np.nonzero(family == number)
        if len(piece):
            there = np.flatnonzero(rules.changing[values] == number)
            last = there[np.searchsorted(there, start[piece]) - 1]
            follows = plain[last] & plain[attached[piece, slot]]
            attached[piece[follows], slot[follows]] = last[follows]
