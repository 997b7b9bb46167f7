"""Floor 2. Kind `dns`: a round of queries to each resolver of a line, one after another.

The queries are in `method`, the sockets in `exchange`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from importlib.metadata import version

from probe import clock
from probe.measure import resolvers
from probe.measure.dns import method
from probe.measure.dns.exchange import DnsClient
from probe.measure.dns.message import BadNameError
from probe.measure.dns.method import Resolver
from probe.measure.families import families_of
from probe.measure.latency.line_socket import line_failure, missing_interface
from probe.measure.measurement import MeasurementRequest, Progress, RawResult, failed_result
from wire.result import Family, Method, Outcome, Reason, ResolverRole, Validity

_LABEL_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def measure(request: MeasurementRequest) -> Iterator[RawResult]:
    """Query each resolver of the line; yields a RawResult for each.

    A round that `request.stop` cuts short is flagged `short` and has the queries that had ended;
    without any it yields nothing. Without `dns.names` nothing is measured.
    """
    if not request.config.dns.names:
        return
    found = _resolvers(request)
    if not found:
        detail = f"No resolver is known for line {request.line.id}: set `resolvers` or `gateway`."
        yield failed_result(Reason.NAME_RESOLUTION, detail)
    missing = missing_interface(request.line)
    for number, resolver in enumerate(found):
        request.progress(Progress("dns", number / len(found)))
        if missing is not None:
            yield failed_result(
                *missing, target=f"dns:{resolver.address}", family=Family.of(resolver.address)
            )
            continue
        raw = _round(request, resolver)
        if raw is not None:
            yield raw


def _resolvers(request: MeasurementRequest) -> list[Resolver]:
    own = [Resolver(address, ResolverRole.LINE) for address in resolvers.of_line(request.line)]
    public = request.config.dns.public_resolver
    if public is None or any(resolver.address == public for resolver in own):
        return own
    return [*own, Resolver(public, ResolverRole.PUBLIC)]


def _round(request: MeasurementRequest, resolver: Resolver) -> RawResult | None:
    config = request.config.dns
    target = f"dns:{resolver.address}"
    labels = [_random_label() for _ in range(config.random_labels)]
    address = resolvers.socket_address(resolver.address, config.port)
    client = DnsClient(request.line, address, config.timeout_s, request.stop)
    ipv6 = families_of(request.line) == (Family.IPV6,)
    began_s = clock.monotonic_s()
    queries, exchanges = [], []
    for query in method.round_of(config, labels, ipv6=ipv6):
        try:
            exchange = client.ask(query)
        except BadNameError as error:
            return failed_result(
                Reason.NAME_RESOLUTION,
                str(error),
                target=target,
                family=Family.of(resolver.address),
            )
        if request.stop.is_set():
            break
        exchanges.append(exchange)
        queries.append(method.dns_query(query, exchange))
    if not queries:
        return None
    values = method.values(resolver, config, queries, exchanges)
    failures = [one.failure for one in exchanges if one.failure is not None]
    outcome, reason, detail = method.round_status(values, failures)
    down = line_failure(request.line) if outcome is Outcome.FAILED else None
    if down is not None:  # it explains any silence
        reason, detail = down
    return RawResult(
        outcome=outcome,
        reason=reason,
        detail=detail,
        target=target,
        family=Family.of(resolver.address),
        values=values,
        validity=[Validity.SHORT] if request.stop.is_set() else [],
        method=Method(
            "dnspython",
            version("dnspython"),
            {"repeats": config.repeats, "edns_bytes": client.edns_bytes},
        ),
        began_s=began_s,
        duration_s=clock.monotonic_s() - began_s,
    )


def _random_label() -> str:
    return "".join(secrets.choice(_LABEL_LETTERS) for _ in range(method.LABEL_LETTERS))
