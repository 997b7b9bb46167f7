"""Floor 1. Whether an address is beyond the office, for one line.

One rule (docs/method.md#availability, A10) for everything that asks: minutes and outages, losses in
the office's own network, targets, fault location, the checks before a probe begins. Reads no
interface (`line_networks` does).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from msgspec import Struct

from runtime.ip_address import IpAddress, parsed

IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Spaces without an owner: an address of one that the line is numbered from is the office's.
_PRIVATE: tuple[tuple[IPNetwork, ...], ...] = tuple(
    tuple(ipaddress.ip_network(text) for text in space)
    for space in (
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
        ("100.64.0.0/10",),  # RFC 6598: carrier-grade NAT
        ("fc00::/7",),  # RFC 4193: unique local addresses
    )
)


class OwnNetworks(Struct, frozen=True):
    """What is the office's own on a line.

    `networks` are those of the line's interface, its own addresses with their prefix
    ("192.168.1.10/24"); `router` is its gateway. `configured` are the office's networks by its own
    setting, None where it has none: then private spaces are decided by the rule of `is_beyond`.
    `loopback`: the line is the loopback interface, as in a trial on one machine; then loopback
    addresses stand for hosts beyond the office.
    """

    networks: tuple[str, ...] = ()
    router: str | None = None
    configured: tuple[str, ...] | None = None
    loopback: bool = False


def is_beyond(address: str | None, own: OwnNetworks) -> bool:
    """Whether an answer from an address comes from beyond the office.

    It does not from the router, from a network of the line's interface or a configured one. Without
    a setting it does not either from a private space (RFC 1918, 6598, 4193) that the line has an
    address of, nor from any while the line has no address of that family beyond its link, as where
    its router is away. What is no address (a name, None) is not beyond.
    """
    asked = _parsed(address)
    if asked is None or asked == _parsed(own.router):
        return False
    if asked.is_loopback:
        return own.loopback
    if asked.is_unspecified or asked.is_multicast or asked.is_link_local:
        return False
    interfaces = [ipaddress.ip_interface(text) for text in own.networks]
    configured = [ipaddress.ip_network(text, strict=False) for text in own.configured or ()]
    if any(asked in network for network in (*configured, *(one.network for one in interfaces))):
        return False
    return own.configured is not None or not _is_of_private_space(asked, interfaces)


def is_on_link(address: str, own: OwnNetworks) -> bool:
    """Whether an address is in a network of the line's interface, or reaches no farther."""
    asked = _parsed(address)
    interfaces = (ipaddress.ip_interface(text) for text in own.networks)
    return asked is not None and (
        asked.is_link_local or any(asked in one.network for one in interfaces)
    )


def _is_of_private_space(asked: IpAddress, interfaces: Sequence[IPInterface]) -> bool:
    """Whether an address is private in the way that the line's own addresses are."""
    lines = [one.ip for one in interfaces if not one.ip.is_link_local]
    same_family = [ip for ip in lines if ip.version == asked.version]
    return any(
        _holds(space, asked) and (not same_family or any(_holds(space, ip) for ip in same_family))
        for space in _PRIVATE
    )


def within(hosts: Iterable[str], own: OwnNetworks) -> list[str]:
    """Those of some hosts whose address is the office's own; a name is none of them."""
    return [host for host in hosts if _parsed(host) is not None and not is_beyond(host, own)]


def _holds(space: Sequence[IPNetwork], address: IpAddress) -> bool:
    return any(address in network for network in space)


def _parsed(address: str | None) -> IpAddress | None:
    """The address, without a zone; an IPv4-mapped one as IPv4. None where it is none."""
    try:
        return parsed(address or "")
    except ValueError:
        return None
