"""Files appear whole or not at all, in row groups of the right size."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders.features import arrow_schema
from sousa.builders.schema import Audio, Column, Value
from sousa.builders.shards import RowGroups, ShardFile, Written, atomic

COLUMNS = (
    Column("sample_id", Value("string"), "id"),
    Column("audio", Audio(44_100), "clip"),
)


def clip_table(rows: int, clip_bytes: int) -> pa.Table:
    noise = np.random.default_rng(rows).bytes(clip_bytes)
    audio = [{"bytes": noise, "path": "a.flac"}] * rows
    ids = pa.array(["id"] * rows)
    audio_array = pa.array(audio, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    return pa.Table.from_arrays([ids, audio_array], schema=arrow_schema(COLUMNS))


@given(st.integers(1, 400), st.integers(1, 40), st.integers(1, 700_000))
def test_row_groups_hold_10_to_40_megabytes_or_the_whole_shard(
    rows: int, rows_at_once: int, row_bytes: int
) -> None:
    groups, sizes = RowGroups(rows), []
    for begin in range(0, rows, rows_at_once):
        count = min(rows_at_once, rows - begin)
        buffer = pa.py_buffer(memoryview(bytearray(count * row_bytes)))
        offsets = pa.array(np.arange(count + 1, dtype=np.int64) * row_bytes)
        array = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), count, [None, offsets.buffers()[1], buffer]
        )
        sizes += [group.num_rows for group in groups.add(pa.table({"x": array}))]
    assert sum(sizes) == rows
    in_bytes = [size * row_bytes for size in sizes]
    assert len(sizes) == 1 or min(in_bytes) >= 10e6
    assert max(in_bytes) <= 26e6 + 2 * rows_at_once * row_bytes


def test_audio_is_stored_uncompressed_and_plain(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    with ShardFile(path, arrow_schema(COLUMNS), rows=4) as file:
        file.write(clip_table(4, 1000))
    chunks = [pq.read_metadata(path).row_group(0).column(i) for i in range(3)]
    sizes = {chunk.path_in_schema: chunk for chunk in chunks}
    assert sizes["audio.bytes"].compression == "UNCOMPRESSED"
    assert "RLE_DICTIONARY" not in sizes["audio.bytes"].encodings
    assert sizes["sample_id"].compression == "ZSTD"


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "audio" / "train.parquet"

    def write_half() -> None:
        with atomic(target, tmp_path) as partial:
            partial.write_bytes(b"half")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_finished_write_leaves_one_file(tmp_path: Path) -> None:
    target = tmp_path / "audio" / "train.parquet"
    with atomic(target, tmp_path) as partial:
        partial.write_bytes(b"whole")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [target]


def test_a_record_is_what_sha256sum_says(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"whole")
    written = Written.of(tmp_path, "a", rows=1)
    assert (written.path, written.rows, written.bytes) == ("a", 1, 5)
    assert written.sha256 == hashlib.sha256(b"whole").hexdigest()
