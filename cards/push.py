"""A dataset folder to a repository on the Hub, complete and proved to be so.

    folder -> listing -> difference <- remote
                             |
                          upload -> verify

`prepare` reads the folder, `compare` asks the Hub, `carry_out` writes to it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Final

from huggingface_hub import HfApi

from sousa.cards import card, rules
from sousa.cards.difference import Difference, difference, lines, strangers, without_older
from sousa.cards.failures import HubError, patiently, plainly
from sousa.cards.listing import (
    MANIFEST,
    README,
    LocalFile,
    configs_in,
    differences,
    files_in,
    measured,
    narrowed,
    read_manifest,
)
from sousa.cards.remote import Remote, Target, files_at, read_remote
from sousa.cards.tables import size
from sousa.cards.upload import Progress, upload
from sousa.cards.verify import missing_or_changed, unlike_rows

SHOWN: Final = 3
"""Faults of a push that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a repository shall hold.

    Attributes:
        files: All files, the card and the manifest among them.
        findings: What is wrong with them, a line each.
        covers: Whether a path there would be this dataset's.
    """

    files: tuple[LocalFile, ...]
    findings: tuple[str, ...] = ()
    covers: Callable[[str], bool] = lambda _: True


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push has done.

    Attributes:
        repo: `org/name`.
        commit: The commit that was verified.
        revision: Branch or pull request that it is on.
        new_bytes: Size of the files that the repository lacked or had otherwise.
    """

    repo: str
    commit: str
    revision: str
    new_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.repo} is complete and verified: commit {self.commit} on {self.revision}, "
            f"{size(self.new_bytes)} of it new"
        )


def prepare(
    folder: str | Path,
    repo: str,
    *,
    configs: Sequence[str] | None = None,
    check: Callable[[Path], Sequence[str]] = lambda _: (),
) -> Contents:
    """Read what a folder has to publish. The card is made anew, for its place on the Hub.

    Args:
        folder: The dataset's.
        repo: `org/name`.
        configs: The configs that are published; all if None.
        check: Returns what is wrong with a folder besides what its manifest can prove.

    Raises:
        FileNotFoundError: If the folder holds no dataset.
        OSError: If a file is damaged, or a link leaves the folder.
        ValueError: If there is no such config.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"expected a folder with a dataset, got {root}")
    there = configs_in(root)
    chosen = there if configs is None else tuple(dict.fromkeys(configs))
    missing = [name for name in chosen if name not in there]
    if missing or not chosen:
        allowed = ", ".join(there) or "none"
        raise ValueError(
            f"configs must be of those in {root} ({allowed}); got {', '.join(missing) or 'none'}"
        )
    page = card.compose(root, place=repo, configs=chosen)
    files: dict[str, Path | bytes] = {
        path: file
        for path, file in files_in(root, set(there) - set(chosen)).items()
        if not card.is_ours(path)
    }
    files |= page.files
    manifest = read_manifest(root)
    if manifest is not None and set(chosen) != set(there):
        manifest = narrowed(manifest, chosen)
        files[MANIFEST] = json.dumps(manifest, indent=1).encode() + b"\n"
    found = measured(files)
    findings = [*differences(found, manifest), *check(root), *_of_repository(found, repo)]
    findings += [f"{README}: {line}" for line in rules.check(page.text, listed=files.keys())]
    return Contents(files=found, findings=tuple(findings))


def _of_repository(files: Sequence[LocalFile], repo: str) -> Iterator[str]:
    """Yield what would keep people from loading the repository."""
    script = repo.split("/")[1] + ".py"
    if any(file.path == script for file in files):
        yield f"{script}: `load_dataset` takes it for a loading script and refuses the dataset"


def refuse(contents: Contents, what: str, advice: str) -> None:
    """Refuse contents with faults, in one line.

    Raises:
        ValueError: If there are any.
    """
    found = contents.findings
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ValueError(f"{what} is not fit to be published: {found[0]}{more}; {advice}")


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
    other = strangers(remote.files)
    if other and not force:
        raise HubError(
            f"{target.repo} holds something else ({len(other)} files, such as {other[0]}); "
            "choose another name, or push into it with --force"
        )
    return plan_for(contents, target, remote, prune=prune)


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
    commit, revision = plan.remote.commit, target.revision
    with plainly(target.repo, target.token):
        _check_tag(plan)
        if not plan.is_done or commit is None:
            commit, revision = upload(
                api, target, plan.remote, plan.difference, progress, prune=plan.prune
            )
    _verify(api, plan, commit)
    if target.tag is not None:
        with plainly(target.repo, target.token):
            patiently(partial(_tag, api, target, commit))
    return Pushed(
        repo=target.repo, commit=commit, revision=revision, new_bytes=plan.difference.send_bytes
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
