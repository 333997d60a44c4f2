"""Facts to the tables of a card, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sousa.builders.schema import (
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
    Value,
    columns,
)
from sousa.cards.facts import Facts, Spread

CONFIG_DOCS: Final = {
    "audio": "44.1 kHz mono 16-bit FLAC, and every other column",
    "audio_16k": "the same rows, audio prepared at 16 kHz as 16-bit WAV",
    "midi_only": "all but audio",
    "labels_only": "metadata and scores, small enough to scan in a second",
}

IN_PREPARED: Final = f"; {PREPARED_RATE} Hz in `audio_16k`"

ESCAPED: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]|#!~"})
"""Marks that mean something in Markdown."""


def sections(facts: Facts) -> dict[str, str]:
    """Return the tables by the names that the template uses."""
    return {
        "configs": configs(facts),
        "columns": fields(_all_columns(facts)),
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
                f"`{name}`" + (" (default)" if name == facts.default else ""),
                CONFIG_DOCS[name],
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
    return table(
        ("split", "players", "rows", *SKILL_TIERS),
        (
            (
                name,
                f"{labels.players[name]:,}",
                f"{split.rows:,}",
                *(f"{labels.tiers[name].get(tier, 0):,}" for tier in SKILL_TIERS),
            )
            for name, split in facts.configs[facts.default].splits.items()
        ),
    )


def contents(facts: Facts) -> str:
    """Return the figures of the whole dataset."""
    labels = facts.labels
    rows = (
        ("clips", f"{facts.rows:,}"),
        ("hours", f"{labels.hours:,.2f}"),
        ("strokes", f"{labels.strokes:,}"),
        ("players", f"{sum(labels.players.values()):,}"),
        ("rudiments", f"{sum(count > 0 for count in labels.rudiments.values()):,}"),
        ("kits", f"{len(labels.kits):,}"),
        ("recording set-ups", f"{len(labels.presets):,}"),
        ("tempo, quarter notes per minute", spread(labels.tempo_bpm)),
        ("length of a clip, s", spread(labels.duration_sec)),
    )
    return table(("", ""), rows)


def sounds(facts: Facts) -> str:
    """Return the rows of each kit and of each recording set-up."""
    labels = facts.labels
    return counts("kit", labels.kits) + "\n\n" + counts("recording set-up", labels.presets)


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


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    Examples:
        >>> print(table(("kit", "rows"), [("pad", "3")]))
        | kit | rows |
        |---|---|
        | pad | 3 |
    """
    lines = [heads, *rows]
    body = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([body[0], "|" + "---|" * len(heads), *body[1:]])


def text(value: object) -> str:
    r"""Return text from data so that Markdown shows it as it is, on one line.

    Examples:
        >>> print(text("<b>a|b"))
        &lt;b&gt;a\|b
    """
    line = " ".join(str(value).split()).replace("&", "&amp;").replace("<", "&lt;")
    return line.replace(">", "&gt;").translate(ESCAPED)


def code(value: object) -> str:
    r"""Return text from data as code, on one line; nothing in it can end the code or the cell.

    Examples:
        >>> print(code("a`b|c"))
        `a'b\|c`
    """
    line = " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`"


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


def _all_columns(facts: Facts) -> list[Column]:
    """Return the columns of all configs, each once, as the first config that has it stores it."""
    found: dict[str, Column] = {}
    for config, stored in facts.configs.items():
        for column in columns(config, facts.tokens):
            if column.name in stored.features:
                found.setdefault(column.name, column)
    return list(found.values())
