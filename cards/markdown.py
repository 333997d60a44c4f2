"""Text to Markdown that shows it, whatever is in it."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

ESCAPED: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]|#!~@$"})
"""Marks that mean something in Markdown."""

LINK: Final = re.compile(r"(?<=\w)(?=://)|(?<=www)(?=\.)", re.IGNORECASE)
"""Where an address becomes a link by itself."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    Examples:
        >>> print(table(("kit", "rows"), [("pad", "3")]))
        | kit | rows |
        |---|---|
        | pad | 3 |
    """
    lines = [heads, *rows]
    body = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([body[0], "|" + "---|" * len(heads), *body[1:]])


def text(value: object) -> str:
    r"""Return text from data so that Markdown shows it as it is, on one line.

    Examples:
        >>> print(text("<b>a|b"))
        &lt;b&gt;a\|b
    """
    return _shown(one_line(value))


def prose(value: object) -> str:
    r"""Return the same, with what stands between backticks as code.

    Examples:
        >>> print(prose("ids of `tokens`, <all>"))
        ids of `tokens`, &lt;all&gt;
    """
    parts = one_line(value).split("`")
    if len(parts) % 2 == 0:  # one backtick has no partner
        return text(value)
    return "".join(code(part) if odd % 2 else _shown(part) for odd, part in enumerate(parts))


def _shown(line: str) -> str:
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return LINK.sub(r"\\", line.translate(ESCAPED))


def code(value: object) -> str:
    r"""Return text from data as code, on one line; nothing in it can end the code or the cell.

    Examples:
        >>> print(code("a`b|c"))
        `a'b\|c`
    """
    line = one_line(value).replace("`", "'").replace("|", "\\|")
    return f"`{line or ' '}`"


def fenced(value: str, language: str = "") -> str:
    r"""Return lines as a block of code that nothing in them can end.

    Examples:
        >>> print(fenced("a"))
        ```
        a
        ```
    """
    longest = max((len(run) for run in re.findall("`+", value)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{value}\n{fence}"


def one_line(value: object) -> str:
    """Return text on one line, without marks that are not shown."""
    whole = str(value).encode("utf-8", "replace").decode("utf-8")
    return "".join(mark for mark in " ".join(whole.split()) if mark.isprintable())
