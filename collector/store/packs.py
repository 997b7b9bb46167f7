"""Floor 2. Packs: the bodies of some hundred results as few bytes as can be, byte for byte.

A pack holds the JSON of results with consecutive numbers. Lists of integers (`rtt_us`), which are
most of a latency result, are taken out of the text: each list as its least value and what each
value is above it, and of these the first bytes of all values, then the second bytes, and so on. The
text and each of these columns is a Zstandard frame with a checksum. What was packed is unpacked and
compared before it is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard

from collector.store.bodies import (
    DamagedBlockError,
    decompressor,
    join_bodies,
    packaged_dictionary,
    read_varint,
    split_bodies,
    varint,
)

# A pack has at most so many results and bytes (uncompressed), to bound the cost of reading one.
PACK_RESULTS = 512
PACK_BYTES = 1 << 20
# Level 1 takes a fifth less time and makes packs a tenth larger; level 12 saves nothing more.
_TEXT_LEVEL, _COLUMN_LEVEL = 9, 1
_PLAIN, _COLUMNS = 0, 1
# JSON has no such character, save escaped (RFC 8259, section 7).
_MARK = b"\x01"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[int]).decode
# Integers as JSON writes them, eight or more in a list, each below 10^9.
_LIST = re.compile(rb"(\[(?:0|[1-9][0-9]{0,8})(?:,(?:0|[1-9][0-9]{0,8})){7,}\])")
# Unsigned integers of four bytes, the lowest first.
_UINT_BYTES = 4

Column = npt.NDArray[np.int64]


class PackWriter:
    """Makes packs with the packaged dictionary. For one thread at a time."""

    def __init__(self) -> None:
        self._text = zstandard.ZstdCompressor(
            level=_TEXT_LEVEL,
            dict_data=zstandard.ZstdCompressionDict(packaged_dictionary()),
            write_dict_id=False,
            write_checksum=True,
        )
        self._column = zstandard.ZstdCompressor(level=_COLUMN_LEVEL, write_checksum=True)

    def pack(self, bodies: Sequence[bytes]) -> bytes:
        """The pack of these bodies. Raises DamagedBlockError: it would not be read as them."""
        for make in (self._columns, self._plain):
            made = make(bodies)
            if made is not None and Pack(packaged_dictionary(), made, len(bodies)).all() == bodies:
                return made
        raise DamagedBlockError("a pack is not read as it was written")

    def _plain(self, bodies: Sequence[bytes]) -> bytes:
        return bytes([_PLAIN]) + self._text.compress(join_bodies(bodies))

    def _columns(self, bodies: Sequence[bytes]) -> bytes | None:
        if any(_MARK in body for body in bodies):
            return None
        texts: list[bytes] = []
        sizes: list[int] = []
        least: list[int] = []
        above: list[int] = []
        for body in bodies:
            pieces = _LIST.split(body)
            for numbers in pieces[1::2]:
                values = _decode(numbers)
                low = min(values)
                sizes.append(len(values))
                least.append(low)
                above.extend([value - low for value in values])
            pieces[1::2] = [_MARK] * (len(pieces) // 2)
            texts.append(b"".join(pieces))
        sections = [self._text.compress(join_bodies(texts))]
        for column in (sizes, least, above):
            sections += map(self._column.compress, _planes(column))
        return b"".join((bytes([_COLUMNS]), *(varint(len(s)) for s in sections), *sections))


class Pack:
    """A pack that is read. Only what is asked for is made from its columns.

    Raises:
        DamagedBlockError: it is damaged, or made with another dictionary.
    """

    def __init__(self, dictionary: bytes, content: bytes, count: int) -> None:
        self._lists: _Lists | None = None
        try:
            if content[:1] == bytes([_COLUMNS]):
                text, *planes = _sections(content)
                self._lists = _Lists(planes)
            elif content[:1] == bytes([_PLAIN]):
                text = content[1:]
            else:
                raise DamagedBlockError("a pack of a version that this program does not know")
            content = decompressor(dictionary).decompress(text, allow_extra_data=False)
            self._texts = split_bodies(content, count)
        # A damaged header may state any size.
        except (zstandard.ZstdError, IndexError, ValueError, MemoryError) as error:
            raise DamagedBlockError(str(error)) from error
        marks = (text.count(_MARK) for text in self._texts)
        # Of each text, how many lists the texts before it have.
        self._lists_before = [0, *accumulate(marks)] if self._lists else []
        if self._lists and self._lists_before[-1] != len(self._lists.ends) - 1:
            raise DamagedBlockError("a pack has not the lists that its texts have")

    def all(self) -> list[bytes]:
        """All bodies."""
        return [self.body(place) for place in range(len(self._texts))]

    def body(self, place: int) -> bytes:
        """The body at this place, from 0."""
        text = self._texts[place]
        if self._lists is None or _MARK not in text:
            return text
        pieces = text.split(_MARK)
        made = [pieces[0]]
        for number, piece in enumerate(pieces[1:], start=self._lists_before[place]):
            made += (self._lists.text(number), piece)
        return b"".join(made)


class _Lists:
    """Lists of integers from their columns."""

    def __init__(self, planes: Sequence[bytes]) -> None:
        read = zstandard.ZstdDecompressor().decompress
        sizes, least, above = (
            _of_planes([read(plane) for plane in planes[at : at + _UINT_BYTES]])
            for at in range(0, 3 * _UINT_BYTES, _UINT_BYTES)
        )
        self.ends = [0, *accumulate(sizes.tolist())]
        if len(least) != len(sizes) or len(above) != self.ends[-1]:
            raise ValueError("columns of a pack are of different lengths")
        self._values = np.repeat(least, sizes) + above

    def text(self, number: int) -> bytes:
        """A list as JSON."""
        return _encode(self._values[self.ends[number] : self.ends[number + 1]].tolist())


def _planes(column: Sequence[int]) -> Iterator[bytes]:
    """The lowest bytes of all values, the second bytes, and so on."""
    content = np.array(column, "<u4").tobytes()
    return (content[place::_UINT_BYTES] for place in range(_UINT_BYTES))


def _of_planes(planes: Sequence[bytes]) -> Column:
    content = bytearray(len(planes[0]) * _UINT_BYTES)
    for place, plane in enumerate(planes):
        content[place::_UINT_BYTES] = plane
    return np.frombuffer(content, "<u4").astype(np.int64)


def _sections(content: bytes) -> list[bytes]:
    at, lengths = 1, []
    for _ in range(1 + 3 * _UINT_BYTES):
        length, at = read_varint(content, at)
        lengths.append(length)
    ends = [*accumulate(lengths, initial=at)]
    if ends[-1] != len(content):
        raise ValueError("a pack is cut off, or followed by something")
    return [content[begin:end] for begin, end in pairwise(ends)]
