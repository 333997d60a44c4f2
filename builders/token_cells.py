"""MIDI files to the cells of token columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from sousa.builders.tokens import Tokenizer


def token_cells(
    midi: Sequence[bytes],
    tokenizers: Mapping[str, Tokenizer],
    strokes: Sequence[Any] | None = None,
    *,
    is_fit: bool = True,
) -> dict[str, list[Any]]:
    """Return the cells of some rows: ids by column, and by `<column>_exact` whether they are exact.

    Args:
        midi: The files.
        tokenizers: By column.
        strokes: Labels of the strokes, for tokenizers that need them.
        is_fit: False makes no tokens: for files that have ended the process which tried.
    """
    cells: dict[str, list[Any]] = {}
    for column, tokenizer in tokenizers.items():
        if is_fit:
            encoded = tokenizer.tokenize(midi, strokes if tokenizer.needs_strokes else None)
            cells[column] = [each.ids for each in encoded]
            cells[f"{column}_exact"] = [each.exact for each in encoded]
        else:
            cells |= {column: [None] * len(midi), f"{column}_exact": [False] * len(midi)}
    return cells
