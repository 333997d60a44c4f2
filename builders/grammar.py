"""Which tokens may follow which, and the share of ids that break it."""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders.vocabulary import Vocabulary

_SOUND: Final = ("Drum", "Pitch", "Control", "PedalOn", "PedalOff", "Bend")
_TRACK: Final = ("Program", "Drums")
_EVENT: Final = ("Bar", "Position")

GRID: Final[Mapping[str, tuple[str, ...]]] = {
    "Division": ("Digit",),
    "TimeSig": ("Digit", "Tempo", "Micro", *_EVENT),
    "Tempo": ("Digit", "Micro", "Bar", *_TRACK),
    "Program": ("Digit", "Bar", "Pitch", "Control", "PedalOn", "PedalOff", "Bend", *_TRACK),
    "Drums": ("Digit", "Bar", *_SOUND, *_TRACK),
    "Bar": ("TimeSig", *_EVENT),
    "Position": ("Tempo", "TimeSig", "Key", *_SOUND, *_TRACK),
    "Drum": ("Micro",),
    "Pitch": ("Micro",),
    "Control": ("Digit",),
    "PedalOn": ("Micro",),
    "PedalOff": ("Micro",),
    "Bend": ("Digit",),
    "Key": ("Digit",),
    "Digit": ("Digit", "TimeSig", "Tempo", "Micro", "Velocity", *_EVENT, *_SOUND, *_TRACK),
    "Micro": ("Digit", "Velocity", *_EVENT),
    "Velocity": ("Duration", "Hand", *_EVENT),
    "Hand": ("Stroke",),
    "Stroke": ("Duration", *_EVENT),
    "Duration": ("Duration", "Micro", "Digit", *_EVENT),
}
CLOCK: Final[Mapping[str, tuple[str, ...]]] = {
    "Shift": ("Shift", *_SOUND, *_TRACK),
    "Program": ("Digit", "Shift", "Pitch", "Control", "PedalOn", "PedalOff", "Bend", *_TRACK),
    "Drums": ("Digit", "Shift", *_SOUND, *_TRACK),
    "Drum": ("Velocity",),
    "Pitch": ("Velocity",),
    "Control": ("Digit",),
    "PedalOn": ("Shift",),
    "PedalOff": ("Shift",),
    "Bend": ("Digit",),
    "Digit": ("Digit", "Shift", *_SOUND, *_TRACK),
    "Velocity": ("Duration", "Hand", "Shift"),
    "Hand": ("Stroke",),
    "Stroke": ("Duration", "Shift"),
    "Duration": ("Duration", "Shift"),
}
"""Families that may follow each family. What is impossible altogether is not a key."""


def follows(vocabulary: Vocabulary, rules: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Return the rules for the families of a vocabulary."""
    names = [name for name, _ in vocabulary.families]
    return {name: [other for other in rules.get(name, ()) if other in names] for name in names}


def illegal_share(
    ids: Iterable[int], vocabulary: Vocabulary, rules: Mapping[str, tuple[str, ...]]
) -> float:
    """Return the share of successions that are illegal, special tokens passed over.

    A token is illegal where its family may not follow the one before; where its `Position` lies
    before that of an event earlier in the bar; and where it is a `Shift` after one that is not the
    longest, or none after the longest.

    Raises:
        ValueError: If an id is not of the vocabulary.
    """
    body = vocabulary.without_specials(ids).astype(np.int64)
    if len(body) < 2:
        return 0.0
    family = vocabulary.family_of[body]
    is_legal = _legal(vocabulary, rules)[family[:-1], family[1:]]
    if "Position" in vocabulary.spans:
        is_legal &= ~_goes_back(body, vocabulary)[1:]
    if "Shift" in vocabulary.spans:
        first, count = vocabulary.spans["Shift"]
        is_shift, is_longest = (body >= first) & (body < first + count), body == first + count - 1
        is_legal &= is_shift[1:] == (is_longest[:-1] | is_shift[1:] & ~is_shift[:-1])
    return float(1 - is_legal.mean())


def _legal(vocabulary: Vocabulary, rules: Mapping[str, tuple[str, ...]]) -> NDArray[np.bool_]:
    names = [name for name, _ in vocabulary.families]
    return np.array([[other in rules.get(name, ()) for other in names] for name in names])


def _goes_back(body: NDArray[np.int64], vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """Return which tokens are a `Position` before the one before it in the bar."""
    first, count = vocabulary.spans["Position"]
    begin, meters = vocabulary.spans["TimeSig"]
    opens = (body == vocabulary.first("Bar")) | ((body >= begin) & (body < begin + meters))
    bar = np.cumsum(opens)
    places = np.flatnonzero((body >= first) & (body < first + count))
    back = (np.diff(body[places]) < 0) & (np.diff(bar[places]) == 0)
    wrong = np.zeros(len(body), np.bool_)
    wrong[places[1:][back]] = True
    return wrong
