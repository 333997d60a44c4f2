"""Recordings to Parquet files: each is decoded once for all configs; rows lie in even groups."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sousa.builders.audio_plan import AudioPlan, Take
from sousa.builders.audio_schema import columns
from sousa.builders.claim import STATE
from sousa.builders.encoding import flac, resample, wav
from sousa.builders.features import arrow_schema
from sousa.builders.finished import record
from sousa.builders.recordings import decoded
from sousa.builders.schema import CONFIG_RATES, PREPARED_RATE, SAMPLE_RATE
from sousa.builders.shards import LEAST_ROW_GROUP_BYTES, Shard, ShardFile, atomic
from sousa.builders.workers import Progress

MOST_ROW_GROUP_BYTES: Final = 40_000_000
"""No row group is larger, but one whose only row is."""

AUDIO_SUFFIX: Final = {SAMPLE_RATE: ".flac", PREPARED_RATE: ".wav"}


class Job(NamedTuple):
    """What a process needs to make a shard."""

    root: Path
    out: Path
    plan: AudioPlan
    shard: Shard


class EvenGroups:
    """Gathers rows whose sizes nobody knows before into row groups of 12 to 40 MB.

    A full group waits until the next is full too, so that a short rest can still join it.

    Args:
        least_bytes: A group is full from here on.
        most_bytes: No group is larger, but one of a single row.
    """

    def __init__(
        self, least_bytes: int = LEAST_ROW_GROUP_BYTES, most_bytes: int = MOST_ROW_GROUP_BYTES
    ) -> None:
        self._least_bytes, self._most_bytes = least_bytes, most_bytes
        self._waiting: list[pa.Table] = []
        self._pending: list[pa.Table] = []
        self._waiting_bytes = self._pending_bytes = 0  # of many rows, so not counted for each anew

    def add(self, row: pa.Table) -> Iterator[pa.Table]:
        """Take one row; yield a row group if one need not wait any more."""
        if self._pending and self._pending_bytes + row.nbytes > self._most_bytes:
            yield from self._move()
        self._pending.append(row)
        self._pending_bytes += row.nbytes
        if self._pending_bytes >= self._least_bytes:
            yield from self._move()

    def rest(self) -> Iterator[pa.Table]:
        """Yield what is left, when no more rows come."""
        if self._waiting_bytes + self._pending_bytes <= self._most_bytes:
            self._pending = self._waiting + self._pending
            self._waiting = []
        yield from self._move()
        yield from self._move()

    def _move(self) -> Iterator[pa.Table]:
        if self._waiting:
            yield pa.concat_tables(self._waiting).combine_chunks()
        self._waiting, self._pending = self._pending, []
        self._waiting_bytes, self._pending_bytes = self._pending_bytes, 0


def rows_name(shard: Shard) -> str:
    """Return the file in the state folder that lists the rows of a shard."""
    return f"{shard.name}.rows.jsonl"


def row_line(take: Take, path: str, cells: dict[str, Any]) -> str:
    """Return one line of JSON: a row but for its audio; `path` is as the system has it."""
    return json.dumps([take.audio_sha256, take.sample_id, take.path, path, cells]) + "\n"


def file_path(config: str, shard: Shard) -> str:
    """Return where a shard of a config lies in the dataset's folder."""
    return f"{config}/{shard.name}.parquet"


def finish(job: Job, progress: Progress) -> None:
    """Make one shard of each config, and record it as finished.

    Raises:
        OSError: If a recording was changed meanwhile, or a file cannot be written.
    """
    state, shard = job.out / STATE, job.shard
    recorded = job.plan.to_json()
    schemas = {config: arrow_schema(columns(config, recorded)) for config in job.plan.configs}
    groups = {config: EvenGroups() for config in schemas}
    with ExitStack() as stack:
        files = {}
        for config, schema in schemas.items():
            path = stack.enter_context(atomic(job.out / file_path(config, shard), state))
            files[config] = stack.enter_context(ShardFile(path, schema, shard.rows))
        with (state / rows_name(shard)).open(encoding="utf-8") as lines:
            for line in lines:
                for config, row in _row(job, line, schemas).items():
                    for group in groups[config].add(row):
                        files[config].write_group(group)
                progress(1)
        for config in schemas:
            for group in groups[config].rest():
                files[config].write_group(group)
    record(job.out, shard, [file_path(config, shard) for config in schemas])


def _row(job: Job, line: str, schemas: Mapping[str, pa.Schema]) -> dict[str, pa.Table]:
    """Return one row as a table for each config."""
    audio_sha256, sample_id, name, path, cells = json.loads(line)
    try:
        recording = decoded(job.root, path, job.plan.max_sec)
    except ValueError as error:
        raise OSError(_changed(name)) from error
    if recording.sha256() != audio_sha256:
        raise OSError(_changed(name))
    row = cells | {
        "sample_id": sample_id,
        "source_path": name,
        "audio_sha256": audio_sha256,
        "duration_sec": len(recording.samples) / SAMPLE_RATE,
        "source_sample_rate_hz": recording.rate_hz,
        "source_channels": recording.channels,
    }
    made = {}
    for config, schema in schemas.items():
        audio = {}
        if config in CONFIG_RATES:
            rate_hz = CONFIG_RATES[config]
            encoded = _encoded(recording.samples, rate_hz)
            audio["audio"] = {"bytes": encoded, "path": sample_id + AUDIO_SUFFIX[rate_hz]}
        made[config] = pa.Table.from_pylist([row | audio], schema=schema)
    return made


def _encoded(samples: NDArray[np.int16], rate_hz: int) -> bytes:
    if rate_hz == SAMPLE_RATE:
        return flac(samples, rate_hz)
    return wav(resample(samples, SAMPLE_RATE, rate_hz), rate_hz)


def _changed(name: str) -> str:
    return f"{name} was changed while it was imported; run the command again, with --overwrite"
