"""Floor 2. Wraps requests: a line's public address and operator, as an outside URL states them.

For a URL that its owner has configured; else our own measurement server is asked
(`probe.measure.operator.address_service`). The request is bound to the line (its device, its source
address). The answer is small JSON such as `{"ip": "203.0.113.7", "org": "AS45899 VNPT Corp"}`;
errors are returned as a Failure and never raised.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from probe import clock
from probe.config import LineConfig, OperatorConfig
from probe.measure.failure import Failure
from probe.measure.operator.answer import Operator, operator_in
from wire.record import Family, Reason

_ANSWER_BYTES = 4 * 1024
_UNSPECIFIED = {Family.IPV4: "0.0.0.0", Family.IPV6: "::"}  # noqa: S104 - a client's
_REASONS = {
    errno.ECONNREFUSED: Reason.CONNECTION_REFUSED,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENODEV: Reason.LINE_DOWN,
    errno.EADDRNOTAVAIL: Reason.LINE_DOWN,
    errno.EPERM: Reason.PERMISSION_DENIED,
    errno.EACCES: Reason.PERMISSION_DENIED,
}


class _LineAdapter(HTTPAdapter):
    """Connections that are bound to one line, and to one family where one is given."""

    def __init__(self, line: LineConfig, family: Family | None) -> None:
        self._bound: dict[str, object] = {}
        # An address of the other family cannot be connected to from the unspecified one.
        source = line.source_address or (None if family is None else _UNSPECIFIED[family])
        if source is not None:
            self._bound["source_address"] = (source, 0)
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


def look_up(
    line: LineConfig, config: OperatorConfig, family: Family | None = None
) -> Operator | Failure | None:
    """Ask the configured URL over the line and family. None when no URL is configured.

    Takes at most about three times `config.timeout_s`: to connect, for the answer's head, for the
    rest.
    """
    if config.url is None:
        return None
    with requests.Session() as session:
        session.trust_env = False  # a proxy would show its own address
        for scheme in ("http://", "https://"):
            session.mount(scheme, _LineAdapter(line, family))
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
    return operator_in(bytes(body))


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
