"""Arguments that users pass, refused where they are not what they must be."""

import math
from typing import Any, SupportsFloat, SupportsIndex


def check_positive(value: Any, name: str) -> None:
    """Refuse what is neither None nor a number above 0.

    Raises:
        ValueError: If it is not.
    """
    if value is None:
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, SupportsFloat)
        or not 0 < float(value) < math.inf
    ):
        raise ValueError(f"{name} must be a number above 0 or None, got {value!r}")


def check_rate(value: Any, name: str) -> None:
    """Refuse what is neither None nor a whole number of Hz above 0.

    Raises:
        ValueError: If it is not.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, SupportsIndex) or value.__index__() < 1:
        raise ValueError(f"{name} must be a whole number of Hz above 0 or None, got {value!r}")


def check_flag(value: Any, name: str) -> None:
    """Refuse what is neither True nor False.

    Raises:
        TypeError: If it is not.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def check_function(value: Any, name: str) -> None:
    """Refuse what is neither a function nor None.

    Raises:
        TypeError: If it is not.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a function or None, got {value!r}")


def check_choice(value: str, name: str, allowed: tuple[str, ...]) -> None:
    """Refuse what is not among a few.

    Raises:
        ValueError: If it is not.
    """
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
