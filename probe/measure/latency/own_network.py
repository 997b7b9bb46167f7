"""Floor 1. Whether a window's losses are the office's own: its cable, its switch, its router.

What is lost while nothing passes the gateway is not the line's (METHOD, Availability: own LAN, the
ISP's access, beyond); a window that has such a time says so, and is in no figure. Rules (ours):

- A packet could not leave because the line was down here: the window is the own network's.
- So it is where a time of it was: all of the window, or several of the gateway's packets one after
  another, in which neither the gateway nor anything beyond it answered what was sent. A gateway
  that never answers, as some are set, is no fault: something behind it does.

Knows no socket and no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from probe.measure.latency.session import LatencyWindow, PacketStatus

# One packet that a router forgets to answer is no silence; so many in a row are.
_RUN = 3


def is_own_network_fault(
    window: LatencyWindow, gateway: LatencyWindow | None, beyond: Sequence[LatencyWindow]
) -> bool:
    """Whether the office's own network was away in a window to a target beyond the gateway.

    Args:
        window: the window that is asked about.
        gateway: the one to the gateway of the same time, None where no gateway is known.
        beyond: those of the same time to all targets beyond the gateway.
    """
    if window.line_down:
        return True
    if gateway is None:
        return False
    answered_ns = [
        packet.sent_ns
        for one in beyond
        for packet in one.packets.values()
        if packet.status is not PacketStatus.LOST
    ]
    return any(
        not any(from_ns <= sent_ns <= to_ns for sent_ns in answered_ns)
        for from_ns, to_ns in _silences(gateway)
    )


def _silences(gateway: LatencyWindow) -> Iterator[tuple[int, int]]:
    """From when to when a gateway answered nothing: all of a window, or between its packets."""
    if gateway.silent:
        yield gateway.start_ns, gateway.start_ns + gateway.duration_ns
        return
    for lost, run in groupby(
        gateway.packets.values(), lambda packet: packet.status is PacketStatus.LOST
    ):
        sent_ns = [packet.sent_ns for packet in run]
        if lost and len(sent_ns) >= _RUN:
            yield sent_ns[0], sent_ns[-1]
