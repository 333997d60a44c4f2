"""What a loader has done."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sousa.loaders.errors import BrokenRow
from sousa.loaders.fetched import Fetched

LOG: Final = logging.getLogger("sousa.loaders")

NAMED: Final = 10
"""Skipped rows that the log names; `stats()` has all."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a loader has yielded since it was made.

    Attributes:
        batches: Batches.
        clips: Clips in them.
        skipped: Every broken row that was left out, once: (file, row in file, sample_id, cause).
        clips_per_sec: Clips by the time of all passes, training included.
        elapsed_sec: The time of all passes.
        wait_sec: The part of it in which the training loop waited for batches.
        decode_sec: Time that threads or processes took to make batches, added up.
        nbytes: Bytes of the encoded clips.
        padding: Share of the batches' samples that is padding.
    """

    batches: int
    clips: int
    skipped: tuple[BrokenRow, ...]
    clips_per_sec: float
    elapsed_sec: float
    wait_sec: float
    decode_sec: float
    nbytes: int
    padding: float


@dataclass
class Counted:
    """Counts what a loader does.

    Attributes:
        skipped: Every broken row, in the order in which they were met.
    """

    skipped: dict[BrokenRow, None]
    batches: int = 0
    clips: int = 0
    elapsed_sec: float = 0.0
    wait_sec: float = 0.0
    decode_sec: float = 0.0
    nbytes: int = 0
    samples: int = 0
    size: int = 0
    told: int = field(default=0, init=False)

    def skip(self, broken: Iterable[BrokenRow]) -> None:
        """Note broken rows."""
        self.skipped.update(dict.fromkeys(broken))

    def count(self, fetched: Fetched) -> None:
        """Count a batch."""
        self.skip(fetched.broken)
        self.batches += 1
        self.clips += fetched.clips
        self.decode_sec += fetched.decode_sec
        self.nbytes += fetched.nbytes
        self.samples += fetched.samples
        self.size += fetched.size

    def tell(self) -> None:
        """Log the rows that were skipped since this was asked last."""
        rows = list(self.skipped)[self.told :]
        self.told = len(self.skipped)
        if rows:
            named = "; ".join(f"{row.file}, row {row.row}: {row.cause}" for row in rows[:NAMED])
            more = f"; and {len(rows) - NAMED} more, see stats().skipped" if rows[NAMED:] else ""
            LOG.warning("%d broken rows were skipped: %s%s", len(rows), named, more)

    def stats(self) -> Stats:
        """Return what was counted."""
        return Stats(
            batches=self.batches,
            clips=self.clips,
            skipped=tuple(self.skipped),
            clips_per_sec=self.clips / self.elapsed_sec if self.elapsed_sec else 0.0,
            elapsed_sec=self.elapsed_sec,
            wait_sec=self.wait_sec,
            decode_sec=self.decode_sec,
            nbytes=self.nbytes,
            padding=1 - self.samples / self.size if self.size else 0.0,
        )


class Watch:
    """Tells how long the one who asks for batches waits, and how long all takes.

    Args:
        counted: Where times are added.
    """

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._asked = time.perf_counter()

    def arrived(self) -> None:
        """Note that a batch, or the end, is there."""
        now = time.perf_counter()
        self._counted.wait_sec += now - self._asked
        self._counted.elapsed_sec += now - self._asked
        self._asked = now

    def asked(self) -> None:
        """Note that the next one is wanted."""
        now = time.perf_counter()
        self._counted.elapsed_sec += now - self._asked
        self._asked = now
