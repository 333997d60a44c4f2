"""Check of imported rows: all that is in them follows from the bytes of their MIDI files."""

import hashlib
from collections.abc import Iterator

from sousa.builders.check_midi import Context
from sousa.builders.midi_rows import Source, tables
from sousa.builders.view import Rows

NEEDED = ("midi", "midi_sha256", "sample_id", "source_path")
"""Columns of an imported row that others are compared with."""


def check_import(rows: Rows, _: Context) -> Iterator[tuple[int, str]]:
    """Find rows that are not what their MIDI files say; tokens have a check of their own."""
    stored = [rows.cells(name) for name in NEEDED]
    for row, (midi, stated, id_, path) in enumerate(zip(*stored, strict=True)):
        digest = hashlib.sha256(midi or b"").hexdigest()
        if digest != stated:
            yield row, f"midi_sha256 is {stated}, that of the bytes is {digest}"
            continue
        try:
            made = tables([Source(id_, path, midi, digest)], {})["midi_only"]
        except ValueError as error:
            yield row, f"the MIDI cannot be read: {error}"
            continue
        for name in made.column_names:
            if name in rows and not rows.table[name][row].equals(made[name][0]):
                yield row, f"{name} is not what the MIDI says"
                break
