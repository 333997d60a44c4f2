"""A dataset folder to a report of what is wrong with it.

Three kinds of checks: of the folder (`check_files`), of rows, one row group at a time (`parts`, in
several processes), and of the whole dataset, over a few figures of each row (`row_facts`).
`check_tables` lists them all by what the dataset was made of.
"""

import pickle
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Final

import pyarrow as pa

from sousa.builders.check_files import FOLDER_CHECKS
from sousa.builders.check_tables import FIGURES, WHOLE_CHECKS, checks_of
from sousa.builders.findings import Report, Tally
from sousa.builders.folder import Folder, Split, one_line, open_folder
from sousa.builders.guarded import run_guarded
from sousa.builders.kinds import BUILT
from sousa.builders.parts import STOPS, Judge, Part, Piece, context_of, judge_piece
from sousa.builders.schema import CONFIG_RATES

SAMPLE_ROWS: Final = 2_000
"""Rows whose audio, tokens and scores are checked unless all are asked for."""

FEWEST_SHARED: Final = 400
"""Rows for which starting processes pays."""

PIECE_SEC: Final = 600.0
"""Time that a row group may take."""

Progress = Callable[[int], None]
"""Is told how many more rows are done; `num_rows` is how many there are."""


def num_rows(root: str | Path) -> int:
    """Return how many rows `validate` goes through, over all configs.

    Raises:
        NotADirectoryError: If there is no such folder.
    """
    return sum(piece.rows for piece in _pieces(open_folder(Path(root)), None))


def validate(
    root: str | Path,
    *,
    every: bool = False,
    sample: int = SAMPLE_ROWS,
    workers: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Check a dataset folder: files, rows, and every level of labels against the others.

    Damage of any kind is a finding. A row whose lists or values are wrong goes through no other
    check, and one whose strokes contradict each other through none of what is derived from them,
    so that one fault is reported once.

    Args:
        root: The folder.
        every: Check the audio, tokens and scores of every row, not of a sample.
        sample: About how many rows of each config the sample has: whole row groups, evenly
            spread. Rows are stored in mixed order, so that these are a fair sample.
        workers: Processes that judge rows; small folders need no more than this one. What is
            found does not depend on them.
        progress: Is told of rows that are done.

    Raises:
        NotADirectoryError: If there is no such folder.
        OSError: If there is no room for results.
        RuntimeError: If a process could not do its work.
    """
    folder = open_folder(Path(root))
    checks = checks_of(folder)
    tally = Tally(checks.names, checks.doubtful)
    every_row, sampled = [], []
    pieces = list(_pieces(folder, None if every else sample))
    told = progress or (lambda _: None)
    for part in _parts(folder, pieces, workers, told, lambda: _check_folder(folder, tally)):
        tally.merge(part.tally)
        every_row.append(part.every)
        sampled.append(part.sampled)
    _check_whole(folder, tally, _joined(every_row), _joined(sampled))
    return tally.report(FIGURES)


def _check_folder(folder: Folder, tally: Tally) -> None:
    """Go through the checks of the folder and of what its rows have in common."""
    files = sum(len(split.shards) for split in folder.every_split) + len(folder.damaged)
    for name, check in FOLDER_CHECKS.items():
        try:
            tally.add(name, files, check(folder))
        except STOPS as error:
            tally.add(name, 0, [(".", f"stopped at a damaged file: {one_line(error)}")])
    if "tokens" in tally.names:
        tally.add("tokens", 0, context_of(folder)[1])
    for split in folder.every_split:
        first = folder.reference.get(split.name)
        whole = first and folder.is_whole(split) and folder.is_whole(first)
        if first and whole and split.rows != first.rows:
            message = f"has {split.rows} rows, {first} has {first.rows}"
            tally.add("configs", split.rows, [(str(split), message)])


def _check_whole(folder: Folder, tally: Tally, every: pa.Table, sampled: pa.Table) -> None:
    """Go through the checks that compare rows with each other."""
    built = folder.kind == BUILT and not folder.is_foreign
    for name, check in WHOLE_CHECKS.items():
        try:
            found = check(every, sampled, built=built)
        except STOPS as error:
            tally.add(name, 0, [(".", f"cannot be judged: {one_line(error)}")])
            continue
        tally.add(name, found.examined, found.wrong)
        tally.state(name, found.figure, found.figures)


def _pieces(folder: Folder, sample: int | None) -> Iterator[Piece]:
    """Yield the row groups and what is to be done with each, in the order of the report."""
    paired = _paired(folder)
    for split in folder.every_split:
        first = folder.reference.get(split.name)
        judged = split is first
        other = paired.get(split.name, "") if judged else ""
        has_audio = any("audio" in shard.usable for shard in split.shards)
        alone = has_audio and split.config != paired.get(split.name)
        same = first and folder.is_whole(split) and folder.is_whole(first)
        compared = not judged and bool(same and first and split.rows == first.rows)
        total = sum(each.rows for each in folder.splits[split.config].values())
        for group in split.groups:
            sampled = sample is None or group.place % max(1, total // max(1, sample)) == 0
            yield Piece(
                config=split.config,
                split=split.name,
                place=group.place,
                rows=group.rows,
                judged=judged,
                heard=alone and sampled,
                sampled=sampled,
                prepared=other,
                compared=compared,
            )


def _paired(folder: Folder) -> dict[str, str]:
    """Return the splits whose audio two configs hold, with the name of the second."""
    audio, prepared = (folder.splits.get(config, {}) for config in CONFIG_RATES)
    return {
        name: prepared[name].config
        for name, split in audio.items()
        if name in prepared and _alike(folder, split, prepared[name])
    }


def _alike(folder: Folder, one: Split, other: Split) -> bool:
    return one.rows == other.rows and folder.is_whole(one) and folder.is_whole(other)


def _parts(
    folder: Folder,
    pieces: list[Piece],
    workers: int,
    progress: Progress,
    before: Callable[[], None],
) -> Iterator[Part]:
    """Judge pieces, here or in processes; in order.

    What is to be done before the first is here done meanwhile: processes take a while to start.
    """
    if workers == 1 or sum(piece.rows for piece in pieces) < FEWEST_SHARED:
        before()
        judge = Judge(folder)
        for piece in pieces:
            yield judge.part(piece)
            progress(piece.rows)
        return
    waited = _meanwhile(before)
    with tempfile.TemporaryDirectory(prefix="sousa-validate-") as state:
        jobs = [(folder.root, Path(state), number, piece) for number, piece in enumerate(pieces)]
        run_guarded(judge_piece, jobs, workers=workers, limit_sec=PIECE_SEC, progress=progress)
        waited()
        for number in range(len(pieces)):
            yield pickle.loads((Path(state) / str(number)).read_bytes())


def _meanwhile(work: Callable[[], None]) -> Callable[[], None]:
    """Start work in a thread, which ends with the program; return what waits for it."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # raised where it is waited for
            raised.append(error)

    def wait() -> None:
        thread.join()
        if raised:
            raise raised[0]

    thread = Thread(target=run, daemon=True)
    thread.start()
    return wait


def _joined(tables: list[pa.Table]) -> pa.Table:
    """Return tables of different rows as one; columns that only some have are left out."""
    filled = [table for table in tables if table.num_rows]
    if not filled:
        return pa.table({})
    names = [n for n in filled[0].column_names if all(n in t.column_names for t in filled)]
    return pa.concat_tables([table.select(names) for table in filled]).unify_dictionaries()
