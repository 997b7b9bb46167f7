"""Floor 2. Wraps a datagram socket that is bound to a line and connected to one peer.

Returns sent and received packets with kernel timestamps, and ICMP errors, as values. Knows UDP and
ICMP sockets, and no packet format above IP.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import sys
from array import array
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from probe.config import LineConfig
from probe.measure.failure import Failure
from probe.measure.lookup import Address
from runtime import kernel_time
from runtime.language import Phrase
from wire.record import Reason

# linux/in.h, linux/in6.h, linux/icmp.h, linux/icmpv6.h; Python has no names for them.
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_SOL_RAW, _ICMP_FILTER, _ICMPV6_FILTER = 255, 1, 1
_ECHO_REPLY_V4, _ECHO_REPLY_V6 = 0, 129
# linux/errqueue.h: struct sock_extended_err, then the address of who reported it.
_EXTENDED_ERROR = Struct("=IBBBBII")
_ORIGIN_ICMP, _ORIGIN_ICMP6, _ORIGIN_TIMESTAMPING = 2, 3, 4
_ERROR_MESSAGES = ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR))
# RFC 792, RFC 4443: by origin, the type of "time exceeded", type and code of "port unreachable".
_EXPIRED = {_ORIGIN_ICMP: 11, _ORIGIN_ICMP6: 3}
_NO_PORT = {_ORIGIN_ICMP: (3, 3), _ORIGIN_ICMP6: (1, 4)}
# linux/sockios.h, linux/if.h: struct ifreq is 40 bytes on 64-bit and 32 on 32-bit.
_SIOCGIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8913, 0x1, 0x40
_IFREQ = Struct("=16sH22x")
# linux/ethtool.h: struct ethtool_value is a command and an answer; struct ifreq points to it.
_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0x0A
_IFREQ_POINTER = Struct("@16sP")

_BUFFER_BYTES, _ANCILLARY_BYTES = 2048, 512
# At most so many packets in one call, so that a flood does not block the other targets.
_AT_ONCE = 256

_LOOPBACK = Address("127.0.0.1", 0)
_ICMP_REFUSED = Phrase(
    "tiến trình này không được phép gửi ICMP echo: thêm nhóm của nó vào "
    "net.ipv4.ping_group_range, hoặc cấp cho nó quyền CAP_NET_RAW.",
    "This process may not send ICMP echo: open net.ipv4.ping_group_range to its group, "
    "or give it CAP_NET_RAW.",
)
_REASONS = {
    errno.ENODEV: Reason.LINE_DOWN,
    errno.ENXIO: Reason.LINE_DOWN,
    errno.ENETDOWN: Reason.LINE_DOWN,
    errno.EADDRNOTAVAIL: Reason.LINE_DOWN,
    # What sending from an address says that this host no longer has.
    errno.EINVAL: Reason.LINE_DOWN,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.EHOSTDOWN: Reason.UNREACHABLE,
    errno.EAFNOSUPPORT: Reason.UNREACHABLE,
    errno.ECONNREFUSED: Reason.CONNECTION_REFUSED,
    errno.EACCES: Reason.PERMISSION_DENIED,
    errno.EPERM: Reason.PERMISSION_DENIED,
}


class LineSocketError(Exception):
    """A socket cannot be had or cannot send; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


class SentTimestamp(NamedTuple):
    """The kernel's send timestamp; the sent packet is at the end of `packet`, after headers."""

    packet: bytes
    wall_ns: int


class IcmpError(NamedTuple):
    """An ICMP error about a sent packet: who sent it, and what it reports.

    `expired`: time exceeded; `no_port`: port unreachable, so the host is up and nothing listens.
    """

    offender: str | None
    expired: bool
    no_port: bool


class ReceivedPacket(NamedTuple):
    """A received packet. `wall_ns` is the kernel timestamp, None where there is none."""

    packet: bytes
    wall_ns: int | None
    from_peer: bool


class LineSocket:
    """One socket to one peer over one line.

    Args:
        sock: not bound yet; closed with this object, and when the constructor raises.
        line: the interface and source address to send by.
        peer: the address to send to.

    Attributes:
        raw: whether it is a raw socket, which sees every ICMP reply of the host.

    Raises:
        LineSocketError: the line is down, there is no route, or it is not permitted.
    """

    def __init__(self, sock: socket.socket, line: LineConfig, peer: Address) -> None:
        self.raw = sock.type == socket.SOCK_RAW
        self._sock = sock
        self._line = line
        self._peer = peer
        self._strip_header = self.raw and not peer.ipv6
        try:
            sock.setblocking(False)
            bind_to_line(sock, line)
            level, option = (
                (socket.IPPROTO_IPV6, _IPV6_RECVERR)
                if peer.ipv6
                else (socket.IPPROTO_IP, _IP_RECVERR)
            )
            sock.setsockopt(level, option, 1)
            kernel_time.stamp_both_ways(sock)
            sock.connect(peer.sockaddr)
        except OSError as error:
            sock.close()
            raise LineSocketError(failure_of(error, line, peer)) from error

    def fileno(self) -> int:
        """For poll(2)."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def send(self, packet: bytes) -> None:
        """Send one packet. LineSocketError when the kernel refuses."""
        # An ICMP error for an earlier packet would be raised for this one; `reports` returns it.
        self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            self._sock.send(packet)
        except OSError as error:
            raise LineSocketError(failure_of(error, self._line, self._peer)) from error

    def reports(self) -> Iterator[SentTimestamp | Failure]:
        """The kernel's reports on sent packets: send timestamps and ICMP errors."""
        for _ in range(_AT_ONCE):
            try:
                packet, messages, _, _ = self._sock.recvmsg(
                    _BUFFER_BYTES, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE
                )
            except OSError:
                return
            stamp_ns = kernel_time.stamp_ns(messages)
            for level, kind, body in messages:
                if (level, kind) in _ERROR_MESSAGES:
                    number, origin, *_ = _EXTENDED_ERROR.unpack_from(body)
                    if origin == _ORIGIN_TIMESTAMPING:
                        if stamp_ns is not None:
                            yield SentTimestamp(packet, stamp_ns)
                    elif origin in (_ORIGIN_ICMP, _ORIGIN_ICMP6):
                        yield self._icmp_failure(number, body[_EXTENDED_ERROR.size :])

    def limit_hops(self, hops: int) -> None:
        """Set the TTL or hop limit of packets sent from now on."""
        if self._peer.ipv6:
            self._sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
        else:
            self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)

    def network_errors(self) -> Iterator[IcmpError]:
        """The ICMP errors about sent packets; other reports are discarded."""
        for _ in range(_AT_ONCE):
            try:
                _, messages, _, _ = self._sock.recvmsg(
                    _BUFFER_BYTES, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE
                )
            except OSError:
                return
            for level, kind, body in messages:
                if (level, kind) in _ERROR_MESSAGES:
                    _, origin, icmp_type, code, *_ = _EXTENDED_ERROR.unpack_from(body)
                    if origin in _NO_PORT:
                        yield IcmpError(
                            offender=_address_in(body[_EXTENDED_ERROR.size :]),
                            expired=icmp_type == _EXPIRED[origin],
                            no_port=(icmp_type, code) == _NO_PORT[origin],
                        )

    def arrivals(self) -> Iterator[ReceivedPacket]:
        """The packets received so far."""
        for _ in range(_AT_ONCE):
            try:
                packet, messages, _, source = self._sock.recvmsg(_BUFFER_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error, which `reports` returns in full
            if self._strip_header and packet:
                packet = packet[(packet[0] & 0x0F) * 4 :]
            # A datagram ICMP socket takes replies from anybody.
            from_peer = source[0] == self._peer.ip
            yield ReceivedPacket(packet, kernel_time.stamp_ns(messages), from_peer)

    def _icmp_failure(self, number: int, offender: bytes) -> Failure:
        """The failure that an ICMP error means. Its errno is the kernel's; EACCES: a firewall."""
        peer = self._peer.ip
        if number == errno.ECONNREFUSED:
            port = self._peer.port
            # An echo has no port; a firewall that refuses it may say the same.
            what = f"Nothing listens on UDP port {port} of {peer}" if port else f"{peer} is refused"
            sentence = f"{what} (ICMP port unreachable)."
            return Failure(Reason.CONNECTION_REFUSED, sentence)
        by = _address_in(offender)
        reporter = "The network" if by is None else f"{by} on the way"
        if by == peer:
            reporter = peer
        sentence = f"{reporter} says that {peer} cannot be reached ({errno.errorcode[number]})."
        return Failure(Reason.UNREACHABLE, sentence)


def open_udp(line: LineConfig, peer: Address) -> LineSocket:
    """Open a UDP socket; LineSocketError on failure."""
    return LineSocket(_new(peer, socket.SOCK_DGRAM, socket.IPPROTO_UDP), line, peer)


def open_icmp(line: LineConfig, peer: Address) -> LineSocket:
    """Open an ICMP echo socket: a datagram one, or a raw one where only that is permitted.

    Datagram sockets need the process's group in net.ipv4.ping_group_range (which rules IPv6 too)
    and no privilege; raw ones need CAP_NET_RAW.

    Raises:
        LineSocketError: the line is down, there is no route, or neither is permitted.
    """
    protocol = socket.IPPROTO_ICMPV6 if peer.ipv6 else socket.IPPROTO_ICMP
    try:
        return LineSocket(_new(peer, socket.SOCK_DGRAM, protocol), line, peer)
    except LineSocketError as error:
        if error.failure.reason is not Reason.PERMISSION_DENIED:
            raise
    raw = _new(peer, socket.SOCK_RAW, protocol)
    # A set bit blocks that type (raw(7), icmpv6_filter).
    if peer.ipv6:
        passed = bytearray(b"\xff" * 32)
        word = int.from_bytes(passed[16:20], sys.byteorder) & ~(1 << (_ECHO_REPLY_V6 - 128))
        passed[16:20] = word.to_bytes(4, sys.byteorder)
        raw.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, bytes(passed))
    else:
        raw.setsockopt(_SOL_RAW, _ICMP_FILTER, ~(1 << _ECHO_REPLY_V4))
    return LineSocket(raw, line, peer)


def icmp_refusal() -> Phrase | None:
    """Why this process may not send ICMP echo, and what to do; None where it may."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            _new(_LOOPBACK, kind, socket.IPPROTO_ICMP).close()
        except LineSocketError as error:
            if error.failure.reason is Reason.PERMISSION_DENIED:
                continue
        return None
    return _ICMP_REFUSED


def failure_of(error: OSError, line: LineConfig, peer: Address) -> Failure:
    """The failure that an error of the kernel means; a line that is down explains any error."""
    down = line_failure(line)
    if down is not None:
        return down
    reason = _REASONS.get(error.errno or 0, Reason.TOOL_FAILED)
    way = line.interface or line.source_address
    return Failure(reason, f"Cannot send to {peer.ip} by {way}: {error.strerror or error}.")


def missing_interface(line: LineConfig) -> Failure | None:
    """That a line's interface does not exist, so that nothing can be measured; None where it does.

    Unlike a cable that is out, it is a matter of the probe's own settings or hardware: no figure
    describes it.
    """
    if line.interface is None:
        return None
    try:
        socket.if_nametoindex(line.interface)
    except OSError:
        return Failure(Reason.LINE_DOWN, f"There is no interface {line.interface}.")
    return None


def line_failure(line: LineConfig) -> Failure | None:
    """Why nothing can be sent by this line, None where it is up."""
    lack = line_fault(line)
    return None if lack is None else Failure(Reason.LINE_DOWN, lack.en)


def line_fault(line: LineConfig) -> Phrase | None:
    """The line's fault: interface or address missing, no carrier; None where there is none."""
    family = socket.AF_INET6 if ":" in (line.source_address or "") else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as trial:
        if line.interface is not None:
            request = _IFREQ.pack(line.interface.encode(), 0)
            try:
                _, flags = _IFREQ.unpack(fcntl.ioctl(trial, _SIOCGIFFLAGS, request))
            except OSError:
                return Phrase(
                    f"không có cổng mạng {line.interface}",
                    f"There is no interface {line.interface}.",
                )
            if not flags & _IFF_UP:
                return Phrase(
                    f"cổng mạng {line.interface} đang bị tắt",
                    f"The interface {line.interface} is switched off.",
                )
            if not flags & _IFF_RUNNING or not _has_link(trial, line):
                return Phrase(
                    f"cổng mạng {line.interface} không có tín hiệu",
                    f"The interface {line.interface} has no carrier.",
                )
        if line.source_address is not None:
            try:
                trial.bind((line.source_address, 0))
            except OSError:
                return Phrase(
                    f"không cổng mạng nào có địa chỉ {line.source_address} của đường truyền",
                    f"No interface has the line's address {line.source_address}.",
                )
    return None


def _has_link(sock: socket.socket, line: LineConfig) -> bool:
    """Whether the driver reports a link: IFF_RUNNING follows up to a second later.

    An interface that cannot be asked (a tunnel) counts as linked.
    """
    value = array("I", [_ETHTOOL_GLINK, 0])
    request = _IFREQ_POINTER.pack((line.interface or "").encode(), value.buffer_info()[0])
    try:
        # struct ifreq is 40 bytes: the kernel copies all of it.
        fcntl.ioctl(sock, _SIOCETHTOOL, request.ljust(40, b"\0"))
    except OSError:
        return True
    return bool(value[1])


def _new(peer: Address, kind: socket.SocketKind, protocol: int) -> socket.socket:
    try:
        return socket.socket(peer.family, kind, protocol)
    except OSError as error:
        if protocol == socket.IPPROTO_UDP or error.errno not in (errno.EACCES, errno.EPERM):
            reason = _REASONS.get(error.errno or 0, Reason.TOOL_FAILED)
            raise LineSocketError(Failure(reason, f"No socket: {error.strerror}.")) from error
        raise LineSocketError(Failure(Reason.PERMISSION_DENIED, _ICMP_REFUSED.en)) from error


def bind_to_line(sock: socket.socket, line: LineConfig) -> None:
    """Bind a socket to a line's device and address. OSError when either is missing."""
    if line.interface is not None:
        name = line.interface.encode()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
    if line.source_address is not None:
        sock.bind((line.source_address, 0))


def _address_in(sockaddr: bytes) -> str | None:
    family = int.from_bytes(sockaddr[:2], sys.byteorder)
    if family == socket.AF_INET and len(sockaddr) >= 8:
        return socket.inet_ntop(family, sockaddr[4:8])
    if family == socket.AF_INET6 and len(sockaddr) >= 24:
        return socket.inet_ntop(family, sockaddr[8:24])
    return None
