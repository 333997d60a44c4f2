"""What the Hub tells of a token, to whether it may write somewhere."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from huggingface_hub import HfApi

from sousa.cards.failures import HubError, no_rights, patiently, plainly
from sousa.cards.target import PULL_REQUEST, Target

WRITERS: Final = ("admin", "write", "contributor")
"""Roles in an organization that may write; contributors to what they made themselves."""

WRITE: Final = "repo.write"
PROPOSE: Final = "discussion.write"
"""Permissions of fine-grained tokens: to write to repositories, and to open pull requests."""

OTHERS: Final = ("model", "space")
"""What a permission may be for that is no dataset."""


def require_rights(target: Target) -> None:
    """Refuse a token that the Hub does not take, or that cannot write, before anything else.

    Raises:
        HubError: If it does not, or cannot, or the Hub cannot be asked.
    """
    with plainly(target.repo, target.token):
        check_rights(patiently(HfApi(token=target.token).whoami), target)


def check_rights(account: Mapping[str, Any], target: Target) -> None:
    """Refuse a token that cannot write, as far as it tells of itself; the rest is the Hub's to say.

    Args:
        account: What `whoami` tells.
        target: Where the token shall write.

    Raises:
        HubError: If it cannot.
    """
    token = (account.get("auth") or {}).get("accessToken") or {}
    if token.get("role") == "read":
        raise HubError(
            "the token can only read; make one that can write, at "
            "https://huggingface.co/settings/tokens"
        )
    owner = target.repo.partition("/")[0]
    proposes = target.create_pr or PULL_REQUEST.fullmatch(target.revision) is not None
    scopes = token.get("fineGrained")
    if isinstance(scopes, dict) and not any(_granted(scopes, target.repo, proposes=proposes)):
        raise HubError(
            f"the fine-grained token has no permission to write to {target.repo}; give it write "
            f"access to the repositories of {owner}, or to this one, at "
            "https://huggingface.co/settings/tokens"
        )
    if proposes or owner == account.get("name"):
        return
    # What a fine-grained token may see of the organizations is not known.
    unknown = "orgs" not in account or token.get("role") == "fineGrained"
    roles = {org.get("name"): org.get("roleInOrg") for org in account.get("orgs") or ()}
    if (owner not in roles and not unknown) or roles.get(owner) not in (None, *WRITERS):
        raise HubError(no_rights(target.repo))


def _granted(scopes: Mapping[str, Any], repo: str, *, proposes: bool) -> Iterator[bool]:
    """Yield for each scope of a token whether it may be one that allows to write to a dataset."""
    owner, wanted = repo.partition("/")[0], {WRITE, PROPOSE} if proposes else {WRITE}
    yield proposes and PROPOSE in (scopes.get("global") or ())
    for scope in scopes.get("scoped") or ():
        entity = scope.get("entity") or {}
        kind, name = entity.get("type"), entity.get("name")
        # What has no name, or is of a kind that is not known, may be what is written to.
        meant = {"user": owner, "org": owner, "dataset": repo}.get(str(kind))
        is_for = kind not in OTHERS and (None in (meant, name) or name == meant)
        yield is_for and not wanted.isdisjoint(scope.get("permissions") or ())
