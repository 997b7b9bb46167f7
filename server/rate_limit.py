"""Floor 1. Limits the packets of a source each second; the rest are silently dropped.

A reflector answers to a packet's source address, which may be forged. The answer is no longer than
the packet (except to TWAMP Light senders that the operator names), so there is no amplification,
and the limit bounds what a victim can be sent. Reads no clock.
"""

from __future__ import annotations

from ipaddress import IPv6Address

_SECOND_NS = 1_000_000_000


class RateLimit:
    """Counts packets by source in each second; holds one second's sources in memory.

    Args:
        per_second: packets allowed for a source in a second; 0 for no limit.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = -1
        self._counts: dict[str, int] = {}

    def allows(self, address: str, now_ns: int) -> bool:
        """Whether a packet from this IP address, arriving now, may be answered; counts it."""
        if self._per_second == 0:
            return True
        second = now_ns // _SECOND_NS
        if second != self._second:
            self._second = second
            self._counts.clear()
        source = source_of(address)
        count = self._counts.get(source, 0) + 1
        self._counts[source] = count
        return count <= self._per_second


def source_of(address: str) -> str:
    """The source that an address counts for: itself, or for IPv6 its /64, which is one customer."""
    if ":" not in address:
        return address
    prefix = int(IPv6Address(address.partition("%")[0])) >> 64
    return f"{prefix:x}/64"
