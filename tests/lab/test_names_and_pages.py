"""Kinds `dns` and `web` against real servers over lines that fail in known ways."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from probe.config import DnsConfig, LineConfig, ServerConfig, WebConfig
from probe.measure import resolvers
from probe.measure.dns import probe as dns_probe
from probe.measure.measurement import RawResult
from probe.measure.web import probe as web_probe
from tests import services
from tests.lab.network import SERVER_ADDRESSES, Cut, LineShape, OfficeNetwork
from tests.line_request import line_request
from tests.services import PAGE_BYTES, Names, Pages
from wire.result import (
    DnsEnding,
    DnsValues,
    Outcome,
    Reason,
    ResolverRole,
    Validity,
    WebPhase,
    WebValues,
)

pytestmark = [
    pytest.mark.usefixtures("_namespaces"),
    pytest.mark.skipif(services.why_not() is not None, reason=services.why_not() or ""),
]

OWN, PUBLIC = SERVER_ADDRESSES
NOBODY = "203.0.113.9"  # the centre has no such address, and says so
SITE, LARGE, FOREIGN, NO_SITE = "dichvucong.gov.vn", "nhieu.vn", "example.com", "khongco.vn"
STRANGER, CLOSED, AWAY = "khac.vn", "dong.vn", "xa.vn"
RUDE, CURT = 7001, 7002
DNS = DnsConfig(names=[SITE], repeats=2, random_labels=2, public_resolver=PUBLIC, timeout_s=0.7)
SERVERS = [ServerConfig(name="hn-1", host=OWN)]


class Lab(NamedTuple):
    """The office, its names and pages."""

    network: OfficeNetwork
    names: Names
    pages: Pages

    def line(self, name: str = "vnpt", **fields: Any) -> LineConfig:
        whole = {"interface": self.network.line(name).interface, "resolvers": [OWN]} | fields
        return LineConfig(id=name, isp="x", **whole)

    def asked(self, line: LineConfig | None = None, dns: DnsConfig = DNS) -> list[RawResult]:
        request = line_request(line or self.line(), SERVERS, dns=dns)
        return self.network.office.inside(lambda: list(dns_probe.measure(request)))

    def fetched(
        self, page: str, line: LineConfig | None = None, timeout_s: float = 1.5, **web: Any
    ) -> RawResult:
        settings = {"ca_file": str(self.pages.ca_file)} | web
        config = WebConfig(pages=[page], timeout_s=timeout_s, **settings)
        request = line_request(line or self.line(), SERVERS, dns=DNS, web=config)
        (finding,) = self.network.office.inside(lambda: list(web_probe.measure(request)))
        return finding


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("services")
    with OfficeNetwork([LineShape("vnpt"), LineShape("viettel")], tag=f"d{os.getpid()}") as network:
        prefix = ["ip", "netns", "exec", network.centre.name]
        pages = Pages(folder / "pages", host=OWN, port=443, sites=[SITE, AWAY], prefix=prefix)
        names = Names(
            folder / "names",
            hosts=[OWN, PUBLIC],
            port=53,
            addresses={
                SITE: [OWN],
                STRANGER: [OWN],
                CLOSED: [PUBLIC],
                AWAY: [NOBODY],
                LARGE: [f"10.0.0.{n}" for n in range(1, 121)],
            },
            prefix=prefix,
        )
        with pages, names, talker(network, RUDE, b"220 hello\r\n"), talker(network, CURT, b""):
            yield Lab(network, names, pages)


@contextmanager
def talker(network: OfficeNetwork, port: int, greeting: bytes) -> Iterator[None]:
    """A server that says one thing to whatever it hears, and hangs up."""
    server = network.centre.inside(lambda: socket.create_server((OWN, port)))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.recv(4096)
                connection.sendall(greeting)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def dns_of(finding: RawResult) -> DnsValues:
    assert isinstance(finding.values, DnsValues), finding
    return finding.values


def web_of(finding: RawResult) -> WebValues:
    assert isinstance(finding.values, WebValues), finding
    return finding.values


# dns


def test_each_resolver_answers_over_the_line_alone(lab: Lab) -> None:
    def counters() -> dict[str, int]:
        office = lab.network.office
        return {line.interface: office.counters(line.interface).sent_packets
                for line in lab.network.lines}  # fmt: skip

    before = counters()
    own, public = lab.asked(lab.line("viettel"))
    after = counters()
    assert after["vnpt"] == before["vnpt"]
    assert after["viettel"] - before["viettel"] >= 8
    for finding, role in ((own, ResolverRole.LINE), (public, ResolverRole.PUBLIC)):
        values = dns_of(finding)
        assert (finding.outcome, values.role) == (Outcome.OK, role)
        assert (values.sent, values.answered, values.failure_ratio) == (4, 4, 0.0)
        assert values.rtt_p50_ms is not None
        assert 0 < values.rtt_p50_ms < 100
        fresh = [query for query in values.queries if query.random_label]
        assert {query.rcode for query in fresh} == {"NXDOMAIN"}
        assert len({query.name for query in fresh}) == 2


def test_a_line_by_its_source_address_is_bound_too(lab: Lab) -> None:
    source = lab.network.line("viettel").source_address
    before = lab.network.office.counters("vnpt")
    own, _ = lab.asked(lab.line("viettel", interface=None, source_address=source))
    assert own.outcome is Outcome.OK
    assert lab.network.office.counters("vnpt") == before


def test_an_answer_that_does_not_fit_is_asked_for_again_over_tcp(lab: Lab) -> None:
    own, _ = lab.asked(dns=DnsConfig(names=[LARGE], repeats=1, random_labels=0, timeout_s=2))
    values = dns_of(own)
    assert (own.outcome, values.answered, values.truncated) == (Outcome.OK, 1, 1)
    (query,) = values.queries
    assert query.answers == 120
    assert query.tcp_ms is not None


@pytest.mark.parametrize(
    ("name", "reason", "ending"),
    [
        (NO_SITE, Reason.NAME_NOT_FOUND, DnsEnding.NOT_FOUND),
        (FOREIGN, Reason.QUERY_REFUSED, DnsEnding.REFUSED),
    ],
)
def test_what_a_resolver_says_no_to(lab: Lab, name: str, reason: Reason, ending: DnsEnding) -> None:
    own, _ = lab.asked(dns=DnsConfig(names=[name], random_labels=0, timeout_s=2))
    assert (own.outcome, own.reason) == (Outcome.FAILED, reason)
    assert {query.ending for query in dns_of(own).queries} == {ending}


def test_a_resolver_that_does_not_answer(lab: Lab) -> None:
    lab.names.pause()
    try:
        own, _ = lab.asked()
    finally:
        lab.names.resume()
    assert (own.outcome, own.reason) == (Outcome.FAILED, Reason.TIMEOUT)
    assert (dns_of(own).timeouts, dns_of(own).failure_ratio) == (4, 1.0)


def test_a_host_without_a_resolver(lab: Lab) -> None:
    gateway = lab.network.line("vnpt").gateway_address
    own, public = lab.asked(lab.line(resolvers=[], gateway=gateway))
    assert (own.target, own.reason) == (f"dns:{gateway}", Reason.CONNECTION_REFUSED)
    assert dns_of(own).unreachable == 4
    assert public.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("where", "reason"), [(Cut.CABLE, Reason.LINE_DOWN), (Cut.ACCESS, Reason.TIMEOUT)]
)
def test_a_cut_line_is_no_resolver_s_fault(lab: Lab, where: Cut, reason: Reason) -> None:
    lab.network.cut("vnpt", where)
    try:
        findings = lab.asked()
        page = lab.fetched(f"https://{SITE}/")
    finally:
        lab.network.restore("vnpt")
    assert {finding.reason for finding in findings} == {reason}
    assert (page.reason, web_of(page).failed_phase) == (reason, WebPhase.DNS)


def test_each_line_asks_its_own_router_that_dhcp_gave(lab: Lab, tmp_path: Path) -> None:
    """Two routers that answer differently, neither configured; resolv.conf names both."""
    lines = {line.interface: line for line in lab.network.lines}
    site = {"vnpt": OWN, "viettel": NOBODY}
    conf = tmp_path / "resolv.conf"
    conf.write_text(
        "".join(f"nameserver {line.gateway_address}\n" for line in lines.values()), encoding="ascii"
    )
    unrouted = resolvers.System(conf, tmp_path / "none", lambda _: [])
    with ExitStack() as stack:
        for name, line in lines.items():
            prefix = ["ip", "netns", "exec", line.isp.name]
            stack.enter_context(
                Names(
                    tmp_path / name,
                    hosts=[line.gateway_address],
                    port=53,
                    addresses={SITE: [site[name]]},
                    prefix=prefix,
                )
            )
        for name, line in lines.items():
            own = lab.line(name, resolvers=[])
            mine, public = lab.asked(own)
            assert (dns_of(mine).resolver, mine.outcome) == (line.gateway_address, Outcome.OK)
            assert (dns_of(mine).answered, dns_of(mine).failure_ratio) == (4, 0.0)
            assert dns_of(public).role is ResolverRole.PUBLIC
            page = lab.fetched(f"https://{SITE}/", own, timeout_s=10)
            values = web_of(page)
            assert (values.resolver, values.address) == (line.gateway_address, site[name])
            by_route = lab.network.office.inside(partial(resolvers.of_line, own, unrouted))
            assert by_route == [line.gateway_address], "of two in resolv.conf the line's own"


# web


def test_a_page_by_phase_over_its_own_line_alone(lab: Lab) -> None:
    before = lab.network.office.counters("vnpt")
    received = lab.network.office.counters("viettel").received_bytes
    finding = lab.fetched(f"https://{SITE}/", lab.line("viettel"), timeout_s=10)
    values = web_of(finding)
    assert finding.outcome is Outcome.OK, finding
    assert finding.validity == []
    assert lab.network.office.counters("vnpt") == before
    assert lab.network.office.counters("viettel").received_bytes - received > PAGE_BYTES
    assert (values.status, values.body_bytes, values.redirects) == (200, PAGE_BYTES, 1)
    assert (values.resolver, values.address, values.tls_version) == (OWN, OWN, "TLSv1.3")
    phases = [values.dns_ms, values.tcp_ms, values.tls_ms, values.first_byte_ms, values.body_ms]
    parts_ms = [part for part in phases if part is not None]
    assert len(parts_ms) == 5
    assert values.redirect_ms is not None
    assert values.total_ms is not None
    assert sum(parts_ms) + values.redirect_ms <= values.total_ms


@pytest.mark.parametrize(
    ("page", "reason", "phase"),
    [
        (f"https://{SITE}/500", Reason.HTTP_STATUS, None),
        (f"https://{SITE}/nothing", Reason.HTTP_STATUS, None),
        (f"https://{SITE}/loop", Reason.PROTOCOL_ERROR, None),
        (f"https://{STRANGER}/", Reason.TLS_ERROR, WebPhase.TLS),
        (f"https://{CLOSED}/", Reason.CONNECTION_REFUSED, WebPhase.TCP),
        (f"https://{AWAY}/", Reason.UNREACHABLE, WebPhase.TCP),
        (f"https://{NO_SITE}/", Reason.NAME_NOT_FOUND, WebPhase.DNS),
        (f"https://{FOREIGN}/", Reason.QUERY_REFUSED, WebPhase.DNS),
        (f"https://{OWN}:{RUDE}/", Reason.TLS_ERROR, WebPhase.TLS),
        (f"http://{OWN}:{RUDE}/", Reason.PROTOCOL_ERROR, WebPhase.BODY),
        (f"http://{OWN}:{CURT}/", Reason.CONNECTION_LOST, WebPhase.FIRST_BYTE),
    ],
)
def test_every_failure_has_its_reason_and_its_phase(
    lab: Lab, page: str, reason: Reason, phase: WebPhase | None
) -> None:
    finding = lab.fetched(page, timeout_s=4)
    assert (finding.outcome, finding.reason) == (Outcome.FAILED, reason), finding.detail
    assert web_of(finding).failed_phase is phase


def test_an_authority_that_is_not_believed(lab: Lab) -> None:
    finding = lab.fetched(f"https://{SITE}/", ca_file=None)
    assert (finding.reason, web_of(finding).failed_phase) == (Reason.TLS_ERROR, WebPhase.TLS)


def test_a_server_that_takes_a_connection_and_says_nothing(lab: Lab) -> None:
    lab.pages.pause()
    try:
        finding = lab.fetched(f"https://{SITE}/")
    finally:
        lab.pages.resume()
    assert (finding.reason, web_of(finding).failed_phase) == (Reason.TIMEOUT, WebPhase.TLS)


def test_a_long_page_is_read_so_far_and_says_so(lab: Lab) -> None:
    finding = lab.fetched(f"https://{SITE}/", timeout_s=10, max_bytes=20_000)
    assert (finding.outcome, finding.validity) == (Outcome.OK, [Validity.SHORT])
    assert web_of(finding).complete is False


def test_a_file_of_authorities_that_is_not_there(lab: Lab, tmp_path: Path) -> None:
    config = WebConfig(pages=[f"https://{SITE}/"], ca_file=str(tmp_path / "none"))
    (finding,) = web_probe.measure(line_request(lab.line(), SERVERS, web=config))
    assert finding.reason is Reason.TOOL_FAILED
