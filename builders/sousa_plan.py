"""What an import of the existing layout makes: which samples, in which split and shard."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import pyarrow as pa

from sousa.builders.import_plan import MIDITOK
from sousa.builders.keys import generator
from sousa.builders.schema import CONFIG_RATES, SPLITS
from sousa.builders.shards import Shard
from sousa.builders.sousa_lists import Places
from sousa.builders.sousa_schema import KIND, SCORE_SET
from sousa.builders.sousa_splits import SOURCE
from sousa.builders.splits import dealt
from sousa.builders.tokens import Tokenizer

ROWS_PER_SHARD: Final = 256
"""Of a dataset with audio, as of a built one."""

BARE_ROWS_PER_SHARD: Final = 4096
"""Of one without audio."""

LIBRARIES: Final = ("sousa-datasets", "numpy", "pyarrow", "soundfile", "soxr", "symusic")


@dataclass(frozen=True, kw_only=True)
class SousaPlan:
    """All that decides what comes out of an import.

    Attributes:
        tables: SHA-256 of the source's tables, by path.
        media_sha256: Of paths and sizes of the files.
        configs: That are written.
        tokenizers: By token column.
        split_from: One of `sousa_splits.SOURCE`, `NEW`, `ONE`.
        split_of: Split of each player.
        seed: Of order, and of new splits.
        keep_midi: Whether MIDI stays as it is stored, on whatever channel.
        score_set: By which formulas the scores were made.
    """

    tables: Mapping[str, str]
    media_sha256: str
    configs: tuple[str, ...]
    tokenizers: Mapping[str, Tokenizer] = field(default_factory=dict)
    split_from: str = SOURCE
    split_of: Mapping[str, str] = field(default_factory=dict)
    seed: int = 42
    keep_midi: bool = False
    score_set: str = SCORE_SET

    @property
    def has_audio(self) -> bool:
        """Whether audio is read."""
        return not CONFIG_RATES.keys().isdisjoint(self.configs)

    @property
    def _splits_sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.split_of, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the manifest records it: every option and every version."""
        lossy = any(tokenizer.lossy for tokenizer in self.tokenizers.values())
        libraries = (*LIBRARIES, MIDITOK) if lossy else LIBRARIES
        return {
            "import": KIND,
            "tables": dict(self.tables),
            "media_sha256": self.media_sha256,
            "configs": list(self.configs),
            "tokens": {column: each.hash for column, each in self.tokenizers.items()},
            "split": self.split_from,
            "splits_sha256": self._splits_sha256,
            "seed": self.seed,
            "keep_midi": self.keep_midi,
            "score_set": self.score_set,
            "versions": {name: version(name) for name in libraries},
        }


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """Where the samples go.

    Attributes:
        shards: In the order of the dataset, those of train first.
        rows: Of the source, in that order.
    """

    shards: list[Shard]
    rows: Places

    def places(self, total: int) -> Places:
        """Return the place of each row of the source; -1 for those that are left out."""
        places = np.full(total, -1, np.int64)
        places[self.rows] = np.arange(len(self.rows))
        return places


def arranged(splits: list[str | None], tiers: pa.ChunkedArray, plan: SousaPlan) -> Arranged:
    """Decide which row goes where: any run of a split's rows holds its tiers in like shares.

    Args:
        splits: Of each row of the source; None for those that are left out.
        tiers: Ids of the tiers.
        plan: Of the import.
    """
    most = ROWS_PER_SHARD if plan.has_audio else BARE_ROWS_PER_SHARD
    of_row = np.array([split or "" for split in splits], "U10")
    tier = tiers.fill_null(-1).to_numpy()
    shards: list[Shard] = []
    orders = [np.empty(0, np.int64)]
    for name in SPLITS:
        there = np.flatnonzero(of_row == name)
        by_tier = [there[tier[there] == each] for each in np.unique(tier[there])]
        if not len(there):
            continue
        orders.append(dealt(by_tier, generator(plan.seed, "order", name)))
        count = -(-len(there) // most)
        bounds = [index * len(there) // count for index in range(count + 1)]
        shards += [
            Shard(name, index, count, bounds[index + 1] - bounds[index]) for index in range(count)
        ]
    return Arranged(shards, np.concatenate(orders))
