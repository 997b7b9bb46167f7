"""Lines and communes on one chart: what an address names, means, differences, links."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collector.domain.lines import KnownLine, known_lines
from collector.registry.registry import LineKey
from collector.rollup.distribution import distribution
from collector.rollup.periods import Period, start_of_day
from collector.rollup.queries import Bucket
from collector.rollup.summary import Summary
from collector.store.sqlite import SqliteStore
from collector.web import compare_view as view
from collector.web.chart_view import Range
from collector.web.compare_view import FIGURES, Subject
from collector.web.line_table import DOWN
from collector.web.presentation import Locale
from runtime.language import Language
from tests.unit.test_registry_page import NOW, Browser, registry

EN = Locale(Language.EN, ZoneInfo("Asia/Ho_Chi_Minh"))
MONTH = Period(date(2026, 11, 1), date(2026, 11, 30))
LINES = known_lines(registry(), [])
BY_NAME = {one.name: one for one in FIGURES}


def line(probe: str, name: str) -> KnownLine:
    return next(one for one in LINES if one.key == LineKey("bach-thong", probe, name))


VNPT, VIETTEL = line("tram-01969-1", "vnpt"), line("tram-01969-1", "viettel")


def days(rates: Sequence[float], lost: int = 0) -> list[Bucket]:
    """A month; on each day these rates in Mbit/s, and 60 packets of which some were lost."""
    summary = Summary(
        metrics={DOWN: distribution([rate * 1e6 for rate in rates])},
        sums={"latency_sent": 60.0, "latency_lost": float(lost)},
    )
    return [Bucket(start_of_day(day), 1, NOW, summary) for day in MONTH.each_day()]


def subject(key: str) -> Subject:
    found = view.subject_of(key, LINES, registry().communes)
    assert found is not None
    return found


def test_an_address_names_lines_and_communes() -> None:
    one = subject(view.line_key(VNPT))
    assert (one.name, one.href) == (
        "VNPT, Văn phòng UBND xã Phủ Thông, Xã Phủ Thông",
        "/line/bach-thong/tram-01969-1/vnpt",
    )
    commune = subject("commune:01969")
    assert {found.key for found in commune.lines} == {VNPT.key, VIETTEL.key}
    for key in ("commune:99999", "line:bach-thong/tram-01969-1/none", "province:19", "", "line:"):
        assert view.subject_of(key, LINES, registry().communes) is None
    assert [found.name for found in view.with_short_names([one, commune])] == [
        "VNPT, Xã Phủ Thông",
        "Xã Phủ Thông",
    ]
    assert view.with_short_names([one, one])[0].name == one.name, "the office tells them apart"


def test_a_commune_is_the_mean_of_its_lines_each_counted_once() -> None:
    month = {VNPT.key: days([100, 120] * 2), VIETTEL.key: days([300, 320] * 10)}
    commune, down = subject("commune:01969"), BY_NAME["down"]
    found = view.estimate(commune, down, month)
    assert found.mean == pytest.approx(210)
    halves = [view.estimate(subject(view.line_key(x)), down, month).half for x in (VNPT, VIETTEL)]
    assert found.half == pytest.approx(((halves[0] or 0) ** 2 + (halves[1] or 0) ** 2) ** 0.5 / 2)
    alone = view.estimate(commune, down, {VNPT.key: month[VNPT.key]})
    assert alone.mean == pytest.approx(110), "a line without samples is not counted"


def test_a_difference_means_something_only_beyond_its_interval() -> None:
    subjects = [subject(view.line_key(VNPT)), subject(view.line_key(VIETTEL))]
    month = {VNPT.key: days([90, 110]), VIETTEL.key: days([190, 210], lost=30)}
    rows = {row.figure: row for row in view.difference_rows(subjects, month, EN)}
    down, loss = rows["Download, Mbit/s"], rows["Loss, %"]
    assert down.difference.startswith("+100.0 ± ")
    assert (down.says.tone, down.says.sign) == ("good", "▲")
    assert (loss.says.tone, loss.says.sign) == ("bad", "▲")
    assert "Idle latency, ms" not in rows, "neither has samples of it"
    same = {VNPT.key: days([90, 110]), VIETTEL.key: days([90, 110.5])}
    (row, *_) = view.difference_rows(subjects, same, EN)
    assert row.says.sign == "≈"
    short = {key: found[:10] for key, found in month.items()}
    (row, *_) = view.difference_rows(subjects, short, EN)
    assert (row.says.sign, row.difference) == ("–", "+100.0")


def test_a_chart_has_a_series_for_each_with_a_style_of_its_own() -> None:
    subjects = [subject("commune:01969"), subject(view.line_key(VNPT))]
    month = {VNPT.key: days([100]), VIETTEL.key: days([200])}
    shown = Range(MONTH.starts_at, MONTH.ends_at)
    (down, up, *_) = view.charts(subjects, month, shown, EN, table="down")
    assert down.chart is not None
    assert [one.style for one in down.chart.drawn] == ["series-a", "series-b"]
    assert [row.cells for row in down.rows] == [["150.0", "100.0"]] * 30
    assert (down.table_link, up.table_link, up.rows) == ("", "up", [])
    assert len(set(view.STYLES)) == len(view.LETTERS)


def test_other_lines_of_the_same_commune_are_offered() -> None:
    offered = [one.key for one in view.suggestions([subject(view.line_key(VNPT))], LINES)]
    assert offered == ["commune:01969", view.line_key(VIETTEL)]


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    store = SqliteStore(tmp_path / "results.sqlite")
    store.registry.apply(registry(), "centre", "registry.toml", NOW)
    return Browser(store, tmp_path)


def test_every_choice_is_in_the_links(browser: Browser) -> None:
    assert browser.get("/compare").status == 200
    own = browser.get("/line/bach-thong/tram-01969-1/vnpt").text
    assert 'action="/compare"' in own
    assert view.line_key(VNPT) in own
    assert view.commune_key("01969") in browser.get("/commune/01969").text


def test_the_query_is_read_strictly(browser: Browser) -> None:
    asked = {
        "a=commune:01969&q=vinh%20thong": 200,
        "a=commune:01969&b=commune:01981&c=commune:02008&d=commune:02014": 200,
        "a=commune:99999": 404,
        "a=commune:01969&period=never": 400,
        "a=commune:01969&table=never": 400,
        "a=commune:01969&from=2026-11-01": 400,
        "a=commune:01969&from=2026-11-01T00:00&to=2026-11-02T00:00": 200,
    }
    for query, status in asked.items():
        assert browser.get(f"/compare?{query}").status == status, query
    found = browser.get("/compare?a=commune:01969&q=vinh%20thong&period=2026-10").text
    links = [html.unescape(one) for one in re.findall(r'<a href="([^"]*)">\+ ', found)]
    assert links
    assert all("a=commune%3A01969&b=" in one and "period=2026-10" in one for one in links)
    assert any("b=commune%3A01981" in one for one in links)
    again = browser.get("/compare?a=commune:01969&b=commune:01969").text
    assert again.count("Remove") == 1, "once, however often it is named"
    table = browser.get("/compare.csv?a=commune:01969&b=commune:01981").text
    assert table.startswith("subject,name,figure,unit,mean,interval_half,lines")
