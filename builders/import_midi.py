"""A tree of MIDI files to a dataset folder: nothing in it can end the run.

In four steps, each of which goes on where it was interrupted: the tree is listed; each file is read
and judged; duplicates are found, and who goes where is decided; the rows are made, shard by shard.
All that is known between them lies in `.sousa/`, so memory hardly grows with the number of files.
"""

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from sousa.builders import tokens
from sousa.builders.arrangement import QUARANTINE, arranged, rows_name
from sousa.builders.claim import MANIFEST, STATE, claimed
from sousa.builders.features import arrow_schema
from sousa.builders.finished import dump, is_whole, known, record
from sousa.builders.guarded import Begin, Lost, groups, run_guarded
from sousa.builders.import_plan import ImportPlan
from sousa.builders.midi_files import LISTING, Run, content, judge, runs
from sousa.builders.midi_listing import Listed, listing
from sousa.builders.midi_rows import Source, tables
from sousa.builders.midi_schema import CONFIGS, columns
from sousa.builders.schema import SCHEMA_VERSION
from sousa.builders.shards import Shard, ShardFile, Written, atomic, write_text

FILES_PER_RUN: Final = 256
ROWS_AT_ONCE: Final = 64
"""Rows that are made before they are handed to the files."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import.

    Attributes:
        rows: Of each split; splits that are empty are left out.
        rejected: Files in the quarantine table.
    """

    rows: dict[str, int]
    rejected: int


class _Job(NamedTuple):
    """What a process needs to make a shard."""

    root: Path
    out: Path
    plan: ImportPlan
    shard: Shard


def write_listing(root: Path, out: Path, target: Path) -> tuple[int, str]:
    """Write the listing of a tree; return how many lines it has, and its SHA-256.

    Raises:
        OSError: If `root` is no folder that can be read.
    """
    digest, lines = hashlib.sha256(), 0
    with target.open("w", encoding="ascii") as file:
        for listed in listing(root, out):
            line = listed.to_line()
            digest.update(line.encode())
            file.write(line)
            lines += 1
    return lines, digest.hexdigest()


def import_midi(  # noqa: PLR0913 - each is one option of the command
    root: Path,
    out: Path,
    plan_of: Callable[[int, str], ImportPlan],
    *,
    workers: int = 1,
    overwrite: bool = False,
    describe: Callable[[Path], object] | None = None,
    progress: Callable[[str, int], Progress] = lambda *_: lambda _: None,
) -> Imported:
    """Import a tree of MIDI files, or go on with an import that was interrupted.

    Args:
        root: The tree.
        out: A new or empty folder, or one that holds this import, whole or begun.
        plan_of: Returns the plan for a number of files and the digest of their listing.
        workers: Processes that read. Does not change what comes out.
        overwrite: Replace a dataset of another plan.
        describe: Is called with `out` when all else is there, to write the card.
        progress: Is called at the beginning of a step with its unit and how many there are;
            returns what is told of those that are done.

    Raises:
        FileExistsError: If `out` holds anything else.
        BlockingIOError: If another process is at work there.
        OSError: If `root` cannot be read, or a file cannot be written.
        ValueError: If no file is left; the quarantine table tells why.
        RuntimeError: If a process cannot go on.
    """
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch) / LISTING
        plan = plan_of(*write_listing(root, out, found))
        identity = {"schema_version": SCHEMA_VERSION, "plan": plan.to_json()}
        with claimed(out, identity, overwrite=overwrite) as state:
            with atomic(state / LISTING, state) as partial:
                shutil.copyfile(found, partial)
            if (imported := _finished(out)) is None:
                chosen = _judged(root, state, plan, workers, progress("files", plan.files))
                shards, rejected = arranged(out, state, plan, chosen)
                if not shards:
                    raise ValueError(_nothing(out, plan))
                _make(root, out, plan, shards, workers, progress)
                _conclude(out, state, plan, shards, identity)
                imported = Imported(_rows_of(shards), rejected)
            if describe is not None:
                describe(out)
            shutil.rmtree(state)
    return imported


def _finished(out: Path) -> Imported | None:
    """Return what came of an import that was finished and is whole; None if there is none."""
    if not (out / MANIFEST).is_file() or not (out / QUARANTINE).is_file():
        return None
    there = known(out)
    if not there or not all(is_whole(out, file) for file in there.values()):
        return None
    rows: Counter[str] = Counter()
    for path, file in there.items():
        config, _, name = path.partition("/")
        rows[name.partition("-")[0]] += file.rows if config == CONFIGS[0] else 0
    with (out / QUARANTINE).open("rb") as rejected:
        return Imported(dict(rows), sum(1 for _ in rejected))


def _rows_of(shards: list[Shard]) -> dict[str, int]:
    rows: Counter[str] = Counter()
    for shard in shards:
        rows[shard.split] += shard.rows
    return dict(rows)


def _judged(
    root: Path, state: Path, plan: ImportPlan, workers: int, progress: Progress
) -> list[Run]:
    """Judge all files that were not yet, and return the runs of the listing."""
    found = list(runs(state, FILES_PER_RUN))
    missing = []
    for run in found:
        if (state / run.name).is_file():
            progress(run.lines)
        else:
            missing.append((root, state, run, plan.limits))
    run_guarded(
        judge, missing, workers=workers, limit_sec=plan.limits.max_read_sec, progress=progress
    )
    return found


def _nothing(out: Path, plan: ImportPlan) -> str:
    if not plan.files:
        return "there is no MIDI file in the folder; they are known by .mid, .midi, .kar, .rmi"
    with (out / QUARANTINE).open(encoding="utf-8") as file:
        first = json.loads(file.readline())
    return (
        f"none of {plan.files} files can be imported; {out / QUARANTINE} tells why, such as "
        f"{first['path']!r}: {first['reason']}"
    )


def _make(
    root: Path,
    out: Path,
    plan: ImportPlan,
    shards: list[Shard],
    workers: int,
    progress: Callable[[str, int], Progress],
) -> None:
    """Make the shards that are not there yet."""
    told = progress("rows", sum(shard.rows for shard in shards))
    there = known(out)
    missing = []
    for shard in shards:
        files = [there.get(_path(config, shard)) for config in CONFIGS]
        if all(file is not None and is_whole(out, file) for file in files):
            told(shard.rows)
        else:
            missing.append((_Job(root, out, plan, shard),))
    run_guarded(
        _finish, missing, workers=workers, limit_sec=plan.limits.max_read_sec, progress=told
    )


def _finish(job: _Job, lost: Lost, begin: Begin) -> None:
    """Make one shard of each config, and record it as finished."""
    state, shard = job.out / STATE, job.shard
    token_columns = tokens.token_columns(job.plan.tokenizers, exact=True)
    with ExitStack() as stack:
        files = {}
        for config in CONFIGS:
            path = stack.enter_context(atomic(job.out / _path(config, shard), state))
            schema = arrow_schema(columns(config, token_columns))
            files[config] = stack.enter_context(ShardFile(path, schema, shard.rows))
        lines = (state / rows_name(shard)).read_text("utf-8").splitlines()
        for rows, is_fit in groups(len(lines), ROWS_AT_ONCE, lost, begin):
            sources = [_source(job, lines[row]) for row in rows]
            for config, made in tables(sources, job.plan.tokenizers, is_fit=is_fit).items():
                files[config].write(made)
    record(job.out, shard, [_path(config, shard) for config in CONFIGS])


def _source(job: _Job, line: str) -> Source:
    id_, fields = json.loads(line)
    listed = Listed(**fields)
    try:
        midi = content(job.root, listed, job.plan.limits)
    except ValueError:
        midi = b""
    digest = hashlib.sha256(midi).hexdigest()
    if not digest.startswith(id_.partition("-")[0]):
        raise OSError(
            f"{listed.name} was changed while it was imported; run the command again, with "
            "--overwrite"
        )
    return Source(id_, listed.name, midi, digest)


def _path(config: str, shard: Shard) -> str:
    return f"{config}/{shard.name}.parquet"


def _conclude(
    out: Path, state: Path, plan: ImportPlan, shards: list[Shard], identity: dict[str, Any]
) -> None:
    """Write what belongs to the whole dataset."""
    for column, tokenizer in plan.tokenizers.items():
        text = tokens.to_json(tokenizer)
        write_text(out / "tokenizers" / f"{column}.json", state, text)
    there: dict[str, Written] = known(out)
    entries = [asdict(there[_path(config, shard)]) for config in CONFIGS for shard in shards]
    write_text(out / MANIFEST, state, dump(identity | {"shards": entries}))
