"""The notation of rudiments: what it means and what it refuses."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.notation import Note, parse

STROKES = ("R", "L>", "Rz", "lR", "rrL>", "RR", "LL>", "lRR", "(R R)", "(rL> L)")

strokes = st.sampled_from(STROKES)
items = st.recursive(
    strokes | st.just("."),
    lambda inner: st.lists(inner, min_size=1, max_size=4).map(lambda some: f"[{' '.join(some)}]"),
    max_leaves=8,
)
beats = st.lists(items, max_size=5).map(lambda some: " ".join(["R", *some]))
OTHER_HAND = str.maketrans("RLrl", "LRlr")


def onsets(notation: str) -> list[Fraction]:
    return [note.beat for note in parse(notation)]


def thirds(*numerators: int) -> list[Fraction]:
    return [Fraction(numerator, 3) for numerator in numerators]


@given(st.integers(1, 12))
def test_a_beat_is_shared_evenly(count: int) -> None:
    assert onsets(" ".join(["R"] * count)) == [Fraction(i, count) for i in range(count)]


def test_brackets_share_one_item_evenly() -> None:
    assert onsets("[R L R] L") == [*(Fraction(i, 6) for i in range(3)), Fraction(1, 2)]
    assert onsets("R [L [R L]]") == [Fraction(i, 8) for i in (0, 4, 6, 7)]


def test_a_slashed_note_is_two_even_halves_of_one_item() -> None:
    assert onsets("RR L") == [Fraction(i, 4) for i in (0, 1, 2)]
    assert [note.diddle_position for note in parse("RR L")] == [1, 2, None]


def test_a_bracketed_diddle_takes_two_items() -> None:
    assert onsets("R (L L)") == thirds(0, 1, 2)
    assert [note.diddle_position for note in parse("R (L L)")] == [None, 1, 2]


def test_a_dot_is_silent_and_takes_its_share() -> None:
    assert onsets(". R . | L") == [Fraction(1, 3), Fraction(1)]


def test_graces_and_accent_of_a_slashed_note_belong_to_its_first_stroke() -> None:
    first, second = parse("llRR>")
    assert (first.graces, first.accent) == (("L", "L"), True)
    assert (second.graces, second.accent) == ((), False)


@pytest.mark.parametrize(
    ("notation", "kinds"),
    [
        ("R", ["tap"]),
        ("R>", ["accent"]),
        ("lR", ["tap"]),
        ("Rz", ["buzz"]),
        ("R>z", ["buzz"]),
        ("RR", ["diddle", "diddle"]),
        ("RR>", ["accent", "diddle"]),
        ("(L L>)", ["diddle", "accent"]),
    ],
)
def test_buzz_goes_before_accent_and_accent_before_diddle(notation: str, kinds: list[str]) -> None:
    assert [note.stroke_type for note in parse(notation)] == kinds


@given(beats, beats)
def test_a_bar_line_starts_the_next_beat(first: str, second: str) -> None:
    later = tuple(replace(note, beat=note.beat + 1) for note in parse(second))
    assert parse(f"{first} | {second}") == parse(first) + later


@given(beats)
def test_brackets_around_a_whole_beat_change_nothing(beat: str) -> None:
    assert parse(f"[{beat}]") == parse(beat)


@given(beats)
def test_onsets_rise_within_the_beat(beat: str) -> None:
    times = onsets(beat)
    assert times == sorted(set(times))
    assert 0 <= times[0] <= times[-1] < 1


@given(beats)
def test_exchanged_letters_exchange_the_hands(beat: str) -> None:
    for note, mirrored in zip(parse(beat), parse(beat.translate(OTHER_HAND)), strict=True):
        assert mirrored.hand == note.hand.translate(OTHER_HAND)
        assert mirrored.graces == tuple(grace.translate(OTHER_HAND) for grace in note.graces)
        assert mirrored.beat == note.beat


@given(st.text("RLrl[]().|>z ", max_size=30))
def test_any_text_is_read_or_refused_as_a_value(text: str) -> None:
    try:
        notes = parse(text)
    except ValueError:
        return
    assert len(notes) == sum(map(text.count, "RL"))


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("", "beat 1 of '': expected a stroke or '.', got nothing"),
        ("R | | L", "beat 2 of .*: expected a stroke or '.', got nothing"),
        (". | .", "must hold a stroke"),
        ("R [] L", "expected a stroke or '.', got nothing"),
        ("R L | X", "beat 2 of 'R L | X': expected a stroke such as .*, got 'X'"),
        ("RL", "got 'RL'"),
        ("RRR", "got 'RRR'"),
        ("Rz>", "got 'Rz>'"),
        ("lllR", "got 'lllR'"),
        ("rlL", "got 'rlL'"),
        ("l", "got 'l'"),
        ("R ]", r"got '\]'"),
        ("R )", r"got '\)'"),
        ("[R L", r"expected '\]' before the beat ends"),
        ("(R R | L", r"beat 1 of .*: expected '\)' before the beat ends"),
        ("(R [R R)", r"got '\)'"),
        ("rR", "graces are of the other hand"),
        ("(R L)", "must hold two single strokes of one hand"),
        ("(R)", "must hold two single strokes of one hand"),
        ("(R R R)", "must hold two single strokes of one hand"),
        ("(R .)", "must hold two single strokes of one hand"),
        ("(RR R)", "must hold two single strokes of one hand"),
        ("((R R))", "must hold two single strokes of one hand"),
        ("RRz", "a buzz stroke cannot be part of a diddle"),
        ("(Rz R)", "a buzz stroke cannot be part of a diddle"),
    ],
)
def test_bad_notation_is_refused_with_its_place(notation: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(notation)


def test_a_note_refuses_a_grace_of_its_own_hand() -> None:
    with pytest.raises(ValueError, match="graces are of the other hand"):
        Note(beat=Fraction(0), hand="R", graces=("R",))
