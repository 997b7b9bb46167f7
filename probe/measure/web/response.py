"""Floor 2. Kind `web`: reads a response off a connection, in bounds.

Heads are parsed in `response_head`. What is read is bounded by bytes, and by the reader's deadline.
"""

from __future__ import annotations

import io
import re
from typing import TypeAlias

from probe.measure.line_stream import DeadlineReader
from probe.measure.web import response_head
from probe.measure.web.response_head import BadResponseError, BodyEnd, ResponseHead, parse_head

_READ_BYTES = 64 * 1024
# Chromium: kMaxLineBufLen. A size in hexadecimal, and extensions that say nothing to us.
_MOST_LINE_BYTES = 16 * 1024
_CHUNK_LINE = re.compile(rb"(?P<size>[0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r?\n", re.S)

Reader: TypeAlias = "io.BufferedReader[DeadlineReader]"


def read_head(reader: Reader) -> ResponseHead:
    """The head of the final response; interim ones (1xx, RFC 9110 §15.2) are passed over.

    Raises:
        BadResponseError: it is none, or heads and interim responses are too long.
        EOFError: the connection ended before.
        OSError: of the connection.
    """
    total = 0
    while True:
        octets = _head_octets(reader)
        total += len(octets)
        if total > response_head.MOST_BYTES:
            raise BadResponseError("its interim answers have no end")
        head = parse_head(octets)
        if not head.is_interim:
            return head


def _head_octets(reader: Reader) -> bytes:
    """One head up to its empty line; what follows it stays unread."""
    received = bytearray()
    while True:
        line = reader.readline(response_head.MOST_BYTES + 1)
        is_end = not line.strip(b"\r\n") and bool(received.strip(b"\r\n"))
        received += line
        if not response_head.may_be_head(received):
            raise BadResponseError("what comes is no HTTP")
        if not line:
            raise EOFError
        if len(received) > response_head.MOST_BYTES:
            raise BadResponseError(f"its head is longer than {response_head.MOST_BYTES} bytes")
        if is_end:
            return bytes(received)


class BodyReader:
    """Reads the body of a response up to its end, or to a number of bytes.

    Attributes:
        body_bytes: received so far, without the framing of chunks.
        complete: whether the end has come.

    Args:
        reader: behind the head.
        head: the response's.
        max_bytes: how much is read at most, with framing; a little more may be.
    """

    def __init__(self, reader: Reader, head: ResponseHead, max_bytes: int) -> None:
        self.body_bytes = 0
        self.complete = False
        self._framing_bytes = 0
        self._reader = reader
        self._head = head
        self._max_bytes = max_bytes

    def read(self) -> None:
        """Read it.

        Raises:
            BadResponseError: its chunks are none.
            EOFError: the connection ended before the body.
            OSError: of the connection.
        """
        match self._head.body_end:
            case BodyEnd.CHUNKS:
                self._read_chunks()
            case BodyEnd.LENGTH:
                self._read_exactly(self._head.content_length or 0)
            case BodyEnd.CLOSE:
                while self._has_room() and (piece := self._reader.read1(_READ_BYTES)):
                    self.body_bytes += len(piece)
        self.complete = self._has_room()

    def _has_room(self) -> bool:
        return self.body_bytes + self._framing_bytes <= self._max_bytes

    def _read_exactly(self, count: int) -> None:
        left = count
        while left and self._has_room():
            piece = self._reader.read1(min(left, _READ_BYTES))
            if not piece:
                raise EOFError
            left -= len(piece)
            self.body_bytes += len(piece)

    def _read_chunks(self) -> None:
        """Chunks, then trailers, which are passed over (RFC 9112 §7.1)."""
        while self._has_room():
            found = _CHUNK_LINE.fullmatch(self._line())
            if found is None:
                raise BadResponseError("its chunks have no size")
            size = int(found["size"], 16)
            if size == 0:
                break
            self._read_exactly(size)
            if self._has_room() and self._line().strip():
                raise BadResponseError("a chunk is longer than its size")
        while self._has_room() and self._line().strip():
            pass

    def _line(self) -> bytes:
        line = self._reader.readline(_MOST_LINE_BYTES + 1)
        self._framing_bytes += len(line)
        if len(line) > _MOST_LINE_BYTES:
            raise BadResponseError(f"its chunks have lines longer than {_MOST_LINE_BYTES} bytes")
        if not line.endswith(b"\n"):
            raise EOFError
        return line
