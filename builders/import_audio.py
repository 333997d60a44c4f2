"""Recordings with annotations to a dataset folder: nothing in them can end the run.

In four steps, each of which goes on where it was interrupted: recordings are listed and matched
with their annotations; each is decoded and judged, in processes that may die of it; who goes where
is decided; the rows are made, shard by shard. What is known between them lies in `.sousa/`.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from sousa.builders.annotations import Annotations, Entry
from sousa.builders.arrangement import QUARANTINE
from sousa.builders.audio_columns import Field, cells, text_of
from sousa.builders.audio_matching import Refused, matched
from sousa.builders.audio_plan import (
    AudioPlan,
    Take,
    placed,
    splits_drawn,
    splits_named,
    splits_record,
)
from sousa.builders.audio_shards import Job, file_path, finish, row_line, rows_name
from sousa.builders.audio_verdicts import Verdict, judged
from sousa.builders.claim import MANIFEST, claimed
from sousa.builders.finished import dump, is_whole, known, rows_by_split
from sousa.builders.midi_listing import Listed
from sousa.builders.recordings import recordings
from sousa.builders.schema import SAMPLE_RATE, SCHEMA_VERSION
from sousa.builders.shards import Shard, write_text
from sousa.builders.workers import ENGINES

SPLITS_FILE: Final = "splits.json"
STOP, SKIP = "stop", "skip"
ON_ERROR: Final = (STOP, SKIP)

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import.

    Attributes:
        rows: Of each split; splits that are empty are left out.
        rejected: Lines of the quarantine table.
    """

    rows: dict[str, int]
    rejected: int


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to import.

    Attributes:
        root: The folder.
        pairs: Recordings with what is said of them, in the order of their paths.
        refused: What has no counterpart, or cannot be read.
        files: Recordings in the folder.
        listing_sha256: Of their names and sizes.
    """

    root: Path
    pairs: list[tuple[Listed, Entry]]
    refused: list[Refused] = field(default_factory=list)
    files: int = 0
    listing_sha256: str = ""

    @property
    def annotations(self) -> Annotations:
        """What is said of the recordings that are there."""
        return Annotations([entry for _, entry in self.pairs])


class Arrangement(NamedTuple):
    """Who goes where.

    Attributes:
        shards: Whose rows are listed in the state folder.
        refused: What is not imported.
        splits: The content of `splits.json`.
    """

    shards: list[Shard]
    refused: list[Refused]
    splits: dict[str, Any]


def found_in(root: Path, out: Path, annotations: Annotations, *, stems: bool) -> Found:
    """List the recordings of a folder, and match them with their annotations.

    Raises:
        OSError: If `root` is no folder that can be read.
        ValueError: If no recording is annotated.
    """
    listing = list(recordings(root, out))
    digest = hashlib.sha256("".join(each.to_line() for each in listing).encode()).hexdigest()
    pairs, refused = matched(annotations, listing, stems)
    if not pairs:
        first = next(iter(refused), None)
        why = f", such as {first.path!r}: {first.reason}" if first else ": there are no recordings"
        raise ValueError(f"no recording in {root} is annotated{why}")
    return Found(root, pairs, refused, len(listing), digest)


def import_audio(  # noqa: PLR0913 - each is one option of the command
    found: Found,
    out: Path,
    plan: AudioPlan,
    fields: Sequence[Field],
    *,
    on_error: str = STOP,
    workers: int = 1,
    overwrite: bool = False,
    describe: Callable[[Path], object] | None = None,
    progress: Callable[[str, int], Progress] = lambda *_: lambda _: None,
) -> Imported:
    """Import recordings, or go on with an import that was interrupted.

    Args:
        found: The recordings.
        out: A new or empty folder, or one that holds this import, whole or begun.
        plan: What to make of them.
        fields: Where its columns come from.
        on_error: `stop` if anything cannot be imported, or `skip` it.
        workers: Processes that decode. Does not change what comes out.
        overwrite: Replace a dataset of another plan.
        describe: Is called with `out` when all else is there, to write the card.
        progress: Is called at the beginning of a step with its unit and how many there are;
            returns what is told of those that are done.

    Raises:
        FileExistsError: If `out` holds anything else.
        BlockingIOError: If another process is at work there.
        OSError: If a file cannot be read or written.
        ValueError: If something cannot be imported; the quarantine table tells what.
        RuntimeError: If a process cannot go on.
    """
    identity = {"schema_version": SCHEMA_VERSION, "plan": plan.to_json()}
    with claimed(out, identity, overwrite=overwrite) as state:
        if not _is_finished(out):
            if on_error == STOP:
                _check_all(found.refused, out, state)
            told = progress("recordings", len(found.pairs))
            verdicts = judged(
                found.root,
                state,
                (listed for listed, _ in found.pairs),
                max_sec=plan.max_sec,
                workers=workers,
                progress=told,
            )
            arranged = _arranged(found, state, plan, fields, verdicts)
            if on_error == STOP or not arranged.shards:
                _check_all(arranged.refused, out, state)
            _write_quarantine(arranged.refused, out, state)
            _make(found.root, out, plan, arranged.shards, workers, progress)
            _conclude(out, state, plan, arranged, identity)
        imported = _imported(out)
        if describe is not None:
            describe(out)
        shutil.rmtree(state)
    return imported


def _is_finished(out: Path) -> bool:
    """Return whether an import is finished and whole."""
    if not all((out / name).is_file() for name in (MANIFEST, QUARANTINE, SPLITS_FILE)):
        return False
    there = known(out).values()
    return bool(there) and all(is_whole(out, file) for file in there)


def _imported(out: Path) -> Imported:
    with (out / QUARANTINE).open("rb") as refused:
        return Imported(rows_by_split(known(out)), sum(1 for _ in refused))


def _check_all(refused: Sequence[Refused], out: Path, state: Path) -> None:
    """Refuse to go on where something cannot be imported, and leave a list of it.

    Raises:
        ValueError: If there is anything.
    """
    if not refused:
        return
    _write_quarantine(refused, out, state)
    first = min(refused)
    said = f"{first.path!r} cannot be imported: {first.reason}"
    if len(refused) > 1:
        said = (
            f"{len(refused)} recordings or annotations cannot be imported, such as "
            f"{first.path!r}: {first.reason}"
        )
    raise ValueError(
        f"{said}; {out / QUARANTINE} lists them; leave them out with --on-error skip, or "
        "mend them and run again with --overwrite"
    )


def _write_quarantine(refused: Sequence[Refused], out: Path, state: Path) -> None:
    lines = [json.dumps(each.to_json(), ensure_ascii=False) + "\n" for each in sorted(refused)]
    write_text(out / QUARANTINE, state, "".join(lines))


def _conclude(
    out: Path, state: Path, plan: AudioPlan, arranged: Arrangement, identity: dict[str, Any]
) -> None:
    """Write what belongs to the whole dataset."""
    write_text(out / SPLITS_FILE, state, dump(arranged.splits))
    there = known(out)
    paths = [file_path(config, shard) for config in plan.configs for shard in arranged.shards]
    entries = [asdict(there[path]) for path in paths]
    write_text(out / MANIFEST, state, dump(identity | {"shards": entries}))


def _arranged(
    found: Found,
    state: Path,
    plan: AudioPlan,
    fields: Sequence[Field],
    verdicts: Sequence[Verdict],
) -> Arrangement:
    """Decide who goes where, and write the rows of each shard."""
    refused = list(found.refused)
    deciding = plan.split_field or plan.group
    source = next((each.source for each in fields if each.column.name == deciding), None)
    takes: list[Take] = []
    places: list[int] = []
    for at, ((listed, entry), verdict) in enumerate(zip(found.pairs, verdicts, strict=True)):
        reason = verdict.reason or entry.refusal(verdict.samples / SAMPLE_RATE)
        if reason:
            refused.append(Refused(listed.name, reason, entry.where))
            continue
        values = () if source is None else entry.labels.get(source, ())
        groups = tuple(sorted({*map(text_of, values)}))
        takes.append(Take(listed.name, verdict.audio_sha256, verdict.samples, groups))
        places.append(at)
    if plan.split_field:
        split_of, left_out = splits_named(takes, plan.split_field)
    else:
        split_of, left_out = splits_drawn(takes, plan.shares, plan.seed)
    for at, reason in left_out.items():
        refused.append(Refused(takes[at].path, reason, found.pairs[places[at]][1].where))
    shards = []
    for shard, rows in placed(takes, split_of, plan.seed):
        pairs = [(takes[at], *found.pairs[places[at]]) for at in rows]
        lines = [row_line(take, each.path, cells(entry, fields)) for take, each, entry in pairs]
        write_text(state / rows_name(shard), state, "".join(lines))
        shards.append(shard)
    return Arrangement(shards, refused, splits_record(takes, split_of, plan))


def _make(
    root: Path,
    out: Path,
    plan: AudioPlan,
    shards: Sequence[Shard],
    workers: int,
    progress: Callable[[str, int], Progress],
) -> None:
    """Make the shards that are not there yet."""
    told = progress("rows", sum(shard.rows for shard in shards))
    there: Mapping[str, Any] = known(out)
    missing = []
    for shard in shards:
        files = [there.get(file_path(config, shard)) for config in plan.configs]
        if all(file is not None and is_whole(out, file) for file in files):
            told(shard.rows)
        else:
            missing.append((Job(root, out, plan, shard),))
    ENGINES["processes"](finish, missing, workers, told)
