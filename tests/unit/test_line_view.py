"""The line page's figures of speed: bits per second, shown in Mbit/s of a million bits."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import structs

from collector.domain import thresholds_file
from collector.domain.lines import KnownLine, known_lines
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.rollup.days import DaySample
from collector.rollup.distribution import distribution
from collector.rollup.periods import Step
from collector.rollup.queries import Bucket, HourMean, means_of_week
from collector.rollup.summary import EMPTY, Summary
from collector.web import line_view
from collector.web.line_table import DOWN, UP
from collector.web.presentation import Locale
from runtime.language import Language
from tests.seeded_centre import REGISTRY

EN = Locale(Language.EN, ZoneInfo("Asia/Ho_Chi_Minh"))
START = datetime(2026, 7, 24, 17, tzinfo=UTC)
SUMMARY = Summary(
    metrics={DOWN: distribution([300e6] * 1_200), UP: distribution([123_400_000.0] * 1_200)}
)
DAYS, UP_DAYS = (
    [DaySample(date(2026, 7, day), 40, 40 * bps) for day in range(1, 31)]
    for bps in (300e6, 123_400_000.0)
)


def line() -> KnownLine:
    """A line with 300 Mbit/s down and 200 up by its contract."""
    one = known_lines(parse_toml(REGISTRY.encode(), "seeded.toml", official()), [])[0]
    return structs.replace(one, plan_down_bps=300e6, plan_up_bps=200e6)


def test_a_chart_s_figures_and_plan_are_in_mbit_s() -> None:
    buckets = [Bucket(START + timedelta(hours=n), 1, START, SUMMARY) for n in range(3)]
    chart = line_view.charts_between(
        buckets, line(), START, START + timedelta(hours=3), Step.HOUR, EN
    )["chart_speed"]
    assert chart is not None
    shown = [re.findall(r"[\d.,]+(?= \(n = 1200\))", hit.words) for hit in chart.hits]
    assert shown == [["300.0", "123.4"]] * 3
    # The download is the plan's, so its figures are as high as the plan's line.
    assert chart.plan_y is not None
    (height,) = {float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", chart.drawn[0].path)}
    assert abs(height - chart.plan_y) < 0.1


def test_the_assessments_figures_are_in_mbit_s() -> None:
    down, up, *_ = line_view.indicator_rows(
        SUMMARY, line(), 24, thresholds_file.read(), EN, days={DOWN: DAYS, UP: UP_DAYS}
    )
    assert (down.value, down.interval, down.limit) == ("300.0 (100%)", "300.0 – 300.0", "240.0")
    assert (up.value, up.interval, up.limit) == ("123.4 (62%)", "123.4 – 123.4", "160.0")


def test_the_heatmap_s_cells_are_in_mbit_s() -> None:
    row = line_view.heatmap(means_of_week({(0, 5): [SUMMARY]}, DOWN), EN)[0][1]
    assert (row[5].text, row[5].words) == ("300", "300.0 Mbit/s, n = 1200")
    assert row[4].words == "no samples"
    twice = means_of_week({(0, 5): [SUMMARY, EMPTY, SUMMARY], (1, 5): [EMPTY]}, DOWN)
    assert twice == {(0, 5): HourMean(2_400, 2 * SUMMARY.metric(DOWN).total)}


def test_percentiles_are_in_mbit_s_within_the_sketch_s_error_of_1_percent() -> None:
    (_, p50, p95, _), (_, up_p50, _, _) = line_view.percentiles(SUMMARY, EN)
    for shown, bits in ((p50, 300), (p95, 300), (up_p50, 123.4)):
        assert abs(float(shown) / bits - 1) < 0.012


def test_the_histogram_s_bars_are_in_mbit_s() -> None:
    histogram = line_view.distributions(SUMMARY, EN)["spread_speed"]
    assert histogram is not None
    bounds = [float(one) for one in re.findall(r"\d+(?:\.\d+)?", histogram.bars[0].words)[:2]]
    assert bounds[0] <= 300 <= bounds[1]
