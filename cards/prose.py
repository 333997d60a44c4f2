"""Prose that people wrote into marked places of a card, found and put back.

A marked place is

    <!-- prose:begin NAME -->
    anything
    <!-- prose:end NAME -->

each mark on a line of its own. Text from data never stands at the beginning of a line, so that it
cannot make a mark.
"""

import re
from collections.abc import Mapping
from typing import Final

MARK: Final = re.compile(r"<!-- prose:(?P<side>begin|end) (?P<name>[a-z0-9_-]+) -->")
"""A line that begins or ends a marked place."""


def prose(page: str) -> dict[str, str]:
    r"""Return what stands in each marked place of a page, by name, in order.

    Raises:
        ValueError: If the marks do not pair up.

    Examples:
        >>> prose("<!-- prose:begin uses -->\nTo swing.\n<!-- prose:end uses -->\n")
        {'uses': 'To swing.\n'}
    """
    found: dict[str, str] = {}
    name, lines = "", []
    for number, line in enumerate(page.split("\n"), start=1):
        mark = MARK.fullmatch(line.strip())
        if mark is None:
            lines.append(f"{line}\n")
        elif mark["side"] == "begin" and not name and mark["name"] not in found:
            name, lines = mark["name"], []
        elif mark["side"] == "end" and mark["name"] == name:
            found[name], name = "".join(lines), ""
        else:
            raise ValueError(
                f"line {number}: {line.strip()!r} does not pair up with another mark; each place "
                "begins and ends once, and none lies in another"
            )
    if name:
        raise ValueError(f"the place {name!r} is not ended: `<!-- prose:end {name} -->` is missing")
    return found


def with_prose(page: str, kept: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return a page with prose in its marked places, and the names that it has no place for.

    What has no place is put at the end, in its marks, so that nothing that was written is lost.

    Args:
        page: With marks that pair up.
        kept: Prose by name, as `prose` returns it.
    """
    lines: list[str] = []
    name = ""
    places = prose(page)
    for line in page.splitlines(keepends=True):
        mark = MARK.fullmatch(line.strip())
        if mark and mark["side"] == "begin":
            name = mark["name"]
            lines += [line, kept.get(name, places[name])]
        elif mark:
            name = ""
            lines.append(line)
        elif not name:
            lines.append(line)
    homeless = tuple(name for name in kept if name not in places and kept[name].strip())
    lines += [f"\n{place(name, kept[name])}" for name in homeless]
    return "".join(lines), homeless


def place(name: str, text: str = "") -> str:
    """Return a marked place with its text."""
    return f"<!-- prose:begin {name} -->\n{text}<!-- prose:end {name} -->\n"
