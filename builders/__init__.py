"""Make datasets of snare-drum performances: audio, MIDI and labels in Parquet.

The modules in reading order, which is the order in which data flows:

    schema, features, keys    what a dataset holds; its Arrow schemas; named random generators

    notation, rudiments       what is to be played: the 40 rudiments
    players                   who plays
    strokes                   the arrays that hold what was played
    timing, touch, ornaments, mistakes
    performance               rudiment, player and chance -> strokes and mistakes

    midi                      strokes -> a MIDI file
    smf_writing, events       a MIDI file of any kind -> arrays, and back
    vocabulary, bars, batches names of tokens; signatures -> bars; events of many files end to end
    grid_tokens, clock_tokens events -> ids; token_reader, grid_decoding: ids -> events
    grammar, tokenizer
    own_tokenizer, miditok_*
    subword_words
    subword_tokens            ids of a tokenizer -> fewer ids, each for several
    token_paths, *_paths      ids so far -> those that may follow, so that all of it decodes
    continuing
    tokens                    a name on the command line, or a file -> a tokenizer
    trend, fault_*, scores_*  strokes -> what is wrong with them, and what it costs
    labels                    strokes -> measures and scores

    kits, resonators, strike
    synth, soundfont          strokes -> the sound of a drum
    rooms, microphones, electronics, recording
    stage                     the sound of a drum -> a recording of it
    encoding                  a recording -> FLAC and WAV

    choices, splits, plan     options -> clips, shards, ids
    clips, rows, shards       a clip -> a row -> a Parquet file
    claim, workers, finished
    build                     a plan -> a folder
    builder                   a plan -> a builder of `datasets`

    smf, midi_events          a MIDI file of any kind -> what it plays
    midi_schema, midi_limits  what an imported dataset holds; what a file must be like for it
    midi_listing, guarded
    midi_files                a tree of files -> a verdict on each, in processes that may die
    import_plan, arrangement
    midi_rows, import_midi    the files that are fit -> a folder
    token_cells, tokenize     a folder -> the same with other token columns
    subword_models
    subword_training          a token column -> a tokenizer over its ids

    sousa_schema              what an import of the existing SOUSA layout holds
    sousa_folder, sousa_cells a table of labels -> columns of the declared types
    sousa_media, sousa_survey a folder in that layout -> its samples, and what is wrong with them
    sousa_splits, sousa_plan
    sousa_request             its samples -> who goes where
    sousa_lists, sousa_stage  rows in any order -> the lists of each clip
    midi_channel, sousa_audio files -> what built clips hold
    sousa_rows, import_sousa  a folder in that layout -> a dataset folder
    sousa_tables,
    export_sousa              a dataset folder -> a folder in that layout

    audio_schema              what a dataset of recordings holds, by its plan
    annotations               what is said of recordings; pyjama, *_annotations, annotation_files
    audio_columns             annotations -> columns and cells
    recordings                a tree of recordings -> their samples
    audio_matching            which annotation means which recording
    audio_verdicts            recordings -> a verdict on each, in processes that may die
    audio_plan, audio_shards
    import_audio              recordings with annotations -> a folder

    kinds                     what a folder was made of, and its columns
    hearing, recorded         does one hear the strokes of a clip?
    folder, view, findings    a folder, opened; its rows; what is wrong
    check_splits, check_files a folder -> what is wrong with its files
    check_rows, check_measures, check_midi, check_import, check_sousa, check_audio
                              rows -> what is wrong with each
    row_facts                 rows -> a few figures of each
    check_players, check_duplicates, check_ranges, check_leaks, check_sound_labels
                              the figures of all rows -> what is wrong with the dataset
    check_tables, parts       which checks a dataset goes through; a row group through those of rows
    validate, judged          a folder -> a report, and what was found good before
    progress, options
    *commands, cli            the command line
"""

from typing import Any

__all__ = ["SousaBuilder", "SousaConfig"]


def __getattr__(name: str) -> Any:
    """Import the builder of `datasets` when it is asked for: it takes a second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sousa.builders import builder

    return getattr(builder, name)
