"""Facts to the YAML at the head of a card, by which `datasets` and the Hub read the folder."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # has no types of its own
from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs, _NoDuplicateSafeLoader
from huggingface_hub import DatasetCardData

from sousa.cards.facts import ConfigFacts, Facts

SIZE_BOUNDS: Final = {
    "n<1K": 1_000,
    "1K<n<10K": 10_000,
    "10K<n<100K": 100_000,
    "100K<n<1M": 1_000_000,
    "1M<n<10M": 10_000_000,
    "10M<n<100M": 100_000_000,
    "100M<n<1B": 1_000_000_000,
    "1B<n<10B": 10_000_000_000,
    "10B<n<100B": 100_000_000_000,
    "100B<n<1T": 1_000_000_000_000,
}
"""The Hub's size categories, each with the number of rows that is too many for it."""

LARGEST: Final = "n>1T"
"""The category of all that is larger."""

COUNTED: Final = ("size_categories", "configs", "dataset_info")
"""Keys that say what the shards hold: always written anew. Of all others, what stands in the card
already is kept, so that a license or a tag can be changed by hand."""

UNKNOWN: Final = "unknown"
"""The Hub's word for a license that nobody stated."""


def front_matter(facts: Facts, *, title: str, kept: Mapping[str, Any] | None = None) -> str:
    """Return the YAML, without its fences.

    Args:
        facts: What the dataset holds.
        title: Its pretty name.
        kept: The YAML that the card has so far.
    """
    data = DatasetCardData(**_described(facts, title))
    infos = {name: _info(config) for name, config in facts.configs.items()}
    DatasetInfosDict(infos).to_dataset_card_data(data)
    MetadataConfigs(
        {
            name: {
                "data_files": [
                    {"split": split, "path": f"{name}/{split}-*"} for split in config.splits
                ],
            }
            | ({"default": True} if name == facts.default else {})
            for name, config in facts.configs.items()
        }
    ).to_dataset_card_data(data)
    content: dict[str, Any] = data.to_dict()  # type: ignore[no-untyped-call]
    listed = content["configs"]
    listed.sort(key=lambda entry: [*facts.configs].index(entry["config_name"]))
    content["dataset_info"] = _in_order(content["dataset_info"], [*facts.configs])
    by_hand = {key: value for key, value in (kept or {}).items() if key not in COUNTED}
    return dump(content | by_hand)


def dump(content: Mapping[str, Any]) -> str:
    """Return YAML in the form that the Hub's own tools write."""
    text: str = yaml.safe_dump(
        dict(content), sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text


def load(text: str) -> dict[str, Any]:
    """Return the content of YAML, as the Hub and `datasets` read it.

    Raises:
        ValueError: If it is no YAML, holds a key twice, or no mapping.
    """
    try:
        content = yaml.load(text, _NoDuplicateSafeLoader)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        cause = " ".join(str(error).split())
        raise ValueError(f"the YAML of the card cannot be read: {cause}") from error
    if not isinstance(content or {}, dict):
        raise ValueError(f"the YAML of the card must be a mapping, is a {type(content).__name__}")
    return {str(key): value for key, value in (content or {}).items()}


def split_card(text: str) -> tuple[str, str]:
    r"""Return the YAML of a card, without its fences, and the page below it.

    Examples:
        >>> split_card("---\nlicense: mit\n---\n# Title\n")
        ('license: mit\n', '# Title\n')
        >>> split_card("# Title\n")
        ('', '# Title\n')
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    fences = [number for number, line in enumerate(lines) if line.rstrip() == "---"]
    if len(fences) < 2 or fences[0] != 0:
        return "", "\n".join(lines)
    yaml_lines = lines[1 : fences[1]]
    return "".join(f"{line}\n" for line in yaml_lines), "\n".join(lines[fences[1] + 1 :])


def size_category(rows: int) -> str:
    """Return the Hub's size category for a number of rows.

    Examples:
        >>> size_category(480), size_category(12_000)
        ('n<1K', '10K<n<100K')
    """
    return next((name for name, bound in SIZE_BOUNDS.items() if rows < bound), LARGEST)


def _described(facts: Facts, title: str) -> dict[str, Any]:
    kind = facts.made.kind
    stated = {"license": UNKNOWN, "pretty_name": title, **kind.metadata}
    tags = [*kind.tags, *_tags(facts)]
    return {
        **stated,
        "size_categories": [size_category(facts.rows)],
        "task_categories": _tasks(facts),
        **({"tags": list(dict.fromkeys(tags))} if tags else {}),
    }


def _tags(facts: Facts) -> Iterator[str]:
    """Yield what to find a dataset by, of its columns."""
    names = {name for config in facts.configs.values() for name in config.features}
    drums = facts.labels.flags.get("has_drums")
    found = {
        "music": "rudiment_slug" in names,
        "drums": "rudiment_slug" in names or (drums is not None and drums.true > 0),
        "snare": "rudiment_slug" in names,
        "rudiments": "rudiment_slug" in names,
        "audio": _is_heard(facts),
        "midi": "midi" in names,
        "tokens": bool(facts.tokens),
    }
    return (tag for tag, holds in found.items() if holds)


def _tasks(facts: Facts) -> list[str]:
    """Return the tasks of the Hub's list that the columns are made for."""
    labels = facts.labels
    known = bool(labels.classes or labels.scores)
    if _is_heard(facts):
        return ["audio-classification"] if known else ["other"]
    return ["tabular-classification"] if known else ["other"]


def _is_heard(facts: Facts) -> bool:
    return any(
        isinstance(feature, dict) and feature.get("_type") == "Audio"
        for config in facts.configs.values()
        for feature in config.features.values()
    )


def _info(config: ConfigFacts) -> DatasetInfo:
    splits = {
        name: SplitInfo(name=name, num_bytes=split.data_bytes, num_examples=split.rows)
        for name, split in config.splits.items()
    }
    return DatasetInfo(
        features=Features.from_dict(dict(config.features)),
        splits=SplitDict(splits),
        download_size=config.file_bytes,
        dataset_size=sum(split.data_bytes for split in config.splits.values()),
    )


def _in_order(infos: Any, names: list[str]) -> Any:
    """Return the entries of `dataset_info`, which `datasets` sorts, with the default first."""
    if not isinstance(infos, list):  # the only config's stands alone
        return infos
    return sorted(infos, key=lambda entry: names.index(entry["config_name"]))
