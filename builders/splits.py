"""Players to splits, and the clips of a split into an order in which any run is a fair sample."""

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from sousa.builders.keys import generator
from sousa.builders.schema import SKILL_TIERS, SPLITS

Player = TypeVar("Player")

HELD_OUT_SHARE: Final = 0.15
"""Share of each tier's players in validation, and again in test; at least one player each."""

FEWEST_PLAYERS: Final = len(SPLITS) * len(SKILL_TIERS)
"""One of each tier for each split."""


def tier_of(player: int) -> int:
    """Return the tier of a player: they go round, so that tiers are of equal size."""
    return player % len(SKILL_TIERS)


def assign(seed: int, players: int) -> dict[str, tuple[int, ...]]:
    """Return the players of each split: of each tier at random, at least one in each split."""
    chosen: dict[str, list[int]] = {split: [] for split in SPLITS}
    for tier in range(len(SKILL_TIERS)):
        members = [player for player in range(players) if tier_of(player) == tier]
        shuffled = generator(seed, "split", tier).permutation(members).tolist()
        for split, part in parted(shuffled).items():
            chosen[split] += part
    return {split: tuple(sorted(members)) for split, members in chosen.items()}


def parted(shuffled: Sequence[Player]) -> dict[str, Sequence[Player]]:
    """Return the members of one tier, split by split; of three or more at least one in each."""
    held_out = max(1, round(HELD_OUT_SHARE * len(shuffled)))
    return {
        "validation": shuffled[:held_out],
        "test": shuffled[held_out : 2 * held_out],
        "train": shuffled[2 * held_out :],
    }


def mixed(players: Sequence[int], clips_each: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the clips of some players so that any run of them holds the tiers in equal shares.

    Each tier is shuffled, then the tiers are dealt out like hands of cards: clip `i` of `n` stands
    near the fraction `i / n` of the whole.

    Args:
        players: Numbers of the players; clip `c` of player `p` is number `p * clips_each + c`.
        clips_each: How many each has.
        rng: Shuffles.
    """
    clips = []
    for tier in range(len(SKILL_TIERS)):
        members = np.array([p for p in players if tier_of(p) == tier], np.int64)
        clips.append(np.add.outer(members * clips_each, np.arange(clips_each)).ravel())
    return dealt(clips, rng)


def dealt(tiers: Sequence[NDArray[np.int64]], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the clips of some tiers, each shuffled, all of them spread evenly."""
    numbers, places = [], []
    for clips in tiers:
        shuffled = rng.permutation(clips)
        numbers.append(shuffled)
        places.append((np.arange(len(shuffled)) + rng.random(len(shuffled))) / len(shuffled))
    return np.concatenate(numbers)[np.argsort(np.concatenate(places), kind="stable")]
