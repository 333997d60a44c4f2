"""Pages of rows from one piece of a stream, read again from where a connection was lost."""

import contextlib
import errno
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import datasets
import pyarrow as pa
from huggingface_hub.errors import OfflineModeIsEnabled

NETWORK_PACKAGES: Final = frozenset(
    {"aiohttp", "botocore", "fsspec", "http", "httpcore", "httpx", "httpx2", "requests", "urllib3"}
)
"""Whose errors say that a connection failed, where they are no `OSError` that says more."""

PASSING: Final = frozenset(
    {
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EPIPE,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""Numbers of errors that may be gone at the next try."""

BUSY: Final = frozenset({408, 429, 500, 502, 503, 504})
"""What a server answers that may answer otherwise later."""

LONGEST_PAUSE_SEC: Final = 300.0
"""The longest pause that a server may ask for."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to try again after a lost connection.

    Attributes:
        tries: How often to read a thing at most, at least 1.
        first_sec: Pause after the first failure; each further one is twice as long.
    """

    tries: int = 5
    first_sec: float = 0.5

    @property
    def pauses_sec(self) -> list[float]:
        """The pauses between the tries."""
        return [self.first_sec * 2**number for number in range(self.tries - 1)]


def is_transient(error: BaseException) -> bool:
    """Return whether reading may succeed the next time."""
    if isinstance(error, GaveUp | OfflineModeIsEnabled):
        return False
    if (status := status_of(error)) is not None:
        return status in BUSY
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError):
        return error.errno in PASSING
    return type(error).__module__.split(".")[0] in NETWORK_PACKAGES


def status_of(error: BaseException) -> int | None:
    """Return what a server answered, if it did."""
    answer = getattr(error, "response", None)
    status = getattr(answer, "status_code", getattr(error, "status", None))
    return status if isinstance(status, int) else None


def reason_of(error: BaseException) -> str:
    """Return why reading failed, in one line without addresses, which may be signed."""
    if (status := status_of(error)) is not None:
        return f"the server answered {status}"
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def asked_pause_sec(error: BaseException) -> float:
    """Return how long a server asks to wait before the next try; 0 if it does not."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    text = str(headers.get("Retry-After", ""))
    return min(float(text), LONGEST_PAUSE_SEC) if text.isdecimal() else 0.0


class Stopped(Exception):
    """Reading ended because it was asked to."""


class GaveUp(ConnectionError):
    """A connection stayed lost: nobody tries again."""


Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Patience:
    """How to read what may fail for a while.

    Attributes:
        backoff: How often and how long to try again.
        stop: Ends pauses and reading when set, also from another thread.
    """

    backoff: Backoff = field(default_factory=Backoff)
    stop: threading.Event = field(default_factory=threading.Event)

    def read(self, action: Callable[[], Found], place: str) -> Found:
        """Return what an action returns, tried again while it fails for want of a connection.

        Raises:
            Stopped: If `stop` was set.
            ConnectionError: If it fails as often as it may; `place` says where.
        """
        for pause_sec in (*self.backoff.pauses_sec, None):
            if self.stop.is_set():
                raise Stopped
            try:
                return action()
            except Exception as error:
                if not is_transient(error):
                    raise
                if pause_sec is None:
                    raise GaveUp(
                        f"{place}: could not be read in {self.backoff.tries} tries: "
                        f"{reason_of(error)}; check the connection, then go on from the last state"
                    ) from error
                asked_sec = asked_pause_sec(error)
            self.stop.wait(max(pause_sec, asked_sec))
        raise Stopped


class _Settings:
    """Settings of `datasets` that are others as long as somebody reads."""

    def __init__(self, **values: int) -> None:
        self._values = values
        self._before: dict[str, int] = {}
        self._lock = threading.Lock()
        self._users = 0

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._before = {name: getattr(datasets.config, name) for name in self._values}
                self._set(self._values)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._set(self._before)

    def _set(self, values: dict[str, int]) -> None:
        for name, value in values.items():
            setattr(datasets.config, name, value)


WITHOUT_PAUSES: Final = _Settings(
    SLEEP_TIME_ON_THREADS_SHUTDOWN=0, STREAMING_OPEN_MAX_RETRIES=1, STREAMING_READ_MAX_RETRIES=1
)
"""While entered, `datasets` does not sleep for 5 s where nobody can wake it: at the end of what a
user shuffles or interleaves, and between twenty tries of its own. `Patience` tries instead."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place between two rows of a piece.

    Attributes:
        rows: Rows of the piece before it.
        state: The dataset's own state there; None to begin anew and leave out `rows`.
    """

    rows: int = 0
    state: dict[str, Any] | None = None


class Rows(Protocol):
    """What can be read once, from its beginning on."""

    def iter(self, batch_size: int) -> Generator[pa.Table]:
        """Yield so many rows at a time."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What can be read from its beginning.

    Attributes:
        place: What to call it in errors.
        open: Returns it, for nobody else: a dataset in Arrow format where it `resumes`.
        chunk_rows: Rows to take at a time.
        resumes: Whether the dataset's own state is exact, and saves work.
        rows: How many rows it has; None where that is seen at its end.
    """

    place: str
    open: Callable[[], Rows]
    chunk_rows: int
    resumes: bool
    rows: int | None = None


class Reader:
    """The rows of one piece, a page at a time.

    Args:
        piece: What to read.
        mark: Where to begin.
        patience: How to read what may fail for a while.

    Attributes:
        rows: Rows of the piece that were given out, or left out at the beginning.
        ended: Whether there are no more.
    """

    def __init__(self, piece: Piece, mark: Mark, patience: Patience) -> None:
        self.piece = piece
        self.rows = mark.rows
        self.ended = False
        self._mark = mark
        self._patience = patience
        self._dataset: datasets.IterableDataset | None = None
        self._chunks: Generator[pa.Table] | None = None

    def mark(self) -> Mark:
        """Return where the next page begins; a lost connection is taken up from there."""
        if not self.piece.resumes:
            return Mark(self.rows)
        if self._dataset is not None:
            self._mark = Mark(self.rows, self._dataset.state_dict()["examples_iterable"])
        return self._mark

    def page(self, rows: int, nbytes: int, page: list[pa.Table]) -> None:
        """Add the next rows, until there are `rows` or they take `nbytes`, or fewer at the end.

        Args:
            rows: How many at most.
            nbytes: How large at most, give or take a chunk.
            page: Where they are added.

        Raises:
            Stopped: If reading was stopped.
            ConnectionError: If it cannot be read, however often it is tried.
            OSError, pyarrow.ArrowException: If it is damaged, after the rows before that.
        """
        while rows > 0 and nbytes > 0 and not self.ended:
            chunk = self._patience.read(self._next, self.piece.place)
            if chunk is not None:
                page.append(chunk)
                rows -= chunk.num_rows
                nbytes -= chunk.nbytes
            if chunk is None or self.rows == self.piece.rows:
                self.ended = True
                self.close()

    def close(self) -> None:
        """Let go of files and threads."""
        chunks, self._chunks, self._dataset = self._chunks, None, None
        if chunks is not None:
            chunks.close()

    def _next(self) -> pa.Table | None:
        try:
            if self._chunks is None:
                self._chunks = self._read()
            return next(self._chunks, None)
        except Exception:
            self.close()  # to be opened anew, where it is tried again
            raise

    def _read(self) -> Generator[pa.Table]:
        dataset: datasets.IterableDataset = self.piece.open()
        skip = self.rows
        if self._mark.state is not None:
            epoch = dataset.state_dict()["epoch"]
            dataset.load_state_dict({"examples_iterable": self._mark.state, "epoch": epoch})
            skip -= self._mark.rows
        self._dataset = dataset
        with contextlib.closing(dataset.iter(batch_size=self.piece.chunk_rows)) as chunks:
            for chunk in chunks:
                if skip >= chunk.num_rows:
                    skip -= chunk.num_rows
                    continue
                rest = chunk.slice(skip)
                skip = 0
                self.rows += rest.num_rows
                yield rest
