"""A table with a row for each stroke, in any order, to the lists of each clip; memory is bounded.

The table is read some rows at a time. Each such run is sorted by the place of its clips in the
dataset and written to one file, which workers map: of each run a shard's clips are one slice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sousa.builders.features import arrow_type
from sousa.builders.schema import Column
from sousa.builders.sousa_cells import misfits, typed
from sousa.builders.sousa_folder import KEY, LabelTable

ROWS_PER_RUN: Final = 1 << 17
PLACE: Final = "_place"
"""Column of a run: the place of the row's clip."""

Places = NDArray[np.int64]


@dataclass(slots=True)
class Strays:
    """Rows of a table that cannot be given to a clip.

    Attributes:
        rows: How many name a sample that there is none of.
        first: The first of them.
        sample_id: That it names.
        faults: What is wrong with the rows of a clip, by its place.
    """

    rows: int = 0
    first: int = 0
    sample_id: str = ""
    faults: dict[int, str] = field(default_factory=dict)


class Clips:
    """The samples that there are, and where each is in the dataset.

    Args:
        ids: All sample ids of the source.
        places: Place of each; -1 for those that are left out.
    """

    def __init__(self, ids: pa.Array, places: Places) -> None:
        self._ids, self._places = ids, places

    def places(self, column: pa.ChunkedArray) -> Places:
        """Return the place of each row's clip: -1 where it is left out, -2 where there is none."""
        places = np.append(self._places, -2)
        found = [places[:0]]
        for chunk in column.chunks:
            if not pa.types.is_dictionary(chunk.type):
                chunk = chunk.dictionary_encode()
            names = pc.index_in(chunk.dictionary.cast(pa.string()), self._ids)
            of_names = np.append(places[names.fill_null(-1).to_numpy(zero_copy_only=False)], -2)
            indices = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            found.append(of_names[indices])
        return np.concatenate(found)


def write_runs(
    table: LabelTable,
    fields: Sequence[Column],
    clips: Clips,
    path: Path,
    progress: Callable[[int], None],
) -> Strays:
    """Write the runs of a table.

    Args:
        table: One that has a row for each entry of the lists.
        fields: Those of an entry.
        clips: Where the rows belong.
        path: The file.
        progress: Is told of rows that are done.

    Returns:
        What is wrong with the table.

    Raises:
        ValueError: If a column cannot be read as what it should be.
        OSError: If the table is damaged.
    """
    strays, first = Strays(), 0
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, _schema(fields)) as writer:
        for stored in table.batches(fields, ROWS_PER_RUN):
            places = clips.places(stored[KEY])
            try:
                cells = typed(stored, fields)
            except ValueError as error:
                rows = f"rows {first} to {first + stored.num_rows - 1}"
                raise ValueError(f"{table.name}, {rows}: {error}") from error
            _note(strays, table.name, first, stored, cells, fields, places)
            kept = np.flatnonzero(places >= 0)
            order = kept[np.argsort(places[kept], kind="stable")]
            run = cells.take(order).append_column(PLACE, pa.array(places[order], pa.int32()))
            for batch in run.combine_chunks().to_batches():
                writer.write_batch(batch)
            first += stored.num_rows
            progress(stored.num_rows)
    return strays


def _schema(fields: Sequence[Column]) -> pa.Schema:
    columns = [pa.field(column.name, arrow_type(column.type)) for column in fields]
    return pa.schema([*columns, pa.field(PLACE, pa.int32())])


def _note(  # noqa: PLR0913 - what there is to know of some rows
    strays: Strays,
    name: str,
    first: int,
    stored: pa.Table,
    cells: pa.Table,
    fields: Sequence[Column],
    places: Places,
) -> None:
    """Note which rows belong to no sample, and which say what cannot be."""
    lost = np.flatnonzero(places == -2)
    if len(lost) and not strays.rows:
        strays.first = first + int(lost[0])
        strays.sample_id = str(stored[KEY][int(lost[0])].as_py())
    strays.rows += len(lost)
    for row, reason in misfits(stored, cells, fields).items():
        if places[row] >= 0:
            strays.faults.setdefault(int(places[row]), f"{name} row {first + row}: {reason}")


class Runs:
    """The lists of clips, from a file that `write_runs` wrote; the file is mapped, not read."""

    def __init__(self, path: Path) -> None:
        self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
        batches = map(self._reader.get_batch, range(self._reader.num_record_batches))
        self._runs = [(batch, batch.column(PLACE).to_numpy()) for batch in batches]

    def lists(self, fields: Sequence[Column], first: int, stop: int) -> pa.StructArray:
        """Return the lists of the clips `[first, stop)`, entries in the order of the table."""
        schema = self._reader.schema
        parts = []
        for batch, places in self._runs:
            low, high = np.searchsorted(places, [first, stop]).tolist()
            parts.append(batch.slice(low, high - low))
        table = pa.Table.from_batches(parts, schema)
        places = table[PLACE].to_numpy()
        order = np.argsort(places, kind="stable")
        table = table.take(order).combine_chunks()
        offsets = pa.array(np.searchsorted(places[order], np.arange(first, stop + 1)), pa.int32())
        arrays = [_list(offsets, table, column) for column in fields]
        return pa.StructArray.from_arrays(arrays, names=[column.name for column in fields])


def _list(offsets: pa.Array, table: pa.Table, column: Column) -> pa.Array:
    values: Any = table[column.name].combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = values.chunk(0) if values.num_chunks else pa.array([], values.type)
    return pa.ListArray.from_arrays(offsets, values)
