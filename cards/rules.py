"""What the Hub and `datasets` ask of a card's YAML, checked before anything is sent.

The Hub refuses a commit whose YAML breaks its rules, after the data was uploaded; `datasets` fails
for each user. Sources: `docs/hub/repositories-licenses.md` and `datasets-cards.md` of the Hub's
documentation, `packages/tasks/src/pipelines.ts` of huggingface.js, `DatasetCardData` of
huggingface_hub, `naming.py` and `utils/metadata.py` of `datasets`.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final

from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCardData

from sousa.cards.facts import DEFAULT
from sousa.cards.front_matter import LARGEST, SIZE_BOUNDS, load, split_card

LISTED: Final[Mapping[str, list[str]]] = json.loads(
    files("sousa.cards").joinpath("hub.json").read_text("utf-8")
)
"""The Hub's ids of licenses and tasks, as its documentation lists them."""


CREATORS: Final = ("found", "crowdsourced", "expert-generated", "machine-generated", "other")

CHOICES: Final[Mapping[str, Collection[str]]] = {
    **LISTED,
    "size_categories": (*SIZE_BOUNDS, LARGEST, "unknown", "other"),
    "annotations_creators": (*CREATORS, "no-annotation"),
    "language_creators": CREATORS,
    "multilinguality": ("monolingual", "multilingual", "translation", "other"),
}
"""Keys whose values are of a list."""

LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|code|multilingual")
"""ISO 639 codes, BCP 47 tags, and the Hub's two special values."""

SPLIT_NAME: Final = re.compile(r"\w+(\.\w+)*")
CONFIG_NAME_REFUSES: Final = re.compile(r'[<>:/\\|?*"\x00-\x1f]')
"""Marks that `datasets` refuses in the name of a config, for it becomes a folder of its cache."""

LONGEST_NAME: Final = 200
"""Characters of a name that becomes a folder; file systems end at 255 bytes."""

ALL: Final = "all"
"""No split may have this name: `datasets` means all splits by it."""

Findings = Iterator[str]


def check(
    text: str, folder: Path | None = None, *, listed: Collection[str] | None = None
) -> list[str]:
    """Return everything that is wrong with a card's YAML, one line each; none if it can be sent.

    Args:
        text: The whole README.md.
        folder: Holds the files that the YAML names; None leaves that out.
        listed: Paths of these files, instead of what is in `folder`.
    """
    first, *rest = text.splitlines() or [""]
    if first != "---" or "---" not in rest:
        return ["README.md must begin with YAML between two lines that are `---` and nothing else"]
    try:
        content = load(split_card(text)[0])
    except ValueError as error:
        return [str(error)]
    if listed is None and folder is not None:
        listed = [
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        ]
    findings = [line for rule in RULES for line in rule(content)]
    findings += _check_files(content, listed) if listed is not None else []
    return [" ".join(line.split()) for line in findings]


def _check_texts(content: Mapping[str, Any]) -> Findings:
    name = content.get("pretty_name")
    if not isinstance(name, str) or not name.strip() or len(name.splitlines()) > 1:
        yield f"pretty_name must be one line of text, is {name!r}"
    if "license" not in content:
        yield "license is missing: name one, `unknown` if nobody knows"
    for key in ("tags", "language", "source_datasets", *CHOICES):
        for value in _values(content, key):
            if not isinstance(value, str) or not value.strip():
                yield f"{key} must hold text, holds {value!r}; numbers, yes and no need quotes"


def _check_choices(content: Mapping[str, Any]) -> Findings:
    for key, allowed in CHOICES.items():
        for value in _texts(content, key):
            if value not in allowed:
                few = ", ".join(sorted(allowed)) if len(allowed) < 20 else "the Hub's list"
                yield f"{key} must be of {few}; is {value!r}"
    if "other" in _texts(content, "license") and not content.get("license_name"):
        yield "license `other` needs license_name, and license_link or a file LICENSE"
    for value in _texts(content, "language"):
        if not LANGUAGE.fullmatch(value):
            yield f"language must be an ISO 639 code of two or three letters, is {value!r}"


def _check_configs(content: Mapping[str, Any]) -> Findings:
    configs = content.get("configs")
    if not isinstance(configs, list) or not all(isinstance(entry, dict) for entry in configs):
        yield f"configs must be a list with a config_name and data_files each, is {configs!r:.60}"
        return
    names = [entry.get("config_name") for entry in configs]
    yield from _config_names(names)
    defaults = [e for e in configs if e.get("default") is True or e.get("config_name") == DEFAULT]
    if len(defaults) > 1 or (len(configs) > 1 and not defaults):
        yield f"one config must be the default; {len(defaults)} of {len(configs)} are"
    for entry in configs:
        for problem in _data_files(entry):
            yield f"config {entry.get('config_name')!r}: {problem}"


def _config_names(names: list[Any]) -> Findings:
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
            yield f"config_name must be text of at most {LONGEST_NAME} characters, is {name!r:.60}"
        elif CONFIG_NAME_REFUSES.search(name) or name.startswith("."):
            yield f'config_name must do without <>:/\\|?*" and a dot in front, is {name!r}'
    for name, times in Counter(map(str, names)).items():
        if times > 1:
            yield f"config_name {name!r} occurs {times} times"


def _data_files(entry: Mapping[str, Any]) -> Findings:
    files = entry.get("data_files")
    if not isinstance(files, list) or not files:
        yield "data_files must be a list of split and path"
        return
    for item in files:
        split = item.get("split") if isinstance(item, dict) else None
        if not isinstance(split, str) or not SPLIT_NAME.fullmatch(split):
            yield f"a split must be named by letters, digits, _ and dots, is {split!r}"
        elif split == ALL or len(split) > LONGEST_NAME:
            yield f"a split must have another name, of up to {LONGEST_NAME} letters: {split!r:.60}"
        for pattern in _patterns(item):
            inside = PurePosixPath(str(pattern))
            if not isinstance(pattern, str) or inside.is_absolute() or ".." in inside.parts:
                yield f"a path must lie in the dataset, is {pattern!r}"


def _check_infos(content: Mapping[str, Any]) -> Findings:
    infos = content.get("dataset_info")
    if not infos:
        return
    try:
        found = DatasetInfosDict.from_dataset_card_data(DatasetCardData(dataset_info=infos))
    except Exception as error:  # `datasets` raises whatever its parsing meets
        yield f"dataset_info cannot be read by `datasets`: {type(error).__name__}: {error}"
        return
    configs = {e.get("config_name"): e for e in _configs(content)}
    for name, info in found.items():
        if name not in configs:
            yield f"dataset_info describes the config {name!r}, which configs does not have"
            continue
        files = configs[name].get("data_files")
        splits = [f.get("split") for f in files or () if isinstance(f, dict)]
        if info.splits and set(info.splits) != set(splits):
            stated = ", ".join(map(str, info.splits))
            named = ", ".join(map(str, splits))
            yield f"config {name!r}: dataset_info has the splits {stated}; data_files {named}"


def _check_files(content: Mapping[str, Any], listed: Collection[str]) -> Findings:
    for entry in _configs(content):
        for item in entry.get("data_files") or ():
            for pattern in _patterns(item):
                if not any(fnmatchcase(path, str(pattern)) for path in listed):
                    yield f"config {entry.get('config_name')!r}: no file is named {pattern}"


def _configs(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    configs = content.get("configs")
    return [e for e in configs if isinstance(e, dict)] if isinstance(configs, list) else []


def _patterns(item: object) -> list[Any]:
    path = item.get("path") if isinstance(item, dict) else item
    return path if isinstance(path, list) else [path]


def _values(content: Mapping[str, Any], key: str) -> list[Any]:
    value = content.get(key, [])
    return value if isinstance(value, list) else [value]


def _texts(content: Mapping[str, Any], key: str) -> list[str]:
    return [value for value in _values(content, key) if isinstance(value, str) and value.strip()]


RULES: Final[tuple[Callable[[Mapping[str, Any]], Findings], ...]] = (
    _check_texts,
    _check_choices,
    _check_configs,
    _check_infos,
)
