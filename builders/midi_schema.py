"""The columns of a dataset that was imported from MIDI files."""

from typing import Final

from sousa.builders.schema import Column, ListOf, Struct, Value

KIND: Final = "midi"
"""What `import` in the plan of such a dataset's manifest says."""

CONFIGS: Final = ("midi_only", "labels_only")
"""Names of its configs, the default first."""

METADATA: Final = (
    Column("sample_id", Value("string"), "unique; begins like `midi_sha256`"),
    Column(
        "source_path",
        Value("string"),
        "of the file, from the imported folder; `\\xNN` is a byte that is no UTF-8",
    ),
    Column("midi_sha256", Value("string"), "of the bytes in `midi`"),
    Column("events_sha256", Value("string"), "the same for files that play the same"),
    Column("midi_type", Value("int32"), "type in the file's header", "[0, 2]"),
    Column("ticks_per_quarter", Value("int32"), "unit of the ticks"),
    Column("num_tracks", Value("int32"), "tracks of the file, with and without notes"),
    Column("num_notes", Value("int32"), "notes, drums included"),
    Column("num_unended_notes", Value("int32"), "of them, those that the file never ends"),
    Column("num_tempos", Value("int32"), "tempos that the file sets"),
    Column("duration_sec", Value("float32"), "to the end of the last note", "s"),
    Column("longest_silence_sec", Value("float32"), "in which no note sounds", "s"),
    Column("notes_per_sec", Value("float32"), "`num_notes` by `duration_sec`", "1/s"),
    Column("tempo_bpm", Value("float32"), "first tempo, 120 where none is set", "1/min"),
    Column("has_drums", Value("bool"), "whether there are notes on channel 10"),
    Column("has_pedals", Value("bool"), "whether `pedals` holds any"),
    Column("programs", ListOf(Value("uint8")), "of the notes on other channels, each once"),
    Column("track_names", ListOf(Value("string")), "of all tracks, in file order"),
)
_TICK: Final = Column("tick", Value("int32"), "from the start of the file", "ticks")
_TRACK: Final = Column("track", Value("int32"), "in file order, from 0")
_CHANNEL: Final = Column("channel", Value("uint8"), "10 is drums", "[1, 16]")
NOTE_FIELDS: Final = (
    _TRACK,
    _CHANNEL,
    Column("program", Value("uint8"), "of the channel when the note begins", "[0, 127]"),
    Column("pitch", Value("uint8"), "60 is middle C; of drums, which one", "[0, 127]"),
    Column("velocity", Value("uint8"), "as played", "[1, 127]"),
    Column("onset_tick", Value("int32"), "from the start of the file", "ticks"),
    Column("duration_ticks", Value("int32"), "unended: until the same pitch comes again", "ticks"),
    Column("onset_ms", Value("float64"), "from the start of the file", "ms"),
    Column("duration_ms", Value("float32"), "the same as `duration_ticks`", "ms"),
    Column("is_ended", Value("bool"), "false where the file never ends the note"),
)
PEDAL_FIELDS: Final = (
    _TRACK,
    _CHANNEL,
    Column("controller", Value("uint8"), "64 sustain, 66 sostenuto, 67 soft"),
    Column("value", Value("uint8"), "from 64 on the pedal is down", "[0, 127]"),
    _TICK,
)
PROGRAM_FIELDS: Final = (
    _TRACK,
    _CHANNEL,
    Column("program", Value("uint8"), "from here on", "[0, 127]"),
    _TICK,
)
TEMPO_FIELDS: Final = (_TICK, Column("quarter_us", Value("int32"), "a quarter note's length", "us"))
SIGNATURE_FIELDS: Final = (
    _TICK,
    Column("numerator", Value("int32"), "beats of a bar"),
    Column("denominator", Value("int32"), "4 where a beat is a quarter note"),
)
KEY_FIELDS: Final = (
    _TICK,
    Column("sharps", Value("int32"), "of the key signature, flats below 0"),
    Column("is_minor", Value("bool"), "whether the key is a minor one"),
)


def _lists(fields: tuple[Column, ...]) -> Struct:
    return Struct(tuple(Column(f.name, ListOf(f.type), f.doc, f.unit) for f in fields))


EVENTS: Final = (
    Column("notes", _lists(NOTE_FIELDS), "every note, by onset"),
    Column("pedals", _lists(PEDAL_FIELDS), "every move of a pedal"),
    Column("program_changes", _lists(PROGRAM_FIELDS), "every change of a channel's program"),
    Column("tempos", _lists(TEMPO_FIELDS), "every tempo"),
    Column("time_signatures", _lists(SIGNATURE_FIELDS), "every time signature"),
    Column("key_signatures", _lists(KEY_FIELDS), "every key signature"),
    Column("midi", Value("binary"), "the file's bytes, without a RIFF container around them"),
)


def columns(config: str, tokens: tuple[Column, ...] = ()) -> tuple[Column, ...]:
    """Return the columns of one config, in stored order.

    Args:
        config: One of `CONFIGS`.
        tokens: The token columns, and what says whether they are exact.
    """
    return METADATA if config == "labels_only" else (*METADATA, *EVENTS, *tokens)
