"""Performances are changed where they are tokens, by chance that seed, epoch and row fix."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sousa.loaders.layout import Indices, hashed
from sousa.loaders.samplers import whole
from sousa.loaders.token_labels import Change, follow
from sousa.loaders.token_tempo import at_other_tempos, onsets_moved
from sousa.loaders.token_values import Ragged, check_ids, ragged, row_keys
from sousa.loaders.token_vocabulary import Vocabulary

VELOCITY, PITCH, TEMPO, MIRROR = range(4)
"""What a random number is for."""

HANDS: Final = "Hand"
SUBWORDS: Final = ("bpe", "unigram", "wordpiece")
"""Types of tokenizers whose ids stand for several tokens."""

STALE: Final = ("midi", "audio", "measures", "mistakes")
"""Columns that a changed row no longer has: they tell of the performance as it was."""

Flags = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """A family of tokens with numbers for values, in their order.

    Attributes:
        ids: The id of each.
        numbers: Their values.
        place: For each id of the vocabulary its place among them; -1 for others.
    """

    ids: Indices
    numbers: Indices
    place: Indices

    @classmethod
    def of(cls, vocabulary: Vocabulary, family: str) -> "Scale":
        """Return a family; one without tokens where the vocabulary has none."""
        named = vocabulary.families.get(family, {}).items()
        values = {int(value): id_ for value, id_ in named if value.lstrip("-").isdecimal()}
        numbers = np.array(sorted(values), np.int64)
        ids = np.array([values[number] for number in numbers.tolist()], np.int64)
        place = np.full(vocabulary.size, -1)
        place[ids] = np.arange(len(ids))
        return cls(ids, numbers, place)

    def highest(self, rows: Ragged) -> Indices:
        """Return the highest value in each row, 1 where there is none."""
        place = self.place[rows.values]
        at = np.flatnonzero(place >= 0)
        found = np.full(rows.rows, -1)
        np.maximum.at(found, np.searchsorted(rows.offsets, at, side="right") - 1, place[at])
        numbers = np.append(self.numbers, 1)
        return np.asarray(numbers[found])

    def moved(self, rows: Ragged, offset: Indices) -> None:
        """Add an offset to the values of each row, the same to all: less where one has no room."""
        if not len(self.ids):
            return
        place = self.place[rows.values]
        at = np.flatnonzero(place >= 0)
        if not len(at):
            return
        row = np.searchsorted(rows.offsets, at, side="right") - 1
        known, first = np.unique(row, return_index=True)
        lowest = np.minimum.reduceat(place[at], first)
        highest = np.maximum.reduceat(place[at], first)
        step = max(1.0, float(np.median(np.diff(self.numbers)))) if len(self.ids) > 1 else 1.0
        wanted = np.rint(offset[known] / step).astype(np.int64)
        steps = np.zeros(rows.rows, np.int64)
        steps[known] = np.clip(wanted, -lowest, len(self.ids) - 1 - highest)
        rows.values[at] = self.ids[place[at] + steps[row]]


class Augmentation:
    """Changes rows of tokens, each as a whole and in its own way.

    What is drawn for a row is a function of seed, epoch and `sample_id`. Nothing is clipped: where
    a velocity or a pitch would leave its range, all of the row is moved by less.

    `set_transform` of `datasets` takes one as it is, for a dataset with a `sample_id`: its labels
    follow, and columns that tell of the performance as it was are left out. A `TokenDataset` takes
    one as `augment=`; there the epoch is the loader's.

    Args:
        vocabulary: Of the tokens: `TokenDataset.vocabulary`, or `Vocabulary.read` of a file.
        velocity: Velocities of a row are moved by up to so much, up or down, so that their
            differences stay.
        pitch: Notes of pitched tracks are moved by up to so many semitones, up or down. Drums are
            not.
        tempo: The slowest and the fastest tempo, as shares of the row's own. The grid moves with
            it, deviations from it stay as they are in milliseconds: what makes a performance
            skilled. The grid is the tokens' own: what is off it is the distance to its nearest
            step. Needs `grid` tokens; rows with several tempos, time signatures or tracks keep
            theirs, and so do those that would become longer, or be cut into sequences otherwise.
        mirror: Share of rows whose hands are exchanged, in tokens that tell hands, and in labels.
        seed: At least 0.
        column: Which column `set_transform` changes.

    Raises:
        ValueError: If an argument is not as above, or tokens say nothing of what is to be changed.
    """

    def __init__(  # noqa: PLR0913 - what can be changed
        self,
        vocabulary: Vocabulary,
        *,
        velocity: int = 0,
        pitch: int = 0,
        tempo: tuple[float, float] | None = None,
        mirror: float = 0.0,
        seed: int = 0,
        column: str = "tokens",
    ) -> None:
        if vocabulary.type in SUBWORDS:
            raise ValueError(
                f"{vocabulary.name} has subwords, in which notes cannot be changed: augment the "
                "column that it was trained on"
            )
        self.vocabulary = vocabulary
        self.velocity = whole(velocity, "velocity", 0)
        self.pitch = whole(pitch, "pitch", 0)
        if tempo is not None and not 0 < tempo[0] <= tempo[1]:
            raise ValueError(f"tempo must be (slowest, fastest) as shares above 0, got {tempo!r}")
        if not 0 <= mirror <= 1:
            raise ValueError(f"mirror must be a share in [0, 1], got {mirror!r}")
        families = vocabulary.families
        needed = {"velocity": ("Velocity",), "pitch": ("Pitch",), "tempo": ("Tempo", "Micro")}
        wanted = {"velocity": velocity, "pitch": pitch, "tempo": tempo}
        for name, lacking in needed.items():
            if wanted[name] and (missing := [each for each in lacking if each not in families]):
                raise ValueError(
                    f"{name}= needs {' and '.join(missing)} tokens, {vocabulary.name} has none"
                )
        self.tempo = tempo
        self.mirror = mirror
        self.seed = whole(seed, "seed", 0)
        self.column = column
        self.epoch = 0
        self._velocities = Scale.of(vocabulary, "Velocity")
        self._tempos = Scale.of(vocabulary, "Tempo")
        self._pitches = Scale.of(vocabulary, "Pitch")
        hands = families.get(HANDS, {})
        self._other = np.arange(vocabulary.size)
        if {"L", "R"} <= hands.keys():
            self._other[[hands["L"], hands["R"]]] = hands["R"], hands["L"]

    def key(self) -> list[Any]:
        """Return what decides what is drawn, as JSON values."""
        tempo = None if self.tempo is None else list(self.tempo)
        return [self.velocity, self.pitch, tempo, self.mirror, self.seed]

    def set_epoch(self, epoch: int) -> None:
        """Let `set_transform` draw for another epoch."""
        self.epoch = whole(epoch, "epoch", 0)

    def _drawn(self, keys: Keys, epoch: int, what: int) -> npt.NDArray[np.float64]:
        return hashed((self.seed, epoch, what), keys.astype(np.int64))

    def mirrored(self, keys: Keys, epoch: int) -> Flags:
        """Return which rows have their hands exchanged."""
        return np.asarray(self._drawn(keys, epoch, MIRROR) < self.mirror)

    def offsets(self, keys: Keys, epoch: int, what: int, most: int) -> Indices:
        """Return by how much each row's velocities or pitches should be moved."""
        share = self._drawn(keys, epoch, what)
        return np.floor(share * (2 * most + 1)).astype(np.int64) - most

    def factors(self, keys: Keys, epoch: int) -> npt.NDArray[np.float64]:
        """Return by what each row's tempo should be multiplied."""
        slowest, fastest = self.tempo or (1.0, 1.0)
        return np.asarray(slowest * (fastest / slowest) ** self._drawn(keys, epoch, TEMPO))

    def changed(
        self, rows: Ragged, keys: Keys, epoch: int, *, steady: Flags | None = None
    ) -> Ragged:
        """Return the rows of an epoch; none is longer than it was.

        Args:
            rows: Whole ones.
            keys: What tells each from others, see `row_keys`.
            epoch: Which one.
            steady: Which rows keep their tempo; None for no others than those that must.
        """
        first, last = rows.offsets[0], rows.offsets[-1]
        rows = Ragged(rows.values[first:last].copy(), rows.offsets - first)
        if self.tempo is not None:
            factors = self.factors(keys, epoch)
            factors = factors if steady is None else np.where(steady, 1.0, factors)
            rows = at_other_tempos(rows, self.vocabulary, factors)
        if self.velocity:
            self._velocities.moved(rows, self.offsets(keys, epoch, VELOCITY, self.velocity))
        if self.pitch:
            self._pitches.moved(rows, self.offsets(keys, epoch, PITCH, self.pitch))
        if self.mirror:
            exchanged = np.repeat(self.mirrored(keys, epoch), rows.lengths)
            rows.values[exchanged] = self._other[rows.values[exchanged]]
        return rows

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the changed rows of a batch of `datasets`, for `set_transform`.

        Raises:
            ValueError: If it lacks the tokens or `sample_id`, or the tokens are another
                tokenizer's.
        """
        if lacking := [name for name in (self.column, "sample_id") if name not in batch]:
            raise ValueError(f"the augmentation needs column {', '.join(lacking)}")
        keys = row_keys(batch["sample_id"])
        lists = pa.array(batch[self.column], pa.list_(pa.uint16()))
        before = ragged(pa.chunked_array([lists]), self.column)
        check_ids(before, self.vocabulary, self.column)
        after = self.changed(before, keys, self.epoch)
        pairs = (self._velocities.highest(after) - self._velocities.highest(before)).tolist()
        tempos = [self._tempos.highest(rows) for rows in (before, after)]
        moved = onsets_moved(before, self.vocabulary, *tempos)
        factors = (tempos[1] / tempos[0]).tolist()
        mirrored = self.mirrored(keys, self.epoch).tolist()
        changes = [Change(*each) for each in zip(factors, pairs, mirrored, moved, strict=True)]
        kept = {name: values for name, values in batch.items() if name not in STALE}
        followed = {name: follow(name, values, changes) for name, values in kept.items()}
        return followed | {self.column: [after.row(at).tolist() for at in range(after.rows)]}
