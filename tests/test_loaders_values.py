"""Clips are used where they are in a Parquet file: the bytes that pyarrow reads there."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loader_data import row, table

from sousa.loaders import BrokenRow
from sousa.loaders.mapped import MappedFile
from sousa.loaders.parquet import ParquetSource
from sousa.loaders.values import ColumnChunk, Compact, value_ranges

PLAIN = {"compression": "none", "use_dictionary": False}


def column(clips: list[bytes | None], kind: Any = None, *, needed: bool = False) -> pa.Table:
    """A table of clips as the builder has it, or with the types of another writer."""
    kind = pa.binary() if kind is None else kind
    audio = pa.struct([pa.field("bytes", kind, nullable=not needed), pa.field("path", pa.string())])
    rows = pa.array([{"bytes": clip, "path": "x"} for clip in clips], audio)
    return pa.table([rows], pa.schema([pa.field("audio", audio, nullable=not needed)]))


def found(path: Path) -> list[bytes | None] | None:
    """The clips of a file where they are, as far as they may be used there."""
    file = MappedFile(path)
    chunks = [file.stored_clips(group) for group in range(file.parquet.num_row_groups)]
    if None in chunks:
        return None
    clips = file.clips([chunk for chunk in chunks if chunk], [None] * 10_000)
    rows = [clips[row] for row in range(file.parquet.metadata.num_rows)]
    return [None if clip is None else bytes(clip) for clip in rows]


@st.composite
def contents(draw: st.DrawFn) -> list[bytes]:
    """Clips of any sizes: none, one, many; empty, small, and larger than a page."""
    sizes = draw(st.lists(st.sampled_from([0, 1, 3, 4, 255, 256, 5000, 70_000]), max_size=40))
    return [np.random.default_rng([n, size]).bytes(size) for n, size in enumerate(sizes)]


@settings(max_examples=80)
@given(
    clips=contents(),
    needed=st.booleans(),
    large=st.booleans(),
    group_rows=st.sampled_from([1, 3, 7, 1000]),
    options=st.fixed_dictionaries(
        {
            "data_page_version": st.sampled_from(["1.0", "2.0"]),
            "data_page_size": st.sampled_from([1, 900, 2**20]),
            "write_batch_size": st.sampled_from([1, 5, 1024]),
            "write_page_checksum": st.booleans(),
            "write_page_index": st.booleans(),
            "version": st.sampled_from(["1.0", "2.6"]),
        }
    ),
)
def test_clips_are_where_pyarrow_reads_them(
    tmp_path_factory: pytest.TempPathFactory,
    clips: list[bytes],
    needed: bool,
    large: bool,
    group_rows: int,
    options: dict[str, Any],
) -> None:
    path = tmp_path_factory.getbasetemp() / "values.parquet"
    rows = column(clips, pa.large_binary() if large else None, needed=needed)
    pq.write_table(rows, path, row_group_size=group_rows, **PLAIN, **options)
    assert found(path) == clips


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (column([b"one", b"two"]), {"use_dictionary": True}),
        (column([b"one", b"two"]), {"compression": "snappy"}),
        (column([b"one", b"two"]), {"write_statistics": False}),
        (column([b"one", None]), {}),
        (column([b"one", b"two"], pa.binary(3)), {}),
        (pa.table({"audio": pa.array([None, {"bytes": b"a", "path": "x"}])}), {}),
        (pa.table({"audio": pa.array([[{"bytes": b"a"}]])}), {}),
        (column([b"one", b"two"]), {"column_encoding": {"audio.bytes": "DELTA_BYTE_ARRAY"}}),
    ],
    ids=["dictionary", "compressed", "uncounted", "null", "fixed", "no struct", "list", "delta"],
)
def test_clips_that_are_stored_otherwise_are_left_to_pyarrow(
    tmp_path: Path, rows: pa.Table, options: dict[str, Any]
) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(rows, path, **(PLAIN | options))
    assert found(path) is None


def test_a_source_gives_the_same_clips_however_they_are_stored(tmp_path: Path) -> None:
    rows = table("audio_16k", [row("audio_16k", index) for index in range(9)])
    stored = [clip["bytes"] for clip in rows["audio"].to_pylist()]
    for number, options in enumerate([PLAIN, {}, {"use_dictionary": ["audio.bytes"]}]):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(rows, path, row_group_size=4, **options)
        order = [8, 0, 3, 4, 4]
        picks = ParquetSource([path], ("sample_id", "audio")).pick(order)
        assert [bytes(chunk.clips[at]) for chunk, at in picks] == [stored[at] for at in order]
        names = [chunk.table["sample_id"][at].as_py() for chunk, at in picks]
        assert names == [f"clip-{at:04d}" for at in order]


@settings(max_examples=150)
@given(
    st.sampled_from(["1.0", "2.0"]),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4),
    st.booleans(),
)
def test_damaged_pages_never_lead_out_of_their_column(
    version: str, needed: bool, flips: list[tuple[int, int]], early: bool
) -> None:
    """Flips anywhere, or among the first bytes, where the header is."""
    clips = [bytes([n]) * (3 * n) for n in range(12)]
    file = io.BytesIO()
    options = PLAIN | {"data_page_version": version, "data_page_size": 40, "write_batch_size": 2}
    pq.write_table(column(clips, needed=needed), file, write_page_checksum=True, **options)
    levels = 0 if needed else 2
    place = pq.ParquetFile(file).metadata.row_group(0).column(0)
    chunk = ColumnChunk(place.data_page_offset, place.total_compressed_size, 12)
    damaged = bytearray(file.getbuffer())
    for at, mask in flips:
        damaged[chunk.start + at % (60 if early else chunk.size)] ^= mask
    try:
        starts, ends = value_ranges(memoryview(damaged), chunk, levels)
    except ValueError:
        return
    assert len(starts) == len(ends) == 12
    edges = [edge for pair in zip(starts, ends, strict=True) for edge in pair]
    assert edges == sorted(edges)
    assert chunk.start < edges[0]
    assert edges[-1] <= chunk.start + chunk.size


def varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def i32(value: int, step: int = 1) -> bytes:
    return bytes([step << 4 | 5]) + varint(2 * value if value >= 0 else -2 * value - 1)


def header(size: int, own: bytes, *, kind: bytes = i32(0), more: bytes = b"") -> bytes:
    """A page header: type, sizes, and that of a data page as field 5."""
    return kind + i32(size) + i32(size) + b"\x2c" + own + b"\x00" + more + b"\x00"


def own(values: int, encoding: int = 0, levels: int = 3) -> bytes:
    return i32(values) + i32(encoding) + i32(levels) + i32(3)


VALUES = b"\x02\0\0\0ab\x01\0\0\0c"


def test_a_page_by_hand() -> None:
    page = header(len(VALUES), own(2)) + VALUES
    assert value_ranges(memoryview(b"PAR1" + page), ColumnChunk(4, len(page), 2), 0) == (
        [len(page) - 3, len(page) + 3],
        [len(page) - 1, len(page) + 4],
    )


@pytest.mark.parametrize(
    "page",
    [
        header(len(VALUES), own(2), more=b"\x48\x03abc") + VALUES,  # an unknown string
        header(len(VALUES), own(2), more=b"\x41\x47" + bytes(8) + b"\x13\x07") + VALUES,
        header(len(VALUES), own(2), kind=b"\x05\x02\x00") + VALUES,  # its id in full
        header(len(VALUES), own(2) + b"\x1c\x18\x02xy\x00") + VALUES,  # statistics
    ],
    ids=["string", "bool, double, byte", "full id", "statistics"],
)
def test_other_writers_may_say_more(page: bytes) -> None:
    starts, ends = value_ranges(memoryview(page), ColumnChunk(0, len(page), 2), 0)
    assert [page[start:end] for start, end in zip(starts, ends, strict=True)] == [b"ab", b"c"]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (header(len(VALUES), own(3)) + VALUES, "more values than their column"),
        (header(len(VALUES), own(1)) + VALUES, "a page has more than its values"),
        (header(len(VALUES) - 1, own(2)) + VALUES, "a value ends beyond its page"),
        (header(len(VALUES) + 1, own(2)) + VALUES, "a page ends beyond its column"),
        (header(-1, own(2)) + VALUES, "a page ends beyond its column"),
        (header(len(VALUES), own(0)) + VALUES, "a page without values"),
        (header(len(VALUES), own(2, encoding=8)) + VALUES, "values are not plain"),
        (header(len(VALUES), own(2), kind=i32(2)) + VALUES, "no data page"),
        (header(len(VALUES), own(2), kind=b"\x11") + VALUES, "no number in field 1"),
        (header(len(VALUES), own(2), kind=b"\x1c\x00") + VALUES, "no number in field 1"),
        (header(len(VALUES), b"\x11" + own(2)) + VALUES, "no number in field 1"),
        (header(len(VALUES), b"\x18\x01x" + own(2)) + VALUES, "no number in field 1"),
        (b"\x1c" * 9, "too deep"),
        (b"\x19\x05", "holds type 9"),
        (b"\x15" + b"\xff" * 11, "more than 64 bits"),
        (b"\x18" + b"\xff" * 9 + b"\x01", "does not end in its column"),
        (b"\x11" * 5000, "does not end in its column"),
        (b"", "does not end in its column"),
    ],
)
def test_other_pages_are_refused(page: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        value_ranges(memoryview(page), ColumnChunk(0, len(page), 2), 0)


@pytest.mark.parametrize(("start", "size"), [(-1, 5), (0, 6), (6, 0), (3, -1)])
def test_a_column_must_be_in_its_file(start: int, size: int) -> None:
    with pytest.raises(ValueError, match="a column ends beyond its file"):
        value_ranges(memoryview(b"12345"), ColumnChunk(start, size, 1), 0)


def test_levels_must_say_how_long_they_are() -> None:
    levels = b"\x02\0\0\0\x04\x01"
    for encoding, right in ((3, True), (4, False)):  # run-length, and bit-packed as long ago
        page = header(len(levels + VALUES), own(2, levels=encoding)) + levels + VALUES
        if right:
            assert len(value_ranges(memoryview(page), ColumnChunk(0, len(page), 2), 1)[0]) == 2
            continue
        with pytest.raises(ValueError, match="not plain"):
            value_ranges(memoryview(page), ColumnChunk(0, len(page), 2), 1)


def test_a_long_header_is_given_up_early() -> None:
    long = Compact(memoryview(b"\x11" * 10**6), 0)
    with pytest.raises(ValueError, match="does not end"):
        long.struct()
    assert long.at < 2000


def damaged_shard(path: Path, change: Any) -> tuple[list[str], list[Any]]:
    """A shard of three row groups, the second one's page of clips changed; what a source gives."""
    rows = table("audio_16k", [row("audio_16k", index) for index in range(12)])
    pq.write_table(rows, path, row_group_size=4, **PLAIN)
    file = pq.ParquetFile(path)
    paths = [file.schema.column(at).path for at in range(len(file.schema))]
    at = file.metadata.row_group(1).column(paths.index("audio.bytes")).data_page_offset
    data = bytearray(path.read_bytes())
    change(data, at)
    path.write_bytes(data)
    stored = [clip["bytes"] for clip in rows["audio"].to_pylist()]
    return stored, ParquetSource([path], ("sample_id", "audio")).pick(range(12))


def test_a_page_that_nobody_can_read_costs_its_row_group(tmp_path: Path) -> None:
    def without_type(data: bytearray, at: int) -> None:
        data[at + 1] = 14  # page type 7

    stored, picks = damaged_shard(tmp_path / "torn.parquet", without_type)
    assert not any(isinstance(pick, BrokenRow) for pick in picks)
    for at, (chunk, place) in enumerate(picks):
        if not 4 <= at < 8:
            assert bytes(chunk.clips[place]) == stored[at]
            continue
        with pytest.raises(OSError, match="not a whole Parquet file"):
            chunk.clips[place]


def test_a_page_that_only_pyarrow_understands_is_read_by_it(tmp_path: Path) -> None:
    last = bytes(row("audio_16k", 7)["audio"]["bytes"])

    def shortened(data: bytearray, at: int) -> None:
        """The page's last value is a byte shorter than its place."""
        length = data.index(last, at) - 4
        data[length : length + 4] = (len(last) - 1).to_bytes(4, "little")

    stored, picks = damaged_shard(tmp_path / "odd.parquet", shortened)
    stored[7] = last[:-1]
    assert [bytes(chunk.clips[place]) for chunk, place in picks] == stored
