"""Floor 2. Wraps TCP: asks our own measurement server for a line's public address.

One request of some hundred bytes each way on a connection of its own, bound to the line and to one
address family (wire/http.py, `ADDRESS_PATH`). Errors are returned as a Failure and never raised.
"""

from __future__ import annotations

import io
import socket

from probe import clock
from probe.config import LineConfig, ServerConfig
from probe.measure.failure import Failure
from probe.measure.latency.line_socket import LineSocketError, bind_to_line
from probe.measure.line_stream import DeadlineReader, connect, stream_failure
from probe.measure.lookup import SOCKET_FAMILY, Lookup, resolved
from probe.measure.measurement import Stop
from probe.measure.operator.answer import Operator, operator_in_response
from probe.version import VERSION
from runtime.ip_address import IpAddress, parsed
from wire.http import ADDRESS_PATH
from wire.record import Family

_ANSWER_BYTES = 4 * 1024
# Documentation addresses (RFC 5737, RFC 3849): only the route to them is asked for.
_ANYWHERE = {Family.IPV4: ("203.0.113.1", 9), Family.IPV6: ("2001:db8::1", 9)}


def look_up(
    line: LineConfig, server: ServerConfig, family: Family, timeout_s: float, stop: Stop
) -> Operator | Failure:
    """Ask a server over the line; takes at most `timeout_s`, and as long for its name."""
    assert server.http_port is not None
    found = resolved(Lookup(server.host, server.http_port, None, family), stop, timeout_s)
    if isinstance(found, Failure):
        return found
    peer = found[0]
    deadline_s = clock.monotonic_s() + timeout_s
    try:
        with connect(line, peer, deadline_s) as sock:
            sock.sendall(_request(server.host, peer.port))
            reader = io.BufferedReader(DeadlineReader(sock, deadline_s))
            response = reader.read(_ANSWER_BYTES)
    except LineSocketError as error:
        return error.failure
    except OSError as error:
        return stream_failure(error, line, peer)
    return operator_in_response(response)


def source_address(line: LineConfig, family: Family) -> IpAddress | None:
    """The address that the line sends from; None where it has no route of that family.

    No packet is sent.
    """
    try:
        with socket.socket(SOCKET_FAMILY[family], socket.SOCK_DGRAM) as sock:
            bind_to_line(sock, line)
            sock.connect(_ANYWHERE[family])
            return parsed(str(sock.getsockname()[0]))
    except OSError:
        return None


def _request(host: str, port: int) -> bytes:
    name = f"[{host}]" if ":" in host else host
    return (
        f"GET {ADDRESS_PATH} HTTP/1.1\r\nHost: {name}:{port}\r\n"
        f"User-Agent: tramdo-probe/{VERSION}\r\nAccept: application/json\r\n"
        "Connection: close\r\n\r\n"
    ).encode("ascii", "replace")
