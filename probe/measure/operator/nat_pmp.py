"""Floor 2. Wraps UDP: asks a line's router for its own address outside by NAT-PMP (RFC 6886 §3.2).

Two octets to the router's port 5351, never further. A router that does not speak it stays silent.
"""

from __future__ import annotations

import ipaddress
import socket
from struct import Struct

from probe import clock
from probe.config import LineConfig
from probe.measure.latency.line_socket import bind_to_line
from probe.measure.line_stream import left_s

PORT = 5351
REQUEST = b"\0\0"
# Version, opcode, result code, seconds of the router's epoch, address.
_RESPONSE = Struct("!BBHI4s")
_OPCODE_ANSWER = 128
# RFC 6886 §3.1 begins with 250 ms and doubles; a router in the office answers the first or second.
_FIRST_WAIT_S, _TRIES = 0.25, 3


def router_address(
    line: LineConfig, gateway: str, port: int = PORT
) -> ipaddress.IPv4Address | None:
    """The router's address outside; None where it does not state one. Takes at most 1.75 s."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            bind_to_line(sock, line)
            sock.connect((gateway, port))
            for number in range(_TRIES):
                sock.send(REQUEST)
                deadline_s = clock.monotonic_s() + _FIRST_WAIT_S * 2**number
                if (found := _received(sock, deadline_s)) is not None:
                    return found
    except OSError:
        pass
    return None


def address_in(response: bytes) -> ipaddress.IPv4Address | None:
    """The address in a response; None where it is none, an error, or unspecified."""
    if len(response) < _RESPONSE.size:
        return None
    version, opcode, result, _, packed = _RESPONSE.unpack_from(response)
    if (version, opcode, result) != (0, _OPCODE_ANSWER, 0):
        return None
    address = ipaddress.IPv4Address(packed)
    return None if address.is_unspecified else address


def _received(sock: socket.socket, deadline_s: float) -> ipaddress.IPv4Address | None:
    while clock.monotonic_s() < deadline_s:
        sock.settimeout(left_s(deadline_s))
        try:
            found = address_in(sock.recv(64))
        except TimeoutError:
            return None
        if found is not None:
            return found
    return None
