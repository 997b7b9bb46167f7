"""Floor 1. The system page: silent probes, gaps, backlogs, clocks, power, rejected messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from collector.domain.centre_health import versions
from collector.domain.lines import is_silent
from collector.domain.name_conflicts import NameConflict
from collector.ingest.status import IngestStatus
from collector.store import leases
from collector.store.leases import without_homes
from collector.store.messages import EpochKey
from collector.store.records import StoredProbe, StoredRejection, Totals
from collector.web.formatting import Moment, figure, moment, whole_number
from collector.web.presentation import Locale
from wire.ledger import Ledger

ROWS_MOST = 100
_EXPIRES_SOON_DAYS = 30


class ProblemRow(Struct, frozen=True):
    """A probe with a problem, and which one."""

    tenant: str
    probe: str
    office: str
    why: str
    at: Moment | None


class RejectedRow(Struct, frozen=True):
    """A rejected message."""

    at: Moment
    topic: str
    reason: str
    detail: str


class LeaseRow(NamedTuple):
    """What a collector may hold, and who holds it now; "" for nobody."""

    what: str
    holder: str
    is_here: bool


class VersionRow(NamedTuple):
    """A version of the probes' software, and how many state it; "" for none."""

    version: str
    probes: int
    is_newest: bool


class CertificateRow(NamedTuple):
    """A certificate and when it expires; `is_ok` while more than `_EXPIRES_SOON_DAYS` are left."""

    name: str
    ends_at: Moment | None
    days_left: int | None
    is_ok: bool


class SystemHealth(Struct, frozen=True, kw_only=True):
    """The content of the page. Lists have at most `ROWS_MOST` rows; `…_all` counts all."""

    probes: int
    silent: list[ProblemRow]
    silent_all: int
    gaps: list[ProblemRow]
    gaps_all: int
    backlog: list[ProblemRow]
    backlog_all: int
    clocks: list[ProblemRow]
    power: list[ProblemRow]
    names: list[ProblemRow]
    rejected: list[RejectedRow]
    rejected_all: int
    rejected_by: list[tuple[str, str]]


def certificate_row(
    name: str, ends_at: datetime | None, now: datetime, locale: Locale
) -> CertificateRow:
    """The row of a certificate; `ends_at` is None where the file could not be read."""
    if ends_at is None:
        return CertificateRow(name, None, None, False)
    left = (ends_at - now).days
    at = moment(ends_at, locale.language, locale.timezone)
    return CertificateRow(name, at, left, left > _EXPIRES_SOON_DAYS)


def by_version(probes: Iterable[StoredProbe]) -> dict[str, list[StoredProbe]]:
    """The probes by the version that they state, the newest first; "" for none."""
    found = {(one.tenant, one.probe): one for one in probes}
    stated = {key: one.info.probe_version if one.info else "" for key, one in found.items()}
    return {version: [found[key] for key in keys] for version, keys in versions(stated)}


def version_rows(probes: Mapping[str, Sequence[StoredProbe]]) -> list[VersionRow]:
    """A row for each version, the newest first."""
    return [
        VersionRow(version, len(of_version), place == 0 and bool(version))
        for place, (version, of_version) in enumerate(probes.items())
    ]


def probe_rows(probes: Sequence[StoredProbe], locale: Locale) -> list[ProblemRow]:
    """The first of these probes as rows."""
    return [
        _row(one, locale, one.info.probe_version if one.info else "") for one in probes[:ROWS_MOST]
    ]


def lease_rows(status: IngestStatus, locale: Locale) -> list[LeaseRow]:
    """The leases of tenants and of maintenance; none where the store has one collector."""
    return [
        LeaseRow(
            _held_thing(one.name, locale),
            one.holder if one.is_held else "",
            one.is_held_by(status.holder),
        )
        for one in without_homes(status.leases)
    ]


def _held_thing(name: str, locale: Locale) -> str:
    match name:
        case leases.MAINTENANCE:
            return locale.label("lease_maintenance")
        case leases.EVERY_TENANT:
            return locale.label("lease_every_tenant")
        case _:
            return ", ".join(leases.tenants_of([name]))


def system_health(
    probes: Sequence[StoredProbe],
    ledgers: Mapping[EpochKey, Ledger],
    rejected: Iterable[StoredRejection],
    totals: Totals,
    conflicts: Sequence[NameConflict],
    now: datetime,
    locale: Locale,
    most: int = ROWS_MOST,
) -> SystemHealth:
    """Evaluate the health of the system; at most so many rows of a table."""
    silent = [_row(p, locale, locale.label("not_heard")) for p in probes if is_silent(p, now)]
    by_name = {(p.tenant, p.probe): p for p in probes}
    gaps = [
        (sum(last - first + 1 for first, last in ledger.missing), key)
        for key, ledger in ledgers.items()
        if ledger.missing
    ]
    gap_rows = [
        _row(
            by_name[key[:2]],
            locale,
            f"{whole_number(many, locale.language)} {locale.label('results_missing')}",
        )
        for many, key in sorted(gaps, key=lambda pair: -pair[0])
        if key[:2] in by_name
    ]
    waiting = sorted(
        (p for p in probes if p.health and p.health.pending > 100),
        key=lambda p: -(p.health.pending if p.health else 0),
    )
    return SystemHealth(
        probes=len(probes),
        silent=sorted(silent, key=lambda row: row.at.iso if row.at else "")[:most],
        silent_all=len(silent),
        gaps=gap_rows[:most],
        gaps_all=len(gap_rows),
        backlog=[_row(p, locale, _pending(p, locale)) for p in waiting][:most],
        backlog_all=len(waiting),
        clocks=[
            _row(p, locale, locale.label("clock_bad"))
            for p in probes
            if p.health and p.health.clock_synchronised is False
        ][:most],
        power=[
            _row(p, locale, _power(p, locale)) for p in probes if p.health and p.health.throttled
        ][:most],
        names=[
            _row(by_name[one.tenant, one.probe], locale, _alternated(one, locale))
            for one in conflicts
            if (one.tenant, one.probe) in by_name
        ][:most],
        rejected=[
            RejectedRow(
                moment(one.received_at, locale.language, locale.timezone),
                one.topic,
                locale.label(f"rejected_{one.reason}"),
                one.detail,
            )
            for one in rejected
        ][::-1][:most],
        rejected_all=sum(totals.rejected.values()),
        rejected_by=[
            (locale.label(f"rejected_{reason}"), whole_number(many, locale.language))
            for reason, many in totals.rejected.items()
        ],
    )


def _alternated(conflict: NameConflict, locale: Locale) -> str:
    returns = whole_number(conflict.returns, locale.language)
    return f"{returns} {locale.label('returns_within_an_hour')}"


def _row(probe: StoredProbe, locale: Locale, why: str) -> ProblemRow:
    at = probe.last_contact_at
    return ProblemRow(
        probe.tenant,
        probe.probe,
        probe.site.office if probe.site else probe.probe,
        why,
        None if at is None else moment(at, locale.language, locale.timezone),
    )


def _pending(probe: StoredProbe, locale: Locale) -> str:
    assert probe.health is not None
    return f"{whole_number(probe.health.pending, locale.language)} {locale.label('pending_unit')}"


def _power(probe: StoredProbe, locale: Locale) -> str:
    assert probe.health is not None
    text = locale.label("power_bad")
    temperature = probe.health.temperature_c
    if temperature is None:
        return text
    return f"{text}, {figure(temperature, locale.language)} °C"
