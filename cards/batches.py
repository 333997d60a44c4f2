"""Contents of files to the storage of the Hub, in batches, and how many of their bytes are there.

Two batches are on their way beside each other: while the end of one is settled with the storage,
the other uses the line. What a kill can lose is what is on its way.
"""

import io
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from huggingface_hub import CommitOperationAdd, constants
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from sousa.cards.failures import ahead
from sousa.cards.listing import LocalFile, Progress

BATCH_FILES: Final = 8
BATCH_BYTES: Final = 32_000_000
"""What is sent at a time, at most; one file may be larger."""

AT_ONCE: Final = 2
"""Batches on their way beside each other; a third waits for its turn."""


class Sent:
    """How many bytes of a batch are there; each is counted once, however often it is sent.

    The last byte counts when the storage has settled all of them.

    Attributes:
        on_the_line: Bytes that the storage did not have, before they are packed; by file, or try.
        is_stopped: Nobody waits for the batch any more.
    """

    def __init__(self, total_bytes: int, progress: Progress) -> None:
        self._total, self._told, self._progress = total_bytes, 0, progress
        self._by_source: dict[str, int] = {}
        self._lock = threading.Lock()
        self.on_the_line: dict[object, int] = {}
        self.is_stopped = False

    def reach(self, source: str, bytes_: int) -> None:
        """Note how far a file is, or all of the batch.

        Raises:
            InterruptedError: If nobody waits for the batch any more.
        """
        if self.is_stopped:
            raise InterruptedError("the push was stopped")
        with self._lock:
            self._by_source[source] = max(bytes_, self._by_source.get(source, 0))
            self._tell(min(sum(self._by_source.values()), self._total - 1))

    def finish(self) -> None:
        """Note that all is there."""
        with self._lock:
            self._tell(self._total)

    def _tell(self, bytes_: int) -> None:
        new, self._told = bytes_ - self._told, max(bytes_, self._told)
        if new > 0:
            self._progress(new)


class Addition(CommitOperationAdd):
    """A file of a commit; how far it is read on its way to LFS storage is noted."""

    sent: Sent | None = None

    @classmethod
    def of(cls, file: LocalFile) -> Self:
        """Return the addition of a file that is measured."""
        source = str(file.source) if isinstance(file.source, Path) else file.source
        addition = cls(file.path, source)
        addition.upload_info.sha256 = bytes.fromhex(file.sha256)  # or it would be computed again
        return addition

    @contextmanager
    def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:  # noqa: FBT001, FBT002
        """Open the file; `with_tqdm` is what the client asks for when it sends the content."""
        if with_tqdm and self.sent is not None and isinstance(self.path_or_fileobj, str):
            with _Watched(self.path_or_fileobj, self.path_in_repo, self.sent) as file:
                yield file
        else:
            with super().as_file() as file:
                yield file


class _Watched(io.FileIO):
    """A file that notes how far it is read."""

    def __init__(self, path: str, name: str, sent: Sent) -> None:
        super().__init__(path)
        self._name, self._sent = name, sent

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(-1 if size is None else size)
        self._sent.reach(self._name, self.tell())
        self._sent.on_the_line[self._name] = max(
            self.tell(), self._sent.on_the_line.get(self._name, 0)
        )
        return block or b""


def batches(files: Sequence[LocalFile]) -> Iterator[list[int]]:
    """Yield the places of files that are sent together."""
    batch: list[int] = []
    for index, file in enumerate(files):
        bytes_ = sum(files[place].size for place in batch) + file.size
        if batch and (len(batch) == BATCH_FILES or bytes_ > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def send_all(
    files: Sequence[LocalFile],
    additions: Sequence[Addition],
    send: Callable[[list[Addition]], object],
    arrived: Callable[[list[LocalFile]], object],
    progress: Progress,
) -> int:
    """Send the contents of files, and return how many bytes went to the storage for it.

    These are fewer than the files have where the storage knew some. Where the client does not
    tell it, they are none.

    Args:
        files: Them.
        additions: One for each.
        send: Sends some; is called in threads, and again after failures that may pass.
        arrived: Is told of the files of each batch when they are there.
        progress: Is told of bytes that are there.

    Raises:
        Exception: What `send` or `arrived` raises.
    """
    on_their_way: deque[_Batch] = deque()
    on_the_line = 0
    pool = ThreadPoolExecutor(AT_ONCE)

    def finish_first() -> None:
        nonlocal on_the_line
        first = on_their_way[0]
        first.wait()
        first.sent.finish()
        arrived(first.files)
        on_the_line += sum(first.sent.on_the_line.values())
        on_their_way.popleft()

    with _noted():
        try:
            for places in batches(files):
                if len(on_their_way) > AT_ONCE:
                    finish_first()
                batch = [files[place] for place in places]
                sent = Sent(sum(file.size for file in batch), progress)
                chosen = [additions[place] for place in places]
                wait = ahead(pool, partial(_send, chosen, sent, send))
                on_their_way.append(_Batch(batch, sent, wait))
            while on_their_way:
                finish_first()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            _stop([batch.sent for batch in on_their_way])
            pool.shutdown()
    return on_the_line


@dataclass(frozen=True, slots=True)
class _Batch:
    files: list[LocalFile]
    sent: Sent
    wait: Callable[[], object]


def _send(additions: list[Addition], sent: Sent, send: Callable[[list[Addition]], object]) -> None:
    for addition in additions:
        addition.sent = sent
    _on_its_way.batch = sent
    send(additions)


def _stop(left: Sequence[Sent]) -> None:
    """End what is on its way, so that nobody has to wait for it."""
    for sent in left:
        sent.is_stopped = True
    if left and _is_xet():
        with suppress(ImportError, AttributeError):  # it is none of the client's public names
            import_module("huggingface_hub.utils._xet").abort_xet_session()


def _is_xet() -> bool:
    """Return whether the client sends to Xet storage."""
    return not constants.HF_HUB_DISABLE_XET and find_spec("hf_xet") is not None


_on_its_way = threading.local()
"""The batch that this thread sends."""


class _Report:
    """Stands for the client's own bars of an upload to Xet storage, and notes what they show."""

    def __init__(self, *_args: object, **_options: object) -> None:
        self._sent: Sent | None = getattr(_on_its_way, "batch", None)

    def update_progress(self, group: Any, _files: object) -> None:
        """Note what the storage has, and what of it went there."""
        if self._sent is not None:
            self._sent.on_the_line[self] = group.total_transfer_bytes_completed
            with suppress(InterruptedError):
                self._sent.reach("", group.total_bytes_completed)

    def close(self) -> None:
        """Nothing is open."""


@contextmanager
def _noted() -> Iterator[None]:
    """Hide the client's own progress bars, so that there is one, which knows what they know.

    The client tells nobody but its bars how far an upload to Xet storage is. Where it has other
    bars than it is known to have, or nobody wants any, whole batches are counted.
    """
    if are_progress_bars_disabled():
        yield
        return
    bars = None
    with suppress(ImportError):
        bars = import_module("huggingface_hub.utils._xet_progress_reporting")
    shown = getattr(bars, "XetUploadProgressReporter", None)
    if shown is None or not _is_xet():
        disable_progress_bars()
        try:
            yield
        finally:
            enable_progress_bars()
        return
    vars(bars)["XetUploadProgressReporter"] = _Report
    try:
        yield
    finally:
        vars(bars)["XetUploadProgressReporter"] = shown
