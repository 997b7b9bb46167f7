"""Floor 3. Every page of a nation's centre in a browser: time, bytes, elements.

3,321 communes, 6,642 lines, 10 million results, 4,600 open alerts, on SQLite. Each page is opened
in Chromium with an empty cache, once at a collector that has just started (`cold_ms`) and then
again and again (`visit_p95_ms`): until it is laid out with its style, its scripts have run (load
event) and it is painted, whichever is last. Then it is asked for by HTTP alone (`server_p95_ms`,
until its last byte). Bytes are those of the page and its style and script, compressed; elements
are those of the document.

An empty cache is that of a new context, for which Chromium opens a window and loads some 400 files
of its own (chrome://omnibox-popup.top-chrome, its address bar). The visit begins in the open
window, once the browser is at rest, as a reader's does.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from playwright.sync_api import Browser, BrowserContext, Page

from bench import nation_centre
from bench.nation_centre import COMMUNE
from bench.readers import fetch, percentile
from bench.report import (
    CannotMeasureError,
    Options,
    Outcome,
    Row,
    Target,
    TextOption,
    at_most,
    note,
    run,
)
from tests import chromium
from tests.broker import Broker
from tests.client import eventually
from tests.collector_process import CollectorProcess

PROVINCE = "79"  # Hồ Chí Minh: the most communes
_PROBE = f"/probe/toan-quoc/tram-{COMMUNE}"
_LINE = f"/line/toan-quoc/tram-{COMMUNE}/vnpt"
PAGES = (
    "/", "/?sort=down", "/?view=lines&sort=latency", f"/?province={PROVINCE}",
    "/?state=down&view=lines", f"/commune/{COMMUNE}", _PROBE, _LINE,
    f"{_LINE}?period=30", f"{_LINE}/chart?days=30",
    "/search?q=hoa", "/campaign", f"/campaign?province={PROVINCE}", "/isps",
    f"/isps?province={PROVINCE}", "/alerts", f"/alerts?state=all&sort=place&province={PROVINCE}",
    "/papers", "/system", "/live", "/public", f"/public?province={PROVINCE}", f"/public/{COMMUNE}",
    f"/public/{COMMUNE}/card", "/?colour=plan", f"/?province={PROVINCE}&colour=plan",
    f"/hours?province={PROVINCE}", f"/compare?a=commune:{COMMUNE}&b=line:{_LINE[6:]}",
    "/?colour=loaded", "/hours", "/maintenance",
)  # fmt: skip
CLOSED_PAGES = (
    "/registry", "/registry?find=thong", f"/registry{_PROBE}", "/registry/document",
    "/registry/changes", "/papers", "/audit",
    "/due", "/papers/mail", _LINE,
)  # fmt: skip
_FOLDER = TextOption("folder", "", "a collector's folder; filled if it is new, and kept")
_MEASURES = """() => {
  const [visit] = performance.getEntriesByType('navigation');
  const [paint] = performance.getEntriesByName('first-contentful-paint');
  const entries = [visit, ...performance.getEntriesByType('resource')];
  return {ms: Math.max(visit.loadEventEnd, paint.startTime),
          bytes: entries.reduce((sum, one) => sum + one.encodedBodySize, 0),
          elements: document.querySelectorAll('*').length};
}"""


# An event has to end before it has a time.
_IS_USABLE = """performance.getEntriesByType('navigation')[0].loadEventEnd > 0
  && performance.getEntriesByName('first-contentful-paint').length > 0"""
# A browser that takes less than a tenth of a processor for so long is at rest.
_REST_S, _REST_CPU_S, _REST_WITHIN_S = 0.2, 0.02, 15.0


_USABLE_WITHIN_S = 60.0


class Size(NamedTuple):
    """How much of everything. `visits` of each page in a browser, `requests` by HTTP alone."""

    communes: int
    days: int
    visits: int
    requests: int


class Visit(NamedTuple):
    """A page as a browser had it."""

    ms: float
    bytes: int
    elements: int


FULL = Size(3_321, 69, 5, 10)
QUICK = Size(200, 8, 2, 3)


def measured(options: Options) -> Outcome:
    if (why := chromium.why_not()) is not None:
        raise CannotMeasureError(str(why))
    size = QUICK if options.quick else FULL
    with _filled(options.text, size) as folder, ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker"))
        collector = stack.enter_context(CollectorProcess(folder, broker.config()))
        eventually(lambda: collector.get("/healthz")[0] == 200, "the collector is connected")
        browser = stack.enter_context(chromium.launched())
        cookies = _sign_in(browser, collector.url)
        rows = [_row(browser, collector, path, "", size) for path in PAGES]
        rows += [_row(browser, collector, path, cookies, size) for path in CLOSED_PAGES]
    return Outcome(rows, list(_targets(rows)))


def _targets(rows: list[Row]) -> Iterator[Target]:
    for name, column, limit in (
        ("first visit after a start, the slowest page (ms)", "cold_ms", 1_000.0),
        ("first visit p95, the slowest page (ms)", "visit_p95_ms", 1_000.0),
        ("server time p95, the slowest page (ms)", "server_p95_ms", 300.0),
        ("elements, the largest page", "elements", 1_500.0),
        ("compressed, the largest page (kB)", "kilobytes", 100.0),
    ):
        yield at_most(name, max(float(row[column] or 0) for row in rows), limit)


@contextmanager
def _filled(folder: str, size: Size) -> Iterator[Path]:
    """A collector's folder: the one that was given, filled if it is new, else a passing one."""
    path = Path(folder or tempfile.mkdtemp(prefix="tramdo-pages-", dir="/var/tmp"))
    if not (path / "results.sqlite").exists():
        note(f"{nation_centre.fill(path, size.communes, size.days)} results are there")
    try:
        yield path
    finally:
        if not folder:
            shutil.rmtree(path, ignore_errors=True)


def _sign_in(browser: Browser, url: str) -> str:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/sign-in")
    page.locator("[name=name]").fill(nation_centre.USER)
    page.locator("[name=password]").fill(nation_centre.PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"{url}/")
    found = "; ".join(f"{one['name']}={one['value']}" for one in context.cookies())
    context.close()
    return found


def _row(browser: Browser, collector: CollectorProcess, path: str, cookies: str, size: Size) -> Row:
    visits = [_visit(browser, collector.url, path, cookies) for _ in range(1 + size.visits)]
    cold, rest = visits[0], visits[1:]
    readings = [fetch(collector.port, path, cookies) for _ in range(size.requests)]
    row: Row = {
        "page": f"{path}{' (signed in)' if cookies else ''}",
        "cold_ms": round(cold.ms),
        "visit_p95_ms": round(percentile([visit.ms for visit in rest], 950)),
        "server_p95_ms": round(percentile([one.seconds * 1e3 for one in readings], 950)),
        "kilobytes": round(cold.bytes / 1e3, 1),
        "elements": max(visit.elements for visit in visits),
    }
    note(", ".join(f"{name} {value}" for name, value in row.items()))
    return row


def _visit(browser: Browser, url: str, path: str, cookies: str) -> Visit:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = _opened(context, url, path, cookies)
        found = page.evaluate(_MEASURES)
        return Visit(found["ms"], found["bytes"], found["elements"])
    finally:
        context.close()


def _opened(context: BrowserContext, url: str, path: str, cookies: str) -> Page:
    for pair in filter(None, cookies.split("; ")):
        name, _, value = pair.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": url}])
    page = context.new_page()
    _wait_for_rest()
    answer = page.goto(f"{url}{path}", wait_until="load")
    assert answer is not None
    assert answer.status == 200, (path, answer.status)
    _wait_until_usable(page)
    return page


def _wait_until_usable(page: Page) -> None:
    """By evaluation from outside: what a page evaluates itself its policy (CSP) may refuse."""
    until_s = time.monotonic() + _USABLE_WITHIN_S
    while not page.evaluate(_IS_USABLE):
        assert time.monotonic() < until_s, f"{page.url} is not usable"
        page.wait_for_timeout(20)


def _wait_for_rest() -> None:
    """Wait until the browser has opened its window; a while at most, on a busy machine."""
    until_s, before_s = time.monotonic() + _REST_WITHIN_S, _browser_cpu_s()
    while time.monotonic() < until_s:
        time.sleep(_REST_S)
        now_s = _browser_cpu_s()
        if now_s - before_s <= _REST_CPU_S:
            return
        before_s = now_s


def _browser_cpu_s() -> float:
    """The processor time of all of Chromium's processes, in seconds."""
    total_s = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "chrom" in process.name():
                times = process.cpu_times()
                total_s += times.user + times.system
    return total_s


if __name__ == "__main__":
    sys.exit(run("pages", measured, text=_FOLDER))
