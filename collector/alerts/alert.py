"""Floor 1. Alerts: which begin, which are open, which have ended.

A rule (`collector.alerts.rules`) evaluates to HOLDS, CLEAR or UNKNOWN. `changes` compares the
results with the open alerts: an alert begins once, ends once, and stays open while its rule is
UNKNOWN. A collector that was stopped for a night therefore neither ends nor repeats an alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct


class AlertKind(StrEnum):
    """The kinds of alert: a closed list."""

    PROBE_SILENT = "probe_silent"
    LINE_DOWN = "line_down"
    FAMILY_DOWN = "family_down"
    PLAN_MISSED = "plan_missed"
    BACKLOG_GROWING = "backlog_growing"
    NAME_SHARED = "name_shared"
    LINES_CROSSED = "lines_crossed"
    OTHER_NETWORK = "other_network"
    NAT_CHANGED = "nat_changed"
    ROLLUPS_DIFFER = "rollups_differ"
    CERTIFICATE_EXPIRING = "certificate_expiring"
    CERTIFICATE_UNREADABLE = "certificate_unreadable"
    CENTRE_UNHEALTHY = "centre_unhealthy"


class Subject(Struct, frozen=True, order=True):
    """What an alert is about. A certificate of the centre itself has neither probe nor line.

    `name` is the certificate's name, the address family (`ipv4`, `ipv6`) of FAMILY_DOWN, or the
    check of CENTRE_UNHEALTHY (`collector.domain.centre_health.CheckName`); else empty.
    """

    tenant: str = ""
    probe: str = ""
    line: str = ""
    name: str = ""


class Key(Struct, frozen=True, order=True):
    """The identity of an open alert: at most one is open per key."""

    kind: AlertKind
    subject: Subject


class RuleState(StrEnum):
    """The outcome of a rule for one subject."""

    HOLDS = "holds"
    CLEAR = "clear"
    UNKNOWN = "unknown"


class RuleResult(Struct, frozen=True, kw_only=True):
    """The result of one rule evaluation for one subject.

    `since` is when the condition began according to the data, not when it was evaluated; set when
    the state is HOLDS. `evidence` has the figures, units in their names.
    """

    key: Key
    state: RuleState
    since: datetime | None = None
    evidence: dict[str, str | int | float] = {}


class Alert(Struct, frozen=True, kw_only=True):
    """An alert as stored. `number` is assigned by the AlertStore and never reused.

    `began_at` is taken from the data, `seen_at` from the centre's clock; `ended_at` is None while
    the alert is open. `commune_code` and `office` are those at its beginning.
    """

    number: int
    key: Key
    began_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    commune_code: str | None
    office: str | None
    evidence: dict[str, str | int | float]


class AlertHead(NamedTuple):
    """What alerts are found by: `commune_code` is that of the alert's beginning."""

    number: int
    subject: Subject
    commune_code: str | None


class Begin(Struct, frozen=True):
    """An alert to open."""

    result: RuleResult
    at: datetime


class End(Struct, frozen=True):
    """An open alert to close."""

    key: Key
    at: datetime


def changes(
    open_alerts: Mapping[Key, Alert], results: Iterable[RuleResult], now: datetime
) -> list[Begin | End]:
    """The alerts to open and to close: in the order of the results, then those without a rule.

    Args:
        open_alerts: by key.
        results: at most one per key. A key that is not among them is no longer monitored (its
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
