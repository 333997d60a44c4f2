"""Files to commits on the Hub.

Contents go first, in small batches that nobody sees; then one commit makes all of them visible at
once. So a repository is never half pushed, and contents that arrived are not sent again when a
killed push is run anew: LFS storage knows them by their sha256, Xet storage by their chunks. Only
what does not fit in one commit takes several, in the last of which the card and the manifest come;
the first has the card that is there, narrowed to the shards that are, so that no row is read twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError

from sousa.cards.batches import Addition, send_all
from sousa.cards.difference import Difference, of_now
from sousa.cards.failures import HubError, may_pass, patiently
from sousa.cards.listing import README, LocalFile, Progress
from sousa.cards.remote import Remote, RemoteFile, files_at, head
from sousa.cards.target import MAIN, Target

COMMIT_FILES: Final = 25_000
"""Files of a commit: the limit that `huggingface_hub` states for those in LFS and Xet storage."""

CONFLICT: Final = (409, 412)
"""The branch has moved on, or is just being written to."""

Operation = CommitOperationAdd | CommitOperationDelete


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What an upload has done.

    Attributes:
        commit: The last one.
        revision: Branch or pull request that it is on.
        sent_bytes: What the Hub's storage did not know, as far as the client tells.
    """

    commit: str
    revision: str
    sent_bytes: int


def upload(
    api: HfApi,
    target: Target,
    remote: Remote,
    found: Difference,
    progress: Progress,
    *,
    prune: bool,
) -> Uploaded:
    """Send what is to be sent, and make it visible.

    Raises:
        HubError: If somebody else writes there, or to the files, meanwhile.
        Exception: What the client raises.
    """
    commit = remote.commit or _new_repository(api, target)
    if not (remote.has_revision or target.create_pr or target.revision == MAIN):
        patiently(partial(_make_branch, api, target, commit))
    files = sorted(found.send, key=lambda file: not file.is_shard)
    additions = [Addition.of(file) for file in files]
    removals = [CommitOperationDelete(file.path, is_folder=False) for file in found.older]
    sent_bytes = send_all(
        files, additions, partial(_send, api, target), _require_unchanged, progress
    )
    operations: list[Operation] = [*additions, *(removals if prune else [])]
    num_shards = sum(file.is_shard for file in files)
    if num_shards and len(operations) > COMMIT_FILES and README in remote.contents:
        card = remote.contents[README].decode("utf-8", "replace")
        now = LocalFile.of(README, of_now(card, remote.files).encode("utf-8"))
        operations, num_shards = [Addition.of(now), *operations], num_shards + 1
    sent_bytes += sum(each.upload_info.size for each in additions if not each._is_uploaded)
    commit, revision = _commit_all(api, target, commit, operations, num_shards)
    return Uploaded(commit, revision, sent_bytes)


def _new_repository(api: HfApi, target: Target) -> str:
    """Make the repository and return its first commit."""
    private = target.private or None  # None leaves it to the settings of the organization
    patiently(
        lambda: api.create_repo(target.repo, repo_type="dataset", private=private, exist_ok=True)
    )
    return head(api, target.repo, MAIN)


def _make_branch(api: HfApi, target: Target, commit: str) -> None:
    api.create_branch(
        target.repo, repo_type="dataset", branch=target.revision, revision=commit, exist_ok=True
    )


def _send(api: HfApi, target: Target, additions: list[Addition]) -> None:
    """Send the contents of large files; small ones come in the commit."""
    api.preupload_lfs_files(
        target.repo,
        additions,
        repo_type="dataset",
        revision=target.revision,
        create_pr=target.create_pr,
        free_memory=False,
    )


def _require_unchanged(files: Sequence[LocalFile]) -> None:
    """Refuse files that are others than were measured: Xet storage takes their hashes on trust.

    Raises:
        HubError: If one is.
    """
    for file in files:
        if not file.is_unchanged:
            raise HubError(f"{file.path} was changed while it was pushed; run the command again")


def _commit_all(
    api: HfApi, target: Target, parent: str, operations: Sequence[Operation], num_shards: int
) -> tuple[str, str]:
    """Commit everything and return the last commit, and the revision that it is on.

    The first `num_shards` operations may be spread over several commits; the others, the card
    among them, are all in the last.
    """
    if not operations:  # a new branch may be all there is to do
        return parent, target.revision
    last = min(num_shards, max(0, len(operations) - COMMIT_FILES))
    starts = [*range(0, last, COMMIT_FILES), last]
    revision, create_pr = target.revision, target.create_pr
    for number, start in enumerate(starts, 1):
        stop = starts[number] if number < len(starts) else len(operations)
        part = f" (part {number} of {len(starts)})" if len(starts) > 1 else ""
        parent, opened = _commit(
            api,
            target,
            operations[start:stop],
            parent,
            (revision, target.message + part, create_pr),
        )
        revision, create_pr = opened or revision, False
    return parent, revision


def _commit(
    api: HfApi,
    target: Target,
    operations: Sequence[Operation],
    parent: str,
    how: tuple[str, str, bool],
) -> tuple[str, str | None]:
    """Commit on top of a commit that is known, so that a lost reply does no harm."""
    revision, message, create_pr = how

    def once() -> tuple[str, str | None]:
        try:
            info = api.create_commit(
                target.repo,
                operations,
                repo_type="dataset",
                revision=revision,
                commit_message=message,
                create_pr=create_pr,
                parent_commit=parent,
            )
        except Exception as error:
            if create_pr or not (_is_conflict(error) or may_pass(error)):
                raise
            moved_to = head(api, target.repo, revision)
            if moved_to == parent:
                raise
            if not _holds(api, target.repo, moved_to, operations):
                raise HubError(
                    f"somebody else has written to {target.repo} meanwhile; run the command again"
                ) from error
            return moved_to, None
        return info.oid, info.pr_revision if create_pr else None

    return once() if create_pr else patiently(once)


def _is_conflict(error: Exception) -> bool:
    return isinstance(error, HfHubHTTPError) and error.response.status_code in CONFLICT


def _holds(api: HfApi, repo: str, commit: str, operations: Sequence[Operation]) -> bool:
    """Return whether operations were done, though no reply said so."""
    there = files_at(api, repo, commit)
    return all(_is_done(each, there.get(each.path_in_repo)) for each in operations)


def _is_done(operation: Operation, there: RemoteFile | None) -> bool:
    if there is None or isinstance(operation, CommitOperationDelete):
        return there is None and isinstance(operation, CommitOperationDelete)
    info = operation.upload_info
    return there.size == info.size and there.sha256 in (None, info.sha256.hex())
