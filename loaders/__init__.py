"""Feed training from datasets of drum performances.

In reading order, which is the order in which data flows:

    labels    schema                   -> label maps
    errors    a broken row             -> one clear line
    rows      an Arrow table           -> plain values
    layout    groups of rows           -> a shuffled order
    folder    a built folder           -> its Parquet files
    parquet   Parquet files            -> rows by index
    source    what the user has        -> rows by index
    decode    encoded clips            -> waveforms
    classes   one column               -> the class of every row
    targets   columns                  -> labels
    dataset   rows                     -> samples
    collate   samples                  -> batches
    fetched   samples and broken rows  -> a batch of what is whole
    shares    classes                  -> counts for each batch
    samplers  seed and epoch           -> batches of row numbers
    loader    a dataset and an order   -> batches for training
"""

from sousa.loaders.collate import collate_fixed_length, collate_variable_length
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
from sousa.loaders.loader import Loader, Stats, create_dataloader
from sousa.loaders.samplers import StratifiedBatchSampler

__all__ = [
    "ID_TO_RUDIMENT",
    "ID_TO_SKILL_TIER",
    "RUDIMENT_LABELS",
    "RUDIMENT_TO_ID",
    "SKILL_TIER_LABELS",
    "SKILL_TIER_TO_ID",
    "BrokenRow",
    "BrokenRowError",
    "Loader",
    "SOUSADataset",
    "Stats",
    "StratifiedBatchSampler",
    "collate_fixed_length",
    "collate_variable_length",
    "create_dataloader",
]
