"""What is asked of an import of the existing layout, and what the source gives of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from sousa.builders.labels import SCORE_SETS
from sousa.builders.schema import CONFIG_RATES, CONFIGS, SPLITS
from sousa.builders.sousa_folder import KEY, LabelTable, read_index
from sousa.builders.sousa_plan import Arranged, SousaPlan, arranged
from sousa.builders.sousa_schema import (
    EXERCISES,
    MEASURES,
    MISTAKES,
    SAMPLES,
    SCORE_SET,
    SPLIT_FILE,
    STROKES,
)
from sousa.builders.sousa_splits import Splits, choose_splits, tiers_of
from sousa.builders.sousa_survey import Fault, Survey, survey
from sousa.builders.tokens import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is wanted.

    Attributes:
        configs: None for all that the source has files for.
        tokenizers: By token column.
        resplit: New splits, whatever `splits.json` says.
        keep_midi: MIDI as it is stored.
        seed: Of order, and of new splits.
    """

    configs: tuple[str, ...] | None = None
    tokenizers: Mapping[str, Tokenizer] = field(default_factory=dict)
    resplit: bool = False
    keep_midi: bool = False
    seed: int = 42

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which files are wanted, if they are there."""
        configs = CONFIGS if self.configs is None else self.configs
        audio = ("audio",) if CONFIG_RATES.keys() & set(configs) else ()
        return (*audio, "midi") if set(configs) != {"labels_only"} else ()


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What is to be imported.

    Attributes:
        source: The folder, without symbolic links in its path.
        plan: Of the import.
        survey: What the source holds.
        splits: Of the players.
        tier_of: Tier of each player that has samples, an id.
        order: Where the samples go.
        faults: What cannot be imported.
        unknown: Samples whose players are in no split.
        kinds: The files that were asked for.
    """

    source: Path
    plan: SousaPlan
    survey: Survey
    splits: Splits
    tier_of: Mapping[str, int]
    order: Arranged
    faults: list[Fault]
    unknown: list[Fault]
    kinds: tuple[str, ...]

    def left_out(self, faults: int, rows: Mapping[str, int]) -> dict[str, Any]:
        """Return what the manifest says of splits and of what was not imported.

        Args:
            faults: How many things could not be.
            rows: Rows of each split that has any.
        """
        stated = self.splits.split_of.keys()
        media = {"audio": self.survey.media.has_audio, "midi": self.survey.media.has_midi}
        return {
            "split": self.splits.source,
            "faults": faults,
            "rows_of_unknown_players": len(self.unknown),
            "unknown_players": sorted(self.tier_of.keys() - stated),
            "empty_splits": [split for split in SPLITS if split not in rows],
            "without": [name for name in self.kinds if not media[name]],
            "ignored": self.survey.ignored,
        }


def taken(source: Path, request: Request) -> Taken:
    """Look through a folder, and decide what of it goes where.

    Raises:
        FileNotFoundError: If a table is missing.
        OSError: If one is damaged.
        ValueError: If tables or splits make no sense, or audio is asked for that is not there.
    """
    found = survey(source, request.kinds)
    configs = _configs(source, request, found)
    names = [str(player) for player in found.table["profile_id"].to_pylist()]
    sound = [row for row in range(len(names)) if row not in found.faults]
    tiers = found.table["skill_tier"]
    of_sound = tiers.take(pa.array(sound, pa.int64())).to_pylist()
    tier_of = tiers_of([names[row] for row in sound], of_sound)
    splits = choose_splits(source, tier_of, request.seed, resplit=request.resplit)
    wanted = (SAMPLES, EXERCISES) if configs == ("labels_only",) else _TABLES
    plan = SousaPlan(
        tables={
            name: LabelTable(source, name).digest() for name in wanted if _is_read(source, name)
        },
        media_sha256=found.media.sha256,
        configs=configs,
        tokenizers=request.tokenizers,
        split_of={
            player: splits.split_of[player]
            for player in sorted(tier_of)
            if player in splits.split_of
        },
        split_from=splits.source,
        seed=request.seed,
        keep_midi=request.keep_midi,
        score_set=_score_set(source),
    )
    of_rows = [
        None if row in found.faults else splits.split_of.get(names[row])
        for row in range(len(names))
    ]
    unknown = [
        Fault(
            SPLIT_FILE, row, found.table[KEY][row].as_py(), f"player {names[row]!r} is in no split"
        )
        for row in sound
        if of_rows[row] is None
    ]
    faults = [*(found.faults[row] for row in sorted(found.faults)), *found.strays]
    return Taken(
        source=source,
        plan=plan,
        survey=found,
        splits=splits,
        tier_of=tier_of,
        order=arranged(of_rows, tiers, plan),
        faults=faults,
        unknown=unknown,
        kinds=request.kinds,
    )


_TABLES = (SAMPLES, EXERCISES, MEASURES, STROKES, MISTAKES)


def _is_read(source: Path, table: str) -> bool:
    return table != MISTAKES or (source / table).is_file()


def _configs(source: Path, request: Request, found: Survey) -> tuple[str, ...]:
    """Return the configs that are made: those asked for, or those that there are files for."""
    has_audio = found.media.has_audio
    if request.configs is None:
        return tuple(name for name in CONFIGS if has_audio or name not in CONFIG_RATES)
    asked = [name for name in request.configs if name in CONFIG_RATES]
    if asked and not has_audio:
        rest = ",".join(name for name in CONFIGS if name not in CONFIG_RATES)
        raise ValueError(f"{source} has no audio for {asked[0]}; ask for --configs {rest}")
    return request.configs


def _score_set(source: Path) -> str:
    """Return by which formulas the scores were made: what an export of ours says, or SOUSA's."""
    stated = read_index(source).get("score_set")
    return stated if stated in SCORE_SETS else SCORE_SET
