"""Floor 1. Kind `dns`: the queries of a round, how each ended, and the round's values.

Each query has exactly one ending, so that the counts of a round add up (docs/method.md#dns, D5).
Knows no bytes and no sockets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct, structs

from probe.config import DnsConfig
from probe.measure.dns.message import DnsAnswer
from probe.measure.failure import Failure
from probe.measure.latency import statistics
from probe.measure.measurement import MeasurementStatus
from wire.result import DnsEnding, DnsQuery, DnsValues, Outcome, Reason, ResolverRole

NOERROR, NXDOMAIN, REFUSED = "NOERROR", "NXDOMAIN", "REFUSED"
# What a responder without EDNS says to a query with it (RFC 6891 §7).
_NO_EDNS = {"FORMERR", "NOTIMP"}
# Of 36 letters and digits (83 bits): such a name is in no cache.
LABEL_LETTERS = 16


class PlannedQuery(NamedTuple):
    """A query of a round."""

    name: str
    record_type: str
    random_label: bool


class Resolver(NamedTuple):
    """A resolver and its role."""

    address: str
    role: ResolverRole


class QueryExchange(Struct, frozen=True, kw_only=True):
    """The outcome of one query.

    `failure` is what the network or the kernel reported where there was no answer; with neither
    failure nor answer, it timed out. `malformed` and `forged` count discarded packets.
    """

    answer: DnsAnswer | None = None
    failure: Failure | None = None
    rtt_ms: float | None = None
    tcp_ms: float | None = None
    truncated: bool = False
    malformed: int = 0
    forged: int = 0


def round_of(config: DnsConfig, labels: Sequence[str], *, ipv6: bool) -> list[PlannedQuery]:
    """The queries of a round: the configured names repeated, the random labels in between.

    Args:
        config: the names and repeats.
        labels: random labels, `config.random_labels` of them.
        ipv6: ask for AAAA instead of A, where the line carries only IPv6.
    """
    kind = "AAAA" if ipv6 else "A"
    listed = [
        PlannedQuery(name, kind, False) for _ in range(config.repeats) for name in config.names
    ]
    random = [PlannedQuery(f"{label}.{config.random_zone}", kind, True) for label in labels]
    return [*listed[: len(config.names)], *random, *listed[len(config.names) :]]


def lacks_edns(exchange: QueryExchange) -> bool:
    """Whether the resolver answered as one that knows no EDNS."""
    return exchange.answer is not None and exchange.answer.rcode in _NO_EDNS


def is_final(answer: DnsAnswer) -> bool:
    """Whether an answer settles a name, so that the next resolver need not be asked."""
    return answer.rcode in {NOERROR, NXDOMAIN}


def with_discarded(exchange: QueryExchange, before: QueryExchange) -> QueryExchange:
    """An exchange that also counts the packets discarded in the one before it."""
    return structs.replace(
        exchange,
        malformed=exchange.malformed + before.malformed,
        forged=exchange.forged + before.forged,
    )


def delay_ms(kernel_ns: int | None, process_ns: int) -> float:
    """The delay in ms by kernel timestamps, or by the process where a clock step falsified those.

    The process sends before and reads after the kernel, so its delay is never the shorter one.
    """
    if kernel_ns is not None and 0 <= kernel_ns <= process_ns:
        return kernel_ns / 1e6
    return process_ns / 1e6


def dns_query(query: PlannedQuery, exchange: QueryExchange) -> DnsQuery:
    """The record of a query with its ending."""
    answer = exchange.answer
    return DnsQuery(
        name=query.name,
        record_type=query.record_type,
        random_label=query.random_label,
        ending=_ending(query, exchange),
        rcode=None if answer is None else answer.rcode,
        rtt_ms=exchange.rtt_ms,
        truncated=exchange.truncated,
        tcp_ms=exchange.tcp_ms,
        answers=None if answer is None else answer.answers,
    )


def values(
    resolver: Resolver,
    config: DnsConfig,
    queries: Sequence[DnsQuery],
    exchanges: Sequence[QueryExchange],
) -> DnsValues:
    """The values of a round."""
    count = {ending: sum(q.ending is ending for q in queries) for ending in DnsEnding}
    sent, answered = len(queries), count[DnsEnding.ANSWERED]
    listed = [q for q in queries if not q.random_label]
    fresh = [q for q in queries if q.random_label]
    delays_ms = _delays_ms(listed)
    return DnsValues(
        resolver=resolver.address,
        port=config.port,
        role=resolver.role,
        timeout_s=config.timeout_s,
        sent=sent,
        answered=answered,
        not_found=count[DnsEnding.NOT_FOUND],
        refused=count[DnsEnding.REFUSED],
        server_failures=count[DnsEnding.SERVER_FAILURE],
        timeouts=count[DnsEnding.TIMEOUT],
        unreachable=count[DnsEnding.UNREACHABLE],
        malformed=count[DnsEnding.MALFORMED],
        forged=sum(exchange.forged for exchange in exchanges),
        truncated=sum(q.truncated for q in queries),
        failure_ratio=(sent - answered) / sent if sent else None,
        rtt_min_ms=min(delays_ms, default=None),
        rtt_p50_ms=statistics.percentile(delays_ms, len(listed) - len(delays_ms), 500),
        rtt_p95_ms=statistics.percentile(delays_ms, len(listed) - len(delays_ms), 950),
        rtt_max_ms=max(delays_ms, default=None),
        uncached_p50_ms=statistics.percentile(
            _delays_ms(fresh), len(fresh) - len(_delays_ms(fresh)), 500
        ),
        queries=list(queries),
    )


def round_status(found: DnsValues, failures: Sequence[Failure]) -> MeasurementStatus:
    """The status of a round: ok if any configured name was answered; failures are counted.

    Else the reason is the most frequent ending of the configured names, or of all where none is
    configured.
    """
    listed = [q for q in found.queries if not q.random_label] or found.queries
    if any(q.ending is DnsEnding.ANSWERED for q in listed):
        return MeasurementStatus(Outcome.OK, None, failures[0].sentence if failures else None)
    endings = [q.ending for q in listed]
    most = max(DnsEnding, key=endings.count)
    if most is DnsEnding.UNREACHABLE and failures:
        return MeasurementStatus(Outcome.FAILED, *failures[-1])
    return MeasurementStatus(Outcome.FAILED, *_FAILURES[most](found))


def _ending(query: PlannedQuery, exchange: QueryExchange) -> DnsEnding:
    answer = exchange.answer
    if answer is None:
        if exchange.failure is not None and exchange.failure.reason is not Reason.TIMEOUT:
            return DnsEnding.UNREACHABLE
        return DnsEnding.MALFORMED if exchange.malformed else DnsEnding.TIMEOUT
    if answer.rcode == NOERROR or (query.random_label and answer.rcode == NXDOMAIN):
        return DnsEnding.ANSWERED
    if answer.rcode == NXDOMAIN:
        return DnsEnding.NOT_FOUND
    return DnsEnding.REFUSED if answer.rcode == REFUSED else DnsEnding.SERVER_FAILURE


def _delays_ms(queries: Sequence[DnsQuery]) -> list[float]:
    return [q.rtt_ms for q in queries if q.ending is DnsEnding.ANSWERED and q.rtt_ms is not None]


def _rcodes(found: DnsValues) -> str:
    return ", ".join(_distinct(q.rcode for q in found.queries if q.rcode is not None))


def _distinct(words: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(words))


_FAILURES = {
    DnsEnding.NOT_FOUND: lambda found: Failure(
        Reason.NAME_NOT_FOUND, f"{found.resolver} says that there are no such names."
    ),
    DnsEnding.REFUSED: lambda found: Failure(
        Reason.QUERY_REFUSED, f"{found.resolver} refuses to answer."
    ),
    DnsEnding.SERVER_FAILURE: lambda found: Failure(
        Reason.SERVER_FAILURE, f"{found.resolver} reports a failure: {_rcodes(found)}."
    ),
    DnsEnding.TIMEOUT: lambda found: Failure(
        Reason.TIMEOUT,
        f"{found.resolver} answers none of {found.sent} queries within {found.timeout_s:g} s.",
    ),
    DnsEnding.UNREACHABLE: lambda found: Failure(
        Reason.UNREACHABLE, f"{found.resolver} cannot be reached."
    ),
    DnsEnding.MALFORMED: lambda found: Failure(
        Reason.PROTOCOL_ERROR, f"What comes from {found.resolver} is no answer of DNS."
    ),
    # Not chosen: a round with an answer has not failed.
    DnsEnding.ANSWERED: lambda found: Failure(Reason.TOOL_FAILED, f"{found.resolver} answers."),
}
