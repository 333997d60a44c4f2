"""Facts to what the words of a page depend on: conditions, numbers in sentences, names in code."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sousa.builders.schema import CONFIGS, RUDIMENTS
from sousa.cards import recipe, tables
from sousa.cards.column_tables import OF_LISTS, feature_name, features_of, is_struct
from sousa.cards.facts import Facts
from sousa.cards.front_matter import UNKNOWN
from sousa.cards.label_columns import RUDIMENT, TIER
from sousa.cards.markdown import code
from sousa.cards.provenance import BUILT, OTHER, QUARANTINE
from sousa.cards.samples import Sample, audio_column

PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of columns that can stand in code."""

AUDIO: Final = "audio"
"""The column that our loader reads."""

SPLIT_BY: Final = ("shares", "folder", "source", "new", "one", "field")
"""Ways in which a plan says that rows come to their splits."""

ORIGINAL: Final = "sousa-v0"
"""The score set of data that the SOUSA generator made."""

AVERAGED: Final = ("overall_score", "num_notes", "duration_sec")
"""Columns of numbers that the snippets take, the first that there is."""


def conditions(
    facts: Facts, samples: Sequence[Sample] = (), metadata: Mapping[str, Any] | None = None
) -> frozenset[str]:
    """Return what is true of a dataset, by the names that the templates use.

    Args:
        facts: What the dataset holds.
        samples: Clips to listen to.
        metadata: Content of the YAML.
    """
    labels, kind = facts.labels, facts.made.kind
    features, names = features_of(facts), snippets(facts)
    found = {
        "unlicensed": (metadata or {}).get("license", UNKNOWN) == UNKNOWN,
        "audio": bool(names["audio_column"]),
        "events": bool(names["event_column"]),
        "tokens": bool(names["token_column"]),
        "trainable": bool(names["target"]),
        "grouped": bool(names["by"]),
        "light": facts.lightest == CONFIGS[-1],
        "strokes": "strokes" in features,
        "structs": any(map(is_struct, features.values())),
        "samples": bool(samples),
        "split": len(facts.configs[facts.default].splits) > 1,
        **{how: how == _how_split(facts.made.plan) for how in SPLIT_BY},
        "several": len(facts.configs) > 1,
        "scored": bool(labels.overall),
        "tiers": bool(labels.tiers and labels.rudiments),
        "rudiments": bool(labels.rudiments),
        "apart": isinstance(facts.made.plan.get("group"), str),
        "classes": bool(labels.classes.keys() - {TIER, RUDIMENT}),
        "counted": bool(tables.counted(facts)),
        "numbers": bool(labels.numbers),
        "rejected": bool(facts.made.rejected),
        "strangers": bool(facts.made.left_out.get("unknown_players")),
        "original": facts.made.plan.get("score_set") == ORIGINAL,
        "kept": facts.made.plan.get("keep_midi") is True,
        "repeated": bool(recipe.commands(facts.made, facts.tokenizers)),
        "known": kind is not OTHER,
        "cited": kind is BUILT,
    }
    return frozenset(name for name, holds in found.items() if holds)


def figures(facts: Facts) -> dict[str, str]:
    """Return the numbers and names that stand in sentences."""
    labels, plan = facts.labels, facts.made.plan
    count = len(facts.configs[facts.default].splits)
    listed = plan.get("files")
    return {
        "rows": f"{facts.rows:,}",
        "splits_in_all": f"{count} split{'s'[: count > 1]}",
        "length": tables.length(labels.hours),
        "groups": f"{sum(labels.groups.values()):,}",
        "group": code(facts.made.group),
        "played": _share(sum(rows > 0 for rows in labels.rudiments.values()), len(RUDIMENTS)),
        "strokes": f"{labels.total('num_strokes'):,.0f}",
        "notes": f"{labels.total('num_notes'):,.0f}",
        "listed": f"{listed:,}" if isinstance(listed, int) else "The",
        "stated": code(plan.get("split")),
        "strangers": _count(facts.made.left_out.get("unknown_players")),
        "left_out": _left_out(sum(facts.made.rejected.values())),
        "on_source": "" if facts.made.kind is BUILT else " on the same source",
        "shares": _shares(plan.get("split")),
        "seed": code(plan.get("seed", "unknown")),
        "score_set": code(plan.get("score_set", "v1")),
        "token_columns": _named(facts.tokens),
        "class_columns": _named(labels.classes),
        "struct_columns": _named(n for n, f in features_of(facts).items() if is_struct(f)),
    }


def snippets(facts: Facts) -> dict[str, str]:
    """Return the names that stand in code; empty where there is none that can."""
    by, number = _compared(facts)
    heard = audio_column(facts)
    config, column = heard if heard and PLAIN.fullmatch(heard[1]) else (facts.default, "")
    event_config, event_column = _events(facts)
    return {
        "split": next(iter(facts.configs[facts.default].splits)),
        "audio_config": config,
        "audio_column": column,
        "target": _target(facts) if column == AUDIO else "",
        "event_config": event_config,
        "event_column": event_column,
        "token_column": next((name for name in facts.tokens if PLAIN.fullmatch(name)), ""),
        "light_config": facts.lightest,
        "light_size": tables.size(facts.configs[facts.lightest].file_bytes),
        "by": by,
        "number": number,
    }


def _compared(facts: Facts) -> tuple[str, str]:
    """Return a column to group by and one to average; empty if there are not both."""
    labels, stored = facts.labels, facts.configs[facts.lightest].features
    groups = [*_classes(facts), *labels.flags]
    numbers = [n for n in (*AVERAGED, *labels.numbers) if n in labels.numbers]
    scalars = {n for n, f in stored.items() if PLAIN.fullmatch(n) and {"dtype", "names"} & {*f}}
    by = next((name for name in groups if name in scalars), "")
    number = next((name for name in numbers if name in scalars), "")
    return (by, number) if by and number else ("", "")


def _classes(facts: Facts) -> list[str]:
    """Return the columns of classes, the tier first where it is scored, what splits rows last."""
    first = [TIER] * bool(facts.labels.overall)
    return sorted(dict.fromkeys([*first, *facts.labels.classes]), key=facts.made.group.__eq__)


def _target(facts: Facts) -> str:
    """Return the classes that the snippet of our loader learns; empty if there are none."""
    features = features_of(facts)
    single = [name for name in _classes(facts) if features.get(name, {}).get("names")]
    known = facts.made.kind is not OTHER or bool(facts.labels.overall)
    return next((name for name in single if known and PLAIN.fullmatch(name)), "")


def _events(facts: Facts) -> tuple[str, str]:
    """Return the first column that is a struct of lists, and the last config that has it."""
    found = (
        (config, name)
        for config, described in reversed([*facts.configs.items()])
        for name, feature in described.features.items()
        if PLAIN.fullmatch(name) and feature_name(feature) == OF_LISTS
    )
    return next(found, (facts.default, ""))


def _named(names: Iterable[str]) -> str:
    return ", ".join(map(code, names))


def _how_split(plan: Mapping[str, Any]) -> str:
    split = plan.get("split")
    if isinstance(split, list):
        return "shares"
    return {"train": "one"}.get(split, split) if split in (*SPLIT_BY, "train") else "field"


def _share(count: int, of: int) -> str:
    return f"all {of}" if count == of else f"{count} of the {of}"


def _left_out(count: int) -> str:
    if not count:
        return "none was left out"
    return f"{count:,} {'were' if count > 1 else 'was'} left out, for the reasons in `{QUARANTINE}`"


def _count(found: object) -> str:
    return f"{len(found) if isinstance(found, list) else 0:,}"


def _shares(split: object) -> str:
    shares = split if isinstance(split, list) else []
    return ", ".join(f"{share:g}" for share in shares if isinstance(share, int | float))
