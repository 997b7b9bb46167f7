"""Alerts: each rule, beginnings and ends, the book, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from email.header import decode_header, make_header
from pathlib import Path

import msgspec
import pytest

from collector.alerts import monitor, notification
from collector.alerts.alert import (
    Alert,
    AlertKind,
    Begin,
    End,
    Finding,
    Key,
    State,
    Subject,
    changes,
)
from collector.alerts.alert_store import Book, BookError, Whereabouts
from collector.alerts.mail import message
from collector.alerts.monitor import Watch
from collector.alerts.notification import Due, Edge, NotTakenError
from collector.alerts.notifier import Teller
from collector.alerts.rules import (
    Backlog,
    Certificate,
    LineSeen,
    LineSpeed,
    ProbeSeen,
    Rules,
    Snapshot,
    SpeedDay,
    findings,
)
from collector.alerts.settings import AlertsConfig, MailConfig
from collector.alerts.webhook import signature
from collector.domain.lines import KnownLine
from collector.registry.registry import LineKey
from collector.rollup.distribution import distribution
from collector.rollup.summary import Summary

NOW = datetime(2026, 7, 25, 5, 0, tzinfo=UTC)
HANOI = timezone(timedelta(hours=7))
RULES = Rules()
SUBJECT = Subject("bach-thong", "tram-01969-1")
LINE = Subject("bach-thong", "tram-01969-1", "vnpt")


def ago(**units: float) -> datetime:
    return NOW - timedelta(**units)


def found(kind: AlertKind, snapshot: Snapshot, rules: Rules = RULES) -> Finding:
    (finding,) = (f for f in findings(snapshot, rules) if f.key.kind is kind)
    return finding


LISTENING = ago(days=2)


def snapshot(listening_since: datetime | None = LISTENING, **seen: object) -> Snapshot:
    return msgspec.convert(
        {"now": NOW, "listening_since": listening_since, **seen}, Snapshot, from_attributes=True
    )


def probe(contact: datetime | None, backlogs: Sequence[Backlog] = ()) -> ProbeSeen:
    return ProbeSeen(
        tenant=SUBJECT.tenant, probe=SUBJECT.probe, last_contact_at=contact, backlogs=backlogs
    )


# Rules


@pytest.mark.parametrize(
    ("contact", "listening_since", "state"),
    [
        (ago(minutes=59), ago(days=2), State.CLEAR),
        (ago(minutes=60), ago(days=2), State.HOLDS),
        # A centre that was away does not know who was silent meanwhile.
        (ago(hours=9), ago(minutes=59), State.UNKNOWN),
        (ago(hours=9), None, State.UNKNOWN),
        (None, ago(minutes=61), State.HOLDS),
        (None, ago(minutes=5), State.UNKNOWN),
    ],
)
def test_a_silent_probe(
    contact: datetime | None, listening_since: datetime | None, state: State
) -> None:
    finding = found(AlertKind.PROBE_SILENT, snapshot(listening_since, probes=[probe(contact)]))
    assert finding.state is state
    if state is State.HOLDS:
        assert finding.since == (contact or listening_since)


@pytest.mark.parametrize(
    ("answered", "failed", "state"),
    [
        (ago(minutes=1), None, State.CLEAR),
        (ago(minutes=1), ago(minutes=2), State.CLEAR),
        (ago(minutes=9), ago(minutes=0), State.UNKNOWN),
        (ago(minutes=11), ago(minutes=1), State.HOLDS),
        (None, ago(minutes=1), State.HOLDS),
        (None, None, State.UNKNOWN),
    ],
)
def test_a_line_that_is_down(
    answered: datetime | None, failed: datetime | None, state: State
) -> None:
    line = LineSeen(
        tenant=LINE.tenant, probe=LINE.probe, line=LINE.line, answered_at=answered, failed_at=failed
    )
    finding = found(AlertKind.LINE_DOWN, snapshot(lines=[line]))
    assert finding.state is state
    assert finding.since == ((answered or failed) if state is State.HOLDS else None)


def day(back: int, down: float | None, up: float | None = 1.0, samples: int = 10) -> SpeedDay:
    return SpeedDay(NOW.replace(hour=17) - timedelta(days=back + 1), samples, down, up)


@pytest.mark.parametrize(
    ("days", "state"),
    [
        ([day(3, 0.7), day(2, 0.6), day(1, 0.79)], State.HOLDS),
        ([day(3, 1.0, 0.7), day(2, 0.7), day(1, 0.9, 0.5)], State.HOLDS),
        ([day(3, 0.7), day(2, 0.6), day(1, 0.80)], State.CLEAR),
        ([day(3, 0.9), day(2, 0.6), day(1, 0.7)], State.UNKNOWN),
        # A day with too few samples breaks the row and says nothing itself.
        ([day(3, 0.7), day(2, 0.6, samples=3), day(1, 0.7)], State.UNKNOWN),
        ([day(4, 0.7), day(3, 0.7), day(1, 0.7)], State.UNKNOWN),
        ([day(1, None, None)], State.CLEAR),
        ([], State.UNKNOWN),
    ],
)
def test_a_plan_that_is_missed_for_days(days: list[SpeedDay], state: State) -> None:
    speed = LineSpeed(tenant=LINE.tenant, probe=LINE.probe, line=LINE.line, days=days, limit=0.8)
    finding = found(AlertKind.PLAN_MISSED, snapshot(speeds=[speed]))
    assert finding.state is state
    if state is State.HOLDS:
        assert finding.since == days[0].begins_at
        assert finding.evidence["days"] == 3


@pytest.mark.parametrize(
    ("pending", "state"),
    [
        ([(150, 400), (60, 500), (0, 499)], State.CLEAR),
        ([(150, 500), (0, 800)], State.HOLDS),
        ([(120, 500), (60, 900), (0, 500)], State.CLEAR),
        ([(119, 500), (0, 9_000)], State.UNKNOWN),
        ([], State.UNKNOWN),
    ],
)
def test_a_backlog_that_grows(pending: list[tuple[int, int]], state: State) -> None:
    backlogs = [Backlog(ago(minutes=minutes), count) for minutes, count in pending]
    finding = found(AlertKind.BACKLOG_GROWING, snapshot(probes=[probe(NOW, backlogs)]))
    assert finding.state is state


@pytest.mark.parametrize(
    ("days", "state"), [(30.1, State.CLEAR), (29.9, State.HOLDS), (-1, State.HOLDS)]
)
def test_a_certificate_that_ends(days: float, state: State) -> None:
    certificate = Certificate("collector.crt", NOW + timedelta(days=days))
    finding = found(AlertKind.CERTIFICATE_EXPIRING, snapshot(certificates=[certificate]))
    assert finding.state is state


# Beginnings and ends

KEY = Key(AlertKind.LINE_DOWN, LINE)


def alert(number: int = 1, key: Key = KEY, ended_at: datetime | None = None) -> Alert:
    return Alert(
        number=number,
        key=key,
        began_at=ago(minutes=30),
        seen_at=ago(minutes=18),
        ended_at=ended_at,
        commune_code="01969",
        office="UBND xã Phủ Thông",
        evidence={"minutes_without_answer": 12},
    )


def finding(state: State, key: Key = KEY) -> Finding:
    since = ago(minutes=30) if state is State.HOLDS else None
    return Finding(key=key, state=state, since=since, evidence={"minutes_without_answer": 12})


@pytest.mark.parametrize(
    ("is_open", "state", "change"),
    [
        (False, State.HOLDS, Begin),
        (True, State.HOLDS, None),
        (True, State.UNKNOWN, None),
        (False, State.UNKNOWN, None),
        (True, State.CLEAR, End),
        (False, State.CLEAR, None),
    ],
)
def test_an_alert_begins_once_and_ends_once(
    is_open: bool, state: State, change: type[Begin | End] | None
) -> None:
    open_alerts = {KEY: alert()} if is_open else {}
    assert [type(c) for c in changes(open_alerts, [finding(state)], NOW)] == (
        [change] if change else []
    )


def test_what_nobody_watches_any_more_ends() -> None:
    assert changes({KEY: alert()}, [], NOW) == [End(KEY, NOW)]


# The book


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "alerts.sqlite")


def here(_: Subject) -> Whereabouts:
    return Whereabouts("01969", "UBND xã Phủ Thông")


def write(book: Book, *happened: Begin | End, channels: Sequence[str] = ("mail",)) -> None:
    book.write(happened, channels, here)


def test_the_book_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite"
    first = Book(path)
    write(first, Begin(finding(State.HOLDS), NOW))
    first.close()
    again = Book(path)
    (kept,) = again.open_alerts().values()
    assert (kept.number, kept.key, kept.seen_at, kept.office) == (1, KEY, NOW, "UBND xã Phủ Thông")
    assert [(due.edge, due.alert) for due in again.due("mail")] == [(Edge.BEGIN, kept)]
    assert changes(again.open_alerts(), [finding(State.HOLDS)], NOW) == []


def test_one_alert_of_a_kind_and_subject_is_open_at_a_time(book: Book) -> None:
    write(book, Begin(finding(State.HOLDS), NOW))
    with pytest.raises(BookError, match="cannot be written"):
        write(book, Begin(finding(State.HOLDS), NOW))
    write(book, End(KEY, NOW))
    write(book, Begin(finding(State.HOLDS), NOW))
    assert [one.number for one in book.newest(10)] == [2, 1]
    assert [one.ended_at for one in book.newest(10)] == [None, NOW]


def test_a_beginning_that_was_not_told_is_told_with_its_end(book: Book) -> None:
    write(book, Begin(finding(State.HOLDS), NOW), channels=("mail", "webhook"))
    book.told("mail", book.due("mail"))
    write(book, End(KEY, NOW), channels=("mail", "webhook"))
    for channel in ("mail", "webhook"):
        assert [due.edge for due in book.due(channel)] == [Edge.END]
        book.told(channel, book.due(channel))
        assert book.due(channel) == []


def test_an_end_without_a_beginning_is_nothing(book: Book) -> None:
    write(book, End(KEY, NOW))
    assert (book.newest(10), book.due("mail")) == ([], [])


def test_a_book_that_is_no_book(tmp_path: Path) -> None:
    (tmp_path / "alerts.sqlite").write_text("not a database, and long enough to be looked at")
    with pytest.raises(BookError, match="cannot be opened"):
        Book(tmp_path / "alerts.sqlite")


# Telling


class FakeChannel:
    def __init__(self) -> None:
        self.told: list[list[Edge]] = []
        self.is_away = False

    def __call__(self, due: Sequence[Due]) -> None:
        if self.is_away:
            raise NotTakenError("away")
        self.told.append([one.edge for one in due])


def test_each_is_told_once_and_a_channel_that_is_away_waits_ever_longer(book: Book) -> None:
    mail, webhook = FakeChannel(), FakeChannel()
    teller = Teller(book, {"mail": mail, "webhook": webhook}, wait_s=60)
    write(book, Begin(finding(State.HOLDS), NOW), channels=teller.names)
    webhook.is_away = True
    teller.tell(0)
    teller.tell(1)
    assert mail.told == [[Edge.BEGIN]]
    webhook.is_away = False
    teller.tell(59)
    assert webhook.told == []
    webhook.is_away = True
    teller.tell(60)
    webhook.is_away = False
    teller.tell(179)
    assert webhook.told == [], "the second wait is twice the first"
    teller.tell(180)
    assert webhook.told == [[Edge.BEGIN]]
    write(book, End(KEY, NOW), channels=teller.names)
    teller.tell(181)
    assert mail.told == webhook.told == [[Edge.BEGIN], [Edge.END]]


# Words

EVIDENCE: dict[AlertKind, dict[str, str | int | float]] = {
    AlertKind.PROBE_SILENT: {"last_contact_at": "2026-07-25T03:30:00+00:00"},
    AlertKind.LINE_DOWN: {"minutes_without_answer": 1_440},
    AlertKind.PLAN_MISSED: {"days": 3, "limit_share": 0.8, "lowest_down_share": 0.612},
    AlertKind.BACKLOG_GROWING: {"pending": 12_345, "pending_before": 600},
    AlertKind.CERTIFICATE_EXPIRING: {"not_after": "2026-08-01T00:00:00+00:00", "days_left": 6},
}
SENTENCES = {
    AlertKind.PROBE_SILENT: "kể từ 10:30 ngày 25/07/2026.",
    AlertKind.LINE_DOWN: "Đã 1.440 phút không có trả lời",
    AlertKind.PLAN_MISSED: "thấp hơn 80% mức công bố trong 3 ngày liền (thấp nhất: tải xuống 61%)",
    AlertKind.BACKLOG_GROWING: "12.345 kết quả đang chờ gửi tại trạm đo, trước đó là 600.",
    AlertKind.CERTIFICATE_EXPIRING: "hết hạn lúc 07:00 ngày 01/08/2026",
}


@pytest.mark.parametrize("kind", list(AlertKind))
def test_every_kind_has_its_sentence(kind: AlertKind) -> None:
    told = msgspec.structs.replace(alert(key=Key(kind, LINE)), evidence=EVIDENCE[kind])
    assert SENTENCES[kind] in notification.sentence(told, HANOI)
    assert notification.title(kind) != notification.title(kind, vietnamese=False)


def test_one_alert_has_a_subject_of_its_own() -> None:
    told = notification.notice([Due(Edge.END, alert(ended_at=NOW))], HANOI)
    assert told.subject == (
        "[Tramdo] Đường truyền mất kết nối (đã kết thúc): UBND xã Phủ Thông, tram-01969-1, vnpt"
    )
    assert "Bắt đầu: 11:30 ngày 25/07/2026" in told.text
    assert "Kết thúc: 12:00 ngày 25/07/2026" in told.text


def test_a_storm_is_one_notice() -> None:
    storm = [Due(Edge.BEGIN, alert(number=n)) for n in range(3_000)]
    told = notification.notice(storm, HANOI)
    assert told.subject == "[Tramdo] 3000 cảnh báo mới, 0 cảnh báo đã kết thúc"
    assert "… và 2800 cảnh báo khác" in told.text
    assert len(told.text) < 60_000


def test_a_notice_is_known_by_what_it_tells() -> None:
    one, other = Due(Edge.BEGIN, alert(1)), Due(Edge.END, alert(2))
    assert notification.notice_id([one, other]) == notification.notice_id([other, one])
    assert notification.notice_id([one]) != notification.notice_id([Due(Edge.END, alert(1))])


def test_the_mail_can_be_answered_by_nobody() -> None:
    config = MailConfig(host="m", sender="tramdo@example.vn", recipients=["a@b.vn", "c@d.vn"])
    told = notification.notice([Due(Edge.BEGIN, alert())], HANOI)
    mail = message(told, config)
    assert mail["Message-ID"] == f"<{told.id}@example.vn>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["To"] == "a@b.vn, c@d.vn"
    content = mail.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode() == told.text
    assert str(make_header(decode_header(str(mail["Subject"])))) == told.subject


def test_the_signature_is_the_hmac_of_the_body() -> None:
    # RFC 4231, test case 2.
    assert signature(b"what do ya want for nothing?", "Jefe") == (
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


# The watch itself


class StumblingCentre:
    """A centre that falls over what a probe has said, each time that it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.after_second: Callable[[], None] = lambda: None

    def lines(self) -> list[KnownLine]:
        self.asked += 1
        if self.asked == 2:
            self.after_second()
        raise OverflowError("date value out of range")


def test_what_nobody_foresaw_does_not_end_the_watch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    centre, book = StumblingCentre(), Book(tmp_path / "alerts.sqlite")
    config = AlertsConfig(path="unused", look_every_s=1.0)
    watched = Watch(
        centre,  # type: ignore[arg-type]
        book, Teller(book, {}), config, [], lambda: True, lambda: None,
    )  # fmt: skip
    centre.after_second = watched.stop
    watched.run()
    book.close()
    assert centre.asked == 2
    assert [record.exc_info is not None for record in caplog.records] == [True], "said once"


def test_days_under_the_contract_before_are_not_held_against_this_one() -> None:
    key = LineKey(LINE.tenant, LINE.probe, LINE.line)
    line = KnownLine(
        key=key, office="", commune_code="01969", commune=None, isp="vnpt", isp_name="VNPT",
        groups=(), plan_down_bps=300e6, plan_up_bps=300e6, contract_date=date(2026, 7, 23),
    )  # fmt: skip
    slow = Summary(
        metrics={
            f"throughput_{way}_whole_bps": distribution([95e6] * 10)
            for way in ("download", "upload")
        }
    )
    days = [date(2026, 7, day) for day in (22, 23, 24)]
    speed = monitor.line_speed(line, {day: {key: slow} for day in days}, 0.8)
    assert [day.begins_at.astimezone(HANOI).date() for day in speed.days] == [date(2026, 7, 24)]


def test_an_office_in_a_probes_own_words_breaks_no_mail() -> None:
    told = msgspec.structs.replace(alert(), office="UBND xã\nBcc: all@example.vn\r\nX: y")
    assert notification.place(told).startswith("UBND xã Bcc: all@example.vn X: y, ")
