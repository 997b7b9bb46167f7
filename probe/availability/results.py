"""Floor 1. What a book tells, as the values of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from probe.availability.minutes import MINUTE_S, State
from probe.availability.tracker import Period, Told
from probe.measure.measurement import Finding
from wire.result import AvailabilityValues, Method, OutageValues, Outcome

Values = AvailabilityValues | OutageValues


def availability(period: Period, gateway: str | None, targets: Sequence[str]) -> AvailabilityValues:
    """A period's counts; availability = up / (up + down) (METHOD, Availability)."""
    counts = dict.fromkeys(State, 0) | period.counts
    up, down = counts[State.UP], counts[State.DOWN]
    return AvailabilityValues(
        up_minutes=up,
        down_minutes=down,
        unknown_minutes=sum(counts.values()) - up - down,
        availability_ratio=up / (up + down) if up + down else None,
        unknown_probe_off=counts[State.PROBE_OFF],
        unknown_not_running=counts[State.NOT_RUNNING],
        unknown_clock=counts[State.CLOCK],
        unknown_own_lan=counts[State.OWN_LAN],
        unknown_evidence=counts[State.EVIDENCE],
        gateway=gateway,
        targets=list(targets),
    )


def outage(told: Told) -> OutageValues:
    """An outage with its times."""
    run = told.outage
    down = run.bad_minutes if run.side is State.DOWN else 0
    return OutageValues(
        began_at=datetime.fromtimestamp(run.first * MINUTE_S, UTC),
        ended_at=datetime.fromtimestamp(run.end * MINUTE_S, UTC),
        ended_by=run.ended_by,
        down_minutes=down,
        own_lan_minutes=run.bad_minutes - down,
        unknown_minutes=run.unknown_minutes,
        fault=told.fault,
        path_measurements=told.looks,
    )


def finding(values: Values, method: Method, began_s: float, duration_s: float) -> Finding:
    """As a finding: always ok, for what is told is a fact, also where it is a bad one."""
    return Finding(
        outcome=Outcome.OK, values=values, method=method, began_s=began_s, duration_s=duration_s
    )
