"""How far a transfer is: one bar over bytes on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from types import TracebackType
from typing import Final, Self, TextIO

from tqdm import tqdm

from sousa.cards.tables import size

LINE_EVERY_SEC: Final = 10.0
"""Time between plain lines."""

SOON_SEC: Final = 0.5
"""What is done before needs no bar."""


class Transfer:
    """Counts bytes and shows them with their rate and the time left.

    Use it as a context, and call it with how many more are done, from any thread.
    """

    def __init__(self, total_bytes: int, stream: TextIO | None = None, *, verb: str = "") -> None:
        """Count up to `total_bytes`.

        Args:
            total_bytes: What there is to do.
            stream: Standard error unless given.
            verb: What is done with them, such as "read", if it matters only when it takes long.
        """
        self._stream = stream or sys.stderr
        self._verb = verb
        self._bar = tqdm(
            desc=verb or None,
            total=total_bytes,
            unit="B",
            unit_scale=True,
            file=self._stream,
            disable=not self._stream.isatty(),
            dynamic_ncols=True,
            leave=not verb,
            delay=SOON_SEC if verb else 0,
        )
        self._total, self._done = total_bytes, 0
        self._lock = threading.Lock()
        self._began = self._told = time.monotonic()

    def __call__(self, count: int) -> None:
        """Count some more."""
        with self._lock:
            self._done += count
            self._bar.update(count)
            if self._bar.disable:
                self._tell()

    def _tell(self) -> None:
        """Write a plain line, now and then and at the end."""
        now = time.monotonic()
        is_end = self._done >= self._total and not self._verb
        if not is_end and now - self._told < LINE_EVERY_SEC:
            return
        self._told = now
        rate = self._done / max(now - self._began, 1e-9)
        left_sec = (self._total - self._done) / max(rate, 1e-9)
        self._stream.write(
            f"{size(self._done)} of {size(self._total)}{self._verb and f' {self._verb}'}, "
            f"{size(int(rate))} a second, {left_sec:.0f} s left\n"
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
