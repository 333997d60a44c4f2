"""Splits that a user prepared with `datasets` to a config of a repository on the Hub."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

import pyarrow.parquet as pq
from datasets import is_progress_bar_enabled
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from sousa.cards import card, rules
from sousa.cards.failures import plainly
from sousa.cards.front_matter import dump, load, split_card
from sousa.cards.listing import MANIFEST, README, LocalFile, files_in, measured
from sousa.cards.prepared import NAME, Split, Splits, splits_of, write_config
from sousa.cards.push import Contents, Plan, Pushed, carry_out, plan_for, refuse
from sousa.cards.remote import MAIN, MESSAGE, Remote, Target, read_remote, read_token
from sousa.cards.transfer import Transfer

TAKEN: Final = ("card", "tokenizers")
"""Folders of a dataset that are no configs."""

LISTS: Final = ("configs", "dataset_info")
"""Keys of a card's YAML that have one entry for each config."""


class Options(TypedDict, total=False):
    """Further options of `push_splits`.

    Attributes:
        private: Make a new repository private.
        revision: Branch, made if it is not there; None is the main one.
        create_pr: Open a pull request instead of writing to the branch.
        tag: Name for the pushed commit, once it is verified.
        message: Of the commit.
        token: Of the Hub; None takes what `huggingface_hub` finds.
    """

    private: bool
    revision: str | None
    create_pr: bool
    tag: str | None
    message: str
    token: str | None


def push_splits(
    data: Split | Splits,
    repo: str,
    *,
    config: str = "default",
    prune: bool = False,
    **options: Unpack[Options],
) -> Pushed:
    """Publish prepared splits as one config of a dataset, and prove that they arrived.

    The rows are written as they are now, filtered, sorted, resampled or with columns added, to
    shards in the layout of a built dataset: media as encoded bytes, features as declared. Audio
    that is stored at another rate than its feature declares is resampled. Other configs of the
    repository, and their part of the card, stay as they are.

    Rows pass through a temporary folder, which needs as much room as they take on the Hub; in
    memory are a few row groups. An interrupted push goes on when it is called again.

    Args:
        data: The splits; a single one is `train` unless it is named.
        repo: `org/name`; made when it is not there.
        config: Name of the config.
        prune: Remove shards of the config that are left over from an older push.
        **options: See `Options`.

    Returns:
        The commit that was verified.

    Raises:
        HubError: If the Hub refuses, or the connection is lost.
        TypeError: If `data` is nothing of `datasets`.
        ValueError: If a name is not allowed, a split is empty, or splits differ in features.
    """
    if not NAME.fullmatch(config) or config in TAKEN:
        raise ValueError(f"config must be a name such as default, got {config!r}")
    splits = splits_of(data)
    target = Target(
        repo=repo,
        private=options.get("private", False),
        revision=options.get("revision") or MAIN,
        create_pr=options.get("create_pr", False),
        tag=options.get("tag"),
        message=options.get("message", MESSAGE),
        token=options.get("token") or read_token(None),
    )
    with tempfile.TemporaryDirectory(prefix="sousa-push-") as scratch:
        folder = Path(scratch)
        with plainly(repo, target.token):
            remote = read_remote(HfApi(token=target.token), target)
        write_config(splits, folder / config)
        plan = _plan(folder, config, target, remote, prune=prune)
        refuse(plan.contents, f"config {config}", "mend the card of the repository")
        if not is_progress_bar_enabled():
            return carry_out(plan)
        with Transfer(plan.difference.send_bytes) as progress:
            return carry_out(plan, progress)


def _plan(folder: Path, config: str, target: Target, remote: Remote, *, prune: bool) -> Plan:
    """Return what to do to have a config, and a card that tells of it, in a repository."""
    shards = measured(dict(files_in(folder)))
    with plainly(target.repo, target.token):
        there = {name: _content(target, remote, name) for name in (README, MANIFEST)}
    described = dict(card.compose(folder, place=target.repo).files)
    if there[README] is not None:
        described = _joined(described, there[README].decode("utf-8"), config)
    if there[MANIFEST] is not None:
        described[MANIFEST] = _recorded(there[MANIFEST], shards, config)
    text = described[README].decode("utf-8")
    files = (*shards, *measured(dict(described)))
    listed = {file.path for file in files} | remote.files.keys()
    contents = Contents(
        files=files,
        findings=tuple(f"{README}: {line}" for line in rules.check(text, listed=listed)),
        covers=lambda path: path.startswith(f"{config}/"),
    )
    return plan_for(contents, target, remote, prune=prune)


def _content(target: Target, remote: Remote, name: str) -> bytes | None:
    """Return a small file of a repository; None if it is not there."""
    if name not in remote.files:
        return None
    try:
        path = hf_hub_download(
            target.repo, name, repo_type="dataset", revision=remote.commit, token=target.token
        )
    except EntryNotFoundError:
        return None
    return Path(path).read_bytes()


def _joined(described: Mapping[str, bytes], old: str, config: str) -> dict[str, bytes]:
    """Return what describes a config beside others: their page, and the YAML of all.

    Raises:
        ValueError: If the YAML of the page that is there cannot be read.
    """
    old_yaml, page = split_card(old)
    kept = load(old_yaml)
    others = {key: _entries(kept, key, config) for key in LISTS}
    if not others["configs"]:
        return dict(described)
    new = load(split_card(described[README].decode("utf-8"))[0])
    for key in LISTS:
        added = [entry for entry in _listed(new, key) if entry.get("config_name") == config]
        if any(entry.get("default") for entry in others[key]):
            added = [{k: v for k, v in entry.items() if k != "default"} for entry in added]
        kept[key] = [*others[key], *added]
    return {README: f"---\n{dump(kept)}---\n{page}".encode()}


def _entries(content: Mapping[str, Any], key: str, config: str) -> list[dict[str, Any]]:
    return [e for e in _listed(content, key) if e.get("config_name", "default") != config]


def _listed(content: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the entries of a list, of which a single one may stand alone."""
    found = content.get(key, [])
    entries = found if isinstance(found, list) else [found]
    return [{"config_name": "default"} | entry for entry in entries if isinstance(entry, dict)]


def _recorded(manifest: bytes, shards: tuple[LocalFile, ...], config: str) -> bytes:
    """Return a manifest that records the shards of a config as they are now."""
    content = json.loads(manifest)
    if not isinstance(content, dict) or not isinstance(content.get("shards"), list):
        return manifest
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
