"""Floor 1. Alerts: what began, what goes on, what has ended.

A rule (`collector.alerts.rules`) finds at each look that something holds, that it does not, or that
it cannot know. `changes` turns that into beginnings and ends: an alert begins once, ends once, and
stays open for as long as nobody can know. So a collector that was away for a night neither ends
what it could not see nor begins it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class AlertKind(StrEnum):
    """What can be wrong: a closed list."""

    PROBE_SILENT = "probe_silent"
    LINE_DOWN = "line_down"
    PLAN_MISSED = "plan_missed"
    BACKLOG_GROWING = "backlog_growing"
    CERTIFICATE_EXPIRING = "certificate_expiring"


class Subject(Struct, frozen=True, order=True):
    """What an alert is about. A certificate of the centre itself has neither probe nor line.

    `name` is the certificate's; for other kinds it is empty.
    """

    tenant: str = ""
    probe: str = ""
    line: str = ""
    name: str = ""


class Key(Struct, frozen=True, order=True):
    """One alert may be open for each of these."""

    kind: AlertKind
    subject: Subject


class RuleState(StrEnum):
    """What a rule found."""

    HOLDS = "holds"
    CLEAR = "clear"
    UNKNOWN = "unknown"


class RuleResult(Struct, frozen=True, kw_only=True):
    """What a rule found of one subject at one look.

    `since` is when it began by the evidence, not when it was seen; given when it HOLDS. `evidence`
    has the figures, units in their names.
    """

    key: Key
    state: RuleState
    since: datetime | None = None
    evidence: dict[str, str | int | float] = {}


class Alert(Struct, frozen=True, kw_only=True):
    """An alert as it is kept. `number` is given by the book that keeps it and never used again.

    `began_at` is by the evidence, `seen_at` by the centre's clock; `ended_at` is None while it is
    open. `commune_code` and `office` are those at its beginning.
    """

    number: int
    key: Key
    began_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    commune_code: str | None
    office: str | None
    evidence: dict[str, str | int | float]


class Begin(Struct, frozen=True):
    """An alert that is to be opened."""

    result: RuleResult
    at: datetime


class End(Struct, frozen=True):
    """An open alert that is over."""

    key: Key
    at: datetime


def changes(
    open_alerts: Mapping[Key, Alert], results: Iterable[RuleResult], now: datetime
) -> list[Begin | End]:
    """What begins and what ends, in the order of the findings, then what nobody watches any more.

    Args:
        open_alerts: by key.
        findings: at most one for each key; a key that is not among them is watched no more (its
            probe or line has left the registry), which ends its alert.
        now: the centre's clock, UTC.
    """
    found: list[Begin | End] = []
    seen = set[Key]()
    for result in results:
        seen.add(result.key)
        is_open = result.key in open_alerts
        if result.state is RuleState.HOLDS and not is_open:
            found.append(Begin(result, now))
        elif result.state is RuleState.CLEAR and is_open:
            found.append(End(result.key, now))
    found += [End(key, now) for key in open_alerts if key not in seen]
    return found
