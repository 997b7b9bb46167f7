"""Floor 1. The time that the demo's centre has seen, and what an office reports of itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec import structs

from collector.rollup.periods import local_day, month_of
from deploy.authority import rules
from deploy.demo import district, month
from deploy.demo.district import DistrictLine, Fault, Office
from tests import samples
from wire import messages
from wire.messages import LineState
from wire.record import LineOperator, Nat

_DAY = timedelta(days=1)
_DEGRADED_LOSS = 0.01
_LEDS = {
    LineState.GOOD: ("steady", "off"),
    LineState.DEGRADED: ("slow_blink", "slow_blink"),
    LineState.DOWN: ("off", "fast_blink"),
}


class Past(NamedTuple):
    """The time that is seeded: from the first day of the last whole month, local, to `now`."""

    begins: datetime
    now: datetime

    @classmethod
    def until(cls, now: datetime) -> Past:
        """The past of a moment."""
        last_month = month_of(month_of(local_day(now)).first - _DAY)
        return cls(last_month.starts_at.astimezone(UTC), now)

    def days(self, until: datetime) -> Iterator[datetime]:
        """Each local midnight before a time."""
        midnight = self.begins
        while midnight < until:
            yield midnight
            midnight += _DAY


def health(office: Office, past: Past, at: datetime) -> messages.Health:
    """What an office's probe reports at a time; its lines stay as the past has left them."""
    faults = district.faults(past.begins, past.now)
    states = {
        line.id: _line_state(office, line, min(at, past.now), faults) for line in office.lines
    }
    operators = {
        line.id: [LineOperator(month.public_address(office.probe, line), Nat.NAT, at)]
        for line in office.lines
    }
    leds = {"power": "steady", "centre": "steady"}
    for line, state in states.items():
        leds[f"{line}.green"], leds[f"{line}.red"] = _LEDS[state]
    return structs.replace(
        samples.health(at=at, certificate_ends_at=past.begins + rules.PROBE_LIFETIME),
        lines=states,
        leds=leds,
        operators=operators,
        uptime_s=(at - past.begins).total_seconds(),
    )


def _line_state(
    office: Office, line: DistrictLine, at: datetime, faults: Sequence[Fault]
) -> LineState:
    for one in faults:
        if one.probe == office.probe and line.id in one.lines and one.begins <= at <= one.ends:
            return LineState.DOWN
    return LineState.DEGRADED if line.loss > _DEGRADED_LOSS else LineState.GOOD
