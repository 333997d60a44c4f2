"""A plan to a folder: shards rendered by workers, finished ones kept, the result always the same.

While a build is under way, `.sousa/` in the folder holds the plan, a record of each finished shard,
and what is being written; files move to their place when they are whole. At the end the manifest
takes the place of `.sousa/`, so two equal plans leave equal folders.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from sousa.builders import clips, rows, tokens
from sousa.builders.claim import MANIFEST, STATE, claimed
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

RECORD: Final = ".shard.json"
"""Ending of the records of finished shards in the state folder."""

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
        known = _known(out, state)
        missing = []
        for shard in plan.shards:
            files = [known.get(_path(config, shard)) for config in plan.configs]
            if all(file is not None and _is_whole(out, file) for file in files):
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
    written = [Written.of(out, _path(config, shard), shard.rows) for config in plan.configs]
    record = json.dumps([asdict(file) for file in written])
    write_text(state / f"{shard.name}{RECORD}", state, record)


def _path(config: str, shard: Shard) -> str:
    return f"{config}/{shard.name}.parquet"


def _known(out: Path, state: Path) -> dict[str, Written]:
    """Return what is recorded of finished files, by path: in the manifest, or shard by shard."""
    found: list[dict[str, Any]] = []
    for path in [out / MANIFEST, *sorted(state.glob(f"*{RECORD}"))]:
        with suppress(FileNotFoundError, ValueError, RecursionError, KeyError, TypeError):
            content = json.loads(path.read_bytes())
            found += content["shards"] if path.name == MANIFEST else content
    known = {}
    for file in found:
        with suppress(TypeError):  # a damaged record is none: the shard is made again
            written = Written(**file)
            known[written.path] = written
    return known


def _is_whole(out: Path, file: Written) -> bool:
    """Whether a finished file is still as it was written."""
    return (out / file.path).is_file() and Written.of(out, file.path, file.rows) == file


def _conclude(plan: Plan, out: Path, state: Path) -> None:
    """Write what belongs to the whole dataset."""
    for name, column in zip(plan.tokens, plan.token_columns, strict=True):
        content = tokens.to_json(tokens.TOKENIZERS[name]())
        write_text(out / "tokenizers" / f"{column}.json", state, content)
    write_text(out / "splits.json", state, _dump(_splits(plan)))
    known = _known(out, state)
    shards = [asdict(known[_path(c, shard)]) for c in plan.configs for shard in plan.shards]
    write_text(out / MANIFEST, state, _dump(_identity(plan) | {"shards": shards}))


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
