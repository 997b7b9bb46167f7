"""Floor 1. What a latency session sends and takes for an answer: STAMP or ICMP echo, one shape.

Bytes in, numbers out. A `token` travels in each packet and comes back with the answer: an answer
with another token was not made from a packet of ours.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from probe.measure.latency import icmp_echo
from probe.measure.latency.icmp_echo import Echo, EchoDiscard
from wire import stamp


class EchoReply(NamedTuple):
    """An answer: to which packet, and for how long the other end held it.

    `residence_ns` is STAMP's T3 - T2; ICMP does not tell it, so it is 0 there.
    """

    seq: int
    token: int
    residence_ns: int


class EchoProtocol(Protocol):
    """A kind of packet that comes back."""

    def request(self, seq: int, unix_ns: int) -> tuple[bytes, int]:
        """The packet of that number, sent at that Unix time, and its token."""

    def own_seq(self, packet: bytes) -> int | None:
        """The number of our request at the end of a packet that the kernel hands back."""

    def reply(self, packet: bytes) -> EchoReply | EchoDiscard:
        """The answer that a received packet is, or why it is none."""


class StampEcho:
    """STAMP's session-sender (RFC 8762). The token is the packet's own timestamp."""

    def request(self, seq: int, unix_ns: int) -> tuple[bytes, int]:
        """See `EchoProtocol`."""
        timestamp = stamp.ntp_from_unix_ns(unix_ns)
        packet = stamp.SenderPacket(seq & 0xFFFF_FFFF, timestamp, stamp.UNSYNCHRONISED)
        return stamp.encode_sender(packet), timestamp

    def own_seq(self, packet: bytes) -> int | None:
        """See `EchoProtocol`."""
        try:
            return stamp.decode_sender(packet[-stamp.PACKET_BYTES :]).seq
        except stamp.StampError:
            return None

    def reply(self, packet: bytes) -> EchoReply | EchoDiscard:
        """See `EchoProtocol`. The sender's own number counts: a stateful reflector has another."""
        try:
            answer = stamp.decode_reflector(packet)
        except stamp.StampError:
            return EchoDiscard.MALFORMED
        return EchoReply(answer.sender_seq, answer.sender_timestamp, answer.residence_ns)


class IcmpEcho:
    """ICMP echo. The token is a number drawn for the session.

    Args:
        nonce: 64 random bits.
        identifier: ICMP's own, None where the socket gives one and filters by it.
        ipv6: which ICMP it is.
    """

    def __init__(self, nonce: int, identifier: int | None, *, ipv6: bool) -> None:
        self._nonce = nonce
        self._identifier = identifier
        self._ipv6 = ipv6

    def request(self, seq: int, unix_ns: int) -> tuple[bytes, int]:  # noqa: ARG002 - STAMP's need
        """See `EchoProtocol`."""
        echo = Echo(seq=seq, nonce=self._nonce)
        return icmp_echo.encode_request(echo, self._identifier or 0, ipv6=self._ipv6), self._nonce

    def own_seq(self, packet: bytes) -> int | None:
        """See `EchoProtocol`."""
        echo = icmp_echo.decode_own_request(packet)
        return None if echo is None else echo.seq

    def reply(self, packet: bytes) -> EchoReply | EchoDiscard:
        """See `EchoProtocol`."""
        echo = icmp_echo.decode_reply(packet, self._identifier, ipv6=self._ipv6)
        return (
            echo
            if isinstance(echo, EchoDiscard)
            else EchoReply(echo.seq, echo.nonce, residence_ns=0)
        )
