"""What the checks of a dataset found."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sousa.builders.view import Place, Places, Rows

MOST_KEPT: Final = 1_000
"""Findings of one check that are kept; the others are only counted."""

LONGEST_LINE: Final = 240
"""Characters of a finding that are shown, and of a message that is kept."""

SCREEN_LINES: Final = 50
"""Lines of a report."""

ERROR, WARNING = "error", "warning"


class Doubt(str):
    """A message about something that need not be wrong, but that a person should look at."""

    __slots__ = ()


class Finding(NamedTuple):
    """One thing that is wrong, or doubtful.

    Attributes:
        check: Name of the check that found it.
        where: File, and row and sample where there is one.
        message: What is wrong, in one line.
        severity: `ERROR` or `WARNING`.
        rows: The rows it is about; none where it is about a file or a dataset.
    """

    check: str
    where: str
    message: str
    severity: str = ERROR
    rows: tuple[Place, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as `sousa validate --json` prints it."""
        rows = [place._asdict() for place in self.rows]
        return self._asdict() | {"rows": rows}


@dataclass(frozen=True, slots=True)
class Figure:
    """What a check measured, over all rows that it looked at.

    Attributes:
        what: What was measured, with its unit.
        worst: Which of the values is: the `max`, the `min`, or that with the largest size, `far`.
    """

    what: str
    worst: str = "max"

    def of(self, values: NDArray[np.float64]) -> tuple[str, dict[str, float]]:
        """Return median and worst value, in words and by name; empty without values."""
        values = values[np.isfinite(values)]
        if not len(values):
            return "", {}
        rank = {"max": values, "min": -values, "far": np.abs(values)}[self.worst]
        worst = float(values[np.argmax(rank)])
        middle = float(np.median(values))
        named = {"median": middle, "worst": worst}
        return f"{self.what}: median {middle:.3g}, worst {worst:.3g}", named


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check found.

    Attributes:
        check: Its name.
        examined: Rows it looked at, for a check of the folder files; 0 if there is nothing for it.
        findings: What is wrong or doubtful, the first `MOST_KEPT` of it.
        errors: How many of all findings are errors.
        warnings: How many are warnings.
        figure: What it measured, in words.
        figures: The same by name.
    """

    check: str
    examined: int
    findings: tuple[Finding, ...]
    errors: int
    warnings: int
    figure: str
    figures: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """How many errors and warnings there are, `ok`, or `-` if there is nothing to look at."""
        counts = {ERROR: self.errors, WARNING: self.warnings}
        found = [f"{n:,} {what}{'s' * (n > 1)}" for what, n in counts.items() if n]
        return ", ".join(found) or ("ok" if self.examined else "-")

    def __str__(self) -> str:
        """Return one line: the check, what it looked at, the result, and what it measured."""
        return f"{self.check:<12}{self.examined:>10,}  {self.verdict:<24}{self.figure}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """Return it as `sousa validate --json` prints it."""
        return {
            "check": self.check,
            "examined": self.examined,
            "verdict": "error" if self.errors else "warning" if self.warnings else self.verdict,
            "errors": self.errors,
            "warnings": self.warnings,
            "figure": self.figure,
            "figures": dict(self.figures),
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What all checks found, in the order of the checks."""

    outcomes: tuple[Outcome, ...]

    @property
    def findings(self) -> list[Finding]:
        """Everything that is wrong or doubtful; empty for a good dataset."""
        return [finding for outcome in self.outcomes for finding in outcome.findings]

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong; something may be doubtful."""
        return not any(outcome.errors for outcome in self.outcomes)

    def lines(self, most: int = SCREEN_LINES) -> Iterator[str]:
        """Yield one line for each check, below it its first findings, and the sum.

        Args:
            most: Lines in all; every check has one, whatever this says.
        """
        failed = [len(outcome.findings) for outcome in self.outcomes if outcome.findings]
        spare = most - len(self.outcomes) - 2
        yield f"{'check':<12}{'looked at':>10}  {'found':<24}figures"
        for outcome in self.outcomes:
            yield _short(str(outcome))
            shown = min(len(outcome.findings), max(spare, 0) // max(len(failed), 1))
            for finding in outcome.findings[:shown]:
                mark = "warning: " if finding.severity == WARNING else ""
                yield _short(f"    {mark}{finding.where}: {finding.message}")
            if outcome.findings:
                failed.pop()
                spare -= shown
        yield self._sum()

    def _sum(self) -> str:
        errors = sum(outcome.errors for outcome in self.outcomes)
        warnings = sum(outcome.warnings for outcome in self.outcomes)
        verdict = "wrong" if errors else "good"
        also = "; warnings are for a person to look at and leave the exit code alone"
        said = f"{verdict}: {errors:,} error{'s' * (errors != 1)}, "
        return f"{said}{warnings:,} warning{'s' * (warnings != 1)}{also * bool(warnings)}"

    def to_json(self) -> dict[str, Any]:
        """Return what `sousa validate --json` prints; its shape stays.

        `format` counts up when a key changes its meaning. `checks` has one object for each check,
        in the order of the report: `check`, `examined`, `verdict` (`ok`, `warning`, `error`, or
        `-` for nothing to look at), `errors`, `warnings`, `figure` (in words), `figures` (by name)
        and `findings`: the first 1,000, each with `check`, `where`, `message`, `severity` and
        `rows`, a list of `file`, `row` and `sample_id`.
        """
        return {
            "format": 1,
            "verdict": "error" if any(outcome.errors for outcome in self.outcomes) else "ok",
            "errors": sum(outcome.errors for outcome in self.outcomes),
            "warnings": sum(outcome.warnings for outcome in self.outcomes),
            "checks": [outcome.to_json() for outcome in self.outcomes],
        }


Where = str | Place | Places
Wrong = Iterable[tuple[Where, str]]
"""Where something is wrong, and what."""


@dataclass(frozen=True, slots=True)
class Whole:
    """What a check of the whole dataset found.

    Attributes:
        examined: Rows it looked at.
        wrong: Where something is wrong, and what.
        figure: What it measured, in words.
        figures: The same by name.
    """

    examined: int
    wrong: tuple[tuple[Where, str], ...] = ()
    figure: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """Counts, findings and measurements while checks run; those of parts can be added up.

    Attributes:
        names: Those of all checks, in the report's order.
        doubtful: Checks of which every finding is a warning.
    """

    names: Sequence[str]
    doubtful: frozenset[str] = frozenset()
    _examined: dict[str, int] = field(default_factory=dict)
    _found: dict[str, dict[Finding, None]] = field(default_factory=dict)
    _unkept: dict[tuple[str, str], int] = field(default_factory=dict)
    _measured: "dict[str, array[float]]" = field(default_factory=dict)
    _stated: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)

    def add(self, check: str, examined: int, wrong: Wrong) -> Self:
        """Note that a check looked at some things, and where it found what."""
        self._examined[check] = self._examined.get(check, 0) + examined
        for where, message in wrong:
            doubtful = isinstance(message, Doubt) or check in self.doubtful
            rows = where.rows if isinstance(where, Places) else ()
            rows = (where,) if isinstance(where, Place) else rows
            said = _short(message)
            severity = WARNING if doubtful else ERROR
            self._keep(Finding(check, _short(str(where)), said, severity, rows))
        return self

    def add_rows(self, check: str, rows: Rows, wrong: Iterable[tuple[int, str]]) -> set[int]:
        """Note that a check looked at rows, and what it found; return the rows that are wrong."""
        found = list(wrong)
        self.add(check, len(rows), ((rows.where(row), message) for row, message in found))
        return {row for row, _ in found}

    def measure(self, check: str, values: Iterable[float]) -> None:
        """Note what a check measured, one value for each row."""
        self._measured.setdefault(check, array("d")).extend(values)

    def state(self, check: str, figure: str, figures: Mapping[str, Any]) -> None:
        """Note what a check of the whole dataset measured."""
        self._stated[check] = (figure, figures)

    def merge(self, other: "Tally") -> None:
        """Add what another tally noted."""
        for check, examined in other._examined.items():
            self._examined[check] = self._examined.get(check, 0) + examined
        for found in other._found.values():
            for finding in found:
                self._keep(finding)
        for key, count in other._unkept.items():
            self._unkept[key] = self._unkept.get(key, 0) + count
        for check, values in other._measured.items():
            self.measure(check, values)

    def report(self, figures: Mapping[str, Figure]) -> Report:
        """Return what was found so far; `figures` says what was measured."""
        return Report(tuple(self._outcome(check, figures) for check in self.names))

    def _outcome(self, check: str, figures: Mapping[str, Figure]) -> Outcome:
        found = tuple(self._found.get(check, ()))
        counts = {
            severity: self._unkept.get((check, severity), 0)
            + sum(finding.severity == severity for finding in found)
            for severity in (ERROR, WARNING)
        }
        said, named = self._stated.get(check, ("", {}))
        if check in figures and check in self._measured:
            said, named = figures[check].of(np.asarray(self._measured[check]))
        examined = self._examined.get(check, 0)
        return Outcome(check, examined, found, counts[ERROR], counts[WARNING], said, named)

    def _keep(self, finding: Finding) -> None:
        found = self._found.setdefault(finding.check, {})
        if len(found) < MOST_KEPT:
            found[finding] = None
        elif finding not in found:
            key = (finding.check, finding.severity)
            self._unkept[key] = self._unkept.get(key, 0) + 1


def _short(text: str) -> str:
    """Return a text as one printable line, not too long: data may hold anything."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:4000])
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}..."
