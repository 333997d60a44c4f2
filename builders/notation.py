"""A line of text that a drummer can read, and the strokes it stands for.

==========  ======================================================================
`|`         separates beats; a beat is a quarter note, shared evenly by its items
`R` `L`     a stroke of the right or left hand
`R>`        accented
`Rz`        a multiple bounce ("buzz") stroke
`lR` `llR`  a flam or a drag: graces of the other hand, which take no time
`RR`        a slashed note: a diddle within one item, in two even halves
`(R R)`     a diddle over two items; the brackets change nothing in the rhythm
`[R L R]`   one item, shared evenly by the items inside: here a triplet
`.`         one silent item
==========  ======================================================================
"""

import re
from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal

Hand = Literal["L", "R"]
StrokeType = Literal["tap", "accent", "diddle", "buzz"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A stroke that stands on the grid, with the graces that lead it.

    Attributes:
        beat: Onset from the start of the cycle, in quarter notes.
        hand: The hand that plays it.
        accent: Whether it is accented.
        buzz: Whether it is a multiple bounce.
        diddle_position: 1 or 2 within a diddle, else None.
        graces: Hands of the grace notes before it: none, one for a flam, two for a drag.
    """

    beat: Fraction
    hand: Hand
    accent: bool = False
    buzz: bool = False
    diddle_position: int | None = None
    graces: tuple[Hand, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no hand can play."""
        if self.hand in self.graces:
            raise ValueError(f"graces are of the other hand, got {self.graces} before {self.hand}")
        if self.buzz and self.diddle_position:
            raise ValueError("a buzz stroke cannot be part of a diddle")

    @property
    def stroke_type(self) -> StrokeType:
        """Its label: buzz goes before accent, and accent before diddle."""
        if self.buzz:
            return "buzz"
        if self.accent:
            return "accent"
        return "diddle" if self.diddle_position else "tap"


Slot = tuple[Note, ...]
"""The notes of one item; their beats run from 0 to 1 within it."""

_TOKEN: Final = re.compile(r"[\[\]()]|[^\s\[\]()]+")
_STROKE: Final = re.compile(r"(r{0,2}|l{0,2})(RR?|LL?)(>?)(z?)")


def parse(notation: str) -> tuple[Note, ...]:
    """Return the notes that a line of notation stands for, in time order.

    Args:
        notation: In the notation at the top of this module.

    Raises:
        ValueError: If it cannot be read; says what is wrong in which beat.

    Examples:
        >>> [str(note.beat) for note in parse("[R L R] L | rL> .")]
        ['0', '1/6', '1/3', '1/2', '1']
    """
    notes: list[Note] = []
    for beat, text in enumerate(notation.split("|")):
        try:
            slot = _share(_items(deque(_TOKEN.findall(text)), closing=None))
        except ValueError as error:
            raise ValueError(f"beat {beat + 1} of {notation!r}: {error}") from None
        notes += [replace(note, beat=beat + note.beat) for note in slot]
    if not notes:
        raise ValueError(f"notation must hold a stroke, got {notation!r}")
    return tuple(notes)


def _share(slots: list[Slot]) -> Slot:
    """Return one slot, shared evenly by others."""
    if not slots:
        raise ValueError("expected a stroke or '.', got nothing")
    return tuple(
        replace(note, beat=(place + note.beat) / len(slots))
        for place, slot in enumerate(slots)
        for note in slot
    )


def _items(tokens: deque[str], closing: str | None) -> list[Slot]:
    """Return the slots up to a closing bracket, which is taken too, or up to the end."""
    slots: list[Slot] = []
    while tokens:
        token = tokens.popleft()
        if token == closing:
            return slots
        slots += _item(token, tokens)
    if closing:
        raise ValueError(f"expected {closing!r} before the beat ends")
    return slots


def _item(token: str, tokens: deque[str]) -> list[Slot]:
    """Return the slot, or the two slots of a diddle, that a token begins."""
    if token == ".":
        return [()]
    if token == "[":  # a bracket, not a password
        return [_share(_items(tokens, closing="]"))]
    if token == "(":
        return _diddle(_items(tokens, closing=")"))
    return [_stroke(token)]


def _diddle(slots: list[Slot]) -> list[Slot]:
    """Return the two slots inside round brackets, marked as a diddle."""
    notes = [note for slot in slots for note in slot]
    single = [len(slot) for slot in slots] == [1, 1]
    if not single or notes[0].hand != notes[1].hand or any(note.diddle_position for note in notes):
        raise ValueError("'(' and ')' must hold two single strokes of one hand")
    return [(replace(note, diddle_position=place),) for place, note in enumerate(notes, start=1)]


def _stroke(token: str) -> Slot:
    """Return the slot of one stroke or of a slashed note."""
    match = _STROKE.fullmatch(token)
    if not match:
        raise ValueError(f"expected a stroke such as R, L>, Rz, lR, llR or RR, got {token!r}")
    graces, hands, accent, buzz = match.groups()
    first = Note(
        beat=Fraction(0),
        hand=_hand(hands[0]),
        accent=bool(accent),
        buzz=bool(buzz),
        graces=tuple(_hand(grace) for grace in graces),
    )
    if len(hands) == 1:
        return (first,)
    second = replace(first, accent=False, graces=())  # both mark the beginning of the note
    return _share(_diddle([(first,), (second,)]))


def _hand(letter: str) -> Hand:
    return "R" if letter in "Rr" else "L"
