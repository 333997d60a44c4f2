"""A dataset's name on the Hub becomes its Parquet files at one commit, listed or downloaded."""

import glob
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from datasets import DatasetInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard, HfApi, get_cached_repo_tree
from huggingface_hub.errors import OfflineModeIsEnabled, RevisionResolutionError
from tqdm.auto import tqdm

from sousa.loaders.access import At, asked
from sousa.loaders.pages import Patience, is_transient, reason_of

CARD: Final = "README.md"

COMMIT: Final = re.compile(r"[0-9a-f]{40}")

ANSWER_SEC: Final = 10.0
"""How long the Hub may take to answer, before the cache is asked."""

LOG: Final = logging.getLogger("sousa.loaders")

PARQUET: Final = re.compile(r"([\w][\w.-]*)/(\w+(?:\.\w+)*)-\d{5}-of-\d{5}\.parquet", re.ASCII)
"""Path of a shard in a repository: config, split, number."""


class NoBar(tqdm):  # type: ignore[misc]  # has no types
    """A bar that is not shown: a card is no download to speak of."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"disable": True})


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the Hub.

    Attributes:
        path: In the repository.
        size: In bytes.
        oid: What tells its content from any other.
    """

    path: str
    size: int
    oid: str


@dataclass(frozen=True, slots=True)
class Published:
    """A dataset on the Hub at one commit.

    Attributes:
        name: `org/name`.
        commit: Which one.
        at: How it was asked for.
        files: Parquet files by config and split.
        infos: What its card says about each config, where that is about these very files.
    """

    name: str
    commit: str
    at: At
    files: Mapping[str, Mapping[str, list[RemoteFile]]]
    infos: Mapping[str, DatasetInfo]

    def rows(self, config: str, splits: Sequence[str]) -> int | None:
        """Return how many rows some splits have, if the card tells."""
        counted = self.infos[config].splits or {} if config in self.infos else {}
        rows = [counted[split].num_examples for split in splits if split in counted]
        known = len(rows) == len(splits) and all(isinstance(n, int) and n > 0 for n in rows)
        return sum(rows) if known else None

    def download(self, files: Sequence[RemoteFile]) -> list[Path]:
        """Return where some files are in the cache of `huggingface_hub`, downloaded if need be.

        Raises:
            OSError: If one cannot be had.
        """
        if not files:
            return []
        api = HfApi(token=self.at.token)
        folder = asked(
            lambda: api.snapshot_download(
                self.name,
                repo_type="dataset",
                revision=self.commit,
                allow_patterns=[glob.escape(file.path) for file in files],
            ),
            self.name,
            self.at,
            Patience(),
        )
        paths = [Path(folder) / file.path for file in files]
        for path, file in zip(paths, files, strict=True):
            if path.stat().st_size != file.size:
                raise OSError(
                    f"{path} has {path.stat().st_size} bytes, on the Hub it has {file.size}: "
                    "remove it, to have it downloaded again"
                )
        return paths


def published(name: str, at: At) -> Published:
    """Return what the Hub has under a name; without a connection, what the cache knows of it.

    Nothing but the list of files and the card is fetched, and nothing is executed. What the card
    says about files is looked up in that list, so that it leads nowhere else.

    Raises:
        FileNotFoundError: If there is no such dataset or revision, or it holds no Parquet files.
        ConnectionError: If the Hub cannot be reached, and the cache does not know the dataset.
        HubError: If the Hub refuses.
    """
    api = HfApi(token=at.token)

    def found() -> Path:
        revision = reachable(api, name, at.revision)
        return Path(
            api.snapshot_download(
                name,
                repo_type="dataset",
                revision=revision,
                allow_patterns=[CARD],
                tqdm_class=NoBar,
            )
        )

    try:
        folder = asked(found, name, at, Patience())
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"no folder {name}, and as a dataset on the Hub it cannot be had: {error}"
        ) from None
    listed = [
        RemoteFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id)
        for entry in get_cached_repo_tree(name, repo_type="dataset", revision=folder.name)
    ]
    shards = sorted(
        (file for file in listed if is_inside(file.path) and file.path.endswith(".parquet")),
        key=lambda file: file.path,
    )
    configs, infos = described(folder / CARD)
    files = by_card(configs, shards) or by_folder(shards)
    if not files:
        raise FileNotFoundError(
            f"{name} on the Hub holds no <config>/<split>-00000-of-00001.parquet, and its card "
            "names no Parquet files; for other files pass what datasets.load_dataset returns"
        )
    fitting = {config: info for config, info in infos.items() if fits(info, files, config)}
    return Published(name, folder.name, at, files, fitting)


def reachable(api: HfApi, name: str, revision: str | None) -> str | None:
    """Return a revision if the Hub answers soon, else the commit that the cache has for it.

    Raises:
        Exception: What the client raises, if the Hub refuses, or the cache does not know it.
    """
    if revision is not None and COMMIT.fullmatch(revision):
        return revision  # there is nothing to ask
    try:
        api.repo_info(name, repo_type="dataset", revision=revision, timeout=ANSWER_SEC)
    except Exception as error:
        if not (is_transient(error) or isinstance(error, OfflineModeIsEnabled)):
            raise
        try:
            cached = api.resolve_revision(
                name, repo_type="dataset", revision=revision, local_files_only=True
            )
        except RevisionResolutionError:
            raise error from None
        reason = reason_of(error)
        LOG.warning("%s: no Hub (%s), so commit %s of the cache", name, reason, cached.resolved)
        return cached.resolved
    return revision


def is_inside(path: str) -> bool:
    """Return whether a path of a listing leads to a file in its repository, and not a hidden one.

    Examples:
        >>> is_inside("audio/train-00000-of-00001.parquet"), is_inside("a/../../b.parquet")
        (True, False)
    """
    parts = path.split("/")
    return "\\" not in path and all(part and not part.startswith(".") for part in parts)


def described(card: Path) -> tuple[Any, Mapping[str, DatasetInfo]]:
    """Return what a card says about files and about configs; nothing if it cannot be read."""
    if not card.is_file():
        return (), {}
    configs: Any = ()
    try:
        data = DatasetCard(card.read_text(encoding="utf-8"), ignore_metadata_errors=True).data
        configs = data.get("configs")
        infos = DatasetInfosDict.from_dataset_card_data(data)
        known = {name: info for name, info in infos.items() if info.features}
        for info in known.values():
            _ = info.features.arrow_schema  # can be made, or it is of no use
    except Exception:  # any kind comes of what strangers wrote; the files speak for themselves
        return configs, {}
    return configs, known


def fits(info: DatasetInfo, files: Mapping[str, Mapping[str, list[RemoteFile]]], name: str) -> bool:
    """Return whether the description of a config was made of the files that it has."""
    sizes = [file.size for split in files.get(name, {}).values() for file in split]
    return bool(sizes) and info.download_size == sum(sizes)


def by_card(configs: Any, shards: Sequence[RemoteFile]) -> dict[str, dict[str, list[RemoteFile]]]:
    """Return files by config and split, as the YAML of a card has it."""
    found: dict[str, dict[str, list[RemoteFile]]] = {}
    for entry in configs if isinstance(configs, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("config_name"), str):
            continue
        for split, pattern in patterns(entry.get("data_files")):
            for file in (each for each in shards if matches(each.path, pattern)):
                of_split = found.setdefault(entry["config_name"], {}).setdefault(split, [])
                if file not in of_split:
                    of_split.append(file)
    return found


def patterns(data_files: Any) -> list[tuple[str, str]]:
    """Return the split of each pattern of a config, in the forms that `datasets` takes."""
    found: list[tuple[str, str]] = []
    for each in data_files if isinstance(data_files, list) else [data_files]:
        parts = each if isinstance(each, dict) else {"split": "train", "path": each}
        split, path = parts.get("split"), parts.get("path")
        of_split = path if isinstance(path, list) else [path]
        found += [(str(split), pattern) for pattern in of_split if isinstance(pattern, str)]
    return found


def matches(path: str, pattern: str) -> bool:
    """Return whether a pattern means a path: only `**` stands for several folders.

    Examples:
        >>> matches("audio/a.parquet", "audio/*"), matches("audio/x/a.parquet", "audio/*")
        (True, False)
    """
    deep = "**" in pattern or path.count("/") == pattern.count("/")
    return deep and fnmatchcase(path, pattern)


def by_folder(shards: Sequence[RemoteFile]) -> dict[str, dict[str, list[RemoteFile]]]:
    """Return files by config and split, as they lie."""
    found: dict[str, dict[str, list[RemoteFile]]] = {}
    for file in shards:
        if name := PARQUET.fullmatch(file.path):
            found.setdefault(name[1], {}).setdefault(name[2], []).append(file)
    return found
