"""The form of the reports page: areas by name, and the periods that can be issued."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from collector.domain.place_search import PlaceIndex
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.reports.builder import NATION
from collector.reports.report import ReportKind
from collector.reports.service import require_period
from collector.rollup.periods import parse_period
from collector.web import reports_view as view
from collector.web.presentation import Locale
from runtime.language import Language
from tests.seeded_centre import REGISTRY

VI = Locale(Language.VI, ZoneInfo("Asia/Ho_Chi_Minh"))
KNOWN = parse_toml(REGISTRY.encode(), "seeded.toml", official())
PLACES = PlaceIndex(KNOWN, date(2026, 11, 30))
NAMES = view.area_names(KNOWN, VI)


@pytest.mark.parametrize(
    ("typed", "area"),
    [
        ("", NATION),
        ("Toàn bộ các trạm đo", NATION),
        ("all", NATION),
        ("huyen bach thong (cu)", "bach-thong-cu"),
        ("bach-thong-cu", "bach-thong-cu"),
        ("Tỉnh Thái Nguyên", "19"),
        ("thai nguyen", "19"),
        ("phu thong", "01969"),
        ("01969", "01969"),
        ("vĩnh thông, thái nguyên", "01981"),
    ],
)
def test_an_area_is_known_by_its_name_or_id(typed: str, area: str) -> None:
    assert view.area_id(typed, NAMES, PLACES) == area


def test_of_several_areas_of_a_name_the_codes_are_told() -> None:
    with pytest.raises(view.AreaUnclearError) as raised:
        view.area_id("tân hoà", NAMES, PLACES)
    assert any(name.endswith("Xã Tân Hoà, Tỉnh Tây Ninh") for name in raised.value.names)
    with pytest.raises(ValueError, match="there is no area"):
        view.area_id("nowhere at all", NAMES, PLACES)


@pytest.mark.parametrize("today", [date(2026, 11, 30), date(2026, 1, 1), date(2026, 3, 31)])
def test_every_period_that_is_offered_fits_its_report(today: date) -> None:
    groups = view.period_groups(today, VI)
    assert [group.name for group in groups] == ["Báo cáo tuần", "Báo cáo tháng", "Bản tin"]
    for group in groups:
        assert len({value for _, value in group.options}) == 13
        for text, value in group.options:
            kind, _, period_text = value.partition(":")
            period = parse_period(period_text)
            require_period(ReportKind(kind), period)
            assert (period.last < today) != text.endswith("chưa hết, chỉ xem nháp")
        # The newest that is over is chosen where nothing is.
        newest = parse_period(group.options[0][1].partition(":")[2])
        assert newest.last < today
        assert (today - newest.last).days <= 31


def test_a_large_registry_s_communes_are_typed_and_not_listed() -> None:
    assert len(view.suggested_areas(NAMES)) == len(NAMES)
    many = {**NAMES, **{f"{number:05}": f"Xã {number}" for number in range(500)}}
    assert view.suggested_areas(many) == [
        "Toàn bộ các trạm đo", "Huyện Bạch Thông (cũ)", "Tỉnh Thái Nguyên",
    ]  # fmt: skip
