"""The most recently used of something, up to a number of bytes."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Thing = TypeVar("Thing")


class Shelf(Generic[Key, Thing]):
    """What one process keeps.

    Attributes:
        pid: The process.
        things: What is kept, each with its size, the most recently used last.
        making: Keys of what some thread is making.
        changed: Guards the others; tells when something was made.
        total: Sum of the sizes.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.things: OrderedDict[Key, tuple[Thing, int]] = OrderedDict()
        self.making: set[Key] = set()
        self.changed = threading.Condition()
        self.total = 0


class Kept(Generic[Key, Thing]):
    """Keeps what was made last, for any thread.

    A forked process begins with nothing: a thread of its parent may have held any lock.

    Args:
        most: Sum of sizes that may be kept; the last thing is kept whatever its size.
        size: Size of a thing.
        dropped: Called with what is kept no longer.
    """

    def __init__(
        self,
        most: int,
        size: Callable[[Thing], int],
        dropped: Callable[[Thing], None] | None = None,
    ) -> None:
        self._most = most
        self._size = size
        self._dropped = dropped
        self._shelf: Shelf[Key, Thing] = Shelf()

    def get(self, key: Key, make: Callable[[], Thing]) -> Thing:
        """Return what is kept under a key, or else make it: once, however many threads ask."""
        if self._shelf.pid != os.getpid():
            self._shelf = Shelf()
        shelf = self._shelf
        if found := shelf.things.get(key):  # one step: no lock is needed to find something
            with suppress(KeyError):  # dropped meanwhile
                shelf.things.move_to_end(key)
            return found[0]
        with shelf.changed:
            while key in shelf.making:
                shelf.changed.wait()
            if key in shelf.things:
                shelf.things.move_to_end(key)
                return shelf.things[key][0]
            shelf.making.add(key)
        try:
            made = make()  # outside the lock: another thread may need another thing meanwhile
            self._put(shelf, key, made)
        finally:
            with shelf.changed:
                shelf.making.discard(key)
                shelf.changed.notify_all()
        return made

    def _put(self, shelf: Shelf[Key, Thing], key: Key, made: Thing) -> None:
        """Keep a thing, and as many of those before it as there is room for."""
        size = self._size(made)
        with shelf.changed:
            shelf.things[key] = made, size
            shelf.total += size
            while shelf.total > self._most and len(shelf.things) > 1:
                dropped, size = shelf.things.popitem(last=False)[1]
                shelf.total -= size
                if self._dropped is not None:
                    self._dropped(dropped)
