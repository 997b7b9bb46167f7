"""Floor 1. The lab's addresses: which address each end of a line has, in each address family.

Pure. It must not know how a network is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag, auto

SERVER_ADDRESSES = ("203.0.113.1", "203.0.113.2")  # RFC 5737; two to take turns
SERVER_ADDRESSES_IPV6 = ("2001:db8:203::1", "2001:db8:203::2")  # RFC 3849
# The translated addresses of the IPv4 Internet: a prefix of the operator's own, because RFC 6052
# (3.1) forbids the well-known one for addresses that are not global.
NAT64_PREFIX = "2001:db8:64::/96"


class Stack(Flag):
    """The address families that a line carries."""

    IPV4 = auto()
    IPV6 = auto()
    DUAL = IPV4 | IPV6


@dataclass(frozen=True, slots=True)
class LineAddresses:
    """One line's addresses in one family; `length` is the prefix length of both networks.

    Attributes:
        office: the office's end of the line.
        gateway: the ISP's router on the office's side.
        wan: the same router on the centre's side.
        far: the centre's end.
        lan: the office's network.
        servers: what the centre serves on.
    """

    stack: Stack
    office: str
    gateway: str
    wan: str
    far: str
    lan: str
    length: int
    servers: tuple[str, ...]

    @property
    def ipv6(self) -> bool:
        """Whether these are IPv6 addresses."""
        return self.stack is Stack.IPV6


def of_line(number: int, stack: Stack) -> Iterator[LineAddresses]:
    """The addresses of a line, counted from 1, in each family of `stack`: IPv4 first."""
    if Stack.IPV4 in stack:
        yield of_ipv4(number)
    if Stack.IPV6 in stack:
        yield _ipv6(number)


def translated(address: str) -> str:
    """The IPv6 address under `NAT64_PREFIX` that stands for an IPv4 address (RFC 6052, 2.2)."""
    return f"{NAT64_PREFIX.partition('/')[0]}{address}"


def nat64_pool(number: int) -> str:
    """The IPv4 addresses that a line's translator gives to IPv6 hosts."""
    return f"100.65.{number}.0/24"


def of_ipv4(number: int) -> LineAddresses:
    """A line's IPv4 addresses: the office's part only where the line carries IPv4."""
    lan, wan = f"192.168.{number}", f"100.64.{number}"
    return LineAddresses(
        Stack.IPV4, f"{lan}.2", f"{lan}.1", f"{wan}.1", f"{wan}.2", f"{lan}.0/24", 24,
        SERVER_ADDRESSES,
    )  # fmt: skip


def _ipv6(number: int) -> LineAddresses:
    lan, wan = f"2001:db8:{number}:1::", f"2001:db8:{number}:2::"
    return LineAddresses(
        Stack.IPV6, f"{lan}2", f"{lan}1", f"{wan}1", f"{wan}2", f"{lan}/64", 64,
        SERVER_ADDRESSES_IPV6,
    )  # fmt: skip
