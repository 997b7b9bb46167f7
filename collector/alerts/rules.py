"""Floor 1. The alert rules: from a snapshot of the centre's data to rule results.

A rule is HOLDS or CLEAR only where the data allow it, else UNKNOWN. Silence counts from when the
centre was connected to the broker: after a restart every probe would otherwise be silent. A
backlog grows only if two samples of this run show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated

from msgspec import Meta, Struct

from collector.alerts.alert import AlertKind, Key, RuleResult, RuleState, Subject
from collector.domain.centre_health import Check, CheckName, CheckState
from collector.domain.name_conflicts import WINDOW, NameConflict
from collector.domain.operators import Finding, FindingKind
from collector.store.records import NotedDifference
from wire.result import Family

Minutes = Annotated[int, Meta(ge=1, le=100_000)]
_OPERATOR_KINDS = {
    FindingKind.CROSSED: AlertKind.LINES_CROSSED,
    FindingKind.OTHER_NETWORK: AlertKind.OTHER_NETWORK,
    FindingKind.NAT_CHANGED: AlertKind.NAT_CHANGED,
}


class Rules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The limits of the rules: the table `[alerts.rules]`."""

    # A probe sends its health every few minutes.
    silent_after_minutes: Minutes = 60
    line_down_after_minutes: Minutes = 10
    # Longer: the line goes on, over its other address family.
    family_down_after_minutes: Minutes = 60
    # Days in a row on which a line's mean speed is below the share of the declared speed.
    plan_missed_days: Annotated[int, Meta(ge=1, le=90)] = 3
    plan_missed_samples: Annotated[int, Meta(ge=1, le=1000)] = 4
    backlog_results: Annotated[int, Meta(ge=1, le=10_000_000)] = 500
    backlog_minutes: Minutes = 120
    # Who carries a line: a change counts after so long, and until it is as old as the usual.
    operator_minutes: Minutes = 30
    operator_nat_minutes: Minutes = 150
    operator_usual_days: Annotated[int, Meta(ge=1, le=90)] = 7
    certificate_days: Annotated[int, Meta(ge=1, le=365)] = 30
    # Disk, database, broker, roll-ups, backup and their like, bad for so long without a break.
    centre_unhealthy_after_minutes: Minutes = 10


class BacklogSample(Struct, frozen=True):
    """The number of pending results that a probe reported, and when."""

    at: datetime
    pending: int


class ProbeObservation(Struct, frozen=True, kw_only=True):
    """A probe as the centre observed it. `backlogs` are ascending by time, from this run only."""

    tenant: str
    probe: str
    last_contact_at: datetime | None
    backlogs: Sequence[BacklogSample] = ()
    name_conflict: NameConflict | None = None


class LineObservation(Struct, frozen=True, kw_only=True):
    """A line as the centre observed it.

    `answered_at` is when a target beyond the line last answered, `failed_at` when one last did not.
    Both are as old as the last message of its probe.
    """

    tenant: str
    probe: str
    line: str
    answered_at: datetime | None
    failed_at: datetime | None


class FamilyObservation(Struct, frozen=True, kw_only=True):
    """An address family of a line that has two, and what the other one did meanwhile.

    `asked_at` is the last latency window to a target beyond the router, `answered_at` the last one
    with an answer, None where it never had one.
    """

    tenant: str
    probe: str
    line: str
    family: Family
    answered_at: datetime | None
    asked_at: datetime
    other_answered_at: datetime | None
    other_asked_at: datetime


class DailySpeed(Struct, frozen=True):
    """A line's mean speeds of one whole local day, each as a share of the declared speed (1 = all).

    `begins_at` is the local midnight, with its time zone.
    """

    begins_at: datetime
    samples: int
    down_share: float | None
    up_share: float | None


class LineSpeedHistory(Struct, frozen=True, kw_only=True):
    """The last days of a line with a declared plan; days with too few samples are included."""

    tenant: str
    probe: str
    line: str
    days: Sequence[DailySpeed]
    limit: float


class Certificate(Struct, frozen=True):
    """A certificate or revocation list and when it expires; None where that cannot be read.

    `probe` is empty for those of the centre.
    """

    name: str
    not_after: datetime | None
    tenant: str = ""
    probe: str = ""


class RollUpObservation(Struct, frozen=True, kw_only=True):
    """Whether roll-ups of a line differ from its raw results, as the nightly check has noted it.

    `noted` are its days and months, ascending.
    """

    tenant: str
    probe: str
    line: str
    noted: Sequence[NotedDifference] = ()


class CentreObservation(Struct, frozen=True):
    """A check of the centre's own health, and since when it has been bad; None while it is not."""

    check: Check
    bad_since: datetime | None = None


class Snapshot(Struct, frozen=True, kw_only=True):
    """The input of all rules. `listening_since` is None while the broker is not connected."""

    now: datetime
    listening_since: datetime | None
    probes: Sequence[ProbeObservation] = ()
    lines: Sequence[LineObservation] = ()
    families: Sequence[FamilyObservation] = ()
    speeds: Sequence[LineSpeedHistory] = ()
    rollups: Sequence[RollUpObservation] = ()
    certificates: Sequence[Certificate] = ()
    operators: Sequence[Finding] = ()
    centre: Sequence[CentreObservation] = ()


def evaluate(snapshot: Snapshot, rules: Rules) -> Iterator[RuleResult]:
    """Evaluate every rule for every subject: one result per key."""
    for probe in snapshot.probes:
        yield _silent(probe, snapshot, rules)
        yield _backlog(probe, rules)
        yield _name_shared(probe, snapshot)
    for line in snapshot.lines:
        yield _line_down(line, rules)
    for family in snapshot.families:
        yield _family_down(family, rules)
    for speed in snapshot.speeds:
        yield _plan_missed(speed, rules)
    for rollup in snapshot.rollups:
        yield _rollups_differ(rollup)
    for finding in snapshot.operators:
        yield _operator(finding)
    for certificate in snapshot.certificates:
        yield _expiring(certificate, snapshot.now, rules)
        yield _unreadable(certificate, snapshot.now)
    for observation in snapshot.centre:
        yield _centre_unhealthy(observation, snapshot.now, rules)


def _silent(probe: ProbeObservation, snapshot: Snapshot, rules: Rules) -> RuleResult:
    key = Key(AlertKind.PROBE_SILENT, Subject(probe.tenant, probe.probe))
    tolerance = timedelta(minutes=rules.silent_after_minutes)
    since, contact = snapshot.listening_since, probe.last_contact_at
    if contact is not None and snapshot.now - contact < tolerance:
        return RuleResult(key=key, state=RuleState.CLEAR)
    if since is None or snapshot.now - since < tolerance:
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    evidence: dict[str, str | int | float] = {}
    if contact is not None:
        evidence["last_contact_at"] = contact.isoformat()
    return RuleResult(key=key, state=RuleState.HOLDS, since=contact or since, evidence=evidence)


def _line_down(line: LineObservation, rules: Rules) -> RuleResult:
    key = Key(AlertKind.LINE_DOWN, Subject(line.tenant, line.probe, line.line))
    failed, answered = line.failed_at, line.answered_at
    if answered is not None and (failed is None or answered >= failed):
        return RuleResult(key=key, state=RuleState.CLEAR)
    if failed is None:
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    if answered is None:
        return RuleResult(key=key, state=RuleState.HOLDS, since=failed)
    if failed - answered < timedelta(minutes=rules.line_down_after_minutes):
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    minutes = round((failed - answered).total_seconds() / 60)
    evidence: dict[str, str | int | float] = {"minutes_without_answer": minutes}
    return RuleResult(key=key, state=RuleState.HOLDS, since=answered, evidence=evidence)


def _family_down(seen: FamilyObservation, rules: Rules) -> RuleResult:
    """One that never answered is no outage, but a line without that family: the page shows it."""
    subject = Subject(seen.tenant, seen.probe, seen.line, seen.family.value)
    key = Key(AlertKind.FAMILY_DOWN, subject)
    tolerance = timedelta(minutes=rules.family_down_after_minutes)
    answered, other = seen.answered_at, seen.other_answered_at
    if answered is not None and answered >= seen.asked_at:
        return RuleResult(key=key, state=RuleState.CLEAR)
    if seen.other_asked_at - seen.asked_at > tolerance:
        # The line has lost its addresses of that family, and is measured over the other one.
        return RuleResult(key=key, state=RuleState.CLEAR)
    # Where the other one does not answer either, it is the line that is down.
    silent = other is None or seen.asked_at - other > tolerance
    if answered is None or silent or seen.asked_at - answered < tolerance:
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    minutes = round((seen.asked_at - answered).total_seconds() / 60)
    evidence: dict[str, str | int | float] = {"minutes_without_answer": minutes}
    return RuleResult(key=key, state=RuleState.HOLDS, since=answered, evidence=evidence)


def _plan_missed(speed: LineSpeedHistory, rules: Rules) -> RuleResult:
    key = Key(AlertKind.PLAN_MISSED, Subject(speed.tenant, speed.probe, speed.line))
    known = [day for day in speed.days if day.samples >= rules.plan_missed_samples]
    newest = sorted(known, key=lambda day: day.begins_at)[-rules.plan_missed_days :]
    if not newest:
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    if not _missed(newest[-1], speed.limit):
        return RuleResult(key=key, state=RuleState.CLEAR)
    in_a_row = all(
        later.begins_at - earlier.begins_at == timedelta(days=1)
        for earlier, later in pairwise(newest)
    )
    missed = all(_missed(day, speed.limit) for day in newest)
    if len(newest) < rules.plan_missed_days or not in_a_row or not missed:
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    shares = {
        name: round(min(values), 3)
        for name, values in (
            ("lowest_down_share", [d.down_share for d in newest if d.down_share is not None]),
            ("lowest_up_share", [d.up_share for d in newest if d.up_share is not None]),
        )
        if values
    }
    return RuleResult(
        key=key,
        state=RuleState.HOLDS,
        since=newest[0].begins_at,
        evidence={"days": len(newest), "limit_share": speed.limit, **shares},
    )


def _missed(day: DailySpeed, limit: float) -> bool:
    return any(share is not None and share < limit for share in (day.down_share, day.up_share))


def _backlog(probe: ProbeObservation, rules: Rules) -> RuleResult:
    key = Key(AlertKind.BACKLOG_GROWING, Subject(probe.tenant, probe.probe))
    if not probe.backlogs:
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    last = probe.backlogs[-1]
    if last.pending < rules.backlog_results:
        return RuleResult(key=key, state=RuleState.CLEAR)
    window = timedelta(minutes=rules.backlog_minutes)
    before = [backlog for backlog in probe.backlogs if last.at - backlog.at >= window]
    if not before:
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    if last.pending <= before[-1].pending:
        return RuleResult(key=key, state=RuleState.CLEAR)
    return RuleResult(
        key=key,
        state=RuleState.HOLDS,
        since=before[-1].at,
        evidence={"pending": last.pending, "pending_before": before[-1].pending},
    )


def _rollups_differ(seen: RollUpObservation) -> RuleResult:
    key = Key(AlertKind.ROLLUPS_DIFFER, Subject(seen.tenant, seen.probe, seen.line))
    if not seen.noted:
        return RuleResult(key=key, state=RuleState.CLEAR)
    first = seen.noted[0]
    evidence: dict[str, str | int | float] = {
        "period": first.period,
        "periods": len(seen.noted),
        "figures": sum(one.figures for one in seen.noted),
        "figure": first.figure,
    }
    if first.rolled_up is not None:
        evidence["rolled_up"] = first.rolled_up
    if first.raw is not None:
        evidence["raw"] = first.raw
    since = min(one.found_at for one in seen.noted)
    return RuleResult(key=key, state=RuleState.HOLDS, since=since, evidence=evidence)


def _operator(finding: Finding) -> RuleResult:
    key = Key(_OPERATOR_KINDS[finding.kind], Subject(*finding.key))
    if finding.holds is None:
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    if not finding.holds:
        return RuleResult(key=key, state=RuleState.CLEAR)
    return RuleResult(
        key=key, state=RuleState.HOLDS, since=finding.since, evidence=finding.evidence
    )


def _name_shared(probe: ProbeObservation, snapshot: Snapshot) -> RuleResult:
    """Clear only after an hour of listening: boxes that alternate are then seen to."""
    key = Key(AlertKind.NAME_SHARED, Subject(probe.tenant, probe.probe))
    conflict, since = probe.name_conflict, snapshot.listening_since
    if conflict is not None:
        evidence: dict[str, str | int | float] = {"returns": conflict.returns}
        return RuleResult(key=key, state=RuleState.HOLDS, since=conflict.since, evidence=evidence)
    listened = since is not None and snapshot.now - since >= WINDOW
    return RuleResult(key=key, state=RuleState.CLEAR if listened else RuleState.UNKNOWN)


def _centre_unhealthy(seen: CentreObservation, now: datetime, rules: Rules) -> RuleResult:
    """Certificates have alerts of their own, which name each one."""
    key = Key(AlertKind.CENTRE_UNHEALTHY, Subject(name=seen.check.name))
    state, since = seen.check.state, seen.bad_since
    if state is CheckState.UNKNOWN:
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    if state is not CheckState.BAD or since is None or seen.check.name is CheckName.CERTIFICATES:
        return RuleResult(key=key, state=RuleState.CLEAR)
    if now - since < timedelta(minutes=rules.centre_unhealthy_after_minutes):
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    return RuleResult(key=key, state=RuleState.HOLDS, since=since, evidence=seen.check.figures)


def _expiring(certificate: Certificate, now: datetime, rules: Rules) -> RuleResult:
    subject = Subject(certificate.tenant, certificate.probe, "", certificate.name)
    key = Key(AlertKind.CERTIFICATE_EXPIRING, subject)
    if certificate.not_after is None:
        return RuleResult(key=key, state=RuleState.UNKNOWN)
    warn_from = certificate.not_after - timedelta(days=rules.certificate_days)
    if now < warn_from:
        return RuleResult(key=key, state=RuleState.CLEAR)
    days = (certificate.not_after - now).days
    return RuleResult(
        key=key,
        state=RuleState.HOLDS,
        since=warn_from,
        evidence={"not_after": certificate.not_after.isoformat(), "days_left": days},
    )


def _unreadable(certificate: Certificate, now: datetime) -> RuleResult:
    subject = Subject(certificate.tenant, certificate.probe, "", certificate.name)
    key = Key(AlertKind.CERTIFICATE_UNREADABLE, subject)
    if certificate.not_after is not None:
        return RuleResult(key=key, state=RuleState.CLEAR)
    return RuleResult(key=key, state=RuleState.HOLDS, since=now)
