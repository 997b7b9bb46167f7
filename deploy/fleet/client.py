"""Floor 2. Wraps `socket`: how a box's root asks the centre, by a process without rights.

See `deploy.fleet.fetcher`, which does the network's part. Everything here is bounded: how long a
line is, how much content comes, how long nothing may come.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from deploy.fleet import fetcher
from deploy.fleet.fetcher import Head, Request
from wire.decoding import decode_json

_LARGEST_RESPONSE_BYTES = 1_000_000
_LARGEST_HEAD_BYTES = 4_096
# The fetcher itself gives up after 30 s without a byte.
_TIMEOUT_S = 120.0


class FleetError(Exception):
    """The box cannot do it now; the text says what and what to do."""


class Response(Struct, frozen=True):
    """An HTTP response."""

    status_code: int
    content: bytes


class FleetClient:
    """A client of the centre at `url`.

    Args:
        url: the centre's.
        ca_file: the authority that is trusted, and no other.
        socket_path: where systemd starts `tramdo-fleet fetch` for each connection. Empty: this very
            process fetches.
    """

    def __init__(self, url: str, ca_file: str, socket_path: str) -> None:
        self._url, self._ca_file, self._socket_path = url, ca_file, socket_path

    def post(self, path: str, body: dict[str, str]) -> Response:
        """POST; returns the response. FleetError for a status other than 200, or no response."""
        return require_success(self.ask("POST", path, body), path)

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> Response:
        """Send a request; returns any response. FleetError: none, or one that is too large."""
        url = f"{self._url}/v1/{path}"
        content = bytearray()
        with self._answered(method, url, body, _LARGEST_RESPONSE_BYTES) as (status, pieces):
            for piece in pieces:
                content += piece
        if len(content) > _LARGEST_RESPONSE_BYTES:
            raise FleetError(f"the answer from {url} is too large")
        return Response(status, bytes(content))

    def download(self, path: str, target: Path, limit_bytes: int) -> int:
        """GET a large file into `target`; returns how many bytes came.

        Ends early once more than `limit_bytes` have come. FleetError: a status other than 200, a
        connection that fails, or a file that cannot be written.
        """
        url = f"{self._url}/v1/{path}"
        size_bytes = 0
        try:
            with self._answered("GET", url, None, limit_bytes) as (status, pieces):
                require_success(Response(status, b""), path)
                with target.open("wb") as file:
                    for piece in pieces:
                        file.write(piece)
                        size_bytes += len(piece)
        except OSError as error:
            raise FleetError(f"no file from {url}: {error}") from error
        return size_bytes

    @contextmanager
    def _answered(
        self, method: str, url: str, body: dict[str, str] | None, limit_bytes: int
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The status and the pieces of the content, `limit_bytes` + 1 bytes at most."""
        try:
            ca = Path(self._ca_file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise FleetError(f"no answer from {url}: {error}") from error
        request = Request(method=method, url=url, ca=ca, body=body, limit_bytes=limit_bytes)
        if not self._socket_path:
            pieces = fetcher.fetch(request)
            yield _status(next(pieces), url), pieces
            return
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_S)
            stream = connection.makefile("rb")
            try:
                connection.connect(self._socket_path)
                connection.sendall(msgspec.json.encode(request) + b"\n")
                head = stream.readline(_LARGEST_HEAD_BYTES)
            except OSError as error:
                raise FleetError(
                    f"no answer from {url}: {self._socket_path}: {error}; see "
                    "`systemctl status tramdo-fleet-fetch.socket`"
                ) from error
            with stream:
                yield _status(head, url), _pieces(stream, limit_bytes)


def _status(line: bytes, url: str) -> int:
    try:
        head = decode_json(line, Head)
    except msgspec.MsgspecError as error:
        raise FleetError(f"no answer from {url}: the fetcher ended") from error
    if head.error is not None:
        shown = "".join(letter if letter.isprintable() else "?" for letter in head.error[:500])
        raise FleetError(f"no answer from {url}: {shown}")
    return head.status


def _pieces(stream: BinaryIO, limit_bytes: int) -> Iterator[bytes]:
    left_bytes = limit_bytes + 1
    while left_bytes > 0 and (piece := stream.read(min(65_536, left_bytes))):
        left_bytes -= len(piece)
        yield piece


def require_success(response: Response, what: str) -> Response:
    """Return the response; FleetError for a status other than 200."""
    if response.status_code != 200:
        raise FleetError(
            f"the centre refused ({what}): HTTP {response.status_code}; its log says why"
        )
    return response
