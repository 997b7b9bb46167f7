"""Floor 1. The order in which a host's addresses are tried (RFC 6724 §6, RFC 8305 §4).

By the source address that the line would send from. The rules about deprecated, home and tunnelled
addresses are left out: the kernel selects no deprecated source while there is another, and a probe
has neither of the others.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from wire.record import Family

# RFC 6724 §2.1: prefix, precedence, label; the longest prefix that matches counts.
_POLICY = sorted(
    (
        (ipaddress.IPv6Network(prefix), precedence, label)
        for prefix, precedence, label in (
            ("::1/128", 50, 0),
            ("::/0", 40, 1),
            ("::ffff:0:0/96", 35, 4),
            ("2002::/16", 30, 2),
            ("2001::/32", 5, 5),
            ("fc00::/7", 3, 13),
            ("::/96", 1, 3),
            ("fec0::/10", 1, 11),
            ("3ffe::/16", 1, 12),
        )
    ),
    key=lambda row: -row[0].prefixlen,
)
# RFC 6724 §3.1, RFC 4291 §2.7: scopes.
_LINK_LOCAL, _SITE_LOCAL, _GLOBAL = 2, 5, 14
# RFC 6724 §2.2: of a source's prefix no more than so much is compared.
_MOST_PREFIX = 64


class Destination(NamedTuple):
    """An address of a host, and the source that the line has for it; None: it cannot be reached."""

    ip: str
    source: str | None

    @property
    def family(self) -> Family:
        """Its address family."""
        return Family.of(self.ip)


def in_order(destinations: Sequence[Destination]) -> list[Destination]:
    """By RFC 6724, then with the families by turns, the first one's first (RFC 8305 §4)."""
    by_rule = sorted(destinations, key=_rank)
    if not by_rule:
        return []
    first = [one for one in by_rule if one.family is by_rule[0].family]
    other = [one for one in by_rule if one.family is not by_rule[0].family]
    alternating = [one for pair in zip(first, other, strict=False) for one in pair]
    return alternating + first[len(other) :] + other[len(first) :]


def _rank(one: Destination) -> tuple[bool, bool, bool, int, int, int]:
    """The rules 1, 2, 5, 6, 8 and 9, least first; what is equal keeps its order (rule 10)."""
    ip = _mapped(one.ip)
    precedence, label = _policy(ip)
    if one.source is None:
        return True, True, True, -precedence, _scope(ip), 0
    source = _mapped(one.source)
    return (
        False,
        _scope(ip) != _scope(source),
        label != _policy(source)[1],
        -precedence,
        _scope(ip),
        -_common_bits(ip, source),
    )


def _mapped(text: str) -> ipaddress.IPv6Address:
    """As IPv6; an IPv4 address is mapped (RFC 4291 §2.5.5.2)."""
    ip = ipaddress.ip_address(text.partition("%")[0])
    return ip if isinstance(ip, ipaddress.IPv6Address) else ipaddress.IPv6Address(f"::ffff:{ip}")


def _policy(ip: ipaddress.IPv6Address) -> tuple[int, int]:
    """Precedence and label."""
    return next((row[1], row[2]) for row in _POLICY if ip in row[0])


def _scope(ip: ipaddress.IPv6Address) -> int:
    """RFC 6724 §3.1; private IPv4 addresses are of global scope (§3.2)."""
    plain = ip.ipv4_mapped or ip
    if plain.is_link_local or plain.is_loopback:
        return _LINK_LOCAL
    return _SITE_LOCAL if ip.is_site_local else _GLOBAL


def _common_bits(ip: ipaddress.IPv6Address, source: ipaddress.IPv6Address) -> int:
    """The bits that both begin with; of IPv4 none, so that a name's rotation stays (RFC 1794)."""
    if ip.ipv4_mapped is not None:
        return 0
    return min(_MOST_PREFIX, 128 - (int(ip) ^ int(source)).bit_length())
