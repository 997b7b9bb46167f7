"""Floor 1. Kind `web`: one page fetched over one line, timed by phase."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from wire.record import Count, Milliseconds, Result, Text


class WebPhase(StrEnum):
    """The steps of a fetch, in their order."""

    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    FIRST_BYTE = "first_byte"
    BODY = "body"


class WebValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One page by phase (docs/method.md#web).

    `dns_ms`, `tcp_ms`, `tls_ms`, `first_byte_ms` (from the request to the answer's first byte) and
    `body_ms` are of the page itself; redirects before it are in `redirects` and `redirect_ms`.
    `total_ms` is the whole, from the first look-up to the last byte. A phase that was not reached
    or does not exist (DNS of an address, TLS of http) is None. `failed_phase` is the phase of the
    failure. `body_bytes` are as transferred. `resolver` resolved the name, over the line.

    `tcp_ms` is as a browser has it (RFC 8305): from the first connection attempt to the first
    connection. `tcp_ipv4_ms` and `tcp_ipv6_ms` are how long an attempt of each family took by
    itself; None where the page's host has no address in it, or did not connect within a second of
    the other family, and from older probes.
    """

    headline: ClassVar = ("total_ms", "first_byte_ms")

    url: Text
    final_url: Text
    address: Text | None
    port: Annotated[int, Meta(ge=1, le=65535)]
    resolver: Text | None
    status: Annotated[int, Meta(ge=100, le=999)] | None
    http_version: Text | None
    tls_version: Text | None
    redirects: Count
    redirect_ms: Milliseconds | None
    dns_ms: Milliseconds | None
    tcp_ms: Milliseconds | None
    tls_ms: Milliseconds | None
    first_byte_ms: Milliseconds | None
    body_ms: Milliseconds | None
    total_ms: Milliseconds | None
    body_bytes: Count
    complete: bool
    failed_phase: WebPhase | None
    tcp_ipv4_ms: Milliseconds | None = None
    tcp_ipv6_ms: Milliseconds | None = None


class WebResult(Result, frozen=True, kw_only=True, tag="web"):
    """A page of a service that the office depends on, fetched over the line."""

    values: WebValues | None
