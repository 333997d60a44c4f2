"""Check of a whole dataset: does something that is no performance give the label away?

From each column of metadata alone two things are guessed by counting: the tier of players who were
not counted, and the player of performances that were not. A column from which either can be
guessed better than by chance is a short cut that a model takes instead of listening. In the
existing SOUSA data tempos are drawn once for each player, so that the tempo tells who plays.

Of recordings with annotations their classes are guessed from what files they came in: a collection
of which each class is of another rate or length is learned without its sound.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sousa.builders.findings import Whole
from sousa.builders.schema import METADATA, SKILL_TIERS, Value

Ints = NDArray[np.int64]

LABELS: Final = ("skill_tier", "skill_tier_binary")
OWN: Final = ("sample_id", "profile_id", "augmentation_group_id", "dominant_hand")
"""Columns that name a clip or belong to a player."""

PLAYED: Final = ("duration_sec", "num_strokes", "num_mistakes")
"""Columns that depend on how it was played: they may tell of skill."""

COLUMNS: Final = tuple(column for column in METADATA if column.name not in (*LABELS, *OWN, *PLAYED))
"""Columns that must tell nothing."""

BINS: Final = 16
"""Classes into which numbers are sorted where a tier is guessed: near ones count together."""

FEWEST_PLAYERS: Final = 8
FEWEST_ROWS: Final = 200

SHUFFLES: Final = 100
"""Times that tiers are dealt to players anew, to see how well chance guesses."""

MARGIN: Final = 0.1
"""Least share of right guesses above chance that matters."""

SIGMAS: Final = 4.5
"""Least distance from chance, in its standard deviations: 3 in a million by chance alone."""

SEED: Final = 6
"""Of the shuffles; any other gives the same verdicts."""


CLASS: Final = "class "
"""Begins the names of columns with classes by which recordings are annotated."""

KEPT_TOGETHER: Final = "kept together"
"""Column with what is never on both sides of a split of recordings."""

SOURCE: Final = ("source_sample_rate_hz", "source_channels", "duration_sec", "source_path")
"""Columns about the file of a recording, of which the last tells its format."""


class Guess(NamedTuple):
    """How well something was guessed.

    Attributes:
        right: Share of right guesses.
        chance: Share that chance gives.
        spread: Standard deviation of that.
    """

    right: float
    chance: float
    spread: float

    @property
    def tells(self) -> bool:
        """Whether it was more than luck."""
        return self.right - self.chance > max(MARGIN, SIGMAS * self.spread)


def check(every: pa.Table, sampled: pa.Table, *, built: bool) -> Whole:
    """Find columns from which the tier or the player, or the class of a recording, is guessed."""
    del every, built
    if any(name.startswith(CLASS) for name in sampled.column_names):
        nothing = f"not judged: needs {FEWEST_ROWS} rows with two values of a class and of a source"
        return _told(list(_of_recordings(sampled)), sampled.num_rows, nothing)
    if "profile_id" not in sampled.column_names:
        return Whole(0)
    known = sampled.filter(pc.is_valid(sampled["profile_id"]))
    player = _codes(known["profile_id"])
    if known.num_rows < FEWEST_ROWS or _size(player) < FEWEST_PLAYERS:
        need = f"{FEWEST_ROWS} rows of {FEWEST_PLAYERS} players"
        return Whole(0, figure=f"not judged: needs {need}")
    nothing = "not judged: no column of metadata has two values"
    return _told(list(_guesses(known, player)), known.num_rows, nothing)


def _told(guesses: list[tuple[str, str, Guess]], rows: int, nothing: str) -> Whole:
    """Return what was guessed from which column, how well, and what of it is too well."""
    if not guesses:
        return Whole(0, figure=nothing)
    wrong = tuple(
        (
            f"column {name}",
            f"tells the {what}: {guess.right:.0%} guessed from it alone, {guess.chance:.0%} by "
            "chance",
        )
        for name, what, guess in guesses
        if guess.tells
    )
    figures: dict[str, Any] = {
        f"{what} from {name}": {"right": round(guess.right, 4), "chance": round(guess.chance, 4)}
        for name, what, guess in guesses
    }
    name, what, guess = max(guesses, key=lambda each: each[2].right - each[2].chance)
    figure = f"best guess: {what} from {name} {guess.right:.0%}, by chance {guess.chance:.0%}"
    return Whole(rows, wrong, figure, figures)


def _guesses(table: pa.Table, player: Ints) -> Iterator[tuple[str, str, Guess]]:
    performance = player
    if "augmentation_group_id" in table.column_names:
        performance = _codes(table["augmentation_group_id"].fill_null(""))
    tier = _tiers(table)
    for column in (column for column in COLUMNS if column.name in table.column_names):
        values = table[column.name]
        codes = _codes(values)
        if _size(codes) < 2:
            continue
        if tier is not None:
            is_number = isinstance(column.type, Value) and column.type.dtype != "string"
            near = _binned(values) if is_number else codes
            yield column.name, "tier", tier_guess(near, player, tier)
        if len(np.unique(performance)) > _size(player):
            yield column.name, "player", player_guess(codes, player, performance)


def _of_recordings(table: pa.Table) -> Iterator[tuple[str, str, Guess]]:
    for name in (name for name in table.column_names if name.startswith(CLASS)):
        known = table.filter(pc.is_valid(table[name]))
        label = _codes(known[name])
        if known.num_rows < FEWEST_ROWS or _size(label) < 2:
            continue
        group = np.arange(known.num_rows)
        if KEPT_TOGETHER in known.column_names:
            group = _codes(known[KEPT_TOGETHER])
        for source in (source for source in SOURCE if source in known.column_names):
            values = known[source]
            if source == "source_path":
                suffixes = pc.extract_regex(pc.utf8_lower(values), r"\.(?P<suffix>[^./]*)$")
                codes = _codes(pc.struct_field(suffixes, 0))
            else:
                codes = _binned(values)
            if len(np.unique(codes)) > 1:
                yield source, name.removeprefix(CLASS), player_guess(codes, label, group)


def _tiers(table: pa.Table) -> Ints | None:
    """Return the tier of each row; None where they are unknown or all the same."""
    if "skill_tier" not in table.column_names or table["skill_tier"].null_count:
        return None
    tier: Ints = table["skill_tier"].to_numpy().astype(np.int64)
    return tier if len(np.unique(tier)) > 1 else None


def tier_guess(codes: Ints, player: Ints, tier: Ints) -> Guess:
    """Guess the tier of each player from a column, by counting the rows of all other players.

    Args:
        codes: Of the values, from 0.
        player: Of each row, from 0.
        tier: Of each row, ids of `schema.SKILL_TIERS`.

    Returns:
        How many rows of a player are guessed right, the mean over tiers of that over players;
        chance is that of tiers that are dealt to the players at random.
    """
    counts = np.zeros((_size(player), _size(codes)))
    np.add.at(counts, (player, codes), 1)
    share = counts / counts.sum(axis=1, keepdims=True)
    of_player = np.zeros(_size(player), np.int64)
    of_player[player] = tier
    rng = np.random.default_rng(SEED)
    right = _held_out(share, of_player)
    chances = [_held_out(share, rng.permutation(of_player)) for _ in range(SHUFFLES)]
    return Guess(right, float(np.mean(chances)), float(np.std(chances)))


def _held_out(share: NDArray[np.float64], tier: Ints) -> float:
    players = np.arange(len(tier))
    member = np.eye(len(SKILL_TIERS))[:, tier]
    total, size = member @ share, member.sum(axis=1)
    others = np.repeat(total[None], len(tier), axis=0)
    others[players, tier] -= share
    left = np.repeat(size[None], len(tier), axis=0)
    left[players, tier] -= 1
    mean = np.where(left[:, :, None] > 0, others / np.maximum(left, 1)[:, :, None], -1.0)
    right = (share * (mean.argmax(axis=1) == tier[:, None])).sum(axis=1)
    return float(np.mean([right[tier == each].mean() for each in np.unique(tier)]))


def player_guess(codes: Ints, player: Ints, performance: Ints) -> Guess:
    """Guess the player of half of the performances, by counting the rows of the other half.

    Of recordings: the class of half of the groups that are kept together.
    """
    rng = np.random.default_rng(SEED)
    half = rng.random(_size(performance)) < 0.5
    counted = half[performance]
    counts = np.zeros((_size(codes), _size(player)))
    np.add.at(counts, (codes[counted], player[counted]), 1)
    prior = counts.sum(axis=0)
    guessed = np.where(counts.any(axis=1), (counts + prior * 1e-9).argmax(axis=1), prior.argmax())
    asked = ~counted
    if not asked.any() or not counted.any():
        return Guess(0.0, 0.0, 0.0)
    right = float(np.mean(guessed[codes[asked]] == player[asked]))
    shares = np.bincount(player[asked], minlength=_size(player)) / asked.sum()
    chance = float(shares.max())
    groups = len(np.unique(performance[asked]))
    return Guess(right, chance, float(np.sqrt(chance * (1 - chance) / groups)))


def _codes(values: pa.ChunkedArray) -> Ints:
    """Number the values, null as one more."""
    encoded = values.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    codes: Ints = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy().astype(np.int64)
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _binned(values: pa.ChunkedArray) -> Ints:
    """Sort numbers into classes of about the same size, null and NaN into one more."""
    numbers = pc.cast(values, pa.float64()).to_numpy()
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return np.zeros(len(numbers), np.int64)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
    places: Ints = np.searchsorted(edges, numbers, side="left").astype(np.int64)
    return places


def _size(codes: Ints) -> int:
    return int(codes.max()) + 1 if len(codes) else 0
