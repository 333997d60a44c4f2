"""Token files of others become datasets: MidiTok's JSON files, and Aria's JSON lines."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sousa.loaders.token_vocabulary import Vocabulary

WIDEST: Final = 16
"""Vocabularies of a token at most; MidiTok has up to 9, or 16 with attributes."""

ARIA_SPECIALS: Final = {"<P>": "PAD", "<S>": "BOS", "<E>": "EOS"}
"""What Aria calls special tokens; those at the ends of its sequences are taken as they are."""


def read_miditok_json(
    files: str | Path | Sequence[str | Path], column: str = "tokens"
) -> datasets.Dataset:
    """Return the token files that MidiTok's `save_tokens` and `tokenize_dataset` write.

    A file with several token streams, one a track, becomes as many rows.

    Args:
        files: A folder, with all below it, or files.
        column: What to call the tokens.

    Returns:
        The column `tokens`, list<uint16>, or list<list<uint16>> of several vocabularies, and
        `sample_id`, the path of the file below the folder, with the number of the track where
        there are several.

    Raises:
        ValueError: If a file is none of MidiTok's, or there are none.
    """
    folder = Path(files) if isinstance(files, str | Path) else None
    given = files if not isinstance(files, str | Path) else sorted(Path(files).rglob("*.json"))
    paths = [Path(each) for each in given]
    rows: list[Any] = []
    names: list[str] = []
    for path in paths:
        name = path.relative_to(folder).as_posix() if folder else str(path)
        tracks = miditok_tracks(path)
        rows += tracks
        names += [name] if len(tracks) == 1 else [f"{name}:{at}" for at in range(len(tracks))]
    if not rows:
        raise ValueError(f"{files} holds no token files of MidiTok: no .json with ids")
    depth = any(isinstance(row[0], list) for row in rows if row)
    kind = pa.list_(pa.list_(pa.uint16())) if depth else pa.list_(pa.uint16())
    try:
        tokens = pa.array(rows, kind)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise ValueError(f"{files} holds ids that are no whole numbers in [0, 65535]") from error
    return in_memory({column: tokens, "sample_id": pa.array(names)})


def miditok_tracks(path: Path) -> list[Any]:
    """Return the ids of each token stream of a file.

    Raises:
        ValueError: If it is none of MidiTok's.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        ids = content["ids"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no token file of MidiTok: it must be JSON with ids") from error
    depth, inner = 0, ids
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0] if inner else 0
    if not 1 <= depth <= 3 or isinstance(inner, bool) or not isinstance(inner, int):
        raise ValueError(f"{path} is no token file of MidiTok: ids must be lists of whole numbers")
    # Of a track, or of a token? Tokens are short, and equally long.
    tokens = depth == 2 and {len(each) for each in ids} <= {len(ids[0])} and len(ids[0]) <= WIDEST
    return [ids] if depth == 1 or tokens else list(ids)


def read_aria_jsonl(
    path: str | Path, column: str = "tokens"
) -> tuple[datasets.Dataset, Vocabulary]:
    """Return a tokenized dataset of Aria, and the vocabulary that its tokens make.

    Its first line is a header with the tokenizer's name and configuration, each further one a
    sequence of tokens: text, or lists such as `["piano", 60, 45]`. Ids count the tokens of the
    file in sorted order, behind the special ones.

    Args:
        path: The file.
        column: What to call the tokens.

    Returns:
        The columns `tokens`, list<uint16>, or list<uint32> of more than 65,536 tokens, and
        `sample_id`, the number of the line; and what each id means.

    Raises:
        ValueError: If a line is no sequence of tokens.
    """
    path = Path(path)
    numbers: dict[str, int] = {}
    values: list[npt.NDArray[np.uint32]] = []
    lengths: list[int] = []
    kind = "aria"
    for line, content in lines_of(path):
        if line == 1 and isinstance(content, dict):
            kind = f"aria:{content.get('tokenizer_name', content.get('tokenizer', 'unknown'))}"
            continue
        if not isinstance(content, list):
            raise ValueError(f"{path}, line {line}: it must be a list of tokens, as Aria writes it")
        named = [token_name(token) for token in content]
        values.append(np.fromiter((numbers.setdefault(n, len(numbers)) for n in named), np.uint32))
        lengths.append(len(named))
    specials = [name for name in ARIA_SPECIALS.values() if name in numbers]
    names = specials + sorted(set(numbers) - set(specials))
    place = np.zeros(len(numbers), np.uint32)
    for id_, name in enumerate(names):
        place[numbers[name]] = id_
    ids = place[np.concatenate(values)] if values else place[:0]
    stored = ids.astype(np.uint16 if len(names) <= 2**16 else np.uint32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(stored))
    labels = pa.array([str(row) for row in range(len(lengths))])
    made = in_memory({column: rows, "sample_id": labels})
    return made, Vocabulary.of_names(names, kind, str(path))


def lines_of(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number and the content of each line that is not empty.

    Raises:
        ValueError: If one is no JSON.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: no JSON: {error}") from error


def token_name(token: Any) -> str:
    """Return a token of Aria as text: `piano_60_45`."""
    if isinstance(token, list):
        return "_".join(map(str, token))
    return ARIA_SPECIALS.get(str(token), str(token))


def in_memory(columns: dict[str, pa.Array]) -> datasets.Dataset:
    """Return a table as a dataset."""
    return datasets.Dataset(datasets.table.InMemoryTable(pa.table(columns)))
