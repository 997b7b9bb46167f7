"""Floor 1. Kind `web`: the head of a response, parsed as browsers do it (RFC 9112, docs/method.md).

What a browser takes is taken: lines that end by LF, folded ones (obs-fold), no reason phrase, a few
octets before the status line, a field twice with the same value. What it refuses is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

from msgspec import Struct

# Chromium: kMaxHeaderBufSize. Interim responses count too.
MOST_BYTES = 256 * 1024
# Chromium takes up to four octets before the status line.
_BEGIN = re.compile(rb".{0,4}?(?=HTTP)", re.I | re.S)
_LEAST_BYTES = 8
# A code that is missing counts as 200, as in Chromium.
_STATUS_LINE = re.compile(
    r"HTTP(/(?P<major>\d{1,4})(\.(?P<minor>\d{1,4}))?)?[^ ]* *(?P<status>\d{0,4}).*", re.I | re.S
)
_BLANKS = " \t"
_BREAKS = re.compile(r"[\r\n]+")
# Different values of these are an error: it may be an attack (response splitting).
_SINGLE = ("content-length", "content-disposition", "location")
_WITHOUT_BODY = (204, 304)
# RFC 9110 §8.6: one number, or the same one several times.
_LENGTH = re.compile(r"\d{1,18}")


class BadResponseError(ValueError):
    """It is no HTTP response, or one that browsers refuse."""


class BodyEnd(Enum):
    """How the end of a body is known (RFC 9112 §6.3)."""

    LENGTH = auto()
    CHUNKS = auto()
    CLOSE = auto()


class ResponseHead(Struct, frozen=True):
    """Status, version and fields of a response; names in lower case, values ISO 8859-1."""

    status: int
    version: str
    fields: list[tuple[str, str]]

    @property
    def is_interim(self) -> bool:
        """Whether another response to the same request follows (RFC 9110 §15.2)."""
        return 100 <= self.status < 200

    def all(self, name: str) -> list[str]:
        """The values of a field, in their order."""
        return [value for found, value in self.fields if found == name]

    def get(self, name: str) -> str | None:
        """The first value of a field; None where there is none."""
        return next(iter(self.all(name)), None)

    @property
    def body_end(self) -> BodyEnd:
        """How the end of the body is known."""
        coding = ",".join(self.all("transfer-encoding")).lower()
        if self.version == "HTTP/1.1" and coding.rpartition(",")[2].strip() == "chunked":
            return BodyEnd.CHUNKS
        return BodyEnd.CLOSE if self.content_length is None else BodyEnd.LENGTH

    @property
    def content_length(self) -> int | None:
        """The length of the body; None where it is not stated, or by no number."""
        if self.status in _WITHOUT_BODY:
            return 0
        first = (self.get("content-length") or "").partition(",")[0].strip()
        return int(first) if _LENGTH.fullmatch(first) else None


def may_be_head(received: bytes | bytearray) -> bool:
    """Whether what has come so far may be the beginning of a head."""
    return len(received) < _LEAST_BYTES or _BEGIN.match(received) is not None


def parse_head(head: bytes) -> ResponseHead:
    """Parse a whole head.

    Raises:
        BadResponseError: it is none, or one that browsers refuse.
    """
    begin = _BEGIN.match(head)
    first, *lines = _BREAKS.split("" if begin is None else head[begin.end() :].decode("latin-1"))
    found = _STATUS_LINE.fullmatch(first)
    if found is None or b"\0" in head:
        raise BadResponseError("what comes is no HTTP")
    status = int(found["status"] or 200)
    if not 100 <= status <= 999:
        raise BadResponseError(f"{status} is no HTTP status")
    is_new = (int(found["major"] or 1), int(found["minor"] or 0)) >= (1, 1)
    parsed = ResponseHead(status, "HTTP/1.1" if is_new else "HTTP/1.0", list(_fields(lines)))
    for name in _SINGLE:
        _require_one_value(parsed, name)
    return parsed


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The fields; a line that begins with a blank continues the one before (obs-fold)."""
    unfolded: list[list[str]] = []
    for line in lines:
        if line[:1] in _BLANKS and unfolded:
            unfolded[-1].append(line.strip(_BLANKS))
        else:
            unfolded.append([line])
    for parts in unfolded:
        name, colon, value = " ".join(parts).partition(":")
        if colon and name.strip(_BLANKS):
            yield name.strip(_BLANKS).lower(), value.strip(_BLANKS)


def _require_one_value(head: ResponseHead, name: str) -> None:
    values = head.all(name)
    if name == "content-length":
        if head.body_end is BodyEnd.CHUNKS:
            return
        values = [part.strip() for value in values for part in value.split(",")]
    if len(set(values)) > 1:
        raise BadResponseError(f"it has different values of {name}")
