"""Maps: the provinces' outlines, what a map's colours show, and how it is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import combinations, pairwise
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from collector.domain.lines import KnownLine, LineState
from collector.registry.communes import official
from collector.registry.outlines import Ring, outlines
from collector.registry.registry import Commune, LineKey
from collector.rollup.distribution import distribution
from collector.rollup.metrics import OVERVIEW_LOADED
from collector.rollup.periods import Period
from collector.rollup.summary import Summary
from collector.web.drawing.place_map import Area, Map, Point, Text, draw
from collector.web.line_table import DOWN
from collector.web.map_view import (
    Colour,
    MapFigures,
    MapView,
    nation_map,
    province_map,
    province_names,
)
from collector.web.presentation import Locale
from runtime.language import Language

VI = Locale(Language.VI, ZoneInfo("Asia/Ho_Chi_Minh"))
WEEK = Period(date(2026, 11, 23), date(2026, 11, 29))
COMMUNES = official()
PHU_THONG, HOANG_SA, TRUONG_SA, CON_DAO = "01969", "20333", "22736", "26732"


def line(code: str, number: int = 0, plan: float | None = 100e6) -> KnownLine:
    commune = COMMUNES[code]
    return KnownLine(
        key=LineKey("t", f"tram-{code}", f"l{number}"),
        office="UBND",
        commune_code=code,
        commune=commune,
        isp="vnpt",
        isp_name="VNPT",
        groups=(),
        plan_down_bps=plan,
    )


def figures(
    lines: Sequence[KnownLine],
    *,
    speeds: Sequence[float] = (),
    states: Sequence[LineState] = (),
    colour: Colour = Colour.STATE,
) -> MapFigures:
    summaries = {
        one.key: Summary(metrics={DOWN: distribution([speed])})
        for one, speed in zip(lines, speeds, strict=False)
    }
    return MapFigures(
        lines=lines,
        summaries=summaries,
        states=dict(zip((one.key for one in lines), states, strict=False)),
        period=WEEK,
        plan_share=0.8,
        colour=colour,
        locale=VI,
    )


def nation(of: MapFigures) -> MapView:
    return nation_map(of, COMMUNES.values(), outlines("nation"), lambda code: f"/?province={code}")


def province(of: MapFigures, code: str, here: str = "") -> MapView:
    inside = [commune for commune in COMMUNES.values() if commune.province_code == code]
    return province_map(
        of,
        inside,
        outlines("province"),
        province_names(COMMUNES.values()),
        lambda code: f"/?province={code}",
        whole=code,
        here=here,
    )


def is_inside(commune: Commune, rings: Sequence[Ring]) -> bool:
    """Whether a ray from the commune's point crosses the rings an odd number of times."""
    x, y = commune.longitude, commune.latitude
    crossed = 0
    for ring in rings:
        for (x1, y1), (x2, y2) in pairwise(ring):
            if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                crossed += 1
    return crossed % 2 == 1


@pytest.mark.parametrize(("detail", "share"), [("nation", 0.96), ("province", 0.985)])
def test_communes_lie_in_the_outline_of_their_province(detail: str, share: float) -> None:
    rings = outlines("nation" if detail == "nation" else "province")
    assert set(rings) == {commune.province_code for commune in COMMUNES.values()}
    assert all(ring[0] == ring[-1] for some in rings.values() for ring in some)
    inside = [
        commune for commune in COMMUNES.values() if is_inside(commune, rings[commune.province_code])
    ]
    assert len(inside) / len(COMMUNES) > share
    # The source had these two districts in a neighbour.
    assert {"03595", "30226"} <= {commune.code for commune in inside}


def boxes(drawn: Map) -> Iterator[tuple[Text, float, float, float, float]]:
    for text in drawn.texts:
        long = 5.2 * max(map(len, text.lines))
        left = {"start": 0.0, "middle": long / 2, "end": long}[text.anchor]
        top = text.y - 8
        yield text, text.x - left, top, text.x - left + long, top + 12 * len(text.lines) - 3


def assert_clear(drawn: Map) -> None:
    for (a, *one), (b, *other) in combinations(boxes(drawn), 2):
        apart = one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
        assert apart, f"{a.lines} lies on {b.lines}"
    for text, left, top, right, bottom in boxes(drawn):
        assert left >= 0, text.lines
        assert right <= drawn.width, text.lines
        assert top >= 0, text.lines
        assert bottom <= drawn.height, text.lines


def test_the_nation_is_34_provinces_that_lead_to_theirs() -> None:
    lines = [line(PHU_THONG, number) for number in range(4)]
    states = [LineState.GOOD, LineState.GOOD, LineState.GOOD, LineState.DOWN]
    shown = nation(figures(lines, states=states))
    by_href = {shape.href: shape for shape in shown.map.shapes}
    assert len(by_href) == 34
    assert by_href["/?province=19"].look == "area-3"
    assert by_href["/?province=19"].title == "Tỉnh Thái Nguyên: 4 đường truyền, 75% đang tốt"
    assert by_href["/?province=01"].title == "Thành phố Hà Nội: chưa có đường truyền được đo"
    assert [(entry.text, entry.count) for entry in shown.legend] == [
        ("từ 95%", "0"),
        ("80% – 95%", "0"),
        ("50% – 80%", "1"),
        ("dưới 50%", "0"),
        ("chưa có đường truyền được đo", "33"),
    ]


def test_hoang_sa_and_truong_sa_are_on_the_nations_map_and_in_their_provinces() -> None:
    shown = nation(figures([]))
    names = [text.lines for text in shown.map.texts]
    assert ("Quần đảo Hoàng Sa", "(Đà Nẵng)") in names
    assert ("Quần đảo Trường Sa", "(Khánh Hoà)") in names
    assert_clear(shown.map)
    lines = [line(code) for code in COMMUNES]
    whole = nation(figures(lines, states=[LineState.GOOD] * len(lines))).map
    assert_clear(whole)
    with_figures = [text for text in whole.texts if "100%" in text.lines]
    assert len(with_figures) >= 28, "all but a few provinces have their name and figure"
    for code, zone in (("48", HOANG_SA), ("56", TRUONG_SA), ("79", CON_DAO)):
        shown = province(figures([]), code)
        (spot,) = [spot for spot in shown.map.spots if spot.href == f"/commune/{zone}"]
        (frame,) = shown.map.insets
        assert frame.x < spot.x < frame.x + frame.width
        assert shown.map.bottom < spot.y < shown.map.height


def test_names_lie_on_no_other_and_the_worst_communes_are_named_first() -> None:
    codes = [code for code, commune in COMMUNES.items() if commune.province_code == "79"]
    lines = [line(code) for code in codes]
    states = [LineState.DOWN if code == "26506" else LineState.GOOD for code in codes]
    shown = province(figures(lines, states=states), "79")
    assert_clear(shown.map)
    assert COMMUNES["26506"].name.removeprefix("Phường ") in [
        text.lines[0] for text in shown.map.texts
    ]
    assert len(shown.map.spots) == len(codes)
    assert f"{COMMUNES['26506'].name} (26506): Mất kết nối" in [s.title for s in shown.map.spots]


def test_speed_against_plan_is_the_median_of_a_province_and_the_worst_of_a_commune() -> None:
    lines = [line(PHU_THONG, 0), line(PHU_THONG, 1), line(PHU_THONG, 2), line(PHU_THONG, 3, None)]
    of = figures(lines, speeds=[45e6, 90e6, 120e6, 1e6], colour=Colour.PLAN)
    (shape,) = [one for one in nation(of).map.shapes if one.href == "/?province=19"]
    assert (shape.look, shape.title) == (
        "area-2",
        "Tỉnh Thái Nguyên: 4 đường truyền, 90% gói cước",
    )
    shown = province(of, "19")
    (spot,) = shown.map.spots
    assert spot.title == "Xã Phủ Thông (01969): 45% gói cước"
    assert [layer.shape for layer in shown.map.layers] == ["dot", "disc-4"]
    # A line without a plan has no figure, and none is made up for it.
    assert (
        province(figures(lines[3:], speeds=[1e6], colour=Colour.PLAN), "19")
        .map.spots[0]
        .title.endswith("chưa có số liệu")
    )


def test_latency_under_load_is_of_the_worse_direction_and_the_higher_the_worse() -> None:
    lines = [line(PHU_THONG, 0), line(PHU_THONG, 1), line(PHU_THONG, 2)]
    down, up = OVERVIEW_LOADED
    loads = ([20.0, 40.0], [90.0, 60.0], [30.0, 250.0])
    summaries = {
        one.key: Summary(metrics={down: distribution([a]), up: distribution([b])})
        for one, (a, b) in zip(lines, loads, strict=True)
    }
    of = structs.replace(figures(lines, colour=Colour.LOADED), summaries=summaries)
    (shape,) = [one for one in nation(of).map.shapes if one.href == "/?province=19"]
    assert (shape.look, shape.title) == (
        "area-2",
        "Tỉnh Thái Nguyên: 3 đường truyền, 90 ms khi tải",
    )
    shown = province(of, "19")
    assert shown.map.spots[0].title == "Xã Phủ Thông (01969): 250 ms khi tải"
    assert [layer.shape for layer in shown.map.layers] == ["dot", "disc-4"]
    texts = [entry.text for entry in shown.legend]
    assert texts[:4] == ["dưới 50 ms", "50 ms – 100 ms", "100 ms – 200 ms", "từ 200 ms"]
    nothing = province(figures(lines[:1], colour=Colour.LOADED), "19")
    assert nothing.map.spots[0].title.endswith("chưa có số liệu")


def test_the_commune_of_a_page_is_marked_and_its_neighbours_lead_on() -> None:
    shown = province(figures([line(PHU_THONG)], states=[LineState.GOOD]), "19", here=PHU_THONG)
    unmarked = province(figures([line(PHU_THONG)], states=[LineState.GOOD]), "19")
    (near,), (clear,) = (
        [text for text in one.map.texts if text.lines == ("Phủ Thông",)]
        for one in (unmarked, shown)
    )
    assert clear.x - near.x == pytest.approx(4), "clear of the ring"
    assert "here" in [layer.look for layer in shown.map.layers]
    around = {shape.href for shape in shown.map.shapes}
    assert "" in around, "the province itself is where we are"
    assert "/?province=08" in around


def test_points_of_one_look_are_one_path_and_north_is_up() -> None:
    points = [Point(22.0 + n / 10, 105.8, "bad", "cross", f"xã {n}", f"/c/{n}") for n in range(3)]
    drawn = draw(points, backdrop=[Point(8.6, 104.7, "none", "dot")])
    assert [layer.look for layer in drawn.layers] == ["none", "bad"]
    assert drawn.layers[1].path.count("M") == 3
    assert [spot.href for spot in drawn.spots] == ["/c/0", "/c/1", "/c/2"]
    assert drawn.spots[0].y > drawn.spots[2].y
    assert draw([]).layers == []


def test_an_outline_is_drawn_where_it_is_and_left_out_where_it_is_not_seen() -> None:
    def square(west: float) -> list[tuple[float, float]]:
        return [(west, 21.0), (west + 1, 21.0), (west + 1, 22.0), (west, 22.0), (west, 21.0)]

    areas = [
        Area(rings=[square(west)], look="ground", title=str(west), href="")
        for west in (105.0, 112.0)
    ]
    drawn = draw([], areas=areas, extent=[(105.0, 21.0), (106.0, 22.0)])
    assert [shape.title for shape in drawn.shapes] == ["105.0"]
    # Steps from corner to corner come back to where they began.
    numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", drawn.shapes[0].path)]
    steps = list(zip(numbers[2::2], numbers[3::2], strict=True))
    assert sum(x for x, _ in steps) == pytest.approx(0, abs=0.2)
    assert sum(y for _, y in steps) == pytest.approx(-(drawn.height - 24), abs=1)
