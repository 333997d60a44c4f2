"""Facts to the page of a card, in Markdown.

`template.md` holds the words that all cards share, `kind_<name>.md` those of one kind of dataset.
A line `[[a !b]]` in the template begins a part that is there where `a` is true of the dataset and
`b` is not. In the words of a kind, the first name is the place in the template that a part is for.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any, Final

from sousa.cards import markdown, recipe, tables
from sousa.cards.facts import Facts
from sousa.cards.figures import title as clip_title
from sousa.cards.page_values import conditions, figures, snippets
from sousa.cards.samples import Sample

PART: Final = re.compile(r"^\[\[([a-z! ]+)\]\]\n", re.MULTILINE)

NOTES: Final = "card/notes.svg"
"""The picture of a MIDI file's notes."""

PLACES: Final = ("summary", "splitting", "how", "uses", "limits")
"""Where the words of a kind stand."""


def page(
    facts: Facts,
    samples: Sequence[Sample],
    metadata: Mapping[str, Any],
    *,
    place: str,
    drawn: Collection[str] = (),
) -> str:
    """Return the page: the same for the same arguments, and without a date.

    Args:
        facts: What the dataset holds.
        samples: Clips to listen to.
        metadata: Content of the YAML: the title, and whether there is a license.
        place: The dataset's id on the Hub.
        drawn: Paths of the pictures that there are.
    """
    title = str(metadata.get("pretty_name"))
    true = conditions(facts, samples, metadata) | ({"rolled"} if NOTES in drawn else frozenset())
    values = {
        **figures(facts),
        **snippets(facts),
        **tables.sections(facts),
        "title": markdown.text(title),
        "place": place,
        "at_a_glance": _glance(facts),
        "samples": "\n\n".join(_player(sample, place) for sample in samples),
        "commands": markdown.fenced(recipe.commands(facts.made, facts.tokenizers)),
        "versions": recipe.versions(facts.made),
        "citation": markdown.fenced(recipe.citation(facts.made, title, place), "bibtex"),
    }
    said = {name: _filled(_words(facts, name, true), values) for name in PLACES}
    return _filled(_parts(_read("template"), true), values | said)


def summary(facts: Facts) -> str:
    """Return what the dataset is, in a paragraph of plain text."""
    words = _words(facts, "summary", conditions(facts, (), {}))
    return re.sub(r"[*`\\]", "", _filled(words, figures(facts))).strip()


def _read(name: str) -> str:
    return files("sousa.cards").joinpath(f"{name}.md").read_text("utf-8")


def _parts(template: str, true: frozenset[str], place: str = "") -> str:
    """Return the parts of a template that hold, without their heads."""
    _, *parts = PART.split(template)
    return "".join(
        text
        for head, text in zip(parts[::2], parts[1::2], strict=True)
        if all(_holds(word, true, place) for word in head.split())
    )


def _holds(word: str, true: frozenset[str], place: str) -> bool:
    if word in ("always", *PLACES):
        return word in ("always", place)
    return word[1:] not in true if word.startswith("!") else word in true


def _words(facts: Facts, place: str, true: frozenset[str]) -> str:
    return _parts(_read(f"kind_{facts.made.kind.name}"), true, place).strip()


def _filled(template: str, values: Mapping[str, str]) -> str:
    return Template(template).substitute(values)


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
