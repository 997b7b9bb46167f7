"""Floor 1. The packets of a latency session: STAMP or ICMP echo behind one interface.

Each packet carries a `token` that comes back with the answer: an answer with another token was not
made from a packet of this session.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from probe.measure.latency import icmp_echo
from probe.measure.latency.icmp_echo import Echo, EchoDiscard
from wire import stamp


class EchoReply(NamedTuple):
    """A decoded answer: to which packet, and how long the reflector held it.

    `residence_ns` is STAMP's T3 - T2; 0 for ICMP, which has no such field.
    """

    seq: int
    token: int
    residence_ns: int


class EchoProtocol(Protocol):
    """A protocol whose packets are reflected."""

    def request(self, seq: int, unix_ns: int) -> tuple[bytes, int]:
        """The packet with a sequence number, sent at a Unix time (ns), and its token."""

    def own_seq(self, packet: bytes) -> int | None:
        """The sequence number of the request at the end of a packet that the kernel returns."""

    def reply(self, packet: bytes) -> EchoReply | EchoDiscard:
        """The decoded answer, or why the packet is discarded."""


class StampEcho:
    """STAMP's session-sender (RFC 8762). The token is the packet's own timestamp.

    Args:
        ssid: identifies the session in each packet (RFC 8972, 3); 0 for none. A reflector that does
            not know it returns zeros, and the session goes on.
    """

    def __init__(self, ssid: int = 0) -> None:
        self._ssid = ssid

    def request(self, seq: int, unix_ns: int) -> tuple[bytes, int]:
        """See `EchoProtocol`."""
        timestamp = stamp.ntp_from_unix_ns(unix_ns)
        packet = stamp.SenderPacket(seq & 0xFFFF_FFFF, timestamp, stamp.UNSYNCHRONISED, self._ssid)
        return stamp.encode_sender(packet), timestamp

    def own_seq(self, packet: bytes) -> int | None:
        """See `EchoProtocol`."""
        try:
            return stamp.decode_sender(packet[-stamp.PACKET_BYTES :]).seq
        except stamp.StampError:
            return None

    def reply(self, packet: bytes) -> EchoReply | EchoDiscard:
        """See `EchoProtocol`. Uses the sender's number: a stateful reflector has its own."""
        try:
            answer = stamp.decode_reflector(packet)
        except stamp.StampError:
            return EchoDiscard.MALFORMED
        if answer.ssid not in (0, self._ssid):
            return EchoDiscard.OTHER_SESSION
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
