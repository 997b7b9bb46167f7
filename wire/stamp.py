"""Floor 1. STAMP packets in unauthenticated mode (RFC 8762) and their times, as bytes and back.

Both ends share it: the probe is the session-sender, our server the session-reflector. Pure: no
sockets and no clock. The session identifier (SSID) of RFC 8972 is a field of both packets; what
follows the first 44 octets is `wire.stamp_tlv`'s, or padding. A TWAMP Light sender's packet (RFC
5357) is the same from 14 octets on, its reflector's packet from 41 on.

A timestamp stays the 64 bits that were on the wire: what a round trip needs is the difference of
two of them, and a difference is right across the end of NTP's era in 2036.
"""

from __future__ import annotations

from enum import StrEnum
from struct import Struct, error
from typing import NamedTuple

PACKET_BYTES = 44
PORT = 862

# RFC 8762, 4.6: the shortest packet of a TWAMP Light sender (RFC 5357, 4.1.2).
SHORTEST_SENDER_BYTES = 14
# What a round trip needs of a reflector's packet ends with the sender's error estimate. TWAMP Light
# adds two octets of zeros and the TTL (41 octets, RFC 5357, 4.2.1), and STAMP three more.
_FIELDS_END = 38

_SENDER = Struct("!IQHH28x")  # RFC 8762, figure 2; RFC 8972, figure 1
_REFLECTOR = Struct("!IQHHQIQH2xB3x")  # RFC 8762, figure 4; RFC 8972, figure 2
_TIMESTAMP, _TIMESTAMP_AT = Struct("!Q"), 4  # the field of both packets
_ERROR_ESTIMATE, _ERROR_ESTIMATE_AT = Struct("!H"), 12
_RECEIVE_TIMESTAMP_AT, _RECEIVE_TIMESTAMP_END = 16, 24
# No reflector holds a packet for so long: T3 - T2 in units of 2^-32 s (16 s).
_LONGEST_RESIDENCE = 16 << 32
_NTP_UNIX_EPOCHS_S = 2_208_988_800  # 1900-01-01 to 1970-01-01, RFC 5905
_ERA_S = 1 << 32
_NANOSECONDS = 1_000_000_000


class Defect(StrEnum):
    """Why bytes are not a STAMP packet."""

    TOO_SHORT = "too_short"
    # RFC 4656, 4.1.2: a packet whose multiplier is zero is corrupt.
    MULTIPLIER_ZERO = "multiplier_zero"
    # A truncated PTPv2 timestamp counts its nanoseconds to 999,999,999.
    NANOSECONDS_OUT_OF_RANGE = "nanoseconds_out_of_range"


class StampError(ValueError):
    """These bytes are not a STAMP packet; `defect` says why."""

    def __init__(self, defect: Defect) -> None:
        super().__init__(defect.value)
        self.defect = defect


class ErrorEstimate(NamedTuple):
    """The estimated clock error of a timestamp's sender (RFC 4656, 4.1.2).

    `ptp` is the Z bit: truncated PTPv2 timestamps in place of NTP's (RFC 8186, 2.3).
    """

    synchronised: bool
    ptp: bool
    scale: int
    multiplier: int

    @property
    def error_s(self) -> float:
        """The estimate in seconds: multiplier * 2^-32 * 2^scale."""
        return float(self.multiplier) * 2.0 ** (self.scale - 32)

    @property
    def bits(self) -> int:
        """The 16 bits on the wire. ValueError for values that do not fit into them."""
        if not (0 <= self.scale < 64 and 0 <= self.multiplier < 256):
            raise ValueError(f"scale is 0 to 63 and multiplier 0 to 255: {self}")
        return self.synchronised << 15 | self.ptp << 14 | self.scale << 8 | self.multiplier

    @classmethod
    def from_bits(cls, bits: int) -> ErrorEstimate:
        """The estimate in 16 bits from the wire."""
        return cls(bool(bits >> 15 & 1), bool(bits >> 14 & 1), bits >> 8 & 0x3F, bits & 0xFF)


# NTP's format; nothing is claimed about UTC, and a round trip needs nothing: 2^-32 * 2^32 = 1 s.
UNSYNCHRONISED = ErrorEstimate(synchronised=False, ptp=False, scale=32, multiplier=1)
# One second too, written as 2^7 * 2^-7: what has it and ends before T2 was sent by our reflector.
_CUT_SHORT = ErrorEstimate(synchronised=False, ptp=False, scale=25, multiplier=128)


class SenderPacket(NamedTuple):
    """A session-sender's packet (RFC 8762, 4.2.1). `timestamp` is 64 bits as on the wire.

    `ssid` identifies the session among those of the same addresses and ports; 0 where there is none
    (RFC 8972, 3).
    """

    seq: int
    timestamp: int
    error_estimate: ErrorEstimate
    ssid: int = 0


class ReflectorPacket(NamedTuple):
    """A session-reflector's packet (RFC 8762, 4.3.1). Timestamps are 64 bits as on the wire.

    `error_estimate` holds for both `timestamp` (T3, sent) and `receive_timestamp` (T2). `ssid` is
    the sender's, or 0 from a reflector that does not know RFC 8972.
    """

    seq: int
    timestamp: int
    error_estimate: ErrorEstimate
    receive_timestamp: int
    sender_seq: int
    sender_timestamp: int
    sender_error_estimate: ErrorEstimate
    sender_ttl: int
    ssid: int = 0

    @property
    def residence_ns(self) -> int:
        """How long the reflector held the packet: T3 - T2, negative if its clock stepped back."""
        return interval_ns(self.receive_timestamp, self.timestamp, ptp=self.error_estimate.ptp)


def encode_sender(packet: SenderPacket) -> bytes:
    """The 44 octets of a session-sender's packet. ValueError for a field that does not fit."""
    try:
        return _SENDER.pack(packet.seq, packet.timestamp, packet.error_estimate.bits, packet.ssid)
    except error as problem:
        raise ValueError(f"{packet} does not fit: {problem}") from problem


def decode_sender(body: bytes) -> SenderPacket:
    """The session-sender's packet in a datagram of 14 octets or more.

    Raises:
        StampError: the datagram has one of the defects.
    """
    if len(body) < SHORTEST_SENDER_BYTES:
        raise StampError(Defect.TOO_SHORT)
    seq, timestamp, bits, ssid = _SENDER.unpack(body[:PACKET_BYTES].ljust(PACKET_BYTES, b"\0"))
    return SenderPacket(seq, timestamp, _checked(bits, timestamp), ssid)


def is_reflected(body: bytes) -> bool:
    """Whether a datagram is a session-reflector's packet, ours or another's.

    In one of those T2 is there and near T3. A sender's octets at T2's place are zero, or padding
    (TWAMP Light); random padding looks so once in 2**27 packets. A packet that ends before T2 is
    recognised by the error estimate with which `reflect` marks it.
    """
    if len(body) < _RECEIVE_TIMESTAMP_END:
        if len(body) < SHORTEST_SENDER_BYTES:
            return False
        (bits,) = _ERROR_ESTIMATE.unpack_from(body, _ERROR_ESTIMATE_AT)
        return bool(bits == _CUT_SHORT.bits)
    (sent,) = _TIMESTAMP.unpack_from(body, _TIMESTAMP_AT)
    (received,) = _TIMESTAMP.unpack_from(body, _RECEIVE_TIMESTAMP_AT)
    return received != 0 and abs(_signed(sent - received)) < _LONGEST_RESIDENCE


def encode_reflector(packet: ReflectorPacket) -> bytes:
    """The 44 octets of a session-reflector's packet. ValueError for a field that does not fit."""
    try:
        return _REFLECTOR.pack(
            packet.seq,
            packet.timestamp,
            packet.error_estimate.bits,
            packet.ssid,
            packet.receive_timestamp,
            packet.sender_seq,
            packet.sender_timestamp,
            packet.sender_error_estimate.bits,
            packet.sender_ttl,
        )
    except error as problem:
        raise ValueError(f"{packet} does not fit: {problem}") from problem


def decode_reflector(body: bytes) -> ReflectorPacket:
    """The session-reflector's packet in a datagram of 38 octets or more.

    That is where the fields that a round trip needs end: TWAMP Light has 41 octets (RFC 5357,
    4.2.1), and some implementations leave the TTL out, which is 0 then.

    Raises:
        StampError: the datagram has one of the defects.
    """
    if len(body) < _FIELDS_END:
        raise StampError(Defect.TOO_SHORT)
    seq, sent, bits, ssid, received, sender_seq, sender_sent, sender_bits, ttl = _REFLECTOR.unpack(
        body[:PACKET_BYTES].ljust(PACKET_BYTES, b"\0")
    )
    return ReflectorPacket(
        seq=seq,
        timestamp=sent,
        error_estimate=_checked(bits, sent, received),
        receive_timestamp=received,
        sender_seq=sender_seq,
        sender_timestamp=sender_sent,
        sender_error_estimate=_checked(sender_bits, sender_sent),
        sender_ttl=ttl,
        ssid=ssid,
    )


def reflect(
    body: bytes,
    request: SenderPacket,
    *,
    received: int,
    error_estimate: ErrorEstimate,
    ttl: int,
    whole: bool = False,
) -> bytearray:
    """The answer of a stateless session-reflector, exactly as long as the datagram it answers.

    It still lacks T3, which `put_sent_time` writes just before it goes; what follows the first 44
    octets is as it came. The sequence number is the sender's (RFC 8762, 4.3.1), and so is the SSID
    (RFC 8972, 3).

    Args:
        body: the whole datagram, of which `request` was decoded.
        received: T2, 64 bits in the format that `error_estimate` names.
        ttl: the TTL or hop limit with which the datagram arrived.
        whole: answer a datagram of less than 44 octets by all 44, as RFC 8762, 4.6 has it: an
            amplification, so only for a sender that is known.
    """
    if len(body) < _RECEIVE_TIMESTAMP_END and not whole:
        error_estimate = _CUT_SHORT
    answer = ReflectorPacket(
        seq=request.seq,
        timestamp=0,
        error_estimate=error_estimate,
        receive_timestamp=received,
        sender_seq=request.seq,
        sender_timestamp=request.timestamp,
        sender_error_estimate=request.error_estimate,
        sender_ttl=ttl,
        ssid=request.ssid,
    )
    base = encode_reflector(answer)
    return bytearray((base if whole else base[: len(body)]) + body[PACKET_BYTES:])


def put_sent_time(answer: bytearray, sent: int) -> None:
    """Write T3 into an answer.

    The less there is between reading the clock and sending, the less of the reflector's own time
    is taken for the network's: after a pause, building an answer costs it tens of microseconds.
    """
    _TIMESTAMP.pack_into(answer, _TIMESTAMP_AT, sent)


def ntp_from_unix_ns(unix_ns: int) -> int:
    """A Unix time in nanoseconds as NTP's 64 bits (RFC 5905), rounded to 2^-32 s."""
    seconds, nanoseconds = divmod(unix_ns, _NANOSECONDS)
    # A fraction that rounds up to a whole second carries into the seconds by the addition.
    fraction = ((nanoseconds << 32) + _NANOSECONDS // 2) // _NANOSECONDS
    return (((seconds + _NTP_UNIX_EPOCHS_S) << 32) + fraction) & 0xFFFF_FFFF_FFFF_FFFF


def unix_ns_from_ntp(timestamp: int, near_unix_ns: int) -> int:
    """The Unix time in nanoseconds of NTP's 64 bits, in the era that is nearest to a known time.

    Eras last 136 years and the 64 bits do not say which (RFC 5905, 6): the next begins in 2036.
    Gives back exactly what `ntp_from_unix_ns` was given.
    """
    seconds = (timestamp >> 32) - _NTP_UNIX_EPOCHS_S
    near_s = near_unix_ns // _NANOSECONDS
    seconds += (near_s - seconds + _ERA_S // 2) // _ERA_S * _ERA_S
    return seconds * _NANOSECONDS + _fraction_ns(timestamp & 0xFFFF_FFFF)


def interval_ns(earlier: int, later: int, *, ptp: bool = False) -> int:
    """The nanoseconds from one 64-bit timestamp to another, negative when `later` is not later.

    Right for timestamps of two eras too, as long as they are less than 68 years apart.
    """
    if ptp:
        span_ns = _ERA_S * _NANOSECONDS
        difference_ns = (_ptp_ns(later) - _ptp_ns(earlier)) % span_ns
        return difference_ns - span_ns if difference_ns >= span_ns // 2 else difference_ns
    return (_signed(later - earlier) * _NANOSECONDS + (1 << 31)) >> 32


def offset(returned: int, sent: int) -> int:
    """How far a returned timestamp is from the one that was sent, in units of its last bit."""
    return abs(_signed(returned - sent))


def _signed(difference: int) -> int:
    """A difference of two 64-bit values, from -2**63 to 2**63 - 1."""
    return ((difference + (1 << 63)) & 0xFFFF_FFFF_FFFF_FFFF) - (1 << 63)


def _fraction_ns(fraction: int) -> int:
    return (fraction * _NANOSECONDS + (1 << 31)) >> 32


def _ptp_ns(timestamp: int) -> int:
    return (timestamp >> 32) * _NANOSECONDS + (timestamp & 0xFFFF_FFFF)


def _checked(bits: int, *timestamps: int) -> ErrorEstimate:
    """The error estimate of these timestamps. StampError when it, or one of them, cannot be."""
    estimate = ErrorEstimate.from_bits(bits)
    if estimate.multiplier == 0:
        raise StampError(Defect.MULTIPLIER_ZERO)
    if estimate.ptp and any(stamp & 0xFFFF_FFFF >= _NANOSECONDS for stamp in timestamps):
        raise StampError(Defect.NANOSECONDS_OUT_OF_RANGE)
    return estimate
