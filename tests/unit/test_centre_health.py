"""The centre's own health: each check, its words in both languages, its alert and its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from collector.alerts.alert import AlertKind, RuleState
from collector.alerts.alert_database import AlertFile
from collector.alerts.health_records import HealthRecords
from collector.alerts.rules import CentreObservation, Rules, Snapshot, evaluate
from collector.domain import health_texts
from collector.domain.centre_health import (
    CentreFigures,
    Check,
    CheckName,
    CheckState,
    DiskSample,
    checks,
    growth_bytes_per_day,
    versions,
)
from collector.rollup.periods import VIETNAM
from collector.store.records import (
    BackupRecord,
    DatabaseStatus,
    Night,
    ReplicaStatus,
    StoreStatus,
)
from collector.web import centre_metrics, health_view
from collector.web.page_context import with_commands
from tests.unit.test_centre_pages import EN, NOW, VI, heard

GB = 10**9
DATABASE = DatabaseStatus("SQLite", "3.40.1", 2 * GB)
BACKUP = BackupRecord(NOW - timedelta(hours=5), 90.0, GB, 1_234, True, "may-1:/sao-luu/hom-nay")
STORE = StoreStatus(DATABASE, NOW, 0, 0, 0, BACKUP, None)
GOOD, ATTENTION, BAD, UNKNOWN = CheckState


def disk(*days_and_free: tuple[float, float]) -> list[DiskSample]:
    return [
        DiskSample(NOW - timedelta(days=days), 100 * GB, round(free * GB))
        for days, free in days_and_free
    ]


SOUND = CentreFigures(
    at=NOW,
    disk=disk((10, 60), (0, 50)),
    store=STORE,
    last_contact_at=NOW - timedelta(seconds=30),
    has_probes=True,
    night=Night(NOW - timedelta(hours=10), NOW - timedelta(hours=9)),
    certificates=[("collector.crt", NOW + timedelta(days=300))],
    leases=[("maintenance", "a@host")],
    holder="a@host",
    clock_synchronised=True,
    broker_version="Mosquitto 2.0.11",
)


def state_of(name: CheckName, figures: CentreFigures) -> CheckState:
    (one,) = [check for check in checks(figures) if check.name is name]
    return one.state


def test_a_sound_centre_is_good_in_every_check() -> None:
    found = checks(SOUND)
    assert {check.state for check in found} == {GOOD}
    assert [check.name for check in found] == [
        name for name in CheckName if name is not CheckName.REPLICATION
    ]
    assert not any(health_texts.action(check).vi for check in found)


@pytest.mark.parametrize(
    ("samples", "state"),
    [
        (disk((0, 50)), GOOD),
        (disk((0, 14.9)), ATTENTION),
        (disk((0, 4.9)), BAD),
        # 2 GB a day: 25 days, and 6.
        (disk((10, 70), (0, 50)), ATTENTION),
        (disk((10, 98), (0, 38)), BAD),
        # It empties, or is known for some hours only.
        (disk((10, 30), (0, 50)), GOOD),
        (disk((0.5, 90), (0, 20)), GOOD),
    ],
)
def test_a_disk_by_its_share_and_by_the_days_left(
    samples: Sequence[DiskSample], state: CheckState
) -> None:
    assert state_of(CheckName.DISK, structs.replace(SOUND, disk=samples)) is state


def test_growth_is_of_one_file_system() -> None:
    before = structs.replace(disk((5, 10))[0], size_bytes=20 * GB)
    assert growth_bytes_per_day([before, *disk((2, 60), (0, 50))]) == 5 * GB
    assert growth_bytes_per_day([before, *disk((0.2, 60), (0, 50))]) is None


@pytest.mark.parametrize(
    ("hours", "state"), [(5, GOOD), (35, GOOD), (36, ATTENTION), (191, ATTENTION), (192, BAD)]
)
def test_a_backup_by_its_age(hours: float, state: CheckState) -> None:
    old = BACKUP._replace(at=NOW - timedelta(hours=hours))
    figures = structs.replace(SOUND, store=STORE._replace(last_backup=old))
    assert state_of(CheckName.BACKUP, figures) is state


def test_a_centre_without_a_known_backup_is_not_called_good() -> None:
    without = STORE._replace(last_backup=None)
    figures = structs.replace(SOUND, store=without)
    assert state_of(CheckName.BACKUP, figures) is ATTENTION
    # PostgreSQL's own archiving is a backup, while it works.
    archived = DATABASE._replace(archived_at=NOW - timedelta(hours=1))
    figures = structs.replace(SOUND, store=without._replace(database=archived))
    assert state_of(CheckName.BACKUP, figures) is GOOD
    failing = archived._replace(archive_failed_at=NOW)
    figures = structs.replace(SOUND, store=without._replace(database=failing))
    assert state_of(CheckName.BACKUP, figures) is ATTENTION


def test_what_fails_now_is_bad() -> None:
    late = NOW - timedelta(hours=1)
    changes: dict[CheckName, dict[str, Any]] = {
        CheckName.DATABASE: {"store": None, "store_trouble": "disk full"},
        CheckName.BROKER: {"broker_trouble": "connection refused"},
        CheckName.MESSAGES: {"last_contact_at": late},
        CheckName.ROLL_UPS: {
            "store": STORE._replace(pending_results=5),
            "pending_since": late,
        },
        CheckName.MAINTENANCE: {"night": Night(NOW - timedelta(days=5))},
        CheckName.CERTIFICATES: {"certificates": [("a.crt", NOW + timedelta(days=3))]},
        CheckName.LEASES: {"leases": [("maintenance", "")]},
    }
    for name, change in changes.items():
        assert state_of(name, structs.replace(SOUND, **change)) is BAD, name


def replicated(*replicas: ReplicaStatus) -> CentreFigures:
    store = STORE._replace(database=DATABASE._replace(replicas=replicas))
    return structs.replace(SOUND, store=store)


@pytest.mark.parametrize(
    ("lag_s", "lag_bytes", "state"),
    [
        (None, 0, GOOD),
        (59.0, 1_000, GOOD),
        (60.0, 1_000, ATTENTION),
        (900.0, 1_000, BAD),
        # Replay stands still: PostgreSQL states no time then.
        (None, 256 << 20, ATTENTION),
        (None, 4 << 30, BAD),
        # Seen by a standby that follows another one: only there is the position known.
        (2.0, None, GOOD),
    ],
)
def test_a_standby_by_its_lag_in_time_and_in_bytes(
    lag_s: float | None, lag_bytes: int | None, state: CheckState
) -> None:
    swift = ReplicaStatus("may-2", "streaming", 0.1, 0)
    other = ReplicaStatus("may-3", "streaming", lag_s, lag_bytes)
    assert state_of(CheckName.REPLICATION, replicated(swift, other)) is state


def test_a_standby_that_the_role_may_not_see_is_not_called_good() -> None:
    figures = replicated(ReplicaStatus("may-2", "", None))
    (check,) = [one for one in checks(figures) if one.name is CheckName.REPLICATION]
    assert check.state is UNKNOWN
    assert "pg_monitor" in health_texts.finding(check, VIETNAM).vi
    assert "GRANT pg_monitor" in health_texts.action(check).vi


def test_a_broker_that_states_no_version_is_said_to() -> None:
    for version, vietnamese, english in (
        ("Mosquitto 2.0.11", "Phiên bản: Mosquitto 2.0.11.", "Version: Mosquitto 2.0.11."),
        (None, "Không rõ phiên bản", "Its version is not known"),
    ):
        figures = structs.replace(SOUND, broker_version=version)
        (check,) = [one for one in checks(figures) if one.name is CheckName.BROKER]
        assert check.state is GOOD
        text = health_texts.finding(check, VIETNAM)
        assert vietnamese in text.vi
        assert english in text.en
        metrics = centre_metrics.text(figures, checks(figures), []).decode()
        assert ('tramdo_broker_info{version="Mosquitto 2.0.11"} 1' in metrics) == bool(version)


def test_what_is_not_known_is_not_called_good() -> None:
    figures = structs.replace(
        SOUND, night=None, running_since=NOW, clock_synchronised=None, last_contact_at=None,
        has_probes=False,
    )  # fmt: skip
    for name in (CheckName.MAINTENANCE, CheckName.CLOCK, CheckName.MESSAGES):
        assert state_of(name, figures) is UNKNOWN
    idle = structs.replace(figures, running_since=NOW - timedelta(days=3))
    assert state_of(CheckName.MAINTENANCE, idle) is ATTENTION


def test_every_check_is_said_in_both_languages() -> None:
    rows = [
        (health_view.check_row(check, VI), health_view.check_row(check, EN))
        for check in checks(replicated(ReplicaStatus("may-2", "streaming", 2.0, 5_000)))
    ]
    assert len(rows) == len(CheckName)
    for vietnamese, english in rows:
        assert vietnamese.finding != english.finding
        assert vietnamese.limit != english.limit
    texts = [row.finding for row, _ in rows]
    assert texts[0] == (
        "Còn trống 50,0 GB trên 100,0 GB (50,0%). Mỗi ngày dùng thêm 1,0 GB; còn khoảng 50 ngày."
    )
    assert texts[2] == "1 bản sao đang nối; bản chậm nhất (may-2) chậm 2 giây, thiếu 5,0 kB."
    assert "1,0 GB, 1.234 kết quả, làm trong 90 giây, đã kiểm tra đọc lại" in texts[6]


def test_only_what_stays_bad_becomes_an_alert() -> None:
    bad = Check(CheckName.DISK, BAD, {"size_bytes": 100 * GB, "free_bytes": GB})

    def state(check: Check, minutes: float | None) -> RuleState:
        since = None if minutes is None else NOW - timedelta(minutes=minutes)
        observed = CentreObservation(check, since)
        snapshot = Snapshot(now=NOW, listening_since=None, centre=[observed])
        (result,) = evaluate(snapshot, Rules())
        assert result.key.kind is AlertKind.CENTRE_UNHEALTHY
        assert result.key.subject.name == check.name
        return result.state

    assert state(bad, 9) is RuleState.UNKNOWN
    assert state(bad, 10) is RuleState.HOLDS
    assert state(structs.replace(bad, state=ATTENTION), None) is RuleState.CLEAR
    assert state(structs.replace(bad, state=UNKNOWN), None) is RuleState.UNKNOWN
    # Each certificate has an alert of its own.
    assert state(Check(CheckName.CERTIFICATES, BAD), 90) is RuleState.CLEAR


def test_samples_and_nights_outlive_the_process(tmp_path: Path) -> None:
    database = AlertFile(tmp_path / "alerts.sqlite")
    records = HealthRecords(database)
    for sample in disk((40, 90), (2, 52), (1, 51), (0, 50)):
        records.add_disk_sample(sample)
    later = structs.replace(disk((0, 49))[0], at=NOW + timedelta(minutes=5))
    records.add_disk_sample(later)
    night = Night(NOW - timedelta(days=1), None, "disk full")
    records.put_night(night)
    records.put_night(structs.replace(night, ended_at=NOW, failure=None))
    database.close()
    again = HealthRecords(AlertFile(tmp_path / "alerts.sqlite"))
    # One of each day, the last; those of a month ago are gone.
    assert [one.free_bytes // GB for one in again.disk_samples()] == [52, 51, 49]
    assert again.last_night() == Night(NOW - timedelta(days=1), NOW)


def test_the_figures_are_metrics() -> None:
    figures = replicated(ReplicaStatus("may-2", "streaming", 2.0, 5_000))
    text = centre_metrics.text(figures, checks(figures), [heard()]).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    values = {
        name: [sample.value for sample in family.samples] for name, family in families.items()
    }
    assert values["tramdo_store_filesystem_avail_bytes"] == [50 * GB]
    assert values["tramdo_backup_last_success_timestamp_seconds"] == [BACKUP.at.timestamp()]
    assert values["tramdo_backup_verified"] == [1.0]
    assert values["tramdo_maintenance_duration_seconds"] == [3600.0]
    assert values["tramdo_database_replicas"] == [1.0]
    assert values["tramdo_database_replication_lag_seconds"] == [2.0]
    assert values["tramdo_database_replication_lag_bytes"] == [5_000.0]
    states = [
        (sample.labels["check"], sample.labels["state"])
        for sample in families["tramdo_centre_check_state"].samples
        if sample.value == 1
    ]
    assert states == [(check.name, "good") for check in checks(figures)]


def test_versions_are_in_the_order_of_their_numbers() -> None:
    stated = {("t", str(place)): version for place, version in enumerate(
        ["0.9.0", "0.10.0", "", "0.10.0rc1", "0.9.0"]
    )}  # fmt: skip
    assert [(version, len(keys)) for version, keys in versions(stated)] == [
        ("0.10.0", 1), ("0.10.0rc1", 1), ("0.9.0", 2), ("", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("name", list(CheckName))
def test_no_page_shows_a_backtick(name: CheckName) -> None:
    action = health_texts.action(Check(name, CheckState.BAD, {}))
    for text in action:
        html = with_commands(text)
        assert "`" not in html
        assert html.count("<code>") == text.count("`") / 2
    assert with_commands("<b>`a` & b") == "&lt;b&gt;<code>a</code> &amp; b"


def test_times_are_those_of_the_office() -> None:
    at = datetime(2026, 7, 24, 18, 30, tzinfo=UTC)
    check = Check(CheckName.MAINTENANCE, GOOD, {"began_at": at.isoformat(), "duration_s": 600})
    assert health_texts.finding(check, VIETNAM).vi == (
        "Bắt đầu lúc 01:30 25/07/2026, xong sau 10 phút."
    )
