"""Which checks a dataset goes through, by what it was made of, and which of them only warn.

An error is what contradicts itself: files, rows, splits. What checks of the whole dataset find in
data that was imported are warnings: the source is as it is, and a person should know. In data that
we built they are errors. How loud recordings are, nobody but their makers decides: many are full of
samples at full scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sousa.builders import (
    audio_schema,
    check_audio,
    check_duplicates,
    check_leaks,
    check_midi,
    check_players,
    check_ranges,
    check_sound_labels,
    midi_schema,
    sousa_schema,
)
from sousa.builders.check_files import FOLDER_CHECKS
from sousa.builders.check_import import NEEDED, check_import
from sousa.builders.check_measures import check_figures
from sousa.builders.check_midi import DERIVED_CHECKS
from sousa.builders.check_rows import ROW_CHECKS
from sousa.builders.check_sousa import SOUSA_CHECKS, SOUSA_DERIVED
from sousa.builders.findings import Figure
from sousa.builders.folder import Folder
from sousa.builders.kinds import BUILT

GATES: Final = ("lists", "values")
"""Checks whose findings make a row unfit for the others."""

DEAR: Final = ("tokens", "scores", "import")
"""Checks of labels that only a sample goes through, as those of audio."""

WHOLE_CHECKS: Final = {
    "players": check_players.check,
    "duplicates": check_duplicates.check,
    "ranges": check_ranges.check,
    "leaks": check_leaks.check,
    "sound_labels": check_sound_labels.check,
}
"""Checks that compare rows with each other."""

FIGURES: Final[Mapping[str, Figure]] = {**check_midi.FIGURES, **check_audio.FIGURES}
"""What checks of single rows measure."""


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of rows, as tables from name to needed columns and function.

    Attributes:
        rows: Of rows within themselves.
        derived: Of what is derived from sound rows.
        names: Names of all checks, in the order of the report.
        doubtful: Those that only warn.
    """

    rows: Mapping[str, Any]
    derived: Mapping[str, Any]
    names: tuple[str, ...]
    doubtful: frozenset[str]


def _checks(
    rows: Mapping[str, Any], derived: Mapping[str, Any], doubtful: tuple[str, ...]
) -> Checks:
    names = (*FOLDER_CHECKS, "configs", *GATES, *rows, *derived)
    names += (*check_audio.AUDIO_CHECKS, *WHOLE_CHECKS)
    return Checks(rows, derived, names, frozenset(doubtful))


_OF_SOURCE: Final = ("ranges", "leaks", "sound_labels")
_ROWS: Final = {**ROW_CHECKS, "measured": (("strokes", "measures"), check_figures)}
_IMPORTED: Final = {"import": (NEEDED, check_import), "tokens": DERIVED_CHECKS["tokens"]}

CHECKS_OF: Final[Mapping[str, Checks]] = {
    BUILT: _checks(_ROWS, DERIVED_CHECKS, ()),
    midi_schema.KIND: _checks({}, _IMPORTED, _OF_SOURCE),
    sousa_schema.KIND: _checks(SOUSA_CHECKS, SOUSA_DERIVED, _OF_SOURCE),
    audio_schema.KIND: _checks({}, {}, (*_OF_SOURCE, "level", "loudness")),
}
"""The checks by what a dataset was made of."""

UNKNOWN: Final = _checks(_ROWS, DERIVED_CHECKS, _OF_SOURCE)
"""Those of a folder that does not say what it was made of."""


def checks_of(folder: Folder) -> Checks:
    """Return the checks that a folder goes through."""
    return UNKNOWN if folder.is_foreign else CHECKS_OF[folder.kind]
