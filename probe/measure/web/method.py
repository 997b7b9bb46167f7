"""Floor 1. Kind `web`: URLs of pages, redirects, and a fetch's values (docs/method.md#web).

A page takes one or more exchanges: redirects, and at last the page itself. Knows no sockets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from probe.measure.failure import Failure
from wire.result import Outcome, Reason, Validity, WebPhase, WebValues

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#\\\s@]+)(?P<rest>([/?][^\s#]*)?)(#.*)?", re.I
)
_AUTHORITY = re.compile(r"(\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]+))(:(?P<port>\d{1,5}))?")
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)


class BadUrlError(ValueError):
    """A text is not an http or https URL."""


class Url(NamedTuple):
    """An http or https URL in its parts; `path` includes the query, `host` is ASCII."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """Host, with the port where it is not the scheme's default, as in `Host` (RFC 9110)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class HttpExchange(Struct, kw_only=True):
    """One request and its response, as far as it got. Times are monotonic seconds."""

    url: Url
    began_s: float
    ended_s: float | None = None
    resolver: str | None = None
    address: str | None = None
    dns_ms: float | None = None
    tcp_ms: float | None = None
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


def parse_url(text: str) -> Url:
    """Parse a URL.

    Raises:
        BadUrlError: it is not an http or https URL.
    """
    found = _URL.fullmatch(text.strip())
    authority = None if found is None else _AUTHORITY.fullmatch(found["authority"])
    if found is None or authority is None:
        raise BadUrlError(f"{text[:200]!r} is not the address of a page")
    scheme = found["scheme"].lower()
    port = int(authority["port"] or _PORTS[scheme])
    rest = found["rest"]
    path = rest if rest.startswith("/") else f"/{rest}"
    if not 1 <= port <= 65535:
        raise BadUrlError(f"{text[:200]!r} has no such port")
    return Url(scheme, authority["ipv6"] or _ascii(authority["host"]), port, _quoted(path))


def redirect_target(exchange: HttpExchange) -> Url | None:
    """The target of a redirect; None where there is none (RFC 9110 §15.4, RFC 3986 §5.2).

    Raises:
        BadUrlError: the target is not an http or https URL.
    """
    if exchange.status not in _REDIRECTS or not exchange.location:
        return None
    text, url = exchange.location.strip(), exchange.url
    if "://" in text.partition("?")[0]:
        return parse_url(text)
    if text.startswith("//"):
        return parse_url(f"{url.scheme}:{text}")
    text = text.partition("#")[0]
    if text.startswith("/"):
        return url._replace(path=_quoted(text))
    bare = url.path.partition("?")[0]
    if text.startswith("?") or not text:
        return url._replace(path=_quoted(bare + text))
    return url._replace(path=_quoted(f"{bare.rpartition('/')[0]}/{text}"))


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


def _ascii(host: str) -> str:
    """A host name in ASCII, as DNS and TLS use it; other letters are encoded (RFC 3490)."""
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise BadUrlError(f"{host[:200]!r} is no host name") from error


def _quoted(path: str) -> str:
    """Percent-encode what is not ASCII (RFC 3986 §2.5); refuse spaces and control characters."""
    if any(letter.isspace() or ord(letter) < 0x21 for letter in path):
        raise BadUrlError(f"{path[:200]!r} is no path")
    return "".join(
        letter if letter.isascii() else "".join(f"%{octet:02X}" for octet in letter.encode())
        for letter in path
    )
