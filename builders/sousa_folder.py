"""A folder in the existing SOUSA layout, opened: its tables of labels.

The layout: `labels/*.parquet`, a whole table each; `splits.json`; a file for each clip in `audio/`
and for each performance in `midi/`, in folders by rudiment or in none.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from sousa.builders.schema import Column, Label
from sousa.builders.sousa_schema import INDEX_FILE, SAMPLES, source_name

DAMAGE: Final = (OSError, pa.ArrowException, UnicodeError)
"""What pyarrow raises for a file that is torn, truncated or no Parquet."""

KEY: Final = "sample_id"


class LabelTable:
    """One table of labels.

    Attributes:
        name: Its path in the folder.
        names: Of its columns.
        rows: How many it has.

    Raises:
        FileNotFoundError: If it is not there.
        OSError: If it is damaged.
        ValueError: If it says not whose its rows are.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self._file = root / name
        if not self._file.is_file():
            hint = "; it is not in the SOUSA layout" if name == SAMPLES else ""
            raise FileNotFoundError(f"{root} has no {name}{hint}")
        with self._opened(()) as parquet:
            self.names: tuple[str, ...] = tuple(parquet.schema_arrow.names)
            self.rows: int = parquet.metadata.num_rows
        if KEY not in self.names or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"{self._file} must have a column {KEY}, and each name once, got {self.names}"
            )

    def _opened(self, dictionaries: Sequence[str]) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._file, read_dictionary=list(dictionaries))
        except DAMAGE as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> OSError:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return OSError(f"{self._file} cannot be read: {first}")

    def batches(self, wanted: Sequence[Column], rows_at_once: int) -> Iterator[pa.Table]:
        """Yield the columns that are there of those that are wanted, and the sample ids.

        Raises:
            OSError: If the file is damaged.
        """
        classes = [source_name(column.name) for column in wanted if isinstance(column.type, Label)]
        names = [source_name(column.name) for column in wanted]
        there = [name for name in dict.fromkeys((KEY, *names)) if name in self.names]
        with self._opened([KEY, *classes]) as parquet:
            try:
                for batch in parquet.iter_batches(rows_at_once, columns=there):
                    yield pa.Table.from_batches([batch])
            except DAMAGE as error:
                raise self._damaged(error) from error

    def read(self, wanted: Sequence[Column]) -> pa.Table:
        """Return the columns that are there of those that are wanted, and the sample ids.

        Raises:
            OSError: If the file is damaged.
        """
        names = [source_name(column.name) for column in wanted]
        there = [name for name in dict.fromkeys((KEY, *names)) if name in self.names]
        with self._opened(()) as parquet:
            try:
                return parquet.read(there)
            except DAMAGE as error:
                raise self._damaged(error) from error

    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        with self._file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def read_index(root: Path) -> dict[str, Any]:
    """Return `config` of `index.json`; nothing where there is none that can be read."""
    try:
        config = json.loads((root / INDEX_FILE).read_bytes())["config"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}
