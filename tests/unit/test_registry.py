"""The registry's file: checked whole, every problem with its place."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import msgspec
import pytest

from collector.registry import file_format
from collector.registry.communes import official
from collector.registry.file_format import CSV_COLUMNS, parse_csv, parse_toml
from collector.registry.registry import LineKey, Registry, Technology
from runtime.settings import SettingsError

SOUND = """
[[isp]]
id = "vnpt"
name = "VNPT"
[[isp]]
id = "viettel"
name = "Viettel"

[[probe]]
tenant = "bach-thong"
probe = "tram-01969-1"
commune = "01969"
office = "Văn phòng UBND xã Phủ Thông"
installed_on = 2026-07-01
[[probe.line]]
id = "vnpt"
isp = "vnpt"
plan_down_mbit_s = 300
plan_up_mbit_s = 150.5
contract_date = 2026-01-15
technology = "fibre"
[[probe.line]]
id = "du-phong"
isp = "viettel"

[[probe]]
tenant = "bach-thong"
probe = "tram-01981-1"
commune = "01981"
office = "Văn phòng UBND xã Vĩnh Thông"

[[group]]
id = "bach-thong-cu"
name = "Huyện Bạch Thông (cũ)"
communes = ["01969", "01981"]
"""
KNOWN = Registry(communes=official())
LINE = LineKey("bach-thong", "tram-01969-1", "vnpt")


def sound() -> Registry:
    return parse_toml(SOUND.encode(), "registry.toml", official())


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_toml(text.encode(), "r.toml", official())
    return str(caught.value).splitlines()


def test_the_official_list_is_whole() -> None:
    communes = official()
    assert len(communes) == 3_321
    assert len({commune.province_code for commune in communes.values()}) == 34
    assert communes["01969"].name == "Xã Phủ Thông"
    assert communes["00004"].province_name == "Thành phố Hà Nội"
    assert all(7 < c.latitude < 24 and 102 < c.longitude < 118 for c in communes.values())


def test_a_sound_file_is_a_registry() -> None:
    registry = sound()
    line = registry.line(LINE)
    assert line is not None
    assert (line.plan_down_bps, line.plan_up_bps) == (300e6, 150.5e6)
    assert line.contract_date == date(2026, 1, 15)
    assert line.technology is Technology.FIBRE
    commune = registry.commune_of(LINE)
    assert commune is not None
    assert commune.code == "01969"
    spare = LINE._replace(line="du-phong")
    assert registry.lines() == [LINE, spare]
    assert registry.lines_of_group("bach-thong-cu") == [LINE, spare]
    assert registry.lines_of_isp("viettel") == [spare]
    assert registry.lines_in({"01981"}) == []
    assert registry.line(LINE._replace(line="none")) is None
    assert registry.line(LINE._replace(probe="none")) is None


def test_the_example_is_a_registry_and_has_every_key() -> None:
    path = Path(file_format.__file__).parents[1] / "registry.example.toml"
    content = path.read_bytes()
    made = parse_toml(content, "example", official())
    assert len(made.lines()) == 3
    assert made.lines_of_group("bach-thong-cu")
    for table in (
        file_format.IspTable,
        file_format.ProbeTable,
        file_format.LineTable,
        file_format.GroupTable,
    ):
        for key in table.__struct_fields__:
            assert re.search(rf"^(\[+.*\b)?{key}( = |\]\])", content.decode(), re.MULTILINE), key


def test_every_wrong_key_and_value_is_named_at_once() -> None:
    text = SOUND.replace('commune = "01981"', "commune = 1981").replace(
        "plan_down_mbit_s = 300", "plan_dwon_mbit_s = -1\nplan_down_mbit_s = -3"
    )
    found = problems(text)
    assert found[0].startswith("r.toml: probe[1].line[1].plan_dwon_mbit_s: unknown key")
    assert any(p.startswith("r.toml: probe[1].line[1].plan_down_mbit_s:") for p in found)
    assert any(p.startswith("r.toml: probe[2].commune:") for p in found)
    assert len(found) == 3


def test_every_broken_reference_is_named_at_once() -> None:
    text = (
        SOUND.replace('isp = "viettel"', 'isp = "vietel"')
        .replace('commune = "01981"', 'commune = "99999"')
        .replace('communes = ["01969", "01981"]', 'communes = ["01969", "01969", "00000"]')
    )
    assert problems(text) == [
        "r.toml: probe[1].line[2].isp: there is no isp vietel",
        "r.toml: probe[2].commune: there is no commune 99999",
        "r.toml: group[1].communes: there is no commune 00000",
        "r.toml: group[1].communes: a code stands twice",
    ]


def test_what_is_there_twice_is_named() -> None:
    text = SOUND.replace('id = "viettel"', 'id = "vnpt"').replace("tram-01981-1", "tram-01969-1")
    found = problems(text.replace('isp = "viettel"', 'isp = "vnpt"'))
    assert found == [
        "r.toml: isp[2]: vnpt is there twice",
        "r.toml: probe[2]: bach-thong/tram-01969-1 is there twice",
    ]
    twice = SOUND.replace('id = "du-phong"', 'id = "vnpt"')
    assert problems(twice) == ["r.toml: probe[1].line: vnpt is there twice"]


def test_a_commune_may_be_added_and_dated() -> None:
    text = """
[[commune]]
code = "01969"
valid_to = 2027-01-01
[[commune]]
code = "99001"
name = "Xã Mới"
kind = "xa"
province_code = "19"
province_name = "Tỉnh Thái Nguyên"
latitude = 22.1
longitude = 105.9
valid_from = 2027-01-01
"""
    registry = parse_toml(text.encode(), "r.toml", official())
    old, new = registry.communes["01969"], registry.communes["99001"]
    assert old.name == "Xã Phủ Thông"
    assert old.is_valid_on(date(2026, 12, 31))
    assert not old.is_valid_on(date(2027, 1, 1))
    assert new.is_valid_on(date(2027, 1, 1))
    assert not new.is_valid_on(date(2026, 12, 31))


def test_a_commune_that_is_not_official_needs_all_of_it() -> None:
    (found,) = problems('[[commune]]\ncode = "99001"\nname = "Xã Mới"\n')
    assert found.startswith("r.toml: commune[1]: 99001 is not in the official list")
    (found,) = problems(
        '[[commune]]\ncode = "01969"\nvalid_from = 2027-01-01\nvalid_to = 2026-01-01\n'
    )
    assert found == "r.toml: commune[1].valid_to: comes before `valid_from`"


CSV = """tenant,probe,commune,office,line,isp,isp_name,plan_down_mbit_s,plan_up_mbit_s,contract_date
bach-thong,tram-01969-1,01969,UBND xã Phủ Thông,vnpt,vnpt,VNPT,300,300,2026-01-15
bach-thong,tram-01969-1,01969,UBND xã Phủ Thông,viettel,viettel,Viettel,200,,
bach-thong,tram-01981-1,01981,UBND xã Vĩnh Thông,vnpt,vnpt,VNPT,,,
"""


def test_a_csv_file_is_a_registry() -> None:
    registry = parse_csv(CSV, "r.csv", KNOWN)
    assert [key.line for key in registry.lines()] == ["vnpt", "viettel", "vnpt"]
    line = registry.line(LINE)
    assert line is not None
    assert line.plan_down_bps == 300e6
    assert line.contract_date == date(2026, 1, 15)
    assert registry.isps["viettel"].name == "Viettel"


def test_a_csv_file_without_names_renames_no_isp() -> None:
    known = parse_csv(CSV, "r.csv", KNOWN)
    nameless = CSV.replace(",isp_name", "").replace(",VNPT", "").replace(",Viettel", "")
    assert parse_csv(nameless, "r.csv", known) == known
    emptied = CSV.replace(",VNPT", ",").replace(",Viettel", ",")
    assert parse_csv(emptied, "r.csv", known) == known
    # One that is new is called by its id.
    assert parse_csv(nameless, "r.csv", KNOWN).isps["viettel"].name == "viettel"


def test_a_csv_file_leaves_groups_and_places_as_they_are() -> None:
    added = msgspec.structs.replace(official()["01969"], code="99001", name="Xã Mới")
    known = msgspec.structs.replace(sound(), communes={**official(), "99001": added})
    registry = parse_csv(CSV.replace("01981", "99001"), "r.csv", known)
    assert registry.groups == known.groups
    assert registry.communes == known.communes
    assert registry.probes["bach-thong", "tram-99001-1"].commune == "99001"


def test_a_plan_is_of_the_days_from_its_contract_on() -> None:
    line = sound().line(LINE)
    assert line is not None
    assert line.plan_is_of(date(2026, 1, 15))
    assert not line.plan_is_of(date(2026, 1, 14))
    assert msgspec.structs.replace(line, contract_date=None).plan_is_of(date(2020, 1, 1))


def test_every_wrong_row_of_a_csv_file_is_named() -> None:
    text = (
        CSV.replace("viettel,viettel,Viettel,200", "viettel,viettel,Viettel,nhanh")
        .replace("01981,UBND", "x981,UBND")
        .replace("2026-01-15", "15/2026")
    )
    with pytest.raises(SettingsError) as caught:
        parse_csv(text, "r.csv", KNOWN)
    places = [problem.split(": ")[:2] for problem in str(caught.value).splitlines()]
    assert places == [
        ["r.csv:2", "contract_date"],
        ["r.csv:3", "plan_down_mbit_s"],
        ["r.csv:4", "commune"],
    ]


def test_a_csv_file_with_other_columns_is_refused() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_csv("tenant,probe,xã,office,line,isp\n", "r.csv", KNOWN)
    assert str(caught.value).splitlines() == [
        f"r.csv:1: unknown column `xã` (columns: {', '.join(CSV_COLUMNS)})",
        "r.csv:1: column `commune` is missing",
    ]


def test_a_nul_character_is_refused_whatever_the_store() -> None:
    text = '[[isp]]\nid = "vnpt"\nname = "VN\\u0000PT"\n'
    with pytest.raises(SettingsError, match=r"isp\[1\]\.name: there is a NUL character in it"):
        parse_toml(text.encode(), "registry.toml", official())
