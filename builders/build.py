"""A plan to a folder: shards rendered by workers, finished ones kept, the result always the same.

While a build is under way, `.sousa/` in the folder holds the plan, a record of each finished shard,
and what is being written; files move to their place when they are whole. At the end the manifest
takes the place of `.sousa/`, so two equal plans leave equal folders.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from sousa.builders import clips, rows, tokens
from sousa.builders.claim import MANIFEST, STATE, claimed, identity_in
from sousa.builders.features import arrow_schema
from sousa.builders.plan import Plan, Shard
from sousa.builders.schema import (
    SCHEMA_VERSION,
    SKILL_TIERS,
    SPLITS,
    Column,
    columns,
)
from sousa.builders.shards import ShardFile, Written, atomic, write_text
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


def build(
    plan: Plan,
    out: Path,
    *,
    workers: int = 1,
    engine: str = "processes",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Build a dataset, or go on with one that was interrupted.

    Args:
        plan: What to build.
        out: A new or empty folder, or one that holds this plan's dataset, whole or begun.
        workers: Processes that render. Does not change what comes out.
        engine: `processes`, or `serial` for this process alone.
        overwrite: Replace a dataset of another plan.
        progress: Is told of finished clips, those found finished included.

    Raises:
        FileExistsError: If `out` holds anything else.
        OSError: If a file cannot be written.
    """
    told = progress or (lambda _: None)
    if not overwrite and is_complete(plan, out):
        told(plan.num_clips)
        return
    with claimed(out, _identity(plan), overwrite=overwrite) as state:
        missing = []
        for shard in plan.shards:
            if _is_finished(out, state, shard):
                told(shard.rows)
            else:
                missing.append((plan, out, shard))
        # Long shards first, so that no worker is left with one at the end.
        missing.sort(key=lambda job: -job[2].rows)
        ENGINES[engine](_finish, missing, workers, told)
        _conclude(plan, out, state)


def is_complete(plan: Plan, out: Path) -> bool:
    """Whether a folder holds the whole dataset of a plan."""
    return not (out / STATE).exists() and identity_in(out) == _identity(plan)


def _finish(plan: Plan, out: Path, shard: Shard, progress: Progress) -> None:
    """Render one shard into its files and record it as finished."""
    state = out / STATE
    with ExitStack() as stack:
        files = {}
        for config in plan.configs:
            path = stack.enter_context(atomic(out / config / f"{shard.name}.parquet", state))
            files[config] = ShardFile(path, arrow_schema(plan_columns(plan, config)), shard.rows)
        for tables in render(plan, shard, plan.configs):
            for config, table in tables.items():
                files[config].write(table)
            progress(next(iter(tables.values())).num_rows)
        for file in files.values():
            file.close()
    written = [
        Written.of(out, f"{config}/{shard.name}.parquet", shard.rows) for config in plan.configs
    ]
    record = json.dumps([asdict(file) for file in written])
    write_text(state / f"{shard.name}.json", state, record)


def _record(state: Path, shard: Shard) -> list[Written]:
    """Return the files of a finished shard; none if it is not finished."""
    path = state / f"{shard.name}.json"
    return [Written(**file) for file in json.loads(path.read_text())] if path.exists() else []


def _is_finished(out: Path, state: Path, shard: Shard) -> bool:
    """Whether a shard was finished, and its files are still as they were written."""
    files = _record(state, shard)
    return bool(files) and all(
        (out / file.path).is_file() and Written.of(out, file.path, file.rows) == file
        for file in files
    )


def _conclude(plan: Plan, out: Path, state: Path) -> None:
    """Write what belongs to the whole dataset; then the state is no longer needed."""
    for name, column in zip(plan.tokens, plan.token_columns, strict=True):
        content = tokens.to_json(tokens.TOKENIZERS[name]())
        write_text(out / "tokenizers" / f"{column}.json", state, content)
    write_text(out / "splits.json", state, _dump(_splits(plan)))
    shards = [_record(state, shard) for shard in plan.shards]
    files = [asdict(file) for config in zip(*shards, strict=True) for file in config]
    write_text(out / MANIFEST, state, _dump(_identity(plan) | {"shards": files}))
    shutil.rmtree(state)


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


def _dump(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"
