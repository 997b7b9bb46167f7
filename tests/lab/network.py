"""Floor 3. A commune office with several ISP lines, and a centre, made of network namespaces.

                 192.168.1.0/24      100.64.1.0/24
            ┌─ vnpt ──────── lan [isp-vnpt] wan ─────── vnpt ─┐
    [office]│                                                 │[centre] 203.0.113.1, .2
            └─ viettel ───── lan [isp-viettel] wan ── viettel ┘
                 192.168.2.0/24      100.64.2.0/24

The centre's addresses are the same over every line, as a server's are in reality; what leaves by
which line is the office's policy routing: by the socket's device, else by its source address, else
by the first line. Each ISP shapes at its two egresses, towards the office (download) and towards
the centre (upload). A line with an impairment has the emulator between its ISP and the centre.

A line has IPv4 unless its shape says otherwise; over IPv6 the picture is the same, with networks of
2001:db8::/32 (tests.lab.addresses). No address waits for duplicate address detection.

It must not know what is measured, nor by whom.
"""

import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Self

from tests.lab import addresses
from tests.lab.addresses import SERVER_ADDRESSES, SERVER_ADDRESSES_IPV6, LineAddresses, Stack
from tests.lab.emulated_link import EmulatedLink
from tests.lab.impairment import LineImpairment
from tests.lab.namespace import (
    PREFIX,
    TAG_PATTERN,
    LabError,
    Namespace,
    connect_root,
    connect_veth,
    namespaces_of,
    remove_root_link,
    why_not,
)
from tests.lab.polling import wait_until

__all__ = [
    "SERVER_ADDRESSES",
    "SERVER_ADDRESSES_IPV6",
    "Cut",
    "Ipv6Fault",
    "LabError",
    "Line",
    "LineShape",
    "Namespace",
    "OfficeNetwork",
    "Stack",
    "remove_stale",
    "root_link_name",
    "theoretical_goodput_bps",
    "why_not",
]

FRAME_BYTES = 1514  # Ethernet header and a full IP packet: what tbf counts (no FCS, no preamble)
PAYLOAD_BYTES = 1448  # 1500 less 20 IP, 20 TCP and 12 of the timestamps option (RFC 7323)
PAYLOAD_BYTES_IPV6 = 1428  # its header takes 40 (RFC 8200)
_ETHERNET_BYTES = 14
_BURST_S = 0.002
_BURST_MIN_FRAMES = 3
_QUEUE_MS = 50
# Also a network interface's name in three namespaces, hence the length.
_LINE_NAME = re.compile(r"(?!lo$|mgmt$)[a-z][a-z0-9-]{0,14}")
_MANAGEMENT = "mgmt"


class Cut(Enum):
    """Where a line is cut."""

    CABLE = "cable"  # between the office and the gateway: the interface loses its carrier
    GATEWAY = "gateway"  # the gateway answers nothing, the request for its address included (ARP)
    ACCESS = "access"  # behind the gateway, which still answers: the ISP loses what it forwards


class Ipv6Fault(Enum):
    """How a line's IPv6 is broken while its IPv4 is whole. The ISP's router does it."""

    BLACKHOLED = "blackholed"  # what it forwards is lost without a word
    REFUSED = "refused"  # a TCP reset, for all else ICMPv6 "port unreachable"
    # It forwards no packet above 1280 bytes, and its "packet too big" is lost (RFC 8201, 1).
    TOO_BIG_LOST = "too_big_lost"


_FAULT_RULES = {
    Ipv6Fault.BLACKHOLED: ("forward", ("drop",)),
    Ipv6Fault.REFUSED: (
        "forward",
        ("meta l4proto tcp reject with tcp reset", "reject with icmpv6 port-unreachable"),
    ),
    Ipv6Fault.TOO_BIG_LOST: ("output", ("icmpv6 type packet-too-big drop",)),
}
_MTU_BYTES, _LEAST_MTU_BYTES = 1500, 1280  # RFC 8200, 5


@dataclass(frozen=True, slots=True)
class LineShape:
    """One ISP line as it is sold. Rates in bit/s of Ethernet frames; None leaves it unshaped."""

    name: str
    download_bps: int | None = None
    upload_bps: int | None = None
    impairment: LineImpairment | None = None
    stack: Stack = Stack.IPV4

    def __post_init__(self) -> None:
        if not _LINE_NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot name a line and its network interface")
        for rate_bps in (self.download_bps, self.upload_bps):
            if rate_bps is not None and rate_bps <= 0:
                raise ValueError("a rate must be positive, or None for no shaping")


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was built. `interface` and `source_address` are the office's end.

    `source_address` and `gateway_address` are IPv4, on an IPv6-only line IPv6. `number` counts the
    office's lines from 1.
    """

    shape: LineShape
    number: int
    interface: str
    source_address: str
    gateway_address: str
    isp: Namespace
    link: EmulatedLink | None  # between ISP and centre, where the shape has an impairment
    source_address_ipv6: str | None = None
    gateway_address_ipv6: str | None = None


def theoretical_goodput_bps(
    shaped_rate_bps: float,
    *,
    frame_bytes: int = FRAME_BYTES,
    payload_bytes: int = PAYLOAD_BYTES,
) -> float:
    """TCP payload that a saturated line of this rate carries, in bit/s: rate * 1448/1514.

    A full frame is 1514 bytes of which 1448 are payload: IPv4 and TCP take 20 each and the
    timestamps option (RFC 7323, on by default on Linux) 12. For a rate that counts IP bytes, as
    the emulator's does, `frame_bytes` is 1500; over IPv6 `payload_bytes` is `PAYLOAD_BYTES_IPV6`.
    """
    return shaped_rate_bps * payload_bytes / frame_bytes


def remove_stale(tag: str) -> None:
    """Remove whatever a killed run has left under this tag, its processes too."""
    # Links first: the kernel takes them away with their namespace, but at a time of its own.
    for end in ("office", "centre"):
        remove_root_link(root_link_name(tag, end))
    for namespace in namespaces_of(tag):
        namespace.delete()


def root_link_name(tag: str, part: str) -> str:
    """The root namespace's end of the management link to "office" or "centre"."""
    return f"td{part[0]}{_hash(tag):08x}"  # an interface's name ends at 15 characters


class OfficeNetwork:
    """The network, up while the context lasts. LabError when it cannot be built.

    `tag` keeps two networks apart; by default one for each process. The first line is the
    office's default route. With `management` the root namespace reaches office and centre at
    their `management_address` (from 198.18.0.0/15, RFC 2544).
    """

    def __init__(
        self, lines: Sequence[LineShape], *, tag: str | None = None, management: bool = False
    ) -> None:
        self.tag = f"p{os.getpid()}" if tag is None else tag
        if not TAG_PATTERN.fullmatch(self.tag):
            raise ValueError(f"tag {self.tag!r} is not 1 to 12 of a-z and 0-9")
        if not lines or len({shape.name for shape in lines}) < len(lines):
            raise ValueError("a network needs lines, each with a name of its own")
        sources = tuple(
            own.office
            for number, shape in enumerate(lines, start=1)
            for own in addresses.of_line(number, shape.stack)
        )
        self._ipv6 = any(Stack.IPV6 in shape.stack for shape in lines)
        servers = SERVER_ADDRESSES + SERVER_ADDRESSES_IPV6 * self._ipv6
        self.office = self._namespace("office", sources, management=management)
        self.centre = self._namespace("centre", servers, management=management)
        self._shapes = tuple(lines)
        self._lines: dict[str, Line] = {}

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every line, in the order given."""
        return tuple(self._lines.values())

    def line(self, name: str) -> Line:
        """The line of that name. KeyError when there is none."""
        return self._lines[name]

    def __enter__(self) -> Self:
        # Outside the try: where this name is taken, the network belongs to somebody else.
        self.office.create()
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove all of it, with every process that still runs in it. Safe to repeat."""
        try:
            for line in self.lines:
                if line.link is not None:
                    line.link.close()
        finally:
            remove_stale(self.tag)

    def cut(self, name: str, where: Cut = Cut.ACCESS, stack: Stack = Stack.DUAL) -> None:
        """Let a line fail, without a word to those who use it: no reset, no unreachable.

        `stack`: which families of its access fail; cable and gateway have both in one.
        """
        line = self.line(name)
        if where is Cut.CABLE:
            line.isp.ip("link set lan down")
        elif where is Cut.GATEWAY:
            # Neither requests of ARP nor neighbour solicitations (RFC 4861) are answered then.
            line.isp.ip("link set lan arp off")
            self.office.ip(f"neigh flush dev {name}")
        else:
            # A host that does not forward drops in silence what is not for itself.
            line.isp.sysctl({_FORWARDING[family]: "0" for family in stack & line.shape.stack})

    def restore(self, name: str) -> None:
        """Mend a cut line and wait until it carries. Does nothing to a line that is whole."""
        line = self.line(name)
        line.isp.ip("link set lan arp on", "link set lan up")
        line.isp.sysctl({_FORWARDING[family]: "1" for family in line.shape.stack})
        self.settle(name)

    def break_ipv6(self, name: str, fault: Ipv6Fault) -> None:
        """Break a line's IPv6 alone (needs nft). A fault that it has is replaced."""
        isp = self.line(name).isp
        hook, rules = _FAULT_RULES[fault]
        isp.nft(
            _NO_FAULT
            + f"table ip6 fault {{ chain {hook} {{ type filter hook {hook} priority 0;\n"
            + "".join(f"{rule}\n" for rule in rules)
            + "}\n}\n"
        )
        _limit_ipv6(isp, _LEAST_MTU_BYTES if fault is Ipv6Fault.TOO_BIG_LOST else _MTU_BYTES)

    def mend_ipv6(self, name: str) -> None:
        """Undo `break_ipv6`. What the kernel has learnt of the path meanwhile is forgotten."""
        isp = self.line(name).isp
        isp.nft(_NO_FAULT)
        _limit_ipv6(isp, _MTU_BYTES)
        for end in (self.office, self.centre):
            end.ip("route flush cache", ipv6=True)

    def settle(self, name: str) -> None:
        """Wait for the line's carrier and let both ends ask for each other's address anew.

        Linux asks for a neighbour three times, a second apart (RFC 826), and refuses with "no route
        to host" after that: a request that began on a dead line would fail a connection on a
        mended one.
        """
        line = self.line(name)
        ends = ((self.office, line.interface), (line.isp, "lan"))
        for end, interface in ends:
            wait_until(partial(end.is_up, interface), what=f"{interface} of {end.name} to be up")
        for end, interface in ends:
            end.ip(f"neigh flush dev {interface}")

    def reshape(
        self, name: str, *, download_bps: int | None = None, upload_bps: int | None = None
    ) -> None:
        """Change a line's rates while it is in use; None leaves one as it is."""
        line = self.line(name)
        shape = line.shape
        if download_bps is not None:
            shape = replace(shape, download_bps=download_bps)
        if upload_bps is not None:
            shape = replace(shape, upload_bps=upload_bps)
        _shape(line.isp, shape)
        self._lines[name] = replace(line, shape=shape)

    def _namespace(
        self, part: str, addresses: tuple[str, ...] = (), *, management: bool = False
    ) -> Namespace:
        address = _management_address(self.tag, part, 2) if management else None
        return Namespace(f"{PREFIX}-{self.tag}-{part}", addresses, address)

    def _build(self) -> None:
        self.centre.create()
        self.centre.ip(*(f"addr add {address}/32 dev lo" for address in SERVER_ADDRESSES))
        if self._ipv6:
            own = (f"addr add {address}/128 dev lo nodad" for address in SERVER_ADDRESSES_IPV6)
            self.centre.ip(*own)
        for end in (self.office, self.centre):
            _open_sysctls(end)
            if end.management_address is not None:
                part = end.name.rpartition("-")[2]
                connect_root(
                    end,
                    _MANAGEMENT,
                    root_link_name(self.tag, part),
                    f"{_management_address(self.tag, part, 1)}/30",
                )
        for number, shape in enumerate(self._shapes, start=1):
            self._build_line(number, shape)

    def _build_line(self, number: int, shape: LineShape) -> None:
        name = shape.name
        families = list(addresses.of_line(number, shape.stack))
        its = tuple(address for own in families for address in (own.gateway, own.wan))
        isp = self._namespace(f"isp-{name}", its)
        isp.create()
        _open_sysctls(isp)
        isp.sysctl({_FORWARDING[family]: "1" for family in shape.stack | Stack.IPV4})
        link = None
        if shape.impairment is not None:
            link = EmulatedLink(isp, "wan", self.centre, name, shape.impairment)
        # Known before it is complete, so that `close` ends the emulator of a half-built line.
        self._lines[name] = _line(number, shape, families, isp, link)
        connect_veth(self.office, name, isp, "lan")
        if link is None:
            connect_veth(isp, "wan", self.centre, name)
        else:
            link.open()
        for own in families:
            self._give_addresses(self._lines[name], own)
        _shape(isp, shape)

    def _give_addresses(self, line: Line, own: LineAddresses) -> None:
        """Give every end of a line its addresses, routes and rules of one family."""
        name, table, flags = line.interface, line.number, ""
        if own.ipv6:
            flags = " nodad"
            for end, interface in (
                (self.office, name), (line.isp, "lan"), (line.isp, "wan"), (self.centre, name),
            ):  # fmt: skip
                _open_ipv6(end, interface)
        line.isp.ip(
            f"addr add {own.gateway}/{own.length} dev lan{flags}",
            f"addr add {own.wan}/{own.length} dev wan{flags}",
            *(f"route add {address} via {own.far}" for address in own.servers),
            ipv6=own.ipv6,
        )
        self.centre.ip(
            f"addr add {own.far}/{own.length} dev {name}{flags}",
            f"route add {own.lan} via {own.wan}",
            ipv6=own.ipv6,
        )
        self.office.ip(
            f"addr add {own.office}/{own.length} dev {name}{flags}",
            f"route add default via {own.gateway} dev {name} metric {table}",
            f"route add {own.lan} dev {name} table {table}",
            f"route add default via {own.gateway} dev {name} table {table}",
            # The device first: a socket may be bound to one line's device and, by mistake or for
            # a test, to another's address.
            f"rule add pref 100 oif {name} table {table}",
            f"rule add pref 200 from {own.office} table {table}",
            ipv6=own.ipv6,
        )


# By family; of IPv4's the kernel makes the others.
_FORWARDING = {Stack.IPV4: "ipv4/ip_forward", Stack.IPV6: "ipv6/conf/all/forwarding"}
# Adding before deleting, so that there is one to delete.
_NO_FAULT = "table ip6 fault {}\ndelete table ip6 fault\n"


def _line(
    number: int,
    shape: LineShape,
    families: Sequence[LineAddresses],
    isp: Namespace,
    link: EmulatedLink | None,
) -> Line:
    first, last = families[0], families[-1]
    line = Line(shape, number, shape.name, first.office, first.gateway, isp, link)
    if last.ipv6:
        line = replace(line, source_address_ipv6=last.office, gateway_address_ipv6=last.gateway)
    return line


def _open_ipv6(namespace: Namespace, interface: str) -> None:
    """Let one interface have IPv6: at once, only by the lab's addresses, and through a cut."""
    settings = {
        "accept_dad": "0",
        "accept_ra": "0",
        "router_solicitations": "0",
        "keep_addr_on_down": "1",
        "disable_ipv6": "0",
    }
    namespace.sysctl({f"ipv6/conf/{interface}/{name}": value for name, value in settings.items()})


def _limit_ipv6(isp: Namespace, mtu_bytes: int) -> None:
    """The largest IPv6 packet that an ISP forwards; IPv4's stays."""
    isp.sysctl({f"ipv6/conf/{interface}/mtu": str(mtu_bytes) for interface in ("lan", "wan")})


def _open_sysctls(namespace: Namespace) -> None:
    namespace.sysctl(
        {
            # ICMP echo sockets without privilege, for every group.
            "ipv4/ping_group_range": "0 2147483647",
            # A reply may come in by another way than the main table would send: each line has
            # its own table.
            "ipv4/conf/all/rp_filter": "0",
            "ipv4/conf/default/rp_filter": "0",
        }
    )


def _shape(isp: Namespace, shape: LineShape) -> None:
    # A TUN device has no Ethernet header; counting one keeps both kinds of line to one theory.
    stab = "" if shape.impairment is None else f"stab overhead {_ETHERNET_BYTES}"
    if shape.download_bps is not None:
        isp.tc(f"qdisc replace dev lan root {_tbf(shape.download_bps)}")
    if shape.upload_bps is not None:
        isp.tc(f"qdisc replace dev wan root {stab} {_tbf(shape.upload_bps)}")


def _tbf(rate_bps: int) -> str:
    # 2 ms of burst: tbf then keeps the rate within 0.15 %; htb is off by up to 3 %.
    burst_bytes = max(round(rate_bps * _BURST_S / 8), _BURST_MIN_FRAMES * FRAME_BYTES)
    return f"tbf rate {rate_bps}bit burst {burst_bytes} latency {_QUEUE_MS}ms"


def _management_address(tag: str, part: str, host: int) -> str:
    # One /30 of 198.18.0.0/15 for each tag and part: 2 ** 14 tags before two must meet.
    block = (_hash(tag) % 2**14) * 2 + (part == "centre")
    number = (198 << 24 | 18 << 16) + block * 4 + host
    return ".".join(str(number >> shift & 0xFF) for shift in (24, 16, 8, 0))


def _hash(tag: str) -> int:
    return zlib.crc32(tag.encode("ascii"))
