"""What a model learns: one column, or several scores, as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from sousa.builders.schema import SCORE_BEST
from sousa.loaders.labels import CLASSES

CLASS_TARGETS: Final = ("skill_tier", "skill_tier_binary", "rudiment_slug")
"""Columns that are learnt as classes."""


@dataclass(frozen=True, slots=True)
class Target:
    """A choice of columns to learn.

    Attributes:
        columns: One class column, or one or more scores.
        shape: Shape of a label: `()` for one column, `(k,)` for a list of k scores.

    Raises:
        ValueError: If a column is not a target, or a class is mixed with others.
    """

    columns: tuple[str, ...]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse columns that cannot be learnt."""
        allowed = tuple(SCORE_BEST) if self.shape else (*CLASS_TARGETS, *SCORE_BEST)
        wrong = [name for name in self.columns if name not in allowed]
        if wrong or not self.columns:
            kind = "a list of" if self.shape else "one of"
            raise ValueError(
                f"target must be {kind} {', '.join(allowed)}; got {', '.join(wrong) or 'none'}"
            )

    @classmethod
    def of(cls, target: str | Sequence[str]) -> "Target":
        """Return the target that a user named: one column, or a list of scores."""
        if isinstance(target, str) or not isinstance(target, Sequence):
            return cls((str(target),), ())
        return cls(tuple(str(name) for name in target), (len(target),))

    @property
    def num_classes(self) -> int | None:
        """Number of classes by the schema, or None for scores."""
        return len(CLASSES[self.columns[0]]) if self.is_class else None

    @property
    def is_class(self) -> bool:
        """Whether labels are class ids."""
        return self.columns[0] in CLASSES

    @property
    def dtype(self) -> torch.dtype:
        """Type of labels in a batch."""
        return torch.int64 if self.is_class else torch.float32

    def mask(self, labels: torch.Tensor) -> torch.Tensor:
        """Return which labels are there, bool, in their shape: all classes, and every number."""
        return torch.ones_like(labels, dtype=torch.bool) if self.is_class else ~labels.isnan()
