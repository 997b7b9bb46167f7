"""Floor 1. The probe's status, computed from events, and the LED patterns for it.

`fold` reads no clock, and a fault stays until an event clears it. `frame` gives each LED's pattern.
The pattern carries the meaning as well as the colour (DESIGN, section 5): steady, breathing, slow
and fast blinking and off can be distinguished without seeing colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, structs

from probe.availability.minutes import LEAST_TARGETS
from probe.config import Config
from probe.events import (
    DeliveryStatus,
    Event,
    Fault,
    IdentifyRequested,
    MeasurementEnded,
    MeasurementProgressed,
    MeasurementStarted,
    ResultProduced,
)
from probe.measure.measurement import Progress
from runtime.language import Phrase
from wire.messages import LineState
from wire.result import (
    GATEWAY_TARGET,
    Family,
    LatencyResult,
    Outcome,
    Reason,
    Result,
    Utc,
    headline,
    kind_of,
)

# Users notice a minute with this loss ratio (ITU-T G.1010: 3 % for data at most).
DEGRADED_LOSS_RATIO = 0.03


class Activity(Struct, frozen=True):
    """A running bulk measurement."""

    kind: str
    progress: Progress | None = None


class LatestResult(Struct, frozen=True):
    """The newest result of a kind against a target; `within_office`: the target is in there."""

    kind: str
    target: str | None
    outcome: Outcome
    reason: Reason | None
    detail: str | None
    started_at: datetime
    figures: dict[str, float | None]
    within_office: bool = False
    family: Family | None = None


class LineStatus(Struct, frozen=True):
    """A line's state, its running measurement, and its latest results.

    `silent_families`: those over which nothing on the Internet answers while the other works.
    """

    id: str
    isp: str | None
    state: LineState = LineState.UNKNOWN
    activity: Activity | None = None
    last: dict[str, LatestResult] = {}
    silent_families: list[Family] = []


class Status(Struct, frozen=True, kw_only=True):
    """The probe's status. `pending` counts results that no receipt covers yet.

    `cause` and `faults` are in English, `cause_vi` and `faults_vi` the same in Vietnamese; a fault
    has the name of the part. A daemon of an earlier version states them in English alone.
    """

    tenant: str
    probe: str
    lines: dict[str, LineStatus]
    connected: bool = False
    cause: str | None = None
    cause_vi: str | None = None
    pending: int = 0
    faults: dict[str, str] = {}
    faults_vi: dict[str, str] = {}
    identify_until_s: float | None = None

    def why_unconnected(self) -> Phrase | None:
        """Why there is no connection to the broker; None where no cause is known."""
        return None if self.cause is None else Phrase(self.cause_vi or self.cause, self.cause)

    def fault_reports(self) -> Iterator[tuple[str, Phrase]]:
        """Each fault's part and text, by part."""
        for part, text in sorted(self.faults.items()):
            yield part, Phrase(self.faults_vi.get(part, text), text)


class Pattern(StrEnum):
    """The pattern of an LED."""

    OFF = "off"
    STEADY = "steady"
    BREATHING = "breathing"
    SLOW_BLINK = "slow_blink"
    FAST_BLINK = "fast_blink"


# LED name ("power", "centre", "<line>.green", "<line>.red") to pattern.
Frame = dict[str, Pattern]


class StatusSnapshot(Struct, frozen=True, kw_only=True):
    """The content of the status file: the status, the LED patterns, and when it was written."""

    written_at: Utc
    pid: int
    version: str
    leds_driver: str
    status: Status
    leds: Frame


def initial(config: Config) -> Status:
    """The status before the first event."""
    return Status(
        tenant=config.tenant,
        probe=config.probe,
        lines={line.id: LineStatus(line.id, line.isp) for line in config.lines},
    )


def fold(status: Status, event: Event) -> Status:
    """The status after an event. Events of an unknown line change nothing."""
    match event:
        case DeliveryStatus():
            return _with_delivery(status, event)
        case Fault(part, text):
            return _with_fault(status, part, text)
        case IdentifyRequested(until_s):
            return structs.replace(status, identify_until_s=until_s)
        case ResultProduced(result, within):
            return _with_line(status, result.line.id, lambda line: _measured(line, result, within))
        case MeasurementStarted(line_id, kind):
            return _with_line(
                status, line_id, lambda line: structs.replace(line, activity=Activity(kind))
            )
        case MeasurementProgressed(line_id, kind, progress):
            return _with_line(status, line_id, lambda line: _progressed(line, kind, progress))
        case MeasurementEnded(line_id, _):
            return _with_line(status, line_id, lambda line: structs.replace(line, activity=None))


def _with_delivery(status: Status, event: DeliveryStatus) -> Status:
    cause = event.cause
    return structs.replace(
        status,
        connected=event.connected,
        pending=event.pending,
        cause=None if cause is None else cause.en,
        cause_vi=None if cause is None else cause.vi,
    )


def _with_fault(status: Status, part: str, text: Phrase | None) -> Status:
    english = {name: old for name, old in status.faults.items() if name != part}
    vietnamese = {name: old for name, old in status.faults_vi.items() if name != part}
    if text is not None:
        english[part], vietnamese[part] = text.en, text.vi
    return structs.replace(status, faults=english, faults_vi=vietnamese)


def lit_names(status: Status) -> list[str]:
    """The names of all LEDs."""
    lines = status.lines.values()
    return ["power", "centre", *(f"{x.id}.{colour}" for x in lines for colour in _COLOURS)]


def frame(status: Status, now_s: float) -> Frame:
    """The LED patterns at a monotonic time."""
    lines = status.lines.values()
    names = lit_names(status)
    if status.identify_until_s is not None and now_s < status.identify_until_s:
        return dict.fromkeys(names, Pattern.FAST_BLINK)
    shown = {"power": Pattern.SLOW_BLINK if status.faults else Pattern.STEADY}
    shown["centre"] = _centre(status)
    for line in lines:
        green, red = _LINE_PATTERNS[line.state]
        if line.activity is not None:
            green = Pattern.BREATHING
        shown[f"{line.id}.green"], shown[f"{line.id}.red"] = green, red
    return shown


_COLOURS = ("green", "red")
# Longer than a bulk test keeps latency waiting (ours).
_STALE_S = 900.0
_LATENCY = kind_of(LatencyResult)
# Every host beyond the office has an ICMP target; STAMP targets are the same hosts.
_ECHO = "icmp:"
_LINE_PATTERNS = {
    LineState.UNKNOWN: (Pattern.OFF, Pattern.OFF),
    LineState.GOOD: (Pattern.STEADY, Pattern.OFF),
    LineState.DEGRADED: (Pattern.SLOW_BLINK, Pattern.SLOW_BLINK),
    LineState.DOWN: (Pattern.OFF, Pattern.FAST_BLINK),
}


def _centre(status: Status) -> Pattern:
    if not status.connected:
        return Pattern.OFF
    return Pattern.SLOW_BLINK if status.pending else Pattern.STEADY


def _with_line(status: Status, line_id: str, change: Callable[[LineStatus], LineStatus]) -> Status:
    line = status.lines.get(line_id)
    if line is None:
        return status
    return structs.replace(status, lines={**status.lines, line_id: change(line)})


def _progressed(line: LineStatus, kind: str, progress: Progress) -> LineStatus:
    """Only for a started kind: light kinds report progress, but not their end."""
    if line.activity is None or line.activity.kind != kind:
        return line
    return structs.replace(line, activity=Activity(kind, progress))


def _measured(line: LineStatus, result: Result, within_office: bool) -> LineStatus:
    latest = _last(result, within_office)
    last = {**_fresh(line.last, result), _place(result): latest}
    return structs.replace(
        line,
        last=last,
        state=_line_state(last.values()),
        silent_families=_silent_families(last.values()),
    )


def _fresh(last: dict[str, LatestResult], result: Result) -> dict[str, LatestResult]:
    """Without latency results that none came after, as of an address family that a line has lost.

    All targets of a line are measured at once, so that the others' are about as old as a new one.
    """
    if result.kind != _LATENCY:
        return last
    oldest_s = result.started_at.timestamp() - result.duration_s - _STALE_S
    return {
        place: one
        for place, one in last.items()
        if one.kind != _LATENCY or one.started_at.timestamp() >= oldest_s
    }


def _place(result: Result) -> str:
    """The kind and target that a newer result takes the place of; one over IPv6 has its own."""
    family = result.family if result.family is Family.IPV6 else None
    return " ".join(filter(None, [result.kind, result.target, family]))


def _last(result: Result, within_office: bool) -> LatestResult:
    return LatestResult(
        kind=result.kind,
        target=result.target,
        outcome=result.outcome,
        reason=result.reason,
        detail=result.detail,
        started_at=result.started_at,
        figures=headline(result),
        within_office=within_office,
        family=result.family,
    )


def _silent_families(last: Iterable[LatestResult]) -> list[Family]:
    """The families over which every target is silent, at least 2 hosts, while another answers."""
    beyond = [
        one
        for one in last
        if one.kind == _LATENCY and one.target != GATEWAY_TARGET and not one.within_office
    ]
    if all(one.outcome is Outcome.FAILED for one in beyond):
        return []
    silent = []
    for family in Family:
        of_family = [one for one in beyond if one.family is family]
        hosts = {one.target for one in of_family if (one.target or "").startswith(_ECHO)}
        failed = all(one.outcome is Outcome.FAILED for one in of_family)
        if failed and len(hosts) >= LEAST_TARGETS:
            silent.append(family)
    return silent


def _line_state(last: Iterable[LatestResult]) -> LineState:
    """Down when nothing beyond the office answers; degraded on failures or loss; else good.

    As for minutes (docs/method.md#availability, A1): where the gateway answers, at least 2
    silent targets behind it are needed for down; a single one may be down itself.
    """
    attempted = [one for one in last if one.outcome is not Outcome.SKIPPED]
    latency = [one for one in attempted if one.kind == _LATENCY and not one.within_office]
    beyond = [one for one in latency if one.target != GATEWAY_TARGET]
    hosts = {one.target for one in beyond if (one.target or "").startswith(_ECHO)}
    enough = beyond if len(hosts) >= LEAST_TARGETS else latency
    if enough and all(one.outcome is Outcome.FAILED for one in enough):
        return LineState.DOWN
    if not attempted:
        return LineState.UNKNOWN
    degraded = any(
        one.outcome is Outcome.FAILED or (one.figures.get("loss_ratio") or 0) > DEGRADED_LOSS_RATIO
        for one in attempted
    )
    return LineState.DEGRADED if degraded else LineState.GOOD
