"""Floor 1. Kind `web`: redirects, and a fetch's values (docs/method.md#web).

A page takes one or more exchanges: redirects, and at last the page itself. Knows no sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from probe.measure.failure import Failure
from probe.measure.web.url import Url, resolve_reference
from wire.result import Outcome, Reason, Validity, WebPhase, WebValues

_REDIRECTS = (301, 302, 303, 307, 308)


class HttpExchange(Struct, kw_only=True):
    """One request and its response, as far as it got. Times are monotonic seconds."""

    url: Url
    began_s: float
    ended_s: float | None = None
    resolver: str | None = None
    address: str | None = None
    dns_ms: float | None = None
    tcp_ms: float | None = None
    tcp_ipv4_ms: float | None = None
    tcp_ipv6_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    body_ms: float | None = None
    status: int | None = None
    location: str | None = None
    http_version: str | None = None
    tls_version: str | None = None
    body_bytes: int = 0
    complete: bool = False
    phase: WebPhase | None = None
    failure: Failure | None = None


class PageStatus(NamedTuple):
    """The status of a page."""

    outcome: Outcome
    reason: Reason | None
    detail: str | None
    validity: list[Validity]


def redirect_target(exchange: HttpExchange) -> Url | None:
    """The target of a redirect; None where there is none (RFC 9110 §15.4).

    Raises:
        BadUrlError: the target is not an http or https URL.
    """
    if not is_redirect(exchange):
        return None
    return resolve_reference(exchange.url, exchange.location or "")


def is_redirect(exchange: HttpExchange) -> bool:
    """Whether a response leads on: an empty `Location` does not."""
    return exchange.status in _REDIRECTS and bool(exchange.location)


def values(url: str, exchanges: Sequence[HttpExchange], failed: HttpExchange | None) -> WebValues:
    """The values of a page.

    Args:
        url: as configured.
        exchanges: the requests made, in order; the last one is the page, or where it ended.
        failed: that last one, where it ended badly.
    """
    page = exchanges[-1]
    before = exchanges[:-1]
    redirect_ms = [_elapsed_ms(exchange) for exchange in before]
    whole_ms = None
    if page.ended_s is not None and failed is None:
        whole_ms = (page.ended_s - exchanges[0].began_s) * 1000
    return WebValues(
        url=url,
        final_url=str(page.url)[:500],
        address=page.address,
        port=page.url.port,
        resolver=page.resolver,
        status=page.status,
        http_version=page.http_version,
        tls_version=page.tls_version,
        redirects=len(before),
        redirect_ms=sum(redirect_ms) if before else None,
        dns_ms=page.dns_ms,
        tcp_ms=page.tcp_ms,
        tcp_ipv4_ms=page.tcp_ipv4_ms,
        tcp_ipv6_ms=page.tcp_ipv6_ms,
        tls_ms=page.tls_ms,
        first_byte_ms=page.first_byte_ms,
        body_ms=page.body_ms,
        total_ms=whole_ms,
        body_bytes=page.body_bytes,
        complete=page.complete,
        failed_phase=None if failed is None else failed.phase,
    )


def page_status(page: HttpExchange) -> PageStatus:
    """The status of a page by its last exchange; an HTTP error status is a failure."""
    if page.failure is not None:
        return PageStatus(Outcome.FAILED, *page.failure, [])
    if page.status is None or page.status >= 400:
        sentence = f"{page.url.host} answers with HTTP {page.status}."
        return PageStatus(Outcome.FAILED, Reason.HTTP_STATUS, sentence, [])
    if not page.complete:
        sentence = f"The page is longer than what is read of it: {page.body_bytes} bytes."
        return PageStatus(Outcome.OK, None, sentence, [Validity.SHORT])
    return PageStatus(Outcome.OK, None, None, [])


def _elapsed_ms(exchange: HttpExchange) -> float:
    return 0.0 if exchange.ended_s is None else (exchange.ended_s - exchange.began_s) * 1000
