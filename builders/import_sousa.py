"""A folder in the existing SOUSA layout to a dataset folder as a build makes it.

The labels of all clips are looked through, and who goes where is decided; tables with a row for
each stroke are brought into that order on disk; then workers make the shards, reading the files of
the clips. What is found on the way lies in `.sousa/`, so an import that was interrupted goes on;
what comes out depends neither on that nor on the number of workers.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from sousa.builders import tokens
from sousa.builders.arrangement import QUARANTINE
from sousa.builders.claim import MANIFEST, STATE, claimed
from sousa.builders.features import arrow_schema
from sousa.builders.finished import RECORD, dump, is_whole, known, record
from sousa.builders.schema import SCHEMA_VERSION
from sousa.builders.shards import Shard, ShardFile, Written, atomic, write_text
from sousa.builders.sousa_plan import Arranged
from sousa.builders.sousa_request import Request, Taken, taken
from sousa.builders.sousa_rows import Job, forget_files, made
from sousa.builders.sousa_schema import SPLIT_FILE, columns
from sousa.builders.sousa_splits import split_file
from sousa.builders.sousa_stage import LABELS_FILE, Progress, stage
from sousa.builders.sousa_survey import USED, Fault
from sousa.builders.workers import ENGINES

STOP, SKIP = "stop", "skip"
"""What is done when something cannot be imported."""

MEDIA: Final = "media.sha256"
"""In the state folder: what tells the files of the source from changed ones."""

FAULTS: Final = ".faults.jsonl"
"""Ending of the lists of rows that a shard lacks, in the state folder."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import.

    Attributes:
        rows: Of each split; splits that are empty are left out.
        left_out: What the manifest says of all that was not imported.
    """

    rows: dict[str, int]
    left_out: dict[str, Any]


def import_sousa(  # noqa: PLR0913 - each is one option of the command
    root: Path,
    out: Path,
    request: Request,
    *,
    workers: int = 1,
    on_error: str = STOP,
    overwrite: bool = False,
    describe: Callable[[Path], object] | None = None,
    progress: Progress = lambda *_: lambda _: None,
) -> Imported:
    """Import a folder, or go on with an import that was interrupted.

    Args:
        root: The folder.
        out: A new or empty folder, or one that holds this import, whole or begun.
        request: What is wanted of it.
        workers: Processes. Does not change what comes out.
        on_error: `STOP` at the first thing that cannot be imported, or `SKIP` all such.
        overwrite: Replace a dataset of another plan.
        describe: Is called with `out` when all else is there, to write the card.
        progress: Is called at the beginning of a step with its unit and how many there are;
            returns what is told of those that are done.

    Raises:
        FileExistsError: If `out` holds anything else.
        BlockingIOError: If another process is at work there.
        FileNotFoundError: If `root` lacks a table.
        OSError: If something cannot be imported and `on_error` is `STOP`, or a table is damaged,
            or a file cannot be written.
        ValueError: If the tables or splits make no sense, or nothing is left.
    """
    source = Path(os.path.realpath(root))
    if source == Path(os.path.realpath(out)):
        raise FileExistsError(f"{out} is the source itself; choose another folder")
    found = taken(source, request)
    if on_error == STOP:
        _stop_at(found.faults)
    identity = {"schema_version": SCHEMA_VERSION, "plan": found.plan.to_json()}
    with claimed(out, identity, overwrite=overwrite) as state:
        if (imported := _finished(out)) is None:
            imported = _import(out, state, found, identity, _Way(workers, on_error, progress))
        if describe is not None:
            describe(out)
        shutil.rmtree(state)
    return imported


@dataclass(frozen=True, slots=True)
class _Way:
    """How an import is done, which does not change what comes of it."""

    workers: int
    on_error: str
    progress: Progress


def _stop_at(faults: list[Fault]) -> None:
    """Raise the first fault, that of a file if there is one."""
    if faults:
        first = min(faults, key=lambda fault: (fault.path in USED, fault.row))
        more = f" (the first of {len(faults)})" if len(faults) > 1 else ""
        raise OSError(f"{first}{more}; mend it, or leave such rows out with --on-error skip")


def _finished(out: Path) -> Imported | None:
    """Return what came of an import that was finished and is whole; None if there is none."""
    there = known(out)
    if not (out / MANIFEST).is_file() or not (out / QUARANTINE).is_file():
        return None
    if not there or not all(is_whole(out, file) for file in there.values()):
        return None
    left_out = json.loads((out / MANIFEST).read_bytes())["left_out"]
    return Imported(_rows(there), left_out)


def _rows(there: Mapping[str, Written]) -> dict[str, int]:
    """Return the rows of each split, by the files of one config."""
    config = next(iter(there), "").partition("/")[0]
    rows: Counter[str] = Counter()
    for path, file in there.items():
        of, _, name = path.partition("/")
        rows[name.partition("-")[0]] += file.rows if of == config else 0
    return dict(rows)


def _import(out: Path, state: Path, found: Taken, identity: dict[str, Any], way: _Way) -> Imported:
    plan, order = found.plan, found.order
    if not order.shards:
        raise ValueError(_nothing(found.faults))
    _forget_others(state, found.survey.media.stamp)
    lists = plan.configs != ("labels_only",)
    staged = stage(found.source, state, found.survey, order, way.progress, lists=lists)
    if way.on_error == STOP:
        _stop_at(staged.strays)
    job = Job(found.source, plan, state / LABELS_FILE, staged.lists, staged.faults)
    forget_files()
    _make(out, job, order, way)
    late = [*staged.strays, *_late(state, order)]
    if way.on_error == STOP:
        _stop_at(late)
    return _conclude(out, state, found, late, identity)


def _forget_others(state: Path, stamp: str) -> None:
    """Forget the shards of an import that was begun if files of the source changed since."""
    with suppress(FileNotFoundError):
        if (state / MEDIA).read_text() != stamp:
            for shard in state.glob(f"*{RECORD}"):
                shard.unlink()
    write_text(state / MEDIA, state, stamp)


def _make(out: Path, job: Job, order: Arranged, way: _Way) -> None:
    """Make the shards that are not there yet, or of which it is not known what they lack."""
    told = way.progress("clips", len(order.rows))
    there = known(out)
    missing, first = [], 0
    for number, shard in enumerate(order.shards):
        files = [there.get(_path(config, shard)) for config in job.plan.configs]
        is_told = (out / STATE / f"{shard.name}{FAULTS}").is_file()
        if is_told and all(file is not None and is_whole(out, file) for file in files):
            told(shard.rows)
        else:
            missing.append((job, out, shard, number, first, way.on_error == STOP))
        first += shard.rows
    missing.sort(key=lambda one: -one[2].rows)
    ENGINES["processes"](_finish, missing, way.workers, told)


def _finish(  # noqa: PLR0913 - what a worker is told
    job: Job,
    out: Path,
    shard: Shard,
    number: int,
    first: int,
    stop: bool,  # noqa: FBT001 - a job is a tuple
    progress: Callable[[int], None],
) -> None:
    """Make one shard of each config, and record it as finished."""
    state, rows, faults = out / STATE, 0, []
    token_columns = tokens.token_columns(job.plan.tokenizers, exact=True)
    with ExitStack() as stack:
        files = {}
        for config in job.plan.configs:
            path = stack.enter_context(atomic(out / _path(config, shard), state))
            schema = arrow_schema(columns(config, token_columns))
            files[config] = stack.enter_context(ShardFile(path, schema, shard.rows))
        for some in made(job, number, first):
            if stop:
                _stop_at(some.faults)
            for config, table in some.tables.items() if some.rows else ():
                files[config].write(table)
            rows += some.rows
            faults += some.faults
            progress(some.rows + len(some.faults))
    lines = [json.dumps(fault.to_json()) + "\n" for fault in faults]
    write_text(state / f"{shard.name}{FAULTS}", state, "".join(lines))
    record(out, replace(shard, rows=rows), [_path(config, shard) for config in job.plan.configs])


def _path(config: str, shard: Shard) -> str:
    return f"{config}/{shard.name}.parquet"


def _late(state: Path, order: Arranged) -> list[Fault]:
    """Return what was found while shards were made."""
    paths = [state / f"{shard.name}{FAULTS}" for shard in order.shards]
    lines = [line for path in paths if path.is_file() for line in path.read_text().splitlines()]
    return [Fault(**json.loads(line)) for line in lines]


def _conclude(
    out: Path, state: Path, found: Taken, late: list[Fault], identity: dict[str, Any]
) -> Imported:
    """Write what belongs to the whole dataset."""
    plan, there = found.plan, known(out)
    paths = [_path(config, shard) for config in plan.configs for shard in found.order.shards]
    rows = {split: n for split, n in _rows({p: there[p] for p in paths}).items() if n}
    faults = [*found.faults, *late]
    if not rows:
        raise ValueError(_nothing(faults))
    for path in [path for path in paths if path.partition("/")[2].partition("-")[0] not in rows]:
        (out / path).unlink()
        paths.remove(path)
    for column, tokenizer in plan.tokenizers.items():
        write_text(out / "tokenizers" / f"{column}.json", state, tokens.to_json(tokenizer))
    entries = sorted([*faults, *found.unknown], key=lambda fault: (fault.row, fault.path))
    lines = [json.dumps(each.to_json(), ensure_ascii=False) + "\n" for each in entries]
    write_text(out / QUARANTINE, state, "".join(lines))
    write_text(out / SPLIT_FILE, state, dump(split_file(found.splits.split_of, found.tier_of)))
    left_out = found.left_out(len(faults), rows)
    content = {"left_out": left_out, "shards": [asdict(there[path]) for path in paths]}
    write_text(out / MANIFEST, state, dump(identity | content))
    return Imported(rows, left_out)


def _nothing(faults: list[Fault]) -> str:
    if not faults:
        return "the source has no samples in any split"
    return f"none of the samples can be imported, such as {faults[0]}"
