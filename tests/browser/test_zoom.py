"""Charts in a real Chromium: ways to zoom, with script and without; notes, comparison, hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from collector.web.chart_view import local_text
from collector.web.headers import POLICY
from tests.browser.test_page import DESKTOP, PHONE, browser, why_not
from tests.browser.test_pages import LINE, Centre, centre, context, sign_in
from tests.client import eventually

__all__ = ["browser", "centre", "context"]
pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
CHART = f"{LINE}/chart"
WEEK = timedelta(days=7)


class Shown(NamedTuple):
    """The range that a page's address names."""

    start: datetime
    end: datetime

    @property
    def span(self) -> timedelta:
        return self.end - self.start


def shown(page: Page) -> Shown | None:
    asked = parse_qs(urlsplit(page.evaluate("location.href")).query)
    if "from" not in asked:
        return None
    return Shown(*(datetime.fromisoformat(asked[name][0]) for name in ("from", "to")))


def next_range(page: Page, before: Shown | None) -> Shown:
    """The range that the address names once it is another."""
    eventually(lambda: shown(page) != before, "another range is shown")
    found = shown(page)
    assert found is not None
    # The form, the table and the charts are of the same range as the address.
    expect(page.locator('input[name="from"]')).to_have_value(f"{found.start:%Y-%m-%dT%H:%M}")
    return found


def rows(page: Page) -> Locator:
    return page.get_by_role("table").locator("tbody tr")


def opened(page: Page, centre: Centre, query: str = "days=7") -> Page:
    page.goto(f"{centre.collector.url}{CHART}?{query}&lang=en")
    # A page that was loaded anew has lost it.
    page.evaluate("window.sameDocument = true")
    return page


def middle(page: Page) -> tuple[float, float, float]:
    """The first chart's left edge, width, and height of its middle, in pixels of the screen."""
    chart = page.locator("svg.chart").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    return box["x"], box["width"], box["y"] + box["height"] / 2


def test_dragging_over_a_chart_shows_that_range(centre: Centre, context: BrowserContext) -> None:
    page = opened(context.new_page(), centre)
    whole = rows(page).count()
    left, width, y = middle(page)
    page.mouse.move(left + width * 0.4, y)
    page.mouse.down()
    page.mouse.move(left + width * 0.6, y, steps=5)
    expect(page.locator(".selection")).to_have_count(1)
    page.mouse.up()
    first = next_range(page, None)
    assert timedelta(days=1) < first.span < timedelta(days=2.5)
    expect(page.locator(".selection")).to_have_count(0)
    assert 0 < rows(page).count() < whole
    expect(page.locator("svg.chart")).to_have_count(5)
    expect(page.get_by_role("status")).to_contain_text("means of each hour")
    assert page.evaluate("window.sameDocument")


def test_the_wheel_zooms_with_ctrl_and_scrolls_without(
    centre: Centre, context: BrowserContext
) -> None:
    page = opened(context.new_page(), centre)
    left, width, y = middle(page)
    page.mouse.move(left + width / 2, y)
    scrolled = page.evaluate("scrollY")
    page.mouse.wheel(0, 200)
    eventually(lambda: page.evaluate("scrollY") > scrolled, "the page was scrolled")
    assert shown(page) is None
    left, width, y = middle(page)
    page.mouse.move(left + width / 2, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    closer = next_range(page, None)
    assert closer.span < timedelta(days=5)
    assert page.evaluate("window.sameDocument")


def test_a_chart_is_zoomed_by_keys_alone(centre: Centre, context: BrowserContext) -> None:
    page = opened(context.new_page(), centre)
    page.get_by_role("group", name="Speed over time").focus()
    page.keyboard.press("+")
    closer = next_range(page, None)
    assert timedelta(days=2.5) < closer.span < timedelta(days=4)
    expect(page.get_by_role("group", name="Speed over time")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    earlier = next_range(page, closer)
    assert earlier.start < closer.start
    page.keyboard.press("-")
    wider = next_range(page, earlier)
    assert wider.span > earlier.span
    page.keyboard.press("0")
    eventually(lambda: shown(page) is None, "the whole period is shown again")
    assert page.evaluate("window.sameDocument")


def test_two_fingers_zoom_and_one_moves(centre: Centre, browser: Browser) -> None:
    phone = browser.new_context(viewport=PHONE, has_touch=True)
    page = opened(phone.new_page(), centre)
    complaints: list[str] = []
    phone.on("weberror", lambda error: complaints.append(str(error.error)))
    left, width, y = middle(page)
    fingers = phone.new_cdp_session(page)

    def touch(kind: str, *shares: float) -> None:
        points = [{"x": left + width * at, "y": y, "id": n} for n, at in enumerate(shares)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.45, 0.55)
    for spread in (0.1, 0.15, 0.2, 0.25):
        touch("touchMove", 0.5 - spread, 0.5 + spread)
    touch("touchEnd")
    closer = next_range(page, None)
    assert closer.span < timedelta(days=3)
    touch("touchStart", 0.3)
    for at in (0.4, 0.5, 0.6, 0.7):
        touch("touchMove", at)
    touch("touchEnd")
    earlier = next_range(page, closer)
    assert earlier.start < closer.start
    assert complaints == []
    phone.close()


def test_links_and_form_zoom_without_script(centre: Centre, browser: Browser) -> None:
    plain = browser.new_context(viewport=DESKTOP, java_script_enabled=False)
    page = plain.new_page()
    page.goto(f"{centre.collector.url}{CHART}?days=30&lang=en")
    expect(page.locator("svg.chart")).to_have_count(5)
    expect(page.get_by_role("status")).to_contain_text("means of each day")
    days = rows(page).count()
    assert days >= 14
    page.get_by_role("link", name="Zoom in").click()
    page.get_by_role("link", name="Earlier").click()
    closer = shown(page)
    assert closer is not None
    assert closer.span <= timedelta(days=16)
    # A day leads to its hours.
    rows(page).last.get_by_role("link").click()
    day = shown(page)
    assert day is not None
    assert day.span == timedelta(days=1)
    expect(page.get_by_role("status")).to_contain_text("means of each hour")
    assert rows(page).count() > 1
    page.get_by_label("From").fill(f"{day.start + timedelta(hours=6):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Show").click()
    typed = shown(page)
    assert typed is not None
    assert typed.span == timedelta(hours=18)
    page.get_by_role("link", name="Whole period").click()
    expect(rows(page)).to_have_count(days)
    plain.close()


def test_a_centre_that_does_not_answer_is_said_and_asked_again(
    centre: Centre, browser: Browser
) -> None:
    weak = browser.new_context(viewport=DESKTOP)
    page = opened(weak.new_page(), centre)
    page.route("**/chart?*from=*", lambda route: route.abort())
    page.get_by_role("link", name="Zoom in").click()
    expect(page.get_by_role("status")).to_contain_text("The data could not be loaded")
    expect(page.locator("svg.chart")).to_have_count(5)
    page.unroute("**/chart?*from=*")
    page.get_by_role("link", name="Zoom in").click()
    assert next_range(page, None).span < WEEK
    weak.close()


def test_the_page_has_the_policy_of_all_pages(centre: Centre) -> None:
    headers, _ = centre.collector.text(f"{CHART}?days=7")
    assert headers["content-security-policy"] == POLICY


def fits(page: Page) -> None:
    """The page is no wider than its window, once its style sheets are there."""
    page.wait_for_load_state()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_notes_comparison_and_hours(browser: Browser, centre: Centre, size: ViewportSize) -> None:
    context = browser.new_context(viewport=size)
    context.set_default_timeout(60_000)
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text))
    page = context.new_page()
    sign_in(page, centre)
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=30_000)
    _write_a_note(page, centre, f"New modem {size['width']}")
    _compare_with_another_commune(page, centre)
    _look_at_the_hours_of_a_group(page, centre)
    context.close()
    assert complaints == []


def _write_a_note(page: Page, centre: Centre, text: str) -> None:
    """Write one, see it on each chart, correct it, withdraw it."""
    page.goto(f"{centre.collector.url}{LINE}?lang=en")
    main = page.get_by_role("main")
    main.get_by_text("Write a note").click()
    form = main.locator("#write-note")
    when = datetime.now(UTC) - timedelta(days=2)
    form.get_by_label("From").fill(local_text(when))
    form.get_by_label("What happened").fill(text)
    form.get_by_role("button", name="Save the note").click()
    row = main.get_by_role("row").filter(has_text=text)
    expect(row).to_contain_text("centre", timeout=30_000)
    marks = main.locator(".note-mark")
    expect(marks).to_have_count(main.locator("svg.plot").count(), timeout=30_000)
    expect(marks.first.locator("title")).to_contain_text(text, timeout=30_000)
    fits(page)
    page.goto(f"{centre.collector.url}{LINE}/chart?days=7")
    expect(page.locator("#charts .note-mark title").first).to_contain_text(text, timeout=30_000)
    expect(page.get_by_role("row").filter(has_text=text)).to_be_visible(timeout=30_000)
    page.goto(f"{centre.collector.url}{LINE}")
    row.get_by_text("Correct", exact=True).click()
    row.get_by_label("What happened").fill(f"{text}, router too")
    row.get_by_role("button", name="Save the note").click()
    expect(row).to_contain_text("corrected: centre", timeout=30_000)
    row.get_by_text("Correct", exact=True).click()
    row.get_by_role("button", name="Withdraw").click()
    expect(marks).to_have_count(0, timeout=30_000)
    main.get_by_text("Withdrawn notes").click()
    expect(row).to_contain_text("withdrawn: centre", timeout=30_000)


def _compare_with_another_commune(page: Page, centre: Centre) -> None:
    page.goto(f"{centre.collector.url}{LINE}")
    main = page.get_by_role("main")
    main.get_by_label("Compare with").fill("vinh thong")
    main.get_by_role("button", name="Compared on one chart").click()
    main.get_by_role("link", name="+ Xã Vĩnh Thông").click()
    differences = main.get_by_role("region", name="Difference from")
    expect(differences).to_contain_text("Xã Vĩnh Thông − VNPT, Xã Phủ Thông", timeout=30_000)
    speeds = main.locator("figure").first
    for style in ("series-a", "series-b"):
        expect(speeds.locator(f"svg.plot .{style}").first).to_be_attached(timeout=30_000)
    fits(page)
    whole = page.locator("#range").inner_text()
    page.locator("#charts nav.zoom").get_by_role("link", name="Zoom in").click()
    expect(page.locator("#range")).not_to_have_text(whole, timeout=30_000)
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["a"], asked["b"]) == (["line:bach-thong/tram-01969-1/vnpt"], ["commune:01981"])
    assert {"from", "to", "period"} <= set(asked), "every choice is in the address"


def _look_at_the_hours_of_a_group(page: Page, centre: Centre) -> None:
    page.goto(f"{centre.collector.url}/?group=bach-thong-cu")
    main = page.get_by_role("main")
    main.get_by_role("link", name="By hour of the week").click()
    cells = main.locator("table.heat td")
    expect(cells).to_have_count(7 * 24, timeout=30_000)
    main.get_by_label("Indicator").select_option(label="Idle latency")
    main.get_by_role("button", name="Show", exact=True).first.click()
    expect(main.locator("table.heat caption")).to_have_text("Idle latency, ms", timeout=30_000)
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["group"], asked["figure"]) == (["bach-thong-cu"], ["latency"])
    main.locator("summary").filter(has_text="As a table").click()
    expect(main.get_by_role("cell", name="lines").first).to_be_visible(timeout=30_000)
    fits(page)
