"""Configs beside others that are on the Hub already: whether they are of one dataset, and one card.

The others stay as they are. Where they are in the folder, too, and the same, the card describes all
of them; else its page tells of those that are pushed, and its YAML of all, so that all can be
loaded.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from sousa.cards import rules
from sousa.cards.contents import Contents
from sousa.cards.facts import DEFAULT
from sousa.cards.failures import HubError
from sousa.cards.front_matter import dump, load, split_card
from sousa.cards.listing import (
    MANIFEST,
    README,
    LocalFile,
    configs_of,
    measured,
    narrowed,
    parsed,
)
from sousa.cards.remote import Remote

LISTS: Final = ("configs", "dataset_info")
"""Keys of a card's YAML that have one entry for each config."""

SHOWN: Final = 60
"""Letters of a value that are shown."""


def others_of(contents: Contents, remote: Remote) -> frozenset[str]:
    """Return the configs on the Hub that stay there beside those that are pushed.

    Raises:
        HubError: If only some configs of the folder are pushed, and those on the Hub are of another
            dataset. With all of them, others are left over from an older one.
    """
    others = configs_of(remote.files) - configs_of(file.path for file in contents.files)
    there = parsed(remote.contents.get(MANIFEST, b""))
    reason = next(_disagreements(contents.manifest, there), None) if others else None
    if reason is None:
        return frozenset(others)
    if not contents.is_part:
        return frozenset()
    raise HubError(
        f"the Hub has other configs ({', '.join(sorted(others))}), of another dataset: {reason}; "
        "push these with the others of theirs, or give --prune to remove those"
    )


def _disagreements(
    here: Mapping[str, Any] | None, there: Mapping[str, Any] | None
) -> Iterator[str]:
    """Yield what keeps the configs of two manifests from being of one dataset, a line each."""
    if here is None or there is None:
        yield f"{MANIFEST} is missing or damaged {'here' if here is None else 'there'}"
        return
    mine, theirs = _made(here), _made(there)
    for key in sorted(mine.keys() | theirs.keys()):
        if mine.get(key) != theirs.get(key):
            yield f"{key} is {_short(theirs.get(key))} there, {_short(mine.get(key))} here"


def _made(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides what is in all configs."""
    plan = manifest.get("plan")
    made = dict(plan) if isinstance(plan, dict) else {}
    made.pop("configs", None)
    return made | {"schema_version": manifest.get("schema_version")}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def beside(contents: Contents, remote: Remote, others: Collection[str]) -> Contents:
    """Return contents that leave other configs on the Hub where they are, and record them.

    Args:
        contents: Of the configs that are pushed.
        remote: What the Hub has.
        others: Names of its other configs.
    """
    here = dict(contents.manifest or {"shards": []})
    there = parsed(remote.contents.get(MANIFEST, b"")) or {"shards": []}
    same = {name for name in others if _shards(here, name) == _shards(there, name) != []}
    shards = [each for each in here["shards"] if _config(each) not in set(others) - same]
    shards += [each for each in there["shards"] if _config(each) in set(others) - same]
    plan = here.get("plan")
    if isinstance(plan, dict) and isinstance(plan.get("configs"), list):
        names = dict.fromkeys([*plan["configs"], *sorted(others)])
        here["plan"] = plan | {"configs": list(names)}
    recorded = narrowed({**here, "shards": shards}, {*contents.configs, *others})
    files = {file.path: file for file in contents.files}
    files[MANIFEST] = LocalFile.of(MANIFEST, json.dumps(recorded, indent=1).encode() + b"\n")
    described, page = (*contents.configs, *sorted(same)), contents.page
    if same and contents.recompose is not None:
        page = contents.recompose(described, None)
        files |= {file.path: file for file in measured(page.files)}
    return replace(
        contents,
        files=tuple(files.values()),
        covers=lambda path: path.partition("/")[0] not in others,
        configs=described,
        page=page,
    )


def _shards(manifest: Mapping[str, Any], config: str) -> list[dict[str, Any]]:
    return [each for each in manifest["shards"] if _config(each) == config]


def _config(shard: Mapping[str, Any]) -> str:
    return str(shard.get("path")).partition("/")[0]


def with_others(contents: Contents, remote: Remote, *, force: bool) -> Contents:
    """Return contents whose card has in its YAML the configs that only the Hub has, too.

    Raises:
        HubError: If that card breaks rules of the Hub.
    """
    card = next(file for file in contents.files if file.path == README)
    yaml, page = split_card(card.content.decode("utf-8"))
    old, _ = split_card(remote.contents.get(README, b"").decode("utf-8", "replace"))
    new = load(yaml)
    text = f"---\n{dump({**new, **joined(new, load(old), contents.configs)})}---\n{page}"
    listed = {file.path for file in contents.files} | remote.files.keys()
    if (bad := rules.check(text, listed=listed)) and not force:
        raise HubError(f"{README}: {bad[0]}; mend it, or give --force")
    new_card = LocalFile.of(README, text.encode("utf-8"))
    files = tuple(new_card if file is card else file for file in contents.files)
    return replace(contents, files=files)


def joined(
    new: Mapping[str, Any], old: Mapping[str, Any], configs: Collection[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the lists of a card's YAML: some configs as a new card has them, others as an old one.

    One may be the default; `datasets` takes the name alone for that, too.
    """
    lists = {}
    for key in LISTS:
        others = [each for each in _entries(old, key) if each["config_name"] not in configs]
        added = [each for each in _entries(new, key) if each["config_name"] in configs]
        if DEFAULT in configs:
            others = [_no_default(each) for each in others]
        elif any(each.get("default") or each["config_name"] == DEFAULT for each in others):
            added = [_no_default(each) for each in added]
        lists[key] = [*others, *added]
    return lists


def _no_default(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "default"}


def _entries(content: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the entries of a list, of which a single one may stand alone."""
    found = content.get(key, [])
    entries = found if isinstance(found, list) else [found]
    return [{"config_name": DEFAULT} | entry for entry in entries if isinstance(entry, dict)]
