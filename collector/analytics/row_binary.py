"""Floor 1. ClickHouse's format RowBinaryWithNamesAndTypes: what it reads without guessing.

A row is the cells one after the other: numbers in little-endian byte order, a text behind its
length in bytes (LEB128), an array behind its length, a nullable cell behind a byte that says
whether it is NULL. JSON would be read with other results: null as 0, and a number that is too
large for its column cut off, both without an error. The head has the names and types of the
columns; ClickHouse refuses an insert whose types are not the table's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any
from uuid import UUID

Encode = Callable[[Any], bytes]
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What a DateTime64 can hold; a probe with a wrong clock may state any time.
_FIRST = datetime(1900, 1, 1, tzinfo=UTC)
_LAST = datetime(2299, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_NULL, _NOT_NULL = b"\1", b"\0"

uint8: Encode = Struct("<B").pack
uint16: Encode = Struct("<H").pack
uint64: Encode = Struct("<Q").pack
int64: Encode = Struct("<q").pack
float64: Encode = Struct("<d").pack
_two_uint64 = Struct("<QQ").pack


def boolean(value: bool) -> bytes:
    """A Bool."""
    return b"\1" if value else b"\0"


def length(count: int) -> bytes:
    """A length, as LEB128."""
    found = bytearray()
    while count > 127:
        found.append(count & 127 | 128)
        count >>= 7
    found.append(count)
    return bytes(found)


def text(value: str) -> bytes:
    """A String, as UTF-8."""
    content = value.encode("utf-8", "replace")
    return length(len(content)) + content


def uuid(value: UUID) -> bytes:
    """A UUID: the higher half first, each in little-endian byte order."""
    return _two_uint64(value.int >> 64, value.int & 0xFFFF_FFFF_FFFF_FFFF)


def time(value: datetime) -> bytes:
    """A DateTime64(6): microseconds since 1970; what it cannot hold is its first or last time."""
    return int64((min(max(value, _FIRST), _LAST) - _UNIX_EPOCH) // _MICROSECOND)


def enum8(numbers: dict[str, int]) -> Encode:
    """An Enum8, from the name of a member."""
    encoded = {name: Struct("<b").pack(number) for name, number in numbers.items()}
    return encoded.__getitem__


def nullable(encode: Encode) -> Encode:
    """A Nullable of what `encode` encodes."""
    return lambda value: _NULL if value is None else _NOT_NULL + encode(value)


def array(encode: Encode) -> Encode:
    """An Array of what `encode` encodes; None is an empty one, for an Array cannot be NULL."""
    return lambda values: (
        b"\0" if not values else length(len(values)) + b"".join(map(encode, values))
    )


def array_of_uint64(values: Sequence[int] | None) -> bytes:
    """An Array(UInt64), in one step: round-trip times are most of what is exported."""
    return b"\0" if not values else length(len(values)) + Struct(f"<{len(values)}Q").pack(*values)


def pair_of_uint64(pair: tuple[int, int]) -> bytes:
    """A Tuple(UInt64, UInt64)."""
    return _two_uint64(*pair)


def head(columns: Iterable[tuple[str, str]]) -> bytes:
    """The head of a body: how many columns, their names, their types."""
    found = list(columns)
    return b"".join(
        (
            length(len(found)),
            *(text(name) for name, _ in found),
            *(text(type_) for _, type_ in found),
        )
    )
