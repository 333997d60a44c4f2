"""A plan to the command that makes the dataset again, and to how it is cited."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sousa.builders.schema import CONFIGS, RUDIMENTS, SPLITS
from sousa.cards.markdown import code, one_line
from sousa.cards.provenance import Provenance
from sousa.cards.token_facts import TokenFacts

Option = tuple[str, str, Any]

BUILD: Final[tuple[Option, ...]] = (
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

MIDI: Final[tuple[Option, ...]] = (
    ("tokens", "--tokens", ["grid"]),
    ("split", "--split", [0.9, 0.05, 0.05]),
    ("split_by", "--split-by", None),
    ("seed", "--seed", 42),
    ("keep_duplicates", "--keep-duplicates", False),
    ("min_notes", "--min-notes", 1),
    ("max_notes", "--max-notes", None),
    ("min_sec", "--min-sec", 0.001),
    ("max_sec", "--max-sec", None),
    ("max_silence_sec", "--max-silence-sec", None),
    ("min_density", "--min-density", None),
    ("max_density", "--max-density", None),
    ("max_file_mb", "--max-file-mb", 4.0),
    ("max_events", "--max-events", 1_000_000),
    ("max_read_sec", "--max-read-sec", 60.0),
)

SOUSA: Final[tuple[Option, ...]] = (
    ("configs", "--configs", list(CONFIGS)),
    ("tokens", "--tokens", ["grid"]),
    ("keep_midi", "--keep-midi", False),
    ("resplit", "--resplit", False),
    ("skip", "--on-error", None),
    ("seed", "--seed", 42),
)
AUDIO: Final[tuple[Option, ...]] = (
    ("annotations", "--annotations", None),
    ("labels", "--labels", []),
    ("group", "--split-by", None),
    ("split", "--split", [0.8, 0.1, 0.1]),
    ("split_by", "--split-field", None),
    ("seed", "--seed", 42),
    ("configs", "--configs", [name for name in CONFIGS if name != "midi_only"]),
    ("max_sec", "--max-sec", 3600.0),
    ("skip", "--on-error", None),
)

COMMANDS: Final[Mapping[str, tuple[tuple[str, ...], tuple[Option, ...]]]] = {
    "built": (("sousa", "build", "OUT"), BUILD),
    "midi": (("sousa", "import", "midi", "DIR", "OUT"), MIDI),
    "sousa": (("sousa", "import", "sousa", "SRC", "OUT"), SOUSA),
    "audio": (("sousa", "import", "audio", "DIR", "OUT"), AUDIO),
}
"""Words that each command begins with, and its options."""


def commands(made: Provenance, tokens: Mapping[str, TokenFacts]) -> str:
    """Return the commands that make a dataset again, a line each; empty if nobody knows them.

    Args:
        made: Where it comes from.
        tokens: Its token columns.
    """
    kind = made.kind.name
    if kind not in COMMANDS:
        return ""
    begin, options = COMMANDS[kind]
    words = list(begin)
    stated = _stated(made, tokens)
    for name, flag, unsaid in options:
        value = stated.get(name)
        if value is not None and value != unsaid:
            words += [flag] if value is True else [flag, _joined(value)]
    return "\n".join(
        shlex.join(one_line(word) for word in each) for each in (words, *_trained(tokens))
    )


def versions(made: Provenance) -> str:
    """Return what the dataset was made with, in a sentence."""
    found = made.versions
    if not found:
        return "The versions it was made with are not recorded."
    return "Made with " + ", ".join(code(f"{name} {each}") for name, each in found.items()) + "."


def citation(made: Provenance, title: str, place: str) -> str:
    """Return a BibTeX entry."""
    version = made.versions.get("sousa-datasets", "of unknown version")
    said = f"Made with sousa-datasets {version}, seed {made.plan.get('seed', 'unknown')}"
    fields = (
        ("title", re.sub(r"[{}\\]", "", one_line(title))),
        ("howpublished", f"\\url{{https://huggingface.co/datasets/{place}}}"),
        ("note", re.sub(r"[{}\\]", "", one_line(said))),
    )
    lines = [f"  {name} = {{{value}}}," for name, value in fields]
    return "\n".join(["@misc{sousa_datasets,", *lines, "}"])


def _stated(made: Provenance, tokens: Mapping[str, TokenFacts]) -> dict[str, Any]:
    """Return the options of a plan by their names, as a command line gives them."""
    plan, split = made.plan, made.plan.get("split")
    limits = plan.get("limits")
    stated = {**plan, **(limits if isinstance(limits, dict) else {}), "annotations": "FILE"}
    if plan.get("soundfont_sha256"):
        stated["kit"] = f"{plan.get('kit')}.sf2"
    if isinstance(split, str):
        stated |= {"split": None, "split_by": split, "resplit": split == "new"}
    if isinstance(plan.get("deciding"), str):  # a column may have another name than its source
        key = "group" if plan.get("group") else "split_by"
        stated[key] = plan["deciding"]
    if tokens:
        stated["tokens"] = [_spec(column, f) for column, f in tokens.items() if not f.training]
    if made.left_out.get("faults", made.rejected):
        stated["skip"] = "skip"
    return stated


def _spec(column: str, found: TokenFacts) -> str:
    """Return a tokenizer as a command line names it; those of MidiTok by the file that is here."""
    return f"{found.type}:tokenizers/{column}.json" if found.is_configured else found.type


def _trained(tokens: Mapping[str, TokenFacts]) -> Iterator[list[str]]:
    """Yield the commands that train the subwords."""
    for name, found in tokens.items():
        if found.training:
            words = ["sousa", "tokenizer", "train", "OUT", "--model", found.type, "--name", name]
            for key in ("column", "vocab_size", "seed"):
                if key in found.training:
                    words += [f"--{key.replace('_', '-')}", str(found.training[key])]
            if found.training.get("rows") != found.training.get("of_rows"):
                words += ["--max-rows", str(found.training.get("rows"))]
            yield words


def _joined(value: object) -> str:
    values = value if isinstance(value, list) else [value]
    return ",".join(f"{each:g}" if isinstance(each, float) else str(each) for each in values)
