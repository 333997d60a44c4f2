"""How far a transfer is: one bar over bytes on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Final, Self, TextIO

from tqdm import tqdm

from sousa.cards.tables import size

LINE_EVERY_SEC: Final = 10.0
"""Time between plain lines."""


class Transfer:
    """Counts bytes and shows them with their rate and the time left.

    Use it as a context, and call it with how many more are done.
    """

    def __init__(self, total_bytes: int, stream: TextIO | None = None) -> None:
        """Count up to `total_bytes`; `stream` is standard error unless given."""
        self._stream = stream or sys.stderr
        self._bar = tqdm(
            total=total_bytes,
            unit="B",
            unit_scale=True,
            file=self._stream,
            disable=not self._stream.isatty(),
            dynamic_ncols=True,
        )
        self._total, self._done = total_bytes, 0
        self._began = self._told = time.monotonic()

    def __call__(self, count: int) -> None:
        """Count some more."""
        self._done += count
        self._bar.update(count)
        if self._bar.disable:
            self._tell()

    def _tell(self) -> None:
        """Write a plain line, now and then and at the end."""
        now = time.monotonic()
        if self._done < self._total and now - self._told < LINE_EVERY_SEC:
            return
        self._told = now
        rate = self._done / max(now - self._began, 1e-9)
        left_sec = (self._total - self._done) / max(rate, 1e-9)
        self._stream.write(
            f"{size(self._done)} of {size(self._total)}, {size(int(rate))} a second, "
            f"{left_sec:.0f} s left\n"
        )
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
