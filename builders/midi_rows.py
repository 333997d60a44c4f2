"""MIDI files to rows: bytes, events and what there is to say of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from sousa.builders import rows, tokens
from sousa.builders.features import arrow_schema
from sousa.builders.midi_events import DRUM_CHANNEL, Events, events
from sousa.builders.midi_schema import CONFIGS, columns
from sousa.builders.schema import Column
from sousa.builders.smf import MidiFile, parse
from sousa.builders.token_cells import token_cells
from sousa.builders.tokens import Tokenizer

TEXTS: Final = ("track_names",)
"""Columns that are lists of strings."""

MINUTE_US: Final = 60e6


class Source(NamedTuple):
    """A file that becomes a row.

    Attributes:
        sample_id: Of its row.
        name: Its path, as valid text.
        midi: Its bytes.
        midi_sha256: Of them.
    """

    sample_id: str
    name: str
    midi: bytes
    midi_sha256: str


def tables(
    sources: Sequence[Source], tokenizers: Mapping[str, Tokenizer], *, is_fit: bool = True
) -> dict[str, pa.Table]:
    """Return files as rows: a table for each config.

    Args:
        sources: The files.
        tokenizers: By token column.
        is_fit: Whether the files can be made into tokens; not if that has ended a process.
    """
    made = [_row(source) for source in sources]
    midi = [source.midi for source in sources]
    for column, cells in token_cells(midi, tokenizers, is_fit=is_fit).items():
        for row, cell in zip(made, cells, strict=True):
            row[column] = cell
    token_columns = tokens.token_columns(tokenizers, exact=True)
    return {config: _table(made, config, columns(config, token_columns)) for config in CONFIGS}


def _table(made: Sequence[dict[str, Any]], config: str, declared: tuple[Column, ...]) -> pa.Table:
    schema = arrow_schema(declared)
    plain = rows.table(made, config, tuple(c for c in declared if c.name not in TEXTS))
    arrays = [
        pa.array([row[field.name] for row in made], field.type)
        if field.name in TEXTS
        else plain[field.name].combine_chunks()
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _row(source: Source) -> dict[str, Any]:
    file = parse(source.midi)
    played = events(file)
    return {
        "sample_id": source.sample_id,
        "source_path": source.name,
        "midi_sha256": source.midi_sha256,
        "midi": source.midi,
        **_metadata(file, played),
        **_events(played),
    }


def _metadata(file: MidiFile, played: Events) -> dict[str, Any]:
    notes, quarter_us = played.notes, played.tempos["quarter_us"]
    is_drum = notes["channel"] == DRUM_CHANNEL
    seconds = played.duration_sec
    return {
        "events_sha256": played.digest(),
        "midi_type": file.kind,
        "ticks_per_quarter": file.ticks_per_quarter,
        "num_tracks": len(file.tracks),
        "num_notes": len(is_drum),
        "num_unended_notes": int((notes["is_ended"] == 0).sum()),
        "num_tempos": len(quarter_us),
        "duration_sec": seconds,
        "longest_silence_sec": played.longest_silence_sec,
        "notes_per_sec": len(is_drum) / seconds if seconds else 0.0,
        "tempo_bpm": MINUTE_US / float(np.append(quarter_us, [500_000])[0]),
        "has_drums": bool(is_drum.any()),
        "has_pedals": len(played.pedals["tick"]) > 0,
        "programs": np.unique(notes["program"][~is_drum]),
        "track_names": played.track_names,
    }


def _events(played: Events) -> dict[str, Any]:
    duration_ms = played.end_ms - played.onset_ms
    return {
        "notes": {**played.notes, "onset_ms": played.onset_ms, "duration_ms": duration_ms},
        "pedals": played.pedals,
        "program_changes": played.program_changes,
        "tempos": played.tempos,
        "time_signatures": played.time_signatures,
        "key_signatures": played.key_signatures,
    }
