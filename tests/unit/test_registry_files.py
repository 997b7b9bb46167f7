"""The registry's files as Excel and LibreOffice write them, by the page and by the command."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import msgspec
import openpyxl
import pytest

from collector.registry import import_file, workbook_rows
from collector.registry.communes import official
from collector.registry.file_text import decode
from collector.registry.registry import FormerCode, LineKey, Registry
from collector.store.cli import BAD_INPUT, OK, run
from collector.store.settings import StoreConfig
from collector.store.sqlite import SqliteStore
from runtime.language import Language
from runtime.problem import Problem
from runtime.settings import SettingsError
from tests.unit.test_registry_page import Browser, form

KNOWN = Registry(communes=official())
HEAD = ("tenant", "probe", "commune", "office", "line", "isp", "isp_name", "plan_down_mbit_s",
        "contract_date")  # fmt: skip
ROW = ("bach-thong", "tram-01969-1", "01969", "Trụ sở UBND xã Phủ Thông, Bạch Thông cũ", "vnpt",
       "vnpt", "VNPT Thái Nguyên", "300", "2026-01-15")  # fmt: skip
LINE = LineKey("bach-thong", "tram-01969-1", "vnpt")
# Every letter of Vietnamese with every tone.
LETTERS = (
    "".join(
        unicodedata.normalize("NFC", letter + tone)
        for letter in "aăâeêioôơuưyAĂÂEÊIOÔƠUƯY"
        for tone in ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
    )
    + "đĐ"
)
UNREADABLE = (
    "so.xlsx: không đọc được tệp XLSX: chép bảng sang một tệp mới chỉ có bảng đó, lưu dạng XLSX"
)


def table(*rows: tuple[str, ...], separator: str = ",", head: tuple[str, ...] = HEAD) -> str:
    def cell(text: str) -> str:
        return f'"{text}"' if separator in text else text

    return "".join(separator.join(map(cell, row)) + "\r\n" for row in (head, *rows))


def read(content: bytes, name: str = "so.csv") -> Registry:
    return import_file.parse(import_file.text_of(content, name), name, official(), KNOWN)


def refused(content: bytes, name: str = "so.csv") -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(content, name)
    return [problem.in_(Language.VI) for problem in caught.value.problems]


def office(registry: Registry) -> str:
    return registry.probes["bach-thong", "tram-01969-1"].office


def windows_1258(text: str) -> bytes:
    """The text as Vietnamese Windows programs write it: tones are marks after their letter."""
    written = []
    for letter in text:
        base, *marks = list(unicodedata.normalize("NFD", letter))
        tones = [mark for mark in marks if mark in "\u0300\u0301\u0303\u0309\u0323"]
        shapes = [mark for mark in marks if mark not in tones]
        written.append(unicodedata.normalize("NFC", base + "".join(shapes)) + "".join(tones))
    return "".join(written).encode("cp1258")


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "utf-8 of a Mac": lambda text: unicodedata.normalize("NFD", text).encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 big": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "windows-1258": windows_1258,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_spreadsheet_programs_write_is_read(encoding: str, separator: str) -> None:
    registry = read(ENCODINGS[encoding](table(ROW, separator=separator)))
    assert office(registry) == ROW[3]
    line = registry.line(LINE)
    assert line is not None
    assert (line.plan_down_bps, line.contract_date) == (300e6, date(2026, 1, 15))


def test_every_letter_survives_windows_1258() -> None:
    assert decode(windows_1258(LETTERS), "so.csv") == LETTERS


@pytest.mark.parametrize(
    "content",
    [
        table(ROW).encode("utf-16")[2:],
        # TCVN3 (ABC): Phñ Th«ng.
        table(ROW).encode("ascii", "ignore").replace(b"VNPT Thi", b"Ph\xf1 Th\xabng"),
        # VNI: Phuû Thoâng.
        table(ROW).encode("ascii", "ignore").replace(b"VNPT Thi", b"Phu\xfb Tho\xe2ng"),
        # Latin-1 of another language.
        table(ROW).encode("ascii", "ignore").replace(b"VNPT Thi", "Gruß".encode("latin-1")),
        table(ROW).encode()[:200] + b"\xff\x00",
    ],
)
def test_an_encoding_that_is_not_known_is_refused_in_words(content: bytes) -> None:
    (problem,) = refused(content)
    assert problem.startswith("so.csv:")
    assert "UTF-8" in problem
    assert "XLSX" in problem


def test_rows_of_empty_cells_and_columns_are_no_rows() -> None:
    text = table(ROW, separator=";").replace("\r\n", ";;\r\n") + ";;;;;;;;;;\r\n" * 3 + "\r\n"
    assert len(read(text.encode()).lines()) == 1


def test_the_line_by_which_excel_names_its_separator() -> None:
    assert len(read(b"sep=;\r\n" + table(ROW, separator=";").encode()).lines()) == 1


def test_numbers_days_and_codes_as_a_vietnamese_spreadsheet_writes_them() -> None:
    row = (*ROW[:2], "1969", *ROW[3:7], "99,5", "5/1/2026")
    registry = read(table(row, separator=";").encode())
    line = registry.line(LINE)
    assert line is not None
    assert (line.plan_down_bps, line.contract_date) == (99.5e6, date(2026, 1, 5))
    assert registry.probes["bach-thong", "tram-01969-1"].commune == "01969"


@pytest.mark.parametrize("number", ["1.000", "1,000", "10.000,5", "nan", "inf", "nhanh"])
def test_a_number_that_may_be_two_is_refused_with_what_to_write(number: str) -> None:
    (problem,) = refused(table((*ROW[:7], number, ""), separator=";").encode())
    assert problem.startswith("so.csv:2: plan_down_mbit_s: ")
    assert ("viết 1000" in problem) == (number in ("1.000", "1,000"))


def test_a_doubled_column_is_named() -> None:
    (problem,) = refused(table((*ROW, "x"), head=(*HEAD, "office")).encode())
    assert problem == "so.csv:1: cột `office` có hai lần: xóa một cột"


@pytest.mark.parametrize("more", [0, 20_000])
def test_an_unclosed_quote_is_named_with_its_row(more: int) -> None:
    """Over 128 KiB in one cell it was an internal error."""
    bad = table(ROW).replace('"Trụ sở UBND xã Phủ Thông, Bạch Thông cũ"', '"Trụ sở')
    text = (
        table(ROW) + bad.split("\r\n")[1] + "\r\n" + (table(ROW).split("\r\n")[1] + "\r\n") * more
    )
    (problem,) = refused(text.replace('cũ"', "cũ").replace('"Trụ sở UBND', "Trụ sở UBND").encode())
    assert problem.startswith("so.csv:")
    assert "dấu ngoặc kép" in problem


def test_the_row_of_an_unclosed_quote() -> None:
    good = table(("bach-thong", "tram-01981-1", "01981", "UBND", "vnpt", "vnpt", "VNPT", "", ""))
    rest = "x,y\r\n" * 100_000
    (problem,) = refused(f'{good}bach-thong,tram-01969-1,01969,"UBND,vnpt\r\n{rest}'.encode())
    assert problem.startswith("so.csv:3: dấu ngoặc kép")


def test_a_row_with_other_cells_is_named() -> None:
    text = (
        table(ROW) + "bach-thong,tram-2\r\n" + table((*ROW, "one more")).split("\r\n")[1] + "\r\n"
    )
    assert [problem.split(": ")[0] for problem in refused(text.encode())] == [
        "so.csv:3",
        "so.csv:4",
    ]


def workbook(*rows: tuple[object, ...], **others: Sequence[tuple[object, ...]]) -> bytes:
    """A book with a sheet of these rows, and others by their titles after it."""
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    for sheet, content in [(first, rows), *((book.create_sheet(t), r) for t, r in others.items())]:
        for row in content:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def changed(**cells: object) -> tuple[object, ...]:
    """The row with other cells."""
    return tuple(cells.get(name, cell) for name, cell in zip(HEAD, ROW, strict=True))


def text_row(**cells: str) -> tuple[str, ...]:
    return tuple(map(str, changed(**cells)))


def test_an_xlsx_file_is_a_table_too() -> None:
    row = (*ROW[:2], 1969, *ROW[3:7], 300.125, date(2026, 1, 15))
    registry = read(workbook(HEAD, row, (None,) * 9, ()), "so.xlsx")
    line = registry.line(LINE)
    assert line is not None
    assert (line.plan_down_bps, line.contract_date) == (300.125e6, date(2026, 1, 15))
    assert registry.probes["bach-thong", "tram-01969-1"].commune == "01969"
    assert office(registry) == ROW[3]


def test_a_problem_in_an_xlsx_file_has_its_row() -> None:
    content = workbook(HEAD, (), (*ROW[:2], "99999", *ROW[3:7], "nhanh", None))
    (problem,) = refused(content, "so.xlsx")
    assert problem.startswith("so.xlsx:3: plan_down_mbit_s: ")


def test_what_nobody_sees_in_a_cell_is_left_out() -> None:
    hidden = text_row(
        probe="tram-01969-1\u00a0", commune="\u200b01969", office=ROW[3].replace(" ", "\u00a0", 1)
    )
    head = tuple("Probe\u200b " if name == "probe" else name.upper() for name in HEAD)
    of_a_mac = changed(office=unicodedata.normalize("NFD", ROW[3]))
    for registry in (
        read(table(hidden, head=head).encode()),
        read(workbook(HEAD, of_a_mac), "so.xlsx"),
    ):
        assert office(registry) == ROW[3]
        assert registry.line(LINE) is not None


def test_letters_that_were_lost_when_a_file_was_saved_are_not_stored() -> None:
    """LibreOffice and Excel write so in an encoding without Vietnamese."""
    (problem,) = refused(table(text_row(office="Tr? s? UBND")).encode())
    assert problem.startswith("so.csv:2: office: 'Tr? s? UBND' đã mất chữ")
    assert "«CSV UTF-8»" in problem


def test_each_problem_of_a_table_has_its_row() -> None:
    """Of the communes too, which are compared with the list after all rows are read."""
    unknown = text_row(probe="tram-2", commune="99999")
    assert refused(table(ROW, unknown).encode()) == ["so.csv:3: commune: không có xã mã 99999"]
    twice = refused(table(ROW, text_row(probe="tram-2"), ROW).encode())
    assert twice == [
        "so.csv:4: line: đường truyền vnpt của trạm này đã có ở một dòng trước: xóa một dòng"
    ]
    merged = workbook(HEAD, ROW, changed(tenant=None, probe=None, line="viettel"))
    assert [problem.split(":")[:3] for problem in refused(merged, "so.xlsx")] == [
        ["so.xlsx", "3", " tenant"],
        ["so.xlsx", "3", " probe"],
    ]


def test_a_former_code_is_named_at_its_row() -> None:
    former = {"00001": FormerCode("01969", date(2026, 7, 1))}
    known = msgspec.structs.replace(KNOWN, former_codes=former)
    notices: list[Problem] = []
    text = table(ROW, text_row(probe="tram-2", commune="00001"))
    assert len(import_file.parse(text, "so.csv", official(), known, notices).probes) == 2
    (notice,) = notices
    assert notice.place == "so.csv:3: commune"


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        ("46037", "46037 là số thứ tự của ngày trong bảng tính: viết 15/01/2026"),
        ("15/01/26", "viết như 15/01/2026"),
        ("31/02/2026", "viết như 15/01/2026"),
        ("2026-01-15 10:00:00", "viết như 15/01/2026"),
    ],
)
def test_what_is_no_day_is_refused_with_what_to_write(written: str, advice: str) -> None:
    (problem,) = refused(table(text_row(contract_date=written)).encode())
    assert problem.startswith("so.csv:2: contract_date: ")
    assert advice in problem


def test_a_day_with_midnight_is_the_day() -> None:
    line = read(table(text_row(contract_date="2026-01-15 00:00:00")).encode()).line(LINE)
    assert line is not None
    assert line.contract_date == date(2026, 1, 15)


def test_a_title_above_the_names_of_columns_is_no_row() -> None:
    title: tuple[object, ...] = ("Sổ đăng ký các trạm, huyện Bạch Thông cũ",)
    assert len(read(workbook(title, (), HEAD, ROW), "so.xlsx").lines()) == 1
    assert len(read(("Sổ đăng ký\r\n\r\n" + table(ROW, separator=";")).encode()).lines()) == 1
    below = workbook(title, HEAD, changed(contract_date="x"))
    assert refused(below, "so.xlsx")[0].startswith("so.xlsx:3: contract_date")
    for empty in (b"", workbook(title)):
        (problem,) = refused(empty)
        assert problem.startswith("so.csv:1: không thấy dòng tên cột")


def test_the_sheet_with_the_table_is_taken() -> None:
    notes: tuple[object, ...] = ("Ghi chú",)
    assert len(read(workbook(notes, Tram=[HEAD, ROW]), "so.xlsx").lines()) == 1
    (problem,) = refused(workbook(HEAD, ROW, Tram=[HEAD, ROW]), "so.xlsx")
    assert "«Sheet», «Tram»" in problem
    book = openpyxl.load_workbook(
        io.BytesIO(workbook(HEAD, changed(probe="old"), Tram=[HEAD, ROW]))
    )
    book["Sheet"].sheet_state = "hidden"
    file = io.BytesIO()
    book.save(file)
    assert [key.probe for key in read(file.getvalue(), "so.xlsx").lines()] == ["tram-01969-1"]


def test_an_ods_file_is_named_as_what_it_is() -> None:
    content = zipped_plain({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"})
    (problem,) = refused(content, "so.ods")
    assert "lưu lại dạng XLSX" in problem


def zipped_plain(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def zipped(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_what_is_no_table_of_excel_is_refused_in_words() -> None:
    assert refused(b"\xd0\xcf\x11\xe0 old", "so.xls") == [
        "so.xls: tệp Excel dạng cũ (.xls): lưu lại dạng XLSX"
    ]
    assert refused(workbook(HEAD, ROW), "so.toml") == ["so.toml: là tệp XLSX: đặt tên .xlsx"]
    for content in (zipped({"x": b""}), workbook(HEAD)[:300]):
        assert refused(content, "so.xlsx") == [UNREADABLE]
    # As large as a registry can never be once it is unpacked.
    large = zipped({"xl/worksheets/sheet1.xml": bytes(workbook_rows.UNCOMPRESSED_MOST + 1)})
    assert len(large) < 100_000
    assert refused(large, "so.xlsx")[0].startswith("so.xlsx: bảng quá lớn")
    with zipfile.ZipFile(io.BytesIO(workbook(HEAD, ROW))) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    typed = b'<!DOCTYPE x [<!ENTITY a "b">]>' + parts["xl/workbook.xml"]
    assert refused(zipped(parts | {"xl/workbook.xml": typed}), "so.xlsx") == [UNREADABLE]


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "results.sqlite")


FILES = {
    "semicolons.csv": table(ROW, separator=";").encode("utf-8-sig"),
    "windows.csv": windows_1258(table(ROW, separator=";")),
    "utf-16.csv": table(ROW, separator="\t").encode("utf-16"),
    "book.xlsx": workbook(HEAD, ROW),
}
WRONG = {
    "tcvn3.csv": table(ROW).encode("ascii", "ignore").replace(b"VNPT Thi", b"Ph\xf1 Th\xabng"),
    "doubled.csv": table((*ROW, "x"), head=(*HEAD, "office")).encode(),
    "broken.xlsx": zipped({"x": b""}),
}


def registry_command(action: str, file: Path, store: Path) -> int:
    options = Namespace(command="registry", action=action, file=file, who="lan")
    return run(options, StoreConfig(path=str(store)))


@pytest.mark.parametrize("name", [*FILES, *WRONG])
def test_page_and_command_say_the_same(
    store: SqliteStore, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (FILES | WRONG)[name]
    browser = Browser(store, tmp_path, "en")
    page = browser.post(form(browser.get(), "", "apply"), file=(name, content))
    file = tmp_path / name
    file.write_bytes(content)
    code = registry_command("check", file, tmp_path / "results.sqlite")
    said = capsys.readouterr()
    if name in WRONG:
        assert (page.status, code) == (422, BAD_INPUT)
        # Each sentence of the command is one of the page, but for the file's folder.
        for sentence in said.err.strip().splitlines():
            assert sentence.replace(str(file), name) in page.plain
        assert store.registry.read().probes == {}
        return
    assert (page.status, code) == (200, OK)
    assert "3 changes would be made" in said.out
    applied = browser.post(form(page, page.document, "apply"))
    assert "Changes applied: 3" in applied.text
    assert office(store.registry.read()) == ROW[3]
