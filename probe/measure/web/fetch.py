"""Floor 2. Wraps TLS: one request over one line, timed by phase.

Each phase begins where the one before ended, and all share one deadline. Each request has a new
connection, whose certificate is verified. Does not follow redirects, nor read their bodies, which
no browser waits for.
"""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Sequence

from probe import clock
from probe.config import LineConfig
from probe.measure.failure import Failure
from probe.measure.line_stream import DeadlineReader, left_s, stream_failure
from probe.measure.web.cookies import CookieJar
from probe.measure.web.happy_eyeballs import Attempt, Race
from probe.measure.web.lookups import Lookups
from probe.measure.web.method import HttpExchange, is_redirect
from probe.measure.web.resolver import LineResolver
from probe.measure.web.response import BodyReader, read_head
from probe.measure.web.response_head import BadResponseError
from probe.measure.web.url import Url
from probe.version import VERSION
from wire.record import Family
from wire.result import Reason, WebPhase

_READ_BYTES = 64 * 1024


class Fetcher:
    """Fetches pages over one line.

    Args:
        line: the line to send by.
        names: resolves hosts, over the same line.
        families: the address families that hosts may be reached over.
        context: with the trusted certificate authorities.
        max_bytes: how much of a body is read at most.
    """

    def __init__(
        self,
        line: LineConfig,
        names: LineResolver,
        families: Sequence[Family],
        context: ssl.SSLContext,
        max_bytes: int,
    ) -> None:
        self._line = line
        self._names = names
        self._families = families
        self._context = context
        self._max_bytes = max_bytes

    def fetch(self, url: Url, cookies: CookieJar, deadline_s: float) -> HttpExchange:
        """Make one request; errors are recorded in the exchange, new cookies in the jar."""
        exchange = HttpExchange(url=url, began_s=clock.monotonic_s(), phase=WebPhase.DNS)
        lookups = Lookups(url.host, self._names, self._families)
        race = Race(self._line, lookups, url.port, deadline_s)
        winner = race.run()
        if winner is None:
            _take_failure(exchange, race, lookups)
        else:
            _take_winner(exchange, race, winner, lookups)
            self._converse(winner, exchange, cookies, deadline_s)
        exchange.ended_s = clock.monotonic_s()
        if winner is not None and not is_redirect(exchange):
            race.settle()
        exchange.tcp_ipv4_ms = race.connect_ms(Family.IPV4)
        exchange.tcp_ipv6_ms = race.connect_ms(Family.IPV6)
        return exchange

    def _converse(
        self, winner: Attempt, exchange: HttpExchange, cookies: CookieJar, deadline_s: float
    ) -> None:
        url, peer = exchange.url, winner.peer
        assert winner.sock is not None
        sock = winner.sock
        try:
            if url.scheme == "https":
                sock = self._secured(sock, exchange, deadline_s)
            self._ask(sock, exchange, cookies, deadline_s)
        except ssl.SSLError as error:
            exchange.failure = _tls_failure(error, url)
        except (OSError, EOFError) as error:
            os_error = error if isinstance(error, OSError) else ConnectionAbortedError()
            exchange.failure = stream_failure(os_error, self._line, peer)
        except BadResponseError as error:
            sentence = f"The answer of {url.host} is not one of HTTP: {error}."[:300]
            exchange.failure = Failure(Reason.PROTOCOL_ERROR, sentence)
        finally:
            sock.close()

    def _secured(
        self, sock: socket.socket, exchange: HttpExchange, deadline_s: float
    ) -> socket.socket:
        exchange.phase, began_s = WebPhase.TLS, clock.monotonic_s()
        sock.settimeout(left_s(deadline_s))
        secured = self._context.wrap_socket(sock, server_hostname=exchange.url.host.rstrip("."))
        exchange.tls_ms = _since_ms(began_s)
        exchange.tls_version = secured.version()
        return secured

    def _ask(
        self, sock: socket.socket, exchange: HttpExchange, cookies: CookieJar, deadline_s: float
    ) -> None:
        exchange.phase, began_s = WebPhase.FIRST_BYTE, clock.monotonic_s()
        sock.settimeout(left_s(deadline_s))
        sock.sendall(_head(exchange.url, cookies.field(exchange.url)))
        reader = io.BufferedReader(DeadlineReader(sock, deadline_s), _READ_BYTES)
        if not reader.peek(1):
            raise EOFError
        exchange.first_byte_ms = _since_ms(began_s)
        exchange.phase, began_s = WebPhase.BODY, clock.monotonic_s()
        head = read_head(reader)
        exchange.status, exchange.http_version = head.status, head.version
        exchange.location = head.get("location")
        cookies.store(exchange.url, head.all("set-cookie"), head.get("date"))
        if not is_redirect(exchange):
            self._read(BodyReader(reader, head, self._max_bytes), exchange)
            exchange.body_ms = _since_ms(began_s)
        exchange.phase = None

    def _read(self, body: BodyReader, exchange: HttpExchange) -> None:
        try:
            body.read()
        finally:
            exchange.body_bytes, exchange.complete = body.body_bytes, body.complete


def _head(url: Url, cookies: str) -> bytes:
    cookie = f"Cookie: {cookies}\r\n" if cookies else ""
    return (
        f"GET {url.path} HTTP/1.1\r\nHost: {url.authority}\r\n"
        f"User-Agent: tramdo-probe/{VERSION}\r\nAccept: text/html, */*;q=0.8\r\n{cookie}"
        "Accept-Encoding: gzip\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n"
    ).encode("latin-1")


def _take_winner(exchange: HttpExchange, race: Race, winner: Attempt, lookups: Lookups) -> None:
    first_s = race.attempts[0].began_s
    exchange.address = winner.peer.ip
    exchange.resolver = lookups.resolver(winner.family)
    if exchange.resolver is not None:
        exchange.dns_ms = (first_s - exchange.began_s) * 1000
    exchange.phase = WebPhase.TCP
    exchange.tcp_ms = _since_ms(first_s)


def _take_failure(exchange: HttpExchange, race: Race, lookups: Lookups) -> None:
    failed = race.failed()
    if failed is None:
        _, exchange.resolver, exchange.failure = lookups.failed()
        return
    peer, exchange.failure = failed
    exchange.phase, exchange.address = WebPhase.TCP, peer.ip
    exchange.resolver = lookups.resolver(Family.of(peer.ip))
    if exchange.resolver is not None:
        exchange.dns_ms = (race.attempts[0].began_s - exchange.began_s) * 1000


def _tls_failure(error: ssl.SSLError, url: Url) -> Failure:
    if isinstance(error, ssl.SSLCertVerificationError):
        sentence = f"The certificate of {url.host} is not good: {error.verify_message.rstrip('.')}."
        return Failure(Reason.TLS_ERROR, sentence)
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        sentence = f"{url.host} broke the connection off while TLS was being set up or used."
        return Failure(Reason.CONNECTION_LOST, sentence)
    return Failure(Reason.TLS_ERROR, f"No TLS with {url.host}: {error.reason or error}.")


def _since_ms(began_s: float) -> float:
    return (clock.monotonic_s() - began_s) * 1000
