"""Floor 2. Resolves a page's host name by the line's own resolver, over the line.

The system's resolver might answer from a cache, or use another line.
"""

from __future__ import annotations

from typing import NamedTuple

from probe.config import LineConfig
from probe.measure import resolvers
from probe.measure.dns.exchange import DnsClient
from probe.measure.dns.message import BadNameError, DnsAnswer
from probe.measure.dns.method import (
    NOERROR,
    NXDOMAIN,
    REFUSED,
    PlannedQuery,
    QueryExchange,
    is_final,
)
from probe.measure.failure import Failure
from probe.measure.latency.line_socket import line_failure
from probe.measure.measurement import Stop
from wire.record import Family, Reason

_REASONS = {NXDOMAIN: Reason.NAME_NOT_FOUND, REFUSED: Reason.QUERY_REFUSED}


_RECORD_TYPES = {Family.IPV4: "A", Family.IPV6: "AAAA"}


class ResolvedName(NamedTuple):
    """The addresses of a name, and its resolver; None where the host is an address already."""

    addresses: tuple[str, ...]
    resolver: str | None
    failure: Failure | None


class LineResolver:
    """Resolves names over one line.

    Args:
        line: the line whose resolvers are used, in their order.
        port: of every resolver.
        timeout_s: for each resolver; the next one is asked where one does not answer, or answers
            with anything but NOERROR and NXDOMAIN, as SERVFAIL and REFUSED.
        stop: ends a wait early.
    """

    def __init__(self, line: LineConfig, port: int, timeout_s: float, stop: Stop) -> None:
        self._line = line
        # Found once, before any page is timed; a client remembers a resolver without EDNS. Those
        # of a family are their own, because both families are asked at the same time.
        found = resolvers.in_turn(line)
        self._clients = {
            family: [
                (text, DnsClient(line, resolvers.socket_address(text, port), timeout_s, stop))
                for text in found
            ]
            for family in Family
        }

    def resolve(self, host: str, family: Family) -> ResolvedName:
        """The addresses of a name in a family."""
        failure = Failure(Reason.NAME_RESOLUTION, f"No resolver is known for {self._line.id}.")
        resolver = None
        for resolver, client in self._clients[family]:
            try:
                exchange = client.ask(PlannedQuery(host, _RECORD_TYPES[family], False))
            except BadNameError as error:
                return ResolvedName((), resolver, Failure(Reason.NAME_RESOLUTION, str(error)))
            if exchange.answer is not None and is_final(exchange.answer):
                return _from_answer(host, resolver, exchange.answer)
            failure = _failure(host, resolver, exchange)
        return ResolvedName((), resolver, line_failure(self._line) or failure)


def _from_answer(host: str, resolver: str, answer: DnsAnswer) -> ResolvedName:
    if answer.addresses:
        return ResolvedName(answer.addresses, resolver, None)
    if answer.rcode == NOERROR:
        sentence = f"The name {host} has no address."
        return ResolvedName((), resolver, Failure(Reason.NAME_RESOLUTION, sentence))
    return ResolvedName((), resolver, _refusal(host, resolver, answer))


def _failure(host: str, resolver: str, exchange: QueryExchange) -> Failure:
    if exchange.answer is not None:
        return _refusal(host, resolver, exchange.answer)
    return exchange.failure or Failure(
        Reason.PROTOCOL_ERROR if exchange.malformed else Reason.TIMEOUT,
        f"The resolver {resolver} does not answer for {host}.",
    )


def _refusal(host: str, resolver: str, answer: DnsAnswer) -> Failure:
    reason = _REASONS.get(answer.rcode, Reason.SERVER_FAILURE)
    return Failure(reason, f"The resolver {resolver} says {answer.rcode} to {host}.")
