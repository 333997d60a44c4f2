"""Where a built folder keeps which rows."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final, TypeVar

from sousa.builders.schema import CONFIG_RATES, CONFIGS, SPLITS
from sousa.loaders.errors import BrokenRow

SHARD: Final = re.compile(rf"({'|'.join(SPLITS)})-(\d{{5}})-of-(\d{{5}})\.parquet")
"""Name of a Parquet file: split, number, how many there are."""

Shards = Mapping[str, Mapping[str, list[Path]]]
"""Files by config and split."""

Found = TypeVar("Found", bound=Mapping[str, object])
"""Something of each split."""


def find_shards(folder: Path) -> Shards:
    """Return the Parquet files of a built folder.

    Raises:
        ValueError: If there are none.
    """
    shards: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.glob("*/*.parquet")):
        name = SHARD.fullmatch(path.name)
        if name and not path.parent.name.startswith("."):
            shards.setdefault(path.parent.name, {}).setdefault(name[1], []).append(path)
    if not shards:
        there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise ValueError(
            f"{folder} is no built dataset: it holds no <config>/<split>-00000-of-00001.parquet "
            f"but {there}; `sousa build` makes one"
        )
    return shards


def with_splits(shards: Mapping[str, Found], split: str | None) -> Mapping[str, Found]:
    """Return the configs that hold a split, or all splits; all configs where none does."""
    wanted = {split} if split else {name for splits in shards.values() for name in splits}
    whole = {name: splits for name, splits in shards.items() if wanted <= splits.keys()}
    return whole or shards


def missing_shards(files: Sequence[PurePath]) -> list[BrokenRow]:
    """Return the files that the names of a split's other files promise, and that are not there.

    Raises:
        ValueError: If the names promise different numbers of files.
    """
    numbers = sorted({name[3] for path in files if (name := SHARD.fullmatch(path.name))})
    if len(numbers) > 1:
        raise ValueError(
            f"{files[0].parent} holds files of several builds of one split, -of-"
            f"{' and -of-'.join(numbers)}: remove those of the older one"
        )
    there = {path.name for path in files}
    splits = {name[1] for path in files if (name := SHARD.fullmatch(path.name))}
    promised = [
        f"{split}-{number:05d}-of-{numbers[0]}.parquet"
        for split in sorted(splits)
        for number in range(int(numbers[0]))
    ]
    return [
        BrokenRow(str(files[0].with_name(name)), None, None, "the file is missing")
        for name in promised
        if name not in there
    ]


def choose_config(
    there: Collection[str], config: str | None, rate_hz: int | None, where: str
) -> str:
    """Return the cheapest config that holds audio good for a rate, or the only one there is.

    Args:
        there: Names of the configs to choose from.
        config: What the user wants; None leaves the choice to us.
        rate_hz: Sample rate that is wanted; None is whatever is stored.
        where: Where the configs are, for errors.

    Raises:
        ValueError: If none fits.
    """
    if config is None:
        prepared = [name for name, hz in CONFIG_RATES.items() if hz == rate_hz]
        wanted = list(CONFIG_RATES) if rate_hz is None else [*prepared, CONFIGS[0]]
        fitting = [name for name in wanted if name in there]
        own = [name for name in there if name not in CONFIGS]
        if fitting or (own and len(there) == 1):
            return [*fitting, *own][0]
        raise ValueError(
            f"{where} has config {', '.join(sorted(there))}, {rate_hz} Hz needs config "
            f"{' or '.join(dict.fromkeys(wanted))}; name another one by config="
        )
    if config in CONFIGS and config not in CONFIG_RATES:
        audible = ", ".join(name for name in CONFIG_RATES if name in there) or "none"
        raise ValueError(
            f"config {config} holds no audio; of those in {where} {audible} can be read"
        )
    if config not in there:
        raise ValueError(
            f"config must be one of {', '.join(sorted(there))} in {where}, got {config!r}"
        )
    return config


def choose_splits(there: Collection[str], split: str | None, where: str) -> list[str]:
    """Return the splits to read: the one that is named, or all in the order of the schema.

    Raises:
        ValueError: If the split is not there.
    """
    known = [name for name in SPLITS if name in there]
    others = sorted(set(there) - set(SPLITS))
    if split is None:
        return known + others
    if split not in there:
        raise ValueError(
            f"split must be one of {', '.join(known + others)} in {where}, got {split!r}"
        )
    return [split]
