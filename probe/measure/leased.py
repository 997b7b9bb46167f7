"""Floor 2. A bulk measurement with a lease of its server's slot.

Wraps the kinds `throughput` and `http`: the lease first, then the measurement at the granted port,
then what the server saw of other tests. Without a grant in time the result is `server_busy`, as
where every port is busy, so the slot comes again at another server (`probe.schedule.admission`).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from probe import clock
from probe.measure import lease
from probe.measure.interface_counters import counters_of
from probe.measure.lease import Lease, NoLease, Stopped
from probe.measure.measurement import MeasureFunction, MeasurementRequest, Progress, RawResult
from probe.plan.lease_terms import GRANTED_PATIENCE_S, lease_request, leased_server
from probe.schedule.admission import (
    AdmissionDecision,
    CrossTrafficLimits,
    InterfaceCounters,
    bulk_admission,
)
from wire.lease import Refused
from wire.record import Method, Outcome, Reason, Validity

# A wait shorter than this is covered by the idle check before it (ours).
_LONG_WAIT_S = 2.0
_Setting = str | int | float | bool | None


def leased(kind: str, measure: MeasureFunction) -> MeasureFunction:
    """The measurement of a bulk kind, made with a lease where its server grants them."""

    def measure_leased(request: MeasurementRequest) -> Iterator[RawResult]:
        port = request.server.lease_port
        if port is None or (kind == "http" and request.server.http_port is None):
            yield from measure(request)
            return
        request.progress(Progress("waiting for the server", 0.0))
        before = counters_of(request.line)
        terms = lease_request(request.config, request.line, kind)
        granted = lease.acquire(request, port, terms)
        if isinstance(granted, Lease):
            try:
                if _was_used(request, granted, before):
                    yield _skipped(Reason.CROSS_TRAFFIC, "the line was used while the test waited")
                    return
                yield from _with_lease(kind, measure, request, granted)
            finally:
                granted.close()
        elif isinstance(granted, NoLease):
            yield from _without_lease(measure, request, port, granted)
        elif isinstance(granted, Stopped):
            yield _skipped(Reason.SHUTTING_DOWN, "while waiting for a lease")
        else:
            yield _turned_away(request, granted)

    return measure_leased


def _with_lease(
    kind: str, measure: MeasureFunction, request: MeasurementRequest, held: Lease
) -> Iterator[RawResult]:
    began_s = clock.monotonic_s()
    patience_s = min(GRANTED_PATIENCE_S, request.config.throughput.busy_limit_s)
    at_port = structs.replace(
        request,
        server=leased_server(request.server, kind, held.granted),
        patience_s=patience_s,
        lease_token=held.granted.token,
    )
    for raw in measure(at_port):
        contended = held.release()
        yield _annotated(
            _timed(raw, began_s),
            {"lease": "granted", "lease_wait_s": round(held.waited_s, 3)},
            contended=contended,
        )


def _without_lease(
    measure: MeasureFunction, request: MeasurementRequest, port: int, why: NoLease
) -> Iterator[RawResult]:
    began_s = clock.monotonic_s()
    for raw in measure(request):
        contended = None
        if raw.values is not None:
            contended = lease.overlapped(request, port, clock.monotonic_s() - began_s)
        yield _annotated(
            _timed(raw, began_s),
            {"lease": "none", "lease_failure": why.why[:200]},
            contended=contended,
        )


def _was_used(request: MeasurementRequest, held: Lease, before: InterfaceCounters) -> bool:
    """Whether people used the line while a slot of the plan waited for its lease."""
    if request.slot_at is None or held.waited_s < _LONG_WAIT_S:
        return False
    plan = request.config.plan
    limits = CrossTrafficLimits(plan.cross_traffic_download_bps, plan.cross_traffic_upload_bps)
    return bulk_admission(before, counters_of(request.line), limits) is AdmissionDecision.DEFER


def _turned_away(request: MeasurementRequest, refused: Refused) -> RawResult:
    detail = f"{request.server.name} granted no lease: {refused.detail}"
    return _skipped(Reason.SERVER_BUSY, detail)


def _skipped(reason: Reason, detail: str) -> RawResult:
    return RawResult(outcome=Outcome.SKIPPED, reason=reason, detail=detail[:500])


def _timed(raw: RawResult, began_s: float) -> RawResult:
    """The result with the test's own times: the wait is not part of it."""
    if raw.began_s is not None:
        return raw
    return structs.replace(raw, began_s=began_s, duration_s=clock.monotonic_s() - began_s)


def _annotated(
    raw: RawResult, settings: dict[str, _Setting], *, contended: bool | None
) -> RawResult:
    method = raw.method or Method("tramdo-probe", None, {})
    method = structs.replace(method, settings={**method.settings, **settings})
    flags = {*raw.validity, *([Validity.SERVER_CONTENTION] if contended else [])}
    return structs.replace(raw, method=method, validity=sorted(flags))
