"""What a model learns: one column, or several scores, as numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from sousa.builders.schema import SCORE_BEST
from sousa.loaders.labels import CLASSES
from sousa.loaders.rows import Declared

CLASS_TARGETS: Final = ("skill_tier", "skill_tier_binary", "rudiment_slug")
"""Columns that are learnt as classes."""

Label = int | torch.Tensor


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
    def missing(self) -> Label:
        """A label that stands for no value: id 0, or NaN."""
        return 0 if self.is_class else torch.full(self.shape, torch.nan)

    def label(self, row: dict[str, Any], declared: Declared) -> tuple[Label, torch.Tensor]:
        """Return a row's label and which of its values are there.

        A class is its id in the schema. A score is scaled to [0, 1] by its best value; NaN where
        the row has none, and False in the mask.

        Raises:
            ValueError: If the row's class is null or unknown, or a score beyond its range.
        """
        if not self.is_class:
            scaled = [scaled_score(name, row[name]) for name in self.columns]
            label = torch.tensor(scaled, dtype=torch.float32).reshape(self.shape)
            return label, ~label.isnan()
        column = self.columns[0]
        name = declared.name(column, row[column])
        if name not in CLASSES[column]:
            raise ValueError(f"{column} must be one of {', '.join(CLASSES[column])}; is {name}")
        return CLASSES[column].index(name), torch.tensor(data=True)


def scaled_score(name: str, value: float | None) -> float:
    """Return a score as a share of its best value; NaN where there is none.

    Raises:
        ValueError: If it is below 0 or above its best value.
    """
    if value is None or math.isnan(value):
        return math.nan
    best = SCORE_BEST[name]
    if not 0 <= value <= best:
        raise ValueError(f"{name} must be in [0, {best}], is {value}")
    return value / best
