"""The CSV and XLSX of the pages: the same figures, each for its own reader."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

import openpyxl
import pytest

from collector.store.sqlite import SqliteStore
from tests import seeded_centre
from tests.unit.test_registry_page import Browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("centre")
    store = SqliteStore(folder / "results.sqlite")
    seeded_centre.fill(store, datetime.now(UTC), days=2)
    yield Browser(store, folder)
    store.close()


@pytest.mark.parametrize("path", ["/open/lines", "/campaign"])
def test_an_xlsx_stands_beside_each_csv(browser: Browser, path: str) -> None:
    text = browser.content(f"{path}.csv")
    assert text.startswith((b"first_day,", b"week,")), "no byte order mark"
    rows = list(csv.reader(io.StringIO(text.decode())))
    sheet = openpyxl.load_workbook(io.BytesIO(browser.content(f"{path}.xlsx"))).active
    assert sheet is not None
    shown = [
        ["" if cell is None else cell for cell in row] for row in sheet.iter_rows(values_only=True)
    ]
    assert len(rows) == len(shown) > 1
    assert rows[0] == shown[0]
    for written, cells in zip(rows[1:], shown[1:], strict=True):
        for one, cell in zip(written, cells, strict=True):
            assert one == cell if isinstance(cell, str) else float(one) == pytest.approx(cell)


def test_a_code_keeps_its_zero_in_the_spreadsheet(browser: Browser) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(browser.content("/open/lines.xlsx"))).active
    assert sheet is not None
    head, *rows = sheet.iter_rows(values_only=True)
    assert {row[head.index("commune_code")] for row in rows} == {"01969", "01981", "02008", "02014"}


def test_the_page_says_which_file_is_for_whom(browser: Browser) -> None:
    page = browser.get("/public").text
    assert "/open/lines.xlsx" in page
    assert "begin with a zero (01969)" in page
