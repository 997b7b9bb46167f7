"""What is due: for whom, when, and as a calendar that programs read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from collector.alerts.silence import Silence
from collector.domain.lines import known_lines
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.registry.planned_maintenance import (
    MaintenanceAction,
    MaintenanceEntry,
    MaintenanceScope,
    PlannedMaintenance,
)
from collector.registry.registry import Registry
from collector.reports.report import ReportKind
from collector.rollup.periods import Period, month_of, week_of
from collector.users.user import AuditEvent, Role, User
from collector.users.user_store import UserStore
from collector.web import due_view as view
from collector.web.calendar_file import CalendarEvent, calendar, escaped, folded
from collector.web.due_view import DueItem, DueKind, DueSources, IssuedPeriod
from tests.seeded_centre import REGISTRY
from tests.unit.test_centre_pages import EN, VI
from tests.unit.test_mailing import WEEKLY

# A Wednesday in Vietnam.
NOW = datetime(2026, 7, 29, 5, tzinfo=UTC)
WEEKS = Period(date(2026, 7, 27), date(2026, 8, 9))
PRESENT = parse_toml(
    REGISTRY.replace("contract_date = 2026-01-15", "contract_date = 2026-08-01", 1).encode(),
    "registry.toml",
    official(),
)
CENTRE = User(name="lan", role=Role.CENTRE)
OFFICE = User(name="xa", role=Role.OFFICE, communes=("01981",))
ENTRY = MaintenanceEntry(
    recorded_at=NOW - timedelta(days=3),
    author="lan",
    action=MaintenanceAction.ANNOUNCED,
    scope=MaintenanceScope(place="01981"),
    starts_at=datetime(2026, 7, 31, 15, tzinfo=UTC),
    ends_at=datetime(2026, 7, 31, 19, tzinfo=UTC),
    reason="thay cáp",
)
SILENCE = Silence(
    number=7,
    tenant="bach-thong",
    probe="tram-01969-1",
    starts_at=NOW,
    ends_at=NOW + timedelta(days=1),
    author="lan",
    reason="sửa điện",
)
SOURCES = DueSources(
    now=NOW,
    registry=PRESENT,
    areas={"19": "Tỉnh Thái Nguyên"},
    issued=[
        IssuedPeriod(ReportKind.WEEKLY, "19", week_of(date(2026, 7, 13))),
        IssuedPeriod(ReportKind.MONTHLY, "19", month_of(date(2026, 6, 1))),
        # Nobody has asked for it for half a year.
        IssuedPeriod(ReportKind.WEEKLY, "01969", week_of(date(2026, 1, 5))),
    ],
    events=[
        AuditEvent(
            at=NOW, user=user, address="", action="issue_paper", subject="weekly_19_20260713-x_v1"
        )
        for user in ("hoa", "minh")
    ],
    mailings=[WEEKLY],
    certificates=[("collector.crt", NOW + timedelta(days=2)), ("ca.crt", None)],
    probe_certificates=[
        ("bach-thong", "tram-01969-1", NOW + timedelta(days=3)),
        ("bach-thong", "tram-01981-1", NOW + timedelta(days=3)),
    ],
    maintenance=[PlannedMaintenance(number=4, entries=(ENTRY,))],
    silences=[SILENCE],
    lines=known_lines(PRESENT, []),
    report_form=lambda what, area: f"/papers {what} {area}",
)


def due(user: User, sources: DueSources = SOURCES) -> dict[str, DueItem]:
    found = view.due_items(sources, user, WEEKS, VI)
    assert len({one.key for one in found}) == len(found)
    assert [one.day for one in found] == sorted(one.day for one in found)
    return {one.key: one for one in found}


def test_the_centre_has_all_of_it_on_its_day() -> None:
    found = due(CENTRE)
    assert {key: one.day.isoformat() for key, one in found.items()} == {
        # Of the week that is over, the week that ends on Sunday, and the month.
        "report-weekly-19-20260720": "2026-07-27",
        "report-weekly-19-20260727": "2026-08-03",
        "report-monthly-19-20260701": "2026-08-01",
        "mailing-1-20260727": "2026-08-03",
        "campaign-2026-31": "2026-08-02",
        "campaign-2026-32": "2026-08-09",
        "certificate-centre-collector.crt-20260731": "2026-07-31",
        "certificate-probes-20260801": "2026-08-01",
        "maintenance-4": "2026-07-31",
        "silence-7": "2026-07-30",
        "contract-20260801": "2026-08-01",
    }
    report = found["report-weekly-19-20260720"]
    assert report.title == "Báo cáo tuần: Tỉnh Thái Nguyên, 20/07–26/07/2026"
    assert report.detail == "lần trước do hoa"
    assert report.is_done is False
    assert report.href == "/papers weekly:2026-W30 Tỉnh Thái Nguyên"
    assert found["report-monthly-19-20260701"].href == "/papers monthly:2026-07 Tỉnh Thái Nguyên"


def test_where_nothing_was_ever_issued_the_first_reports_are_due() -> None:
    found = due(CENTRE, SOURCES._replace(issued=[]))
    reports = {key: one.is_done for key, one in found.items() if one.kind is view.DueKind.REPORT}
    area = next(iter(PRESENT.groups), "all")
    assert reports == {
        f"report-weekly-{area}-20260720": False,
        f"report-weekly-{area}-20260727": False,
        f"report-monthly-{area}-20260601": False,
        f"report-monthly-{area}-20260701": False,
    }
    empty = SOURCES._replace(issued=[], registry=Registry(communes={}))
    assert not [key for key in due(CENTRE, empty) if key.startswith("report")]


def test_a_report_that_is_issued_is_done_and_one_that_is_not_stays_as_overdue() -> None:
    week = IssuedPeriod(ReportKind.WEEKLY, "19", week_of(date(2026, 7, 20)))
    found = due(CENTRE, SOURCES._replace(issued=[*SOURCES.issued, week]))
    assert found["report-weekly-19-20260720"].is_done is True
    may = IssuedPeriod(ReportKind.MONTHLY, "01969", month_of(date(2026, 5, 1)))
    late = due(CENTRE, SOURCES._replace(issued=[may]))
    weeks = view.by_week(list(late.values()), week_of(date(2026, 7, 27)))
    assert [one.key for one in weeks.overdue] == ["report-monthly-01969-20260601"]
    (row,) = view.rows(weeks.overdue, NOW, VI)
    assert (row.day, row.badge and row.badge.word) == ("Thứ Tư 01/07/2026", "Quá hạn")


def test_an_office_has_what_concerns_its_commune() -> None:
    found = due(OFFICE)
    assert set(found) == {
        "campaign-2026-31",
        "campaign-2026-32",
        "certificate-probes-20260801",
        "maintenance-4",
    }
    assert "tram-01969-1" not in found["certificate-probes-20260801"].title
    other = User(name="b", role=Role.OFFICE, communes=("01969",))
    assert {"maintenance-4"} & set(due(other)) == set()
    assert {"silence-7", "contract-20260801"} <= set(due(other))


def test_what_goes_on_is_of_this_week_and_what_was_withdrawn_is_not_due() -> None:
    long = structs.replace(ENTRY, starts_at=NOW - timedelta(days=9), ends_at=NOW)
    going_on = SOURCES._replace(maintenance=[PlannedMaintenance(number=4, entries=(long,))])
    items = list(due(CENTRE, going_on).values())
    weeks = view.by_week(items, week_of(date(2026, 7, 27)))
    assert "maintenance-4" in [one.key for one in weeks.this_week]
    gone = structs.replace(ENTRY, action=MaintenanceAction.WITHDRAWN)
    withdrawn = [PlannedMaintenance(number=4, entries=(ENTRY, gone))]
    assert "maintenance-4" not in due(CENTRE, SOURCES._replace(maintenance=withdrawn))


def test_every_kind_has_its_words() -> None:
    assert {one.kind for one in due(CENTRE).values()} == set(DueKind)
    for locale in (VI, EN):
        for row in view.rows(due(CENTRE).values(), NOW, locale):
            assert row.title
            assert row.href.startswith("/")


def test_the_calendar_has_stable_uids_and_no_event_that_is_done() -> None:
    done = IssuedPeriod(ReportKind.WEEKLY, "19", week_of(date(2026, 7, 20)))
    items = due(CENTRE, SOURCES._replace(issued=[*SOURCES.issued, done])).values()
    events = view.events(items, "https://centre.example.vn")
    later = view.events(due(CENTRE, SOURCES._replace(now=NOW + timedelta(hours=1))).values(), "")
    uids = {one.uid for one in events}
    assert "report-weekly-19-20260720@tramdo" not in uids
    assert uids < {one.uid for one in later}


@pytest.mark.parametrize(
    "text", ["", "a" * 75, "a" * 76, "ấ" * 120, "x" * 74 + "ấ", "x" * 73 + "🏛" * 40]
)
def test_lines_are_folded_within_75_octets_and_unfold_to_what_they_were(text: str) -> None:
    written = folded(text)
    assert all(len(line.encode()) <= 75 for line in written.split("\r\n"))
    assert written.replace("\r\n ", "") == text


def test_text_is_escaped() -> None:
    assert escaped("a;b,c\\d\ne\r\x00\x1b") == r"a\;b\,c\\d\ne"


def test_times_are_utc_and_days_are_days() -> None:
    times = CalendarEvent("a@x", NOW, NOW + timedelta(hours=1), "T")
    days = CalendarEvent("b@x", date(2026, 7, 30), date(2026, 7, 31), "D")
    text = calendar([times, days], "Tên", NOW).decode()
    assert "DTSTART:20260729T050000Z\r\nDTEND:20260729T060000Z\r\n" in text
    assert "DTSTART;VALUE=DATE:20260730\r\nDTEND;VALUE=DATE:20260731\r\n" in text
    assert text.count("DTSTAMP:20260729T050000Z\r\n") == 2
    assert "\n" not in text.replace("\r\n", "")


def test_a_link_is_of_one_user_until_it_is_replaced_revoked_or_the_user_is_gone(
    tmp_path: Path,
) -> None:
    store = UserStore(tmp_path / "people.sqlite")
    store.put(CENTRE, "hash")
    first = store.make_calendar_link("lan", NOW)
    assert store.calendar_link_made_at("lan") == NOW
    found = store.calendar_user(first)
    assert found is not None
    assert found.name == "lan"
    second = store.make_calendar_link("lan", NOW)
    assert store.calendar_user(first) is None
    assert store.calendar_user("") is None
    # The secret is in no file, as text or otherwise.
    assert second.encode() not in (tmp_path / "people.sqlite").read_bytes()
    store.revoke_calendar_link("lan")
    assert store.calendar_user(second) is None
    third = store.make_calendar_link("lan", NOW)
    store.put(CENTRE, "another hash")
    assert store.calendar_user(third) is None
    fourth = store.make_calendar_link("lan", NOW)
    store.disable("lan")
    assert store.calendar_user(fourth) is None
