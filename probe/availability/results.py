"""Floor 1. Availability periods and outages as values of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from probe.availability.minutes import MINUTE_S, MinuteState
from probe.availability.tracker import AvailabilityPeriod, LocatedOutage
from probe.measure.measurement import RawResult
from wire.result import AvailabilityValues, Family, Method, OutageValues, Outcome

Values = AvailabilityValues | OutageValues


def availability(
    period: AvailabilityPeriod, gateway: str | None, targets: Sequence[str]
) -> AvailabilityValues:
    """The counts of a period; availability = up / (up + down) (docs/method.md#availability)."""
    counts = dict.fromkeys(MinuteState, 0) | period.counts
    up, down = counts[MinuteState.UP], counts[MinuteState.DOWN]
    return AvailabilityValues(
        up_minutes=up,
        down_minutes=down,
        unknown_minutes=sum(counts.values()) - up - down,
        availability_ratio=up / (up + down) if up + down else None,
        unknown_probe_off=counts[MinuteState.PROBE_OFF],
        unknown_not_running=counts[MinuteState.NOT_RUNNING],
        unknown_clock=counts[MinuteState.CLOCK],
        unknown_own_lan=counts[MinuteState.OWN_LAN],
        unknown_evidence=counts[MinuteState.EVIDENCE],
        gateway=gateway,
        targets=list(targets),
        ipv4_down_minutes=period.family_down.get(Family.IPV4),
        ipv6_down_minutes=period.family_down.get(Family.IPV6),
    )


def outage(ended: LocatedOutage) -> OutageValues:
    """The values of an outage."""
    run = ended.outage
    down = run.bad_minutes if run.side is MinuteState.DOWN else 0
    return OutageValues(
        began_at=datetime.fromtimestamp(run.first * MINUTE_S, UTC),
        ended_at=datetime.fromtimestamp(run.end * MINUTE_S, UTC),
        ended_by=run.ended_by,
        down_minutes=down,
        own_lan_minutes=run.bad_minutes - down,
        unknown_minutes=run.unknown_minutes,
        fault=ended.fault,
        path_measurements=ended.path_observations,
    )


def raw_result(values: Values, method: Method, began_s: float, duration_s: float) -> RawResult:
    """The raw result of such values; its outcome is always ok."""
    return RawResult(
        outcome=Outcome.OK, values=values, method=method, began_s=began_s, duration_s=duration_s
    )
