"""What people come to the centre for, done in a real Chromium at both widths, step by step.

A step is a click, a field that is filled or a choice from a list. docs/centre.md has their number,
and is held against what was done here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Download, Locator, Page, expect

from tests.browser.test_page import DESKTOP, PHONE, browser, why_not
from tests.browser.test_pages import Centre, centre, sign_in
from tests.client import eventually

__all__ = ["browser", "centre"]
pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

DOCUMENT = Path(__file__).parents[2] / "docs" / "centre.md"
_ROW = re.compile(r"^\| (\d+)\. .* \| (\d+) \| (\d+) \|$", re.MULTILINE)
TODAY = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).date()


class Person:
    """Somebody before the centre's overview, in Vietnamese; `steps` counts what they do."""

    def __init__(self, page: Page, centre: Centre, width: str) -> None:
        self.page = page
        self.on_phone = width == "phone"
        self.steps = 0
        page.goto(f"{centre.collector.url}/?lang=vi")

    def click(self, place: Locator) -> None:
        place.click()
        self.steps += 1

    def fill(self, place: Locator, text: str) -> None:
        place.fill(text)
        self.steps += 1

    def choose(self, label: str, option: str) -> None:
        self.page.get_by_label(label).first.select_option(label=option)
        self.steps += 1

    def press(self, name: str) -> None:
        """Click a button of the page itself."""
        self.click(self.page.get_by_role("main").get_by_role("button", name=name).first)

    def go_to(self, name: str) -> None:
        """Open a page of the navigation; on a phone it is behind a button."""
        if self.on_phone:
            self.click(self.page.get_by_role("button", name="Các trang"))
        self.click(self.page.get_by_role("navigation").get_by_role("link", name=name, exact=True))

    def find(self, text: str) -> None:
        """Type into the search field on top of the page, and press Enter."""
        place = self.page.get_by_role("searchbox", name="Tìm xã, phường")
        self.fill(place, text)
        place.press("Enter")
        self.steps += 1

    def takes(self, link: str) -> Download:
        with self.page.expect_download(timeout=60_000) as download:
            self.click(self.page.get_by_role("link", name=link))
        return download.value


def find_a_commune(person: Person) -> None:
    person.find("phu thong")
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Xã Phủ Thông")


def say_why_it_is_red(person: Person) -> None:
    person.find("phu thong")
    red = person.page.get_by_role("row").filter(has_text="Chập chờn")
    expect(red).to_contain_text("Viettel", timeout=30_000)
    table = person.page.get_by_role("region", name="Các đường truyền đáp ứng được việc gì")
    expect(table.get_by_role("row").filter(has_text="Viettel")).to_contain_text(
        re.compile(r"mất gói [\d,]+% \(cần dưới")
    )


def issue_the_weekly_report_of_a_province(person: Person) -> None:
    person.go_to("Báo cáo")
    person.fill(person.page.get_by_label("Địa bàn"), "Thái Nguyên")
    person.press("Phát hành")
    issued = person.page.get_by_role("row").filter(has_text="Thái Nguyên")
    expect(issued.first).to_contain_text("PDF", timeout=60_000)


def compare_two_isps(person: Person) -> None:
    person.go_to("So sánh nhà mạng")
    expect(person.page.get_by_role("row").filter(has_text="VNPT − Viettel")).to_be_visible()


def add_a_probe(person: Person) -> None:
    person.go_to("Sổ đăng ký")
    person.click(person.page.get_by_role("link", name="Thêm trạm đo vào sổ"))
    name = f"tram-02014-9{2 if person.on_phone else 1}"
    main = person.page.get_by_role("main")
    # Known, since there is but one; and a line gets its ISP's id.
    expect(main.get_by_label("Đơn vị").first).to_have_value("bach-thong", timeout=30_000)
    for label, text in (
        ("Trạm", name),
        ("Trụ sở", "Trạm y tế xã"),
        ("Tên hoặc mã xã, phường", "02014"),
        ("Nhà mạng", "VNPT"),
        ("Gói tải xuống, Mbit/s", "300"),
        ("Gói tải lên, Mbit/s", "200"),
    ):
        person.fill(main.get_by_label(label).first, text)
    person.press("Xem thay đổi")
    expect(person.page.get_by_role("main").get_by_role("alert")).to_have_count(0)
    person.press("Áp dụng")
    expect(person.page.get_by_role("status")).to_be_visible()


def change_a_plan(person: Person) -> None:
    person.go_to("Sổ đăng ký")
    person.click(person.page.get_by_role("link", name="Trụ sở UBND xã Vĩnh Thông"))
    plan = "410" if person.on_phone else "405"
    person.fill(person.page.get_by_label("Gói tải xuống, Mbit/s").first, plan)
    person.fill(person.page.get_by_label("Gói có hiệu lực từ").first, TODAY.isoformat())
    person.press("Xem thay đổi")
    expect(person.page.get_by_role("main")).to_contain_text(f"{plan} Mbit/s")
    person.press("Áp dụng")
    expect(person.page.get_by_role("status")).to_be_visible()


def silence_an_alert(person: Person) -> None:
    person.go_to("Cảnh báo")
    alerts = person.page.get_by_role("region", name="Đang diễn ra")
    person.click(alerts.get_by_role("rowheader").get_by_role("link").first)
    person.fill(person.page.get_by_label("Lý do"), "Đang thay cáp")
    person.press("Tạm ngừng thông báo")
    expect(person.page.get_by_role("status")).to_contain_text("Đang thay cáp")


def find_who_changed_what(person: Person) -> None:
    person.go_to("Nhật ký thao tác")
    expect(person.page.get_by_role("row").filter(has_text="registry").first).to_contain_text(
        "centre"
    )


def take_the_month_into_a_spreadsheet(person: Person) -> None:
    person.choose("Thời gian", "30 ngày qua")
    person.press("Xem")
    assert person.takes("Tải về XLSX").suggested_filename == "lines.xlsx"


def put_the_block_on_a_portal(person: Person) -> None:
    person.find("phu thong")
    person.click(person.page.get_by_role("link", name="Trang công khai của xã"))
    code = person.page.get_by_label("Mã nhúng")
    assert "<iframe" in code.input_value()
    person.click(code)


class Task(NamedTuple):
    """By its number in the document."""

    number: int
    do: Callable[[Person], None]


TASKS = [
    Task(1, find_a_commune),
    Task(2, say_why_it_is_red),
    Task(3, issue_the_weekly_report_of_a_province),
    Task(4, compare_two_isps),
    Task(5, add_a_probe),
    Task(6, change_a_plan),
    Task(7, silence_an_alert),
    Task(8, find_who_changed_what),
    Task(9, take_the_month_into_a_spreadsheet),
    Task(10, put_the_block_on_a_portal),
]


@pytest.fixture(scope="module", params=["desktop", "phone"])
def width(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def page(browser: Browser, centre: Centre, width: str) -> Iterator[Page]:
    """A page of somebody of the centre who has signed in."""
    context = browser.new_context(viewport=PHONE if width == "phone" else DESKTOP)
    made = context.new_page()
    eventually(lambda: centre.collector.get("/alerts.json")[1]["alerts"], "alerts are open")
    sign_in(made, centre)
    yield made
    context.close()


def documented(width: str) -> dict[int, int]:
    """The steps that the document says, by number of the task."""
    rows = _ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    return {int(number): int(phone if width == "phone" else wide) for number, wide, phone in rows}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.do.__name__)
def test_a_task_takes_as_many_steps_as_the_document_says(
    task: Task, page: Page, centre: Centre, width: str
) -> None:
    person = Person(page, centre, width)
    task.do(person)
    assert person.steps == documented(width)[task.number]
    # Chromium lays a page out without a style sheet that has not come yet.
    page.wait_for_load_state()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_task_of_the_document_is_done(width: str) -> None:
    assert sorted(documented(width)) == sorted(task.number for task in TASKS)
