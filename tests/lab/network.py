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
    "Cut",
    "LabError",
    "Line",
    "LineShape",
    "Namespace",
    "OfficeNetwork",
    "remove_stale",
    "root_link_name",
    "theoretical_goodput_bps",
    "why_not",
]

SERVER_ADDRESSES = ("203.0.113.1", "203.0.113.2")  # RFC 5737; two to take turns
FRAME_BYTES = 1514  # Ethernet header and a full IP packet: what tbf counts (no FCS, no preamble)
PAYLOAD_BYTES = 1448  # 1500 less 20 IP, 20 TCP and 12 of the timestamps option (RFC 7323)
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


@dataclass(frozen=True, slots=True)
class LineShape:
    """One ISP line as it is sold. Rates in bit/s of Ethernet frames; None leaves it unshaped."""

    name: str
    download_bps: int | None = None
    upload_bps: int | None = None
    impairment: LineImpairment | None = None

    def __post_init__(self) -> None:
        if not _LINE_NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot name a line and its network interface")
        for rate_bps in (self.download_bps, self.upload_bps):
            if rate_bps is not None and rate_bps <= 0:
                raise ValueError("a rate must be positive, or None for no shaping")


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was built. `interface` and `source_address` are the office's end."""

    shape: LineShape
    interface: str
    source_address: str
    gateway_address: str
    isp: Namespace
    link: EmulatedLink | None  # between ISP and centre, where the shape has an impairment


def theoretical_goodput_bps(shaped_rate_bps: float, *, frame_bytes: int = FRAME_BYTES) -> float:
    """TCP payload that a saturated line of this rate carries, in bit/s: rate * 1448/1514.

    A full frame is 1514 bytes of which 1448 are payload: IPv4 and TCP take 20 each and the
    timestamps option (RFC 7323, on by default on Linux) 12. For a rate that counts IP bytes, as
    the emulator's does, `frame_bytes` is 1500.
    """
    return shaped_rate_bps * PAYLOAD_BYTES / frame_bytes


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
        sources = tuple(_source_address(number) for number, _ in enumerate(lines, start=1))
        self.office = self._namespace("office", sources, management=management)
        self.centre = self._namespace("centre", SERVER_ADDRESSES, management=management)
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

    def cut(self, name: str, where: Cut = Cut.ACCESS) -> None:
        """Let a line fail, without a word to those who use it: no reset, no unreachable."""
        isp = self.line(name).isp
        if where is Cut.CABLE:
            isp.ip("link set lan down")
        elif where is Cut.GATEWAY:
            isp.ip("link set lan arp off")
            self.office.ip(f"neigh flush dev {name}")
        else:
            # A host that does not forward drops in silence what is not for itself.
            isp.sysctl({"ipv4/ip_forward": "0"})

    def restore(self, name: str) -> None:
        """Mend a cut line and wait until it carries. Does nothing to a line that is whole."""
        isp = self.line(name).isp
        isp.ip("link set lan arp on", "link set lan up")
        isp.sysctl({"ipv4/ip_forward": "1"})
        self.settle(name)

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
        name, source, gateway = shape.name, _source_address(number), f"192.168.{number}.1"
        wan, far = f"100.64.{number}.1", f"100.64.{number}.2"
        isp = self._namespace(f"isp-{name}", (gateway, wan))
        isp.create()
        _open_sysctls(isp)
        isp.sysctl({"ipv4/ip_forward": "1"})
        link = None
        if shape.impairment is not None:
            link = EmulatedLink(isp, "wan", self.centre, name, shape.impairment)
        # Known before it is complete, so that `close` ends the emulator of a half-built line.
        self._lines[name] = Line(shape, name, source, gateway, isp, link)
        connect_veth(self.office, name, isp, "lan")
        if link is None:
            connect_veth(isp, "wan", self.centre, name)
        else:
            link.open()
        isp.ip(
            f"addr add {gateway}/24 dev lan",
            f"addr add {wan}/24 dev wan",
            *(f"route add {address} via {far}" for address in SERVER_ADDRESSES),
        )
        self.centre.ip(
            f"addr add {far}/24 dev {name}", f"route add 192.168.{number}.0/24 via {wan}"
        )
        self.office.ip(
            f"addr add {source}/24 dev {name}",
            f"route add default via {gateway} dev {name} metric {number}",
            f"route add 192.168.{number}.0/24 dev {name} table {number}",
            f"route add default via {gateway} dev {name} table {number}",
            # The device first: a socket may be bound to one line's device and, by mistake or for
            # a test, to another's address.
            f"rule add pref 100 oif {name} table {number}",
            f"rule add pref 200 from {source} table {number}",
        )
        _shape(isp, shape)


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


def _source_address(number: int) -> str:
    return f"192.168.{number}.2"


def _management_address(tag: str, part: str, host: int) -> str:
    # One /30 of 198.18.0.0/15 for each tag and part: 2 ** 14 tags before two must meet.
    block = (_hash(tag) % 2**14) * 2 + (part == "centre")
    number = (198 << 24 | 18 << 16) + block * 4 + host
    return ".".join(str(number >> shift & 0xFF) for shift in (24, 16, 8, 0))


def _hash(tag: str) -> int:
    return zlib.crc32(tag.encode("ascii"))
