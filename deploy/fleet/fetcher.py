"""Floor 2. Wraps `requests`: the one process of a box that speaks to the centre, unprivileged.

Root, which applies releases and settings, has no network (systemd/tramdo-fleet-pull.service). It
writes one request to a socket, and systemd starts this program on it as a user without rights
(tramdo-fleet-fetch@.service). TLS, HTTP and whatever a server sends are parsed here. The answer is
believed by nobody: root verifies signature, hash and form of what comes.

One line of JSON in (`Request`), one line of JSON out (`Head`), then the content until the end. Both
ends may be of different releases for as long as one is tried: fields are only added.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import BinaryIO

import msgspec
import requests
from msgspec import Struct

from wire.decoding import decode_json

_TIMEOUT_S = 30
_LARGEST_REQUEST_BYTES = 100_000


class Request(Struct, kw_only=True):
    """What root wants: `ca` is the certificate (PEM) of the only authority to be trusted.

    At most `limit_bytes` + 1 bytes of content come back, so that more than the limit is seen.
    """

    method: str
    url: str
    ca: str
    body: dict[str, str] | None = None
    limit_bytes: int


class Head(Struct, kw_only=True):
    """What precedes the content: the HTTP status, or why there is none."""

    status: int = 0
    error: str | None = None


def fetch(request: Request) -> Iterator[bytes]:
    """The head as a line, then pieces of the content, which may be cut short: root notices."""
    is_answered = False
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as ca:
            ca.write(request.ca)
            ca.flush()
            with requests.request(
                request.method, request.url, json=request.body, timeout=_TIMEOUT_S,
                verify=ca.name, stream=True,
            ) as response:  # fmt: skip
                is_answered = True
                yield _line(Head(status=response.status_code))
                yield from _content(response, request.limit_bytes)
    except (requests.RequestException, OSError) as error:
        if not is_answered:
            yield _line(Head(error=str(error)[:500]))


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer one request.

    Raises:
        ValueError: it is none.
        OSError: the other end is gone.
    """
    request = decode_json(source.readline(_LARGEST_REQUEST_BYTES), Request)
    for piece in fetch(request):
        target.write(piece)
    target.flush()


def _content(response: requests.Response, limit_bytes: int) -> Iterator[bytes]:
    left_bytes = limit_bytes + 1
    for chunk in response.iter_content(65_536):
        yield chunk[:left_bytes]
        left_bytes -= len(chunk)
        if left_bytes <= 0:
            return


def _line(head: Head) -> bytes:
    return msgspec.json.encode(head) + b"\n"
