"""The same datasets as a builder of `datasets`: prepared on any file system, or never written.

`SousaBuilder(config_name="audio_16k").as_streaming_dataset(split="train")` renders the rows while
they are read; `.download_and_prepare(folder, file_format="parquet", num_proc=2)` writes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import datasets
import pyarrow as pa
from datasets.builder import Key

from sousa.builders.build import plan_columns, render
from sousa.builders.features import arrow_schema
from sousa.builders.plan import Plan, make_plan
from sousa.builders.rudiments import RUDIMENTS
from sousa.builders.schema import CONFIGS, SPLITS
from sousa.builders.shards import RowGroups, Shard


@dataclass
class SousaConfig(datasets.BuilderConfig):  # type: ignore[misc]  # datasets has no types
    """Which dataset, and which of its configs.

    `name` is one of `schema.CONFIGS`; the other options are those of `sousa build`. Numbers that
    are None are the preset's.
    """

    preset: str = "tiny"
    players: int | None = None
    tempos: int | None = None
    variants: int | None = None
    rudiments: tuple[str, ...] = tuple(RUDIMENTS)
    seed: int = 42
    tokens: tuple[str, ...] = ("grid",)
    score_set: str = "v1"
    splits: tuple[str, ...] = SPLITS
    kit: str | None = None

    def plan(self) -> Plan:
        """Return the plan of these options.

        Raises:
            ValueError: If they are impossible.
        """
        return make_plan(
            self.preset,
            {"players": self.players, "tempos": self.tempos, "variants": self.variants},
            rudiments=tuple(self.rudiments),
            seed=self.seed,
            configs=(self.name,),
            tokens=tuple(self.tokens),
            score_set=self.score_set,
            splits=tuple(self.splits),
            kit=self.kit,
        )


class SousaBuilder(datasets.ArrowBasedBuilder):  # type: ignore[misc]  # datasets has no types
    """Renders performances into the caches, files and streams of `datasets`."""

    BUILDER_CONFIG_CLASS = SousaConfig
    BUILDER_CONFIGS = [SousaConfig(name=name) for name in CONFIGS]  # noqa: RUF012 - as there
    DEFAULT_CONFIG_NAME = CONFIGS[0]
    config: SousaConfig

    def _info(self) -> datasets.DatasetInfo:
        schema = arrow_schema(plan_columns(self.config.plan(), self.config.name))
        return datasets.DatasetInfo(features=datasets.Features.from_arrow_schema(schema))

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        del dl_manager  # nothing is downloaded
        plan = self.config.plan()
        return [
            datasets.SplitGenerator(
                name=split,
                gen_kwargs={"shards": [shard for shard in plan.shards if shard.split == split]},
            )
            for split in plan.splits
        ]

    def _generate_tables(self, shards: list[Shard]) -> Iterator[tuple[Key, pa.Table]]:
        plan, config = self.config.plan(), self.config.name
        for index, shard in enumerate(shards):
            groups, part = RowGroups(shard.rows), count()
            for tables in render(plan, shard, (config,)):
                for group in groups.add(tables[config]):
                    yield Key(index, next(part)), group
