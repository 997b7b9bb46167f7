"""Every page of the centre in a real Chromium, over a store that was filled through intake."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from collector.store.sqlite import SqliteStore
from collector.users import passwords
from collector.users.user import Role, User
from collector.users.user_store import UserStore
from tests import seeded_centre
from tests.broker import Broker
from tests.browser.test_page import DESKTOP, PHONE, browser, why_not
from tests.client import Client, eventually
from tests.collector_process import CollectorProcess
from wire import topics
from wire.commands import Answer, Reply, decode_command

__all__ = ["browser"]
pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

SCREENSHOTS = Path(__file__).parents[2] / "out" / "screens"
PASSWORD = "một câu dài dễ nhớ"
PROBE = "/probe/bach-thong/tram-01969-1"
LINE = "/line/bach-thong/tram-01969-1/vnpt"
OPEN_PAGES = {
    "overview": "/",
    "map-nation": "/?zoom=nation&colour=plan",
    "commune": "/commune/01969",
    "probe": PROBE,
    "line": LINE,
    "line-month": f"{LINE}?days=30",
    "chart": f"{LINE}/chart?days=30",
    "compare": "/compare?a=line:bach-thong/tram-01969-1/vnpt&b=commune:01981&table=down",
    "hours": "/hours?group=bach-thong-cu",
    "campaign": "/campaign",
    "isps": "/isps",
    "papers": "/papers",
    "alerts": "/alerts",
    "system": "/system",
    "public": "/public",
    "open-data": "/open?kind=throughput",
    "public-province": "/public?province=19&colour=plan",
    "public-commune": "/public/01969",
    "public-card": "/public/01969/card?period=7",
    "embed": "/embed/01969",
    "search": "/search?q=hoà",
    "sign-in": "/sign-in",
    "live": "/live",
}
CLOSED_PAGES = {
    "papers-signed-in": "/papers",
    "papers-mail": "/papers/mail",
    "due": "/due",
    "registry": "/registry",
    "registry-probe": "/registry/probe/bach-thong/tram-01969-1",
    "registry-new": "/registry/probe",
    "registry-document": "/registry/document",
    "registry-changes": "/registry/changes",
    "audit": "/audit",
    "maintenance": "/maintenance",
    "alert": "/alerts/1",
    "probe-signed-in": PROBE,
}


# Names of a map whose letters share more than a pixel.
OVERLAPS = """() => {
  const all = [...document.querySelectorAll("svg.map text")];
  if (all.length < 10) return ["too few names"];
  const boxes = all.map((text) => [text.textContent, text.getBoundingClientRect()]);
  return boxes.flatMap(([name, a], i) => boxes.slice(i + 1).filter(([, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4).map(([b]) => name + " | " + b));
}"""


class Centre(NamedTuple):
    """A collector over the seeded store, and its broker."""

    collector: CollectorProcess
    broker: Broker


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    folder = tmp_path_factory.mktemp("centre")
    with Broker(folder / "broker") as broker:
        collector = CollectorProcess(folder / "collector", broker.config())
        store = SqliteStore(collector.store_path)
        seeded_centre.fill(store, datetime.now(UTC))
        store.close()
        user_store = UserStore(folder / "collector" / "people.sqlite")
        for name, role, communes in (
            ("centre", Role.CENTRE, ()),
            ("vinhthong", Role.OFFICE, ("01981",)),
        ):
            user_store.put(
                User(name=name, role=role, communes=communes), passwords.make_hash(PASSWORD)
            )
        with collector:
            eventually(lambda: collector.get("/healthz")[0] == 200, "the collector is connected")
            yield Centre(collector, broker)


@pytest.fixture
def context(browser: Browser, centre: Centre) -> Iterator[BrowserContext]:
    """A browser that may ask nobody else, and whose pages may not complain."""
    made = browser.new_context(viewport=DESKTOP)
    complaints: list[str] = []
    hosts: set[str] = set()
    made.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    made.on("console", lambda message: complaints.append(message.text))
    made.on("weberror", lambda error: complaints.append(str(error.error)))
    yield made
    made.close()
    assert complaints == []
    assert hosts <= {urlsplit(centre.collector.url).netloc}


def sign_in(page: Page, centre: Centre, name: str = "centre", password: str = PASSWORD) -> None:
    page.goto(f"{centre.collector.url}/sign-in?lang=en")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


# Both widths and both schemes; the other two crossings differ in nothing that axe reads.
READ_BY_AXE = {("desktop", "light"), ("phone", "dark")}


# What a page may have of them with a nation loaded; these are its parts that grow with a range.
ELEMENTS_MOST = 1_500
_ELEMENTS = "document.querySelectorAll('*').length"
COMPARED = "&".join(
    f"{letter}=line:bach-thong/{line}"
    for letter, line in zip(
        "abcd",
        (
            "tram-01969-1/vnpt",
            "tram-01969-1/viettel",
            "tram-01981-1/vnpt",
            "tram-01981-1/viettel",
        ),
        strict=True,
    )
)


def test_charts_of_many_hours_stay_small(centre: Centre, context: BrowserContext) -> None:
    page, now = context.new_page(), datetime.now(ZoneInfo("Asia/Ho_Chi_Minh"))
    hours = "&".join(
        f"{name}={now - timedelta(days=days):%Y-%m-%dT%H:00}"
        for name, days in (("from", 8), ("to", 0))
    )
    for path in (f"{LINE}/chart?{hours}", f"/compare?{COMPARED}&{hours}&table=down"):
        page.goto(f"{centre.collector.url}{path}&lang=en")
        assert page.evaluate(_ELEMENTS) <= ELEMENTS_MOST, path
        # Nothing is left out of the table: its other pages have the rest, over the same range.
        first = page.locator("#chart-table tbody th").first.inner_text()
        page.get_by_role("navigation", name="Pages of the table").get_by_role(
            "link", name="2", exact=True
        ).click()
        expect(page.locator("#chart-table tbody th").first).not_to_have_text(first, timeout=30_000)
        assert hours in page.url.replace("%3A", ":"), "the range is still chosen"


# Frames that scroll without a visible word of it, and a navigation of more than one line.
_UNTOLD = """() => {
  const found = [];
  for (const frame of document.querySelectorAll(".scroll")) {
    const hint = frame.previousElementSibling;
    if (frame.scrollWidth > frame.clientWidth + 1
        && !(hint?.matches(".scroll-hint") && hint.offsetHeight > 0))
      found.push(`a table scrolls and does not say so: ${frame.getAttribute("aria-label")}`);
  }
  const pages = document.querySelector(".masthead .menu-line");
  if (pages && pages.offsetHeight + document.querySelector("#rooms").offsetHeight > 64)
    found.push("the navigation takes more than one line");
  return found;
}"""


def look(page: Page, name: str, language: str) -> list[str]:
    """Look at a loaded page in its four looks, in English in two of them; what is wrong."""
    wrong = []
    for width, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
        page.set_viewport_size(viewport)
        for scheme in ("light", "dark"):
            if language == "en" and (width, scheme) not in READ_BY_AXE:
                continue
            page.emulate_media(color_scheme=scheme)
            which = f"{name}-{language}-{width}-{scheme}"
            if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                wrong.append(f"{which}: wider than the screen")
            if (elements := page.evaluate(_ELEMENTS)) > ELEMENTS_MOST:
                wrong.append(f"{which}: {elements} elements")
            if width == "phone":
                wrong += [f"{which}: {found}" for found in page.evaluate(_UNTOLD)]
            if (width, scheme) in READ_BY_AXE:
                wrong += [
                    f"{which}: {found['id']}: {found['nodes'][0]['html'][:120]}"
                    for found in Axe().run(page).response["violations"]
                ]
            page.screenshot(path=SCREENSHOTS / f"{which}.png", full_page=True)
    return wrong


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_page_in_every_look(centre: Centre, context: BrowserContext, language: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = context.new_page()
    wrong: list[str] = []
    for name, path in OPEN_PAGES.items():
        page.goto(f"{centre.collector.url}{path}{'&' if '?' in path else '?'}lang={language}")
        expect(page.locator("html")).to_have_attribute("lang", language)
        wrong += look(page, name, language)
    sign_in(page, centre)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    for name, path in CLOSED_PAGES.items():
        page.goto(f"{centre.collector.url}{path}?lang={language}")
        wrong += look(page, name, language)
    assert not wrong, "\n".join(wrong)


def test_a_phone_shows_the_pages_behind_one_button(centre: Centre, browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto(f"{centre.collector.url}/campaign?lang=en")
    link = page.get_by_role("link", name="Alerts")
    expect(link).not_to_be_visible()
    page.get_by_role("button", name="Menu").click()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Alerts")
    expect(page.get_by_role("navigation", name="Pages")).not_to_be_visible()
    page.set_viewport_size(DESKTOP)
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    expect(page.get_by_role("button", name="Menu")).not_to_be_visible()
    context.close()


def test_the_overview_says_what_was_stored(centre: Centre, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{centre.collector.url}/?lang=en&group=bach-thong-cu")
    row = page.get_by_role("row").filter(has_text="Phủ Thông").filter(has_text="VNPT")
    expect(row).to_contain_text("Good")
    expect(row).to_contain_text("/ 300")
    expect(page.get_by_role("row").filter(has_text="Cẩm Giàng")).to_contain_text("Silent")
    expect(page.get_by_role("row").filter(has_text="Bạch Thông").last).to_contain_text("Never")
    # What the page says is what the API says.
    lines = centre.collector.get("/api/v1/lines?group=bach-thong-cu")[1]["lines"]
    mean = next(x for x in lines if x["probe"] == "tram-01969-1" and x["line"] == "vnpt")
    expect(row).to_contain_text(f"{mean['figures']['download_mean_bps'] / 1e6:.1f}")


def test_both_families_are_told_apart_and_joined(centre: Centre, context: BrowserContext) -> None:
    collector, page = centre.collector, context.new_page()
    page.goto(f"{collector.url}{LINE}?days=30&lang=en")
    table = page.get_by_role("region", name="By address family")
    heads = table.get_by_role("rowheader")
    expect(heads).to_have_text(["IPv4", "IPv6", "not stated"])
    expect(page.get_by_text("joins the samples of IPv4 and IPv6")).to_be_visible()

    def figures(family: str) -> dict[str, Any]:
        lines = collector.get(f"/api/v1/lines?days=30{family}")[1]["lines"]
        found: dict[str, Any] = next(
            x["figures"] for x in lines if (x["probe"], x["line"]) == ("tram-01969-1", "vnpt")
        )
        return found

    whole = figures("")
    parts = [figures(f"&family={name}") for name in ("ipv4", "ipv6", "unstated")]
    assert [part["samples_valid"] > 0 for part in parts] == [True, True, True]
    assert sum(part["samples_valid"] for part in parts) == whole["samples_valid"]
    weighted = sum(part["samples_valid"] * part["download_mean_bps"] for part in parts)
    assert whole["download_mean_bps"] == pytest.approx(weighted / whole["samples_valid"])
    for row, part in zip(("IPv4", "IPv6", "not stated"), parts, strict=True):
        shown = table.get_by_role("row").filter(has_text=row)
        expect(shown).to_contain_text(f"{part['download_mean_bps'] / 1e6:.1f}")
    minutes = whole["ipv6_down_minutes"]
    expect(page.get_by_text(f"IPv6 did not answer: {minutes} minutes")).to_be_visible()
    # A minute is up or down for the line, not for a family.
    assert parts[1]["availability_ratio"] is None
    assert whole["availability_ratio"] is not None
    assert collector.get("/api/v1/lines?family=ipx")[0] == 400

    # A line of one family has no table of them.
    page.goto(f"{collector.url}/line/bach-thong/tram-01981-1/vnpt?lang=en")
    expect(page.get_by_role("region", name="By address family")).to_have_count(0)


def test_open_data_and_metrics_tell_the_families_apart(centre: Centre) -> None:
    collector = centre.collector
    lines = collector.get("/open/lines.json?days=7")[1]["lines"]
    (both,) = [line for line in lines if line["ipv6_samples_valid"]]
    assert (both["family"], both["isp"]) == ("", "VNPT")
    assert both["samples_valid"] == both["ipv4_samples_valid"] + both["ipv6_samples_valid"]
    assert both["ipv6_download_mean_bps"] < both["ipv4_download_mean_bps"]
    assert both["ipv6_rtt_mean_ms"] > both["ipv4_rtt_mean_ms"]
    alone = collector.get("/open/lines.json?days=7&family=ipv6")[1]["lines"]
    (six,) = [line for line in alone if line["samples_valid"]]
    assert (six["family"], six["download_mean_bps"]) == ("ipv6", both["ipv6_download_mean_bps"])
    header = collector.text("/open/lines.csv")[1].splitlines()[0]
    assert "unknown_minutes,family,ipv4_samples_valid" in header
    path = "/api/v1/lines/bach-thong/tram-01969-1/vnpt/series?days=30"
    buckets = {
        family: collector.get(f"{path}&family={family}")[1]["buckets"]
        for family in ("ipv4", "ipv6", "unstated")
    }
    assert {family: bool(found) for family, found in buckets.items()} == dict.fromkeys(
        buckets, True
    )
    assert len(collector.get(path)[1]["buckets"]) < sum(map(len, buckets.values()))


def test_filters_narrow_the_overview(centre: Centre, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{centre.collector.url}/?lang=en")
    page.get_by_role("combobox", name="ISP").select_option(label="VNPT")
    page.get_by_role("combobox", name="Period").select_option(label="Last 30 days")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row").filter(has_text="VNPT")).to_have_count(3)
    expect(page.get_by_role("row").filter(has_text="Viettel")).to_have_count(0)


def test_a_commune_is_found_from_any_page_without_javascript(
    centre: Centre, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{centre.collector.url}{LINE}?lang=en")
    search = page.get_by_role("searchbox", name="Find a commune")
    search.fill("phu thong")
    search.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Xã Phủ Thông")
    page.get_by_role("searchbox").fill("tân hòa")
    page.get_by_role("button", name="Search").click()
    hits = page.get_by_role("main").get_by_role("listitem")
    expect(hits.filter(has_text="Xã Tân Hoà, Tây Ninh")).to_have_count(1)
    page.get_by_role("searchbox").fill("nowhere at all")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing was found")
    context.close()


def test_a_table_is_sorted_by_its_heads_and_the_address_shows_it_to_others(
    centre: Centre, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{centre.collector.url}/?lang=en&period=30")
    page.get_by_role("link", name="Latency, ms").click()
    head = page.get_by_role("columnheader", name="Latency, ms")
    expect(head).to_have_attribute("aria-sort", "descending")
    rows = page.get_by_role("rowheader").all_inner_texts()
    first = page.get_by_role("row").nth(1).inner_text()
    page.get_by_role("link", name="Latency, ms").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("combobox", name="Period")).to_have_value("30")
    assert page.get_by_role("row").nth(1).inner_text() != first
    # Somebody else, with this address alone.
    page.go_back()
    other = browser.new_context().new_page()
    other.goto(page.url)
    assert other.get_by_role("rowheader").all_inner_texts() == rows
    other.context.close()
    context.close()


def test_any_two_days_are_a_period(centre: Centre, context: BrowserContext) -> None:
    page = context.new_page()
    today = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).date()
    first, last = today - timedelta(days=9), today - timedelta(days=5)
    page.goto(f"{centre.collector.url}/?lang=en&isp=vnpt")
    page.get_by_text("Other range of days").click()
    page.get_by_label("From").fill(first.isoformat())
    page.get_by_label("To", exact=True).fill(last.isoformat())
    page.get_by_role("button", name="Show").last.click()
    chosen = page.get_by_role("combobox", name="Period")
    expect(chosen).to_have_value(f"{first}..{last}")
    expect(page.get_by_role("combobox", name="ISP")).to_have_value("vnpt")
    # It stays with the other filters.
    page.get_by_role("button", name="Show").first.click()
    expect(chosen).to_have_value(f"{first}..{last}")


def test_the_language_stays_once_chosen(centre: Centre, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(centre.collector.url + LINE)
    expect(page.locator("html")).to_have_attribute("lang", "vi")
    page.get_by_role("link", name="English").click()
    assert urlsplit(page.url).path == LINE
    page.get_by_role("link", name="Campaign").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The campaign: monitor and urge")


def test_the_campaign_urges_those_who_are_behind(centre: Centre, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{centre.collector.url}/campaign?lang=en")
    chosen = page.get_by_role("combobox", name="Week").locator("option:checked")
    # The week that has just begun is the first of the list, and not the one that is shown.
    expect(chosen).to_have_text(re.compile(r"^Week \d+ of \d{4}$"))
    page.get_by_role("combobox", name="Week").select_option(index=0)
    page.get_by_role("button", name="Show").click()
    urge = page.get_by_role("table").first
    for office in ("Trụ sở UBND xã Bạch Thông", "Trụ sở UBND xã Cẩm Giàng"):
        expect(urge).to_contain_text(office)
    expect(urge).not_to_contain_text("Văn phòng UBND xã Phủ Thông")
    text = centre.collector.text("/campaign.csv")[1]
    assert text.startswith("week,province,")
    assert len(text.splitlines()) == 1 + 6


@contextmanager
def portal(html: str) -> Iterator[str]:
    """A commune's portal of one page, on a server of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_public_block_can_stand_in_another_page(
    centre: Centre, context: BrowserContext, browser: Browser
) -> None:
    headers = centre.collector.text("/embed/01969?lang=vi")[0]
    assert "frame-ancestors *" in headers["content-security-policy"]
    assert not any(name.lower() == "set-cookie" for name in headers)
    page = context.new_page()
    page.goto(f"{centre.collector.url}/public/01969?lang=en")
    code = page.get_by_label("Code").input_value()
    assert f'<iframe src="{centre.collector.url}/embed/01969' in code
    # As a careful portal has it: in a sandboxed frame, which two lines fit and which has our style.
    with portal(f"<!doctype html><title>Xã Phủ Thông</title>{code}") as address:
        portal_page = browser.new_page()
        portal_page.goto(address)
        assert_block_fits(portal_page)
        portal_page.close()


def assert_block_fits(page: Page) -> None:
    block = page.frame_locator("iframe")
    expect(block.get_by_role("heading", level=2)).to_have_count(2)
    assert page.locator("iframe").get_attribute("sandbox") == ""
    main = block.locator("main")
    expect(main).to_have_css("border-top-style", "solid")
    inside = main.bounding_box()
    frame = page.locator("iframe").bounding_box()
    assert inside is not None
    assert frame is not None
    assert inside["height"] <= frame["height"], "nothing is to scroll"


def test_the_map_leads_from_the_nation_to_a_commune_without_scripts(
    centre: Centre, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=DESKTOP)
    page = context.new_page()
    page.goto(f"{centre.collector.url}/?lang=vi&zoom=nation")
    page.get_by_role("link", name=re.compile("^Tỉnh Thái Nguyên: 6 đường truyền")).press("Enter")
    expect(page).to_have_url(re.compile(r"province=19"))
    page.get_by_role("link", name="tốc độ so với gói cước").click()
    page.get_by_role("link", name=re.compile(r"^Xã Vĩnh Thông \(01981\): \d+% gói cước")).press(
        "Enter"
    )
    expect(page.get_by_role("heading", level=1)).to_have_text("Xã Vĩnh Thông")
    page.get_by_role("link", name="Tỉnh Thái Nguyên").click()
    expect(page).to_have_url(re.compile(r"province=19"))
    context.close()


def test_no_name_on_a_drawn_map_lies_on_another(centre: Centre, context: BrowserContext) -> None:
    page = context.new_page()
    for path in ("/?zoom=nation", "/?province=79", "/public?province=01"):
        page.goto(f"{centre.collector.url}{path}")
        overlapping = page.evaluate(OVERLAPS)
        assert overlapping == [], path


def test_a_wrong_password_is_refused_and_kept_in_the_trail(
    centre: Centre, browser: Browser
) -> None:
    page = browser.new_page()
    sign_in(page, centre, password="not the password")
    expect(page.get_by_role("alert")).to_contain_text("Wrong name or password.")
    sign_in(page, centre)
    page.goto(f"{centre.collector.url}/audit?lang=en")
    expect(page.get_by_role("table")).to_contain_text("sign_in_refused")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{centre.collector.url}/audit?lang=en")
    expect(page.get_by_role("heading", level=1)).to_have_text("Request failed")
    page.close()


def test_signing_out_ends_a_stolen_cookie_too(centre: Centre, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, centre)
    stolen = context.cookies()
    page.get_by_role("button", name="Sign out").click()
    thief = browser.new_context()
    thief.add_cookies(stolen)  # type: ignore[arg-type]
    other = thief.new_page()
    other.goto(f"{centre.collector.url}/audit?lang=en")
    expect(other.get_by_role("heading", level=1)).to_have_text("Request failed")
    for each in (context, thief):
        each.close()


def test_a_report_is_asked_for_by_the_name_of_its_area(centre: Centre, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, accept_downloads=True)
    page = context.new_page()
    sign_in(page, centre)
    page.goto(f"{centre.collector.url}/papers?lang=en")
    page.get_by_label("Area").fill("tan hoa")
    page.get_by_role("button", name="View draft").click()
    expect(page.get_by_role("alert")).to_contain_text("Several areas have this name")
    page.get_by_label("Area").fill("phu thong")
    page.get_by_label("Format").select_option("json")
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("button", name="View draft").click()
    assert "01969" in download.value.suggested_filename
    context.close()


def test_reports_by_mail_are_set_and_sent_from_their_page(centre: Centre, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, centre)
    page.goto(f"{centre.collector.url}/papers?lang=en")
    page.get_by_role("link", name="Reports by e-mail").click()
    schedule = page.get_by_role("button", name="Set a schedule")
    page.get_by_label("Area").fill("phu thong")
    page.get_by_label("Day").select_option("Wednesday")
    page.get_by_label("Recipients").fill("van thu")
    schedule.click()
    expect(page.get_by_role("alert")).to_have_text("Not an e-mail address: van")
    expect(page.get_by_label("Area")).to_have_value("phu thong")
    page.get_by_label("Recipients").fill("van.thu@example.vn")
    schedule.click()
    schedules = page.get_by_role("region", name="Schedules")
    expect(schedules).to_contain_text("Wednesday, 08:00")
    schedules.get_by_role("button", name="Send now").click()
    # This centre has no mail server, and says so.
    expect(page.get_by_role("status")).to_contain_text("No mail server is configured")
    expect(page.get_by_role("region", name="Deliveries")).to_contain_text("Waiting")
    schedules.get_by_role("button", name="Stop").click()
    expect(schedules).to_contain_text("Stopped")
    expect(page.get_by_role("region", name="Deliveries")).to_contain_text("schedule was stopped")
    schedules.get_by_role("button", name="Remove").click()
    expect(schedules).to_contain_text("No schedule is set")
    page.goto(f"{centre.collector.url}/audit?lang=en")
    for done in ("add", "send", "stop", "remove"):
        expect(page.get_by_role("row").filter(has_text=f"{done}_mailing")).to_have_count(1)
    context.close()


def test_a_calendar_link_is_made_shown_once_and_revoked(centre: Centre, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{centre.collector.url}/due?lang=en")
    expect(page.get_by_role("heading", level=1)).to_have_text("Request failed")
    sign_in(page, centre)
    page.get_by_role("navigation").get_by_role("link", name="What is due").click()
    expect(page.get_by_role("region", name="This week")).to_contain_text("End of campaign week")
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("The link").input_value()
    answer = context.request.get(link)
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    page.goto(f"{centre.collector.url}/due?lang=en")
    expect(page.get_by_role("main")).to_contain_text("The present link was made at")
    assert link.rpartition("/")[2].partition(".")[0] not in page.content()
    page.get_by_role("button", name="Revoke the link").click()
    expect(page.get_by_role("main")).to_contain_text("There is no link.")
    assert context.request.get(link).status == 404
    context.close()


def test_the_registry_is_checked_shown_and_then_applied(centre: Centre, browser: Browser) -> None:
    page = browser.new_page()
    sign_in(page, centre)
    page.goto(f"{centre.collector.url}/registry/document?lang=en")
    text = page.get_by_label("The registry as text").input_value()
    page.get_by_label("The registry as text").fill(text.replace('"01981"', '"99999"', 1))
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert")).to_contain_text("there is no commune 99999")
    page.get_by_label("The registry as text").fill(
        text.replace("plan_up_mbit_s = 200.0", "plan_up_mbit_s = 250.0", 1)
    )
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("row").filter(has_text="plan upload: 250 Mbit/s")).to_have_count(1)
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("status")).to_contain_text("Changes applied: 1")
    page.goto(f"{centre.collector.url}/registry/changes?lang=en")
    expect(page.get_by_role("table")).to_contain_text("centre")
    page.close()


def test_an_office_asks_its_own_probe_and_no_other(centre: Centre, browser: Browser) -> None:
    own, other = "tram-01981-1", "tram-01969-1"
    topic = topics.command("bach-thong", own, "identify")
    page = browser.new_page()
    with Client(centre.broker.config(), own, subscriptions=[topic]) as probe:
        sign_in(page, centre, "vinhthong")
        page.goto(f"{centre.collector.url}/probe/bach-thong/{other}?lang=en")
        expect(page.get_by_role("button", name="Measure now")).to_have_count(0)
        page.goto(f"{centre.collector.url}/probe/bach-thong/{own}?lang=en")
        page.get_by_role("button", name="Flash the LEDs").click()
        expect(page.get_by_role("status")).to_contain_text("waiting for a reply")
        asked = decode_command(probe.wait_for(lambda message: message.topic == topic).payload)
        assert asked.asked_by == "vinhthong"
        reply = Reply(id=asked.id, command=asked.name, answer=Answer.DONE, at=datetime.now(UTC))
        probe.publish(topics.of_probe("bach-thong", own, "reply"), msgspec.json.encode(reply))
        expect(page.get_by_role("status")).to_contain_text("Done", timeout=15_000)
    page.close()


def test_a_form_from_elsewhere_is_refused(centre: Centre, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, centre)
    refused = page.request.post(
        f"{centre.collector.url}{PROBE}/ask",
        form={"what": "identify", "token": "made-up"},
        headers={"origin": centre.collector.url},
    )
    assert refused.status == 403
    elsewhere = page.request.post(
        f"{centre.collector.url}/sign-out", headers={"origin": "http://evil.example"}
    )
    assert elsewhere.status == 403
    page.goto(f"{centre.collector.url}/audit")
    expect(page.get_by_role("table")).to_be_visible()
    context.close()


# A4 without its margins, upright and lying, in pixels of CSS.
_UPRIGHT, _LYING = 703, 1031
PRINTED = ("/", "/?zoom=nation&view=provinces", "/commune/01969", PROBE, LINE, "/isps", "/campaign",
           "/alerts", "/system", "/audit", "/registry", "/maintenance?state=all")  # fmt: skip
_NOT_FOR_PAPER = """(width) => {
  const found = [], seen = (one) => one.checkVisibility();
  const clicked = "nav:not(.map-path), button, .search, form[method=post], .skip";
  for (const one of document.querySelectorAll(clicked))
    if (seen(one)) found.push(`printed: ${one.outerHTML.slice(0, 80)}`);
  for (const one of document.querySelectorAll("table, svg, .print-head"))
    if (one.getBoundingClientRect().right > width + 1)
      found.push(`cut off: ${one.outerHTML.slice(0, 80)}`);
  for (const one of document.querySelectorAll(".scroll"))
    if (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)
      found.push(`scrolls: ${one.getAttribute("aria-label")}`);
  if (!seen(document.querySelector(".print-head"))) found.push("no head");
  return found;
}"""


def test_pages_are_printed_on_a4_with_where_and_when(
    centre: Centre, context: BrowserContext
) -> None:
    """Nothing that is clicked, nothing cut off; the head says of when it is, and which page."""
    page = context.new_page()
    sign_in(page, centre)
    wrong = []
    for path in PRINTED:
        page.emulate_media(media="screen")
        page.goto(f"{centre.collector.url}{path}")
        page.emulate_media(media="print")
        lying = page.locator("table:not(.heat) thead th:nth-child(9)").count() > 0
        width = _LYING if lying else _UPRIGHT
        page.set_viewport_size({"width": width, "height": 1000})
        wrong += [f"{path}: {found}" for found in page.evaluate(_NOT_FOR_PAPER, width)]
        head = page.locator(".print-head")
        expect(head).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"), timeout=30_000)
        expect(head).to_contain_text(path, timeout=30_000)
    assert wrong == [], "\n".join(wrong)
    # Two lines and what they are good for are one sheet.
    page.goto(f"{centre.collector.url}/public/01969/card?lang=vi")
    page.wait_for_load_state()
    expect(page.get_by_role("main")).to_contain_text("Đường truyền đáp ứng được việc gì")
    assert re.findall(rb"/Count (\d+)", page.pdf(format="A4")) == [b"1"]


def test_planned_maintenance_is_entered_corrected_and_withdrawn(
    centre: Centre, context: BrowserContext
) -> None:
    page = context.new_page()
    sign_in(page, centre)
    page.goto(f"{centre.collector.url}{LINE}")
    page.get_by_role("link", name="Enter an announcement").click()
    expect(page.get_by_label("One line")).to_have_value(
        "bach-thong/tram-01969-1/vnpt", timeout=30_000
    )
    tomorrow = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")) + timedelta(days=1)
    for name, at in (("From", tomorrow), ("To", tomorrow + timedelta(hours=3))):
        page.get_by_label(name, exact=True).fill(f"{at:%Y-%m-%dT%H:%M}")
    page.get_by_label("What is done, by which letter").fill("VNPT replaces a cable, letter 12")
    page.get_by_role("button", name="Enter", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("In advance", timeout=30_000)
    # Corrected, then withdrawn; every entry stays.
    correct = page.locator("form", has=page.get_by_role("button", name="Correct it"))
    correct.get_by_label("To", exact=True).fill(f"{tomorrow + timedelta(hours=2):%Y-%m-%dT%H:%M}")
    correct.get_by_label("Why it is corrected or withdrawn").fill("Sooner done")
    correct.get_by_role("button", name="Correct it").click()
    expect(page.get_by_role("row")).to_have_count(3, timeout=30_000)
    withdraw = page.locator("form", has=page.get_by_role("button", name="Withdraw it"))
    withdraw.get_by_label("Why it is corrected or withdrawn").fill("Put off")
    withdraw.get_by_role("button", name="Withdraw it").click()
    expect(page.get_by_role("row")).to_have_count(4, timeout=30_000)
    for entry in ("Announced", "Corrected", "Withdrawn", "Sooner done", "Put off"):
        expect(page.get_by_role("table")).to_contain_text(entry, timeout=30_000)
    page.goto(f"{centre.collector.url}/audit")
    expect(page.get_by_role("table")).to_contain_text("maintenance_withdrawn", timeout=30_000)
