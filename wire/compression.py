"""Floor 1. Compressed envelopes: a zlib stream (RFC 1950) in place of the JSON.

A receiver distinguishes them from JSON by the first byte of each message: a zlib stream with a
window of 32 KiB begins with 0x78, and no JSON text does. Its preset dictionary is named in its
header by its Adler-32, so that a receiver knows which one it takes. Nothing is compressed unless
the centre has announced, by a user property of its receipts (MQTT 5 §3.3.2.3.7), that it reads this
(decision 98).
"""

from __future__ import annotations

import zlib
from typing import Final

from wire.dictionary import RESULTS

# The user property of a receipt: the content codings that the centre reads, as HTTP's field of that
# name has them (RFC 9110 §12.5.3), in order, with commas.
ACCEPT_ENCODING: Final = "accept-encoding"
# "deflate" is HTTP's name of a zlib stream (RFC 9110 §8.4.1.2); the dictionary by its Adler-32.
_DICTIONARY_ID: Final = zlib.adler32(RESULTS).to_bytes(4, "big")
CODING: Final = f"deflate;dictionary={_DICTIONARY_ID.hex()}"
# Of the header's second byte: a dictionary's identifier follows (RFC 1950 §2.2).
_FDICT: Final = 0x20
_FIRST_BYTE: Final = b"\x78"
# Level 1 takes half of the time and 240 bytes a result; level 9 a third longer and 204 (decision
# 98).
_LEVEL: Final = 6
# Of what ends a stream, which is short: zlib's defaults take five times as long, for their memory.
_END_WINDOW_BITS: Final = 12
_END_MEMORY_LEVEL: Final = 5
# For bursts, which come faster than results are measured (decision 135).
_FAST_LEVEL: Final = 1


class CompressionError(ValueError):
    """The bytes are no whole zlib stream with a dictionary of the contract."""


class DecompressedTooLargeError(ValueError):
    """The stream holds more than the limit; what is beyond it was not decompressed."""


def compress(payload: bytes) -> bytes:
    """Compress a payload. The compressor's 256 KiB are not kept."""
    packer = zlib.compressobj(_LEVEL, zdict=RESULTS)
    return packer.compress(payload) + packer.flush()


def begin_stream(text: bytes) -> bytes:
    """Compress the beginning of a payload that is known before its end, quickly.

    What is sent is `end_stream` of this. Read it back by `read_begun`.
    """
    packer = zlib.compressobj(_FAST_LEVEL, zdict=RESULTS)
    return packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)


def end_stream(begun: bytes, checksum: int, rest: bytes) -> bytes:
    """The whole zlib stream: a beginning, of which nothing is compressed again, and the rest.

    Args:
        begun: by `begin_stream`.
        checksum: Adler-32 of the text of which `begun` was made.
        rest: what follows that text.
    """
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_END_WINDOW_BITS, _END_MEMORY_LEVEL)
    whole = zlib.adler32(rest, checksum)
    return b"".join((begun, packer.compress(rest), packer.flush(), whole.to_bytes(4, "big")))


def read_begun(begun: bytes, max_bytes: int) -> bytes:
    """The text of which `begin_stream` was made.

    Raises:
        CompressionError: it is damaged, or the text is longer than `max_bytes`.
    """
    unpacker = zlib.decompressobj(zdict=RESULTS)
    try:
        text = unpacker.decompress(begun, max_bytes + 1)
    except zlib.error as error:
        raise CompressionError(str(error)) from error
    if unpacker.eof or len(text) > max_bytes:
        raise CompressionError("this is not the beginning of a payload")
    return text


def is_compressed(payload: bytes) -> bool:
    """Whether a payload can be a zlib stream; if not, it is JSON or nothing of ours."""
    return payload[:1] == _FIRST_BYTE


def decompress(payload: bytes, max_bytes: int) -> bytes:
    """Decompress a payload, never to more than `max_bytes` and one.

    Raises:
        DecompressedTooLargeError: it holds more than `max_bytes`.
        CompressionError: it is damaged, cut off, followed by something, or of another dictionary.
    """
    if _FDICT & int.from_bytes(payload[1:2]) and payload[2:6] != _DICTIONARY_ID:
        raise CompressionError(f"dictionary {payload[2:6].hex()} is not known here")
    unpacker = zlib.decompressobj(zdict=RESULTS)
    try:
        plain = unpacker.decompress(payload, max_bytes + 1)
    except zlib.error as error:
        raise CompressionError(str(error)) from error
    if len(plain) > max_bytes:
        raise DecompressedTooLargeError(
            f"{len(payload)} bytes that hold more than {max_bytes}, which are taken at most"
        )
    if not unpacker.eof:
        raise CompressionError("the stream has no end")
    if unpacker.unused_data:
        raise CompressionError(f"{len(unpacker.unused_data)} bytes follow the stream")
    return plain


def announces(value: str | None) -> bool:
    """Whether the value of `ACCEPT_ENCODING` names the coding that `compress` makes."""
    return CODING in (one.strip() for one in (value or "").split(","))
