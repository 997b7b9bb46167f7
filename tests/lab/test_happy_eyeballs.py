"""Kind `web` over dual-stack lines, whole and broken: what a browser would have had (RFC 8305)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from probe.config import DnsConfig, LineConfig, ServerConfig, WebConfig
from probe.measure.measurement import RawResult
from probe.measure.web import probe as web_probe
from probe.measure.web.happy_eyeballs import ATTEMPT_DELAY_S
from tests import services
from tests.lab.impairment import Impairment, LineImpairment
from tests.lab.network import (
    SERVER_ADDRESSES,
    SERVER_ADDRESSES_IPV6,
    Ipv6Fault,
    LineShape,
    OfficeNetwork,
    Stack,
)
from tests.line_request import line_request
from tests.page_server import PageServer
from tests.services import Names
from wire.record import Family
from wire.result import Outcome, WebValues

pytestmark = [
    pytest.mark.usefixtures("_namespaces"),
    pytest.mark.skipif(services.why_not() is not None, reason=services.why_not() or ""),
]

V4, V6 = SERVER_ADDRESSES[0], SERVER_ADDRESSES_IPV6[0]
SITE = "dichvucong.vn"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntrang"
ONE_WAY_MS = 300.0
DELAY_MS = ATTEMPT_DELAY_S * 1000


class Lab(NamedTuple):
    """An office, and at the centre a page and its name in both families."""

    network: OfficeNetwork
    ipv4: PageServer
    ipv6: PageServer

    def fetch(self, line: str = "vnpt") -> tuple[RawResult, WebValues]:
        own = LineConfig(
            id=line, isp="x", interface=self.network.line(line).interface, resolvers=[V4]
        )
        request = line_request(
            own,
            [ServerConfig(name="hn-1", host=V4)],
            dns=DnsConfig(timeout_s=20),
            web=WebConfig(pages=[f"http://{SITE}/"], timeout_s=60),
        )
        for server in (self.ipv4, self.ipv6):
            server.requests.clear()
        (raw,) = self.network.office.inside(lambda: list(web_probe.measure(request)))
        assert isinstance(raw.values, WebValues), raw
        assert raw.outcome is Outcome.OK, raw
        return raw, raw.values


@contextmanager
def built(folder: Path, tag: str, *lines: LineShape) -> Iterator[Lab]:
    with ExitStack() as stack:
        network = stack.enter_context(OfficeNetwork(lines, tag=f"{tag}{os.getpid()}"))
        prefix = ["ip", "netns", "exec", network.centre.name]
        names = Names(folder, hosts=[V4], port=53, addresses={SITE: [V4, V6]}, prefix=prefix)
        stack.enter_context(names)
        ipv4, ipv6 = network.centre.inside(
            lambda: [PageServer(lambda _: PAGE, host=host, port=80) for host in (V4, V6)]
        )
        yield Lab(network, stack.enter_context(ipv4), stack.enter_context(ipv6))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    shapes = LineShape("vnpt", stack=Stack.DUAL), LineShape("viettel")
    with built(tmp_path_factory.mktemp("names"), "he", *shapes) as made:
        yield made


def test_a_whole_line_has_the_page_over_ipv6_and_times_both(lab: Lab) -> None:
    raw, values = lab.fetch()
    assert (raw.family, values.address) == (Family.IPV6, V6)
    assert [len(server.requests) for server in (lab.ipv6, lab.ipv4)] == [1, 0]
    assert values.tcp_ipv6_ms is not None
    assert values.tcp_ipv4_ms is not None


def test_a_line_without_ipv6_has_it_over_ipv4_and_asks_for_nothing_else(lab: Lab) -> None:
    raw, values = lab.fetch("viettel")
    assert (raw.family, values.address, values.tcp_ipv6_ms) == (Family.IPV4, V4, None)
    assert values.tcp_ms is not None
    assert values.tcp_ipv4_ms is not None
    assert values.tcp_ms >= values.tcp_ipv4_ms


@pytest.mark.parametrize("fault", [Ipv6Fault.BLACKHOLED, Ipv6Fault.REFUSED])
def test_on_a_line_with_broken_ipv6_the_page_comes_over_ipv4(lab: Lab, fault: Ipv6Fault) -> None:
    lab.network.break_ipv6("vnpt", fault)
    try:
        raw, values = lab.fetch()
    finally:
        lab.network.mend_ipv6("vnpt")
    assert (raw.family, values.address, values.tcp_ipv6_ms) == (Family.IPV4, V4, None)
    assert [len(server.requests) for server in (lab.ipv6, lab.ipv4)] == [0, 1]
    assert values.tcp_ms is not None
    assert values.tcp_ipv4_ms is not None
    if fault is Ipv6Fault.BLACKHOLED:
        assert values.tcp_ms - values.tcp_ipv4_ms >= DELAY_MS, "IPv6 had its time"


@pytest.mark.usefixtures("_tun_devices")
def test_the_slower_family_is_followed_and_delays_nothing(tmp_path: Path) -> None:
    """Both families take 600 ms: IPv4 begins after 300, and connects while the page comes."""
    impairment = Impairment(delay_ms=ONE_WAY_MS)
    far = LineShape(
        "vnpt", impairment=LineImpairment(upload=impairment, download=impairment), stack=Stack.DUAL
    )
    with built(tmp_path / "names", "hf", far) as lab:
        raw, values = lab.fetch()
        accepted_s, requested_s = lab.ipv4.accepted_s[0], lab.ipv6.requested_s[0]
    assert (raw.family, values.address) == (Family.IPV6, V6)
    for connect_ms in (values.tcp_ipv6_ms, values.tcp_ipv4_ms):
        assert connect_ms is not None
        assert connect_ms >= 2 * ONE_WAY_MS
    assert requested_s < accepted_s, "the page was asked for before the other one had connected"
