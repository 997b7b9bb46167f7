"""Floor 1. What is left of a line's addresses for somebody without the permission to read them.

An office's public address leads to its people. To anybody it is shown as its /24 or /48, wherever
it stands in what a probe has sent: in `operator`, as the line's own address (of IPv6 the same),
among the hops of a path, in the text of a failure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct, structs

from collector.domain.operators import masked
from collector.store.records import StoredProbe
from runtime.ip_address import is_ip_address
from wire.decoding import decode_json
from wire.record import Line, LineOperator

# They lead to nobody: RFC 1918, RFC 6598, RFC 3927, RFC 1122, RFC 5737; RFC 4193, RFC 4291,
# RFC 3849.
_NOT_PUBLIC = [
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
        "127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24",
        "fc00::/7", "fe80::/10", "::1/128", "2001:db8::/32",
    )
]  # fmt: skip
# Neither within a longer number nor before a part of one; a port or a full stop may follow.
_ADDRESS = re.compile(
    rb"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])"
    rb"|(?<![0-9A-Fa-f:.])(?:[0-9A-Fa-f]*:){2,}[0-9A-Fa-f]*(?![0-9A-Fa-f:]|\.[0-9])"
)


class _StatedOperator(Struct):
    public_address: str


class _StatedLine(Struct):
    source_address: str | None = None


class _Stated(Struct):
    """What of a result says which addresses are the line's own."""

    line: _StatedLine
    operator: _StatedOperator | None = None


def redacted_result(body: bytes, known: Iterable[str] = ()) -> bytes:
    """A result's JSON without the line's whole addresses; the same bytes where it has none.

    Args:
        body: as the probe sent it.
        known: other addresses of the probe's lines, as of `own_addresses`.
    """
    try:
        stated = decode_json(body, _Stated)
    except msgspec.DecodeError:
        return b"null"  # of another version of the contract: nobody can say what is in it
    own = {*known, *_public([stated.line.source_address])}
    if stated.operator is not None:
        own |= {*_addresses([stated.operator.public_address])}
    if not own:
        return body
    blocks = {masked(text) for text in own}

    def replaced(found: re.Match[bytes]) -> bytes:
        text = found[0].decode("ascii")
        colon = ":" if text.endswith(":") and not text.endswith("::") else ""
        text = text.removesuffix(colon)
        block = masked_or_nothing(text)  # nothing: a time of day
        is_own = text in own if "." in text else block in blocks
        return f"{block}{colon}".encode("ascii") if is_own else found[0]

    return _ADDRESS.sub(replaced, body)


def own_addresses(probe: StoredProbe | None) -> set[str]:
    """The public addresses of a probe's lines, as it last stated them."""
    if probe is None:
        return set()
    lines = probe.info.lines if probe.info else []
    operators = (probe.health.operators if probe.health else None) or {}
    seen = [one.public_address for each in operators.values() for one in each]
    return {*_public(line.source_address for line in lines), *_addresses(seen)}


def redacted_probe(probe: StoredProbe) -> StoredProbe:
    """A probe's last messages without its lines' whole addresses."""
    info, health = probe.info, probe.health
    if info is not None:
        info = structs.replace(info, lines=[_line(line) for line in info.lines])
    if health is not None and health.operators is not None:
        health = structs.replace(health, operators=_operators(health.operators))
    return structs.replace(probe, info=info, health=health)


def _operators(
    operators: Mapping[str, Iterable[LineOperator]],
) -> dict[Any, list[LineOperator]]:
    return {
        line: [
            structs.replace(one, public_address=masked_or_nothing(one.public_address))
            for one in each
        ]
        for line, each in operators.items()
    }


def masked_or_nothing(text: str) -> str:
    """As `masked`; "?" for what is no address."""
    try:
        return masked(text)
    except ValueError:
        return "?"


def _line(line: Line) -> Line:
    own = [*_public([line.source_address])]
    return structs.replace(line, source_address=masked(own[0])) if own else line


def _public(texts: Iterable[str | None]) -> Iterator[str]:
    """Those that lead to somebody."""
    return (text for text in texts if text is not None and _is_public(text))


@lru_cache(4_096)
def _is_public(text: str) -> bool:
    if not is_ip_address(text):
        return False
    address = ipaddress.ip_address(text)
    return not any(address in network for network in _NOT_PUBLIC)


def _addresses(texts: Iterable[str | None]) -> Iterator[str]:
    return (text for text in texts if text is not None and is_ip_address(text))
