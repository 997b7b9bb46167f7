"""Floor 2. Kind `path`: probes the gateway, the first hops and every target at once.

Packets and sockets are in `hops`; `method` locates the fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import structs

from probe import clock
from probe.measure import gateway, line_networks, resolvers
from probe.measure.failure import Failure
from probe.measure.families import families_of
from probe.measure.latency.line_socket import line_failure, missing_interface
from probe.measure.lookup import Address, Lookup, family_of_literal
from probe.measure.measurement import MeasurementRequest, Progress, RawResult, failed_result
from probe.measure.own_networks import is_beyond
from probe.measure.path import hops, method
from probe.measure.path.hops import HopOutcome, HopProbe
from probe.measure.path.method import PathEvidence
from probe.version import VERSION
from wire.result import Family, HopAnswer, Method, Outcome, PathHop, PathTarget, Reason

_RESOLVE_S = 2.0
_LOOK_S = 0.05
_UNASKED = "No target beyond the office has an address, so nothing behind the gateway was asked."
# The probe's own failures say nothing about where the network fails.
_OWN_FAILURES = (Reason.PERMISSION_DENIED, Reason.TOOL_FAILED)


def measure(request: MeasurementRequest) -> Iterator[RawResult]:
    """Locate where packets of a line stop; yields one RawResult for each address family of it.

    Ok also where a fault was located; `failed` where nothing could be sent. Yields nothing where
    `request.stop` interrupts it, nor for a family of which no target has an address while the
    other has.
    """
    request.progress(Progress("path", 0.0))
    if (missing := missing_interface(request.line)) is not None:
        yield failed_result(*missing, target=f"path:{request.server.name}", family=request.family)
        return
    families = families_of(request.line) if request.family is None else (request.family,)
    found = [(family, _resolved(request, family)) for family in families or (None,)]
    with_targets = [one for one in found if any(lookup.address for _, lookup in one[1])]
    for family, targets in with_targets or found[:1]:
        yield from _over(request, family, targets)


def _over(
    request: MeasurementRequest, family: Family | None, targets: Sequence[tuple[str, Lookup]]
) -> Iterator[RawResult]:
    """The result of one family, None where any may be used."""
    known_router = gateway.of_family(request.line, family)
    at = None if known_router is None else resolvers.socket_address(known_router, 0)
    router = None if at is None else at.ip
    known = [lookup.address for _, lookup in targets if lookup.address is not None]
    aims = [HopProbe(address, None) for address in known]
    if at is not None:
        aims.append(HopProbe(at, None))
    config = request.config.path
    on_the_way = [HopProbe(known[0], hop) for hop in range(1, config.max_hops + 1)] if known else []
    outcomes = hops.send(
        request.line,
        [*aims, *on_the_way],
        config.probes_per_hop,
        config.timeout_s,
        request.stop,
    )
    if not request.stop.is_set():
        raw = _raw_result(request, targets, router, aims, on_the_way, outcomes)
        of_target = Family.of(known[0].ip) if known else None
        yield structs.replace(raw, family=family or of_target)


def _raw_result(
    request: MeasurementRequest,
    targets: Sequence[tuple[str, Lookup]],
    router: str | None,
    aims: Sequence[HopProbe],
    on_the_way: Sequence[HopProbe],
    outcomes: Sequence[HopOutcome],
) -> RawResult:
    known = [lookup.address for _, lookup in targets if lookup.address is not None]
    failure = _trouble(request, known, outcomes)
    direct = dict(zip((aim.address.ip for aim in aims), outcomes, strict=False))
    path = [
        hops.hop_of(aim, outcome)
        for aim, outcome in zip(on_the_way, outcomes[len(aims) :], strict=True)
    ]
    seen = PathEvidence(
        gateway=router,
        gateway_rtt_ms=None if router is None else _rtt_ms(direct[router]),
        hops=path,
        targets=[_target(name, lookup, direct, path) for name, lookup in targets],
        refusals=[
            answer.address
            for outcome in outcomes
            for answer in outcome.answers
            if answer.kind is HopAnswer.UNREACHABLE and answer.address is not None
        ],
        line_down=failure is not None and failure.reason is Reason.LINE_DOWN,
        own=line_networks.of_line(request.line),
    )
    values = method.values(seen)
    return RawResult(
        outcome=Outcome.OK if failure is None else Outcome.FAILED,
        reason=None if failure is None else failure.reason,
        detail=method.sentence(values) if failure is None else failure.sentence,
        target=f"path:{request.server.name}",
        values=values,
        method=Method(
            "tramdo-path",
            VERSION,
            {
                "packets": "ICMP echo and UDP in turn",
                "max_hops": request.config.path.max_hops,
                "probes_per_hop": request.config.path.probes_per_hop,
                "timeout_s": request.config.path.timeout_s,
            },
        ),
    )


def _resolved(request: MeasurementRequest, family: Family | None) -> list[tuple[str, Lookup]]:
    """Every target beyond the office, with its look-up: the request's server first, each once.

    One whose name has no address is among them. A host in the office says nothing of the line.
    """
    config = request.config
    hosts = {request.server.name: request.server.host}
    hosts |= {server.name: server.host for server in config.servers}
    hosts |= {host: host for host in config.latency.icmp_targets}
    if config.dns.public_resolver is not None:
        hosts[config.dns.public_resolver] = config.dns.public_resolver
    source = request.line.source_address
    found = [
        (name, Lookup(host, 0, source, family))
        for name, host in hosts.items()
        if family in (None, family_of_literal(host) or family)
    ]
    for _, lookup in found:
        lookup.refresh()
    deadline_s = clock.monotonic_s() + _RESOLVE_S
    while any(lookup.address is None and lookup.is_running for _, lookup in found):
        if clock.monotonic_s() > deadline_s or request.stop.wait(_LOOK_S):
            break
    once = {
        lookup.address.ip if lookup.address is not None else name: (name, lookup)
        for name, lookup in reversed(found)
    }
    own = line_networks.of_line(request.line)
    return [
        (name, lookup)
        for name, lookup in found
        if (name, lookup) in once.values()
        and (lookup.address is None or is_beyond(lookup.address.ip, own))
    ]


def _target(
    name: str, lookup: Lookup, direct: dict[str, HopOutcome], path: Sequence[PathHop]
) -> PathTarget:
    address = lookup.address
    if address is None:
        sentence = None if lookup.failure is None else lookup.failure.sentence
        return PathTarget(name=name, address=None, reached=False, rtt_ms=None, trouble=sentence)
    outcome = direct[address.ip]
    rtts_ms = [
        hop.rtt_ms
        for hop in path
        if hop.answer is HopAnswer.REACHED and hop.address == address.ip and hop.rtt_ms is not None
    ]
    rtt_ms = min((rtt for rtt in (_rtt_ms(outcome), *rtts_ms) if rtt is not None), default=None)
    failure = None
    if rtt_ms is None:
        said = [answer for answer in outcome.answers if answer.kind is HopAnswer.UNREACHABLE]
        failure = f"{address.ip} does not answer."
        if said:
            failure = f"{said[0].address} says that {address.ip} cannot be reached."
        elif outcome.failures:
            failure = outcome.failures[0].sentence
    return PathTarget(
        name=name, address=address.ip, reached=rtt_ms is not None, rtt_ms=rtt_ms, trouble=failure
    )


def _rtt_ms(outcome: HopOutcome) -> float | None:
    reached = [a.rtt_ms for a in outcome.answers if a.kind is HopAnswer.REACHED]
    return min(reached, default=None)


def _trouble(
    request: MeasurementRequest, known: Sequence[Address], outcomes: Sequence[HopOutcome]
) -> Failure | None:
    """Why the measurement failed: the line is down, sending not permitted, no name resolved.

    A silent gateway is not a failure of the measurement but a located fault.
    """
    down = line_failure(request.line)
    if down is not None:
        return down
    if known and any(outcome.answers for outcome in outcomes):
        return None
    own = [t for o in outcomes for t in o.failures if t.reason in _OWN_FAILURES]
    if own:
        return own[0]
    if not known and (not outcomes or any(outcome.answers for outcome in outcomes)):
        return Failure(Reason.NAME_RESOLUTION, _UNASKED)
    return None
