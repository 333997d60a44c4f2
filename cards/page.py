"""Facts to the page of a card, in Markdown.

`template.md` holds the words. A line `[[a b]]` in it begins a part that is there where both `a` and
`b` are true of the dataset.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any, Final

from sousa.builders.schema import CONFIGS, RUDIMENTS, SPLITS
from sousa.cards import markdown, tables
from sousa.cards.facts import Facts
from sousa.cards.figures import title as clip_title
from sousa.cards.samples import Sample

PART: Final = re.compile(r"^\[\[([a-z ]+)\]\]\n", re.MULTILINE)

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


def page(
    facts: Facts, plan: Mapping[str, Any], samples: Sequence[Sample], *, title: str, place: str
) -> str:
    """Return the page: the same for the same arguments, and without a date.

    Args:
        facts: What the dataset holds.
        plan: What `sousa build` was asked for; empty for other data.
        samples: Clips to listen to.
        title: Heading.
        place: The dataset's id on the Hub.
    """
    template = files("sousa.cards").joinpath("template.md").read_text("utf-8")
    audio = [name for name, config in facts.configs.items() if "audio" in config.features]
    light = [*facts.configs][-1]
    values = {
        "title": markdown.text(title),
        "place": place,
        "split": next(iter(facts.configs[facts.default].splits)),
        "audio_config": audio[0] if audio else facts.default,
        "light_config": light,
        "light_size": tables.size(facts.configs[light].file_bytes),
        "summary": summary(facts),
        "figures_at_a_glance": _glance(facts),
        "samples": "\n\n".join(_player(sample, place) for sample in samples),
        "command": markdown.fenced(command(plan)),
        "versions": versions(plan),
        "citation": markdown.fenced(citation(plan, title, place), "bibtex"),
        "score_set": markdown.code(plan.get("score_set", "v1")),
        **tables.sections(facts),
    }
    true = {name for name, holds in conditions(facts, plan, samples).items() if holds}
    _, *parts = PART.split(template)
    chosen = [
        text
        for wanted, text in zip(parts[::2], parts[1::2], strict=True)
        if set(wanted.split()) <= true
    ]
    return Template("".join(chosen)).substitute(values)


def conditions(facts: Facts, plan: Mapping[str, Any], samples: Sequence[Sample]) -> dict[str, bool]:
    """Return which parts of the template are true of a dataset, by the names that it uses."""
    labels = facts.labels
    features = facts.configs[facts.default].features
    scored = bool(labels.overall)
    return {
        "always": True,
        "built": bool(plan),
        "other": not plan,
        "audio": any("audio" in config.features for config in facts.configs.values()),
        "strokes": "strokes" in features and "mistakes" in features,
        "samples": bool(samples),
        "split": len(facts.configs[facts.default].splits) > 1,
        "several": len(facts.configs) > 1,
        "scored": scored,
        "unscored": not scored,
        "contents": bool(labels.tiers),
        "rudiments": bool(labels.rudiments),
        "sounds": bool(labels.kits or labels.presets),
    }


def summary(facts: Facts) -> str:
    """Return what the dataset is, in a paragraph."""
    labels = facts.labels
    splits = len(facts.configs[facts.default].splits)
    if not (labels.tiers and labels.rudiments):
        return f"{facts.rows:,} rows in {splits} split{'s'[: splits > 1]}."
    players = sum(labels.players.values())
    played = sum(count > 0 for count in labels.rudiments.values())
    long = f"{labels.hours:,.1f} hours" if labels.hours >= 1 else f"{labels.hours * 60:.0f} minutes"
    whole = (
        f"**{facts.rows:,} clips, {long}**: {players:,} simulated players of four skill tiers play "
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
    words = ["sousa", "build", "OUT"]
    if plan.get("soundfont_sha256"):
        plan = {**plan, "kit": f"{plan.get('kit')}.sf2"}
    for name, flag, unsaid in OPTIONS:
        value = plan.get(name)
        if value is not None and value != unsaid:
            values = value if isinstance(value, list) else [value]
            words += [flag, ",".join(str(each) for each in values)]
    return shlex.join(markdown.one_line(word) for word in words)


def versions(plan: Mapping[str, Any]) -> str:
    """Return what the dataset was made with, in a sentence."""
    found = _versions(plan)
    if not found:
        return "The versions it was made with are not recorded."
    return "Made with " + ", ".join(markdown.code(f"{k} {v}") for k, v in found.items()) + "."


def citation(plan: Mapping[str, Any], title: str, place: str) -> str:
    """Return a BibTeX entry."""
    version = _versions(plan).get("sousa-datasets", "of unknown version")
    said = f"Made with sousa-datasets {version}, seed {plan.get('seed', 'unknown')}"
    fields = (
        ("title", markdown.one_line(title)),
        ("howpublished", f"\\url{{https://huggingface.co/datasets/{place}}}"),
        ("note", re.sub(r"[{}\\]", "", markdown.one_line(said))),
    )
    lines = [f"  {name} = {{{value}}}," for name, value in fields]
    return "\n".join(["@misc{sousa_datasets,", *lines, "}"])


def _versions(plan: Mapping[str, Any]) -> dict[str, Any]:
    stated = plan.get("versions")
    return stated if isinstance(stated, dict) else {}


def _glance(facts: Facts) -> str:
    """Return splits and sizes in one line."""
    splits = facts.configs[facts.default].splits
    rows = ", ".join(f"{markdown.text(name)} {split.rows:,}" for name, split in splits.items())
    bytes_ = sum(config.file_bytes for config in facts.configs.values())
    configs = len(facts.configs)
    return f"Rows: {rows}. Files: {tables.size(bytes_)} in {configs} config{'s'[: configs > 1]}."


def _player(sample: Sample, place: str) -> str:
    """Return a clip to play: by its address on the Hub, and as a link that works everywhere."""
    path = f"card/{sample.name}"
    about = markdown.text(clip_title(sample)) or "The first clip"
    source = f"https://huggingface.co/datasets/{place}/resolve/main/{path}"
    heard = [
        f"{what} {markdown.code(sample.labels[name])}"
        for name, what in (("kit", "kit"), ("augmentation_preset", "recorded as"))
        if sample.labels.get(name)
    ]
    details = "; ".join([*heard, f"unchanged from {sample.where}"])
    return (
        f"**{about}** ({details}): [{path}]({path})\n\n"
        f'<audio controls preload="none" src="{source}"></audio>'
    )
