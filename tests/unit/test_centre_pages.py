"""What the centre's pages decide before a template places it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from collector.domain import thresholds_file
from collector.domain.assessment import NoVerdictReason, Verdict
from collector.domain.lines import (
    LineState,
    certificate_ends_at,
    filter_lines,
    is_silent,
    known_lines,
    line_state,
    presence_of,
    worst_state,
)
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.registry.registry import LineKey
from collector.reports.service import RefusalReason
from collector.rollup.days import DaySample
from collector.rollup.distribution import distribution
from collector.rollup.periods import Period
from collector.rollup.queries import HourMean
from collector.rollup.summary import EMPTY, KindCounts, Summary
from collector.store.records import StoredProbe, Totals
from collector.web import (
    campaign_view,
    isps_view,
    line_view,
    metrics,
    openapi,
)
from collector.web.api_v1 import ApiLines, ApiSeries
from collector.web.drawing import bars, line_chart
from collector.web.drawing.line_chart import Figure, Series
from collector.web.formatting import by_name
from collector.web.labels import maps, measurement, pages, staff
from collector.web.line_table import (
    DOWN,
    completeness,
    percent,
    sample_of,
    samples_target,
    speed_cell,
)
from collector.web.map_view import Colour
from collector.web.presentation import Locale
from collector.web.registry_view import toml
from runtime.language import Language
from tests import samples
from tests.seeded_centre import REGISTRY
from wire import messages
from wire.commands import Answer, Refusal
from wire.messages import PlannedKind, Presence, Rejection
from wire.result import Family

EN = Locale(Language.EN, ZoneInfo("Asia/Ho_Chi_Minh"))
VI = Locale(Language.VI, ZoneInfo("Asia/Ho_Chi_Minh"))
NOW = datetime(2026, 7, 25, 5, tzinfo=UTC)
WEEK = Period(date(2026, 7, 19), date(2026, 7, 25))
SEEDED = parse_toml(REGISTRY.encode(), "seeded.toml", official())
THRESHOLDS = thresholds_file.read()
TEMPLATES = Path(__file__).parents[2] / "collector" / "web" / "templates"


def heard(*, leds: dict[str, str] | None = None, at: datetime = NOW) -> StoredProbe:
    return StoredProbe(
        tenant=samples.TENANT,
        probe=samples.PROBE,
        revision=1,
        site=samples.SITE,
        presence=Presence.ONLINE,
        presence_since=at,
        info=samples.info(),
        health=msgspec.structs.replace(samples.health(at=at), leds=leds or {}),
        health_at=at,
        last_contact_at=at,
    )


def test_the_registry_has_the_last_word_and_an_unknown_probe_its_own() -> None:
    stranger = msgspec.structs.replace(heard(), probe="tram-99")
    lines = {line.key: line for line in known_lines(SEEDED, [heard(), stranger])}
    registered = lines[LineKey("bach-thong", "tram-01969-1", "vnpt")]
    assert (registered.plan_down_bps, registered.groups) == (300e6, ("bach-thong-cu",))
    assert registered.place == "Xã Phủ Thông"
    own = lines[LineKey("bach-thong", "tram-99", "vnpt")]
    assert (own.registered, own.plan_down_bps, own.isp_name) == (False, None, "VNPT")
    assert own.office == samples.SITE.office
    assert len(lines) == 8
    assert len(filter_lines(list(lines.values()), isp="viettel")) == 3
    assert filter_lines(list(lines.values()), province="01") == []


@pytest.mark.parametrize(
    ("green", "red", "state"),
    [
        ("steady", "off", LineState.GOOD),
        ("breathing", "off", LineState.GOOD),
        ("slow_blink", "slow_blink", LineState.DEGRADED),
        ("off", "fast_blink", LineState.DOWN),
        ("off", "off", LineState.UNKNOWN),
        ("fast_blink", "fast_blink", LineState.UNKNOWN),
    ],
)
def test_a_line_is_as_its_leds_show(green: str, red: str, state: LineState) -> None:
    probe = heard(leds={"vnpt.green": green, "vnpt.red": red})
    assert line_state(probe, "vnpt", NOW) is state


@pytest.mark.parametrize("leds", [{}, {"vnpt.green": "fast_blink", "vnpt.red": "fast_blink"}])
@pytest.mark.parametrize("state", messages.LineState)
def test_a_line_s_state_is_its_probe_s_word_whatever_its_leds_show(
    leds: dict[str, str], state: messages.LineState
) -> None:
    """While somebody looks for the box, and while a test runs, the LEDs show something else."""
    probe = heard(leds=leds)
    assert probe.health is not None
    health = msgspec.structs.replace(probe.health, lines={"vnpt": state})
    reported = msgspec.structs.replace(probe, health=health)
    assert line_state(reported, "vnpt", NOW) is LineState(state.value)
    assert line_state(reported, "another", NOW) is LineState.UNKNOWN


def test_contact_later_than_the_last_will_is_contact() -> None:
    probe = msgspec.structs.replace(
        heard(), presence=Presence.LOST, presence_since=NOW - timedelta(minutes=10)
    )
    assert presence_of(probe) is Presence.ONLINE
    assert not is_silent(probe, NOW)
    later = msgspec.structs.replace(probe, presence_since=NOW + timedelta(seconds=1))
    assert presence_of(later) is Presence.LOST
    assert is_silent(later, NOW)


def test_who_is_not_heard_is_silent_and_who_never_was_is_not() -> None:
    probe = heard()
    assert not is_silent(probe, NOW + timedelta(minutes=15))
    assert is_silent(probe, NOW + timedelta(minutes=16))
    assert is_silent(msgspec.structs.replace(probe, presence=Presence.LOST), NOW)
    assert line_state(None, "vnpt", NOW) is LineState.NEVER
    assert line_state(probe, "vnpt", NOW + timedelta(hours=1)) is LineState.SILENT
    assert worst_state([LineState.GOOD, LineState.SILENT, LineState.DEGRADED]) is LineState.SILENT
    assert worst_state([]) is LineState.NEVER


def test_no_verdict_without_a_thousand_samples() -> None:
    days = [DaySample(date(2026, 7, day), 40, 40 * 252e6) for day in range(1, 31)]
    few = sample_of(distribution([252e6] * 300), days=days)
    many = sample_of(distribution([252e6 + n % 2 for n in range(1200)]), days=days)
    assert speed_cell(few, 300e6, THRESHOLDS, EN).verdict is None
    met = speed_cell(many, 300e6, THRESHOLDS, EN)
    assert met.verdict is not None
    assert (met.text, met.share, met.verdict.word) == ("252.0", "84% / 300", "Met")
    assert speed_cell(many, None, THRESHOLDS, EN).share == ""
    missed = speed_cell(many, 400e6, THRESHOLDS, VI).verdict
    assert missed is not None
    assert missed.word == "Không đạt"
    assert (
        speed_cell(sample_of(distribution([252e6] * 1200)), 300e6, THRESHOLDS, EN).verdict is None
    )


def test_completeness_is_of_what_was_planned_and_counts_what_was_put_off() -> None:
    summary = Summary(
        {
            # Three of them somebody asked for: no part of any plan.
            "throughput": KindCounts(ok=8, failed=1, skipped=1, flags={"on_demand": 3}),
            "http": KindCounts(ok=2),
            # Windows of all targets: many more than minutes.
            "latency": KindCounts(ok=4680),
        }
    )
    line, other = (line for line in known_lines(SEEDED, []) if line.key.probe == "tram-01969-1")
    # As a plan of 49 tests a month is: 25 and 24 in 30 days.
    probe = planned(
        PlannedKind("throughput", 0.8333, line.key.line),
        PlannedKind("http", 0.8, line.key.line),
        PlannedKind("throughput", 5, other.key.line),
        PlannedKind("latency", 1440),
    )
    # 6.5 days of the week are over.
    share = completeness(summary, line, probe, WEEK, NOW, {})
    assert share == pytest.approx(9 / (1.6333 * 6.5))
    assert completeness(summary, other, probe, WEEK, NOW, {}) == pytest.approx(9 / (5 * 6.5))
    newer = msgspec.structs.replace(other, installed_on=date(2026, 7, 24))
    assert completeness(summary, newer, probe, WEEK, NOW, {}) == 1.0
    assert completeness(EMPTY, line, None, WEEK, NOW, {}) is None
    assert completeness(EMPTY, line, planned(), WEEK, NOW, {}) is None


def planned(*kinds: PlannedKind) -> StoredProbe:
    probe = heard()
    assert probe.info is not None
    return msgspec.structs.replace(
        probe, info=msgspec.structs.replace(probe.info, plan=list(kinds))
    )


def test_what_is_not_all_is_never_100_percent() -> None:
    # Two minutes down in a month; and 299 of 300 tests.
    assert percent(1 - 2 / 43_200, VI) == "99,9%"
    assert percent(1.0, VI) == "100,0%"
    assert percent(299 / 300, EN, places=0) == "99%"
    assert percent(1.0, EN, places=0) == "100%"
    assert percent(1.2, EN, places=0) == "120%"


def test_vietnamese_names_stand_in_the_order_of_their_letters() -> None:
    names = ["Tỉnh Đồng Nai", "Tỉnh Gia Lai", "Tỉnh Cà Mau", "Tỉnh Điện Biên"]
    assert sorted(names, key=by_name) == [
        "Tỉnh Cà Mau", "Tỉnh Điện Biên", "Tỉnh Đồng Nai", "Tỉnh Gia Lai"
    ]  # fmt: skip


def test_the_target_follows_three_hundred_a_month() -> None:
    assert samples_target(THRESHOLDS, WEEK) == 70
    assert samples_target(THRESHOLDS, Period(WEEK.last, WEEK.last)) == 10


def test_a_line_breaks_where_nothing_is_known() -> None:
    hour = timedelta(hours=1)
    figures = [Figure(NOW + n * hour, 100.0) for n in (0, 1, 2, 5, 8, 9)]
    chart = line_chart.draw(
        [Series("down", "series-a", figures)],
        NOW,
        NOW + 10 * hour,
        hour,
        plan=300,
        label_x=str,
        label_y=str,
    )
    assert chart is not None
    assert chart.drawn[0].path.count("M") == 2
    # The lone one is a dot, on a path that no style makes dashed: a dash would not be seen.
    assert chart.drawn[0].dots.count("h0") == 1
    assert [tick.text for tick in chart.ticks_y] == ["0.0", "100.0", "200.0", "300.0", "400.0"]
    assert line_chart.draw([], NOW, NOW + hour, hour, label_x=str, label_y=str) is None


def test_a_histogram_counts_every_figure() -> None:
    drawn = bars.histogram(distribution([0.0, 10.0, 10.1, 99.0]), str, str)
    assert drawn is not None
    counted = [int(bar.words.rpartition(": ")[2]) for bar in drawn.bars]
    assert sum(counted) == 4
    assert max(bar.height for bar in drawn.bars) == 1
    assert bars.histogram(distribution([]), str, str) is None


def test_isps_are_compared_where_both_are_and_nowhere_else() -> None:
    lines = known_lines(SEEDED, [])
    shared = isps_view.shared_lines(lines)
    assert {line.commune_code for line in shared} == {"01969", "01981"}
    hours = {
        line.key: {
            (0, hour): HourMean(1, (200 if line.isp == "vnpt" else 150) * 1e6 + hour)
            for hour in range(8)
        }
        for line in shared
    }
    (row,) = isps_view.pair_rows(shared, hours, EN)
    assert (row.first, row.second, row.cells) == ("VNPT", "Viettel", "16")
    assert (row.difference, row.says.word) == ("+50.0", "Fewer than 3 communes")


def test_an_office_is_urged_when_any_of_its_lines_is_behind() -> None:
    lines, monday = known_lines(SEEDED, []), date(2026, 7, 20)
    counts = {line.key: {monday: 2} for line in lines}
    counts[LineKey("bach-thong", "tram-01969-1", "viettel")] = {monday: 1}
    rows = campaign_view.offices(lines, counts, {}, monday, EN)
    (urged,) = campaign_view.below(rows, 2)
    assert urged.office == "Văn phòng UBND xã Phủ Thông"
    assert sorted(urged.lines) == [("VNPT", 2), ("Viettel", 1)]
    progress = campaign_view.progress(lines, counts, [monday], 2, EN)
    assert progress is not None
    assert (progress.bars[0].height, progress.bars[0].words) == (0.75, "Week 30 of 2026: 3/4")


def test_the_campaign_counts_speed_tests_of_both_kinds_as_the_weekly_paper_does() -> None:
    monday, other = date(2026, 7, 20), date(2026, 7, 13)
    line = LineKey("bach-thong", "tram-01969-1", "vnpt")
    silent = LineKey("bach-thong", "tram-01969-1", "viettel")
    counts = campaign_view.added([{line: {monday: 1}}, {line: {monday: 1, other: 3}}])
    assert counts == {line: {monday: 2, other: 3}}
    assert counts.get(silent, {}) == {}


def test_a_commune_is_short_by_the_samples_of_all_its_lines() -> None:
    lines = known_lines(SEEDED, [])
    month = {
        line.key: Summary(
            {
                "throughput": KindCounts(ok=80, failed=5, valid=70),
                "http": KindCounts(ok=70, failed=5, valid=70),
            }
        )
        for line in lines
        if line.commune_code == "01969"
    }
    rows = campaign_view.communes(lines, month, 300, EN)
    assert [(row.code, row.samples) for row in rows][-1] == ("01969", 300)
    assert sum(row.samples < 300 for row in rows) == 3


@pytest.mark.parametrize(
    ("down", "value", "minutes"), [(7, "99,9", "44.640 phút"), (0, "100,0", "44.633 phút")]
)
def test_a_line_that_was_down_is_never_a_hundred_percent_available(
    down: int, value: str, minutes: str
) -> None:
    line = known_lines(SEEDED, [])[0]
    sums = {"availability_up_minutes": 44_633.0, "availability_down_minutes": float(down)}
    *_, row = line_view.indicator_rows(Summary(sums=sums), line, 24, THRESHOLDS, VI, days={})
    assert (row.name, row.value, row.count) == ("Độ khả dụng, %", value, minutes)


def test_a_line_whose_contract_is_new_bears_no_verdict() -> None:
    (line,) = (
        line
        for line in known_lines(SEEDED, [])
        if line.key == LineKey("bach-thong", "tram-01969-1", "vnpt")
    )
    figures = distribution([100e6 + n for n in range(1_200)])
    summary = Summary(metrics={DOWN: figures})
    days = [DaySample(date(2026, 7, day), 40, 40 * 100e6) for day in range(1, 31)]
    assessment = {}
    for one_plan in (True, False):
        (down, *_) = line_view.indicator_rows(
            summary, line, 24, THRESHOLDS, EN, days={DOWN: days}, one_plan=one_plan
        )
        cell = speed_cell(
            sample_of(figures, days=days), line.plan_down_bps, THRESHOLDS, EN, one_plan
        )
        assessment[one_plan] = (down.verdict.word, cell.verdict and cell.verdict.word)
    assert assessment == {
        True: ("Not met", "Not met"),
        False: ("Several different plans", None),
    }
    assert not line.plan_is_of(date(2026, 1, 14))


@pytest.mark.parametrize(
    "told", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
)
def test_a_certificates_end_that_no_calendar_has_is_not_believed(told: str) -> None:
    ends = msgspec.convert(told, datetime)
    health = msgspec.structs.replace(samples.health(at=NOW), certificate_ends_at=ends)
    probe = msgspec.structs.replace(heard(), health=health)
    assert certificate_ends_at(probe) is None
    sound = msgspec.structs.replace(health, certificate_ends_at=NOW)
    assert certificate_ends_at(msgspec.structs.replace(probe, health=sound)) == NOW


def test_the_openapi_document_is_one() -> None:
    document = msgspec.json.decode(msgspec.json.encode(openapi.document([ApiLines, ApiSeries])))
    validate(document)
    figures = document["components"]["schemas"]["ApiFigures"]["properties"]
    assert {"type": "null"} in figures["download_mean_bps"]["anyOf"]


def test_metrics_are_in_base_units() -> None:
    lines = known_lines(SEEDED, [])[:1]
    summary = Summary(
        metrics={DOWN: distribution([80e6]), "latency_rtt_mean_ms": distribution([12.5])},
        sums={"latency_sent": 100, "latency_lost": 1},
    )
    measured = msgspec.structs.replace(summary, kinds={"throughput": KindCounts(ok=1, valid=1)})
    text = metrics.text(
        Totals(7, 1, {Rejection.TOPIC: 2}),
        [heard()],
        lines,
        {},
        {lines[0].key: summary},
        {lines[0].key: {Family.IPV4: EMPTY, Family.IPV6: measured, None: EMPTY}},
        NOW,
    ).decode()
    names = 'commune_code="01969",isp="vnpt",line="vnpt",probe="tram-01969-1",tenant="bach-thong"'
    of_ipv6 = names.replace(",isp=", ',family="ipv6",isp=')
    for line in (
        f"tramdo_line_download_bytes_per_second{{{names}}} 1e+07",
        f"tramdo_line_rtt_seconds{{{names}}} 0.0125",
        f"tramdo_line_loss_ratio{{{names}}} 0.01",
        f"tramdo_line_family_loss_ratio{{{of_ipv6}}} 0.01",
        f"tramdo_line_family_download_bytes_per_second{{{of_ipv6}}} 1e+07",
        'tramdo_messages_rejected_total{reason="topic"} 2.0',
        "tramdo_results_stored_total 7.0",
        'tramdo_probe_up{probe="tram-01969-1",tenant="bach-thong"} 1.0',
    ):
        assert line in text
    assert not re.search(r"_(ms|bps|mbit)\b", text)
    # The line's own metrics bear no family: a sum over lines counts nothing twice.
    assert "family=" not in "".join(x for x in text.splitlines() if "_line_family_" not in x)


def test_prometheus_own_parser_reads_the_metrics() -> None:
    (line, *_) = known_lines(SEEDED, [heard()])
    odd = msgspec.structs.replace(line, isp='a "b" \\ c\nd')
    summary = Summary(
        metrics={DOWN: distribution([80e6]), "latency_rtt_mean_ms": distribution([12.5])}
    )
    text = metrics.text(
        Totals(7, 1, {Rejection.TOPIC: 2}), [heard()], [odd], {}, {odd.key: summary}, {}, NOW
    )
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    assert families["tramdo_results_stored"].type == "counter"
    assert {family.type for name, family in families.items() if "_line_" in name} == {"gauge"}
    (down,) = families["tramdo_line_download_bytes_per_second"].samples
    assert down.value == 1e7
    assert down.labels == {
        "tenant": "bach-thong",
        "probe": "tram-01969-1",
        "line": "vnpt",
        "isp": 'a "b" \\ c\nd',
        "commune_code": "01969",
    }
    assert families["tramdo_line_loss_ratio"].samples == []
    (state,) = families["tramdo_line_state"].samples
    assert (state.labels["state"], state.value) == ("never", 1)


def test_the_registry_as_text_is_the_registry() -> None:
    text = toml(SEEDED, official())
    assert parse_toml(text.encode(), "again.toml", official()) == SEEDED
    assert "[[commune]]" not in text


def test_every_word_that_a_template_or_a_list_asks_for_is_there() -> None:
    tables = (measurement.LABELS, pages.LABELS, maps.LABELS, staff.LABELS)
    known = {name for table in tables for name in table}
    assert len(known) == sum(map(len, tables)), "no name has two meanings"
    asked = {
        name
        for path in TEMPLATES.glob("*.html")
        for name in re.findall(r'word\("([a-z_0-9]+)"\)', path.read_text("utf-8"))
    }
    asked |= {f"state_{state}" for state in LineState}
    for colour in Colour:
        asked |= {f"colour_{colour}", f"map_unit_{colour}"}
        asked |= {f"map_nation_{colour}", f"map_communes_{colour}"}
    asked |= {f"verdict_{verdict}" for verdict in Verdict}
    asked |= {f"why_{why}" for why in NoVerdictReason}
    asked |= {f"rejected_{reason}" for reason in Rejection}
    asked |= {f"asked_{answer}" for answer in Answer}
    asked |= {f"report_refused_{why}" for why in RefusalReason}
    assert asked - known == set()
    for name, phrase in (pages.LABELS | maps.LABELS | staff.LABELS).items():
        assert phrase.vi.strip(), name
        assert phrase.en.strip(), name


@pytest.mark.parametrize("reason", Refusal)
def test_each_refusal_of_a_command_is_said_in_both_languages(reason: Refusal) -> None:
    said = [locale.label(f"refusal_{reason}") for locale in (VI, EN)]
    assert len(set(said)) == 2
    template = Path(__file__).parents[2] / "collector" / "web" / "templates" / "probe.html"
    assert 'label("refusal_" ~ command_status.reply.reason.value)' in template.read_text("utf-8")
