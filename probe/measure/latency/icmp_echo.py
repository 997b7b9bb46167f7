"""Floor 1. ICMP echo requests and replies as bytes (RFC 792, RFC 4443), with our own payload.

The payload has 56 octets, as with ping and fping: the session's nonce, the packet's number (ICMP's
own has only 16 bits) and a pattern that shows corruption. Knows no socket.
"""

from __future__ import annotations

from enum import Enum, auto
from struct import Struct
from typing import NamedTuple

PAYLOAD_BYTES = 56
PACKET_BYTES = 8 + PAYLOAD_BYTES
ECHO_REPLY_V4, ECHO_REQUEST_V4 = 0, 8
ECHO_REQUEST_V6, ECHO_REPLY_V6 = 128, 129

_HEADER = Struct("!BBHHH")
_MARK = Struct("!QQ")
_PATTERN = bytes(range(PAYLOAD_BYTES - _MARK.size))


class EchoDiscard(Enum):
    """Why a received packet is discarded."""

    FOREIGN = auto()  # of another type or another program: raw sockets see everyone's
    MALFORMED = auto()
    OTHER_SESSION = auto()  # it names another session than this one


class Echo(NamedTuple):
    """An echo request of this session, or its reply."""

    seq: int
    nonce: int


def encode_request(echo: Echo, identifier: int, *, ipv6: bool) -> bytes:
    """An echo request, 64 octets. A datagram socket replaces the identifier by its own.

    The checksum is filled in for IPv4; for IPv6 it covers addresses, and the kernel does it.
    """
    kind = ECHO_REQUEST_V6 if ipv6 else ECHO_REQUEST_V4
    payload = _MARK.pack(echo.nonce, echo.seq) + _PATTERN
    number = echo.seq & 0xFFFF
    packet = _HEADER.pack(kind, 0, 0, identifier, number) + payload
    if ipv6:
        return packet
    return _HEADER.pack(kind, 0, checksum(packet), identifier, number) + payload


def decode_reply(packet: bytes, identifier: int | None, *, ipv6: bool) -> Echo | EchoDiscard:
    """The echo reply in an ICMP packet without its IP header, or why it is discarded.

    Args:
        packet: from the ICMP type on.
        identifier: the one that was sent, or None where the kernel filters by it.
        ipv6: whether it is ICMPv6, whose checksum the kernel has checked.
    """
    if len(packet) < _HEADER.size:
        return EchoDiscard.MALFORMED
    kind, code, _, its_identifier, _ = _HEADER.unpack_from(packet)
    if kind != (ECHO_REPLY_V6 if ipv6 else ECHO_REPLY_V4):
        return EchoDiscard.FOREIGN
    if identifier is not None and its_identifier != identifier:
        return EchoDiscard.FOREIGN
    if code != 0 or len(packet) != PACKET_BYTES or (not ipv6 and checksum(packet) != 0):
        return EchoDiscard.MALFORMED
    return _marked(packet) or EchoDiscard.MALFORMED


def decode_own_request(packet: bytes) -> Echo | None:
    """The echo request at the end of a packet that the kernel returns with its headers."""
    return _marked(packet[-PACKET_BYTES:]) if len(packet) >= PACKET_BYTES else None


def checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071); 0 over a packet with its checksum in."""
    total = sum(int.from_bytes(packet[at : at + 2], "big") for at in range(0, len(packet), 2))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def _marked(packet: bytes) -> Echo | None:
    if packet[_HEADER.size + _MARK.size :] != _PATTERN:
        return None
    nonce, seq = _MARK.unpack_from(packet, _HEADER.size)
    return Echo(seq=seq, nonce=nonce)
