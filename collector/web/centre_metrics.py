"""Floor 2. The centre's own health on `/metrics`: base units (seconds, bytes, ratios)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from collector.domain.centre_health import CentreFigures, Check, CheckState
from collector.store.records import StoredProbe, StoreStatus
from collector.web.metrics import Family, labels_text, unix_time


def text(figures: CentreFigures, checks: Sequence[Check], probes: Iterable[StoredProbe]) -> bytes:
    """The metrics in the text exposition format."""
    families = [
        *_checks(checks),
        *_disk(figures),
        *(() if figures.store is None else _store(figures.store)),
        *_parts(figures),
        _certificates(figures.certificates),
        _versions(probes),
    ]
    return ("\n".join(map(str, families)) + "\n").encode()


def _checks(checks: Sequence[Check]) -> Iterator[Family]:
    state = Family("tramdo_centre_check_state", "1 for the current state of a check of the centre")
    for check in checks:
        for one in CheckState:
            state.add(one is check.state, labels_text(check=check.name, state=one))
    yield state


def _disk(figures: CentreFigures) -> Iterator[Family]:
    size = Family("tramdo_store_filesystem_size_bytes", "Size of the store's file system")
    free = Family("tramdo_store_filesystem_avail_bytes", "What is free on the store's file system")
    if figures.disk:
        size.add(figures.disk[-1].size_bytes)
        free.add(figures.disk[-1].free_bytes)
    yield from (size, free)


def _store(store: StoreStatus) -> Iterator[Family]:
    database = store.database
    size = Family("tramdo_database_size_bytes", "Size of the database")
    size.add(database.size_bytes)
    info = Family("tramdo_database_info", "Kind and version of the database")
    info.add(1, labels_text(kind=database.kind, version=database.version))
    last = Family("tramdo_last_stored_timestamp_seconds", "Time when the last result was stored")
    last.add(unix_time(store.last_stored_at))
    lag = Family("tramdo_database_replication_lag_seconds", "Replay lag of a standby")
    behind = Family("tramdo_database_replication_lag_bytes", "WAL that a standby has not replayed")
    for place, one in enumerate(database.replicas):
        labels = labels_text(replica=one.name, number=str(place))
        lag.add(one.lag_s, labels)
        behind.add(one.lag_bytes, labels)
    replicas = Family("tramdo_database_replicas", "Standbys that are connected to the database")
    replicas.add(len(database.replicas))
    pending = Family("tramdo_rollup_pending_results", "Results that are not rolled up yet")
    pending.add(store.pending_results)
    yield from (size, info, last, lag, behind, replicas, pending, *_backup(store))
    archived = Family(
        "tramdo_database_archived_timestamp_seconds", "Time of PostgreSQL's last archived WAL file"
    )
    archived.add(unix_time(database.archived_at))
    yield archived


def _backup(store: StoreStatus) -> Iterator[Family]:
    at = Family("tramdo_backup_last_success_timestamp_seconds", "When the last backup began")
    size = Family("tramdo_backup_size_bytes", "Size of the last backup")
    took = Family("tramdo_backup_duration_seconds", "How long the last backup took")
    results = Family("tramdo_backup_results", "Results that were stored when the last backup ended")
    verified = Family("tramdo_backup_verified", "1 where the last backup was read whole afterwards")
    if (backup := store.last_backup) is not None:
        at.add(unix_time(backup.at))
        size.add(backup.size_bytes)
        took.add(backup.duration_s)
        results.add(backup.results)
        verified.add(backup.verified)
    yield from (at, size, took, results, verified)


def _parts(figures: CentreFigures) -> Iterator[Family]:
    connected = Family("tramdo_broker_connected", "1 while connected to the broker")
    connected.add(figures.broker_trouble is None)
    broker = Family("tramdo_broker_info", "Version of the broker, where it states one")
    if figures.broker_version is not None:
        broker.add(1, labels_text(version=figures.broker_version))
    waiting = Family("tramdo_messages_waiting", "Messages that wait to be stored")
    waiting.add(figures.waiting_messages)
    lag = Family("tramdo_rollup_lag_seconds", "How long results have waited for roll-ups, at least")
    since = figures.pending_since
    lag.add(0 if since is None else (figures.at - since).total_seconds())
    began = Family(
        "tramdo_maintenance_last_run_timestamp_seconds", "When the last nightly maintenance began"
    )
    took = Family("tramdo_maintenance_duration_seconds", "How long it took")
    good = Family("tramdo_maintenance_last_run_success", "1 where it is done, 0 where it is not")
    if (night := figures.night) is not None:
        began.add(unix_time(night.began_at))
        good.add(night.ended_at is not None)
        if night.ended_at is not None:
            took.add((night.ended_at - night.began_at).total_seconds())
    clock = Family("tramdo_clock_synchronised", "1 while the centre's clock is synchronised")
    clock.add(figures.clock_synchronised)
    yield from (connected, broker, waiting, lag, began, took, good, clock)


def _certificates(certificates: Sequence[tuple[str, datetime | None]]) -> Family:
    ends = Family("tramdo_certificate_not_after_timestamp_seconds", "When a certificate expires")
    for name, at in dict(certificates).items():
        ends.add(unix_time(at), labels_text(name=name))
    return ends


def _versions(probes: Iterable[StoredProbe]) -> Family:
    counts = Family("tramdo_probes", "Probes by the version that they state")
    by_version: dict[str, int] = {}
    for probe in probes:
        version = probe.info.probe_version if probe.info else ""
        by_version[version] = by_version.get(version, 0) + 1
    for version, count in sorted(by_version.items()):
        counts.add(count, labels_text(version=version))
    return counts
