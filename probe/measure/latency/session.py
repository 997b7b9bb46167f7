"""Floor 1. A latency session to one target: which packets left, which came back, and when.

Knows no socket, packet format or clock. Every time is monotonic nanoseconds (`clock_offset`). A
session has windows by the time of sending; a window is closed Tmax (`timeout_ns`) after its end,
when each of its packets has been answered or is lost.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from enum import Enum, auto

from probe.measure.failure import Failure
from wire import stamp
from wire.record import Reason

NANOSECONDS = 1_000_000_000
# How far a reflector's copy of a STAMP timestamp may be from what was sent, in units of 2^-32 s: a
# program that keeps it in microseconds or as a 64-bit float loses up to 4,295 of them.
ALTERED_TIMESTAMP_UNITS = 1 << 13


class PacketStatus(Enum):
    """The status of a packet."""

    LOST = auto()  # not back yet, or never
    RECEIVED = auto()
    LATE = auto()  # back after Tmax: lost all the same (RFC 7680)


class Packet:
    """A sent packet and its first answer; later copies change nothing."""

    __slots__ = (
        "delay_ns",
        "received_by_kernel",
        "sent_by_kernel",
        "sent_ns",
        "seq",
        "status",
        "suspect",
        "token",
    )

    def __init__(self, seq: int, sent_ns: int, token: int) -> None:
        self.seq = seq
        self.sent_ns = sent_ns
        self.token = token
        self.status = PacketStatus.LOST
        self.delay_ns: int | None = None
        self.sent_by_kernel = False
        self.received_by_kernel = False
        self.suspect = False  # a clock was stepped while it was away: its delay is not known


class LatencyWindow:
    """The packets sent in one stretch of time, and the counts of that time.

    `malformed` and `forged` answers belong to no packet; they are counted in the window in which
    they came. `altered` are accepted packets whose token came back a little changed, by
    `most_altered` at most.
    """

    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self.end_ns: int | None = None  # None while it is being sent in
        self.cut_short = False
        self.packets: dict[int, Packet] = {}
        self.arrival_delays_ns: list[int] = []
        self.duplicates = 0
        self.reordered = 0
        self.malformed = 0
        self.forged = 0
        self.altered = 0
        self.most_altered = 0
        self.failure: Failure | None = None  # the last one
        self.line_down = False  # a packet could not leave because the line was down here

    @property
    def duration_ns(self) -> int:
        """The window's length in ns; 0 while it is open."""
        return 0 if self.end_ns is None else self.end_ns - self.start_ns

    @property
    def silent(self) -> bool:
        """Whether packets were sent and none was answered."""
        return bool(self.packets) and all(
            p.status is PacketStatus.LOST for p in self.packets.values()
        )

    @property
    def outstanding(self) -> bool:
        """Whether any packet is not answered yet."""
        return any(p.status is PacketStatus.LOST for p in self.packets.values())

    def drop_after(self, at_ns: int) -> None:
        """Remove the packets that were sent after a moment."""
        for seq in [seq for seq, p in self.packets.items() if p.sent_ns > at_ns]:
            del self.packets[seq]


class LatencySession:
    """The packets to one target, from the first window to the last.

    Args:
        timeout_ns: Tmax, how long an answer counts (RFC 7680).
        start_ns: when the first window begins.
        altered_units: how far a token may come back from what was sent.
    """

    def __init__(self, timeout_ns: int, start_ns: int, altered_units: int = 0) -> None:
        self._timeout_ns = timeout_ns
        self._altered_units = altered_units
        self._windows: deque[LatencyWindow] = deque([LatencyWindow(start_ns)])
        self._next_seq = 0
        self._expected_seq = 0  # RFC 4737's NextExp

    @property
    def next_seq(self) -> int:
        """The sequence number of the next packet."""
        return self._next_seq

    @property
    def window(self) -> LatencyWindow:
        """The open window."""
        return self._windows[-1]

    @property
    def answered(self) -> bool:
        """Whether any packet of the windows that are not closed was answered."""
        return any(
            packet.status is not PacketStatus.LOST
            for window in self._windows
            for packet in window.packets.values()
        )

    def sent(self, seq: int, at_ns: int, token: int) -> None:
        """Record a packet that is sent. ValueError when `seq` is not `next_seq`."""
        if seq != self._next_seq:
            raise ValueError(f"packet {seq} is sent after packet {self._next_seq - 1}")
        self._next_seq += 1
        self.window.packets[seq] = Packet(seq, at_ns, token)

    def departed(self, seq: int, at_ns: int) -> None:
        """Set a packet's send time by the kernel; the first report counts (tunnels repeat it)."""
        _, packet = self._find(seq)
        if packet is not None and not packet.sent_by_kernel:
            packet.sent_ns = at_ns
            packet.sent_by_kernel = True

    def received(
        self, seq: int, at_ns: int, token: int, residence_ns: int = 0, *, by_kernel: bool = True
    ) -> None:
        """Record an answer.

        Args:
            seq, token: as the answer has them.
            at_ns: when it arrived.
            residence_ns: how long the reflector held it; subtracted from the delay.
            by_kernel: whether `at_ns` is a kernel timestamp.
        """
        window, packet = self._find(seq)
        if window is None or packet is None:
            # An old number: its window is closed and has counted it as lost.
            if seq >= self._next_seq:
                self.window.forged += 1
        elif (altered := stamp.offset(token, packet.token)) > self._altered_units:
            self.window.forged += 1
        elif packet.status is not PacketStatus.LOST:
            window.duplicates += 1
        else:
            elapsed_ns = at_ns - packet.sent_ns
            packet.received_by_kernel = by_kernel
            # A reflector cannot hold a packet for longer than the round trip took.
            packet.suspect |= not 0 <= residence_ns <= elapsed_ns
            if elapsed_ns > self._timeout_ns and not packet.suspect:
                packet.status = PacketStatus.LATE
            else:
                self._accept(window, packet, elapsed_ns - residence_ns)
                window.altered += altered > 0
                window.most_altered = max(window.most_altered, altered)

    def malformed(self) -> None:
        """Count an answer that cannot be decoded."""
        self.window.malformed += 1

    def forged(self) -> None:
        """Count an answer from another address than the target's."""
        self.window.forged += 1

    def on_failure(self, failure: Failure) -> None:
        """Record why packets cannot leave or come back, by the network or the kernel."""
        self.window.failure = failure
        self.window.line_down |= failure.reason is Reason.LINE_DOWN

    def clock_stepped(self) -> None:
        """The clock was stepped: the delays of packets in flight cannot be known."""
        for window in self._windows:
            for packet in window.packets.values():
                packet.suspect |= packet.status is PacketStatus.LOST

    def next_window(self, at_ns: int) -> None:
        """End the open window and begin the next."""
        self.end_window(at_ns)
        self._windows.append(LatencyWindow(at_ns))

    def end_window(self, at_ns: int) -> None:
        """End the open window; nothing more will be sent."""
        self.window.end_ns = at_ns

    def cut(self, now_ns: int) -> None:
        """Stop at once and keep what is decided, which is what was sent until Tmax ago.

        Keeping later packets that were answered would count answers without losses.
        """
        decided_until_ns = now_ns - self._timeout_ns
        for window in self._windows:
            if window.end_ns is None or window.end_ns > decided_until_ns:
                window.cut_short = True
                window.end_ns = max(window.start_ns, decided_until_ns)
                window.drop_after(decided_until_ns)

    def closed(self, now_ns: int) -> Iterator[LatencyWindow]:
        """The windows of which every packet is decided; each is yielded once."""
        while self._windows:
            end_ns = self._windows[0].end_ns
            if end_ns is None or end_ns + self._timeout_ns > now_ns:
                return
            yield self._windows.popleft()

    def next_close_ns(self) -> int | None:
        """When the next window can be closed (ns); None while none has ended."""
        end_ns = self._windows[0].end_ns if self._windows else None
        return None if end_ns is None else end_ns + self._timeout_ns

    def _find(self, seq: int) -> tuple[LatencyWindow, Packet] | tuple[None, None]:
        for window in self._windows:
            if (packet := window.packets.get(seq)) is not None:
                return window, packet
        return None, None

    def _accept(self, window: LatencyWindow, packet: Packet, delay_ns: int) -> None:
        packet.status = PacketStatus.RECEIVED
        # RFC 4737, 3.3: reordered is what comes after one that was sent later.
        if packet.seq < self._expected_seq:
            window.reordered += 1
        else:
            self._expected_seq = packet.seq + 1
        if not packet.suspect:
            packet.delay_ns = delay_ns
            window.arrival_delays_ns.append(delay_ns)


def poisson_gap_ns(drawn: float, mean_gap_s: float) -> int:
    """The time to the next packet in ns: exponential, so that packets are a Poisson stream.

    Such a stream is not synchronised with anything periodic (RFC 2330, 11.1).

    Args:
        drawn: a random number in [0, 1); the gap grows with it.
        mean_gap_s: the mean gap in seconds.
    """
    return round(-math.log1p(-drawn) * mean_gap_s * NANOSECONDS)
