"""The 40 rudiments, each as one line that a drummer can read.

Rhythms, stickings and accents are those of the Percussive Arts Society's *International Drum
Rudiments* (1984), led by the right hand, in the notation of `sousa.builders.notation`. Note
values are the usual ones where the sheet abbreviates; rudiments in compound time are triplets of
the quarter.

A diddle is marked where the definition of the rudiment has one: the double strokes of rolls,
paradiddles and the mill, and slashed notes. The two strokes of one hand in a flam tap are taps.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import Final, Literal, get_args

from sousa.builders import schema
from sousa.builders.notation import Note, parse

__all__ = ["RUDIMENTS", "Category", "Note", "Rudiment", "parse"]

Category = Literal["roll", "diddle", "flam", "drag"]


@dataclass(frozen=True, kw_only=True)
class Rudiment:
    """One of the 40 rudiments.

    A cycle is what repeats: whole measures, with both leads of a rudiment that changes hands. One
    that does not is led by the right hand throughout.

    Attributes:
        number: Place on the sheet, from 1 to 40.
        slug: Name in the dataset, of `schema.RUDIMENTS`.
        name: Name on the sheet.
        category: Section of the sheet.
        beats_per_measure: Quarter notes in a measure; the time signature is n/4.
        tempo_range_bpm: Slowest and fastest playable tempo, in quarter notes per minute.
        notation: One cycle.
    """

    number: int
    slug: str
    name: str
    category: Category
    beats_per_measure: int
    tempo_range_bpm: tuple[int, int]
    notation: str

    def __post_init__(self) -> None:
        """Refuse what cannot stand in the table."""
        if self.slug not in schema.RUDIMENTS:
            raise ValueError(f"slug must be one of schema.RUDIMENTS, got {self.slug!r}")
        place = schema.RUDIMENTS.index(self.slug) + 1
        if self.number != place:
            raise ValueError(f"{self.slug}: number must be {place}, got {self.number}")
        categories = get_args(Category)
        if self.category not in categories:
            raise ValueError(
                f"{self.slug}: category must be one of {', '.join(categories)}, "
                f"got {self.category!r}"
            )
        if self.beats_per_measure < 1 or self.beats % self.beats_per_measure:
            raise ValueError(
                f"{self.slug}: a cycle must be whole measures, "
                f"got {self.beats} beats in measures of {self.beats_per_measure}"
            )
        slowest, fastest = self.tempo_range_bpm
        if not 0 < slowest < fastest:
            raise ValueError(
                f"{self.slug}: tempo_range_bpm must rise from above 0, got {self.tempo_range_bpm}"
            )
        parse(self.notation)  # refuses what cannot be read

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """The primary strokes of one cycle, in time order."""
        return parse(self.notation)

    @cached_property
    def gaps(self) -> tuple[Fraction, ...]:
        """Quarter notes from each note to the next; from the last one to the next cycle."""
        onsets = [note.beat for note in self.notes]
        following = [*onsets[1:], self.beats + onsets[0]]
        return tuple(after - onset for onset, after in zip(onsets, following, strict=True))

    @property
    def beats(self) -> int:
        """Length of one cycle in quarter notes."""
        return self.notation.count("|") + 1

    @cached_property
    def has_accents(self) -> bool:
        """Whether some strokes are accented."""
        return any(note.accent for note in self.notes)

    @cached_property
    def has_flams(self) -> bool:
        """Whether some strokes are led by one grace note."""
        return any(len(note.graces) == 1 for note in self.notes)

    @cached_property
    def has_drags(self) -> bool:
        """Whether some strokes are led by two grace notes."""
        return any(len(note.graces) == 2 for note in self.notes)

    @cached_property
    def has_diddles(self) -> bool:
        """Whether some strokes are diddles."""
        return any(note.diddle_position for note in self.notes)

    @cached_property
    def has_buzz(self) -> bool:
        """Whether some strokes are multiple bounces."""
        return any(note.buzz for note in self.notes)

    @property
    def is_roll(self) -> bool:
        """Whether it stands in the first section of the sheet."""
        return self.category == "roll"


_SLOWEST_BPM: Final = 60
"""Slowest tempo of every rudiment; the fastest stands in the table."""

_Row = tuple[str, int, int, str]

# Name, quarter notes in a measure, fastest tempo in quarter notes per minute, one cycle.
#
# At the fastest tempo no hand strikes more than ten times a second but for rebounds, the rate of
# the world's fastest drummer (Fujii et al. 2009, doi:10.1016/j.neulet.2009.04.055), and diddles
# leave 45 ms between strokes.
_ROLLS: Final[tuple[_Row, ...]] = (
    ("Single Stroke Roll", 2, 200, "R L R L | R L R L"),
    ("Single Stroke Four", 2, 150, "[R L R] L | [R L R] L"),
    ("Single Stroke Seven", 2, 150, "R L R L R L | R | L R L R L R | L"),
    ("Multiple Bounce Roll", 2, 140, "Rz Lz Rz Lz | Rz Lz Rz Lz"),
    ("Triple Stroke Roll", 2, 170, "R R R | L L L"),
    ("Double Stroke Open Roll", 2, 200, "(R R) (L L) | (R R) (L L)"),
    ("Five Stroke Roll", 2, 160, "[RR LL] R> | [LL RR] L>"),
    ("Six Stroke Roll", 2, 150, "R> LL RR L> | R> LL RR L>"),
    ("Seven Stroke Roll", 2, 150, "RR LL RR L> | RR LL RR L>"),
    ("Nine Stroke Roll", 2, 150, "RR LL RR LL | R> | LL RR LL RR | L>"),
    ("Ten Stroke Roll", 2, 150, "RR LL RR LL | R> L> . ."),
    ("Eleven Stroke Roll", 2, 140, "RR LL RR LL | RR L> . ."),
    ("Thirteen Stroke Roll", 2, 140, "RR LL RR LL | RR LL R> . | LL RR LL RR | LL RR L> ."),
    ("Fifteen Stroke Roll", 2, 130, "RR LL RR LL | RR LL RR L>"),
    (
        "Seventeen Stroke Roll",
        3,
        130,
        "RR LL RR LL | RR LL RR LL | R> | LL RR LL RR | LL RR LL RR | L>",
    ),
)
_DIDDLES: Final[tuple[_Row, ...]] = (
    ("Single Paradiddle", 2, 180, "R> L (R R) | L> R (L L)"),
    ("Double Paradiddle", 2, 130, "R> L R L (R R) | L> R L R (L L)"),
    ("Triple Paradiddle", 2, 180, "R> L R L | R L (R R) | L> R L R | L R (L L)"),
    ("Single Paradiddle-Diddle", 2, 140, "R> L (R R) (L L) | R> L (R R) (L L)"),
)
_FLAMS: Final[tuple[_Row, ...]] = (
    ("Flam", 2, 180, "lR rL | lR rL"),
    ("Flam Accent", 2, 170, "lR> L R | rL> R L"),
    ("Flam Tap", 2, 150, "lR> R rL> L | lR> R rL> L"),
    ("Flamacue", 2, 150, "lR L> R L | lR | rL R> L R | rL"),
    ("Flam Paradiddle", 2, 150, "lR> L (R R) | rL> R (L L)"),
    ("Single Flammed Mill", 2, 150, "(lR> R) L R | (rL> L) R L"),
    ("Flam Paradiddle-Diddle", 2, 100, "lR> L (R R) (L L) | rL> R (L L) (R R)"),
    ("Pataflafla", 2, 130, "lR> L R rL> | lR> L R rL>"),
    ("Swiss Army Triplet", 2, 160, "lR> R L | lR> R L"),
    ("Inverted Flam Tap", 2, 140, "lR> L rL> R | lR> L rL> R"),
    ("Flam Drag", 2, 130, "lR> LL R | rL> RR L"),
)
_DRAGS: Final[tuple[_Row, ...]] = (
    ("Drag", 2, 140, "llR rrL | llR rrL"),
    ("Single Drag Tap", 2, 140, "llR L> | rrL R>"),
    ("Double Drag Tap", 2, 120, "llR llR L> | rrL rrL R>"),
    ("Lesson 25", 2, 130, "[llR L] R> | [llR L] R>"),
    ("Single Dragadiddle", 2, 140, "RR> L (R R) | LL> R (L L)"),
    ("Drag Paradiddle #1", 2, 110, "R> . llR L (R R) | L> . rrL R (L L)"),
    ("Drag Paradiddle #2", 2, 140, "R> llR | llR L (R R) | L> rrL | rrL R (L L)"),
    ("Single Ratamacue", 2, 120, "[llR L R] L> | [rrL R L] R>"),
    ("Double Ratamacue", 3, 120, "llR [llR L R] | L> rrL | [rrL R L] R>"),
    ("Triple Ratamacue", 2, 120, "llR llR | [llR L R] L> | rrL rrL | [rrL R L] R>"),
)


def _table() -> Iterator[tuple[str, Rudiment]]:
    """Yield every rudiment and its slug, in the order of the sheet."""
    sections: dict[Category, tuple[_Row, ...]] = {
        "roll": _ROLLS,
        "diddle": _DIDDLES,
        "flam": _FLAMS,
        "drag": _DRAGS,
    }
    rows = [(category, row) for category, section in sections.items() for row in section]
    numbered = enumerate(zip(schema.RUDIMENTS, rows, strict=True), start=1)
    for number, (slug, (category, (name, beats_per_measure, fastest_bpm, notation))) in numbered:
        yield (
            slug,
            Rudiment(
                number=number,
                slug=slug,
                name=name,
                category=category,
                beats_per_measure=beats_per_measure,
                tempo_range_bpm=(_SLOWEST_BPM, fastest_bpm),
                notation=notation,
            ),
        )


RUDIMENTS: Final[Mapping[str, Rudiment]] = MappingProxyType(dict(_table()))
"""The 40 rudiments by slug, in the order of the sheet."""
