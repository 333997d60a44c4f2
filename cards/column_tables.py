"""What the columns of a dataset are, as tables in Markdown.

Types are those that the shards declare; what a column means is said by the schema of its kind of
dataset, where a column is stored as that schema has it.
"""

from collections.abc import Iterator
from typing import Final

from sousa.builders.kinds import declared_columns
from sousa.builders.schema import (
    CONFIGS,
    PREPARED_RATE,
    Audio,
    Column,
    Label,
    ListOf,
    Struct,
    Type,
    Value,
    exact_column,
    token_column,
)
from sousa.cards.facts import Facts, Json
from sousa.cards.label_columns import LISTS
from sousa.cards.markdown import code, prose, table, text
from sousa.cards.token_facts import EXACT

PREPARED: Final = "audio_16k"
HEADS: Final = ("column", "type", "unit or range", "meaning")

OF_LISTS: Final = "struct of lists"
"""What a struct is called whose fields are all lists."""

LONGEST_NAMES: Final = 80
"""Classes are named where all their names together are not longer."""


def columns_of(facts: Facts) -> str:
    """Return one row for each column of all configs: its type, its unit or range, its meaning."""
    meant = {column.name: column for column in described(facts)}
    rows = [
        (code(name), _type_of(name, feature, facts), *_meaning(meant.get(name), facts))
        for name, feature in features_of(facts).items()
    ]
    return table(HEADS, rows)


def structs(facts: Facts) -> str:
    """Return a section for each column that has fields, with one row for each of them."""
    meant = {column.name: column for column in described(facts)}
    return "\n\n".join(
        _section(name, feature, meant.get(name))
        for name, feature in features_of(facts).items()
        if is_struct(feature)
    )


def features_of(facts: Facts) -> dict[str, Json]:
    """Return the features of all columns, each as the first config that has it stores it."""
    found: dict[str, Json] = {}
    for config in facts.configs.values():
        for name, feature in config.features.items():
            found.setdefault(name, feature)
    return found


def described(facts: Facts) -> list[Column]:
    """Return the columns whose meaning is known, each once, as the first config stores them.

    A column of another type, or with other classes, is not the one that the schema means.
    """
    found: dict[str, Column] = {}
    tokens = tuple(_token_columns(facts))
    for name, config in facts.configs.items():
        for like in (name,) if name in CONFIGS else (CONFIGS[0], PREPARED):
            for column in declared_columns(facts.made.plan, like, tokens):
                if _fits(column.type, config.features.get(column.name)):
                    found.setdefault(column.name, column)
    return list(found.values())


def is_struct(feature: object) -> bool:
    """Return whether a feature is a struct with named fields."""
    return isinstance(feature, dict) and bool(feature) and "_type" not in feature


def feature_name(feature: object) -> str:
    """Return how a reader would call the type of a column."""
    if is_struct(feature) and isinstance(feature, dict):
        return OF_LISTS if all(map(_is_list, feature.values())) else "struct"
    if not isinstance(feature, dict):
        return "list"
    kind = feature.get("_type")
    if kind == "Value":
        return text(feature.get("dtype", ""))
    if _is_list(feature):
        return f"list of {feature_name(feature.get('feature'))}"
    if kind == "ClassLabel":
        names = feature.get("names") or []
        few = ", ".join(str(name) for name in names)
        return f"class: {text(few)}" if len(few) < LONGEST_NAMES else f"class, {len(names)} names"
    if kind == "Audio":
        rate_hz = feature.get("sampling_rate")
        return f"audio, {text(rate_hz)} Hz" if rate_hz else "audio"
    return text(str(kind).lower())


def _token_columns(facts: Facts) -> Iterator[Column]:
    stored = {name for config in facts.configs.values() for name in config.features}
    for name, found in facts.tokens.items():
        yield token_column(name, found.depth)
        if f"{name}{EXACT}" in stored:
            yield exact_column(name)


def _type_of(name: str, feature: Json, facts: Facts) -> str:
    prepared = facts.configs[PREPARED].features.get(name) if PREPARED in facts.configs else None
    other = prepared is not None and feature.get("_type") == "Audio" and prepared != feature
    return feature_name(feature) + (f"; {PREPARED_RATE} Hz in `{PREPARED}`" if other else "")


def _meaning(column: Column | None, facts: Facts) -> tuple[str, str]:
    """Return the unit of a column and what it means, with how often it says nothing."""
    if column is None:
        return "", ""
    config = next(c for c in facts.configs.values() if column.name in c.features)
    held = config.values.get(column.name)
    is_list = isinstance(column.type, ListOf | Struct)
    if held == 0 and config.rows:
        rest = "; empty in every row" if is_list else "; null in every row"
    elif held is None or is_list:
        rest = "; null where it does not apply" if column.nullable else ""
    else:
        nulls = config.rows - held
        rest = f"; null in {nulls:,} row{'s'[: nulls > 1]}" if nulls > 0 else ""
    return text(column.unit), prose(column.doc) + rest


def _section(name: str, feature: Json, column: Column | None) -> str:
    fields = column.type.fields if column and isinstance(column.type, Struct) else ()
    meant = {field.name: field for field in fields}
    of_lists = feature_name(feature) == OF_LISTS
    rows = [
        (code(part), feature_name(_item(stored) if of_lists else stored), *_part(meant.get(part)))
        for part, stored in feature.items()
    ]
    doc = prose(column.doc) if column else ""
    lists = "A struct of equally long lists, with one entry each." if doc and of_lists else ""
    said = f"{doc[:1].upper()}{doc[1:]}. {lists}".strip() if doc else ""
    return "\n\n".join(part for part in (f"### {code(name)}", said, table(HEADS, rows)) if part)


def _part(field: Column | None) -> tuple[str, str]:
    if field is None:
        return "", ""
    rest = "; null where it does not apply" if field.nullable else ""
    return text(field.unit), prose(field.doc) + rest


def _is_list(feature: object) -> bool:
    return isinstance(feature, dict) and feature.get("_type") in LISTS


def _item(feature: object) -> object:
    return feature.get("feature") if isinstance(feature, dict) and _is_list(feature) else feature


def _fits(type_: Type, feature: object) -> bool:
    """Return whether a stored feature is what the schema declares."""
    stored = feature if isinstance(feature, dict) else {}
    match type_:
        case Value(dtype):
            return stored.get("dtype") == dtype
        case Label(names):
            return stored.get("names") == list(names)
        case Audio(rate_hz):
            return stored.get("_type") == "Audio" and stored.get("sampling_rate") == rate_hz
        case ListOf(item):
            return _is_list(stored) and _fits(item, stored.get("feature"))
    return is_struct(stored)
