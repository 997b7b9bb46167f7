"""Tables of pages as files: all rows of what the page's parameters choose, in its order."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import openpyxl
import pytest

from collector.alerts.alert import AlertKind
from collector.alerts.alert_store import AlertLocation
from tests.unit.test_alerts_page import NOW, Centre, begun


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    one = Centre(tmp_path)
    where = AlertLocation("01969", "Văn phòng UBND xã Phủ Thông")
    changes = [
        begun(AlertKind.LINE_DOWN, "tram-01969-1", line, NOW) for line in ("vnpt", "viettel")
    ]
    one.alerts.write(changes, [], lambda _: where)
    yield one
    one.alerts.close()


def rows(centre: Centre, path: str, query: str = "") -> list[dict[str, str]]:
    status, body = centre.file(path, query)
    assert status == 200, body
    return list(csv.DictReader(io.StringIO(body.decode())))


def test_the_lines_are_those_of_the_filters_in_the_order_asked_for(centre: Centre) -> None:
    every = rows(centre, "/lines.csv")
    assert len(every) == 6
    assert every[0].keys() >= {"commune_code", "plan_down_mbit_s", "download_mean_mbit_s", "state"}
    assert {row["commune_code"] for row in every} >= {"01969", "01981"}
    of_vnpt = rows(centre, "/lines.csv", "isp=vnpt&sort=isp&order=desc&view=provinces")
    assert [row["isp"] for row in of_vnpt] == ["VNPT"] * len(of_vnpt)
    assert 0 < len(of_vnpt) < 6
    by_isp = [row["isp"] for row in rows(centre, "/lines.csv", "sort=isp&order=desc")]
    assert by_isp == sorted(by_isp, key=str.casefold, reverse=True)
    assert centre.file("/lines.csv", "isp=nobody")[0] == 400


def test_the_table_by_province_has_files_of_its_own(centre: Centre) -> None:
    (row,) = rows(centre, "/provinces.csv", "sort=down&order=desc&period=30")
    assert (row["province_code"], row["communes"], row["lines"]) == ("19", "4", "6")
    assert int(row["lines_below_plan"]) <= int(row["lines_with_plan"])
    (of_vnpt,) = rows(centre, "/provinces.csv", "isp=vnpt")
    assert of_vnpt["lines"] == "3"
    assert centre.file("/provinces.xlsx", "period=7")[0] == 200
    page = centre.file("/", "view=provinces&sort=loaded&order=desc&isp=vnpt")[1].decode()
    assert "/provinces.xlsx?isp=vnpt&amp;period=7&amp;sort=loaded&amp;order=desc" in page


def test_a_spreadsheet_has_the_page_s_words_and_numbers_as_numbers(centre: Centre) -> None:
    status, body = centre.file("/lines.xlsx", "period=7")
    assert status == 200
    sheet = openpyxl.load_workbook(io.BytesIO(body)).active
    assert sheet is not None
    heads, first, *_ = sheet.iter_rows(values_only=True)
    row = dict(zip(heads, first, strict=True))
    assert row["Mã xã"] == "02014"
    assert isinstance(row["Gói tải xuống, Mbit/s"], int | float)


def test_isps_and_alerts_are_files_too(centre: Centre) -> None:
    assert {row["isp"] for row in rows(centre, "/isps.csv")} == {"VNPT", "Viettel"}
    alerts = rows(centre, "/alerts.csv", "sort=began")
    assert len(alerts) == 2
    assert alerts[0]["began_at"] == "2026-07-25T12:00:00+07:00"
    assert alerts[0]["commune"] == "Xã Phủ Thông, Tỉnh Thái Nguyên"
    assert rows(centre, "/alerts.csv", "state=ended") == []
    for path in ("/isps.xlsx", "/alerts.xlsx"):
        status, body = centre.file(path)
        assert status == 200
        assert openpyxl.load_workbook(io.BytesIO(body)).active is not None


@pytest.mark.parametrize(
    ("page", "query"),
    [("/", "isp=vnpt&view=provinces&sort=below"), ("/isps", ""), ("/alerts", "state=all")],
)
def test_each_page_links_to_its_files(centre: Centre, page: str, query: str) -> None:
    status, body = centre.file(page, query)
    assert status == 200
    found = re.findall(
        r'href="(/(?:lines|provinces|isps|alerts)\.(?:csv|xlsx)[^"]*)"', body.decode()
    )
    assert len(found) == 2
    for link in found:
        path, _, asked = unescape(link).partition("?")
        assert centre.file(path, asked)[0] == 200
