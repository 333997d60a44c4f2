"""What can go wrong on the way to the Hub, said beforehand and used up in order."""

import re
import threading
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks.

    `before`: the request is read and thrown away. `after`: it is carried out, the reply is lost.
    `receiving`, `sending`: after so many bytes of the body of the request or of the reply.
    """

    when: Literal["before", "after", "receiving", "sending"] = "before"
    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """The Hub answers with an error and does nothing else."""

    status: int
    message: str = ""
    code: str | None = None
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Slow:
    """The body of the reply trickles."""

    bytes_per_second: float


Action = Cut | Status | Slow


@dataclass(frozen=True, slots=True)
class Fault:
    """An action for the requests that match.

    Attributes:
        action: What happens to them.
        method: The method, or `*` for all.
        path: A regular expression, searched in the path with its query.
        after: So many matching requests pass first.
        times: So many are hit; `None` for all that follow.
    """

    action: Action
    method: str = "*"
    path: str = ""
    after: int = 0
    times: int | None = 1

    def matches(self, method: str, target: str) -> bool:
        return self.method in ("*", method) and re.search(self.path, target) is not None


class Faults:
    """The faults in wait. Of those that match a request, the one that was added first is used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Fault, int] = {}

    def add(self, *faults: Fault) -> None:
        """Add faults; one that was there already begins to count anew."""
        with self._lock:
            self._seen |= dict.fromkeys(faults, 0)

    def clear(self) -> None:
        with self._lock:
            self._seen.clear()

    def unused(self) -> list[Fault]:
        """Those that hit no request yet: a test that leaves one has tested nothing."""
        with self._lock:
            return [fault for fault, seen in self._seen.items() if seen <= fault.after]

    def take(self, method: str, target: str) -> Action | None:
        """Count a request, and say what happens to it."""
        with self._lock:
            for fault, seen in self._seen.items():
                if fault.times is not None and seen >= fault.after + fault.times:
                    continue
                if fault.matches(method, target):
                    self._seen[fault] = seen + 1
                    if seen >= fault.after:
                        return fault.action
        return None


SERVER_ERROR: Final = Status(
    500, "Internal Error - We're working hard to fix this as soon as possible!"
)
UNAVAILABLE: Final = Status(503, "Service Unavailable")
QUOTA: Final = Status(
    403,
    "Private repository storage limit reached, please upgrade your plan to increase your private"
    " storage limit.",
)
EXPIRED: Final = Status(401, "User Access Token is expired")
REFUSED: Final = Status(400, "Your push was rejected because it contains files larger than 10 MiB.")


def rate_limit(seconds: int) -> Status:
    """Return what the Hub says to one that asks too often."""
    return Status(429, "We had to rate limit you", retry_after_seconds=seconds)
