"""The 40 rudiments against the sheet, written out a second time by hand."""

import pickle
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import pytest

from sousa.builders import schema
from sousa.builders.rudiments import RUDIMENTS, Note, Rudiment, parse

CLOCKS = 24  # MIDI clocks of a quarter: 12 an eighth, 8 of a triplet, 6 a sixteenth, 3 half of it


class Sheet(NamedTuple):
    """One cycle as played: every stroke with its graces, when it falls, which are diddles."""

    sticking: str
    clocks: str
    diddles: str = ""


SHEET = {
    # Single strokes.
    "single_stroke_roll": Sheet("R L R L R L R L", "0 6 12 18 24 30 36 42"),
    "single_stroke_four": Sheet("R L R L R L R L", "0 4 8 12 24 28 32 36"),
    "single_stroke_seven": Sheet(
        "R L R L R L R L R L R L R L", "0 4 8 12 16 20 24 48 52 56 60 64 68 72"
    ),
    # Multiple bounces and triple strokes.
    "multiple_bounce_roll": Sheet("Rz Lz Rz Lz Rz Lz Rz Lz", "0 6 12 18 24 30 36 42"),
    "triple_stroke_roll": Sheet("R R R L L L", "0 8 16 24 32 40"),
    # Double strokes.
    "double_stroke_open_roll": Sheet("R R L L R R L L", "0 6 12 18 24 30 36 42", "1 2 1 2 1 2 1 2"),
    "five_stroke_roll": Sheet(
        "R R L L R> L L R R L>", "0 3 6 9 12 24 27 30 33 36", "1 2 1 2 - 1 2 1 2 -"
    ),
    "six_stroke_roll": Sheet(
        "R> L L R R L> R> L L R R L>",
        "0 6 9 12 15 18 24 30 33 36 39 42",
        "- 1 2 1 2 - - 1 2 1 2 -",
    ),
    "seven_stroke_roll": Sheet(
        "R R L L R R L> R R L L R R L>",
        "0 3 6 9 12 15 18 24 27 30 33 36 39 42",
        "1 2 1 2 1 2 - 1 2 1 2 1 2 -",
    ),
    "nine_stroke_roll": Sheet(
        "R R L L R R L L R> L L R R L L R R L>",
        "0 3 6 9 12 15 18 21 24 48 51 54 57 60 63 66 69 72",
        "1 2 1 2 1 2 1 2 - 1 2 1 2 1 2 1 2 -",
    ),
    "ten_stroke_roll": Sheet(
        "R R L L R R L L R> L>", "0 3 6 9 12 15 18 21 24 30", "1 2 1 2 1 2 1 2 - -"
    ),
    "eleven_stroke_roll": Sheet(
        "R R L L R R L L R R L>", "0 3 6 9 12 15 18 21 24 27 30", "1 2 1 2 1 2 1 2 1 2 -"
    ),
    "thirteen_stroke_roll": Sheet(
        "R R L L R R L L R R L L R> L L R R L L R R L L R R L>",
        "0 3 6 9 12 15 18 21 24 27 30 33 36 48 51 54 57 60 63 66 69 72 75 78 81 84",
        "1 2 1 2 1 2 1 2 1 2 1 2 - 1 2 1 2 1 2 1 2 1 2 1 2 -",
    ),
    "fifteen_stroke_roll": Sheet(
        "R R L L R R L L R R L L R R L>",
        "0 3 6 9 12 15 18 21 24 27 30 33 36 39 42",
        "1 2 1 2 1 2 1 2 1 2 1 2 1 2 -",
    ),
    "seventeen_stroke_roll": Sheet(
        "R R L L R R L L R R L L R R L L R> L L R R L L R R L L R R L L R R L>",
        "0 3 6 9 12 15 18 21 24 27 30 33 36 39 42 45 48 "
        "72 75 78 81 84 87 90 93 96 99 102 105 108 111 114 117 120",
        "1 2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 - 1 2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 -",
    ),
    # Diddles.
    "single_paradiddle": Sheet("R> L R R L> R L L", "0 6 12 18 24 30 36 42", "- - 1 2 - - 1 2"),
    "double_paradiddle": Sheet(
        "R> L R L R R L> R L R L L",
        "0 4 8 12 16 20 24 28 32 36 40 44",
        "- - - - 1 2 - - - - 1 2",
    ),
    "triple_paradiddle": Sheet(
        "R> L R L R L R R L> R L R L R L L",
        "0 6 12 18 24 30 36 42 48 54 60 66 72 78 84 90",
        "- - - - - - 1 2 - - - - - - 1 2",
    ),
    "paradiddle_diddle": Sheet(
        "R> L R R L L R> L R R L L",
        "0 4 8 12 16 20 24 28 32 36 40 44",
        "- - 1 2 1 2 - - 1 2 1 2",
    ),
    # Flams.
    "flam": Sheet("lR rL lR rL", "0 12 24 36"),
    "flam_accent": Sheet("lR> L R rL> R L", "0 8 16 24 32 40"),
    "flam_tap": Sheet("lR> R rL> L lR> R rL> L", "0 6 12 18 24 30 36 42"),
    "flamacue": Sheet("lR L> R L lR rL R> L R rL", "0 6 12 18 24 48 54 60 66 72"),
    "flam_paradiddle": Sheet("lR> L R R rL> R L L", "0 6 12 18 24 30 36 42", "- - 1 2 - - 1 2"),
    "single_flammed_mill": Sheet("lR> R L R rL> L R L", "0 6 12 18 24 30 36 42", "1 2 - - 1 2 - -"),
    "flam_paradiddle_diddle": Sheet(
        "lR> L R R L L rL> R L L R R",
        "0 4 8 12 16 20 24 28 32 36 40 44",
        "- - 1 2 1 2 - - 1 2 1 2",
    ),
    "pataflafla": Sheet("lR> L R rL> lR> L R rL>", "0 6 12 18 24 30 36 42"),
    "swiss_army_triplet": Sheet("lR> R L lR> R L", "0 8 16 24 32 40"),
    "inverted_flam_tap": Sheet("lR> L rL> R lR> L rL> R", "0 6 12 18 24 30 36 42"),
    "flam_drag": Sheet("lR> L L R rL> R R L", "0 8 12 16 24 32 36 40", "- 1 2 - - 1 2 -"),
    # Drags.
    "drag": Sheet("llR rrL llR rrL", "0 12 24 36"),
    "single_drag_tap": Sheet("llR L> rrL R>", "0 12 24 36"),
    "double_drag_tap": Sheet("llR llR L> rrL rrL R>", "0 8 16 24 32 40"),
    "lesson_25": Sheet("llR L R> llR L R>", "0 6 12 24 30 36"),
    "single_dragadiddle": Sheet(
        "R> R L R R L> L R L L", "0 3 6 12 18 24 27 30 36 42", "1 2 - 1 2 1 2 - 1 2"
    ),
    "drag_paradiddle_1": Sheet(
        "R> llR L R R L> rrL R L L", "0 8 12 16 20 24 32 36 40 44", "- - - 1 2 - - - 1 2"
    ),
    "drag_paradiddle_2": Sheet(
        "R> llR llR L R R L> rrL rrL R L L",
        "0 12 24 30 36 42 48 60 72 78 84 90",
        "- - - - 1 2 - - - - 1 2",
    ),
    "single_ratamacue": Sheet("llR L R L> rrL R L R>", "0 4 8 12 24 28 32 36"),
    "double_ratamacue": Sheet("llR llR L R L> rrL rrL R L R>", "0 12 16 20 24 36 48 52 56 60"),
    "triple_ratamacue": Sheet(
        "llR llR llR L R L> rrL rrL rrL R L R>", "0 12 24 28 32 36 48 60 72 76 80 84"
    ),
}

# The left hand leads every other time.
ALTERNATING = {
    *("single_stroke_seven", "triple_stroke_roll", "five_stroke_roll", "nine_stroke_roll"),
    *("thirteen_stroke_roll", "seventeen_stroke_roll"),
    *("single_paradiddle", "double_paradiddle", "triple_paradiddle"),
    *("flam_accent", "flamacue", "flam_paradiddle", "single_flammed_mill"),
    *("flam_paradiddle_diddle", "flam_drag"),
    *("single_drag_tap", "double_drag_tap", "single_dragadiddle"),
    *("drag_paradiddle_1", "drag_paradiddle_2"),
    *("single_ratamacue", "double_ratamacue", "triple_ratamacue"),
}

# One short pass fills the cycle: it is neither mirrored nor repeated.
SINGLE_PASS = {"ten_stroke_roll", "eleven_stroke_roll", "fifteen_stroke_roll"}

BEATS = {  # of the cycle, where it is not 2
    **dict.fromkeys(("single_stroke_seven", "nine_stroke_roll", "thirteen_stroke_roll"), 4),
    "seventeen_stroke_roll": 6,
    **dict.fromkeys(("triple_paradiddle", "flamacue", "drag_paradiddle_2"), 4),
    "double_ratamacue": 3,
    "triple_ratamacue": 4,
}

STROKES = {
    "single_stroke_four": 4,
    "single_stroke_seven": 7,
    "five_stroke_roll": 5,
    "six_stroke_roll": 6,
    "seven_stroke_roll": 7,
    "nine_stroke_roll": 9,
    "ten_stroke_roll": 10,
    "eleven_stroke_roll": 11,
    "thirteen_stroke_roll": 13,
    "fifteen_stroke_roll": 15,
    "seventeen_stroke_roll": 17,
}

OTHER_HAND = str.maketrans("RLrl", "LRlr")

every_rudiment = pytest.mark.parametrize("rudiment", RUDIMENTS.values(), ids=RUDIMENTS)


def written(note: Note) -> str:
    return "".join(note.graces).lower() + note.hand + ">" * note.accent + "z" * note.buzz


def onsets(notes: tuple[Note, ...]) -> list[Fraction]:
    return [note.beat for note in notes]


def test_the_rudiments_stand_in_the_order_of_the_sheet() -> None:
    assert tuple(RUDIMENTS) == tuple(SHEET) == schema.RUDIMENTS
    assert [rudiment.number for rudiment in RUDIMENTS.values()] == list(range(1, 41))
    assert all(rudiment.slug == slug for slug, rudiment in RUDIMENTS.items())


def test_the_sections_hold_15_4_11_and_10_rudiments() -> None:
    sections = Counter(rudiment.category for rudiment in RUDIMENTS.values())
    assert list(sections.items()) == [("roll", 15), ("diddle", 4), ("flam", 11), ("drag", 10)]


@every_rudiment
def test_the_name_spells_the_slug(rudiment: Rudiment) -> None:
    spelled = re.sub(r"[^a-z0-9]+", "_", rudiment.name.lower())
    assert spelled.removeprefix("single_") == rudiment.slug.removeprefix("single_")


@every_rudiment
def test_sticking_graces_and_accents_are_those_of_the_sheet(rudiment: Rudiment) -> None:
    assert " ".join(map(written, rudiment.notes)) == SHEET[rudiment.slug].sticking


@every_rudiment
def test_the_rhythm_is_that_of_the_sheet(rudiment: Rudiment) -> None:
    clocks = [Fraction(int(clock), CLOCKS) for clock in SHEET[rudiment.slug].clocks.split()]
    assert onsets(rudiment.notes) == clocks
    assert rudiment.beats == BEATS.get(rudiment.slug, 2)


@every_rudiment
def test_the_diddles_are_those_of_the_sheet(rudiment: Rudiment) -> None:
    positions = [str(note.diddle_position or "-") for note in rudiment.notes]
    expected = SHEET[rudiment.slug].diddles.split() or ["-"] * len(positions)
    assert positions == expected


@every_rudiment
def test_a_rudiment_changes_hands_as_on_the_sheet(rudiment: Rudiment) -> None:
    strokes = SHEET[rudiment.slug].sticking.split()
    first, second = strokes[: len(strokes) // 2], strokes[len(strokes) // 2 :]
    mirrored = [stroke.translate(OTHER_HAND) for stroke in first]
    assert (second == mirrored) is (rudiment.slug in ALTERNATING)
    assert (second == first) is (rudiment.slug not in ALTERNATING | SINGLE_PASS)


@every_rudiment
def test_the_second_half_has_the_rhythm_of_the_first(rudiment: Rudiment) -> None:
    if rudiment.slug in SINGLE_PASS:
        assert rudiment.beats == 2
        return
    middle = len(rudiment.notes) // 2
    half = Fraction(rudiment.beats, 2)
    assert onsets(rudiment.notes[middle:]) == [
        beat + half for beat in onsets(rudiment.notes[:middle])
    ]


@pytest.mark.parametrize(("slug", "strokes"), STROKES.items())
def test_a_numbered_roll_has_as_many_strokes_as_it_says(slug: str, strokes: int) -> None:
    passes = 1 if slug in SINGLE_PASS else 2
    assert len(RUDIMENTS[slug].notes) == passes * strokes


@every_rudiment
def test_the_right_hand_leads_on_the_first_beat(rudiment: Rudiment) -> None:
    assert (rudiment.notes[0].hand, rudiment.notes[0].beat) == ("R", 0)


@every_rudiment
def test_graces_take_no_time(rudiment: Rudiment) -> None:
    without = parse(re.sub("[rl]", "", rudiment.notation))
    assert onsets(without) == onsets(rudiment.notes)


@every_rudiment
def test_diddle_brackets_take_no_time(rudiment: Rudiment) -> None:
    without = parse(re.sub("[()]", "", rudiment.notation))
    assert onsets(without) == onsets(rudiment.notes)


@every_rudiment
def test_a_diddle_is_two_strokes_of_one_hand_in_a_row(rudiment: Rudiment) -> None:
    positions = [note.diddle_position for note in rudiment.notes]
    assert positions.count(1) == positions.count(2)
    for first, second in pairwise(rudiment.notes):
        assert (first.diddle_position == 1) is (second.diddle_position == 2)
        assert first.hand == second.hand or first.diddle_position != 1


@every_rudiment
def test_a_cycle_is_whole_measures_and_gaps_fill_it(rudiment: Rudiment) -> None:
    assert rudiment.beats % rudiment.beats_per_measure == 0
    assert sum(rudiment.gaps) == rudiment.beats
    assert min(rudiment.gaps) > 0


@every_rudiment
def test_hands_can_play_the_fastest_tempo(rudiment: Rudiment) -> None:
    slowest, fastest = rudiment.tempo_range_bpm
    assert 60 <= slowest < fastest <= 240
    assert min(rudiment.gaps) * 60_000 / fastest >= 45


@every_rudiment
def test_no_hand_strikes_more_than_ten_times_a_second_but_for_rebounds(rudiment: Rudiment) -> None:
    twice = [
        (note, cycle * rudiment.beats + note.beat) for cycle in (0, 1) for note in rudiment.notes
    ]
    for hand in schema.HANDS:
        own = [(note, beat) for note, beat in twice if note.hand == hand]
        gaps = [
            after - before
            for (_, before), (note, after) in pairwise(own)
            if note.diddle_position != 2
        ]
        assert min(gaps) * 60_000 / rudiment.tempo_range_bpm[1] >= 100


def slugs_with(flag: str) -> set[str]:
    return {slug for slug, rudiment in RUDIMENTS.items() if getattr(rudiment, flag)}


def test_what_a_rudiment_holds_is_told() -> None:
    plain = set(schema.RUDIMENTS[:6]) | {"flam", "drag"}
    assert slugs_with("has_accents") == set(schema.RUDIMENTS) - plain
    assert slugs_with("has_flams") == set(schema.RUDIMENTS[19:30])
    assert slugs_with("has_drags") == set(schema.RUDIMENTS[30:]) - {"single_dragadiddle"}
    assert slugs_with("has_buzz") == {"multiple_bounce_roll"}
    assert slugs_with("is_roll") == set(schema.RUDIMENTS[:15])
    assert slugs_with("has_diddles") == {slug for slug, sheet in SHEET.items() if sheet.diddles}


def test_a_rudiment_travels_to_a_worker() -> None:
    rudiment = RUDIMENTS["lesson_25"]
    assert pickle.loads(pickle.dumps(rudiment)) == rudiment


def test_notes_are_read_once() -> None:
    rudiment = RUDIMENTS["flam"]
    assert rudiment.notes is rudiment.notes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slug": "double_stroke_roll"}, "must be one of schema.RUDIMENTS, got 'double_stroke_rol"),
        ({"number": 21}, "flam: number must be 20, got 21"),
        ({"category": "ruff"}, "flam: category must be one of roll, .*, got 'ruff'"),
        ({"beats_per_measure": 3}, "got 2 beats in measures of 3"),
        ({"beats_per_measure": 0}, "got 2 beats in measures of 0"),
        ({"tempo_range_bpm": (120, 120)}, r"must rise from above 0, got \(120, 120\)"),
        ({"tempo_range_bpm": (0, 120)}, r"must rise from above 0, got \(0, 120\)"),
        ({"notation": "lR rL | lR rX"}, "beat 2 of 'lR rL | lR rX'"),
    ],
)
def test_a_wrong_entry_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(RUDIMENTS["flam"], **changes)
