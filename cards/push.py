"""A dataset folder to a repository on the Hub, complete and proved to be so.

    folder -> contents -> difference <- remote
                              |
                           upload -> verify

`contents.prepare` reads the folder, `compare` asks the Hub, `carry_out` writes to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any, Final

from huggingface_hub import HfApi

from sousa.builders.kinds import BUILT, kind_of
from sousa.cards.beside import beside, others_of, with_others
from sousa.cards.contents import Contents, with_edits
from sousa.cards.difference import Difference, difference, lines, strangers, without_older
from sousa.cards.failures import HubError, patiently, plainly
from sousa.cards.listing import MANIFEST, LocalFile, Progress, parsed
from sousa.cards.remote import Remote, files_at, read_remote
from sousa.cards.tables import size
from sousa.cards.target import Target
from sousa.cards.upload import upload
from sousa.cards.verify import missing_or_changed, unlike_rows

SHOWN: Final = 3
"""Faults of a push that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a push will do.

    Attributes:
        target: Where to.
        contents: What the repository shall hold.
        remote: What it holds.
        difference: What there is to do.
        prune: Whether files of an older layout are removed.
    """

    target: Target
    contents: Contents
    remote: Remote
    difference: Difference
    prune: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the repository is as it shall be."""
        there = self.remote.has_revision or self.target.create_pr
        return there and not self.difference.send and not (self.prune and self.difference.older)

    def lines(self) -> Iterator[str]:
        """Yield what will be done, for people."""
        new = "" if self.remote.commit else ", new" + ", private" * self.target.private
        branch = self.target.revision
        made = ", new" if self.remote.commit and not self.remote.has_revision else ""
        way = f"a pull request to {branch}" if self.target.create_pr else f"branch {branch}{made}"
        yield f"{self.target.repo}{new}: {way}"
        yield from lines(self.difference, prune=self.prune)
        if self.target.create_pr and self.is_done:
            yield f"nothing to propose: branch {branch} is as it shall be"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push has done.

    Attributes:
        repo: `org/name`.
        commit: The commit that was verified.
        revision: Branch or pull request that it is on.
        new_bytes: Size of the files that the repository lacked or had otherwise.
        sent_bytes: What of them the Hub's storage did not know, and so was sent.
    """

    repo: str
    commit: str
    revision: str
    new_bytes: int
    sent_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.repo} is complete and verified: commit {self.commit} on {self.revision}, "
            f"{size(self.new_bytes)} of it new, {size(self.sent_bytes)} sent"
        )


def compare(
    contents: Contents, target: Target, *, prune: bool = False, force: bool = False
) -> Plan:
    """Ask the Hub what it has, and return what there is to do. Nothing is written.

    Raises:
        HubError: If the Hub cannot be asked, or the repository is another dataset's.
    """
    api = HfApi(token=target.token)
    with plainly(target.repo, target.token):
        remote = read_remote(api, target)
    if not force:
        refuse_strangers(contents.files, target, remote, "push into it with --force")
        _refuse_other_kind(contents, target, remote)
    others = frozenset() if prune else others_of(contents, remote)
    if others:
        contents = beside(contents, remote, others)
    contents = with_edits(contents, target, remote, force=force)
    if others - set(contents.configs):
        contents = with_others(contents, remote, force=force)
    return plan_for(contents, target, remote, prune=prune)


def refuse_strangers(
    files: Sequence[LocalFile], target: Target, remote: Remote, advice: str
) -> None:
    """Refuse to write to a repository that holds another dataset.

    Raises:
        HubError: If it does.
    """
    same = {file.path for file in difference(files, remote.files).same}
    other = strangers(remote.files, remote.contents, same)
    if other:
        raise HubError(
            f"{target.repo} holds something else ({len(other)} files, such as {other[0]}); "
            f"choose another name, or {advice}"
        )


def _refuse_other_kind(contents: Contents, target: Target, remote: Remote) -> None:
    """Refuse to replace what was built by what was imported, or the other way round.

    Raises:
        HubError: If both say how they came to be, and it is not the same.
    """
    plans = [(m or {}).get("plan") for m in (contents.manifest, _manifest_of(remote))]
    here, there = (_origin(plan) if isinstance(plan, dict) else None for plan in plans)
    if here and there and here != there:
        raise HubError(
            f"{target.repo} holds another dataset, {there}, and this one is {here}; choose another "
            "name, or push into it with --force"
        )


def _manifest_of(remote: Remote) -> dict[str, Any] | None:
    return parsed(remote.contents.get(MANIFEST, b""))


def _origin(plan: dict[str, Any]) -> str:
    kind = kind_of(plan)
    return "built" if kind == BUILT else f"imported by `sousa import {kind}`"


def plan_for(contents: Contents, target: Target, remote: Remote, *, prune: bool) -> Plan:
    """Return what there is to do, when it is known what the Hub has."""
    found = difference(contents.files, remote.files, contents.covers)
    if found.older and not prune:
        files = without_older(contents.files, found.older)
        contents = replace(contents, files=files)
        found = difference(files, remote.files, contents.covers)
    return Plan(target=target, contents=contents, remote=remote, difference=found, prune=prune)


def carry_out(plan: Plan, progress: Progress = lambda _: None) -> Pushed:
    """Send what is missing, verify all of it, and tag it.

    Args:
        plan: What to do.
        progress: Is told of bytes that are done, `plan.difference.send_bytes` in all.

    Raises:
        HubError: If the Hub refuses, the connection is lost, or what is there is not what was
            sent.
    """
    target, api = plan.target, HfApi(token=plan.target.token)
    commit, revision, sent_bytes = plan.remote.commit, target.revision, 0
    with plainly(target.repo, target.token):
        _check_tag(plan)
        if not plan.is_done or commit is None:
            done = upload(api, target, plan.remote, plan.difference, progress, prune=plan.prune)
            commit, revision, sent_bytes = done.commit, done.revision, done.sent_bytes
    _verify(api, plan, commit)
    if target.tag is not None:
        with plainly(target.repo, target.token):
            patiently(partial(_tag, api, target, commit))
    return Pushed(
        repo=target.repo,
        commit=commit,
        revision=revision,
        new_bytes=plan.difference.send_bytes,
        sent_bytes=sent_bytes,
    )


def _check_tag(plan: Plan) -> None:
    """Refuse a tag that cannot be given, before anything is sent.

    Raises:
        HubError: If it is there already, elsewhere.
    """
    at = plan.remote.tags.get(plan.target.tag or "")
    if at is not None and not (plan.is_done and at == plan.remote.commit):
        raise HubError(
            f"{plan.target.repo} has a tag {plan.target.tag} already, at commit {at}; "
            "choose another"
        )


def _tag(api: HfApi, target: Target, commit: str) -> None:
    api.create_tag(
        target.repo, repo_type="dataset", tag=str(target.tag), revision=commit, exist_ok=True
    )


def _verify(api: HfApi, plan: Plan, commit: str) -> None:
    """Compare a commit with what should be in it.

    Raises:
        HubError: If it differs.
    """
    target, files = plan.target, plan.contents.files
    with plainly(target.repo, target.token):
        wrong = missing_or_changed(files, files_at(api, target.repo, commit))
        rows = unlike_rows(files, target.repo, commit, target.token)
        found = list(chain(wrong, rows))
    if found:
        more = f" (and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
        raise HubError(
            f"{target.repo} at commit {commit} is not what was pushed: "
            f"{'; '.join(islice(found, SHOWN))}{more}; run the same command again"
        )
