"""Floor 2. Compression of results' JSON: the bodies of one block are one Zstandard frame.

A frame has a varint of each body's length, then the bodies, byte for byte as the probe sent them.
The dictionary is trained by `bench.train_dictionary` and packaged beside this file. Each store has
its own copy of every dictionary that its frames need, so that no version of the program has to.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources

import zstandard

_LEVEL = 1
# A block has at most so many results and bytes (uncompressed), to bound the cost of reading one.
BLOCK_RESULTS = 64
BLOCK_BYTES = 1 << 18


@cache
def packaged_dictionary() -> bytes:
    """The dictionary of new frames."""
    return resources.files(__package__).joinpath("bodies.dictionary").read_bytes()


class DamagedBlockError(Exception):
    """A block's bodies cannot be read."""


class BodyCompressor:
    """Compresses the bodies of a block with the packaged dictionary. For one thread at a time."""

    def __init__(self) -> None:
        dictionary = packaged_dictionary()
        self._compressor = zstandard.ZstdCompressor(
            dict_data=zstandard.ZstdCompressionDict(dictionary),
            compression_params=zstandard.ZstdCompressionParameters.from_level(
                _LEVEL,
                dict_size=len(dictionary),
                # Frames are small: with a table that stays in the processor's cache a sixth is
                # saved of the time for twenty bodies, and a hundredth of the bytes of two.
                hash_log=12,
                write_dict_id=False,
                # Of 105 flipped bits, one in each byte of a frame, 7 made another JSON, no error.
                write_checksum=True,
            ),
        )

    def compress(self, bodies: Sequence[bytes]) -> bytes:
        """The frame of these bodies."""
        return self._compressor.compress(join_bodies(bodies))


def decompress(dictionary: bytes, frame: bytes, count: int) -> list[bytes]:
    """The `count` bodies of a frame. Safe in any thread.

    Raises:
        DamagedBlockError: the frame is damaged, or compressed with another dictionary.
    """
    try:
        return split_bodies(decompressor(dictionary).decompress(frame), count)
    # A damaged header may state any size, and fewer bodies than `count`.
    except (zstandard.ZstdError, IndexError, MemoryError) as error:
        raise DamagedBlockError(str(error)) from error


def join_bodies(bodies: Sequence[bytes]) -> bytes:
    """The content of a frame: the length of each body, then the bodies."""
    return b"".join((*(varint(len(body)) for body in bodies), *bodies))


def split_bodies(content: bytes, count: int) -> list[bytes]:
    """The `count` bodies of a frame's content. Raises IndexError: it has fewer."""
    at, lengths = 0, []
    for _ in range(count):
        length, at = read_varint(content, at)
        lengths.append(length)
    bodies = []
    for length in lengths:
        bodies.append(content[at : at + length])
        at += length
    return bodies


class Dictionaries:
    """The dictionaries of a store by their number; `load` reads all of them."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}

    def add(self, rows: Mapping[int, bytes]) -> None:
        """Remember dictionaries of the store."""
        self._known = self._known | dict(rows)

    def get(self, number: int) -> bytes | None:
        """A dictionary, None where it was not read yet."""
        return self._known.get(number)


_of_thread = threading.local()


def decompressor(dictionary: bytes) -> zstandard.ZstdDecompressor:
    """A decompressor with this dictionary, for the calling thread: making one takes longer than
    a frame.
    """
    made: dict[bytes, zstandard.ZstdDecompressor] = _of_thread.__dict__.setdefault("made", {})
    if dictionary not in made:
        prepared = _prepared(dictionary)
        made[dictionary] = zstandard.ZstdDecompressor(dict_data=prepared)
    return made[dictionary]


@cache
def _prepared(dictionary: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(dictionary)


@lru_cache(4_096)
def varint(value: int) -> bytes:
    """A whole number in as few bytes of seven bits as it needs, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def read_varint(content: bytes, at: int) -> tuple[int, int]:
    """A `varint` at this place, and the place after it. Raises IndexError: it is cut off."""
    length, shift = 0, 0
    while True:
        byte = content[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length, at
        shift += 7
