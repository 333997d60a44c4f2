"""Token columns to what a card says of them: their tokenizers' files, and counts from footers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

EXACT: Final = "_exact"
"""Ending of the column that says whether a row's tokens hold all of its MIDI file."""

DEPTHS: Final = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """One token column.

    Attributes:
        type: Of its tokenizer; empty if its file does not say.
        vocabulary: Ids that there are; 0 if its file does not say.
        depth: 2 where a row is a list of lists.
        ids: In all rows; None where the footers do not tell.
        rows: How many rows there are.
        is_configured: Whether its file is a configuration of MidiTok.
        training: What subwords were trained on; empty for other tokenizers.
    """

    type: str = ""
    vocabulary: int = 0
    depth: int = 1
    ids: int | None = None
    rows: int = 0
    is_configured: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)


def token_facts(path: Path, ids: int | None, rows: int) -> TokenFacts:
    """Return the facts of a token column; of a damaged tokenizer only what is counted.

    Args:
        path: `tokenizers/<column>.json`.
        ids: In all rows.
        rows: How many rows there are.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        content = None
    content = content if isinstance(content, dict) else {}
    vocabulary = content.get("vocab", content.get("vocabulary"))
    training = content.get("training")
    base = content.get("base")
    inner = base if isinstance(base, dict) else content
    depth = inner.get("depth")
    return TokenFacts(
        type=str(content.get("type", "")),
        vocabulary=len(vocabulary) if isinstance(vocabulary, dict) else 0,
        depth=depth if depth in DEPTHS else 1,
        ids=ids,
        rows=rows,
        is_configured="tokenization" in content,
        training=training if isinstance(training, dict) else {},
    )
