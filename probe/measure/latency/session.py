"""Floor 1. A latency session to one target: which packets left, which came back, and when.

Takes numbers and times, knows no socket, no packet format and no clock. Every time is monotonic
nanoseconds (`clock_offset`). A session has windows by the time of sending; a window is closed Tmax
(`timeout_ns`) after its end, when each of its packets has come back or is lost.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from enum import Enum, auto

from probe.measure.failure import Failure
from wire.result import Reason

NANOSECONDS = 1_000_000_000


class PacketStatus(Enum):
    """What became of a packet."""

    LOST = auto()  # not back yet, or never
    RECEIVED = auto()
    LATE = auto()  # back after Tmax: lost all the same (RFC 7680)


class Packet:
    """One packet that was sent, and its first copy that came back (later copies change nothing)."""

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
    """The packets sent in one span of time, and what was counted meanwhile.

    `malformed` and `forged` answers belong to no packet; they are counted in the window in which
    they came.
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
        self.failure: Failure | None = None  # the last one
        self.line_down = False  # a packet could not leave because the line was down here

    @property
    def duration_ns(self) -> int:
        """How long it was sent in; 0 while it still is."""
        return 0 if self.end_ns is None else self.end_ns - self.start_ns

    @property
    def silent(self) -> bool:
        """Whether packets were sent and nothing at all came back for them."""
        return bool(self.packets) and all(
            p.status is PacketStatus.LOST for p in self.packets.values()
        )

    @property
    def outstanding(self) -> bool:
        """Whether anything that was sent has not come back yet."""
        return any(p.status is PacketStatus.LOST for p in self.packets.values())

    def drop_after(self, at_ns: int) -> None:
        """Forget the packets that were sent after a moment: they are no part of the window."""
        for seq in [seq for seq, p in self.packets.items() if p.sent_ns > at_ns]:
            del self.packets[seq]


class LatencySession:
    """The packets to one target, from the first window to the last.

    Args:
        timeout_ns: Tmax, how long an answer counts (RFC 7680).
        start_ns: when the first window begins.
    """

    def __init__(self, timeout_ns: int, start_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._windows: deque[LatencyWindow] = deque([LatencyWindow(start_ns)])
        self._next_seq = 0
        self._expected_seq = 0  # RFC 4737's NextExp

    @property
    def next_seq(self) -> int:
        """The number that the next packet must bear."""
        return self._next_seq

    @property
    def window(self) -> LatencyWindow:
        """The window that is being sent in."""
        return self._windows[-1]

    @property
    def answered(self) -> bool:
        """Whether anything has come back for the packets of the windows that are still open."""
        return any(
            packet.status is not PacketStatus.LOST
            for window in self._windows
            for packet in window.packets.values()
        )

    def sent(self, seq: int, at_ns: int, token: int) -> None:
        """A packet is about to leave. ValueError when `seq` is not `next_seq`."""
        if seq != self._next_seq:
            raise ValueError(f"packet {seq} is sent after packet {self._next_seq - 1}")
        self._next_seq += 1
        self.window.packets[seq] = Packet(seq, at_ns, token)

    def departed(self, seq: int, at_ns: int) -> None:
        """The kernel says when the packet left; its first word counts (tunnels repeat it)."""
        _, packet = self._find(seq)
        if packet is not None and not packet.sent_by_kernel:
            packet.sent_ns = at_ns
            packet.sent_by_kernel = True

    def received(
        self, seq: int, at_ns: int, token: int, residence_ns: int = 0, *, by_kernel: bool = True
    ) -> None:
        """An answer came.

        Args:
            seq, token: as the answer has them.
            at_ns: when it arrived.
            residence_ns: how long the other end held it; taken off the delay.
            by_kernel: whether `at_ns` is the kernel's or only this program's.
        """
        window, packet = self._find(seq)
        if window is None or packet is None:
            # Unknown but old: its window is closed and has counted it as lost.
            if seq >= self._next_seq:
                self.window.forged += 1
        elif packet.token != token:
            self.window.forged += 1
        elif packet.status is not PacketStatus.LOST:
            window.duplicates += 1
        else:
            elapsed_ns = at_ns - packet.sent_ns
            packet.received_by_kernel = by_kernel
            # No honest reflector holds a packet for longer than it was away.
            packet.suspect |= not 0 <= residence_ns <= elapsed_ns
            if elapsed_ns > self._timeout_ns and not packet.suspect:
                packet.status = PacketStatus.LATE
            else:
                self._accept(window, packet, elapsed_ns - residence_ns)

    def malformed(self) -> None:
        """Something came that is no answer in the protocol's form."""
        self.window.malformed += 1

    def forged(self) -> None:
        """Something came from another address than the target's."""
        self.window.forged += 1

    def on_failure(self, failure: Failure) -> None:
        """The network or the kernel said why packets cannot leave or come back."""
        self.window.failure = failure
        self.window.line_down |= failure.reason is Reason.LINE_DOWN

    def clock_stepped(self) -> None:
        """A clock was stepped: the delay of whatever is under way will not be known."""
        for window in self._windows:
            for packet in window.packets.values():
                packet.suspect |= packet.status is PacketStatus.LOST

    def next_window(self, at_ns: int) -> None:
        """End the present window and begin the next."""
        self.end_window(at_ns)
        self._windows.append(LatencyWindow(at_ns))

    def end_window(self, at_ns: int) -> None:
        """End the present window; nothing more will be sent."""
        self.window.end_ns = at_ns

    def cut(self, now_ns: int) -> None:
        """Stop at once: keep what is decided by now, which is what was sent until Tmax ago.

        Keeping the answered ones of the last packets too would count answers and not losses.
        """
        decided_until_ns = now_ns - self._timeout_ns
        for window in self._windows:
            if window.end_ns is None or window.end_ns > decided_until_ns:
                window.cut_short = True
                window.end_ns = max(window.start_ns, decided_until_ns)
                window.drop_after(decided_until_ns)

    def closed(self, now_ns: int) -> Iterator[LatencyWindow]:
        """The windows of which every packet is decided; each is given once."""
        while self._windows:
            end_ns = self._windows[0].end_ns
            if end_ns is None or end_ns + self._timeout_ns > now_ns:
                return
            yield self._windows.popleft()

    def next_close_ns(self) -> int | None:
        """When the next window can be closed; None while none has ended."""
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
    """The time to the next packet: exponential, so that the packets are a Poisson stream.

    Such a stream synchronises with nothing that is periodic (RFC 2330, 11.1).

    Args:
        drawn: uniform in [0, 1), from a random generator; the gap grows with it.
        mean_gap_s: the mean of the gaps.
    """
    return round(-math.log1p(-drawn) * mean_gap_s * NANOSECONDS)
