"""A pushed commit to what is wrong with it: every file's size and hash, and rows read back."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import Final

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, IterableDataset, IterableDatasetDict, load_dataset
from datasets.exceptions import DatasetsError
from datasets.utils import (
    disable_progress_bars,
    enable_progress_bars,
    is_progress_bar_enabled,
)

from sousa.cards.failures import NETWORK_ERROR, patiently
from sousa.cards.listing import SHARD_PATH, LocalFile
from sousa.cards.remote import RemoteFile

ROWS: Final = 8
"""First rows of each split that are read back."""


def missing_or_changed(
    local: Sequence[LocalFile], remote: Mapping[str, RemoteFile]
) -> Iterator[str]:
    """Yield one line for each file that is not on the Hub as it is here."""
    for file in local:
        there = remote.get(file.path)
        if there is None:
            yield f"{file.path} is not there"
        elif there.size != file.size:
            yield f"{file.path} has {there.size} bytes there, {file.size} here"
        elif there.sha256 not in (None, file.sha256):
            yield f"{file.path} has sha256 {there.sha256} there, {file.sha256} here"
        elif there.sha256 is None and there.git_oid != file.git_oid:
            yield f"{file.path} has another content there"


def unlike_rows(
    local: Sequence[LocalFile], repo: str, commit: str, token: str | None
) -> Iterator[str]:
    """Yield one line for each split whose first rows do not come back as they are here.

    They are read as everybody will: by `load_dataset(streaming=True)`, from the Hub; one after
    the other, since a row group of each takes more memory than it saves time.

    Raises:
        Exception: What `datasets` raises when it cannot read the repository.
    """
    first: dict[str, dict[str, LocalFile]] = defaultdict(dict)
    for file in local:
        if match := SHARD_PATH.fullmatch(file.path):
            first[match["config"]].setdefault(match["split"], file)
    place = (repo, commit, token)
    with _lightly():
        for config, shards in first.items():
            yield from patiently(partial(_unlike_config, config, shards, place))


def _unlike_config(
    config: str, shards: Mapping[str, LocalFile], place: tuple[str, str, str | None]
) -> list[str]:
    repo, commit, token = place
    try:
        splits: IterableDatasetDict = load_dataset(
            repo, config, streaming=True, revision=commit, token=token
        )
        return [f"{config}{line}" for line in _unlike_splits(shards, splits)]
    except (NETWORK_ERROR, ConnectionError, TimeoutError):
        raise
    except (OSError, ValueError, pa.ArrowException, DatasetsError) as error:
        return [f"config {config} cannot be read back: {' '.join(str(error).split())}"]


def _unlike_splits(shards: Mapping[str, LocalFile], splits: IterableDatasetDict) -> Iterator[str]:
    if set(splits) != set(shards):
        there, here = ", ".join(sorted(splits)), ", ".join(sorted(shards))
        yield f" has the splits {there} there, {here} here"
    for split in shards.keys() & splits.keys():
        if difference := _unlike(shards[split], splits[split]):
            yield f"/{split} {difference}"
        pa.default_memory_pool().release_unused()  # or row groups read before stay: 70 MB in all


def _unlike(file: LocalFile, there: IterableDataset) -> str:
    """Return how the first rows of a shard differ from those of a stream; empty if they do not."""
    source = BytesIO(file.source) if isinstance(file.source, bytes) else file.source
    with pq.ParquetFile(source) as parquet:
        here = next(parquet.iter_batches(ROWS), None)
        features = Features.from_arrow_schema(parquet.schema_arrow)
    if there.features != features:
        return "has other features there than here"
    found = _first_rows(there)
    if here is None or found is None:
        return "" if here is found else "has no rows on one side"
    wanted = pa.Table.from_batches([here]).replace_schema_metadata()
    same = found.replace_schema_metadata().combine_chunks().equals(wanted)
    return "" if same else "does not begin with the same rows there as here"


def _first_rows(there: IterableDataset) -> pa.Table | None:
    """Read the first row group, and to its end: a scan that is left off may crash at exit."""
    groups = there.shard(there.num_shards, 0).reshard()
    tables = groups.shard(groups.num_shards, 0).with_format("arrow").iter(ROWS)
    first = next(tables, None)
    for _ in tables:
        pass
    return first


@contextmanager
def _lightly() -> Iterator[None]:
    """Keep `datasets` from its progress bars, and from torch.

    Its streams import torch where it is installed: a second and 100 MB, for nothing here.
    """
    shown, with_torch = is_progress_bar_enabled(), datasets.config.TORCH_AVAILABLE
    datasets.config.TORCH_AVAILABLE = False
    disable_progress_bars()
    try:
        yield
    finally:
        datasets.config.TORCH_AVAILABLE = with_torch
        if shown:
            enable_progress_bars()
