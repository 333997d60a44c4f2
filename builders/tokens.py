"""MIDI files to token ids and back: the tokenizers by name, and their files.

    grid         exact, for drums and any instruments: `grid_tokens`
    ms           to the nearest of a clock's steps of 2 ms: `clock_tokens`
    grid+hands, ms+hands
                 the same, with hand and stroke type of each note, for rows that have `strokes`
    NAME:CONFIG.json
                 a class of MidiTok: `miditok_tokens`
    bpe, unigram, wordpiece
                 trained on the ids of one of these, so known by their files only: `subword_tokens`

A tokenizer is one file, `tokenizers/<column>.json`, with a hash: ids belong to it or they do not.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from sousa.builders import miditok_tokens, subword_tokens
from sousa.builders.choices import refusal
from sousa.builders.own_tokenizer import OWN_TYPES, STICKING, OwnTokenizer
from sousa.builders.schema import Column, exact_column, token_column
from sousa.builders.tokenizer import Encoded, Tokenizer

__all__ = [
    "COLUMNS",
    "OWN_TYPES",
    "STICKING",
    "TOKENIZERS",
    "Encoded",
    "OwnTokenizer",
    "Tokenizer",
    "load_tokenizer",
    "parse_tokenizers",
    "stored_columns",
    "to_json",
    "token_column_of",
    "token_columns",
]

TOKENIZERS: Final[dict[str, Callable[[], OwnTokenizer]]] = {
    name: partial(OwnTokenizer, name) for name in OWN_TYPES
}
"""The tokenizers that need no configuration."""

COLUMNS: Final = {
    "grid": "tokens",
    "ms": "tokens_ms",
    "grid+hands": "tokens_hands",
    "ms+hands": "tokens_ms_hands",
} | {name: f"tokens_{name}" for name in miditok_tokens.CLASSES}
"""Token column of each tokenizer; in a row they are in order of their names."""


def parse_tokenizers(specs: Iterable[str]) -> dict[str, Tokenizer]:
    """Return the tokenizers that a command line names, by their columns.

    Args:
        specs: Such as `grid`, `ms+hands` or `remi:CONFIG.json`; none are no columns.

    Raises:
        ValueError: If there is no such tokenizer, a column would be there twice, or MidiTok is
            missing or refuses the configuration.
        OSError: If a configuration cannot be read.
    """
    found: dict[str, Tokenizer] = {}
    for spec in specs:
        column = token_column_of(spec)
        name, _, config = spec.partition(":")
        if column in found:
            raise ValueError(f"tokens must name {name} once, got {spec!r} again")
        if config:
            found[column] = miditok_tokens.from_config(name.lower(), Path(config))
        else:
            found[column] = OwnTokenizer(name)
    return dict(sorted(found.items()))


def token_column_of(spec: str) -> str:
    """Return the column of a tokenizer as a command line names it.

    Raises:
        ValueError: If there is no such tokenizer.

    Examples:
        >>> token_column_of("grid"), token_column_of("REMI:drums.json")
        ('tokens', 'tokens_remi')
    """
    name, _, config = spec.partition(":")
    if config and name.lower() in miditok_tokens.CLASSES:
        return COLUMNS[name.lower()]
    if spec in OWN_TYPES:
        return COLUMNS[spec]
    if name.lower() in miditok_tokens.CLASSES:
        raise ValueError(
            f"tokens of MidiTok need a configuration: {name}:CONFIG.json, got {spec!r}"
        )
    raise ValueError(refusal("tokens", spec, (*OWN_TYPES, "remi:CONFIG.json and the like")))


def token_columns(
    tokenizers: Mapping[str, Tokenizer], *, exact: bool = False
) -> tuple[Column, ...]:
    """Return the columns of some tokenizers.

    Args:
        tokenizers: By column.
        exact: Whether each column has one behind it that says which rows it holds exactly. Those
            of lossy tokenizers always have.
    """
    columns = []
    for name, tokenizer in tokenizers.items():
        nullable = exact or tokenizer.lossy
        columns.append(token_column(name, tokenizer.depth, nullable=nullable))
        if nullable:
            columns.append(exact_column(name))
    return tuple(columns)


def to_json(tokenizer: Tokenizer) -> str:
    """Return the file `tokenizers/<column>.json` of a tokenizer."""
    return tokenizer.to_json()


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Return the tokenizer that a file of `tokenizers/` describes.

    Raises:
        ValueError: If the file was changed, is of another type or version, or needs MidiTok and
            it is missing.
        OSError: If it cannot be read.
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not the JSON of a tokenizer: {error}") from error
    kind = content.get("type") if isinstance(content, dict) else None
    if not isinstance(kind, str) or kind not in subword_tokens.MODELS:
        return _untrained(Path(path), content, kind)
    base = content.get("base")
    inner = _untrained(Path(path), base, base.get("type") if isinstance(base, dict) else None)
    return subword_tokens.from_content(Path(path), content, inner)


def _untrained(path: Path, content: Any, kind: object) -> Tokenizer:
    """Return one of our tokenizers, or of MidiTok's."""
    if isinstance(kind, str) and kind in miditok_tokens.CLASSES:
        return miditok_tokens.from_file(path, content)
    if kind not in OWN_TYPES:
        allowed = ", ".join((*OWN_TYPES, *miditok_tokens.CLASSES, *subword_tokens.MODELS))
        raise ValueError(f"{path}: type must be one of {allowed}, got {kind!r}")
    tokenizer = OwnTokenizer(str(kind))
    if json.loads(tokenizer.to_json()) != content:
        raise ValueError(f"{path}: vocabulary or hash is not that of this version's tokenizer")
    return tokenizer


def stored_columns(root: Path, *, exact: bool = False) -> tuple[Column, ...]:
    """Return the token columns of a dataset's folder, by what its tokenizers say of themselves.

    Args:
        root: The folder.
        exact: As in `token_columns`.
    """
    columns = []
    for path in sorted(root.glob("tokenizers/*.json")):
        depth, lossy = _shape(path)
        columns.append(token_column(path.stem, depth, nullable=exact or lossy))
        if exact or lossy:
            columns.append(exact_column(path.stem))
    return tuple(columns)


def _shape(path: Path) -> tuple[int, bool]:
    """Return depth and lossiness of a tokenizer, of a damaged file those of most."""
    try:
        content = json.loads(path.read_bytes())
        kind = content.get("base", content)["type"]
        return (2 if content.get("depth") == 2 else 1), kind in miditok_tokens.CLASSES
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 1, False
