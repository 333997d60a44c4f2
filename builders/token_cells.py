"""MIDI files to the cells of token columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from sousa.builders.batches import Strokes
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
            needed = tokenizer.needs_strokes and strokes is not None
            ordered = [in_time_order(cell) for cell in strokes or ()] if needed else None
            encoded = tokenizer.tokenize(midi, ordered)
            cells[column] = [each.ids for each in encoded]
            cells[f"{column}_exact"] = [each.exact for each in encoded]
        else:
            cells |= {column: [None] * len(midi), f"{column}_exact": [False] * len(midi)}
    return cells


def in_time_order(strokes: Strokes) -> Strokes:
    """Return a cell of the column `strokes` in the order of the notes in its MIDI file.

    Built rows are in that order; imported ones keep that of their source, in which the bounces of
    a buzz may follow all primaries.
    """
    times = strokes.get("actual_time_ms") or []
    order = [] if None in times else sorted(range(len(times)), key=times.__getitem__)
    if order == list(range(len(order))):
        return strokes
    return {name: [strokes[name][place] for place in order] for name in ("hand", "stroke_type")}
