"""Floor 2. Resolves a page's host name by the line's own resolver, over the line.

The system's resolver might answer from a cache, or use another line.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from probe.config import LineConfig
from probe.measure import resolvers
from probe.measure.dns.exchange import DnsClient
from probe.measure.dns.message import BadNameError
from probe.measure.dns.method import NOERROR, NXDOMAIN, REFUSED, PlannedQuery, QueryExchange
from probe.measure.failure import Failure
from probe.measure.latency.line_socket import line_failure
from probe.measure.lookup import Address
from probe.measure.measurement import Stop
from wire.result import Reason

_REASONS = {NXDOMAIN: Reason.NAME_NOT_FOUND, REFUSED: Reason.QUERY_REFUSED}


class ResolvedName(NamedTuple):
    """The address of a name, and its resolver; None where the host is an address already."""

    address: str | None
    resolver: str | None
    failure: Failure | None


class LineResolver:
    """Resolves names over one line.

    Args:
        line: the line whose resolvers are used, in their order.
        port: of every resolver.
        timeout_s: for each resolver; the next one is used where one does not answer.
        stop: ends a wait early.
    """

    def __init__(self, line: LineConfig, port: int, timeout_s: float, stop: Stop) -> None:
        self._line = line
        self._port = port
        self._timeout_s = timeout_s
        self._stop = stop

    def resolve(self, host: str) -> ResolvedName:
        """The first address of a host, of the line's address family."""
        if _is_address(host):
            return ResolvedName(host, None, None)
        kind = "AAAA" if ":" in (self._line.source_address or "") else "A"
        failure = Failure(Reason.NAME_RESOLUTION, f"No resolver is known for {self._line.id}.")
        resolver = None
        for resolver in resolvers.of_line(self._line):
            client = DnsClient(
                self._line, Address(resolver, self._port), self._timeout_s, self._stop
            )
            try:
                exchange = client.ask(PlannedQuery(host, kind, False))
            except BadNameError as error:
                return ResolvedName(None, resolver, Failure(Reason.NAME_RESOLUTION, str(error)))
            if exchange.answer is not None:
                return _from_exchange(host, resolver, exchange)
            failure = exchange.failure or Failure(
                Reason.PROTOCOL_ERROR if exchange.malformed else Reason.TIMEOUT,
                f"The resolver {resolver} does not answer for {host}.",
            )
        return ResolvedName(None, resolver, line_failure(self._line) or failure)


def _from_exchange(host: str, resolver: str, exchange: QueryExchange) -> ResolvedName:
    answer = exchange.answer
    if answer is not None and answer.addresses:
        return ResolvedName(answer.addresses[0], resolver, None)
    rcode = NOERROR if answer is None else answer.rcode
    if rcode == NOERROR:
        sentence = f"The name {host} has no address."
        return ResolvedName(None, resolver, Failure(Reason.NAME_RESOLUTION, sentence))
    reason = _REASONS.get(rcode, Reason.SERVER_FAILURE)
    sentence = f"The resolver {resolver} says {rcode} to {host}."
    return ResolvedName(None, resolver, Failure(reason, sentence))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
