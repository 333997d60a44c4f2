"""A dataset folder to a report of what is wrong with it.

Three kinds of checks, each a table from name to function: of the folder (`check_files`), of rows
(`check_rows` within the labels, `check_midi` for what is derived from them) and of audio
(`check_audio`). Here they are handed what they look at, one row group at a time.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from sousa.builders import midi_schema
from sousa.builders.check_audio import AUDIO_CHECKS, Verdict, clip_of, judge_pair
from sousa.builders.check_files import FOLDER_CHECKS, read_manifest
from sousa.builders.check_import import NEEDED, check_import
from sousa.builders.check_midi import DERIVED_CHECKS, Context
from sousa.builders.check_rows import ROW_CHECKS, check_lists, check_values
from sousa.builders.findings import Report, Tally
from sousa.builders.folder import DAMAGE, Folder, Group, Split, one_line, open_folder
from sousa.builders.kinds import BUILT
from sousa.builders.labels import SCORE_SETS
from sousa.builders.schema import CONFIG_RATES, SPLITS
from sousa.builders.tokens import Tokenizer, load_tokenizer
from sousa.builders.view import Rows

SAMPLE_ROWS: Final = 2_000
"""Rows whose audio, tokens and scores are checked unless all are asked for."""

GATES: Final = {"lists": check_lists, "values": check_values}
"""Checks whose findings make a row unfit for the others."""

THREADS: Final = 4
"""Threads that decode and judge audio; libsndfile, soxr and NumPy run beside each other."""

HEARD: Final = ("sample_id", "duration_sec", "strokes", "audio")
"""Columns that the checks of audio need."""

IMPORT_CHECKS: Final = {"import": (NEEDED, check_import), "tokens": DERIVED_CHECKS["tokens"]}
"""Checks of rows that were imported."""

DEAR: Final = ("tokens", "scores", "import")
"""Checks of labels that only a sample goes through, as those of audio."""

CHECKS: Final = (
    *FOLDER_CHECKS,
    "configs",
    *GATES,
    *ROW_CHECKS,
    *DERIVED_CHECKS,
    *AUDIO_CHECKS,
)
"""Names of all checks of a built dataset, in the order of the report."""

CHECKS_OF_MIDI: Final = (*FOLDER_CHECKS, "configs", *GATES, *IMPORT_CHECKS)
"""Those of one that was imported from MIDI files."""

NAMES_OF: Final = {BUILT: CHECKS, midi_schema.KIND: CHECKS_OF_MIDI}
"""Names of the checks by what a dataset was made of."""

_CHECKS_OF: Final[dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = {
    BUILT: (ROW_CHECKS, DERIVED_CHECKS),
    midi_schema.KIND: ({}, IMPORT_CHECKS),
}
"""Checks of rows, and of what is derived from sound ones."""

Progress = Callable[[int], None]
"""Is told how many more rows are done; `num_rows` is how many there are."""


def num_rows(root: str | Path) -> int:
    """Return how many rows `validate` goes through; where there is audio, twice.

    Raises:
        NotADirectoryError: If there is no such folder.
    """
    folder = open_folder(Path(root))
    heard = [split for split, _ in _with_audio(folder)]
    return sum(split.rows for split in (*folder.every_split, *heard))


def validate(
    root: str | Path,
    *,
    every: bool = False,
    sample: int = SAMPLE_ROWS,
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
        progress: Is told of rows that are done.

    Raises:
        NotADirectoryError: If there is no such folder.
    """
    folder = open_folder(Path(root))
    with ThreadPoolExecutor(THREADS) as pool:
        run = _Run(folder, None if every else sample, progress or (lambda _: None), pool)
        run.check_folder()
        for split in folder.every_split:
            if split is folder.reference.get(split.name):
                run.check_labels(split)
            elif split.name in folder.reference:
                run.check_agreement(split)
        for split, prepared in _with_audio(folder):
            run.check_audio(split, prepared)
    return run.tally.report()


class _Run:
    """The state of one run: what was found, which rows are unfit, how far it is."""

    def __init__(
        self, folder: Folder, sample: int | None, progress: Progress, pool: Executor
    ) -> None:
        self.folder = folder
        self._pool = pool
        self.tally = Tally(NAMES_OF[folder.kind])
        self._sample = sample
        self._progress = progress
        self._unfit: dict[str, set[int]] = {name: set() for name in folder.reference}

    def check_folder(self) -> None:
        """Go through the checks of the folder, and load what the checks of rows need."""
        files = sum(len(split.shards) for split in self.folder.every_split)
        for name, check in FOLDER_CHECKS.items():
            try:
                self.tally.add(name, files + len(self.folder.damaged), check(self.folder))
            except DAMAGE as error:
                self.tally.add(name, 0, [(".", f"stopped at a damaged file: {one_line(error)}")])
        self._context = Context(self._tokenizers(), self._score_set())

    def check_labels(self, split: Split) -> None:
        """Go through the checks of rows without their audio."""
        for group, rows in self._groups(split, _labels(split), every=True):
            fit = self._fit(group, rows, split)
            bad: set[int] = set()
            checks, derived_checks = _CHECKS_OF[self.folder.kind]
            for name, (needed, check) in checks.items():
                if all(column in rows for column in needed):
                    bad |= self.tally.add_rows(name, fit, check(fit))
            sound = fit.without(bad)
            for name, (needed, derived) in derived_checks.items():
                sampled = name not in DEAR or self._in_sample(split, group)
                if sampled and all(column in rows for column in needed):
                    self.tally.add_rows(name, sound, derived(sound, self._context))

    def check_agreement(self, split: Split) -> None:
        """Compare the rows of a config with those of the first one."""
        first = self.folder.reference[split.name]
        if not (self.folder.is_whole(split) and self.folder.is_whole(first)):
            return
        if split.rows != first.rows:
            message = f"has {split.rows} rows, {first} has {first.rows}"
            self.tally.add("configs", split.rows, [(str(split), message)])
            return
        for group, rows in self._groups(split, _labels(split), every=True):
            expected = self._read(first, group, rows.table.column_names)
            if expected is not None:
                self.tally.add_rows("configs", rows, _disagreements(rows, expected))

    def check_audio(self, split: Split, prepared: Split | None) -> None:
        """Go through the checks of audio, for the rows that are fit for them.

        Args:
            split: One with audio.
            prepared: The same rows, whose audio is to be that of `split` at another rate.
        """
        unfit = self._unfit.get(split.name, set())
        for group, rows in self._groups(split, HEARD, every=False):
            other = self._read(prepared, group, HEARD) if prepared else None
            if "audio" not in rows or "duration_sec" not in rows:
                continue
            chosen = [row for row in range(len(rows)) if group.start + row not in unfit]
            clips = [clip_of(rows, row) for row in chosen]
            others = [clip_of(other, row) if other else None for row in chosen]
            verdicts_of = self._pool.map(judge_pair, clips, others)
            for row, verdicts in zip(chosen, verdicts_of, strict=True):
                self._note(rows.where(row), verdicts[0])
                if other:
                    self._note(other.where(row), verdicts[1])

    def _note(self, where: str, verdict: Verdict) -> None:
        for name, messages in verdict:
            self.tally.add(name, 1, ((where, message) for message in messages))

    def _fit(self, group: Group, rows: Rows, split: Split) -> Rows:
        """Return the rows that pass the gates; the others are noted."""
        numbers = list(range(group.start, group.start + len(rows)))
        for name, check in GATES.items():
            bad = self.tally.add_rows(name, rows, check(rows))
            self._unfit[split.name] |= {numbers[row] for row in bad}
            rows = rows.without(bad)
            numbers = [number for row, number in enumerate(numbers) if row not in bad]
        return rows

    def _groups(
        self, split: Split, columns: Container[str], *, every: bool
    ) -> Iterator[tuple[Group, Rows]]:
        """Yield the row groups, or those of the sample; damaged ones are findings."""
        for group in split.groups:
            if every or self._in_sample(split, group):
                rows = self._read(split, group, columns)
                if rows is not None:
                    yield group, rows
            self._progress(group.rows)

    def _read(self, split: Split, group: Group, columns: Container[str]) -> Rows | None:
        """Read the rows of a group, from its own split or from another config's."""
        try:
            return split.read(group.start, group.start + group.rows, columns)
        except DAMAGE as error:
            if group.shard in split.shards:  # else it is reported when its own config is read
                where = f"{group.shard.path} row group {group.number}"
                self.tally.add("files", 0, [(where, f"cannot be read: {one_line(error)}")])
            return None

    def _in_sample(self, split: Split, group: Group) -> bool:
        if self._sample is None:
            return True
        total = sum(each.rows for each in self.folder.splits[split.config].values())
        return group.place % max(1, total // max(1, self._sample)) == 0

    def _tokenizers(self) -> dict[str, Tokenizer]:
        found = {}
        for column in self.folder.token_columns:
            path = f"tokenizers/{column}.json"
            try:
                found[column] = load_tokenizer(self.folder.root / path)
            except (OSError, ValueError, KeyError) as error:
                self.tally.add("tokens", 0, [(path, one_line(error))])
        return found

    def _score_set(self) -> str:
        plan = read_manifest(self.folder).get("plan")
        stated: Any = plan.get("score_set") if isinstance(plan, dict) else None
        return stated if stated in SCORE_SETS else SCORE_SETS[0]


def _labels(split: Split) -> set[str]:
    """Return the columns of a split but its audio."""
    return {name for shard in split.shards for name in shard.usable} - {"audio"}


def _with_audio(folder: Folder) -> Iterator[tuple[Split, Split | None]]:
    """Yield the splits with audio; where two configs hold the same rows, as a pair."""
    audio, prepared = (folder.splits.get(config, {}) for config in CONFIG_RATES)
    for name in SPLITS:
        found = [splits[name] for splits in (audio, prepared) if name in splits]
        paired = len(found) == 2 and found[0].rows == found[1].rows
        if paired and all(folder.is_whole(split) for split in found):
            yield found[0], found[1]
        else:
            yield from ((split, None) for split in found)


def _disagreements(rows: Rows, first: Rows) -> Iterator[tuple[int, str]]:
    """Yield the rows of a config that differ from the same rows of the first one."""
    for name in first.table.column_names:
        found, wanted = rows.table[name].combine_chunks(), first.table[name].combine_chunks()
        if found.equals(wanted):
            continue
        for row in range(len(rows)):
            if not found[row].equals(wanted[row]):
                yield row, f"{name} is not what config {first.config} has"
