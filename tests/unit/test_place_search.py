"""Communes are found as people type them."""

from __future__ import annotations

from datetime import date

import pytest

from collector.domain.lines import known_lines
from collector.domain.place_search import (
    PlaceIndex,
    bare,
    shared_names,
    short_province,
    with_province,
)
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.registry.former_provinces import FORMER_PROVINCES
from collector.registry.registry import LineKey, Registry
from collector.web import search_view
from tests.seeded_centre import REGISTRY

TODAY = date(2026, 11, 30)
INDEX = PlaceIndex(Registry(communes=dict(official())), TODAY)
SEEDED = PlaceIndex(parse_toml(REGISTRY.encode(), "seeded.toml", official()), TODAY)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("phu thong", "01969"),
        ("  PHỦ   THÔNG ", "01969"),
        ("xã phủ thông", "01969"),
        ("x. phu thong", "01969"),
        ("phủ thông, Thái Nguyên", "01969"),
        ("01969", "01969"),
        # Not one of the two of which the second is "Ba Dinh", and a commune, not a ward.
        ("phường ba đình", "00004"),
    ],
)
def test_one_commune_is_meant(typed: str, code: str) -> None:
    place = INDEX.exact(typed, ("commune",))
    assert place is not None
    assert place.key == code


@pytest.mark.parametrize(
    "typed",
    [
        "xã Phủ  Thông, tỉnh Thái Nguyên",
        "UBND xã Phủ Thông",
        "thị trấn Phủ Thông",
        "phur thoong",
        "PHUR THOONG",
        "phu3 tho6ng",
        "phuthong",
    ],
)
def test_other_ways_to_type_a_name(typed: str) -> None:
    assert [place.key for place in INDEX.find(typed, ("commune", "province"))] == ["01969"]


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("TP.HCM", "79"),
        ("tphcm", "79"),
        ("dduwcs xuaan", "01840"),
        ("truwowngf sa", "22736"),
        ("06978", "06970"),
    ],
)
def test_abbreviations_keys_of_telex_and_former_codes(typed: str, key: str) -> None:
    assert [place.key for place in INDEX.find(typed, ("commune", "province"))] == [key]


@pytest.mark.parametrize("typed", ["zzzz", "99999", "tram-09999-9", "xã", "tỉnh", "w", "1"])
def test_other_ways_to_type_find_nothing_by_chance(typed: str) -> None:
    assert SEEDED.exact(typed, ("commune", "province")) is None


def test_a_former_province_is_found_as_what_it_is_a_part_of_and_never_meant_as_that() -> None:
    assert INDEX.find("bắc kạn")[0].name == "Phường Bắc Kạn"
    (former,) = [place for place in INDEX.find("bac kan") if place.former]
    assert (former.key, former.former) == ("19", "Bắc Kạn")
    assert INDEX.find("bac kan")[-1] == former
    assert INDEX.exact("Tỉnh Bắc Kạn", ("commune", "province")) is None
    assert INDEX.exact("Thừa Thiên Huế", ("commune", "province")) is None
    present = {short_province(one.province_name) for one in official().values()}
    codes = {one.province_code for one in official().values()}
    assert not present & set(FORMER_PROVINCES)
    assert set(FORMER_PROVINCES.values()) <= codes
    # 63 provinces became 34, and one had another name.
    assert len(FORMER_PROVINCES) == 63 - 34 + 1


@pytest.mark.parametrize(
    ("typed", "same_as"),
    [("Hòa Bình", "Hoà Bình"), ("hoa binh", "Hoà Bình"), ("Mĩ Hòa", "Mỹ Hoà"), ("Ðông", "Đông")],
)
def test_the_ways_to_write_a_name_are_one(typed: str, same_as: str) -> None:
    assert bare(typed) == bare(same_as)
    assert {place.key for place in INDEX.find(typed)} == {
        place.key for place in INDEX.find(same_as)
    }
    assert INDEX.find(typed)


def test_marks_that_were_typed_come_first() -> None:
    names = [place.name for place in INDEX.find("xã văn lăng")]
    assert names[0] == "Xã Văn Lăng"
    assert set(names[1:]) == {"Xã Văn Lang", "Xã Văn Lãng"}


def test_part_of_a_name_and_of_a_code() -> None:
    assert "01969" in [place.key for place in INDEX.find("thông")]
    assert "01969" in [place.key for place in INDEX.find("0196")]
    assert INDEX.find("") == INDEX.find("   ") == INDEX.find("zzzz") == []


def test_a_province_is_found_too() -> None:
    (province,) = INDEX.find("thai nguyen")
    assert (province.kind, province.key) == ("province", "19")
    assert search_view.address(province) == "/?province=19"


def test_probes_are_found_by_name_and_office_where_no_commune_is_meant() -> None:
    (probe,) = search_view.find(SEEDED, "tram-01969")
    assert search_view.address(probe) == "/probe/bach-thong/tram-01969-1"
    (commune,) = search_view.find(SEEDED, "phu thong")
    assert search_view.address(commune) == "/commune/01969"


def test_a_province_stands_beside_a_name_that_two_communes_have() -> None:
    names = shared_names(official().values())
    assert len([c for c in official().values() if c.name in names]) > 2 * len(names)
    assert with_province(official()["01969"]) == "Xã Phủ Thông, Thái Nguyên"
    registry = REGISTRY.replace('commune = "01981"', 'commune = "00004"')
    assert "Phường Ba Đình" not in names
    twice = next(c for c in official().values() if c.name in names)
    registry = registry.replace('commune = "02008"', f'commune = "{twice.code}"')
    lines = known_lines(parse_toml(registry.encode(), "r.toml", official()), [])
    places = {line.key: line.place for line in lines}
    assert places[LineKey("bach-thong", "tram-01969-1", "vnpt")] == "Xã Phủ Thông"
    assert places[LineKey("bach-thong", "tram-02008-1", "viettel")] == with_province(twice)
