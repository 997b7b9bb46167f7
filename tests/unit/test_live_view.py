"""What the pages say: words complete in both languages, figures as people write them, views."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from collector.domain.probe_snapshot import ProbeSnapshot
from collector.store.messages import SignatureOutcome
from collector.store.records import LastResult, StoredProbe, StoredResult, Totals
from collector.web import live_view
from collector.web.formatting import MISSING, Cell, figure, moment, whole_number
from collector.web.labels import measurement
from collector.web.live_view import RowView
from collector.web.presentation import Locale
from runtime.language import Language, Phrase
from tests import samples
from wire.messages import Presence, Rejection
from wire.result import (
    KINDS,
    AvailabilityValues,
    DnsValues,
    DropCause,
    FaultLocation,
    HttpValues,
    LatencyValues,
    OutageValues,
    Outcome,
    PathValues,
    Reason,
    Result,
    ResultsDroppedValues,
    ThroughputValues,
    Validity,
    WebValues,
    encode_result,
)

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
VI = Locale(Language.VI, VIETNAM)
EN = Locale(Language.EN, VIETNAM)
NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)


def stored(result: Result, seq: int = 1) -> StoredResult:
    return StoredResult(
        number=seq,
        tenant=samples.TENANT,
        probe=samples.PROBE,
        epoch=samples.EPOCH,
        seq=seq,
        kind=result.kind,
        line=result.line.id,
        target=result.target,
        received_at=NOW,
        stored_at=NOW,
        body=encode_result(result),
    )


def good(result: Result, seq: int = 1) -> LastResult:
    return LastResult(stored(result, seq), stored(result, seq))


def a_probe(**changes: object) -> StoredProbe:
    fields: dict[str, object] = {
        "tenant": samples.TENANT,
        "probe": samples.PROBE,
        "revision": 1,
        "site": samples.SITE,
        "presence": Presence.ONLINE,
        "presence_since": NOW,
        "info": samples.info(),
        "health": samples.health(pending=1234),
        "health_at": NOW,
        "last_contact_at": NOW,
    }
    return StoredProbe(**(fields | changes))  # type: ignore[arg-type]  # fields are by name


def rows_of(*entries: LastResult, locale: Locale = VI) -> list[RowView]:
    view = live_view.probe_view(a_probe(), entries, locale)
    return [row for line in view.lines for table in line.tables for row in table.rows]


# Words


@pytest.mark.parametrize(
    ("table", "members"),
    [
        (measurement.OUTCOMES, list(Outcome)),
        (measurement.REASONS, list(Reason)),
        (measurement.VALIDITIES, list(Validity)),
        (measurement.PRESENCES, list(Presence)),
        (measurement.FAULTS, list(FaultLocation)),
        (measurement.KINDS, list(KINDS)),
        (measurement.FIGURES, list(KINDS)),
        (live_view.OUTCOME_TONES, list(Outcome)),
        (live_view.PRESENCE_TONES, list(Presence)),
    ],
)
def test_every_member_has_its_words(table: dict[object, object], members: list[object]) -> None:
    assert set(table) == set(members)


def every_phrase() -> list[Phrase]:
    tables: list[dict[object, Phrase]] = [
        measurement.OUTCOMES,  # type: ignore[list-item]  # a dict is invariant in its keys
        measurement.REASONS,  # type: ignore[list-item]
        measurement.VALIDITIES,  # type: ignore[list-item]
        measurement.FAULTS,  # type: ignore[list-item]
        measurement.PRESENCES,  # type: ignore[list-item]
        measurement.KINDS,  # type: ignore[list-item]
        measurement.LABELS,  # type: ignore[list-item]
        measurement.TARGETS,  # type: ignore[list-item]
    ]
    figures = [shown for kind in measurement.FIGURES.values() for shown in kind]
    return [phrase for table in tables for phrase in table.values()] + [
        phrase for shown in figures for phrase in (shown.label, shown.unit)
    ]


def test_no_phrase_is_empty_or_padded() -> None:
    for phrase in every_phrase():
        for text in phrase:
            assert text
            assert text == text.strip()


def test_reasons_and_remarks_can_be_told_apart() -> None:
    for table in (measurement.REASONS, measurement.VALIDITIES, measurement.OUTCOMES):
        assert len({phrase.vi for phrase in table.values()}) == len(table)
        assert len({phrase.en for phrase in table.values()}) == len(table)


def test_figures_name_real_fields() -> None:
    for kind, values in (
        ("throughput", ThroughputValues),
        ("latency", LatencyValues),
        ("http", HttpValues),
        ("dns", DnsValues),
        ("web", WebValues),
        ("path", PathValues),
        ("availability", AvailabilityValues),
        ("outage", OutageValues),
    ):
        assert {shown.field for shown in measurement.FIGURES[kind]} <= set(values.__struct_fields__)


# Figures and times


@pytest.mark.parametrize(
    ("value", "vi", "en"),
    [
        (0.0, "0", "0"),
        (0.004, "0,00", "0.00"),
        (3.14159, "3,14", "3.14"),
        (57.6, "57,6", "57.6"),
        (238.81, "238,8", "238.8"),
        (1234.56, "1.234,6", "1,234.6"),
    ],
)
def test_figures_in_both_languages(value: float, vi: str, en: str) -> None:
    assert figure(value, Language.VI) == vi
    assert figure(value, Language.EN) == en


def test_counts_mark_their_thousands() -> None:
    assert whole_number(15_000_000, Language.VI) == "15.000.000"
    assert whole_number(15_000_000, Language.EN) == "15,000,000"


def test_times_are_vietnamese_time() -> None:
    late = datetime(2026, 7, 24, 18, 30, 5, 900_000, tzinfo=UTC)
    assert moment(late, Language.VI, VIETNAM) == (
        "2026-07-25T01:30:05+07:00",
        "01:30:05 25/07/2026",
    )
    assert moment(late, Language.EN, VIETNAM).text == "01:30:05 25\u00a0Jul\u00a02026"
    other = late.astimezone(timezone(timedelta(hours=-5)))
    assert moment(other, Language.VI, VIETNAM) == moment(late, Language.VI, VIETNAM)


# Rows


def test_throughput_in_mbit_steady_and_whole() -> None:
    (row,) = rows_of(good(samples.throughput()))
    assert (row.protocol, row.target) == ("IPERF3", "may-chu-1")
    assert [cell.text for cell in row.cells] == ["238,8", "231,6", "175,6", "168,5"]
    assert row.badge == ("good", "✓", "Đo được")
    assert (row.note, row.detail, row.remarks) == ("", "", [])
    assert row.measured_at.text == "12:00:00 25/07/2026"


def test_latency_without_loss_tells_the_upper_bound() -> None:
    (row,) = rows_of(good(samples.latency()), locale=EN)
    assert row.cells == [Cell("12.4"), Cell("15.5"), Cell("0", ("0/60 packets", "≤ 5.00%"))]


def test_latency_with_loss_tells_how_many() -> None:
    (row,) = rows_of(good(samples.latency(lost=2)))
    assert row.cells[2] == Cell("3,33", ("2/60 gói",))


def test_a_sample_too_small_has_a_dash_and_no_zero() -> None:
    (row,) = rows_of(good(samples.latency(sent=40)))
    assert row.cells[1] == Cell(MISSING)


def test_a_failure_is_shown_with_its_reason_and_what_it_found() -> None:
    failure = samples.latency(
        lost=60, outcome=Outcome.FAILED, reason=Reason.NO_REPLY, detail="nothing came back"
    )
    last, earlier = rows_of(LastResult(stored(failure, 2), stored(samples.latency(), 1)))
    assert last.badge == ("bad", "✕", "Không đo được")
    assert last.note == "không có phản hồi"
    assert last.detail == "nothing came back"
    assert last.cells == [Cell(MISSING), Cell(MISSING), Cell("100,0", ("60/60 gói",))]
    assert not last.earlier
    assert earlier.earlier
    assert earlier.badge.word == "Lần đo được gần nhất"
    assert earlier.cells[0] == Cell("12,4")


def test_a_failure_without_any_good_result_stands_alone() -> None:
    failure = samples.throughput(outcome=Outcome.FAILED, reason=Reason.LINE_DOWN)
    (row,) = rows_of(LastResult(stored(failure), None), locale=EN)
    assert row.badge.word == "Failed"
    assert row.note == "the line is down"
    assert [cell.text for cell in row.cells] == [MISSING] * 4


def test_a_skipped_test_is_not_a_failure() -> None:
    skipped = samples.throughput(outcome=Outcome.SKIPPED, reason=Reason.SERVER_BUSY)
    (row,) = rows_of(LastResult(stored(skipped), None))
    assert row.badge == ("quiet", "↷", "Bỏ qua")
    assert row.note == "máy chủ đo đang bận"


def test_every_remark_is_shown() -> None:
    (row,) = rows_of(good(samples.throughput(validity=list(Validity))))
    assert len(row.remarks) == len(Validity)
    assert "có lưu lượng khác trong lúc đo" in row.remarks


def test_what_another_version_wrote_is_shown_as_unreadable() -> None:
    strange = stored(samples.latency())
    broken = StoredResult(
        **{name: getattr(strange, name) for name in strange.__struct_fields__ if name != "body"},
        body=b'{"kind":"latency","from":"the future"}',
    )
    (row,) = rows_of(LastResult(broken, None))
    assert row.badge.word.startswith("Không đọc được")
    assert row.cells == [Cell(MISSING)] * 3


def test_the_gateway_is_named_in_words() -> None:
    (row,) = rows_of(good(samples.latency(target="icmp:gateway")))
    assert (row.protocol, row.target) == ("ICMP", "Thiết bị mạng trụ sở")


# Probes


def test_lines_keep_the_probes_order_and_none_is_left_out() -> None:
    old = samples.VNPT.__class__("fpt-cu", "FPT")
    view = live_view.probe_view(
        a_probe(),
        [good(samples.latency(line=old)), good(samples.latency(line=samples.VIETTEL))],
        VI,
    )
    assert [(line.id, line.isp) for line in view.lines] == [
        ("vnpt", "VNPT"),
        ("viettel", "Viettel"),
        ("fpt-cu", "FPT"),
    ]
    assert view.lines[0].tables == []


def test_a_line_has_a_table_for_each_kind_in_order() -> None:
    view = live_view.probe_view(
        a_probe(), [good(samples.latency()), good(samples.throughput(), 2)], VI
    )
    tables = view.lines[0].tables
    assert [table.title for table in tables] == ["Tốc độ (TCP)", "Độ trễ"]
    for table in tables:
        assert all(len(row.cells) == len(table.headings) for row in table.rows)


def test_a_probe_in_both_languages() -> None:
    vi, en = (live_view.probe_view(a_probe(), [], locale) for locale in (VI, EN))
    assert vi.office == en.office == "Văn phòng UBND xã Phủ Thông"
    assert vi.commune_code == "01969"
    assert (vi.pending, en.pending) == ("1.234", "1,234")
    assert (vi.presence.word, en.presence.word) == ("Đang kết nối", "Online")
    assert vi.last_contact is not None
    assert vi.last_contact.text == "12:02:00 25/07/2026"


def test_a_probe_of_which_nothing_is_known_yet() -> None:
    view = live_view.probe_view(
        a_probe(
            site=None,
            presence=None,
            presence_since=None,
            info=None,
            health=None,
            last_contact_at=None,
        ),
        [],
        VI,
    )
    assert view.office == samples.PROBE
    assert view.presence.word == "Không rõ trạng thái"
    assert (view.pending, view.last_contact, view.version, view.lines) == (None, None, None, [])


def test_the_summary_counts() -> None:
    totals = Totals(1_234_567, 3, {Rejection.SCHEMA: 2, Rejection.TOPIC: 3})
    assert live_view.summary(1, 3, totals, VI) == ("1", "3", "1.234.567", "5")


def test_of_very_many_last_results_the_first_are_shown_and_all_are_counted() -> None:
    many = [
        LastResult(stored(samples.latency(target=f"icmp:{number}.example")), None)
        for number in range(1_000)
    ]
    view = live_view.probe_view(a_probe(), many, VI)
    assert sum(len(table.rows) for line in view.lines for table in line.tables) == 200
    assert view.hidden == "Số kết quả gần nhất được hiển thị: 200/1.000"
    assert live_view.probe_view(a_probe(), many[:200], VI).hidden == ""


def test_a_snapshot_is_shared_and_knows_what_changed() -> None:
    one, two = a_probe(), structs.replace(a_probe(), probe="tram-2", revision=2)
    first = ProbeSnapshot(2, {(one.tenant, one.probe): one, (two.tenant, two.probe): two})
    changed = structs.replace(one, revision=3, presence=Presence.LOST)
    second = first.with_changes(3, [changed])
    assert first.online == 2
    assert second.online == 1
    assert second.changed_after(2) == [changed]
    assert [probe.revision for probe in second.latest] == [3, 2]
    assert second.probes[two.tenant, two.probe] is two


def test_what_a_probe_gave_up_stands_under_the_box_and_no_isp() -> None:
    values = ResultsDroppedValues(
        cause=DropCause.OUTBOX_FULL, epoch=samples.EPOCH, count=12, ranges=[(1, 12)]
    )
    entry = good(samples.dropped(values))
    view = live_view.probe_view(a_probe(), [entry], VI)
    assert [line.isp for line in view.lines] == ["VNPT", "Viettel", "Bản thân trạm đo"]
    assert [table.rows[0].cells[0].text for table in view.lines[-1].tables] == ["12"]


@pytest.mark.parametrize(
    ("signatures", "shown"),
    [
        ([], ""),
        ([None, None], ""),
        ([SignatureOutcome.CHECKED, None], "1/2"),
        ([SignatureOutcome.MISMATCH, SignatureOutcome.UNKNOWN_KEY], "0/2"),
    ],
)
def test_how_many_of_the_last_results_are_what_the_probe_signed(
    signatures: list[SignatureOutcome | None], shown: str
) -> None:
    assert live_view.probe_view(a_probe(), [], VI, signatures).signed == shown
