"""Facts to the tables of a card, in Markdown."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sousa.builders.schema import CONFIG_RATES, SCORE_BEST, SKILL_TIERS
from sousa.cards.column_tables import columns_of, structs
from sousa.cards.facts import Facts
from sousa.cards.label_columns import PLAYER, RUDIMENT, TIER
from sousa.cards.label_facts import LabelFacts, Spread, by_frequency
from sousa.cards.markdown import code, table, text
from sousa.cards.provenance import OTHER
from sousa.cards.token_facts import EXACT, TokenFacts

CONFIG_DOCS: Final = {
    "audio": "44.1 kHz mono 16-bit FLAC, and every other column",
    "audio_16k": "the same rows, audio prepared at 16 kHz as 16-bit WAV",
    "midi_only": "all but audio",
    "labels_only": "metadata and labels, small enough to scan in a second",
}
"""What the configs hold that `sousa` makes."""
WITHOUT_AUDIO: Final = "MIDI, events, tokens and metadata"

TOTALS: Final = {
    "num_strokes": "strokes",
    "num_notes": "notes",
    "num_unended_notes": "notes without an end",
}
KINDS: Final = {"kit": "kits", "augmentation_preset": "recording set-ups"}
RANGES: Final = {"tempo_bpm": "tempo, quarter notes per minute", "duration_sec": "length, s"}
"""What sums, different values and ranges of columns are called."""

NAMES: Final = {
    "kit": "kit",
    "augmentation_preset": "recording set-up",
    "midi_type": "type of the MIDI file",
    "source_sample_rate_hz": "sample rate of the source in Hz",
    "source_channels": "channels of the source",
}
"""What the values of columns are called that are counted one by one."""

FAMILIES: Final = (
    *("piano", "chromatic percussion", "organ", "guitar", "bass", "strings", "ensemble", "brass"),
    *("reed", "pipe", "synth lead", "synth pad", "synth effects", "ethnic", "percussive"),
    "sound effects",
)
"""The families of General MIDI's programs."""

MOST_ROWS: Final = 50
"""A longer table of counts says the rest in one row."""


def sections(facts: Facts) -> dict[str, str]:
    """Return the tables by the names that the template uses."""
    return {
        "configs": configs(facts),
        "columns": columns_of(facts),
        "structs": structs(facts),
        "splits": splits(facts),
        "tokens": tokens(facts),
        "contents": contents(facts),
        "numbers": numbers(facts),
        "rudiments": counts(("rudiment", "rows"), facts.labels.rudiments),
        "counted": counted(facts),
        "counted_names": ", ".join(_counted(facts)),
        "classes": classes(facts),
        "rejected": counts(("reason", "left out"), facts.made.rejected),
        "scores": scores(facts),
    }


def configs(facts: Facts) -> str:
    """Return one row for each config: what it holds and how large it is."""
    docs = {} if facts.made.kind is OTHER else dict(CONFIG_DOCS)
    if docs and not facts.configs.keys() & CONFIG_RATES.keys():
        docs["midi_only"] = WITHOUT_AUDIO
    return table(
        ("config", "holds", "rows", "files", "size"),
        (
            (
                code(name) + (" (default)" if name == facts.default else ""),
                docs.get(name, f"{len(config.features)} columns"),
                f"{config.rows:,}",
                f"{sum(split.shards for split in config.splits.values()):,}",
                size(config.file_bytes),
            )
            for name, config in facts.configs.items()
        ),
    )


def splits(facts: Facts) -> str:
    """Return one row for each split: what decided it, and rows, also by tier."""
    labels = facts.labels
    tiers = SKILL_TIERS if labels.tiers else ()
    group = [group_name(facts)] if any(labels.groups.values()) else []
    return table(
        ("split", *group, "rows", *tiers),
        (
            (
                text(name),
                *(f"{labels.groups.get(name, 0):,}" for _ in group),
                f"{split.rows:,}",
                *(f"{labels.tiers.get(name, {}).get(tier, 0):,}" for tier in tiers),
            )
            for name, split in facts.configs[facts.default].splits.items()
        ),
    )


def contents(facts: Facts) -> str:
    """Return the figures of the whole dataset."""
    return table(("", ""), figures(facts))


def figures(facts: Facts) -> list[tuple[str, str]]:
    """Return what there is to say of the whole dataset in numbers, each with its name."""
    labels = facts.labels
    rows = [(facts.made.kind.rows, f"{facts.rows:,}")]
    if labels.hours:
        rows.append(("hours", f"{labels.hours:,.2f}"))
    for column, name in TOTALS.items():
        if labels.total(column):
            rows.append((name, f"{labels.total(column):,.0f}"))
    return [*rows, *different(facts), *_ranges(labels)]


def different(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield how many there are of what rows share, such as players, each with its name."""
    labels = facts.labels
    if any(labels.groups.values()):
        yield group_name(facts), f"{sum(labels.groups.values()):,}"
    if played := sum(count > 0 for count in labels.rudiments.values()):
        yield "rudiments", f"{played:,}"
    for column, name in KINDS.items():
        if labels.counted.get(column):
            yield name, f"{len(labels.counted[column]):,}"


def _ranges(labels: LabelFacts) -> Iterator[tuple[str, str]]:
    for column, name in RANGES.items():
        if column in labels.numbers:
            yield name, spread(labels.numbers[column])
    for column, share in labels.flags.items():
        if not column.endswith(EXACT) and share.rows:
            yield code(column), f"{share.true:,} of {share.rows:,} rows"


def numbers(facts: Facts) -> str:
    """Return the range of each column of numbers that is no score."""
    return table(
        ("column", "least", "mean", "greatest", "rows"),
        (
            (code(name), *map(_short, (f.low, f.mean, f.high)), f"{f.rows:,}")
            for name, f in facts.labels.numbers.items()
            if name not in SCORE_BEST
        ),
    )


def counted(facts: Facts) -> str:
    """Return the rows of each value of the columns that are counted by value, and by program."""
    found = _counted(facts).items()
    return "\n\n".join(counts((name, "rows"), values) for name, values in found)


def _counted(facts: Facts) -> dict[str, Mapping[str, int]]:
    """Return what is counted by value, by its name."""
    labels = facts.labels
    found = {NAMES.get(name, name): values for name, values in labels.counted.items() if values}
    families = {FAMILIES[at]: n for at, n in labels.families.items() if at < len(FAMILIES)}
    return found | ({"family of programs": families} if families else {})


def classes(facts: Facts) -> str:
    """Return the rows of each class, by split, of the columns that have no table of their own."""
    return "\n\n".join(
        _classes_of(name, found, list(facts.configs[facts.default].splits))
        for name, found in facts.labels.classes.items()
        if name not in (TIER, RUDIMENT)
    )


def _classes_of(name: str, by_split: Mapping[str, Mapping[str, int]], splits: Sequence[str]) -> str:
    total = Counter[str]()
    for found in by_split.values():
        total.update(found)
    first = [*by_frequency(total)][:MOST_ROWS]
    rows = [
        (code(value), *(f"{by_split.get(split, {}).get(value, 0):,}" for split in splits))
        for value in first
    ]
    more = len(total) - len(first)
    rest = [(f"{more:,} more", *("" for _ in splits))] if more else []
    return table((code(name), *map(text, splits)), [*rows, *rest])


def counts(heads: tuple[str, str], found: Mapping[str, int]) -> str:
    """Return one row for each thing that occurs, and how often; of very many, the first ones."""
    there = [(code(name), n) for name, n in found.items() if n]
    rest = there[MOST_ROWS:]
    rows = [*there[:MOST_ROWS], *([(f"{len(rest):,} more", sum(n for _, n in rest))] * bool(rest))]
    return table(heads, ((name, f"{n:,}") for name, n in rows))


def tokens(facts: Facts) -> str:
    """Return one row for each token column: its tokenizer, its ids, and how exact it is."""
    return table(
        ("column", "tokenizer", "vocabulary", "tokens", "per row", "rows held exactly"),
        ((code(name), *token_cells(name, found, facts)) for name, found in facts.tokens.items()),
    )


def token_cells(name: str, found: TokenFacts, facts: Facts) -> tuple[str, str, str, str, str]:
    """Return what a table says of a token column: its type, and figures; empty where unknown."""
    exact = facts.labels.flags.get(f"{name}{EXACT}")
    known = found.ids is not None and found.rows
    return (
        code(found.type) if found.type else "",
        f"{found.vocabulary:,}" if found.vocabulary else "",
        f"{found.ids:,}" if known else "",
        f"{(found.ids or 0) / found.rows:,.0f}" if known else "",
        f"{exact.true:,} of {found.rows:,}" if exact else "",
    )


def scores(facts: Facts) -> str:
    """Return the mean of each score by tier."""
    return table(
        ("score", *SKILL_TIERS),
        (
            (f"`{name}`", *(_mean(means.get(tier)) for tier in SKILL_TIERS))
            for name, means in facts.labels.scores.items()
        ),
    )


def group_name(facts: Facts) -> str:
    """Return what decided the splits, in the plural."""
    group = facts.made.group
    return "players" if group == PLAYER else f"different {code(group)}"


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


def length(hours: float) -> str:
    """Return a time with its unit.

    Examples:
        >>> length(1.25), length(0.05), length(0.001)
        ('1.2 hours', '3 minutes', '4 seconds')
    """
    if hours >= 1:
        return f"{hours:,.1f} hours"
    count, unit = (
        (round(hours * 60), "minute") if hours * 60 >= 1 else (round(hours * 3600), "second")
    )
    return f"{count} {unit}{'s'[: count != 1]}"


def spread(found: Spread) -> str:
    """Return a range, such as `60 to 180`."""
    low, high = _short(found.low), _short(found.high)
    return low if low == high else f"{low} to {high}"


def _short(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _mean(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
