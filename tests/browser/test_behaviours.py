"""The same server behaviours through Chromium and through kind `web`: the same page.

What the servers saw is compared too: each target, host and cookie of every request. The table is
printed (`-s`) and stands in decision 79.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import pytest
from playwright.sync_api import Browser, Error, Request

from probe.config import DnsConfig, LineConfig, ServerConfig, WebConfig
from probe.measure.web import probe as web_probe
from tests import chromium, services
from tests.browser.behaviours import BEHAVIOURS, HOST, LETTER_HOST, OTHER_HOST, Behaviour, Origin
from tests.client import eventually
from tests.line_request import line_request
from tests.page_server import PageRequest, PageServer
from tests.ports import free_port
from tests.services import Names, write_certificates
from wire.result import Outcome, Reason, WebPhase, WebValues


def why_not() -> str | None:
    return chromium.why_not() or services.why_not()


pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
DECISION = Path(__file__).parents[2] / "docs" / "decisions" / "0079-pages-as-browsers-see-them.md"
PATIENCE_S = 60.0


class Seen(NamedTuple):
    """What came of a page: how it ended, its status and URL, and the requests for it."""

    ending: str
    status: int | None
    url: str | None
    requests: list[PageRequest]


# Of a refused page the requests are not compared: Chromium may ask a second time.
REFUSED = Seen("refused", None, None, [])


class Servers:
    """A server over http and one over https, which behave as told."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.behaviour = BEHAVIOURS[0]
        self.http = PageServer(self._answer)
        self.https = PageServer(self._answer, context=context)
        self.origin = Origin(self.http.port, self.https.port)

    def start_url(self) -> str:
        port = self.https.port if self.behaviour.scheme == "https" else self.http.port
        return f"{self.behaviour.scheme}://{HOST}:{port}{self.behaviour.path}"

    def take_requests(self) -> list[PageRequest]:
        """Those since the last call, without ports, which no two runs share."""
        servers = (self.http, self.https)
        taken = [request for server in servers for request in server.requests]
        for server in servers:
            server.requests.clear()
        return [one._replace(host=one.host.partition(":")[0]) for one in taken]

    def without_ports(self, url: str) -> str:
        """A URL as in the table: no port, and no fragment or password, which are never sent."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        return urlunsplit(parts._replace(netloc=parts.hostname, fragment=""))

    def _answer(self, request: PageRequest) -> bytes:
        return self.origin.fill(self.behaviour.answer(request))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("behaviours")
    write_certificates(made, [HOST, OTHER_HOST, LETTER_HOST])
    return made


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[Servers]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "site.pem", folder / "site.key")
    made = Servers(context)
    with made.http, made.https:
        yield made


@pytest.fixture(scope="module")
def dns_port(folder: Path) -> Iterator[int]:
    port = free_port()
    names = {name: ["127.0.0.1"] for name in (HOST, OTHER_HOST, LETTER_HOST)}
    with Names(folder / "names", hosts=["127.0.0.1"], port=port, addresses=names):
        yield port


@pytest.fixture(scope="module")
def named_browser() -> Iterator[Browser]:
    with chromium.launched(
        "--host-resolver-rules=MAP *.vn 127.0.0.1", "--disable-features=HttpsUpgrades"
    ) as running:
        yield running


def through_chromium(browser: Browser, servers: Servers) -> Seen:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    finished: list[Request] = []
    failed: list[Request] = []
    # playwright 1.65 sets an attribute on the handler, which a built-in method cannot have.
    page.on("requestfinished", lambda request: finished.append(request))  # noqa: PLW0108
    page.on("requestfailed", lambda request: failed.append(request))  # noqa: PLW0108

    def is_over(request: Request) -> bool:
        page.wait_for_timeout(20)
        return request in finished + failed

    try:
        response = page.goto(servers.start_url(), wait_until="commit", timeout=PATIENCE_S * 1000)
        assert response is not None
        eventually(lambda: is_over(response.request), "Chromium has the page", PATIENCE_S)
        ending = "cut" if response.request in failed else "page"
        url = servers.without_ports(page.url)
        return Seen(ending, response.status, url, servers.take_requests())
    except Error as error:
        if "net::ERR_" not in str(error):
            raise
        servers.take_requests()
        return REFUSED
    finally:
        context.close()


def through_ours(servers: Servers, folder: Path, dns_port: int) -> Seen:
    line = LineConfig(id="vnpt", isp="x", source_address="127.0.0.1", resolvers=["127.0.0.1"])
    web = WebConfig(
        pages=[servers.start_url()], timeout_s=PATIENCE_S, ca_file=str(folder / "ca.pem")
    )
    dns = DnsConfig(port=dns_port, timeout_s=5)
    request = line_request(line, [ServerConfig(name="hn-1", host="127.0.0.1")], web=web, dns=dns)
    (raw,) = web_probe.measure(request)
    values: Any = raw.values
    assert isinstance(values, WebValues), raw
    if raw.outcome is Outcome.OK or raw.reason is Reason.HTTP_STATUS:
        assert values.complete
        ending = "page"
    elif values.status is not None and values.failed_phase is WebPhase.BODY:
        ending = "cut"
    else:
        assert raw.reason in (Reason.PROTOCOL_ERROR, Reason.CONNECTION_LOST), raw
        servers.take_requests()
        return REFUSED
    url = servers.without_ports(values.final_url)
    return Seen(ending, values.status, url, servers.take_requests())


def row(behaviour: Behaviour, seen: Seen) -> str:
    """A row of the table."""
    if seen.url is None:
        return f"| {behaviour.title} | refused |"
    cut = ", cut off" if seen.ending == "cut" else ""
    url = seen.url.replace("|", r"\|")
    return f"| {behaviour.title} | {seen.status}{cut} `{url}` |"


def test_every_behaviour_leads_to_the_page_that_chromium_shows(
    named_browser: Browser, servers: Servers, folder: Path, dns_port: int
) -> None:
    rows, different = [], []
    for behaviour in BEHAVIOURS:
        servers.behaviour = behaviour
        chromium = through_chromium(named_browser, servers)
        ours = through_ours(servers, folder, dns_port)
        rows.append(row(behaviour, chromium))
        if chromium != ours:
            different.append(f"{behaviour.title}:\n  Chromium {chromium}\n  ours     {ours}")
    print(f"| Chromium {named_browser.version} and kind `web` | |", *rows, sep="\n")
    assert not different, "\n".join(different)
    stated = DECISION.read_text(encoding="utf-8").splitlines()
    assert [one for one in rows if one not in stated] == []
