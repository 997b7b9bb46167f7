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
    Key,
    RuleResult,
    RuleState,
    Subject,
    changes,
)
from collector.alerts.alert_database import AlertStoreError
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.alerts.mail import message
from collector.alerts.monitor import AlertMonitor
from collector.alerts.notification import AlertEvent, DeliveryError, Transition
from collector.alerts.notifier import Notifier
from collector.alerts.rules import (
    BacklogSample,
    Certificate,
    DailySpeed,
    FamilyObservation,
    LineObservation,
    LineSpeedHistory,
    ProbeObservation,
    Rules,
    Snapshot,
    evaluate,
)
from collector.alerts.settings import AlertsConfig, MailConfig
from collector.alerts.webhook import signature
from collector.domain.lines import KnownLine
from collector.registry.registry import LineKey
from collector.rollup.distribution import distribution
from collector.rollup.summary import Summary
from wire.result import Family

NOW = datetime(2026, 7, 25, 5, 0, tzinfo=UTC)
HANOI = timezone(timedelta(hours=7))
RULES = Rules()
SUBJECT = Subject("bach-thong", "tram-01969-1")
LINE = Subject("bach-thong", "tram-01969-1", "vnpt")


def ago(**units: float) -> datetime:
    return NOW - timedelta(**units)


def found(kind: AlertKind, snapshot: Snapshot, rules: Rules = RULES) -> RuleResult:
    (result,) = (f for f in evaluate(snapshot, rules) if f.key.kind is kind)
    return result


LISTENING = ago(days=2)


def snapshot(listening_since: datetime | None = LISTENING, **seen: object) -> Snapshot:
    return msgspec.convert(
        {"now": NOW, "listening_since": listening_since, **seen}, Snapshot, from_attributes=True
    )


def probe(contact: datetime | None, backlogs: Sequence[BacklogSample] = ()) -> ProbeObservation:
    return ProbeObservation(
        tenant=SUBJECT.tenant, probe=SUBJECT.probe, last_contact_at=contact, backlogs=backlogs
    )


# Rules


@pytest.mark.parametrize(
    ("contact", "listening_since", "state"),
    [
        (ago(minutes=59), ago(days=2), RuleState.CLEAR),
        (ago(minutes=60), ago(days=2), RuleState.HOLDS),
        # A centre that was away does not know who was silent meanwhile.
        (ago(hours=9), ago(minutes=59), RuleState.UNKNOWN),
        (ago(hours=9), None, RuleState.UNKNOWN),
        (None, ago(minutes=61), RuleState.HOLDS),
        (None, ago(minutes=5), RuleState.UNKNOWN),
    ],
)
def test_a_silent_probe(
    contact: datetime | None, listening_since: datetime | None, state: RuleState
) -> None:
    result = found(AlertKind.PROBE_SILENT, snapshot(listening_since, probes=[probe(contact)]))
    assert result.state is state
    if state is RuleState.HOLDS:
        assert result.since == (contact or listening_since)


@pytest.mark.parametrize(
    ("answered", "failed", "state"),
    [
        (ago(minutes=1), None, RuleState.CLEAR),
        (ago(minutes=1), ago(minutes=2), RuleState.CLEAR),
        (ago(minutes=9), ago(minutes=0), RuleState.UNKNOWN),
        (ago(minutes=11), ago(minutes=1), RuleState.HOLDS),
        (None, ago(minutes=1), RuleState.HOLDS),
        (None, None, RuleState.UNKNOWN),
    ],
)
def test_a_line_that_is_down(
    answered: datetime | None, failed: datetime | None, state: RuleState
) -> None:
    line = LineObservation(
        tenant=LINE.tenant, probe=LINE.probe, line=LINE.line, answered_at=answered, failed_at=failed
    )
    result = found(AlertKind.LINE_DOWN, snapshot(lines=[line]))
    assert result.state is state
    assert result.since == ((answered or failed) if state is RuleState.HOLDS else None)


@pytest.mark.parametrize(
    ("answered", "asked", "other_answered", "other_asked", "state"),
    [
        # It answers.
        (1, 1, 1, 1, RuleState.CLEAR),
        # Not yet for an hour, then for an hour, while the other one answers.
        (59, 0, 0, 0, RuleState.UNKNOWN),
        (61, 0, 0, 0, RuleState.HOLDS),
        (61, 0, 30, 0, RuleState.HOLDS),
        # Neither answers: it is the line that is down.
        (61, 0, 61, 0, RuleState.UNKNOWN),
        (90, 0, None, 0, RuleState.UNKNOWN),
        # It never answered: the line has no such family that works.
        (None, 0, 0, 0, RuleState.UNKNOWN),
        # It is not measured any more: the line has no address of it.
        (200, 100, 0, 0, RuleState.CLEAR),
    ],
)
def test_one_family_that_is_down(
    answered: int | None,
    asked: int,
    other_answered: int | None,
    other_asked: int,
    state: RuleState,
) -> None:
    def when(minutes: int | None) -> datetime | None:
        return None if minutes is None else ago(minutes=minutes)

    seen = FamilyObservation(
        tenant=LINE.tenant,
        probe=LINE.probe,
        line=LINE.line,
        family=Family.IPV6,
        answered_at=when(answered),
        asked_at=ago(minutes=asked),
        other_answered_at=when(other_answered),
        other_asked_at=ago(minutes=other_asked),
    )
    result = found(AlertKind.FAMILY_DOWN, snapshot(families=[seen]))
    assert result.state is state
    assert result.key.subject == msgspec.structs.replace(LINE, name="ipv6")
    assert result.since == (when(answered) if state is RuleState.HOLDS else None)


def day(back: int, down: float | None, up: float | None = 1.0, samples: int = 10) -> DailySpeed:
    return DailySpeed(NOW.replace(hour=17) - timedelta(days=back + 1), samples, down, up)


@pytest.mark.parametrize(
    ("days", "state"),
    [
        ([day(3, 0.7), day(2, 0.6), day(1, 0.79)], RuleState.HOLDS),
        ([day(3, 1.0, 0.7), day(2, 0.7), day(1, 0.9, 0.5)], RuleState.HOLDS),
        ([day(3, 0.7), day(2, 0.6), day(1, 0.80)], RuleState.CLEAR),
        ([day(3, 0.9), day(2, 0.6), day(1, 0.7)], RuleState.UNKNOWN),
        # A day with too few samples breaks the row and says nothing itself.
        ([day(3, 0.7), day(2, 0.6, samples=3), day(1, 0.7)], RuleState.UNKNOWN),
        ([day(4, 0.7), day(3, 0.7), day(1, 0.7)], RuleState.UNKNOWN),
        ([day(1, None, None)], RuleState.CLEAR),
        ([], RuleState.UNKNOWN),
    ],
)
def test_a_plan_that_is_missed_for_days(days: list[DailySpeed], state: RuleState) -> None:
    speed = LineSpeedHistory(
        tenant=LINE.tenant, probe=LINE.probe, line=LINE.line, days=days, limit=0.8
    )
    result = found(AlertKind.PLAN_MISSED, snapshot(speeds=[speed]))
    assert result.state is state
    if state is RuleState.HOLDS:
        assert result.since == days[0].begins_at
        assert result.evidence["days"] == 3


@pytest.mark.parametrize(
    ("pending", "state"),
    [
        ([(150, 400), (60, 500), (0, 499)], RuleState.CLEAR),
        ([(150, 500), (0, 800)], RuleState.HOLDS),
        ([(120, 500), (60, 900), (0, 500)], RuleState.CLEAR),
        ([(119, 500), (0, 9_000)], RuleState.UNKNOWN),
        ([], RuleState.UNKNOWN),
    ],
)
def test_a_backlog_that_grows(pending: list[tuple[int, int]], state: RuleState) -> None:
    backlogs = [BacklogSample(ago(minutes=minutes), count) for minutes, count in pending]
    result = found(AlertKind.BACKLOG_GROWING, snapshot(probes=[probe(NOW, backlogs)]))
    assert result.state is state


@pytest.mark.parametrize(
    ("days", "state"), [(30.1, RuleState.CLEAR), (29.9, RuleState.HOLDS), (-1, RuleState.HOLDS)]
)
def test_a_certificate_that_ends(days: float, state: RuleState) -> None:
    certificate = Certificate("collector.crt", NOW + timedelta(days=days))
    result = found(AlertKind.CERTIFICATE_EXPIRING, snapshot(certificates=[certificate]))
    assert result.state is state


def test_a_certificate_that_cannot_be_read_is_a_fault_and_ends_no_other_alert() -> None:
    lost = snapshot(certificates=[Certificate("crl.pem", None)])
    assert found(AlertKind.CERTIFICATE_UNREADABLE, lost).state is RuleState.HOLDS
    assert found(AlertKind.CERTIFICATE_EXPIRING, lost).state is RuleState.UNKNOWN
    sound = snapshot(certificates=[Certificate("crl.pem", NOW + timedelta(days=90))])
    assert found(AlertKind.CERTIFICATE_UNREADABLE, sound).state is RuleState.CLEAR


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


def result(state: RuleState, key: Key = KEY) -> RuleResult:
    since = ago(minutes=30) if state is RuleState.HOLDS else None
    return RuleResult(key=key, state=state, since=since, evidence={"minutes_without_answer": 12})


@pytest.mark.parametrize(
    ("is_open", "state", "change"),
    [
        (False, RuleState.HOLDS, Begin),
        (True, RuleState.HOLDS, None),
        (True, RuleState.UNKNOWN, None),
        (False, RuleState.UNKNOWN, None),
        (True, RuleState.CLEAR, End),
        (False, RuleState.CLEAR, None),
    ],
)
def test_an_alert_begins_once_and_ends_once(
    is_open: bool, state: RuleState, change: type[Begin | End] | None
) -> None:
    open_alerts = {KEY: alert()} if is_open else {}
    assert [type(c) for c in changes(open_alerts, [result(state)], NOW)] == (
        [change] if change else []
    )


def test_what_nobody_watches_any_more_ends() -> None:
    assert changes({KEY: alert()}, [], NOW) == [End(KEY, NOW)]


# The book


@pytest.fixture
def alert_store(tmp_path: Path) -> AlertStore:
    return AlertStore(tmp_path / "alerts.sqlite")


def here(_: Subject) -> AlertLocation:
    return AlertLocation("01969", "UBND xã Phủ Thông")


def write(
    alert_store: AlertStore, *happened: Begin | End, channels: Sequence[str] = ("mail",)
) -> None:
    alert_store.write(happened, channels, here)


def test_the_book_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite"
    first = AlertStore(path)
    write(first, Begin(result(RuleState.HOLDS), NOW))
    first.close()
    again = AlertStore(path)
    (kept,) = again.open_alerts().values()
    assert (kept.number, kept.key, kept.seen_at, kept.office) == (1, KEY, NOW, "UBND xã Phủ Thông")
    assert [(pending.transition, pending.alert) for pending in again.pending("mail")] == [
        (Transition.BEGIN, kept)
    ]
    assert changes(again.open_alerts(), [result(RuleState.HOLDS)], NOW) == []
    assert list(again.open_alerts([AlertKind.PLAN_MISSED, KEY.kind])) == [KEY]
    assert again.open_alerts([AlertKind.PLAN_MISSED]) == {}


def test_one_alert_of_a_kind_and_subject_is_open_at_a_time(alert_store: AlertStore) -> None:
    write(alert_store, Begin(result(RuleState.HOLDS), NOW))
    with pytest.raises(AlertStoreError, match="cannot be written"):
        write(alert_store, Begin(result(RuleState.HOLDS), NOW))
    write(alert_store, End(KEY, NOW))
    write(alert_store, Begin(result(RuleState.HOLDS), NOW))
    assert [one.number for one in alert_store.newest(10)] == [2, 1]
    assert [one.ended_at for one in alert_store.newest(10)] == [None, NOW]


def test_a_beginning_that_was_not_told_is_told_with_its_end(alert_store: AlertStore) -> None:
    write(alert_store, Begin(result(RuleState.HOLDS), NOW), channels=("mail", "webhook"))
    alert_store.mark_delivered("mail", alert_store.pending("mail"))
    write(alert_store, End(KEY, NOW), channels=("mail", "webhook"))
    for channel in ("mail", "webhook"):
        assert [pending.transition for pending in alert_store.pending(channel)] == [Transition.END]
        alert_store.mark_delivered(channel, alert_store.pending(channel))
        assert alert_store.pending(channel) == []


def test_an_end_without_a_beginning_is_nothing(alert_store: AlertStore) -> None:
    write(alert_store, End(KEY, NOW))
    assert (alert_store.newest(10), alert_store.pending("mail")) == ([], [])


def test_a_book_that_is_no_book(tmp_path: Path) -> None:
    (tmp_path / "alerts.sqlite").write_text("not a database, and long enough to be looked at")
    with pytest.raises(AlertStoreError, match="cannot be opened"):
        AlertStore(tmp_path / "alerts.sqlite")


# Notifying


class FakeChannel:
    def __init__(self) -> None:
        self.sent: list[list[Transition]] = []
        self.is_away = False

    def __call__(self, pending: Sequence[AlertEvent]) -> None:
        if self.is_away:
            raise DeliveryError("away")
        self.sent.append([one.transition for one in pending])


def test_each_is_notified_once_and_a_channel_that_is_away_waits_ever_longer(
    alert_store: AlertStore,
) -> None:
    mail, webhook = FakeChannel(), FakeChannel()
    pair = {"mail": mail, "webhook": webhook}
    notifier = Notifier(alert_store, pair, wait_s=60, draw=lambda: 0.5)
    write(alert_store, Begin(result(RuleState.HOLDS), NOW), channels=notifier.names)
    webhook.is_away = True
    notifier.notify(0)
    notifier.notify(1)
    assert mail.sent == [[Transition.BEGIN]]
    webhook.is_away = False
    notifier.notify(59)
    assert webhook.sent == []
    webhook.is_away = True
    notifier.notify(60)
    webhook.is_away = False
    notifier.notify(179)
    assert webhook.sent == [], "the second wait is twice the first"
    notifier.notify(180)
    assert webhook.sent == [[Transition.BEGIN]]
    write(alert_store, End(KEY, NOW), channels=notifier.names)
    notifier.notify(181)
    assert mail.sent == webhook.sent == [[Transition.BEGIN], [Transition.END]]


# Words

EVIDENCE: dict[AlertKind, dict[str, str | int | float]] = {
    AlertKind.PROBE_SILENT: {"last_contact_at": "2026-07-25T03:30:00+00:00"},
    AlertKind.LINE_DOWN: {"minutes_without_answer": 1_440},
    AlertKind.FAMILY_DOWN: {"minutes_without_answer": 1_440},
    AlertKind.PLAN_MISSED: {"days": 3, "limit_share": 0.8, "lowest_down_share": 0.612},
    AlertKind.BACKLOG_GROWING: {"pending": 12_345, "pending_before": 600},
    AlertKind.NAME_SHARED: {"returns": 3},
    AlertKind.LINES_CROSSED: {"family": "ipv4", "lines": "viettel, vnpt"},
    AlertKind.OTHER_NETWORK: {"network": "mobi", "usual": "vnpt", "other_line": "viettel"},
    AlertKind.NAT_CHANGED: {"nat_before": "none", "nat": "carrier_grade"},
    AlertKind.ROLLUPS_DIFFER: {
        "period": "2026-07-24",
        "periods": 2,
        "figures": 1_234,
        "figure": "latency_ok",
        "rolled_up": 1_441,
        "raw": 1_440.5,
    },
    AlertKind.CERTIFICATE_EXPIRING: {"not_after": "2026-08-01T00:00:00+00:00", "days_left": 6},
    AlertKind.CERTIFICATE_UNREADABLE: {},
    AlertKind.CENTRE_UNHEALTHY: {"size_bytes": 100_000_000_000, "free_bytes": 1_500_000_000},
}
NAMES = {AlertKind.FAMILY_DOWN: "ipv6", AlertKind.CENTRE_UNHEALTHY: "disk"}
SENTENCES = {
    AlertKind.PROBE_SILENT: "kể từ 10:30 ngày 25/07/2026.",
    AlertKind.LINE_DOWN: "Đã 1.440 phút không có trả lời",
    AlertKind.FAMILY_DOWN: "IPv6 không trả lời đã 1.440 phút; đường truyền vẫn hoạt động",
    AlertKind.PLAN_MISSED: "thấp hơn 80% mức công bố trong 3 ngày liền (thấp nhất: tải xuống 61%)",
    AlertKind.BACKLOG_GROWING: "12.345 kết quả đang chờ gửi tại trạm đo, trước đó là 600.",
    AlertKind.NAME_SHARED: "giành kết nối của nhau (3 lần đổi lại trong một giờ)",
    AlertKind.LINES_CROSSED: "Các đường truyền viettel, vnpt mang địa chỉ công cộng của nhau",
    AlertKind.OTHER_NETWORK: "qua mạng mobi, thường lệ là vnpt (mạng của đường truyền viettel)",
    AlertKind.NAT_CHANGED: "trước là không NAT, nay là sau NAT của nhà mạng (CGNAT).",
    AlertKind.ROLLUPS_DIFFER: (
        "1.234 số liệu tổng hợp không khớp kết quả gốc; đầu tiên là latency_ok trong 2026-07-24: "
        "tổng hợp 1.441, kết quả gốc 1.440,5."
    ),
    AlertKind.CERTIFICATE_EXPIRING: "hết hạn lúc 07:00 ngày 01/08/2026",
    AlertKind.CERTIFICATE_UNREADABLE: "không đọc được chứng thư số hay danh sách thu hồi",
    AlertKind.CENTRE_UNHEALTHY: "Ổ đĩa: Còn trống 1,5 GB trên 100,0 GB (1,5%).",
}


@pytest.mark.parametrize("kind", list(AlertKind))
def test_every_kind_has_its_sentence(kind: AlertKind) -> None:
    of = msgspec.structs.replace(LINE, name=NAMES.get(kind, ""))
    told = msgspec.structs.replace(alert(key=Key(kind, of)), evidence=EVIDENCE[kind])
    assert SENTENCES[kind] in notification.sentence(told, HANOI)
    assert notification.title(kind) != notification.title(kind, vietnamese=False)


def test_a_command_in_a_mail_has_quotation_marks() -> None:
    key = Key(AlertKind.CENTRE_UNHEALTHY, msgspec.structs.replace(LINE, name="backup"))
    sentence = notification.sentence(msgspec.structs.replace(alert(key=key), evidence={}), HANOI)
    assert "Chạy “tramdo-collector backup --check TỆP” hằng ngày" in sentence
    assert "`" not in sentence


def test_one_alert_has_a_subject_of_its_own() -> None:
    told = notification.compose_mail([AlertEvent(Transition.END, alert(ended_at=NOW))], HANOI)
    assert told.subject == (
        "[Tramdo] Đường truyền mất kết nối (đã kết thúc): UBND xã Phủ Thông, tram-01969-1, vnpt"
    )
    assert "Bắt đầu: 11:30 ngày 25/07/2026" in told.text
    assert "Kết thúc: 12:00 ngày 25/07/2026" in told.text


def test_a_mail_names_the_commune_with_its_province() -> None:
    told = notification.compose_mail(
        [AlertEvent(Transition.BEGIN, alert())], HANOI, lambda code: f"Xã {code}, Thái Nguyên"
    )
    assert "\n  Xã 01969, Thái Nguyên\n" in told.text


def test_a_storm_is_one_notice() -> None:
    storm = [AlertEvent(Transition.BEGIN, alert(number=n)) for n in range(3_000)]
    told = notification.compose_mail(storm, HANOI)
    assert told.subject == "[Tramdo] 3000 cảnh báo mới, 0 cảnh báo đã kết thúc"
    assert "… và 2800 cảnh báo khác" in told.text
    assert len(told.text) < 60_000


def test_a_notice_is_known_by_what_it_tells() -> None:
    one, other = AlertEvent(Transition.BEGIN, alert(1)), AlertEvent(Transition.END, alert(2))
    assert notification.notification_id([one, other]) == notification.notification_id([other, one])
    assert notification.notification_id([one]) != notification.notification_id(
        [AlertEvent(Transition.END, alert(1))]
    )


def test_the_mail_can_be_answered_by_nobody() -> None:
    config = MailConfig(host="m", sender="tramdo@example.vn", recipients=["a@b.vn", "c@d.vn"])
    told = notification.compose_mail([AlertEvent(Transition.BEGIN, alert())], HANOI)
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
    centre, alert_store = StumblingCentre(), AlertStore(tmp_path / "alerts.sqlite")
    config = AlertsConfig(path="unused", look_every_s=1.0)
    watched = AlertMonitor(
        centre,  # type: ignore[arg-type]
        alert_store, Notifier(alert_store, {}), config, [], lambda: True, lambda: None,
        lambda _now: [],
    )  # fmt: skip
    centre.after_second = watched.stop
    watched.run()
    alert_store.close()
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
