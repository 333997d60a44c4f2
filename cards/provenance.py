"""A folder's manifest to what the dataset was made of, and what was left out on the way."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sousa.cards.label_columns import PLAYER

MANIFEST: Final = "manifest.json"
QUARANTINE: Final = "quarantine.jsonl"
"""What an import left out: an object a line, with a `reason`."""

KIND_OF_REASON: Final = re.compile(r"duplicate: the same \w+|[^:(;]{,100}(?<! )")
"""What reasons of the same kind begin with: what follows tells of one file."""
OF_ONE: Final = re.compile(r"(?<=track) \d+| (['\"]).*\1")
"""What tells of one file before that."""
MOST_REASONS: Final = 20
"""More kinds of reasons than these are counted together."""
OTHER_REASONS: Final = "other reasons"

SNARE: Final = "SOUSA: snare-drum rudiments, played and judged"
"""Title of data whose rows are rudiments."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the ways in which datasets come to be; `kind_<name>.md` holds the words for it.

    Attributes:
        name: What `import` in a plan says, `built` or `other`.
        rows: What its rows are.
        title: Of its datasets; empty takes the name of the repository.
        metadata: Keys of the YAML that follow from it.
        tags: What to find it by.
    """

    name: str
    rows: str = "rows"
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


BUILT: Final = Kind(
    "built",
    "clips",
    SNARE,
    {
        "license": "cc-by-4.0",
        "language": ["en"],
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
    },
    ("music", "drums", "synthetic"),
)
OTHER: Final = Kind("other")
KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        BUILT,
        Kind("midi", "files", "MIDI files: notes and tokens", tags=("music", "symbolic-music")),
        Kind(
            "sousa",
            "clips",
            SNARE,
            {"language": ["en"], "annotations_creators": ["machine-generated"]},
            ("music", "drums", "synthetic"),
        ),
        Kind("audio", "recordings", "Recordings with annotations"),
        OTHER,
    )
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a dataset comes from.

    Attributes:
        kind: How it came to be.
        plan: All that it was asked for; empty where nobody recorded it.
        rejected: What an import left out, by reason, the most frequent first.
        left_out: What else it says of what it left out.
    """

    kind: Kind = OTHER
    plan: Mapping[str, Any] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, Any] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """Column of what decided the splits."""
        stated = self.plan.get("group")
        return stated if isinstance(stated, str) and self.kind.name == "audio" else PLAYER

    @property
    def versions(self) -> dict[str, Any]:
        """What it was made with, by name."""
        return _object(self.plan, "versions")


def provenance(root: Path) -> Provenance:
    """Return where the dataset of a folder comes from.

    Raises:
        OSError: If a file of it cannot be read.
        ValueError: If `manifest.json` is no JSON object.
    """
    manifest = read_manifest(root)
    plan, left_out = (_object(manifest, key) for key in ("plan", "left_out"))
    stated = plan.get("import")
    kind = KINDS.get(stated, OTHER) if isinstance(stated, str) else OTHER
    if "players" in plan and kind is OTHER:
        kind = BUILT
    if kind is OTHER:
        return Provenance()
    counted = Counter(_reasons(root / QUARANTINE)).most_common()
    first = sorted(counted[:MOST_REASONS], key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _, count in counted[MOST_REASONS:])
    rejected = dict(first) | ({OTHER_REASONS: rest} if rest else {})
    return Provenance(kind, plan, rejected, left_out)


def _object(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = content.get(key)
    return found if isinstance(found, dict) else {}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the content of `manifest.json`; empty if there is none.

    Raises:
        ValueError: If it is no JSON object.
    """
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold an object, holds a {type(content).__name__}")
    return content


def _reasons(path: Path) -> Iterator[str]:
    """Yield what kind of reason each line gives."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                reason = str(json.loads(line)["reason"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            found = KIND_OF_REASON.match(reason)
            yield (OF_ONE.sub("", found[0]) if found else "") or OTHER_REASONS
