"""A folder or a Hub id to one screen of text."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard, HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from sousa.builders.schema import SCORES, SKILL_TIERS
from sousa.cards.facts import Facts, facts
from sousa.cards.failures import NETWORK_ERROR, may_pass
from sousa.cards.label_facts import by_frequency
from sousa.cards.listing import README
from sousa.cards.tables import RANGES, TOTALS, different, figures, length, size, spread, token_cells
from sousa.cards.target import MAIN
from sousa.cards.token_facts import EXACT

HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")

TOKEN_HEADS: Final = ("tokens", "tokenizer", "vocabulary", "ids", "per row", "rows held exactly")

FEW: Final = 4
"""Flags and reasons that a line has room for."""

MOST_CLASSES: Final = 8

PATIENCE_SEC: Final = 5.0
"""How long the Hub may take to answer before the cache is asked."""


def describe(
    source: str | Path,
    *,
    revision: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Return what is in a dataset, in one screen that ends with a newline.

    A folder is read by its shards; of a dataset on the Hub only the card is fetched, or taken from
    the cache where there is no network.

    Args:
        source: A folder, or `org/name` on the Hub.
        revision: Branch, tag or commit on the Hub; None is the main branch.
        token: Of the Hub; None takes what `huggingface_hub` finds.
        endpoint: Address of the Hub, if it is not the usual one.

    Raises:
        FileNotFoundError: If there is no such folder or dataset, or it cannot be reached.
        OSError: If a shard is damaged, or the Hub refuses the token.
        ValueError: If the dataset's card does not say what it holds.
    """
    if Path(source).is_dir():
        return _folder(str(source), facts(source))
    if not HUB_ID.fullmatch(str(source)):
        raise FileNotFoundError(f"expected a folder or org/name on the Hub, got {str(source)!r}")
    card = _card(str(source), revision or MAIN, HfApi(endpoint=endpoint, token=token))
    return _hub(str(source), card.read_text(encoding="utf-8"))


def _folder(name: str, facts: Facts) -> str:
    """Return what a folder holds: the figures that there are, each part where it is not empty."""
    (rows, count), *others = figures(facts)
    hours = facts.labels.hours
    sums = [f"{value} {what}" for what, value in others if what in TOTALS.values()]
    first = ", ".join([f"{count} {rows}", *[length(hours)] * bool(hours), *sums])
    parts = [
        [f"{name}: {first}", *_sentences(facts)],
        _aligned(("config", "split", "rows", "files", "size"), _readable(_shards(facts))),
        _aligned(TOKEN_HEADS, _tokens(facts)) if facts.tokens else [],
        _tiers(facts) if facts.labels.tiers else _classes(facts),
    ]
    lines = "\n\n".join("\n".join(part) for part in parts if part).splitlines()
    return "".join(f"{_printable(line)}\n" for line in lines)


def _sentences(facts: Facts) -> list[str]:
    """Return ranges and shares, and what was left out, a line each."""
    labels = facts.labels
    found = [
        " ".join((name, spread(labels.numbers[column]), unit))
        for column, (name, _, unit) in ((c, n.partition(", ")) for c, n in RANGES.items())
        if column in labels.numbers
    ]
    flags = [
        f"{column} {100 * share.true / share.rows:.0f} %"
        for column, share in labels.flags.items()
        if share.rows and not column.endswith(EXACT)
    ]
    rejected = facts.made.rejected
    left_out = [f"{reason} ({count:,})" for reason, count in rejected.items()]
    more = ["and others"] * (len(left_out) > FEW)
    shared = [
        f"{count} {name.removesuffix('s') if count == '1' else name}".replace("`", "")
        for name, count in different(facts)
    ]
    lines = [", ".join(each) for each in (shared, found, [*flags[:FEW], *_families(facts)])]
    if left_out:
        lines.append(f"left out {sum(rejected.values()):,}: {', '.join(left_out[:FEW] + more)}")
    return [line for line in lines if line]


def _families(facts: Facts) -> list[str]:
    count = len(facts.labels.families)
    return [f"programs of {count} families"] if count else []


def _shards(facts: Facts) -> list[tuple[str, str, int, int, int]]:
    return [
        (f"{name}{' *' * (name == facts.default)}", split, s.rows, s.shards, s.file_bytes)
        for name, config in facts.configs.items()
        for split, s in config.splits.items()
    ]


def _tokens(facts: Facts) -> list[tuple[str, ...]]:
    return [
        (name, *(cell.strip("`") for cell in token_cells(name, found, facts)))
        for name, found in facts.tokens.items()
    ]


def _tiers(facts: Facts) -> list[str]:
    """Return the rows of each tier by split, and the mean overall score."""
    labels = facts.labels
    rows = [
        (f"{split}, {labels.groups.get(split, 0)} players", *(f"{n:,}" for n in tiers.values()))
        for split, tiers in labels.tiers.items()
    ]
    names = [score.name for score in SCORES if score.name in labels.scores]
    rows += [(f"mean {name}", *_means(labels.scores[name])) for name in names]
    return _aligned(("", *SKILL_TIERS), rows)


def _classes(facts: Facts) -> list[str]:
    """Return what classes there are, a line for each column."""
    found = {
        column: sum((Counter(rows) for rows in by_split.values()), Counter[str]())
        for column, by_split in facts.labels.classes.items()
    }
    return [
        f"{column}: "
        + ", ".join(f"{name} {n:,}" for name, n in [*by_frequency(rows).items()][:MOST_CLASSES])
        + (f", {len(rows) - MOST_CLASSES} more" if len(rows) > MOST_CLASSES else "")
        for column, rows in found.items()
    ]


def _means(means: Mapping[str, float | None]) -> list[str]:
    found = [means.get(tier) for tier in SKILL_TIERS]
    return ["" if mean is None else f"{mean:.3g}" for mean in found]


def _card(name: str, revision: str, api: HfApi) -> Path:
    """Fetch a card, or take it from the cache where the Hub cannot be reached.

    Whether it can is asked once and with little patience; the client would try for long.
    """
    try:
        api.repo_info(name, repo_type="dataset", revision=revision, timeout=PATIENCE_SEC)
        return Path(api.hf_hub_download(name, README, repo_type="dataset", revision=revision))
    except RevisionNotFoundError as error:
        raise FileNotFoundError(f"{name} has no revision {revision} on the Hub") from error
    except (RepositoryNotFoundError, EntryNotFoundError) as error:
        raise _absent(name, error) from error
    except HfHubHTTPError as error:
        if not may_pass(error):
            raise _absent(name, error) from error
    except (NETWORK_ERROR, ConnectionError, TimeoutError):
        pass
    try:
        cached = api.hf_hub_download(
            name, README, repo_type="dataset", revision=revision, local_files_only=True
        )
    except LocalEntryNotFoundError as error:
        raise _absent(name, error) from None
    return Path(cached)


def _absent(name: str, error: Exception) -> FileNotFoundError:
    return FileNotFoundError(
        f"no folder {name}, and no card of such a dataset on the Hub ({type(error).__name__}): "
        "check the name, the network, and for private datasets the token"
    )


def _hub(name: str, text: str) -> str:
    card = DatasetCard(text, ignore_metadata_errors=True)
    infos = DatasetInfosDict.from_dataset_card_data(card.data)
    if not any(info.splits for info in infos.values()):
        raise ValueError(f"the card of {name} has no `dataset_info` that says what it holds")
    rows = [
        (config, split, part.num_examples, "", part.num_bytes)
        for config, info in infos.items()
        for split, part in (info.splits or {}).items()
    ]
    lines = [
        f"{name} on the Hub: {card.data.get('pretty_name', 'no title')}",
        "",
        *_aligned(("config", "split", "rows", "", "data"), _readable(rows)),
    ]
    return "".join(f"{_printable(line)}\n" for line in lines)


def _printable(line: str) -> str:
    """Return a line that cannot command a terminal, whatever a card's author wrote."""
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _readable(rows: Iterable[tuple[str, str, int, int | str, int]]) -> list[tuple[str, ...]]:
    return [(config, split, f"{n:,}", str(files), size(b)) for config, split, n, files, b in rows]


def _aligned(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return lines whose columns stand under each other, numbers to the right."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    left = 1 if heads[0] == "" else 2
    return [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
