"""The public pages in words: what a loudspeaker reads, and what the figures are of."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import msgspec
import pytest

from collector.registry.communes import official
from collector.rollup.distribution import distribution
from collector.rollup.periods import Period, month_of, week_of
from collector.rollup.summary import Summary
from collector.web.line_table import DOWN, LATENCY, UP
from collector.web.period_choice import PeriodChoice
from collector.web.presentation import Locale
from collector.web.public_figures import (
    area_figures,
    commune_sentences,
    months_before,
    opening,
    place_within,
    trend_of,
)
from runtime.language import Language
from tests.unit.test_maps import PHU_THONG, line

VI = Locale(Language.VI, ZoneInfo("Asia/Ho_Chi_Minh"))
EN = Locale(Language.EN, ZoneInfo("Asia/Ho_Chi_Minh"))
MONDAY = date(2026, 11, 23)
WEEK = PeriodChoice(week_of(MONDAY), "2026-W48")


def summary(down: float, up: float = 90e6, latency: float = 12.0) -> Summary:
    figures = {DOWN: down, UP: up, LATENCY: latency}
    return Summary(metrics={name: distribution([value]) for name, value in figures.items()})


@pytest.mark.parametrize(
    ("period", "value", "vietnamese", "english"),
    [
        (week_of(MONDAY), "2026-W48", "Trong tuần 48 năm 2026", "In week 48 of 2026"),
        (month_of(MONDAY), "2026-11", "Trong tháng 11 năm 2026", "In month 11 of 2026"),
        (
            Period(MONDAY, date(2026, 11, 29)),
            "7",
            "Trong 7 ngày qua, từ ngày 23 tháng 11 năm 2026 đến ngày 29 tháng 11 năm 2026",
            "In the last 7 days, 23 November 2026 to 29 November 2026",
        ),
        (
            Period(date(2026, 11, 5), date(2026, 11, 20)),
            "2026-11-05..2026-11-20",
            "Từ ngày 5 tháng 11 năm 2026 đến ngày 20 tháng 11 năm 2026",
            "From 5 November 2026 to 20 November 2026",
        ),
    ],
)
def test_a_period_is_read_out(period: Period, value: str, vietnamese: str, english: str) -> None:
    chosen = PeriodChoice(period, value)
    assert opening(chosen, VI) == vietnamese
    assert opening(chosen, EN) == english


def test_a_commune_is_read_out_line_by_line() -> None:
    vnpt = line(PHU_THONG)
    viettel = msgspec.structs.replace(line(PHU_THONG, 1, None), isp_name="Viettel")
    measured = {vnpt.key: summary(62.5e6)}
    assert commune_sentences("xã Phủ Thông", [vnpt, viettel], measured, WEEK, VI) == (
        "Trong tuần 48 năm 2026, tại xã Phủ Thông, đường truyền VNPT có tốc độ tải xuống trung "
        "bình 62,5 megabit một giây, bằng 62 phần trăm gói cước, tải lên 90,0 megabit một giây; "
        "độ trễ trung bình 12,0 mili giây. Đường truyền Viettel chưa có số liệu."
    )
    none = commune_sentences("xã Phủ Thông", [], {}, WEEK, VI)
    assert none == ("Trong tuần 48 năm 2026, tại xã Phủ Thông, chưa có đường truyền nào được đo.")


def test_an_area_has_the_median_and_the_middle_half_of_its_lines() -> None:
    codes = [code for code, one in official().items() if one.province_code == "19"][:5]
    lines = [line(code) for code in codes]
    speeds = (20e6, 40e6, 60e6, 80e6, 1_000e6)
    measured = {one.key: summary(speed) for one, speed in zip(lines, speeds, strict=True)}
    place = place_within("Tỉnh Thái Nguyên", VI)
    figures = area_figures(place, [*lines, line(codes[0], 9)], 92, measured, WEEK, VI)
    assert (figures.lines, figures.communes, figures.communes_all) == ("5", "5", "92")
    assert figures.down == ("60,0", "40,0", "80,0")
    assert figures.sentence == (
        "Trong tuần 48 năm 2026, tại tỉnh Thái Nguyên, 5 đường truyền ở 5 xã, phường được đo. Một "
        "nửa số đường truyền có tốc độ tải xuống trung bình từ 60,0 megabit một giây trở lên; một "
        "nửa có độ trễ trung bình không quá 12,0 mili giây."
    )
    # Of three lines there is no middle half.
    few = area_figures(place, lines[:3], 92, measured, WEEK, VI)
    assert few.down == ("40,0", "–", "–")
    assert area_figures(place_within("", EN), [], 3_321, {}, WEEK, EN).sentence == (
        "In week 48 of 2026, in the whole country, there are no figures."
    )


def test_the_trend_is_of_six_months_and_says_where_there_is_none() -> None:
    months = months_before(date(2026, 3, 5))
    assert [month.first.month for month in months] == [10, 11, 12, 1, 2, 3]
    means = [[], [10e6], [20e6], [], [30e6, 50e6], [20e6]]
    bars = trend_of(list(zip(months, means, strict=True)), VI)
    assert [bar.text for bar in bars] == ["–", "10,0", "20,0", "–", "40,0", "20,0"]
    assert [bar.height for bar in bars] == [0, 0.25, 0.5, 0, 1, 0.5]
    assert bars[3].month == "1/2026"
