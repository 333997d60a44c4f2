"""Make datasets of snare-drum performances: audio, MIDI and labels in Parquet.

The modules in reading order, which is the order in which data flows:

    schema, features, keys    what a dataset holds; its Arrow schemas; named random generators

    notation, rudiments       what is to be played: the 40 rudiments
    players                   who plays
    strokes                   the arrays that hold what was played
    timing, touch, ornaments, mistakes
    performance               rudiment, player and chance -> strokes and mistakes

    midi, tokens              strokes -> a MIDI file -> token ids
    trend, fault_*, scores_*  strokes -> what is wrong with them, and what it costs
    labels                    strokes -> measures and scores

    kits, resonators, strike
    synth, soundfont          strokes -> the sound of a drum
    rooms, microphones, electronics, recording
    stage                     the sound of a drum -> a recording of it
    encoding                  a recording -> FLAC and WAV

    choices, splits, plan     options -> clips, shards, ids
    clips, rows, shards       a clip -> a row -> a Parquet file
    claim, workers, build     a plan -> a folder
    builder                   a plan -> a builder of `datasets`

    folder, view, findings    a folder, opened; its rows; what is wrong
    hearing, check_*, validate, judged
    progress, commands, cli   the command line
"""

from typing import Any

__all__ = ["SousaBuilder", "SousaConfig"]


def __getattr__(name: str) -> Any:
    """Import the builder of `datasets` when it is asked for: it takes a second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sousa.builders import builder

    return getattr(builder, name)
