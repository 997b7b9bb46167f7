"""Floor 2. The byte counters of a line's interface, with the time at which they were read."""

from __future__ import annotations

from probe import clock
from probe.config import LineConfig
from probe.measure import host
from probe.schedule.admission import InterfaceCounters


def counters_of(line: LineConfig) -> InterfaceCounters:
    """The counters of the line's interface; None in them where they cannot be read."""
    snapshot = host.snapshot(line.interface or host.interface_of(line.source_address))
    return InterfaceCounters(clock.monotonic_s(), snapshot.received_bytes, snapshot.sent_bytes)
