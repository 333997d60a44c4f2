"""What a model learns: one column, or several scores or numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from sousa.builders.schema import SCORE_BEST
from sousa.loaders.labels import CLASSES
from sousa.loaders.rows import Declared, Maybe

CLASS_TARGETS: Final = ("skill_tier", "skill_tier_binary", "rudiment_slug")
"""Columns of the schema that are learnt as classes."""

MISSING: Final = -100
"""Class of a row that has none, where that is allowed; PyTorch's losses pass over it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A choice of columns to learn.

    Attributes:
        columns: One column of classes, or one or more of numbers.
        shape: Shape of a label: `()` for one column, `(k,)` for a list of k scores, or for a column
            of which a row has any of k classes.
        classes: Names of the classes that the data declares; none for what the schema knows, and
            for numbers.

    Raises:
        ValueError: If a column is not a target, or a class is mixed with others.
    """

    columns: tuple[str, ...]
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, target: str | Sequence[str]) -> "Target":
        """Return the target that a user named: one column of the schema, or a list of scores.

        Raises:
            ValueError: If it is none.
        """
        names, is_list = named(target)
        allowed = tuple(SCORE_BEST) if is_list else (*CLASS_TARGETS, *SCORE_BEST)
        _check(names, allowed, is_list=is_list)
        return cls(names, (len(names),) if is_list else ())

    @classmethod
    def by(cls, target: str | Sequence[str], declared: Declared) -> "Target":
        """Return the target that a user named, also of columns that just this data has.

        Raises:
            ValueError: If it is none.
        """
        names, is_list = named(target)
        known = SCORE_BEST if is_list else (*CLASS_TARGETS, *SCORE_BEST)
        numbers = [name for name in declared.numbers if name not in SCORE_BEST]
        if names and all(name in known for name in names):
            return cls.of(target)
        there = [name for name in known if name in declared.columns or not declared.columns]
        further = numbers if is_list else [*declared.names, *declared.lists, *numbers]
        _check(names, tuple(dict.fromkeys((*there, *further))), is_list=is_list)
        if is_list or names[0] in numbers:
            return cls(names, (len(names),) if is_list else ())
        if names[0] in declared.names:
            return cls(names, (), declared.names[names[0]])
        classes = declared.lists[names[0]]
        return cls(names, (len(classes),), classes)

    @property
    def num_classes(self) -> int | None:
        """Number of classes by the schema or by the data, or None for numbers."""
        if self.classes:
            return len(self.classes)
        return len(CLASSES[self.columns[0]]) if self.is_class else None

    @property
    def is_class(self) -> bool:
        """Whether labels are class ids."""
        if self.classes:
            return not self.shape
        return self.columns[0] in CLASSES

    @property
    def dtype(self) -> torch.dtype:
        """Type of labels in a batch."""
        return torch.int64 if self.is_class else torch.float32

    def mask(self, labels: torch.Tensor) -> torch.Tensor:
        """Return which labels are there, bool, in their shape."""
        return labels != MISSING if self.is_class else ~labels.isnan()


def named(target: str | Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return the columns that a user named, and whether it is a list of them."""
    if isinstance(target, str) or not isinstance(target, Sequence):
        return (str(target),), False
    return tuple(str(name) for name in target), True


def read_for(target: str | Sequence[str]) -> tuple[str, ...]:
    """Return the columns to read for a target; those that only the data knows may lack."""
    names, _ = named(target)
    known = (*CLASS_TARGETS, *SCORE_BEST)
    return tuple(name if name in known else Maybe(name) for name in names)


def _check(names: tuple[str, ...], allowed: tuple[str, ...], *, is_list: bool) -> None:
    wrong = [name for name in names if name not in allowed]
    if wrong or not names:
        kind = "a list of" if is_list else "one of"
        raise ValueError(
            f"target must be {kind} {', '.join(allowed)}; got {', '.join(wrong) or 'none'}"
        )
