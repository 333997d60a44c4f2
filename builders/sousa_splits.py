"""Players to splits, as `splits.json` says or anew, and back to such a file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sousa.builders.keys import generator
from sousa.builders.schema import SKILL_TIERS, SPLITS
from sousa.builders.sousa_schema import PLAYERS, SPLIT_FILE
from sousa.builders.splits import parted

SOURCE, NEW, ONE = "source", "new", "train"
"""Where splits come from: `splits.json`, a draw by player, or nowhere, so that all is train."""

FEWEST: Final = len(SPLITS)
"""Players of a tier that three splits need."""

SHORT: Final = {"train": "train", "validation": "val", "test": "test"}
"""What `splits.json` calls the splits."""


@dataclass(frozen=True, slots=True)
class Splits:
    """The split of each player.

    Attributes:
        source: One of `SOURCE`, `NEW`, `ONE`.
        split_of: By player; others are in none.
    """

    source: str
    split_of: Mapping[str, str]


def choose_splits(root: Path, tier_of: Mapping[str, int], seed: int, *, resplit: bool) -> Splits:
    """Return the splits of a folder; new ones where it has none or they are not wanted.

    Args:
        root: The folder.
        tier_of: Tier of each player, an id.
        seed: Of new splits.
        resplit: Make new ones in any case.

    Raises:
        ValueError: If the file cannot be understood, or there are too few players for new ones
            that were asked for.
    """
    path = root / SPLIT_FILE
    if not resplit and (stated := read_splits(path)):
        if tier_of and tier_of.keys().isdisjoint(stated):
            raise ValueError(
                f"{path} names none of the players that there are; make new splits with --resplit"
            )
        return Splits(SOURCE, stated)
    split_of, few = drawn(tier_of, seed)
    if not few:
        return Splits(NEW, split_of)
    if resplit:
        raise ValueError(f"--resplit needs {FEWEST} players of each tier, got {few}")
    return Splits(ONE, dict.fromkeys(tier_of, "train"))


def read_splits(path: Path) -> dict[str, str]:
    """Return the split of each player by `splits.json`; nobody's where it is missing or empty.

    Raises:
        ValueError: If it is not as it should be, or has a player in two splits.
    """
    try:
        content = path.read_bytes()
        stored = json.loads(content) if content.strip() else {}
        listed = [(str(p), split) for key, split in PLAYERS.items() for p in stored.get(key) or ()]
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} must hold lists {', '.join(PLAYERS)}: {error}; mend it, or make new splits "
            "with --resplit"
        ) from error
    split_of: dict[str, str] = {}
    for player, split in listed:
        if split_of.setdefault(player, split) != split:
            raise ValueError(
                f"{path} has player {player!r} in {split_of[player]} and in {split}; mend it, or "
                "make new splits with --resplit"
            )
    return split_of


def tiers_of(players: Sequence[str], tiers: Sequence[int]) -> dict[str, int]:
    """Return the tier of each player: that of its first clip."""
    found: dict[str, int] = {}
    for player, tier in zip(players, tiers, strict=True):
        found.setdefault(player, tier)
    return found


def drawn(tier_of: Mapping[str, int], seed: int) -> tuple[dict[str, str], str]:
    """Return new splits, drawn as those of built data are, and the tier that is too small."""
    split_of: dict[str, str] = {}
    for tier, name in enumerate(SKILL_TIERS):
        members = sorted(player for player, of in tier_of.items() if of == tier)
        if 0 < len(members) < FEWEST:
            return {}, f"{len(members)} {name}"
        shuffled = [members[i] for i in generator(seed, "split", tier).permutation(len(members))]
        for split, part in parted(shuffled).items():
            split_of |= dict.fromkeys(part, split)
    return split_of, ""


def split_file(split_of: Mapping[str, str], tier_of: Mapping[str, int]) -> dict[str, Any]:
    """Return the content of `splits.json`.

    Args:
        split_of: Split of each player.
        tier_of: Tier of each, an id; players without one are left out.
    """
    stats: dict[str, Any] = {"total_profiles": 0}
    ids: dict[str, Any] = {}
    for split, short in SHORT.items():
        members = [player for player, of in split_of.items() if of == split and player in tier_of]
        tiers = [tier_of[player] for player in members]
        ids[f"{short}_profile_ids"] = members
        stats["total_profiles"] += len(members)
        stats[f"{short}_profiles"] = len(members)
        stats[f"{short}_skill_distribution"] = {
            name: tiers.count(tier) for tier, name in enumerate(SKILL_TIERS)
        }
    return ids | {"stats": stats}
