"""What goes wrong on the way to the Hub: tried again, or said in one line with what to do."""

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Final, TypeVar

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

LOG: Final = logging.getLogger("sousa.cards")

Result = TypeVar("Result")

NETWORK_ERROR: Final[type[Exception]] = HfHubHTTPError.__mro__[1]
"""What the client's HTTP library raises when no reply came; releases use different libraries."""

PASSING: Final = (408, 429, 500, 502, 503, 504)
"""Status codes that may be gone in a moment."""

WAITS_SEC: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Pauses between tries, unless the Hub asks for longer ones."""

XET_STATUS: Final = re.compile(r"HTTP status (?:client|server) error \((\d{3})")
"""How hf_xet, which raises a ConnectionError for every refusal, tells the status of a reply."""

QUERY: Final = re.compile(r"(https?://[^\s?)]+)\?[^\s)]*")
"""An address with its query, which may hold a signature."""

SAID_WAIT_SEC: Final = 4.0
"""Pauses from this length on are told of, so that nobody takes the silence for a hang."""

LONGEST_WAIT_SEC: Final = 300.0
"""The longest pause that the Hub may ask for."""


class HubError(OSError):
    """Something that the Hub or the way to it does not allow; one line that says what to do."""


def patiently(action: Callable[[], Result], waits_sec: Sequence[float] = WAITS_SEC) -> Result:
    """Return what an action returns; after failures that may pass it is tried again.

    Args:
        action: What to do; may be done again.
        waits_sec: Pauses between the tries.

    Raises:
        Exception: What the last try raised.
    """
    for wait_sec in waits_sec:
        try:
            return action()
        except Exception as error:
            if not may_pass(error):
                raise
            pause_sec = max(wait_sec, _asked_wait_sec(error))
            if pause_sec >= SAID_WAIT_SEC:
                status = _status(error)
                said = f"the Hub answered {status}" if status else "no reply from the Hub"
                LOG.warning("%s; trying again in %.0f s", said, pause_sec)
            time.sleep(pause_sec)
    return action()


def ahead(pool: Executor, action: Callable[[], Result]) -> Callable[[], Result]:
    """Begin an action in a pool, and return what waits for it, as patiently as `patiently`.

    Pauses and other tries are in the thread that waits, where they can be interrupted.
    """
    tries = chain([pool.submit(action).result], repeat(action))
    return lambda: patiently(lambda: next(tries)())


def may_pass(error: Exception) -> bool:
    """Return whether it makes sense to try again: no reply, or the Hub has no time."""
    if isinstance(error, OfflineModeIsEnabled):
        return False
    status = _status(error)
    if status is not None:
        return status in PASSING
    return isinstance(error, (NETWORK_ERROR, TimeoutError, ConnectionError))


def _status(error: Exception) -> int | None:
    """Return the status of the reply that an error is about, if it is about one."""
    if isinstance(error, HfHubHTTPError):
        return int(error.response.status_code)
    told = XET_STATUS.search(str(error)) if isinstance(error, OSError) else None
    return int(told[1]) if told else None


def _asked_wait_sec(error: Exception) -> float:
    """Return the pause that the Hub asks for, 0 if none."""
    if not isinstance(error, HfHubHTTPError):
        return 0.0
    asked = error.response.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_WAIT_SEC) if asked.isdigit() else 0.0


@contextmanager
def plainly(repo: str, token: str | None = None) -> Iterator[None]:
    """Turn what the client raises about a repository into one line that says what to do.

    Args:
        repo: `org/name`.
        token: What must not be in any message.

    Raises:
        HubError: Instead of the client's errors.
    """
    try:
        yield
    except (HubError, InterruptedError):
        raise
    except (NETWORK_ERROR, LocalTokenNotFoundError, ConnectionError, TimeoutError) as error:
        raise HubError(_hidden(_plain(error, repo), token)) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise HubError(_hidden(_of_client(error, repo), token)) from None


def _plain(error: Exception, repo: str) -> str:
    if isinstance(error, HfHubHTTPError):
        return _of_reply(error, repo)
    if isinstance(error, LocalTokenNotFoundError):
        return NO_TOKEN
    if isinstance(error, OfflineModeIsEnabled):
        return "the Hub is needed, but HF_HUB_OFFLINE is set; unset it and run the command again"
    status = _status(error)
    if status is not None:
        return _of_status(status, "from its storage", repo)
    return (
        f"no connection to the Hub ({type(error).__name__}: {_one_line(error)}); "
        "the same command goes on from here"
    )


NO_TOKEN: Final = (
    "no token for the Hub: log in with `hf auth login`, set HF_TOKEN, or give --token-file; "
    "tokens are made at https://huggingface.co/settings/tokens"
)


def _of_reply(error: HfHubHTTPError, repo: str) -> str:
    """Say what a refusal of the Hub means."""
    status, said = error.response.status_code, _said(error)
    if any(word in said.lower() for word in ("storage", "quota", "payment")) or status in (
        402,
        507,
    ):
        return (
            f"no room left on the Hub for {repo}: {said or 'quota exceeded'}; "
            "free some or get more, then run the same command"
        )
    if status == 401 and not isinstance(error, GatedRepoError) and "redential" in said:
        return REFUSED_TOKEN
    for kind, line in (
        (RevisionNotFoundError, f"{repo} has no such revision; see its branches and tags"),
        (GatedRepoError, f"{repo} is gated: ask for access on its page, then give your token"),
        (RepositoryNotFoundError, f"no dataset {repo} that this token can see; check both"),
    ):
        if isinstance(error, kind):
            return line
    return _of_status(status, said, repo)


def no_rights(repo: str) -> str:
    """Return the line for a token that may not write to a repository."""
    return (
        f"the token may not write to {repo}: ask its owner for the right, propose the change with "
        "--create-pr, or choose a name of your own"
    )


def _of_status(status: int, said: str, repo: str) -> str:
    """Say what a status means; `said` are the Hub's own words."""
    if status == 403 and any(words in said for words in ("create_pr", "have the rights")):
        return no_rights(repo)
    by_status = {
        401: REFUSED_TOKEN,
        403: f"the token may not write to {repo}, or its quota is used up ({said or 'no reason'}); "
        "get write rights or room there, or choose a name of your own",
        429: "the Hub asks to slow down; wait some minutes, the same command goes on from here",
    }
    if status in by_status:
        return by_status[status]
    again = "; the same command goes on from here" if status in PASSING else ""
    return f"the Hub answered {status} about {repo}: {said or 'no reason given'}{again}"


REFUSED_TOKEN: Final = (
    "the Hub refused the token: it is wrong, expired or revoked; "
    "make a new one at https://huggingface.co/settings/tokens"
)


def _said(error: HfHubHTTPError) -> str:
    """Return the Hub's own words."""
    said = error.server_message or error.response.headers.get("X-Error-Message") or ""
    return " ".join(str(said).split())[:300].rstrip(".")


def _of_client(error: Exception, repo: str) -> str:
    """Say what the client's own error means; it wraps those of a worker thread."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HfHubHTTPError | LocalTokenNotFoundError | NETWORK_ERROR):
            return _plain(cause, repo)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return f"{_one_line(error)} (about {repo})"


def _one_line(error: BaseException) -> str:
    return " ".join(QUERY.sub(r"\1", str(error)).split())[:300] or type(error).__name__


def _hidden(line: str, token: str | None) -> str:
    return line.replace(token, "***") if token else line
