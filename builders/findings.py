"""What the checks of a dataset found."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from sousa.builders.view import Rows


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        check: Name of the check that found it.
        where: File, and row and sample where there is one.
        message: What is wrong, in one line.
    """

    check: str
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check found.

    Attributes:
        check: Its name.
        examined: Rows it looked at, for a check of the folder files; 0 if there is nothing for it.
        findings: What is wrong.
    """

    check: str
    examined: int
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        """Return one line: the check, what it looked at, the result."""
        count = len(self.findings)
        result = f"{count} finding{'s' * (count > 1)}" if count else "ok" if self.examined else "-"
        return f"{self.check:<12}{self.examined:>10,}  {result}"


@dataclass(frozen=True, slots=True)
class Report:
    """What all checks found, in the order of the checks."""

    outcomes: tuple[Outcome, ...]

    @property
    def findings(self) -> list[Finding]:
        """Everything that is wrong; empty for a good dataset."""
        return [finding for outcome in self.outcomes for finding in outcome.findings]

    def lines(self, most: int = 5) -> Iterator[str]:
        """Yield one line for each check, and below it its first findings.

        Args:
            most: Findings of each check that are shown.
        """
        for outcome in self.outcomes:
            yield str(outcome)
            for finding in outcome.findings[:most]:
                yield f"    {finding.where}: {finding.message}"
            if len(outcome.findings) > most:
                yield f"    ... and {len(outcome.findings) - most} more"


class Tally:
    """Counts and findings while checks run."""

    def __init__(self, names: Sequence[str]) -> None:
        """Start with nothing found; `names` are those of all checks, in the report's order."""
        self._examined = dict.fromkeys(names, 0)
        self._found: dict[str, dict[Finding, None]] = {name: {} for name in names}

    def add(self, check: str, examined: int, wrong: Iterable[tuple[str, str]]) -> Self:
        """Note that a check looked at some things, and where it found what."""
        self._examined[check] += examined
        self._found[check].update({Finding(check, *where): None for where in wrong})
        return self

    def add_rows(self, check: str, rows: Rows, wrong: Iterable[tuple[int, str]]) -> set[int]:
        """Note that a check looked at rows, and what it found; return the rows that are wrong."""
        found = list(wrong)
        self.add(check, len(rows), ((rows.where(row), message) for row, message in found))
        return {row for row, _ in found}

    def report(self) -> Report:
        """Return what was found so far."""
        found = self._found.items()
        return Report(tuple(Outcome(n, self._examined[n], tuple(fs)) for n, fs in found))
