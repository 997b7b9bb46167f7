"""Floor 1. The TLVs behind a STAMP packet (RFC 8972, 4), as a session-reflector processes them.

Understood are Extra Padding, Timestamp Information and Direct Measurement. The U flag says of every
other type that it is not: Location, Class of Service, Access Report, Follow-Up Telemetry, HMAC. A
TLV changes in place: a reflected packet is as long as the one that came.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, IntFlag
from struct import Struct
from typing import NamedTuple

from wire.stamp import PACKET_BYTES

_HEADER = Struct("!BBH")  # flags, type, length of the value
_COUNTS, _COUNTS_AT = Struct("!II"), 4  # behind the sender's own counter
_COUNT_MASK = 0xFFFF_FFFF


class TlvFlag(IntFlag):
    """The flags that a reflector sets. A sender sets U and clears the others (RFC 8972, 4)."""

    UNRECOGNISED = 0x80
    MALFORMED = 0x40


class TlvType(IntEnum):
    """The types that are understood (IANA, STAMP TLV Types)."""

    EXTRA_PADDING = 1
    TIMESTAMP_INFORMATION = 3
    DIRECT_MEASUREMENT = 5


class SynchronisationSource(IntEnum):
    """What a clock is set by (IANA, STAMP Synchronization Sources)."""

    NTP = 1
    FREE_RUNNING = 5


# IANA, STAMP Timestamping Methods: by software on this host.
_SW_LOCAL = 2
_LENGTHS: dict[int, int | None] = {
    TlvType.EXTRA_PADDING: None,
    TlvType.TIMESTAMP_INFORMATION: 4,
    TlvType.DIRECT_MEASUREMENT: 12,
}


class PacketCounts(NamedTuple):
    """The packets of a session that a reflector has received and sent, this one included."""

    received: int
    sent: int


def answer_tlvs(
    packet: bytearray, source: SynchronisationSource, count: Callable[[], PacketCounts]
) -> None:
    """Process the TLVs of a packet that is to be reflected, in place.

    After a malformed TLV nothing more is processed, and the rest stays as it came.

    Args:
        packet: the reflected packet with what followed the first 44 octets of the request.
        source: what the reflector's clock is set by.
        count: called at most once, for a packet with Direct Measurement.
    """
    if not begins_with_tlv(packet):
        return
    counts: PacketCounts | None = None
    at = PACKET_BYTES
    while at < len(packet):
        end, flags, kind = _read(packet, at)
        packet[at] = flags
        if flags & TlvFlag.MALFORMED:
            return
        value_at = at + _HEADER.size
        if kind == TlvType.TIMESTAMP_INFORMATION:
            packet[value_at:end] = bytes((source, _SW_LOCAL, source, _SW_LOCAL))
        elif kind == TlvType.DIRECT_MEASUREMENT:
            counts = counts or count()
            received, sent = (number & _COUNT_MASK for number in counts)
            _COUNTS.pack_into(packet, value_at + _COUNTS_AT, received, sent)
        at = end


def begins_with_tlv(packet: bytes | bytearray) -> bool:
    """Whether TLVs follow the first 44 octets, and not the padding of a TWAMP Light sender.

    A sender sets U and no other flag. One that leaves U out or sets others is tolerated where the
    TLVs end with the packet: scapy 2.8 has the flags in the reverse order. Padding is zeros, where
    type 0 is reserved, or random, and then looks like TLVs once in 128 packets.
    """
    if len(packet) <= PACKET_BYTES:
        return False
    flags, kind = packet[PACKET_BYTES], packet[PACKET_BYTES + 1 : PACKET_BYTES + 2]
    if flags == TlvFlag.UNRECOGNISED:
        return True
    return kind not in (b"", b"\0") and (flags == 0 or _ends_with_tlv(packet))


def _ends_with_tlv(packet: bytes | bytearray) -> bool:
    at = PACKET_BYTES
    while at + _HEADER.size <= len(packet):
        at += _HEADER.size + int(_HEADER.unpack_from(packet, at)[2])
    return at == len(packet)


def _read(packet: bytearray, at: int) -> tuple[int, int, int]:
    """Where a TLV ends, the flags that answer it, and its type."""
    left = len(packet) - at
    if left < _HEADER.size:
        return len(packet), TlvFlag.MALFORMED, 0
    _, kind, length = _HEADER.unpack_from(packet, at)
    flags = 0 if kind in _LENGTHS else int(TlvFlag.UNRECOGNISED)
    if length > left - _HEADER.size or _LENGTHS.get(kind) not in (None, length):
        flags |= TlvFlag.MALFORMED
    return at + _HEADER.size + length, flags, kind
