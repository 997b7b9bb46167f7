"""The page in a real Chromium, moved by results that come over a real MQTT broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    expect,
)

from tests import broker as brokers
from tests import chromium, samples
from tests.broker import Broker
from tests.client import Client, eventually
from tests.collector_process import CollectorProcess
from wire import messages, topics
from wire.messages import Presence, State
from wire.result import Outcome, Reason, Result, Validity
from wire.site import Site

SCREENSHOTS = Path(__file__).parents[2] / "out" / "screenshots"
PHONE = ViewportSize(width=390, height=844)
DESKTOP = ViewportSize(width=1280, height=900)
OTHER_PROBE = "tram-02014-1"
OTHER_SITE = Site("02014", "Trụ sở UBND xã Bạch Thông")


def why_not() -> str | None:
    return chromium.why_not() or brokers.why_not()


pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


# A loaded machine takes longer than the 5 s of Playwright.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.launched() as running:
        yield running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def collector(tmp_path: Path, broker: Broker) -> Iterator[CollectorProcess]:
    with CollectorProcess(tmp_path / "collector", broker.config()) as running:
        eventually(lambda: running.get("/healthz")[0] == 200, "the collector is connected")
        yield running


@pytest.fixture
def probe(broker: Broker) -> Iterator[Client]:
    with Client(broker.config(), "probe") as client:
        yield client


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, collector: CollectorProcess) -> Iterator[Open]:
    """Opens pages; afterwards none of them may have complained or asked another host."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    hosts: set[str | None] = set()

    def open_(
        path: str = "/live", *, viewport: ViewportSize = DESKTOP, quiet: bool = True, **how: Any
    ) -> Page:
        context = browser.new_context(viewport=viewport, **how)
        contexts.append(context)
        context.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page = context.new_page()
        if quiet:
            page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(collector.url + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
    assert hosts == {urlsplit(collector.url).netloc}


def send(client: Client, seq: int, *results: Result, probe: str, site: Site) -> int:
    """Publish results of one kind; the next seq."""
    numbered = list(enumerate(results, start=seq))
    topic = topics.measurement(samples.TENANT, probe, results[0].kind)
    client.publish(topic, samples.envelope(numbered, probe=probe, site=site))
    return seq + len(results)


def introduce(client: Client, probe: str, site: Site, presence: Presence, pending: int) -> None:
    info = msgspec.structs.replace(samples.info(), site=site)
    for channel, message in (
        ("info", info),
        ("state", State(presence, samples.NOON)),
        ("health", samples.health(pending=pending)),
    ):
        topic = topics.of_probe(samples.TENANT, probe, channel)
        client.publish(topic, messages.encode(message), retain=channel != "health")


def publish_two_offices(client: Client) -> None:
    """One office where all is well, one with every kind of trouble."""
    vnpt, viettel = samples.VNPT, samples.VIETTEL
    fast = samples.throughput(line=viettel, target="iperf3:may-chu-2", download_bps=320_710_000)
    for probe, site, presence, pending in (
        (samples.PROBE, samples.SITE, Presence.ONLINE, 0),
        (OTHER_PROBE, OTHER_SITE, Presence.LOST, 1234),
    ):
        introduce(client, probe, site, presence, pending)
        seq = send(client, 1, samples.throughput(), fast, probe=probe, site=site)
        seq = send(
            client,
            seq,
            samples.latency(target="icmp:gateway", rtt_ms=0.61),
            samples.latency(),
            samples.latency(line=viettel, rtt_ms=8.8, lost=2),
            probe=probe,
            site=site,
        )
    troubled = [Validity.CROSS_TRAFFIC, Validity.THROTTLED]
    seq = send(
        client,
        seq,
        samples.throughput(line=vnpt, outcome=Outcome.SKIPPED, reason=Reason.SERVER_BUSY),
        samples.throughput(
            line=viettel,
            target="iperf3:may-chu-2",
            outcome=Outcome.FAILED,
            reason=Reason.LINE_DOWN,
            detail="interface eth1 is down",
            validity=troubled,
        ),
        probe=OTHER_PROBE,
        site=OTHER_SITE,
    )
    gone = samples.latency(
        lost=60, outcome=Outcome.FAILED, reason=Reason.NO_REPLY, detail="60 sent, none came back"
    )
    send(client, seq, gone, probe=OTHER_PROBE, site=OTHER_SITE)
    # Last: what comes after it would be contact.
    lost = messages.encode(State(Presence.LOST))
    client.publish(topics.of_probe(samples.TENANT, OTHER_PROBE, "state"), lost, retain=True)


def stored(collector: CollectorProcess, count: int) -> None:
    eventually(lambda: len(collector.results()) == count, f"{count} results are stored")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["phone", "desktop"])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_look_of_the_page(
    collector: CollectorProcess,
    probe: Client,
    open_page: Open,
    language: str,
    width: str,
    scheme: str,
) -> None:
    publish_two_offices(probe)
    stored(collector, 13)
    page = open_page(
        f"/live?lang={language}",
        viewport=PHONE if width == "phone" else DESKTOP,
        color_scheme=scheme,
    )
    words = {
        "vi": ["Đang kết nối", "Mất liên lạc", "238,8", "3,33", "1.234", "máy chủ đo đang bận"],
        "en": ["Online", "Lost", "238.8", "3.33", "1,234", "the server was busy"],
    }[language]
    assert page.locator("html").get_attribute("lang") == language
    for word in [*words, "01969", "VNPT", "Viettel", "interface eth1 is down"]:
        expect(page.locator("main")).to_contain_text(word)
    expect(page.locator("#live-state")).to_have_text({"vi": "Tự cập nhật", "en": "Live"}[language])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # A new row's ground fades out within two seconds.
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
    assert page.evaluate(WEAK_CONTRAST) == []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"page-{language}-{width}-{scheme}.png", full_page=True)


# Text whose contrast with its ground is below WCAG 2.2 AA (4.5 to 1), as "text: ratio".
WEAK_CONTRAST = """() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b]
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!text || element.closest("noscript, .skip")) continue;
    const pair = [parse(getComputedStyle(element).color), ground(element)].map(luminance);
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) weak.push(`${text}: ${ratio.toFixed(2)}`);
  }
  return weak;
}"""


def test_the_page_moves_when_a_result_comes(
    collector: CollectorProcess, probe: Client, open_page: Open
) -> None:
    introduce(probe, samples.PROBE, samples.SITE, Presence.ONLINE, 0)
    send(probe, 1, samples.throughput(), probe=samples.PROBE, site=samples.SITE)
    stored(collector, 1)
    page = open_page()
    page.evaluate("window.notReloaded = true")
    article = page.get_by_role("article", name="Văn phòng UBND xã Phủ Thông")
    expect(article).to_contain_text("238,8")
    send(
        probe,
        2,
        samples.throughput(download_bps=57_600_000),
        probe=samples.PROBE,
        site=samples.SITE,
    )
    expect(article).to_contain_text("57,6")
    expect(article).not_to_contain_text("238,8")
    expect(page.locator("#summary")).to_contain_text("2 kết quả đã lưu")
    expect(page.locator("#live-at")).to_contain_text("cập nhật lúc")
    expect(page.locator("#announce")).to_contain_text("Văn phòng UBND xã Phủ Thông: cập nhật lúc")
    assert page.evaluate("window.notReloaded")


def test_a_first_probe_and_a_second_come_to_an_open_page(probe: Client, open_page: Open) -> None:
    page = open_page("/live?lang=en")
    expect(page.locator("main")).to_contain_text("No probe has sent results yet.")
    introduce(probe, OTHER_PROBE, OTHER_SITE, Presence.ONLINE, 0)
    expect(page.locator("article")).to_have_count(1)
    introduce(probe, samples.PROBE, samples.SITE, Presence.ONLINE, 0)
    # In the order of a page that is loaded anew.
    expect(page.locator("article h2")).to_have_text([samples.SITE.office, OTHER_SITE.office])
    expect(page.locator("main")).not_to_contain_text("No probe has sent results yet.")
    expect(page.locator("article").first).to_contain_text("No results yet.")


def test_an_open_page_survives_a_restart_of_the_collector(
    collector: CollectorProcess, probe: Client, open_page: Open
) -> None:
    introduce(probe, samples.PROBE, samples.SITE, Presence.ONLINE, 0)
    page = open_page(quiet=False)  # the browser logs each refused connection
    expect(page.locator("#live-state")).to_have_text("Tự cập nhật")
    collector.kill()
    expect(page.locator("#live-state")).to_have_text("Mất kết nối, đang nối lại")
    send(probe, 1, samples.throughput(), probe=samples.PROBE, site=samples.SITE)
    collector.start()
    expect(page.locator("article")).to_contain_text("238,8", timeout=20_000)
    expect(page.locator("#live-state")).to_have_text("Tự cập nhật")


def test_the_page_is_whole_without_script(
    collector: CollectorProcess, probe: Client, open_page: Open
) -> None:
    publish_two_offices(probe)
    stored(collector, 13)
    page = open_page(java_script_enabled=False)
    expect(page.locator("article")).to_have_count(2)
    expect(page.locator("main")).to_contain_text("238,8")
    expect(page.locator("#live")).to_be_hidden()
    # Chromium under automation keeps <noscript> shut all the same, so its source is looked at.
    source = collector.text("/live")[1]
    assert '<noscript><meta http-equiv="refresh" content="60"></noscript>' in source
    assert '<noscript><p class="live">Trang tự tải lại sau mỗi phút' in source


def test_the_other_language_is_one_click_away(probe: Client, open_page: Open) -> None:
    introduce(probe, samples.PROBE, samples.SITE, Presence.ONLINE, 0)
    page = open_page()
    expect(page.get_by_role("heading", level=1)).to_have_text("Chất lượng Internet tại các trạm đo")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Internet quality at the probes")
    page.get_by_role("link", name="Tiếng Việt").click()
    expect(page.locator("html")).to_have_attribute("lang", "vi")


def test_it_can_be_found_through_without_seeing(
    collector: CollectorProcess, probe: Client, open_page: Open
) -> None:
    publish_two_offices(probe)
    stored(collector, 13)
    for viewport in (DESKTOP, PHONE):
        page = open_page("/live?lang=en", viewport=viewport)
        for landmark in ("banner", "main", "contentinfo"):
            expect(page.get_by_role(landmark)).to_have_count(1)
        expect(page.get_by_role("navigation", name="Language")).to_have_count(1)
        expect(page.get_by_role("article")).to_have_count(2)
        tables = page.get_by_role("table")
        expect(tables).to_have_count(8)
        assert page.get_by_role("columnheader", name="Download steady state, Mbit/s").count() == 4
        for name in ("Throughput (TCP)", "Latency"):
            assert page.get_by_role("table", name=name).count() == 4
        headings = page.locator("h1, h2, h3").evaluate_all("all => all.map(h => h.localName)")
        assert headings == ["h1", *["h2", "h3", "h3"] * 2, "h2"]
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        if viewport == PHONE:
            page.get_by_role("button", name="Menu").click()
        expect(page.get_by_role("navigation", name="Pages")).to_have_count(1)


def test_a_state_is_never_told_by_colour_alone(
    collector: CollectorProcess, probe: Client, open_page: Open
) -> None:
    publish_two_offices(probe)
    stored(collector, 13)
    page = open_page("/live?lang=en")
    toned = page.locator("[class*=tone-]").all_inner_texts()
    assert len(toned) > 10
    for text in toned:
        sign, word = text.strip()[0], text.strip()[1:].strip()
        assert sign in "●○✕✓↷↳?"
        assert word


def test_what_a_probe_says_is_text_and_never_markup(probe: Client, open_page: Open) -> None:
    evil = Site("01969", '<img src="http://evil.example/x" onerror="alert(1)"><script>1</script>')
    introduce(probe, samples.PROBE, evil, Presence.ONLINE, 0)
    line = msgspec.structs.replace(samples.VNPT, isp="</h3><script>alert(2)</script>")
    failure = samples.throughput(
        line=line,
        outcome=Outcome.FAILED,
        reason=Reason.TIMEOUT,
        detail="'><script>alert(3)</script>",
    )
    page = open_page()
    send(probe, 1, failure, probe=samples.PROBE, site=evil)
    expect(page.locator("article h2")).to_have_text(evil.office)
    expect(page.locator("article")).to_contain_text("'><script>alert(3)</script>")
    assert page.locator("article script, article img").count() == 0


def test_the_headers_allow_nothing_from_elsewhere(collector: CollectorProcess) -> None:
    for path in ("/live", "/parts?probe=a/b", "/static/live.js", "/api/probes"):
        headers = {name.lower(): value for name, value in collector.text(path)[0].items()}
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
