"""Floor 1. Whether a window's losses are in the office's own network: cable, switch or router.

Losses while nothing passes the gateway are not the line's (docs/method.md#latency, L13); such a
window is flagged `own_lan` and left out of figures. Rules (ours):

- A packet could not leave because the line was down at the probe.
- For all of the window, or for several of the gateway's packets in a row, neither the gateway nor
  anything beyond the office answered (`probe.measure.own_networks`). A gateway that never answers,
  as some are configured, is no fault while something behind it answers.

Knows no socket and no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from probe.measure.latency.session import LatencyWindow, PacketStatus

# So many unanswered packets in a row count; routers drop single echo requests.
_RUN = 3


def is_own_network_fault(
    window: LatencyWindow, gateway: LatencyWindow | None, beyond: Sequence[LatencyWindow]
) -> bool:
    """Whether the office's own network failed in a window to a target beyond the gateway.

    Args:
        window: the window to check.
        gateway: the gateway's window of the same time, None where no gateway is known.
        beyond: the windows of the same time to all targets beyond the office.
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
    """The times (from, to) in which the gateway did not answer, in ns."""
    if gateway.silent:
        yield gateway.start_ns, gateway.start_ns + gateway.duration_ns
        return
    for lost, run in groupby(
        gateway.packets.values(), lambda packet: packet.status is PacketStatus.LOST
    ):
        sent_ns = [packet.sent_ns for packet in run]
        if lost and len(sent_ns) >= _RUN:
            yield sent_ns[0], sent_ns[-1]
