"""Floor 2. Maps the exceptions of an HTTP connection to reasons of the closed list.

Searches the chain of wrapped exceptions for the kernel's error, and checks whether the line itself
is down. Independent of what is measured.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead

from probe.config import LineConfig
from probe.measure.failure import Failure
from probe.measure.latency.line_socket import line_failure
from probe.measure.lookup import Address
from wire.record import Reason

_REASONS = {
    errno.ENODEV: Reason.LINE_DOWN,
    errno.ENETDOWN: Reason.LINE_DOWN,
    errno.EADDRNOTAVAIL: Reason.LINE_DOWN,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.EAFNOSUPPORT: Reason.UNREACHABLE,
    errno.ECONNREFUSED: Reason.CONNECTION_REFUSED,
    errno.EACCES: Reason.PERMISSION_DENIED,
    errno.EPERM: Reason.PERMISSION_DENIED,
}
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class LineHttpError(Exception):
    """An HTTP request failed; `failure` has the reason."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


def refusal(status: int, path: str, peer: Address) -> LineHttpError:
    """The error for an unexpected HTTP status. Redirects count, as they are not followed."""
    if status in _BUSY:
        sentence = f"{peer.ip} is busy: it answers {path} with HTTP {status}."
        return LineHttpError(Failure(Reason.SERVER_BUSY, sentence))
    sentence = f"{peer.ip} answers {path} with HTTP {status}: it has no HTTP test of ours."
    return LineHttpError(Failure(Reason.PROTOCOL_ERROR, sentence))


def failure_from(error: Exception, line: LineConfig, peer: Address) -> LineHttpError:
    """The error for an exception of the connection; a line that is down explains any of them."""
    down = line_failure(line)
    return LineHttpError(down or _classified(error, peer))


def _classified(error: Exception, peer: Address) -> Failure:
    where = f"{peer.ip} port {peer.port}"
    for cause in _causes(error):
        if isinstance(cause, TimeoutError):
            return Failure(Reason.TIMEOUT, f"{where} does not answer in time.")
        if isinstance(cause, ConnectionRefusedError):
            return Failure(Reason.CONNECTION_REFUSED, f"Nothing listens on TCP {where}.")
        if isinstance(cause, (ConnectionError, IncompleteRead)):
            return Failure(Reason.CONNECTION_LOST, f"{where} broke the connection off.")
        if isinstance(cause, OSError) and cause.errno in _REASONS:
            sentence = f"{where} cannot be reached: {cause.strerror or cause}."
            return Failure(_REASONS[cause.errno], sentence)
    if any(isinstance(cause, HTTPException) for cause in _causes(error)):
        return Failure(Reason.PROTOCOL_ERROR, f"{where} does not speak HTTP: {error!r}"[:300])
    return Failure(Reason.TOOL_FAILED, f"{where}: {error!r}"[:300])


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and its causes, outermost first."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
