"""Reports by e-mail: when one is due, what a form may state, what is claimed once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from collector.alerts.alert_database import AlertFile
from collector.alerts.mail import AttachedFile, Letter, letter
from collector.alerts.settings import MailConfig
from collector.mailing import letters
from collector.mailing.letters import ReportFacts
from collector.mailing.mailing_store import MailingStore
from collector.mailing.schedule import (
    Delivery,
    DeliveryState,
    Mailing,
    MailingProblem,
    MailingRefusedError,
    day_of,
    deliveries,
    due_at,
    due_period,
    minute_of,
    next_due,
    recipients,
)
from collector.reports.rendering import MEDIA_TYPES, ReportFormat
from collector.reports.report import ReportKind
from collector.rollup.periods import Period, month_of, week_of
from collector.web import mailing_view as view
from tests.unit.test_centre_pages import EN, VI

# A Wednesday, noon in Vietnam.
NOW = datetime(2026, 7, 29, 5, tzinfo=UTC)
WEEK = week_of(date(2026, 7, 20))
WEEKLY = Mailing(
    kind=ReportKind.WEEKLY,
    area_id="all",
    recipients=("a@example.vn", "b@example.vn"),
    day=1,
    minute=8 * 60,
    is_draft=False,
    author="lan",
    since=NOW - timedelta(days=30),
    number=1,
)
MONTHLY = structs.replace(WEEKLY, kind=ReportKind.MONTHLY, day=5)


def local(day: int, hour: int, month: int = 7) -> datetime:
    """A time in Vietnam."""
    return datetime(2026, month, day, hour, tzinfo=UTC) - timedelta(hours=7)


def test_a_report_is_due_on_its_day_after_its_period() -> None:
    assert due_at(WEEKLY, WEEK) == local(27, 8)
    assert due_at(structs.replace(WEEKLY, day=7, minute=0), WEEK) == local(2, 0, month=8)
    assert due_at(MONTHLY, month_of(date(2026, 6, 1))) == local(5, 8)


@pytest.mark.parametrize(
    ("now", "period"),
    [
        (local(27, 7), None),
        (local(27, 8), WEEK),
        (local(1, 12, month=8), WEEK),
        # The centre was off for most of a week: nothing is sent days late.
        (local(2, 9, month=8), None),
        (local(3, 7, month=8), None),
        (local(3, 8, month=8), week_of(date(2026, 7, 27))),
    ],
)
def test_a_weekly_report_falls_due_once_a_week(now: datetime, period: Period | None) -> None:
    assert due_period(WEEKLY, now) == period


@pytest.mark.parametrize(
    ("mailing", "now", "period"),
    [
        # Sunday 23:59, and a collector that looks on Monday.
        (structs.replace(WEEKLY, day=7, minute=23 * 60 + 59), local(3, 0, month=8), WEEK),
        (structs.replace(WEEKLY, day=5), local(5, 9, month=8), WEEK),
        (structs.replace(WEEKLY, day=5), local(6, 9, month=8), None),
        (structs.replace(MONTHLY, day=28), local(1, 9, month=8), month_of(date(2026, 6, 1))),
        (structs.replace(MONTHLY, day=28), local(4, 9, month=8), None),
    ],
)
def test_a_report_that_is_late_into_the_next_week_or_month_is_still_sent(
    mailing: Mailing, now: datetime, period: Period | None
) -> None:
    assert due_period(mailing, now) == period


def test_what_fell_due_before_it_was_set_or_while_it_was_stopped_is_not_sent() -> None:
    at = local(27, 9)
    assert due_period(structs.replace(WEEKLY, since=local(27, 8)), at) is None
    assert due_period(structs.replace(WEEKLY, is_active=False), at) is None
    assert due_period(structs.replace(WEEKLY, since=local(27, 7)), at) == WEEK


def test_the_next_time_is_stated() -> None:
    assert next_due(WEEKLY, NOW) == (local(3, 8, month=8), week_of(date(2026, 7, 27)))
    assert next_due(WEEKLY, local(27, 7)) == (local(27, 8), WEEK)
    assert next_due(MONTHLY, NOW) == (local(5, 8, month=8), month_of(date(2026, 7, 1)))
    late = structs.replace(MONTHLY, day=28)
    assert next_due(late, local(5, 8)) == (local(28, 8), month_of(date(2026, 6, 1)))
    january = datetime(2026, 1, 30, 5, tzinfo=UTC)
    early = structs.replace(MONTHLY, since=january)
    assert next_due(early, january)[1] == month_of(date(2026, 1, 1))


def test_addresses_are_read_as_people_type_them() -> None:
    typed = " van.thu@bac-kan.gov.vn;so@x.vn,\n so@x.vn \r\n"
    assert recipients(typed) == ("van.thu@bac-kan.gov.vn", "so@x.vn")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", MailingProblem.NOBODY),
        (" ; ", MailingProblem.NOBODY),
        ("vanthu", MailingProblem.ADDRESS),
        ("văn.thư@x.vn", MailingProblem.ADDRESS),
        ("a@x", MailingProblem.ADDRESS),
        ("<a@x.vn>", MailingProblem.ADDRESS),
        ("\n".join(f"a{number}@x.vn" for number in range(51)), MailingProblem.TOO_MANY),
    ],
)
def test_what_is_no_address_is_refused(text: str, why: MailingProblem) -> None:
    with pytest.raises(MailingRefusedError) as refused:
        recipients(text)
    assert refused.value.why is why
    for locale in (VI, EN):
        assert view.problem_text(refused.value, locale)


@pytest.mark.parametrize("text", ["", "0", "8", "-1", "٣", "1.0", "w1"])
def test_a_day_of_the_week_is_one_to_seven(text: str) -> None:
    with pytest.raises(MailingRefusedError):
        day_of(ReportKind.WEEKLY, text)
    assert day_of(ReportKind.MONTHLY, "28") == 28


@pytest.mark.parametrize("text", ["", "8:00", "24:00", "08:60", "08:00:00", "08h00"])
def test_a_time_has_hours_and_minutes(text: str) -> None:
    with pytest.raises(MailingRefusedError):
        minute_of(text)
    assert minute_of("23:59") == 1439


def test_a_form_whose_day_is_of_another_report_is_refused() -> None:
    fields = {"kind": "weekly", "day": "w3", "time": "07:30", "as": "draft", "recipients": "a@x.vn"}
    made = view.mailing_of(fields, "19", "lan", NOW)
    assert (made.day, made.minute, made.is_draft, made.area_id) == (3, 450, True, "19")
    for changed in ({"day": "3"}, {"kind": "monthly"}):
        with pytest.raises(MailingRefusedError):
            view.mailing_of(fields | changed, "19", "lan", NOW)


@pytest.fixture
def store(tmp_path: Path) -> MailingStore:
    return MailingStore(AlertFile(tmp_path / "alerts.sqlite"))


def planned(store: MailingStore) -> list[Delivery]:
    mailing = structs.replace(WEEKLY, number=store.add(WEEKLY))
    assert store.mailings() == [mailing]
    assert store.plan(deliveries(mailing, WEEK, NOW)) == 2
    return store.due(NOW)


def test_each_period_is_planned_once_and_each_delivery_claimed_once(store: MailingStore) -> None:
    first, second = planned(store)
    assert store.plan(deliveries(store.mailings()[0], WEEK, NOW + timedelta(hours=1))) == 0
    assert [store.claim(first, NOW) for _ in range(2)] == [True, False]
    assert [one.recipient for one in store.due(NOW)] == [second.recipient]
    store.finish(first, DeliveryState.SENT, NOW)
    # By hand it is sent again, to all.
    by_hand = deliveries(store.mailings()[0], WEEK, NOW, by_hand=True)
    assert store.plan(by_hand) == 2


def test_what_was_interrupted_is_not_sent_again_and_is_said(store: MailingStore) -> None:
    first, _ = planned(store)
    store.claim(first, NOW)
    store.end_interrupted(NOW + timedelta(minutes=14))
    assert store.newest(9)[-1].state is DeliveryState.SENDING
    store.end_interrupted(NOW + timedelta(minutes=15))
    one = store.newest(9)[-1]
    assert (one.state, one.attempts) == (DeliveryState.UNCERTAIN, 1)
    (row, *_) = view.delivery_rows([one], store.mailings(), {"all": "Toàn quốc"}, VI)
    assert "không tự gửi lại" in row.detail


def test_a_mailing_that_is_stopped_sends_nothing_that_waits(store: MailingStore) -> None:
    planned(store)
    number = store.mailings()[0].number
    store.set_active(number, NOW, active=False)
    assert store.due(NOW) == []
    store.set_active(number, NOW, active=True)
    assert store.due(NOW) == []
    assert store.mailings()[0].since == NOW
    store.remove(number)
    assert (store.mailings(), store.newest(9)) == ([], [])


def test_addresses_of_long_past_deliveries_go(store: MailingStore) -> None:
    planned(store)
    store.delete_old(NOW + timedelta(days=399))
    assert len(store.newest(9)) == 2
    store.delete_old(NOW + timedelta(days=401))
    assert store.newest(9) == []


def test_the_mail_says_what_it_is_and_holds_its_files() -> None:
    facts = ReportFacts(ReportKind.WEEKLY, "Xã Phủ Thông", WEEK, 2)
    delivery = deliveries(WEEKLY, WEEK, NOW)[0]
    made = Letter(
        letters.letter_id(delivery),
        delivery.recipient,
        letters.subject(facts),
        letters.text(facts),
        [AttachedFile("weekly.pdf", "application/pdf", b"%PDF-1.7 \r\n.\r\n")],
    )
    config = MailConfig(host="x", sender="tramdo@example.vn", recipients=["x@example.vn"])
    mail = letter(made, config)
    assert mail["To"] == "a@example.vn"
    assert letters.subject(facts) == (
        "Báo cáo tuần – Xã Phủ Thông – từ ngày 20/07/2026 đến ngày 26/07/2026"
    )
    assert "báo cáo tuần của xã Phủ Thông" in letters.text(facts)
    assert "Lần phát hành: 2." in letters.text(facts)
    assert "chưa phát hành" in letters.text(facts._replace(version=None))
    file = list(mail.walk())[-1]
    assert file.get_filename() == "weekly.pdf"
    assert file.get_payload(decode=True) == b"%PDF-1.7 \r\n.\r\n"
    text = AttachedFile("bulletin.txt", MEDIA_TYPES[ReportFormat.TEXT], "Độ trễ".encode())
    file = list(letter(made._replace(files=[text]), config).walk())[-1]
    assert (file.get_content_type(), file.get_content_charset()) == ("text/plain", "utf-8")
    again = deliveries(WEEKLY, WEEK, NOW + timedelta(hours=1))[0]
    assert letters.letter_id(again) == made.id


def test_schedules_and_deliveries_are_rows_in_both_languages() -> None:
    (vietnamese,) = view.mailing_rows([WEEKLY], {"all": "Toàn bộ"}, NOW, VI)
    assert (vietnamese.report, vietnamese.when) == ("Báo cáo tuần", "Thứ Hai, 08:00")
    assert vietnamese.next_period == "27/07/2026–02/08/2026"
    stopped = structs.replace(MONTHLY, is_active=False, is_draft=True)
    (english,) = view.mailing_rows([stopped], {}, NOW, EN)
    assert (english.report, english.when) == ("Monthly report (draft only)", "Day 5, 08:00")
    assert english.next_at is None
