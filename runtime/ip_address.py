"""Floor 1. IP addresses in text."""

from __future__ import annotations

import ipaddress

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_ip_address(text: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address; the latter perhaps with a zone (RFC 4007 §11)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parsed(text: str) -> IpAddress:
    """An address without zone; an IPv4 one where it is mapped into IPv6 (RFC 4291 §2.5.5.2).

    Raises:
        ValueError: the text is no address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
