"""Memory for batches, used again as soon as nobody holds the batch that had it."""

import os
import sys
import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

Memory = npt.NDArray[np.uint8]

MOST: Final = 32
"""Pieces of memory that are kept: those of the batches that threads make and a trainer holds."""

ROOM: Final = 1.25
"""How much larger a piece is than what was asked for, so that a longer batch fits, too."""

UNUSED: Final = 2
"""References to a piece that only we hold: our list's, and the one that asks."""


class Buffers:
    """Gives out memory that is used again.

    Fresh memory costs a third of the time in which a batch is made: the system hands it out page
    by page. Whoever keeps a batch, or any view of it, keeps its memory; it comes back by
    Python's own count of references.

    Args:
        pinned: Whether memory is pinned, from which GPUs copy.
    """

    def __init__(self, *, pinned: bool = False) -> None:
        self._pinned = pinned
        self._pieces: list[Memory] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what another process makes itself."""
        return {"_pinned": self._pinned}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(pinned=state["_pinned"])  # type: ignore[misc]

    def memory(self, nbytes: int) -> Memory:
        """Return so many bytes or more, whose values are whatever was there before."""
        if self._pid != os.getpid():  # a thread of the parent may have held the lock
            self.__setstate__(self.__getstate__())
        with self._lock:
            unused = [at for at in range(len(self._pieces)) if self._is_unused(at)]
            for at in unused:
                if len(self._pieces[at]) >= nbytes:
                    return self._pieces[at]
            for at in reversed(unused):  # none is large enough: as long as batches grow
                del self._pieces[at]
            piece = self._piece(max(1, int(nbytes * ROOM)))
            if len(self._pieces) < MOST:
                self._pieces.append(piece)
            return piece

    def _is_unused(self, at: int) -> bool:
        return sys.getrefcount(self._pieces[at]) <= UNUSED

    def _piece(self, nbytes: int) -> Memory:
        if self._pinned:
            return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True).numpy()
        return np.empty(nbytes, np.uint8)
