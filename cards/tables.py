"""Facts to the tables of a card, in Markdown."""

from collections.abc import Iterable, Mapping
from typing import Final

from sousa.builders.schema import (
    CONFIGS,
    MEASURE_FIELDS,
    MISTAKE_FIELDS,
    PREPARED_RATE,
    SKILL_TIERS,
    STROKE_FIELDS,
    Audio,
    Column,
    Label,
    ListOf,
    Struct,
    Type,
    Value,
    columns,
)
from sousa.cards.facts import Facts, Json
from sousa.cards.label_facts import Spread
from sousa.cards.markdown import code, table, text

CONFIG_DOCS: Final = {
    "audio": "44.1 kHz mono 16-bit FLAC, and every other column",
    "audio_16k": "the same rows, audio prepared at 16 kHz as 16-bit WAV",
    "midi_only": "all but audio",
    "labels_only": "metadata and scores, small enough to scan in a second",
}

IN_PREPARED: Final = f"; {PREPARED_RATE} Hz in `audio_16k`"

LISTS: Final = ("List", "LargeList", "Sequence")
"""Features of `datasets` that are lists."""


def sections(facts: Facts) -> dict[str, str]:
    """Return the tables by the names that the template uses."""
    return {
        "configs": configs(facts),
        "columns": columns_of(facts),
        "stroke_fields": fields(STROKE_FIELDS),
        "measure_fields": fields(MEASURE_FIELDS),
        "mistake_fields": fields(MISTAKE_FIELDS),
        "splits": splits(facts),
        "contents": contents(facts),
        "rudiments": counts("rudiment", facts.labels.rudiments),
        "sounds": sounds(facts),
        "scores": scores(facts),
    }


def configs(facts: Facts) -> str:
    """Return one row for each config: what it holds and how large it is."""
    return table(
        ("config", "holds", "rows", "files", "size"),
        (
            (
                code(name) + (" (default)" if name == facts.default else ""),
                CONFIG_DOCS.get(name, f"{len(config.features)} columns"),
                f"{config.rows:,}",
                f"{sum(split.shards for split in config.splits.values()):,}",
                size(config.file_bytes),
            )
            for name, config in facts.configs.items()
        ),
    )


def fields(described: Iterable[Column]) -> str:
    """Return one row for each column: its type, its unit or range, what it means."""
    return table(
        ("column", "type", "unit or range", "meaning"),
        (
            (
                f"`{column.name}`",
                type_name(column),
                column.unit,
                column.doc + ("; null where it does not apply" if column.nullable else ""),
            )
            for column in described
        ),
    )


def columns_of(facts: Facts) -> str:
    """Return one row for each column of all configs; others than the schema's without meaning."""
    known = {column.name for column in described(facts)}
    others: dict[str, Json] = {}
    for config in facts.configs.values():
        others |= {name: f for name, f in config.features.items() if name not in known | {*others}}
    more = [f"| {code(name)} | {feature_name(f)} |  |  |" for name, f in others.items()]
    known_rows = fields(described(facts))
    if "audio_16k" not in facts.configs:
        known_rows = known_rows.replace(IN_PREPARED, "")
    return "\n".join([known_rows, *more])


def described(facts: Facts) -> list[Column]:
    """Return the columns that the schema describes, each once, as the first config stores them.

    A column of another type, or with other classes, is not the one that the schema means.
    """
    found: dict[str, Column] = {}
    for name, config in facts.configs.items():
        for column in columns(name if name in CONFIGS else CONFIGS[0], facts.tokens):
            if _fits(column.type, config.features.get(column.name)):
                found.setdefault(column.name, column)
    return list(found.values())


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
        case ListOf():
            return stored.get("_type") in LISTS
    return bool(stored) and "_type" not in stored


def feature_name(feature: object) -> str:
    """Return how a reader would call the type of a column that the schema does not know."""
    if not isinstance(feature, dict):
        return "list"
    kind = feature.get("_type")
    if kind == "Value":
        return text(feature.get("dtype", ""))
    if kind in LISTS:
        return f"list of {feature_name(feature.get('feature'))}"
    if kind == "ClassLabel":
        names = feature.get("names") or []
        few = ", ".join(str(name) for name in names)
        return f"class: {text(few)}" if len(few) < 80 else f"class, {len(names)} names"
    return text(str(kind).lower()) if kind else "struct"


def type_name(column: Column) -> str:
    """Return how a reader would call the type of a column."""
    match column.type:
        case Value(dtype):
            return dtype
        case Label(names):
            few = ", ".join(names)
            return f"class: {few}" if len(few) < 80 else f"class, {len(names)} names"
        case ListOf(Value(dtype)):
            return f"list of {dtype}"
        case Audio(rate_hz):
            return f"audio, {rate_hz} Hz" + ("" if rate_hz == PREPARED_RATE else IN_PREPARED)
        case Struct():
            return "struct of lists"
    return "list"


def splits(facts: Facts) -> str:
    """Return one row for each split: players, and rows by tier."""
    labels = facts.labels
    tiers = SKILL_TIERS if labels.tiers else ()
    known = any(labels.players.values())
    return table(
        ("split", *(["players"] if known else []), "rows", *tiers),
        (
            (
                text(name),
                *([f"{labels.players.get(name, 0):,}"] if known else []),
                f"{split.rows:,}",
                *(f"{labels.tiers.get(name, {}).get(tier, 0):,}" for tier in tiers),
            )
            for name, split in facts.configs[facts.default].splits.items()
        ),
    )


def contents(facts: Facts) -> str:
    """Return the figures of the whole dataset."""
    labels = facts.labels
    played = sum(count > 0 for count in labels.rudiments.values())
    rows = (
        ("clips", f"{facts.rows:,}", True),
        ("hours", f"{labels.hours:,.2f}", labels.hours),
        ("strokes", f"{labels.strokes:,}", labels.strokes),
        ("players", f"{sum(labels.players.values()):,}", any(labels.players.values())),
        ("rudiments", f"{played:,}", played),
        ("kits", f"{len(labels.kits):,}", labels.kits),
        ("recording set-ups", f"{len(labels.presets):,}", labels.presets),
        ("tempo, quarter notes per minute", spread(labels.tempo_bpm), labels.tempo_bpm),
        ("length of a clip, s", spread(labels.duration_sec), labels.duration_sec),
    )
    return table(("", ""), [(name, value) for name, value, known in rows if known])


def sounds(facts: Facts) -> str:
    """Return the rows of each kit and of each recording set-up."""
    labels = facts.labels
    both = (("kit", labels.kits), ("recording set-up", labels.presets))
    return "\n\n".join(counts(name, counted) for name, counted in both if counted)


def counts(what: str, counted: Mapping[str, int]) -> str:
    """Return one row for each thing that occurs, and how often."""
    return table((what, "rows"), ((code(name), f"{n:,}") for name, n in counted.items() if n))


def scores(facts: Facts) -> str:
    """Return the mean of each score by tier."""
    return table(
        ("score", *SKILL_TIERS),
        (
            (f"`{name}`", *(_mean(means.get(tier)) for tier in SKILL_TIERS))
            for name, means in facts.labels.scores.items()
        ),
    )


def size(count: int) -> str:
    """Return a number of bytes with its unit.

    Examples:
        >>> size(999), size(52_300_000)
        ('999 B', '52.3 MB')
    """
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def spread(found: Spread | None) -> str:
    """Return a range, such as `60 to 180`."""
    return f"{found.low:.4g} to {found.high:.4g}" if found else "unknown"


def _mean(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
