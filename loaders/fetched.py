"""What workers hand over: a batch, and what is not in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sousa.loaders.collate import Batch, emptied
from sousa.loaders.dataset import Sample
from sousa.loaders.errors import BrokenRow

Collate = Callable[[Sequence[Sample]], Batch]


class Fetched(NamedTuple):
    """A batch as it comes from where it was read; a tuple, so that PyTorch pins what is in it.

    Attributes:
        batch: What the collator made.
        clips: How many clips are in it.
        broken: The rows that are not.
    """

    batch: Batch
    clips: int
    broken: list[BrokenRow]


@dataclass(frozen=True, slots=True)
class Separate:
    """Separates broken rows from samples where they are read, in a worker or not.

    Attributes:
        collate: Makes a batch of the samples.
        blank: The sample that stands in where a batch has none.
    """

    collate: Collate
    blank: Sample

    def __call__(self, found: Sequence[Sample | BrokenRow]) -> Fetched:
        """Return the batch of what is not broken."""
        broken = [row for row in found if isinstance(row, BrokenRow)]
        samples = [row for row in found if not isinstance(row, BrokenRow)]
        batch = self.collate(samples) if samples else emptied(self.collate([self.blank]))
        return Fetched(batch, len(samples), broken)
