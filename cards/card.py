"""Facts to the dataset card: YAML that `datasets` and the Hub read, and a page for people."""

import json
import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Final

from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from sousa.builders.schema import CONFIG_RATES, CONFIGS, RUDIMENTS, SPLITS
from sousa.cards import tables
from sousa.cards.facts import ConfigFacts, Facts, facts

PRETTY_NAME: Final = "SOUSA: snare-drum rudiments, played and judged"

SIZE_BOUNDS: Final = {
    "n<1K": 1_000,
    "1K<n<10K": 10_000,
    "10K<n<100K": 100_000,
    "100K<n<1M": 1_000_000,
    "1M<n<10M": 10_000_000,
    "10M<n<100M": 100_000_000,
    "100M<n<1B": 1_000_000_000,
    "1B<n<10B": 10_000_000_000,
}
"""The Hub's size categories, each with the number of rows that is too many for it."""

OPTIONS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("players", "--players", None),
    ("tempos", "--tempos", None),
    ("variants", "--variants", None),
    ("rudiments", "--rudiments", list(RUDIMENTS)),
    ("seed", "--seed", None),
    ("configs", "--configs", list(CONFIGS)),
    ("tokens", "--tokens", ["grid"]),
    ("score_set", "--score-set", "v1"),
    ("splits", "--splits", list(SPLITS)),
    ("kit", "--kit", None),
)
"""Options of `sousa build` in a plan, with their flags and the value that goes without saying."""


def write(folder: str | Path) -> Path:
    """Write the card of a dataset folder, from what its shards hold, and return its path.

    Raises:
        FileNotFoundError: If the folder holds no shards.
        OSError: If a shard is damaged, or the card cannot be written.
        ValueError: If `manifest.json` is no manifest.
    """
    root = Path(folder)
    text = render(facts(root), read_manifest(root))
    path, partial = root / "README.md", root / ".README.md.partial"
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)
    return path


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the content of `manifest.json`; empty if there is none.

    Raises:
        ValueError: If it is no JSON object.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold an object, holds a {type(content).__name__}")
    return content


def render(facts: Facts, manifest: Mapping[str, Any]) -> str:
    """Return the card: the same for the same facts and manifest, and without a date.

    Args:
        facts: What the dataset holds.
        manifest: Content of `manifest.json`; may be empty.
    """
    template = Template(files("sousa.cards").joinpath("template.md").read_text("utf-8"))
    plan = manifest.get("plan")
    plan = plan if isinstance(plan, dict) else {}
    audio = [config for config in facts.configs if config in CONFIG_RATES]
    page = template.substitute(
        pretty_name=PRETTY_NAME,
        place="org/sousa",
        audio_config=audio[0] if audio else facts.default,
        summary=summary(facts),
        command=command(plan),
        versions=versions(plan),
        score_set=tables.text(plan.get("score_set", "v1")),
        **tables.sections(facts),
    )
    return f"---\n{front_matter(facts)}---\n\n{page}"


def front_matter(facts: Facts) -> str:
    """Return the YAML by which `load_dataset` and the Hub's viewer read the folder."""
    data = DatasetCardData(
        license="cc-by-4.0",
        pretty_name=PRETTY_NAME,
        language=["en"],
        size_categories=[size_category(facts.rows)],
        task_categories=["audio-classification"],
        tags=["music", "drums", "midi", "audio", "snare", "rudiments", "synthetic"],
    )
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
    for listed in (data.get("configs"), data.get("dataset_info")):
        if isinstance(listed, list):  # `datasets` sorts by name; the default goes first
            listed.sort(key=lambda entry: CONFIGS.index(entry["config_name"]))
    return str(data.to_yaml()) + "\n"


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


def size_category(rows: int) -> str:
    """Return the Hub's size category for a number of rows.

    Examples:
        >>> size_category(480), size_category(12_000)
        ('n<1K', '10K<n<100K')
    """
    return next((name for name, bound in SIZE_BOUNDS.items() if rows < bound), "1B<n<10B")


def summary(facts: Facts) -> str:
    """Return what the dataset is, in a paragraph."""
    labels = facts.labels
    players = sum(labels.players.values())
    played = sum(count > 0 for count in labels.rudiments.values())
    long = f"{labels.hours:,.1f} hours" if labels.hours >= 1 else f"{labels.hours * 60:.0f} minutes"
    whole = (
        f"{facts.rows:,} clips, {long}: {players:,} simulated players of four skill tiers play "
        f"{played} of the {len(RUDIMENTS)} snare-drum rudiments. Every clip is scored"
    )
    if "strokes" not in facts.configs[facts.default].features:
        return whole + "."
    return (
        f"{whole}, and each of its strokes, {labels.strokes:,} in all, is labelled with hand, "
        "kind, intended and actual onset and velocity. MIDI, measures and mistakes come with it."
    )


def command(plan: Mapping[str, Any]) -> str:
    """Return the command that builds the dataset again."""
    if not plan:
        return "# not recorded: the folder has no manifest.json"
    words = ["sousa", "build", "OUT"]
    if plan.get("soundfont_sha256"):
        plan = {**plan, "kit": f"{plan.get('kit')}.sf2"}
    for name, flag, unsaid in OPTIONS:
        value = plan.get(name)
        if value is not None and value != unsaid:
            values = value if isinstance(value, list) else [value]
            words += [flag, ",".join(str(each) for each in values)]
    return shlex.join(words)


def versions(plan: Mapping[str, Any]) -> str:
    """Return what the dataset was made with, in a sentence."""
    stated = plan.get("versions")
    if not isinstance(stated, dict) or not stated:
        return "The versions it was made with are not recorded."
    return "Made with " + tables.text(", ".join(f"{k} {v}" for k, v in stated.items())) + "."
