"""Codes that our list of communes had before it was corrected."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from collector.domain.lines import known_lines
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.registry.registry import FORMER_CODES, Registry, present_code
from collector.store.sqlite import SqliteStore
from tests.unit.test_centre_pages import heard
from wire.site import Site

TEXT = """
[[isp]]
id = "vnpt"
name = "VNPT"
[[probe]]
tenant = "t"
probe = "tram-1"
commune = "{code}"
office = "UBND xã Ba Chẽ"
[[probe.line]]
id = "vnpt"
isp = "vnpt"
[[group]]
id = "g"
name = "G"
communes = ["{code}", "01969"]
"""
OLD, NEW = "06978", "06970"


def parsed(code: str) -> Registry:
    return parse_toml(TEXT.format(code=code).encode(), "r.toml", official())


def test_a_former_code_is_none_of_the_present_ones_and_leads_to_one() -> None:
    for code, former in FORMER_CODES.items():
        assert code not in official()
        assert former.present in official()
    assert official()[NEW].name == "Xã Ba Chẽ"
    assert all(present_code(code, official()) == code for code in official())


def test_a_file_with_a_former_code_is_of_the_present_one() -> None:
    assert parsed(OLD) == parsed(NEW)
    assert parsed(OLD).groups["g"].communes == (NEW, "01969")


def test_a_registry_that_was_stored_with_a_former_code_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    store = SqliteStore(path)
    store.registry.apply(parsed(NEW), "lan", "r.toml", datetime.now(UTC))
    store.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE registry_probes SET commune = ?", (OLD,))
        database.execute(
            "UPDATE registry_groups SET communes = replace(communes, ?, ?)", (NEW, OLD)
        )
    store = SqliteStore(path)
    assert store.registry.read() == parsed(NEW)
    store.close()


def test_a_place_of_the_registry_s_own_keeps_its_code() -> None:
    own = msgspec.structs.replace(official()[NEW], code=OLD, name="Xã khác")
    assert present_code(OLD, {**official(), OLD: own}) == OLD


def test_a_probe_that_reports_a_former_code_has_its_place() -> None:
    probe = msgspec.structs.replace(heard(), site=Site(OLD, "UBND xã Ba Chẽ"))
    places = {line.place for line in known_lines(Registry(communes=official()), [probe])}
    assert places == {"Xã Ba Chẽ"}


@pytest.mark.parametrize(
    ("code", "name", "ascii_name"),
    [("20333", "Đặc khu Hoàng Sa", "Hoang Sa"), ("22736", "Đặc khu Trường Sa", "Truong Sa")],
)
def test_the_archipelagos_have_their_own_names_and_places(
    code: str, name: str, ascii_name: str
) -> None:
    commune = official()[code]
    assert commune.name == name
    # Spratly Island, where the administration is, and not the middle of a bounding box.
    if code == "22736":
        assert (commune.latitude, commune.longitude) == (8.6447, 111.9199)
    table = Path(__file__).parents[2] / "collector/registry/data/vn_communes.csv"
    assert f"{name},{ascii_name}," in table.read_text(encoding="utf-8")
