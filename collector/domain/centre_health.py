"""Floor 1. The centre's own health: its figures, each assessed by limits that are stated with it.

A check is GOOD, ATTENTION (somebody should look at it these days) or BAD (something fails now, or
soon will), and UNKNOWN where the centre does not have the figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from collector.store.records import BackupRecord, Night, StoreStatus

DISK_ATTENTION_RATIO, DISK_BAD_RATIO = 0.15, 0.05
DISK_ATTENTION_DAYS, DISK_BAD_DAYS = 30, 7
REPLICATION_ATTENTION_S, REPLICATION_BAD_S = 60, 900
# Of the WAL: sixteen files, and what a busy centre writes in an hour or two.
REPLICATION_ATTENTION_BYTES, REPLICATION_BAD_BYTES = 256 << 20, 4 << 30
MESSAGES_ATTENTION, MESSAGES_BAD = 5_000, 50_000
SILENCE_ATTENTION_S, SILENCE_BAD_S = 900, 3_600
ROLL_UP_ATTENTION_S, ROLL_UP_BAD_S = 900, 3_600
# A copy a day, which may take some hours; a week without one.
BACKUP_ATTENTION_S, BACKUP_BAD_S = 36 * 3_600, 8 * 86_400
NIGHT_ATTENTION_S, NIGHT_BAD_S = 36 * 3_600, 4 * 86_400
# One that is not done by the evening: it goes on in the next night.
NIGHT_UNDONE_S = 12 * 3_600
CERTIFICATE_ATTENTION_DAYS, CERTIFICATE_BAD_DAYS = 30, 7
# Growth is stated from samples that are so far apart at least.
_GROWTH_LEAST = timedelta(days=1)

Figures = dict[str, str | int | float]


class CheckName(StrEnum):
    """What is checked: a closed list, in the order of the page."""

    DISK = "disk"
    DATABASE = "database"
    REPLICATION = "replication"
    BROKER = "broker"
    MESSAGES = "messages"
    ROLL_UPS = "rollups"
    BACKUP = "backup"
    MAINTENANCE = "maintenance"
    CERTIFICATES = "certificates"
    LEASES = "leases"
    CLOCK = "clock"


class CheckState(StrEnum):
    """The assessment of a check."""

    GOOD = "good"
    ATTENTION = "attention"
    BAD = "bad"
    UNKNOWN = "unknown"


class Check(Struct, frozen=True):
    """A check: its state, and the figures it was assessed by, units in their names."""

    name: CheckName
    state: CheckState
    figures: Figures = {}


class DiskSample(Struct, frozen=True):
    """The file system of the store at a time, UTC."""

    at: datetime
    size_bytes: int
    free_bytes: int
    database_bytes: int = 0


class CentreFigures(Struct, frozen=True, kw_only=True):
    """What a collector knows of itself, its store and its broker at a time.

    `disk` are samples of the store's file system, ascending, one a day; empty where the store is on
    another machine's. `pending_since` is when what waits for roll-ups was first seen waiting.
    `store` is None where the store does not answer, and `store_trouble` says why. `leases` are
    `(name, holder)`, holder "" for nobody. `certificates` are `(name, end)`. `broker_version` is
    None where the broker states none.
    """

    at: datetime
    disk: Sequence[DiskSample] = ()
    store: StoreStatus | None = None
    store_trouble: str | None = None
    broker_trouble: str | None = None
    broker_version: str | None = None
    waiting_messages: int = 0
    last_contact_at: datetime | None = None
    has_probes: bool = False
    pending_since: datetime | None = None
    night: Night | None = None
    running_since: datetime | None = None
    certificates: Sequence[tuple[str, datetime | None]] = ()
    leases: Sequence[tuple[str, str]] = ()
    holder: str = ""
    clock_synchronised: bool | None = None


def checks(figures: CentreFigures) -> list[Check]:
    """Every check that applies to this centre, in the order of `CheckName`."""
    return list(_checks(figures))


def _checks(figures: CentreFigures) -> Iterator[Check]:
    if figures.disk:
        yield _disk(figures.disk)
    yield _database(figures)
    if figures.store is not None and figures.store.database.replicas:
        yield _replication(figures.store)
    yield _broker(figures)
    yield _messages(figures)
    if figures.store is not None:
        yield _roll_ups(figures.store, figures)
        yield _backup(figures.store, figures.at)
    yield _maintenance(figures)
    if figures.certificates:
        yield _certificates(figures.certificates, figures.at)
    if figures.leases:
        yield _leases(figures.leases, figures.holder)
    yield _clock(figures.clock_synchronised)


def growth_bytes_per_day(samples: Sequence[DiskSample]) -> float | None:
    """What the disk fills by in a day, below zero where it empties; None with less than a day."""
    same = [one for one in samples if one.size_bytes == samples[-1].size_bytes]
    took = same[-1].at - same[0].at
    if took < _GROWTH_LEAST:
        return None
    return (same[0].free_bytes - same[-1].free_bytes) / (took / timedelta(days=1))


def _disk(samples: Sequence[DiskSample]) -> Check:
    now, growth = samples[-1], growth_bytes_per_day(samples)
    share = now.free_bytes / now.size_bytes if now.size_bytes else 0.0
    figures: Figures = {"size_bytes": now.size_bytes, "free_bytes": now.free_bytes}
    days = None
    if growth is not None:
        figures["growth_bytes_per_day"] = round(growth)
        if growth > 0:
            days = now.free_bytes / growth
            figures["days_left"] = round(days, 1)
    if share < DISK_BAD_RATIO or (days is not None and days < DISK_BAD_DAYS):
        return Check(CheckName.DISK, CheckState.BAD, figures)
    scarce = share < DISK_ATTENTION_RATIO or (days is not None and days < DISK_ATTENTION_DAYS)
    return Check(CheckName.DISK, CheckState.ATTENTION if scarce else CheckState.GOOD, figures)


def _database(figures: CentreFigures) -> Check:
    store = figures.store
    if store is None or figures.store_trouble:
        trouble = figures.store_trouble or ""
        return Check(CheckName.DATABASE, CheckState.BAD, {"trouble": trouble})
    known: Figures = {
        "kind": store.database.kind,
        "version": store.database.version,
        "size_bytes": store.database.size_bytes,
    }
    if store.last_stored_at is not None:
        known["last_stored_at"] = store.last_stored_at.isoformat()
    return Check(CheckName.DATABASE, CheckState.GOOD, known)


def _replication(store: StoreStatus) -> Check:
    """By the slowest standby. A lag in time alone is none where replay stands still."""
    replicas, name = store.database.replicas, CheckName.REPLICATION
    figures: Figures = {"replicas": len(replicas)}
    if not any(one.state for one in replicas):
        # The role sees that there are standbys, and no more.
        return Check(name, CheckState.UNKNOWN, figures)
    lag_s = max((one.lag_s for one in replicas if one.lag_s is not None), default=0.0)
    lag_bytes = max((one.lag_bytes for one in replicas if one.lag_bytes is not None), default=0)
    figures |= {"lag_s": round(lag_s, 1), "lag_bytes": lag_bytes}
    slowest = max(replicas, key=lambda one: (one.lag_bytes or 0, one.lag_s or 0.0))
    if slowest.name:
        figures["slowest"] = slowest.name
    states = [
        _by_limits(lag_s, REPLICATION_ATTENTION_S, REPLICATION_BAD_S),
        _by_limits(lag_bytes, REPLICATION_ATTENTION_BYTES, REPLICATION_BAD_BYTES),
    ]
    return Check(name, _worst(states), figures)


def _broker(figures: CentreFigures) -> Check:
    if figures.broker_trouble:
        return Check(CheckName.BROKER, CheckState.BAD, {"trouble": figures.broker_trouble})
    known: Figures = {"version": figures.broker_version} if figures.broker_version else {}
    return Check(CheckName.BROKER, CheckState.GOOD, known)


def _messages(figures: CentreFigures) -> Check:
    known: Figures = {"waiting": figures.waiting_messages}
    states = [_by_limits(figures.waiting_messages, MESSAGES_ATTENTION, MESSAGES_BAD)]
    if figures.last_contact_at is not None:
        known["last_contact_at"] = figures.last_contact_at.isoformat()
        silent_s = (figures.at - figures.last_contact_at).total_seconds()
        states.append(_by_limits(silent_s, SILENCE_ATTENTION_S, SILENCE_BAD_S))
    elif not figures.has_probes:
        states.append(CheckState.UNKNOWN)
    return Check(CheckName.MESSAGES, _worst(states), known)


def _roll_ups(store: StoreStatus, figures: CentreFigures) -> Check:
    known: Figures = {"pending_results": store.pending_results}
    if not store.pending_results or figures.pending_since is None:
        return Check(CheckName.ROLL_UPS, CheckState.GOOD, known)
    lag_s = (figures.at - figures.pending_since).total_seconds()
    known["lag_s"] = round(lag_s)
    return Check(CheckName.ROLL_UPS, _by_limits(lag_s, ROLL_UP_ATTENTION_S, ROLL_UP_BAD_S), known)


def _backup(store: StoreStatus, now: datetime) -> Check:
    archive = _archive(store, now)
    if store.last_backup is None:
        known: Figures = dict(archive)
        if store.restored_at is not None:
            known["restored_at"] = store.restored_at.isoformat()
        state = CheckState.GOOD if "archived_at" in archive else CheckState.ATTENTION
        return Check(CheckName.BACKUP, state, known)
    known = _backup_figures(store.last_backup) | archive
    if "archived_at" in archive:
        return Check(CheckName.BACKUP, CheckState.GOOD, known)
    age_s = (now - store.last_backup.at).total_seconds()
    return Check(CheckName.BACKUP, _by_limits(age_s, BACKUP_ATTENTION_S, BACKUP_BAD_S), known)


def _backup_figures(backup: BackupRecord) -> Figures:
    return {
        "at": backup.at.isoformat(),
        "duration_s": round(backup.duration_s, 1),
        "size_bytes": backup.size_bytes,
        "results": backup.results,
        "verified": int(backup.verified),
        "place": backup.place,
    }


def _archive(store: StoreStatus, now: datetime) -> Figures:
    """PostgreSQL's continuous archiving, where it has worked lately; else that it fails."""
    database = store.database
    if database.archive_failed_at is not None:
        return {"archive_failed_at": database.archive_failed_at.isoformat()}
    at = database.archived_at
    if at is None or (now - at).total_seconds() > BACKUP_ATTENTION_S:
        return {}
    return {"archived_at": at.isoformat()}


def _maintenance(figures: CentreFigures) -> Check:
    night, name = figures.night, CheckName.MAINTENANCE
    if night is None:
        since = figures.running_since
        new = since is None or (figures.at - since).total_seconds() < NIGHT_ATTENTION_S
        return Check(name, CheckState.UNKNOWN if new else CheckState.ATTENTION)
    known: Figures = {"began_at": night.began_at.isoformat()}
    if night.ended_at is not None:
        known["duration_s"] = round((night.ended_at - night.began_at).total_seconds())
    if night.failure:
        known["failure"] = night.failure
    age_s = (figures.at - night.began_at).total_seconds()
    state = _by_limits(age_s, NIGHT_ATTENTION_S, NIGHT_BAD_S)
    undone = night.ended_at is None and age_s > NIGHT_UNDONE_S
    if night.failure or undone:
        state = _worst([state, CheckState.ATTENTION])
    return Check(name, state, known)


def _certificates(certificates: Sequence[tuple[str, datetime | None]], now: datetime) -> Check:
    unreadable = [name for name, ends in certificates if ends is None]
    ends = sorted((ends, name) for name, ends in certificates if ends is not None)
    known: Figures = {"certificates": len(certificates)}
    states = [CheckState.BAD] if unreadable else [CheckState.GOOD]
    if unreadable:
        known["unreadable"] = ", ".join(unreadable)
    if ends:
        days = (ends[0][0] - now).days
        known |= {"first": ends[0][1], "ends_at": ends[0][0].isoformat(), "days_left": days}
        late, soon = days < CERTIFICATE_BAD_DAYS, days <= CERTIFICATE_ATTENTION_DAYS
        states.append(CheckState.BAD if late else CheckState.ATTENTION if soon else CheckState.GOOD)
    return Check(CheckName.CERTIFICATES, _worst(states), known)


def _leases(leases: Sequence[tuple[str, str]], holder: str) -> Check:
    nobody = [name for name, held_by in leases if not held_by]
    known: Figures = {
        "leases": len(leases),
        "here": sum(held_by == holder for _, held_by in leases),
        "holders": ", ".join(sorted({held_by for _, held_by in leases if held_by})),
    }
    if nobody:
        known["nobody"] = ", ".join(nobody)
    return Check(CheckName.LEASES, CheckState.BAD if nobody else CheckState.GOOD, known)


def _clock(synchronised: bool | None) -> Check:
    state = {None: CheckState.UNKNOWN, True: CheckState.GOOD, False: CheckState.ATTENTION}
    known: Figures = {} if synchronised is None else {"synchronised": int(synchronised)}
    return Check(CheckName.CLOCK, state[synchronised], known)


def _by_limits(value: float, attention: float, bad: float) -> CheckState:
    if value >= bad:
        return CheckState.BAD
    return CheckState.ATTENTION if value >= attention else CheckState.GOOD


_ORDER = (CheckState.BAD, CheckState.ATTENTION, CheckState.UNKNOWN, CheckState.GOOD)


def _worst(states: Sequence[CheckState]) -> CheckState:
    return min(states, key=_ORDER.index)


def versions(stated: Mapping[tuple[str, str], str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The probes by their version, the newest version first; "" where a probe states none."""
    by_version: dict[str, list[tuple[str, str]]] = {}
    for key, version in sorted(stated.items()):
        by_version.setdefault(version, []).append(key)
    return sorted(by_version.items(), key=lambda pair: _version_order(pair[0]), reverse=True)


def _version_order(text: str) -> tuple[list[int], bool, str]:
    """Numbers by value; a pre-release (1.2.0rc1) before its release."""
    numbers = []
    for part in text.split("."):
        digits = len(part) - len(part.lstrip("0123456789"))
        numbers.append(int(part[:digits]) if digits else 0)
        if digits < len(part):
            return numbers, False, text
    return numbers, True, text
