"""A plan to a folder: shards rendered by workers, finished ones kept, the result always the same.

While a build is under way, `.sousa/` in the folder holds the plan, a record of each finished shard,
and what is being written; files move to their place when they are whole. At the end the manifest
takes the place of `.sousa/`, so two equal plans leave equal folders.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from sousa.builders import clips, rows
from sousa.builders.claim import MANIFEST, STATE, claimed
from sousa.builders.features import arrow_schema
from sousa.builders.finished import dump, is_whole, known, record
from sousa.builders.plan import Plan
from sousa.builders.schema import (
    SCHEMA_VERSION,
    SKILL_TIERS,
    SPLITS,
    Column,
    columns,
)
from sousa.builders.shards import Shard, ShardFile, atomic, write_text
from sousa.builders.workers import ENGINES, Progress

ROWS_AT_ONCE: Final = 16
"""Rows that are rendered before they are handed to the files: progress and memory follow it."""


def render(plan: Plan, shard: Shard, configs: tuple[str, ...]) -> Iterator[dict[str, pa.Table]]:
    """Render a shard: a few rows at a time, as one table for each config.

    A pure function of its arguments, and the only way in which rows come into being. A config's
    rows are the same whatever other configs are asked for, and nothing is rendered twice.
    """
    keys = plan.clips(shard)
    for begin in range(0, len(keys), ROWS_AT_ONCE):
        takes = [clips.take(plan, key) for key in keys[begin : begin + ROWS_AT_ONCE]]
        made = [clips.row(plan, take, configs) for take in takes]
        yield {config: rows.table(made, config, plan_columns(plan, config)) for config in configs}


def plan_columns(plan: Plan, config: str) -> tuple[Column, ...]:
    """Return the columns of a config of a plan, its token columns included."""
    return columns(config, plan.token_columns)


def build(  # noqa: PLR0913 - each is one option of the command
    plan: Plan,
    out: Path,
    *,
    workers: int = 1,
    engine: str = "processes",
    overwrite: bool = False,
    describe: Callable[[Path], object] | None = None,
    progress: Progress | None = None,
) -> None:
    """Build a dataset, go on with one that was interrupted, or mend one that was damaged.

    Args:
        plan: What to build.
        out: A new or empty folder, or one that holds this plan's dataset, whole or begun.
        workers: Processes that render. Does not change what comes out.
        engine: `processes`, or `serial` for this process alone.
        overwrite: Replace a dataset of another plan.
        describe: Is called with `out` when all else is there, to write the card.
        progress: Is told of finished clips, those found finished included.

    Raises:
        FileExistsError: If `out` holds anything else.
        BlockingIOError: If another process is building there.
        OSError: If a file cannot be written.
    """
    told = progress or (lambda _: None)
    with claimed(out, _identity(plan), overwrite=overwrite) as state, _disk_is_told(out):
        there = known(out)
        missing = []
        for shard in plan.shards:
            files = [there.get(_path(config, shard)) for config in plan.configs]
            if all(file is not None and is_whole(out, file) for file in files):
                told(shard.rows)
            else:
                missing.append((plan, out, shard))
        # Long shards first, so that no worker is left with one at the end.
        missing.sort(key=lambda job: -job[2].rows)
        ENGINES[engine](_finish, missing, workers, told)
        _conclude(plan, out, state)
        if describe is not None:
            describe(out)
        shutil.rmtree(state)


@contextmanager
def _disk_is_told(out: Path) -> Iterator[None]:
    """Say of a full disk where it is and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        message = f"{os.strerror(error.errno)}; make room and run the same command again"
        raise OSError(error.errno, message, str(out)) from error


def _finish(plan: Plan, out: Path, shard: Shard, progress: Progress) -> None:
    """Render one shard into its files and record it as finished."""
    state = out / STATE
    with ExitStack() as stack:
        files = {}
        for config in plan.configs:
            path = stack.enter_context(atomic(out / _path(config, shard), state))
            schema = arrow_schema(plan_columns(plan, config))
            files[config] = stack.enter_context(ShardFile(path, schema, shard.rows))
        for tables in render(plan, shard, plan.configs):
            for config, table in tables.items():
                files[config].write(table)
            progress(next(iter(tables.values())).num_rows)
    record(out, shard, [_path(config, shard) for config in plan.configs])


def _path(config: str, shard: Shard) -> str:
    return f"{config}/{shard.name}.parquet"


def _conclude(plan: Plan, out: Path, state: Path) -> None:
    """Write what belongs to the whole dataset."""
    for column, tokenizer in plan.tokenizers.items():
        write_text(out / "tokenizers" / f"{column}.json", state, tokenizer.to_json())
    write_text(out / "splits.json", state, dump(_splits(plan)))
    there = known(out)
    shards = [asdict(there[_path(c, shard)]) for c in plan.configs for shard in plan.shards]
    hashes = {column: tokenizer.hash for column, tokenizer in plan.tokenizers.items()}
    content = _identity(plan) | {"tokenizers": hashes, "shards": shards}
    write_text(out / MANIFEST, state, dump(content))


def _splits(plan: Plan) -> dict[str, Any]:
    """Return the content of `splits.json`, in the layout of the existing dataset."""
    short = {"train": "train", "validation": "val", "test": "test"}
    players = {
        short[split]: [plan.player(index) for index in plan.players_of.get(split, ())]
        for split in SPLITS
    }
    stats: dict[str, Any] = {"total_profiles": plan.players}
    for split, members in players.items():
        tiers = [player.skill_tier for player in members]
        stats[f"{split}_profiles"] = len(members)
        stats[f"{split}_skill_distribution"] = {tier: tiers.count(tier) for tier in SKILL_TIERS}
    ids = {f"{s}_profile_ids": [p.profile_id for p in members] for s, members in players.items()}
    return ids | {"stats": stats}


def _identity(plan: Plan) -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "plan": plan.to_json()}
