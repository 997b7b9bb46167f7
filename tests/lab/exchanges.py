"""Floor 1. Requests and answers of a TCP connection that crossed an emulated link, by its truth.

Pure. It must not know what is asked, nor what a client measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.lab.truth import PacketTruth

# A header of 20 bytes, TCP's of 20 and at most 40 of options: what is longer carries payload.
_LONGEST_EMPTY_BYTES = 80


def round_trips_ms(truths: Sequence[PacketTruth], client_port: int) -> list[float]:
    """From each request's coming to the link to its answer's leaving it, in the order of asking.

    For a connection that asks for one thing after the other, each request and answer in a packet.
    A client that does nothing but wait cannot have had the answer sooner. What is sent again
    counts from its first copy.
    """
    passed = [
        truth
        for truth in truths
        if client_port in (truth.identity.source_port, truth.identity.destination_port)
        and truth.length_bytes > _LONGEST_EMPTY_BYTES
    ]
    trips: list[float] = []
    asked_ns: int | None = None
    for truth in sorted(passed, key=_arrived_ns):
        if truth.direction == "upload":
            asked_ns = truth.arrived_ns if asked_ns is None else asked_ns
        elif asked_ns is not None and truth.departed_ns:
            trips.append((truth.departed_ns[0] - asked_ns) / 1e6)
            asked_ns = None
    return trips


def client_ports(truths: Sequence[PacketTruth]) -> list[int]:
    """The ports of the near end's TCP connections, in the order of their first packet."""
    sent = [truth for truth in sorted(truths, key=_arrived_ns) if truth.direction == "upload"]
    ports = [one.identity.source_port for one in sent if one.identity.protocol == "tcp"]
    return [port for port in dict.fromkeys(ports) if port is not None]


def _arrived_ns(truth: PacketTruth) -> int:
    return truth.arrived_ns
