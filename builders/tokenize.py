"""A dataset folder to the same folder with other token columns.

Shards are rewritten one by one, each in one step, row group by row group; the values of all other
columns stay as they are. Until all are done, `.sousa/` records which are.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sousa.builders import rows, tokens
from sousa.builders.claim import MANIFEST, STATE, claimed, identity_in
from sousa.builders.features import arrow_type, feature
from sousa.builders.finished import dump, is_whole
from sousa.builders.folder import DAMAGE, SHARD_NAME, one_line
from sousa.builders.guarded import Begin, Lost, groups, run_guarded
from sousa.builders.import_plan import MIDITOK
from sousa.builders.schema import Column
from sousa.builders.shards import ShardFile, Written, atomic, write_text
from sousa.builders.token_cells import token_cells
from sousa.builders.tokens import OWN_TYPES, Tokenizer

TARGET: Final = "tokenize.json"
"""In the state folder: what an unfinished command was asked for."""

RECORD: Final = ".tokens.json"
"""Ending of the records of finished shards; not that of a build, which would take them for its."""

ROWS_AT_ONCE: Final = 256
LIMIT_SEC: Final = 60.0
"""Time that so many rows may take before they are tried one by one, and that one may take."""

AUDIO: Final = "audio"
EXACT: Final = "_exact"
"""Ending of the column that says whether a row's tokens are exact."""

Progress = Callable[[int], None]


class _Job(NamedTuple):
    """One shard in all configs that hold MIDI.

    Attributes:
        out: The folder.
        name: Of the files, such as `train-00000-of-00004.parquet`.
        configs: The configs, that with the least beside MIDI first.
        rows: How many it has.
        tokenizers: Those that are added or replaced, by column.
        is_imported: Whether every token column says of each row whether it is exact.
        old: Names of the token columns that are there.
    """

    out: Path
    name: str
    configs: tuple[str, ...]
    rows: int
    tokenizers: Mapping[str, Tokenizer]
    is_imported: bool
    old: tuple[str, ...]


def tokenize(
    out: Path,
    tokenizers: Mapping[str, Tokenizer],
    *,
    workers: int = 1,
    describe: Callable[[Path], object] | None = None,
    progress: Callable[[int], Progress] = lambda _: lambda _: None,
) -> None:
    """Add token columns to a dataset that was built or imported, or replace those of their names.

    Args:
        out: The dataset's folder.
        tokenizers: By column.
        workers: Processes. Does not change what comes out.
        describe: Is called with `out` when all else is there, to write the card.
        progress: Is called with the number of rows; returns what is told of those that are done.

    Raises:
        FileNotFoundError: If there is no finished dataset.
        FileExistsError: If another command on its tokens was interrupted.
        BlockingIOError: If another process is at work there.
        OSError: If a file is damaged or cannot be written.
        ValueError: If the dataset holds no MIDI, or not what a tokenizer needs.
    """
    manifest = finished_manifest(out)
    identity = identity_in(out) or {}
    with claimed(out, identity, overwrite=False) as state:
        _claim_target(out, state, tokenizers)
        jobs = _jobs(out, manifest, tokenizers)
        told = progress(sum(job.rows for job in jobs))
        missing = []
        for job in jobs:
            if _is_done(job):
                told(job.rows)
            else:
                missing.append((job,))
        run_guarded(_rewrite, missing, workers=workers, limit_sec=LIMIT_SEC, progress=told)
        _conclude(out, state, manifest, jobs, tokenizers)
        if describe is not None:
            describe(out)
        shutil.rmtree(state)


def finished_manifest(out: Path) -> dict[str, Any]:
    """Return the manifest of a finished dataset, else raise `OSError` or `ValueError`."""
    missing = f"{out} holds no finished dataset: "
    try:
        content = json.loads((out / MANIFEST).read_bytes())
        is_sound = all(isinstance(file["rows"], int) and file["path"] for file in content["shards"])
        if isinstance(content["plan"], dict) and is_sound:
            return dict(content)
    except FileNotFoundError:
        told = f"{missing}it has no {MANIFEST}; build or import it first"
        raise FileNotFoundError(told) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ValueError(f"{missing}{MANIFEST} must hold `plan` and `shards`; build it again")


def _claim_target(out: Path, state: Path, tokenizers: Mapping[str, Tokenizer]) -> None:
    """Refuse to go on with what another command began."""
    target = {column: each.hash for column, each in tokenizers.items()}
    with suppress(FileNotFoundError, ValueError):
        begun = json.loads((state / TARGET).read_bytes())
        if begun != target:
            raise FileExistsError(
                f"{out}: an interrupted `sousa tokenize` has not finished the columns "
                f"{', '.join(begun)}; run that command again first"
            )
    write_text(state / TARGET, state, json.dumps(target))


def _jobs(out: Path, manifest: dict[str, Any], tokenizers: Mapping[str, Tokenizer]) -> list[_Job]:
    """Return the shards, in all configs that hold MIDI."""
    found: dict[str, list[tuple[int, str, int]]] = {}
    for entry in manifest["shards"]:
        config, _, name = str(entry["path"]).partition("/")
        if config in (".", "..") or not SHARD_NAME.fullmatch(name):
            raise ValueError(f"{out / MANIFEST}: {entry['path']!r} is no shard of the folder")
        names = _schema(out / config / name).names
        if "midi" in names:
            found.setdefault(name, []).append((len(names), config, int(entry["rows"])))
    if not found:
        raise ValueError(f"{out} holds no column `midi`, from which tokens are made")
    old = tuple(sorted(path.stem for path in out.glob("tokenizers/*.json")))
    is_imported = "import" in manifest["plan"]
    jobs = []
    for name, files in found.items():
        configs = tuple(config for _, config, _ in sorted(files))
        jobs.append(_Job(out, name, configs, files[0][2], tokenizers, is_imported, old))
    _check_strokes(jobs[0])
    return jobs


def _check_strokes(job: _Job) -> None:
    names = _schema(job.out / job.configs[0] / job.name).names
    for tokenizer in job.tokenizers.values():
        if tokenizer.needs_strokes and "strokes" not in names:
            raise ValueError(f"{tokenizer.type} needs the column `strokes`, which {job.out} lacks")


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except DAMAGE as error:
        raise OSError(f"{file}: {one_line(error)}; build or import it again") from error


def _record(job: _Job) -> Path:
    return job.out / STATE / f"{job.name}{RECORD}"


def _written(job: _Job) -> list[Written]:
    """Return what is recorded of a shard that was rewritten; nothing if it was not."""
    with suppress(FileNotFoundError, ValueError, TypeError):
        return [Written(**file) for file in json.loads(_record(job).read_bytes())]
    return []


def _is_done(job: _Job) -> bool:
    written = _written(job)
    return bool(written) and all(is_whole(job.out, file) for file in written)


def _rewrite(job: _Job, lost: Lost, begin: Begin) -> None:
    """Rewrite one shard, and record it as finished."""
    columns = tokens.token_columns(job.tokenizers, exact=job.is_imported)
    made = pa.concat_tables(_token_tables(job, columns, lost, begin))
    for config in job.configs:
        _rewrite_file(job, config, columns, made)
    paths = [f"{config}/{job.name}" for config in job.configs]
    entries = [asdict(Written.of(job.out, path, job.rows)) for path in paths]
    write_text(_record(job), job.out / STATE, json.dumps(entries))


def _token_tables(
    job: _Job, columns: Sequence[Column], lost: Lost, begin: Begin
) -> Iterator[pa.Table]:
    """Yield the token columns, some rows at a time."""
    wanted = ["midi"]
    if any(tokenizer.needs_strokes for tokenizer in job.tokenizers.values()):
        wanted.append("strokes")
    source = pq.read_table(job.out / job.configs[0] / job.name, columns=wanted)
    for places, is_fit in groups(source.num_rows, ROWS_AT_ONCE, lost, begin):
        part = source.slice(places.start, len(places)).to_pydict()
        cells = token_cells(part["midi"], job.tokenizers, part.get("strokes"), is_fit=is_fit)
        made = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
        yield rows.table(made, "midi_only", tuple(columns))


def _rewrite_file(job: _Job, config: str, columns: Sequence[Column], made: pa.Table) -> None:
    """Write a file anew with the same row groups, and its token columns from a table."""
    file = job.out / config / job.name
    with pq.ParquetFile(file) as old, atomic(file, job.out / STATE) as path:
        schema = _new_schema(old.schema_arrow, job, columns)
        with ShardFile(path, schema, made.num_rows) as new:
            first = 0
            for number in range(old.num_row_groups):
                group = old.read_row_group(number)
                fresh = made.slice(first, group.num_rows)
                cells = {n: (fresh if n in made.column_names else group)[n] for n in schema.names}
                table = pa.Table.from_arrays(
                    [cells[field.name].cast(field.type) for field in schema], schema=schema
                )
                new.write_group(table.combine_chunks())
                first += group.num_rows


def _new_schema(old: pa.Schema, job: _Job, columns: Sequence[Column]) -> pa.Schema:
    """Return a schema with all token columns, in their order, before the audio."""
    fields = {field.name: field.with_type(_with_items(field.type)) for field in old}
    stored = json.loads((old.metadata or {})[b"huggingface"])["info"]["features"]
    for tokenized in job.tokenizers:  # a column that was null in places may be so no more
        fields.pop(f"{tokenized}{EXACT}", None)
    fields |= {column.name: pa.field(column.name, arrow_type(column.type)) for column in columns}
    features = stored | {column.name: feature(column.type) for column in columns}
    block = [
        name
        for column in sorted({*job.old, *job.tokenizers})
        for name in (column, f"{column}{EXACT}")
        if name in fields
    ]
    others = [name for name in fields if name not in block and name != AUDIO]
    names = [*others, *block, *(name for name in [AUDIO] if name in fields)]
    told = {"info": {"features": {name: features[name] for name in names}}}
    metadata = {**(old.metadata or {}), b"huggingface": json.dumps(told).encode()}
    return pa.schema([fields[name] for name in names], metadata=metadata)


def _with_items(type_: pa.DataType) -> pa.DataType:
    """Return a type whose lists have their values under the name that Arrow gives, not Parquet."""
    if pa.types.is_list(type_):
        return pa.list_(_with_items(type_.value_type))
    if pa.types.is_struct(type_):
        return pa.struct([field.with_type(_with_items(field.type)) for field in type_])
    return type_


def _conclude(
    out: Path,
    state: Path,
    manifest: dict[str, Any],
    jobs: list[_Job],
    tokenizers: Mapping[str, Tokenizer],
) -> None:
    """Write what belongs to the whole dataset; the manifest last."""
    for column, tokenizer in tokenizers.items():
        text = tokens.to_json(tokenizer)
        write_text(out / "tokenizers" / f"{column}.json", state, text)
    fresh = {file.path: asdict(file) for job in jobs for file in _written(job)}
    shards = [fresh.get(entry["path"], entry) for entry in manifest["shards"]]
    changed = {**manifest, **_planned(out, manifest["plan"], tokenizers), "shards": shards}
    write_text(out / MANIFEST, state, dump(changed))


def _planned(
    out: Path, plan: dict[str, Any], tokenizers: Mapping[str, Tokenizer]
) -> dict[str, Any]:
    """Return what a build or an import would say of the tokens in a folder."""
    there = {path.stem: json.loads(path.read_bytes()) for path in out.glob("tokenizers/*.json")}
    found = sorted(there.items())
    hashes = {column: each["hash"] for column, each in found}
    names = [
        each["type"] if each["type"] in OWN_TYPES else f"{each['type']}:{each['hash']}"
        for _, each in found
    ]
    changed = {**plan, "tokens": hashes if "import" in plan else names}
    if any(each.lossy for each in tokenizers.values()) and isinstance(plan.get("versions"), dict):
        changed["versions"] = {**plan["versions"], MIDITOK: version(MIDITOK)}
    return {"plan": changed} if "import" in plan else {"plan": changed, "tokenizers": hashes}
