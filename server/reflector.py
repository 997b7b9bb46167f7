"""Floor 2. Wraps the sockets of a STAMP session-reflector: stateless, unauthenticated (RFC 8762).

Answers each valid packet at once, with the kernel's receive timestamp as T2 and the clock just
before sending as T3. An answer is never longer than its packet, except to senders of TWAMP Light
that the operator has named. Keeps no state of a sender beyond the present second, but for a bounded
number of those that ask for packet counts.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address
from struct import Struct
from typing import NamedTuple

from msgspec import Struct as Record

from runtime import kernel_time
from server.rate_limit import RateLimit
from server.session_counts import SessionCounts
from wire import stamp
from wire.stamp_tlv import PacketCounts, SynchronisationSource, answer_tlvs

# linux/in.h; Python 3.11 has no names for them.
_IP_TTL, _IP_PKTINFO, _IP_RECVTTL = 2, 8, 12
_IN_PKTINFO = Struct("=i4s4s")  # interface, our address, the header's destination
_IN6_PKTINFO = Struct("=16sI")  # the header's destination, interface
_TTL = Struct("=i")
# Services that answer datagrams: echo, discard, daytime, quote, chargen, time, DNS, TFTP, NTP,
# NetBIOS, SNMP, CLDAP, SLP, ISAKMP, RIP, STAMP and TWAMP, SSDP, mDNS, memcached (IANA). Who
# forges such a source makes two machines answer each other without end.
_RESPONDER_PORTS = frozenset(
    {7, 9, 13, 17, 19, 37, 53, 69, 123, 137, 161, 389, 427, 500, 520, 862, 1900, 5353, 11211}
)
# The MTU of Ethernet: a longer datagram is not a test packet.
_LONGEST_BYTES = 1500
_ANCILLARY_BYTES = 512
# The kernel's receive buffer, for bursts. Doubled by the kernel, and capped.
_RECEIVE_BUFFER_BYTES = 1 << 20
_AT_ONCE = 64
_WAKE_S = 1.0


class ReflectorCounters(Record):
    """Counters of received packets."""

    received: int = 0
    reflected: int = 0
    malformed: int = 0
    too_long: int = 0
    # Of the reflected: a packet of less than 44 octets, answered by as many.
    short: int = 0
    limited: int = 0
    # A reflector's packet, from a responder's port, or to a group: an answer could go round.
    refused: int = 0
    not_sent: int = 0
    without_kernel_time: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{getattr(self, name)} {name}" for name in self.__struct_fields__)


class Listener(NamedTuple):
    """One socket of the reflector; `address` is its text, "192.0.2.1 port 862"."""

    sock: socket.socket
    ipv6: bool

    @property
    def address(self) -> str:
        """The address and port that it listens on."""
        host, port = self.sock.getsockname()[:2]
        return f"{host} port {port}"

    def close(self) -> None:
        """Close its socket."""
        self.sock.close()


def listen(address: str, port: int) -> Listener:
    """Open a socket for a reflector.

    Args:
        address: an IPv4 or IPv6 address of this host, or the unspecified one for all of a family.
        port: UDP port; 0 lets the kernel choose.

    Raises:
        OSError: not an address of this host, in use, or a port that needs CAP_NET_BIND_SERVICE.
    """
    family, _, _, _, sockaddr = socket.getaddrinfo(
        address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE
    )[0]
    ipv6 = family == socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        kernel_time.stamp_received(sock)
        sock.bind(sockaddr)
    except OSError:
        sock.close()
        raise
    return Listener(sock, ipv6)


class Reflector:
    """Reflects on the given listeners until `stop`; then closes them.

    Args:
        listeners: from `listen`.
        limit: the rate limit of each source.
        twamp_light: networks whose senders get all 44 octets for a shorter packet (RFC 8762, 4.6).

    Attributes:
        counters: since the start.
    """

    def __init__(
        self,
        listeners: Iterable[Listener],
        limit: RateLimit,
        twamp_light: Sequence[IPv4Network | IPv6Network] = (),
    ) -> None:
        self.counters = ReflectorCounters()
        self._listeners = {listener.sock.fileno(): listener for listener in listeners}
        own = {listener.sock.getsockname()[1] for listener in self._listeners.values()}
        self._refused_ports = _RESPONDER_PORTS | own | {0}
        self._limit = limit
        self._twamp_light = twamp_light
        self._sessions = SessionCounts()
        self._clock_source = _clock_source()
        self._stopped = False
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_write.setblocking(False)

    def stop(self) -> None:
        """End `run` soon; safe in a signal handler."""
        self._stopped = True
        self.wake()

    def wake(self) -> None:
        """Make `run` call `on_wake` soon; safe in a signal handler."""
        # A full socket means that it is awake, a closed one that it has ended.
        with suppress(OSError):
            self._wake_write.send(b"\0")

    def run(self, on_wake: Callable[[], None]) -> None:
        """Reflect until `stop`.

        Args:
            on_wake: called at least once a second, and after each `wake`, from this thread: the
                sign that the loop goes round.
        """
        poller = select.poll()
        for fileno in (*self._listeners, self._wake_read.fileno()):
            poller.register(fileno, select.POLLIN)
        next_wake_ns = 0
        try:
            while not self._stopped:
                for fileno, _ in poller.poll(_WAKE_S * 1000):
                    if fileno == self._wake_read.fileno():
                        self._wake_read.recv(64)
                        next_wake_ns = 0
                    else:
                        self._reflect_waiting(self._listeners[fileno])
                now_ns = kernel_time.monotonic_ns()
                if now_ns >= next_wake_ns:
                    next_wake_ns = now_ns + round(_WAKE_S * 1e9)
                    self._clock_source = _clock_source()
                    on_wake()
        finally:
            for sock in (*(one.sock for one in self._listeners.values()), self._wake_read):
                sock.close()
            self._wake_write.close()

    def _reflect_waiting(self, listener: Listener) -> None:
        for _ in range(_AT_ONCE):
            try:
                body, messages, flags, source = listener.sock.recvmsg(
                    _LONGEST_BYTES, _ANCILLARY_BYTES
                )
            except OSError:
                return  # nothing to read, or an ICMP error for an answer
            self.counters.received += 1
            if flags & socket.MSG_TRUNC:
                self.counters.too_long += 1
                continue
            self._reflect(listener, body, messages, source)

    def _reflect(
        self,
        listener: Listener,
        body: bytes,
        messages: list[tuple[int, int, bytes]],
        source: tuple[str, int],
    ) -> None:
        ttl, answer_from = _read(messages, ipv6=listener.ipv6)
        if not self._limit.allows(source[0], kernel_time.monotonic_ns()):
            self.counters.limited += 1
            return
        # Two reflectors would answer each other for ever after a packet with a forged source, also
        # where they listen on different ports.
        if answer_from is None or source[1] in self._refused_ports or stamp.is_reflected(body):
            self.counters.refused += 1
            return
        try:
            request = stamp.decode_sender(body)
        except stamp.StampError:
            self.counters.malformed += 1
            return
        received_ns = kernel_time.stamp_ns(messages)
        if received_ns is None:
            self.counters.without_kernel_time += 1
            received_ns = kernel_time.wall_ns()
        short = len(body) < stamp.PACKET_BYTES
        whole = short and self._is_twamp_light(source[0])
        answer = stamp.reflect(
            body,
            request,
            received=stamp.ntp_from_unix_ns(received_ns),
            error_estimate=stamp.UNSYNCHRONISED,
            ttl=ttl,
            whole=whole,
        )
        session, counted = (source[0], source[1], request.ssid), False

        def count() -> PacketCounts:
            nonlocal counted
            counted = True
            return self._sessions.add(session)

        answer_tlvs(answer, self._clock_source, count)
        buffers, ancillary, send = [answer], [answer_from], listener.sock.sendmsg
        stamp.put_sent_time(answer, stamp.ntp_from_unix_ns(kernel_time.wall_ns()))
        try:
            send(buffers, ancillary, 0, source)
        except OSError:
            self.counters.not_sent += 1
            if counted:
                self._sessions.not_sent(session)
            return
        self.counters.reflected += 1
        self.counters.short += short and not whole

    def _is_twamp_light(self, address: str) -> bool:
        if not self._twamp_light:
            return False
        source = ip_address(address.partition("%")[0])
        return any(source in network for network in self._twamp_light)


def _clock_source() -> SynchronisationSource:
    """What sets this host's clock, as far as the kernel knows; PTP counts as NTP."""
    if kernel_time.synchronised():
        return SynchronisationSource.NTP
    return SynchronisationSource.FREE_RUNNING


def _read(
    messages: list[tuple[int, int, bytes]], *, ipv6: bool
) -> tuple[int, tuple[int, int, bytes] | None]:
    """TTL or hop limit, and the ancillary message that sets the answer's source address.

    The message is None for a packet to a group or broadcast address, which is not answered.
    """
    ttl, answer_from = 0, None
    for level, kind, body in messages:
        if ipv6 and level == socket.IPPROTO_IPV6:
            if kind == socket.IPV6_HOPLIMIT:
                (ttl,) = _TTL.unpack_from(body)
            elif kind == socket.IPV6_PKTINFO:
                address, interface = _IN6_PKTINFO.unpack_from(body)
                if address[0] != 0xFF:
                    # Only a link-local address (fe80::/10) needs its interface.
                    link_local = address[0] == 0xFE and address[1] & 0xC0 == 0x80
                    info = _IN6_PKTINFO.pack(address, interface if link_local else 0)
                    answer_from = (level, kind, info)
        elif not ipv6 and level == socket.IPPROTO_IP:
            if kind == _IP_TTL:
                (ttl,) = _TTL.unpack_from(body)
            elif kind == _IP_PKTINFO:
                _, ours, asked = _IN_PKTINFO.unpack_from(body)
                if ours == asked:
                    answer_from = (level, kind, _IN_PKTINFO.pack(0, ours, bytes(4)))
    return ttl, answer_from
