"""Floor 2. One target of a line's latency: its address, its socket, its session.

Connects the pure session with a socket: failures are recorded in the session, and a failed socket
is opened again. Independent of the other targets and of the calling loop.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from probe.config import LatencyConfig, LineConfig
from probe.measure.failure import Failure
from probe.measure.latency import line_socket
from probe.measure.latency.clock_offset import ClockOffset
from probe.measure.latency.echo import EchoProtocol, IcmpEcho, StampEcho
from probe.measure.latency.icmp_echo import EchoDiscard
from probe.measure.latency.line_socket import LineSocket, LineSocketError, ReceivedPacket
from probe.measure.latency.session import (
    ALTERED_TIMESTAMP_UNITS,
    NANOSECONDS,
    LatencySession,
    LatencyWindow,
    poisson_gap_ns,
)
from probe.measure.latency.summary import SessionParameters
from probe.measure.lookup import Address, Lookup
from runtime import kernel_time
from wire.result import GATEWAY_TARGET, Family, Reason

# How often an unresolved address is checked.
_UNRESOLVED_NS = NANOSECONDS // 20
# The probe's own failures say nothing about the line: such a packet counts as not sent.
_OWN_FAILURES = (Reason.PERMISSION_DENIED, Reason.TOOL_FAILED)


class TargetSpec(NamedTuple):
    """A latency target. `stamp_port` is None for ICMP echo; without `family` any may be used."""

    name: str
    host: str
    stamp_port: int | None = None
    family: Family | None = None


class _Channel(NamedTuple):
    """An open socket to the target and its protocol."""

    address: Address
    socket: LineSocket
    protocol: EchoProtocol


class LatencyTarget:
    """Sends to one target and receives its answers. All times are monotonic nanoseconds.

    Attributes:
        due_ns: when the next packet is to be sent.
        session: the packets so far.
        channel_kind: the socket's kind: udp, icmp datagram or icmp raw; None before the first.
    """

    def __init__(
        self,
        spec: TargetSpec,
        line: LineConfig,
        config: LatencyConfig,
        generator: random.Random,
        now_ns: int,
    ) -> None:
        self.spec = spec
        self.due_ns = now_ns
        self.session = LatencySession(
            round(config.timeout_s * NANOSECONDS),
            now_ns,
            0 if spec.stamp_port is None else ALTERED_TIMESTAMP_UNITS,
        )
        self.channel_kind: str | None = None
        self._line = line
        self._config = config
        self._generator = generator
        self._nonce = generator.getrandbits(64)
        self._identifier = generator.getrandbits(16)
        self._ssid = generator.randint(1, 0xFFFF)
        self._lookup = Lookup(spec.host, spec.stamp_port or 0, line.source_address, spec.family)
        self._lookup.refresh()
        self._channel: _Channel | None = None

    @property
    def is_gateway(self) -> bool:
        """Whether it is the gateway; all others are beyond it."""
        return self.spec.name == GATEWAY_TARGET

    @property
    def family(self) -> Family | None:
        """The address family that it is measured over; None while that is not known."""
        if self._lookup.address is None:
            return self.spec.family
        return Family.of(self._lookup.address.ip)

    @property
    def has_no_interface(self) -> bool:
        """Whether the line's interface does not exist now."""
        return line_socket.missing_interface(self._line) is not None

    @property
    def parameters(self) -> SessionParameters | None:
        """The session's parameters; None while the address was never known."""
        if self._lookup.address is None:
            return None
        return SessionParameters(
            protocol="icmp" if self.spec.stamp_port is None else "stamp",
            address=self._lookup.address.ip,
            timeout_s=self._config.timeout_s,
            mean_gap_s=self._config.mean_gap_s,
        )

    def fileno(self) -> int | None:
        """The socket's, for poll(2); None while there is none."""
        return None if self._channel is None else self._channel.socket.fileno()

    def send_if_due(self, now_ns: int) -> None:
        """Send the next packet when it is due, and draw the time of the one after it.

        A packet that cannot leave because of the network's state counts as sent and lost.
        """
        if now_ns < self.due_ns:
            return
        if self._lookup.address is None:
            self.due_ns = now_ns + _UNRESOLVED_NS
            return
        gap_ns = poisson_gap_ns(self._generator.random(), self._config.mean_gap_s)
        # Packets delayed by a stall are not sent in a burst.
        self.due_ns = max(self.due_ns + gap_ns, now_ns)
        try:
            self._send(self._open_channel(self._lookup.address))
        except LineSocketError as error:
            self.session.on_failure(error.failure)
            if error.failure.reason not in _OWN_FAILURES:
                self.session.sent(self.session.next_seq, now_ns, token=0)
            self.close()

    def receive(self, clock: ClockOffset) -> None:
        """Process the kernel's send timestamps, errors and received packets."""
        if self._channel is None:
            return
        _, sock, protocol = self._channel
        # Send timestamps first: the answer to a packet may be waiting already.
        for report in sock.reports():
            if isinstance(report, Failure):
                self.session.on_failure(report)
            elif (seq := protocol.own_seq(report.packet)) is not None:
                self.session.departed(seq, clock.monotonic_ns(report.wall_ns))
        for arrival in sock.arrivals():
            self._on_packet(arrival, protocol, clock)

    def failure_of(self, window: LatencyWindow) -> Failure | None:
        """The failure of a closed window; None when none was reported.

        Where nothing was answered, a line that is down now is the reason.
        """
        if not window.packets:
            return window.failure or self._lookup.failure
        down = line_socket.line_failure(self._line) if window.silent else None
        return down or window.failure

    def recover(self) -> None:
        """Resolve and connect again, after a window without an answer."""
        self._lookup.refresh()
        # Any answer since then shows that the socket works.
        if not self.session.answered:
            self.close()

    def close(self) -> None:
        """Close the socket; the next packet opens another."""
        if self._channel is not None:
            self._channel.socket.close()
        self._channel = None

    def _open_channel(self, address: Address) -> _Channel:
        if self._channel is not None and self._channel.address == address:
            return self._channel
        self.close()
        protocol: EchoProtocol
        if self.spec.stamp_port is not None:
            sock, protocol = line_socket.open_udp(self._line, address), StampEcho(self._ssid)
            self.channel_kind = "udp"
        else:
            sock = line_socket.open_icmp(self._line, address)
            identifier = self._identifier if sock.raw else None
            protocol = IcmpEcho(self._nonce, identifier, ipv6=address.ipv6)
            self.channel_kind = "icmp raw" if sock.raw else "icmp datagram"
        self._channel = _Channel(address, sock, protocol)
        return self._channel

    def _send(self, channel: _Channel) -> None:
        seq = self.session.next_seq
        packet, token = channel.protocol.request(seq, kernel_time.wall_ns())
        at_ns = kernel_time.monotonic_ns()
        channel.socket.send(packet)
        self.session.sent(seq, at_ns, token)

    def _on_packet(
        self, arrival: ReceivedPacket, protocol: EchoProtocol, clock: ClockOffset
    ) -> None:
        reply = protocol.reply(arrival.packet)
        if reply is EchoDiscard.FOREIGN:
            return
        if not arrival.from_peer or reply is EchoDiscard.OTHER_SESSION:
            self.session.forged()
        elif isinstance(reply, EchoDiscard):
            self.session.malformed()
        else:
            by_kernel = arrival.wall_ns is not None
            at_ns = (
                kernel_time.monotonic_ns()
                if arrival.wall_ns is None
                else clock.monotonic_ns(arrival.wall_ns)
            )
            self.session.received(
                reply.seq, at_ns, reply.token, reply.residence_ns, by_kernel=by_kernel
            )
