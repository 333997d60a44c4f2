"""Where each value of a Parquet column lies in its file, for values that are stored as they are.

Audio is encoded already, so it is written uncompressed and plain: then a clip is a run of bytes of
the file, which can be used where it is. Formats are those of the Apache Parquet specification,
parquet-format 2.10: pages (`parquet.thrift`), the PLAIN encoding, and Thrift's compact protocol.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow.parquet as pq

DATA_PAGES: Final = {0: 5, 3: 8}
"""By page type (data page, data page version 2): the field of its own header."""

PLAIN: Final = 0
"""Number of the encoding in which a value is its length, 4 bytes little-endian, and its bytes."""

RLE: Final = 3
"""Number of the encoding of levels that begins with its length, 4 bytes little-endian."""

HEADER_BYTES: Final = 1024
"""Bytes of a page header without its strings: ten times what any writer needs."""

STORED: Final = ({"PLAIN", "RLE"}, {"PLAIN", "RLE", "BIT_PACKED"}, {"PLAIN"})
"""Encodings of a column whose values are stored as they are; the others are those of levels."""

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
"""Types of the compact protocol."""


@dataclass(frozen=True, slots=True)
class ColumnChunk:
    """The pages of one column of one row group.

    Attributes:
        start: Its first byte in the file.
        size: How many bytes it has.
        values: How many values, none of them null.
    """

    start: int
    size: int
    values: int


def stored_chunk(group: pq.RowGroupMetaData, number: int) -> ColumnChunk | None:
    """Return where a row group has a column, if its values may be stored as they are.

    Args:
        group: What the footer says of it.
        number: Of the column, which has no repetition levels.
    """
    if not group.num_rows:
        return ColumnChunk(0, 0, 0)
    chunk = group.column(number)
    if chunk.physical_type != "BYTE_ARRAY" or chunk.compression != "UNCOMPRESSED":
        return None
    if set(chunk.encodings) not in STORED or chunk.num_values != group.num_rows:
        return None
    if not chunk.is_stats_set or chunk.statistics.null_count != 0:
        return None
    return ColumnChunk(chunk.data_page_offset, chunk.total_compressed_size, chunk.num_values)


def value_ranges(file: memoryview, chunk: ColumnChunk, levels: int) -> tuple[list[int], list[int]]:
    """Return where each value of a column chunk begins and ends in the file.

    Args:
        file: The whole file.
        chunk: Which part of it.
        levels: The column's maximal definition level; it has no repetition levels.

    Raises:
        ValueError: If values are stored in another way, or the pages are damaged.
    """
    starts: list[int] = []
    ends: list[int] = []
    at, end = chunk.start, chunk.start + chunk.size
    if not 0 <= at <= end <= len(file):
        raise ValueError("a column ends beyond its file")
    while len(starts) < chunk.values:
        page = page_at(file[:end], at, levels)
        if page.values > chunk.values - len(starts):
            raise ValueError("pages have more values than their column")
        add_ranges(file[: page.end], page, (starts, ends))
        at = page.end
    return starts, ends


class Page(NamedTuple):
    """A page of values that are stored as they are.

    Attributes:
        first: Where its first value begins in the file.
        end: Where its last one ends.
        values: How many it has, at least 1.
    """

    first: int
    end: int
    values: int


def page_at(file: memoryview, at: int, levels: int) -> Page:
    """Return the page whose header begins at a place; `file` ends with the column.

    Raises:
        ValueError: If it is no page of plain values, all there, or ends beyond its column.
    """
    header = Compact(file, at)
    fields = header.struct()
    kind, size = number(fields, 1), number(fields, 3)
    own = fields.get(DATA_PAGES.get(kind, 0))
    if not isinstance(own, dict):
        raise ValueError("no data page")
    values = number(own, 1)
    if values < 1:
        raise ValueError("a page without values")
    if not 0 <= size <= len(file) - header.at:
        raise ValueError("a page ends beyond its column")
    first = header.at + (sized_levels(own) if kind == 3 else plain_levels(own, header, levels))
    return Page(first, header.at + size, values)


def sized_levels(own: dict[int, Any]) -> int:
    """Return how many bytes of levels are in a page of version 2.

    Raises:
        ValueError: If its values are not plain, or some are null.
    """
    size = number(own, 5)
    if number(own, 4) != PLAIN or number(own, 2) or number(own, 6) or size < 0:
        raise ValueError("values are not plain, or some are null")
    return size


def plain_levels(own: dict[int, Any], header: "Compact", levels: int) -> int:
    """Return how many bytes of levels are in a page of version 1, after its header.

    Raises:
        ValueError: If its values are not plain, or its levels do not say how many bytes they have.
    """
    if number(own, 2) != PLAIN or (levels and number(own, 3) != RLE):
        raise ValueError("values are not plain")
    return 4 + int.from_bytes(header.data[header.at : header.at + 4], "little") if levels else 0


def add_ranges(file: memoryview, page: Page, ranges: tuple[list[int], list[int]]) -> None:
    """Append where each value of a page begins and ends; `file` ends with the page.

    Raises:
        ValueError: If the values do not fill the page exactly, as where some are null.
    """
    starts, ends = ranges
    at = page.first
    for _ in range(page.values):
        start = at + 4
        at = start + int.from_bytes(file[at:start], "little")
        if at > page.end:
            raise ValueError("a value ends beyond its page")
        starts.append(start)
        ends.append(at)
    if at != page.end:
        raise ValueError("a page has more than its values")


def number(fields: dict[int, Any], field: int) -> int:
    """Return a field of a struct that must be a number.

    Raises:
        ValueError: If there is none.
    """
    value = fields.get(field)
    if type(value) is not int:
        raise ValueError(f"a page header has no number in field {field}")
    return value


class Compact:
    """Reads structs of Thrift's compact protocol.

    Args:
        data: Bytes that hold them.
        at: Where to begin; afterwards, where reading has ended.
    """

    def __init__(self, data: memoryview, at: int) -> None:
        self.data = data
        self.at = at
        self._left = HEADER_BYTES

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return a struct's fields by their ids.

        Raises:
            ValueError: If it is none.
        """
        if depth > 3:  # statistics, in a page's header, are the deepest
            raise ValueError("a page header is too deep")
        fields: dict[int, Any] = {}
        number = 0
        while kind := self._byte():
            step = kind >> 4
            number = number + step if step else self._zigzag()
            fields[number] = self._value(kind & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind in (I16, I32, I64):
            return self._zigzag()
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind == BINARY:
            return self._skip(self._varint())
        if kind in (BYTE, DOUBLE):
            return self._skip(1 if kind == BYTE else 8)
        raise ValueError(f"a page header holds type {kind}")  # no list, set or map in the format

    def _byte(self) -> int:
        if self.at >= len(self.data) or not self._left:
            raise ValueError("a page header does not end in its column")
        self._left -= 1
        self.at += 1
        return self.data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("a page header holds a number of more than 64 bits")

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _skip(self, size: int) -> None:
        self.at += size
