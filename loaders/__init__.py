"""Feed training from datasets of drum performances.

In reading order, which is the order in which data flows:

    labels      schema                   -> label maps
    errors      a broken row             -> one clear line
    rows        an Arrow schema          -> what it declares
    targets     names of columns         -> what is learnt
    checks      arguments                -> the same, or one clear line
    labelling   label columns            -> labels of every row
    chunks      rows read together       -> labels and encoded clips
    kept        what was made last       -> what need not be made again

    layout      groups of rows           -> a shuffled order
    folder      a built folder           -> its Parquet files
    values      a Parquet column         -> where each value is in the file
    mapped      a Parquet file           -> columns, and clips where they are
    parquet     Parquet files            -> rows by index
    original    a folder as SOUSA's own  -> rows by index
    pages       a stream                 -> rows, read again after a lost connection
    access      who asks the Hub         -> answers, or one clear line
    remote      a name on the Hub        -> its files at a commit
    ranges      files on the Hub         -> some of their bytes
    shards      an IterableDataset       -> pieces that can be read in any order
    groups      Parquet on the Hub       -> row groups as such pieces
    windows     pieces                   -> shuffled windows of rows
    streams     an IterableDataset       -> windows, from anywhere on
    source      what the user has        -> rows by index, or a stream

    filters     sample rates             -> a resampler's weights
    resample    waveforms                -> waveforms at another rate
    sound       samples                  -> what they are worth
    wav, flac, sndfile: files            -> samples
    decode      encoded clips            -> samples at the wanted rate
    waves       samples                  -> scaled waveforms
    classes     one column               -> the class of every row
    samples     rows                     -> samples
    lengths     durations or headers     -> samples of each waveform
    dataset     what the user has        -> samples by index
    collate     samples                  -> batches
    buffers     used memory              -> memory for batches
    padded, unlocked: samples            -> rows of a batch
    fetched     jobs                     -> batches, written in place

    shares      classes                  -> counts for each batch
    samplers    seed and epoch           -> batches of row numbers
    stratified  counts                   -> stratified batches
    buckets     lengths                  -> batches of similar clips
    held        windows                  -> rows that wait, by class
    feeds       batches of row numbers   -> jobs
    stream_feeds, stratified_feed, bucket_feed: a stream -> jobs

    threads     jobs                     -> batches ahead, in order
    workers     jobs                     -> batches from processes
    finish      16-bit clips             -> waveforms, on any device
    transfer    batches                  -> batches on a device, ahead
    trainers    what trainers ask        -> epochs, ranks, devices
    stats       batches                  -> figures
    loader      what comes next          -> batches for training
    arguments   what a user says         -> parts of a loader
    create      what a user wants        -> a loader

    token_vocabulary a tokenizer's file  -> ids by families
    token_values a column of lists       -> ids, and where each row begins
    token_rules  what a user wants       -> how rows are cut, and accounted for
    token_cuts   rows                    -> pieces that fit
    token_packing lengths                -> packs
    token_sequences pieces               -> sequences, and the tokens of a batch
    token_labels what was changed        -> labels that follow
    token_tempo, token_augment: rows     -> rows as they might have been played
    token_chunks sequences and labels    -> the content of batches
    token_files  files of MidiTok, Aria  -> datasets
    token_groups Parquet files           -> rows of tokens, some at a time
    token_source what the user has       -> rows of tokens
    token_reading columns                -> sequences with labels
    token_collate sequences              -> batches
    token_samples the content of batches -> samples
    token_arguments what a user says     -> how rows are cut
    token_dataset what the user has      -> sequences, by index or from a stream
    token_loader sequences               -> batches for training
"""

from sousa.loaders.collate import collate_fixed_length, collate_variable_length
from sousa.loaders.create import create_dataloader
from sousa.loaders.dataset import SOUSADataset
from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.labels import (
    ID_TO_RUDIMENT,
    ID_TO_SKILL_TIER,
    RUDIMENT_LABELS,
    RUDIMENT_TO_ID,
    SKILL_TIER_LABELS,
    SKILL_TIER_TO_ID,
)
from sousa.loaders.loader import Loader
from sousa.loaders.stats import Stats
from sousa.loaders.stratified import StratifiedBatchSampler
from sousa.loaders.token_augment import Augmentation
from sousa.loaders.token_collate import TokenCollator
from sousa.loaders.token_dataset import TokenDataset
from sousa.loaders.token_files import read_aria_jsonl, read_miditok_json
from sousa.loaders.token_loader import create_token_dataloader
from sousa.loaders.token_rules import Accounting
from sousa.loaders.token_vocabulary import Vocabulary

__all__ = [
    "ID_TO_RUDIMENT",
    "ID_TO_SKILL_TIER",
    "RUDIMENT_LABELS",
    "RUDIMENT_TO_ID",
    "SKILL_TIER_LABELS",
    "SKILL_TIER_TO_ID",
    "Accounting",
    "Augmentation",
    "BrokenRow",
    "BrokenRowError",
    "Loader",
    "SOUSADataset",
    "Stats",
    "StratifiedBatchSampler",
    "TokenCollator",
    "TokenDataset",
    "Vocabulary",
    "collate_fixed_length",
    "collate_variable_length",
    "create_dataloader",
    "create_token_dataloader",
    "read_aria_jsonl",
    "read_miditok_json",
]
