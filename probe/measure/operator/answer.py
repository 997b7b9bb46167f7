"""Floor 1. What a server answers about a line's public address, and the NAT that it shows."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from probe.measure.failure import Failure
from runtime.ip_address import IpAddress, parsed
from wire.decoding import decode_json
from wire.record import Nat, Reason

# RFC 6598 §7: between a carrier-grade NAT and its customers.
SHARED = ipaddress.ip_network("100.64.0.0/10")
# RFC 1918, RFC 3927, RFC 1122: no network beyond the office has these addresses.
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8")
]
_OK_STATUS = b"200"


class Operator(Struct, frozen=True):
    """A line's public address and, where the server knows it, the operator's name."""

    public_address: str
    name: str | None


class _OperatorResponse(Struct, frozen=True):
    ip: str
    org: Annotated[str, Meta(max_length=200)] | None = None
    isp: Annotated[str, Meta(max_length=200)] | None = None


def operator_in(body: bytes) -> Operator | Failure:
    """The operator in a JSON body such as `{"ip": "203.0.113.7", "org": "AS45899 VNPT Corp"}`."""
    try:
        answer: _OperatorResponse = decode_json(body, _OperatorResponse)
        address = parsed(answer.ip)
    except (msgspec.DecodeError, ValueError) as error:
        sentence = f"Its answer is not the JSON expected: {error}."
        return Failure(Reason.PROTOCOL_ERROR, sentence[:300])
    return Operator(str(address), answer.isp or answer.org)


def operator_in_response(response: bytes) -> Operator | Failure:
    """The operator in a whole HTTP/1.x response that ended with its connection (RFC 9112 §6.3)."""
    head, separator, body = response.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    status = rest.partition(b" ")[0]
    if not separator or not version.startswith(b"HTTP/1."):
        return Failure(Reason.PROTOCOL_ERROR, "Its answer is not HTTP/1.")
    if status != _OK_STATUS:
        shown = status.decode("ascii", "replace")[:20]
        return Failure(Reason.PROTOCOL_ERROR, f"It answered HTTP {shown}.")
    return operator_in(body)


def nat_of(interface: IpAddress, public: IpAddress, router: IpAddress | None) -> Nat:
    """The NAT between the probe and whoever saw its public address.

    A private address of the router proves a second router of the office as well as a NAT of the
    ISP's, so it proves neither.

    Args:
        interface: the address that the probe sent from.
        public: the address that was seen.
        router: the router's own address outside, None where it did not state one.
    """
    if interface == public:
        return Nat.NONE
    if interface in SHARED or (router is not None and router in SHARED):
        return Nat.CARRIER_GRADE
    if router is None or router == public or any(router in network for network in _PRIVATE):
        return Nat.NAT
    return Nat.CARRIER_GRADE
