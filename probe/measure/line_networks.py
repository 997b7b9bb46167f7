"""Floor 2. Wraps psutil: the networks of a line's interface, for `own_networks`."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import psutil

from probe.config import LineConfig
from probe.measure import gateway, host
from probe.measure.own_networks import OwnNetworks

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def of_line(line: LineConfig) -> OwnNetworks:
    """What is the office's own on a line at this moment: cheap, read for each result."""
    interface = line.interface or host.interface_of(line.source_address)
    networks = tuple(_networks(interface))
    return OwnNetworks(
        networks=networks,
        router=gateway.of_line(line),
        configured=None if line.office_networks is None else tuple(line.office_networks),
        loopback=any(
            ipaddress.ip_interface(text).is_loopback
            for text in (*networks, *filter(None, [line.source_address]))
        ),
    )


def _networks(interface: str | None) -> Iterator[str]:
    """The interface's addresses, each with its prefix's length ("192.168.1.10/24")."""
    for entry in psutil.net_if_addrs().get(interface or "", ()):
        if entry.family in _FAMILIES:
            address = entry.address.partition("%")[0]
            # An address without a mask is a network of its own.
            yield address if entry.netmask is None else f"{address}/{_length(entry.netmask)}"


def _length(netmask: str) -> int:
    """The length of a prefix whose mask psutil writes as an address ("ffff:ffff::")."""
    return int(ipaddress.ip_address(netmask)).bit_count()
