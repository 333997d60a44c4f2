"""Splits that a user prepared with `datasets` to a config of a repository on the Hub."""

import json
import re
import tempfile
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from datasets import is_progress_bar_enabled
from huggingface_hub import HfApi

from sousa.cards import card, rules
from sousa.cards.beside import joined
from sousa.cards.contents import Contents, refuse
from sousa.cards.edits import written
from sousa.cards.failures import HubError, plainly
from sousa.cards.front_matter import dump, load, split_card
from sousa.cards.listing import MANIFEST, README, LocalFile, configs_of, files_in, measured, parsed
from sousa.cards.prepared import NAME, Split, Splits, splits_of, write_config
from sousa.cards.push import Pushed, carry_out, plan_for, refuse_strangers
from sousa.cards.remote import Remote, read_remote
from sousa.cards.rights import require_rights
from sousa.cards.target import MAIN, MESSAGE, Target, read_token
from sousa.cards.transfer import Transfer

TAKEN: Final = re.compile(
    r"card|tokenizers|"
    r"(readme|manifest|splits|croissant|licen[cs]e|notice|citation|changelog|dataset_infos?)(\.\w+)?",
    re.ASCII | re.IGNORECASE,
)
"""Names of folders and files that datasets have, and that are no configs."""


def push_splits(  # noqa: PLR0913 - each is one option of a push
    data: Split | Splits,
    repo: str,
    *,
    config: str = "default",
    prune: bool = False,
    force: bool = False,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    tag: str | None = None,
    message: str = MESSAGE,
    token: str | None = None,
) -> Pushed:
    """Publish prepared splits as one config of a dataset, and prove that they arrived.

    The rows are written as they are now, filtered, sorted, resampled or with columns added, to
    shards in the layout of a built dataset: media as encoded bytes, features as declared. Audio
    that is stored at another rate than its feature declares is resampled. Other configs of the
    repository, what people wrote into its card, and other files stay as they are.

    Rows pass through a temporary folder, which needs as much room as they take on the Hub; in
    memory are a few row groups. An interrupted push goes on when it is called again.

    Args:
        data: The splits; a single one is `train` unless it is named.
        repo: `org/name`; made when it is not there.
        config: Name of the config.
        prune: Remove shards of the config that are left over from an older push.
        force: Push into a repository that holds something else; its page and files stay.
        private: Make a new repository private.
        revision: Branch, made if it is not there; None is the main one.
        create_pr: Open a pull request instead of writing to the branch.
        tag: Name for the pushed commit, once it is verified.
        message: Of the commit.
        token: Of the Hub; None takes what `huggingface_hub` finds.

    Returns:
        The commit that was verified.

    Raises:
        HubError: If the Hub refuses, the connection is lost, or the repository holds something
            else.
        TypeError: If `data` is nothing of `datasets`.
        ValueError: If a name is not allowed, a split is empty, or splits differ in features.
    """
    if not NAME.fullmatch(config) or TAKEN.fullmatch(config) or len(config) > rules.LONGEST_NAME:
        raise ValueError(f"config must be a name such as default, got {config!r:.60}")
    splits = splits_of(data)
    target = Target(
        repo=repo,
        private=private,
        revision=revision or MAIN,
        create_pr=create_pr,
        tag=tag,
        message=message,
        token=token or read_token(None),
    )
    with tempfile.TemporaryDirectory(prefix="sousa-push-") as scratch:
        folder = Path(scratch)
        require_rights(target)
        with plainly(repo, target.token):
            remote = read_remote(HfApi(token=target.token), target)
        if config in remote.files:
            raise HubError(f"{repo} has a file {config}; choose another name for the config")
        write_config(splits, folder / config)
        shards = measured(files_in(folder))
        if not force:
            refuse_strangers(shards, target, remote, "push beside it with force=True")
        contents = _contents(folder, config, shards, target, remote)
        refuse(contents, f"config {config}", "mend the card of the repository")
        plan = plan_for(contents, target, remote, prune=prune)
        if not is_progress_bar_enabled():
            return carry_out(plan)
        with Transfer(plan.difference.send_bytes) as progress:
            return carry_out(plan, progress)


def _contents(
    folder: Path, config: str, shards: tuple[LocalFile, ...], target: Target, remote: Remote
) -> Contents:
    """Return a config, and a card that tells of it, for a repository."""
    described = _described(folder, config, target, remote)
    described[MANIFEST] = _recorded(remote.contents.get(MANIFEST, b""), shards, config)
    text = described[README].decode("utf-8")
    files = (*shards, *measured(described))
    listed = {file.path for file in files} | remote.files.keys()
    return Contents(
        files=files,
        findings=tuple(f"{README}: {line}" for line in rules.check(text, listed=listed)),
        covers=lambda path: path.startswith(f"{config}/"),
    )


def _described(folder: Path, config: str, target: Target, remote: Remote) -> dict[str, bytes]:
    """Return the files of a card: anew where the config is alone, else with the page that is there.

    Raises:
        ValueError: If the card that is there cannot be read.
    """
    old = remote.contents.get(README, b"").decode("utf-8")
    there = written(old)
    alone = there.is_ours and not configs_of(remote.files) - {config}
    made = card.compose(folder, place=target.repo, keep=there if alone else None)
    return dict(made.files) if alone else _joined(made.text, old, config)


def _joined(described: str, old: str, config: str) -> dict[str, bytes]:
    """Return a card that tells of a config beside others: their page, and the YAML of all."""
    old_yaml, page = split_card(old)
    kept, new = load(old_yaml), load(split_card(described)[0])
    yaml = dump({**new, **kept, **joined(new, kept, {config})})
    return {README: f"---\n{yaml}---\n{page}".encode()}


def _recorded(manifest: bytes, shards: tuple[LocalFile, ...], config: str) -> bytes:
    """Return a manifest that records the shards of a config as they are now."""
    content = parsed(manifest) or {"shards": []}
    others = [s for s in content["shards"] if not str(s.get("path")).startswith(f"{config}/")]
    new = [
        {
            "path": file.path,
            "rows": pq.read_metadata(file.source).num_rows,
            "bytes": file.size,
            "sha256": file.sha256,
        }
        for file in shards
    ]
    return json.dumps(content | {"shards": [*others, *new]}, indent=1).encode() + b"\n"
