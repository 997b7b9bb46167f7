"""Floor 2. Wraps requests: a line's public address and operator, as an outside server sees them.

Shows when lines have been swapped or traffic leaves by another ISP. The request is bound to the
line (its device, its source address). The answer is small JSON such as `{"ip": "203.0.113.7",
"org": "AS45899 VNPT Corp"}`; errors are returned as a Failure and never raised.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from typing import Annotated

import msgspec
import requests
from msgspec import Meta, Struct
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from probe import clock
from probe.config import LineConfig, OperatorConfig
from probe.measure.failure import Failure
from wire.decoding import decode_json
from wire.record import Reason

_ANSWER_BYTES = 4 * 1024
_REASONS = {
    errno.ECONNREFUSED: Reason.CONNECTION_REFUSED,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENODEV: Reason.LINE_DOWN,
    errno.EADDRNOTAVAIL: Reason.LINE_DOWN,
    errno.EPERM: Reason.PERMISSION_DENIED,
    errno.EACCES: Reason.PERMISSION_DENIED,
}


class Operator(Struct, frozen=True):
    """A line's public address and, where the server knows it, the operator's name."""

    public_address: str
    name: str | None


class _OperatorResponse(Struct, frozen=True):
    ip: str
    org: Annotated[str, Meta(max_length=200)] | None = None
    isp: Annotated[str, Meta(max_length=200)] | None = None


class _LineAdapter(HTTPAdapter):
    """Connections that are bound to one line."""

    def __init__(self, line: LineConfig) -> None:
        self._bound: dict[str, object] = {}
        if line.source_address is not None:
            self._bound["source_address"] = (line.source_address, 0)
        if line.interface is not None:
            device = (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, line.interface.encode() + b"\0")
            self._bound["socket_options"] = [*HTTPConnection.default_socket_options, device]
        super().__init__(max_retries=0)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: object
    ) -> None:
        """As requests asks for it, with the line's binding."""
        bound = {**pool_kwargs, **self._bound}
        super().init_poolmanager(connections, maxsize, block, **bound)


def look_up(line: LineConfig, config: OperatorConfig) -> Operator | Failure | None:
    """Ask the configured URL over the line. None when no URL is configured.

    Takes at most about three times `config.timeout_s`: to connect, for the answer's head, for the
    rest.
    """
    if config.url is None:
        return None
    with requests.Session() as session:
        session.trust_env = False  # a proxy would show its own address
        for scheme in ("http://", "https://"):
            session.mount(scheme, _LineAdapter(line))
        try:
            return _asked(session, config.url, config.timeout_s)
        except (requests.RequestException, OSError) as error:
            return _trouble(error)


def _asked(session: requests.Session, url: str, timeout_s: float) -> Operator | Failure:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    with session.get(
        url, headers=headers, timeout=timeout_s, allow_redirects=False, stream=True
    ) as response:
        if response.status_code != requests.codes.ok:
            return Failure(Reason.PROTOCOL_ERROR, f"It answered HTTP {response.status_code}.")
        return _read(response, clock.monotonic_s() + timeout_s)


def _read(response: requests.Response, deadline_s: float) -> Operator | Failure:
    body = bytearray()
    # A byte at a time: larger reads wait until they are full, and with a slow server the
    # deadline would not be checked.
    pieces: Iterator[bytes] = response.iter_content(1)
    for piece in pieces:
        body += piece
        if len(body) > _ANSWER_BYTES:
            return Failure(Reason.PROTOCOL_ERROR, f"Its answer is over {_ANSWER_BYTES} bytes.")
        if clock.monotonic_s() > deadline_s:
            return Failure(Reason.TIMEOUT, "Its answer did not come to an end in time.")
    return _operator(bytes(body))


def _operator(body: bytes) -> Operator | Failure:
    try:
        answer: _OperatorResponse = decode_json(body, _OperatorResponse)
        address = ipaddress.ip_address(answer.ip)
    except (msgspec.DecodeError, ValueError) as error:
        sentence = f"Its answer is not the JSON expected: {error}."
        return Failure(Reason.PROTOCOL_ERROR, sentence[:300])
    return Operator(str(address), answer.isp or answer.org)


def _trouble(error: Exception) -> Failure:
    sentence = f"{error}"[:300]
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return Failure(Reason.NAME_RESOLUTION, sentence)
        if isinstance(cause, ssl.SSLError):  # an OSError, but its number is OpenSSL's
            return Failure(Reason.PROTOCOL_ERROR, sentence)
        if isinstance(cause, OSError) and cause.errno in _REASONS:
            return Failure(_REASONS[cause.errno], sentence)
    if isinstance(error, requests.Timeout):
        return Failure(Reason.TIMEOUT, sentence)
    if isinstance(error, requests.exceptions.InvalidURL):
        return Failure(Reason.PROTOCOL_ERROR, sentence)
    return Failure(Reason.CONNECTION_LOST, sentence)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it was raised from, and what urllib3 wrapped into its arguments."""
    seen: list[BaseException] = []
    found: list[object] = [error]
    while found:
        cause = found.pop()
        if isinstance(cause, BaseException) and cause not in seen:
            seen.append(cause)
            found += [*cause.args, cause.__cause__, cause.__context__]
            found.append(getattr(cause, "reason", None))
            yield cause
