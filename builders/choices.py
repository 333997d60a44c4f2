"""Values chosen among those that are allowed, and what to say of others."""

import difflib
from collections.abc import Sequence
from typing import Final

MOST_SHOWN: Final = 12
"""Allowed values that a refusal lists."""


def chosen(name: str, wanted: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    """Return what is wanted, once each, in the order of what is allowed.

    Raises:
        ValueError: If something is not allowed, or nothing is wanted (but of tokens, none may be).

    Examples:
        >>> chosen("configs", ["midi_only", "audio", "audio"], ("audio", "midi_only"))
        ('audio', 'midi_only')
    """
    unknown = [choice for choice in wanted if choice not in allowed]
    if unknown:
        raise ValueError(refusal(name, unknown[0], allowed))
    if not wanted and name != "tokens":
        raise ValueError(f"{name} must name at least one of {', '.join(allowed)}")
    return tuple(choice for choice in allowed if choice in wanted)


def refusal(name: str, got: str, allowed: Sequence[str]) -> str:
    """Return the line that refuses a value, with the nearest that is allowed.

    Examples:
        >>> refusal("kit", "stel", ("steel", "piccolo"))
        "kit must be of steel, piccolo; got 'stel', did you mean steel?"
    """
    shown = [*allowed[:MOST_SHOWN], "..."] if len(allowed) > MOST_SHOWN else allowed
    meant = difflib.get_close_matches(got, allowed, n=1)
    hint = f", did you mean {meant[0]}?" if meant else ""
    return f"{name} must be of {', '.join(shown)}; got {got!r}{hint}"
