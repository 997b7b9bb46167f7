"""Floor 2. Sends packets with limited TTL: who answers at each hop, and whether a host is up.

Each packet has a socket of its own, which its answer arrives on. ICMP echo and UDP in turn, because
some routers and hosts answer only one of them. Needs no privilege: datagram sockets, and the
kernel's error queue (IP_RECVERR).
"""

from __future__ import annotations

import secrets
import select
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from probe.config import LineConfig
from probe.measure.failure import Failure
from probe.measure.latency import line_socket
from probe.measure.latency.echo import EchoProtocol, IcmpEcho
from probe.measure.latency.icmp_echo import EchoDiscard
from probe.measure.latency.line_socket import LineSocket, LineSocketError
from probe.measure.lookup import Address
from probe.measure.measurement import Stop
from runtime import kernel_time
from wire.result import HopAnswer, PathHop, Reason

_FULL_HOPS = 64
# traceroute's port, on which nothing is expected to listen.
_UDP_PORT = 33434
_UDP_PAYLOAD = bytes(32)
# Between rounds: routers limit the rate of their answers (Linux: one a second, after 6).
_ROUND_S = 0.05
_LOOK_S = 0.25


class HopProbe(NamedTuple):
    """A packet's destination and its TTL; None for a full one."""

    address: Address
    hop: int | None


class HopReply(NamedTuple):
    """Who answered a packet, how, and the round-trip time."""

    address: str | None
    kind: HopAnswer
    rtt_ms: float


class HopOutcome(NamedTuple):
    """The answers and failures of the packets to one destination and TTL."""

    sent: int
    answers: list[HopReply]
    failures: list[Failure]


class _Packet:
    """One packet and its socket."""

    def __init__(self, aim: HopProbe, sock: LineSocket, protocol: EchoProtocol | None) -> None:
        self.aim = aim
        self.sock = sock
        self._protocol = protocol
        self._sent_ns = 0

    def send(self) -> None:
        """LineSocketError when the kernel refuses."""
        content = _UDP_PAYLOAD
        if self._protocol is not None:
            content, _ = self._protocol.request(0, 0)
        self._sent_ns = kernel_time.monotonic_ns()
        self.sock.send(content)

    def answer(self) -> HopReply | None:
        """The answer that has arrived, None where there is none."""
        rtt_ms = (kernel_time.monotonic_ns() - self._sent_ns) / 1e6
        peer = self.aim.address.ip
        for error in self.sock.network_errors():
            if error.expired:
                return HopReply(error.offender, HopAnswer.TIME_EXCEEDED, rtt_ms)
            # An ICMP error from the target itself shows that it is up.
            reached = error.offender == peer
            kind = HopAnswer.REACHED if reached else HopAnswer.UNREACHABLE
            return HopReply(error.offender, kind, rtt_ms)
        for arrival in self.sock.arrivals():
            if self._protocol is None or not arrival.from_peer:
                continue
            if not isinstance(self._protocol.reply(arrival.packet), EchoDiscard):
                return HopReply(peer, HopAnswer.REACHED, rtt_ms)
        return None


def send(
    line: LineConfig, aims: Sequence[HopProbe], rounds: int, timeout_s: float, stop: Stop
) -> list[HopOutcome]:
    """Send to every destination in rounds and wait for answers; one HopOutcome each, in order."""
    found = {number: HopOutcome(0, [], []) for number in range(len(aims))}
    waiting: dict[int, tuple[int, _Packet]] = {}
    poller = select.poll()
    with ExitStack() as sockets:
        for turn in range(rounds):
            for number, aim in enumerate(aims):
                try:
                    packet = _opened(line, aim, icmp=turn % 2 == 0)
                    sockets.callback(packet.sock.close)
                    packet.send()
                except LineSocketError as error:
                    found[number].failures.append(error.failure)
                else:
                    waiting[packet.sock.fileno()] = number, packet
                    poller.register(packet.sock.fileno(), select.POLLIN)
                found[number] = found[number]._replace(sent=turn + 1)
            wait_s = timeout_s if turn == rounds - 1 else _ROUND_S
            _receive(waiting, poller, found, wait_s, stop)
    return list(found.values())


def hop_of(aim: HopProbe, outcome: HopOutcome) -> PathHop:
    """The hop by its packets' answers: reached before time exceeded before unreachable."""
    for kind in (HopAnswer.REACHED, HopAnswer.TIME_EXCEEDED, HopAnswer.UNREACHABLE):
        of_kind = [answer for answer in outcome.answers if answer.kind is kind]
        if of_kind:
            best = min(of_kind, key=lambda answer: answer.rtt_ms)
            break
    else:
        best = HopReply(None, HopAnswer.SILENT, 0.0)
    silent = best.kind is HopAnswer.SILENT
    return PathHop(
        hop=aim.hop or 1,
        address=best.address,
        answer=best.kind,
        sent=outcome.sent,
        answered=len(outcome.answers),
        rtt_ms=None if silent else best.rtt_ms,
    )


def _opened(line: LineConfig, aim: HopProbe, *, icmp: bool) -> _Packet:
    protocol: EchoProtocol | None = None
    sock = _icmp_socket(line, aim) if icmp or aim.hop is None else None
    if sock is None:
        sock = line_socket.open_udp(line, aim.address._replace(port=_UDP_PORT))
    else:
        identifier = secrets.randbits(16) if sock.raw else None
        protocol = IcmpEcho(secrets.randbits(64), identifier, ipv6=aim.address.ipv6)
    try:
        sock.limit_hops(_FULL_HOPS if aim.hop is None else aim.hop)
    except OSError:
        sock.close()
        raise
    return _Packet(aim, sock, protocol)


def _icmp_socket(line: LineConfig, aim: HopProbe) -> LineSocket | None:
    """An ICMP socket; None where UDP is used instead: not permitted, or only a raw one is.

    A raw socket receives every ICMP error from the way to its peer, also other sockets' errors.
    """
    try:
        sock = line_socket.open_icmp(line, aim.address)
    except LineSocketError as error:
        if error.failure.reason is not Reason.PERMISSION_DENIED:
            raise
        return None
    if sock.raw and aim.hop is not None:
        sock.close()
        return None
    return sock


def _receive(
    waiting: dict[int, tuple[int, _Packet]],
    poller: select.poll,
    found: dict[int, HopOutcome],
    wait_s: float,
    stop: Stop,
) -> None:
    deadline_ns = kernel_time.monotonic_ns() + round(wait_s * 1e9)
    while waiting and not stop.is_set():
        left_s = (deadline_ns - kernel_time.monotonic_ns()) / 1e9
        if left_s <= 0:
            return
        for fileno, _ in poller.poll(-(-min(left_s, _LOOK_S) * 1000 // 1)):
            number, packet = waiting[fileno]
            answer = packet.answer()
            if answer is not None:
                found[number].answers.append(answer)
                poller.unregister(fileno)
                del waiting[fileno]
