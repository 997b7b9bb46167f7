"""Floor 1. The truth about each packet that crossed an emulated link, and its JSON line.

Pure. It must not know how packets are relayed, nor what decided their fate.
"""

import json
import struct
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from tests.lab.impairment import Drop

Direction = Literal["upload", "download"]  # near end to far end; far end to near end

_IPV4_MIN_BYTES, _IPV6_BYTES = 20, 40
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}
# What `identify` needs of a packet: the longest IPv4 header, a UDP header, a sequence number.
IDENTIFYING_BYTES = 60 + 8 + 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketIdentity:
    """What tells a packet from the others. None where the protocol has no such field."""

    protocol: str  # "icmp", "tcp", "udp" or the number
    source: str
    destination: str
    source_port: int | None = None
    destination_port: int | None = None
    udp_seq: int | None = None  # first 4 bytes of the payload: STAMP's sequence number (RFC 8762)
    icmp_type: int | None = None  # echo request and reply: 8, 0 (RFC 792); 128, 129 (RFC 4443)
    icmp_id: int | None = None
    icmp_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketTruth:
    """What became of one packet. Times are CLOCK_MONOTONIC of this host, in ns.

    `departed_ns` has no entry for a dropped packet and two for a doubled one; `due_ns` beside it
    says when they were meant to leave. `index` counts the direction's packets from 0.
    """

    direction: Direction
    index: int
    arrived_ns: int
    due_ns: tuple[int, ...]
    departed_ns: tuple[int, ...]
    dropped: Drop | None
    length_bytes: int
    identity: PacketIdentity


def truth_line(truth: PacketTruth) -> str:
    """One JSON object, no line end."""
    return json.dumps(asdict(truth), separators=(",", ":"))


def parse_truth_line(line: str) -> PacketTruth:
    """The way back from `truth_line`. KeyError, TypeError or ValueError for anything else."""
    fields = json.loads(line)
    fields["due_ns"] = tuple(fields["due_ns"])
    fields["departed_ns"] = tuple(fields["departed_ns"])
    fields["identity"] = PacketIdentity(**fields["identity"])
    return PacketTruth(**fields)


def identify(packet: bytes) -> PacketIdentity:
    """Read an IP packet's identifiers. ValueError for anything that is neither IPv4 nor IPv6.

    IPv6 without extension headers: nothing here sends any.
    """
    number, source, destination, payload = _parts(packet)
    protocol = _PROTOCOLS.get(number, str(number))
    if protocol == "icmp" and len(payload) >= 8:
        icmp_type, icmp_id, icmp_seq = struct.unpack_from("!B3xHH", payload)
        return PacketIdentity(
            protocol=protocol,
            source=source,
            destination=destination,
            icmp_type=icmp_type,
            icmp_id=icmp_id,
            icmp_seq=icmp_seq,
        )
    if protocol in ("tcp", "udp") and len(payload) >= 8:
        source_port, destination_port = struct.unpack_from("!HH", payload)
        has_seq = protocol == "udp" and len(payload) >= 12
        return PacketIdentity(
            protocol=protocol,
            source=source,
            destination=destination,
            source_port=source_port,
            destination_port=destination_port,
            udp_seq=struct.unpack_from("!I", payload, 8)[0] if has_seq else None,
        )
    return PacketIdentity(protocol=protocol, source=source, destination=destination)


def _parts(packet: bytes) -> tuple[int, str, str, bytes]:
    """Protocol number, source, destination and payload."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= _IPV4_MIN_BYTES:
        source, destination = (str(IPv4Address(packet[at : at + 4])) for at in (12, 16))
        return packet[9], source, destination, packet[(packet[0] & 0x0F) * 4 :]
    if version == 6 and len(packet) >= _IPV6_BYTES:
        source, destination = (str(IPv6Address(packet[at : at + 16])) for at in (8, 24))
        return packet[6], source, destination, packet[_IPV6_BYTES:]
    raise ValueError("neither an IPv4 nor an IPv6 packet")
