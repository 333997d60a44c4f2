"""Who asks the Hub and for what; what it answers, or one line that says what to do."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from huggingface_hub import get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from sousa.loaders.pages import Patience

Found = TypeVar("Found")


class HubError(OSError):
    """Something that the Hub does not allow; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class At:
    """Which of the commits on the Hub, and as whom.

    Copies for other processes lack the token: they use what `huggingface_hub` finds there.

    Attributes:
        revision: A branch, a tag or a commit; None is the main branch.
        token: Of the Hub; None takes what `huggingface_hub` finds.

    Raises:
        ValueError: If one of them cannot be right.
    """

    revision: str | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what would be shown by errors of the connection, or be no revision."""
        token, revision = self.token, self.revision
        good = token is None or (isinstance(token, str) and re.fullmatch(r"[!-~]+", token))
        if not good:
            raise ValueError("token must be a token of the Hub or None; what came is not shown")
        if revision is not None and not (isinstance(revision, str) and revision.strip("./")):
            raise ValueError(f"revision must be a branch, a tag or a commit, got {revision!r}")

    def __reduce__(self) -> tuple[type["At"], tuple[str | None]]:
        """Leave the token behind."""
        return At, (self.revision,)

    def __copy__(self) -> "At":
        """Return this: nothing of it can change."""
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> "At":
        """Return this: nothing of it can change."""
        return self


def asked(action: Callable[[], Found], name: str, at: At, patience: Patience) -> Found:
    """Return what an action on the Hub returns, tried again, or say what is wrong in one line.

    Raises:
        FileNotFoundError: If it is not there, or not in the cache where only that may be used.
        ConnectionError: If the Hub cannot be reached.
        HubError: If the Hub refuses.
    """

    def unwrapped() -> Found:
        try:
            return action()
        except LocalEntryNotFoundError as error:
            raise error.__cause__ or error from None

    try:
        return patience.read(unwrapped, f"{name} on the Hub")
    except (OfflineModeIsEnabled, LocalEntryNotFoundError):
        raise FileNotFoundError(
            f"{name} is not whole in the cache, and HF_HUB_OFFLINE is set; unset it and load the "
            "dataset once"
        ) from None
    except HfHubHTTPError as error:
        raise refusal(error, name, at) from None
    except HFValidationError:
        raise FileNotFoundError(f"{name} is no name that the Hub allows") from None


def refusal(error: HfHubHTTPError, name: str, at: At) -> OSError:
    """Return what an answer of the Hub means to a user."""
    status = error.response.status_code
    identified = at.token is not None or get_token() is not None
    if isinstance(error, RevisionNotFoundError):
        return FileNotFoundError(
            f"{name} has no revision {at.revision or 'main'}; give one of its branches, tags or "
            "commits"
        )
    if isinstance(error, GatedRepoError):
        todo = "ask for access on its page" if identified else "log in with `hf auth login`"
        return HubError(f"{name} on the Hub is gated: {todo}, then load it again")
    absent = isinstance(error, RepositoryNotFoundError)
    if absent and (status == 404 or not identified):
        todo = (
            "this token may not see it"
            if identified
            else "it is private: log in with `hf auth login`, set HF_TOKEN, or pass token="
        )
        return FileNotFoundError(f"there is no {name}, or {todo}")
    if status == 401:
        return HubError(
            "the Hub refused the token: it is wrong, expired or revoked; make a new one at "
            "https://huggingface.co/settings/tokens"
        )
    if status == 404:
        return FileNotFoundError(f"{name} lacks a file of its list")
    said = " ".join((error.server_message or "no reason given").split())[:200].rstrip(".")
    return HubError(f"the Hub answered {status} about {name}: {said}")
