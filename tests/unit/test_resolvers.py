"""The resolvers of a line: whose they are, and who is asked after one that fails."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from msgspec import structs

from probe.config import DnsConfig, LineConfig, ServerConfig
from probe.measure import link_resolvers, resolvers
from probe.measure.dns import probe as dns_probe
from probe.measure.resolvers import System
from probe.measure.web.resolver import LineResolver, ResolvedName
from probe.plan.light import light_kinds
from tests.line_request import line_request, office_config
from wire.record import Family
from wire.result import DnsEnding, DnsValues, Outcome, Reason

GOLDEN = Path(__file__).parents[1] / "golden" / "resolvers"
FIRST, SECOND = "127.0.0.1", "127.0.0.2"
FOUND = "192.0.2.80"
ROUTES = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
)


def line(**fields: object) -> LineConfig:
    return LineConfig(**({"id": "vnpt", "isp": "VNPT", "interface": "eth0"} | fields))  # type: ignore[arg-type]  # by name


@pytest.fixture
def system(tmp_path: Path) -> System:
    """A host whose eth0 has a router, 192.168.1.1, and a link resolver that DHCP gave."""
    (tmp_path / "resolv.conf").write_text("# x\nnameserver 127.0.0.53\nnameserver\nsearch vn\n")
    (tmp_path / "route").write_text(ROUTES)
    known = {"eth0": ["127.0.0.1", "203.0.113.53", "2001:db8::53"]}
    return System(
        tmp_path / "resolv.conf", tmp_path / "route", lambda interface: known.get(interface, [])
    )


# Whose a resolver is


def test_a_line_asks_its_setting_then_its_router_then_its_link_s(system: System) -> None:
    assert resolvers.of_line(line(resolvers=["9.9.9.9"], gateway="192.168.7.1"), system) == [
        "9.9.9.9"
    ]
    assert resolvers.of_line(line(gateway="192.168.7.1"), system) == ["192.168.7.1"]
    assert resolvers.of_line(line(), system) == ["192.168.1.1"], "by DHCP: from the kernel's routes"
    unrouted = system._replace(routes=system.resolv_conf.with_name("none"))
    assert resolvers.of_line(line(), unrouted) == ["203.0.113.53", "2001:db8::53"]
    assert resolvers.of_line(line(interface="eth1"), system) == [], "another line's are none"


def test_those_to_ask_in_turn_go_on_to_the_link_s_unless_it_has_a_setting(system: System) -> None:
    assert resolvers.in_turn(line(), system) == ["192.168.1.1", "203.0.113.53", "2001:db8::53"]
    assert resolvers.in_turn(line(resolvers=["9.9.9.9"]), system) == ["9.9.9.9"]


def test_a_line_of_one_family_has_no_resolvers_of_the_other(system: System) -> None:
    of_ipv6 = line(source_address="2001:db8::9")
    assert resolvers.in_turn(of_ipv6, system) == ["2001:db8::53"]


def test_resolv_conf_counts_where_the_kernel_s_route_is_by_the_line(
    tmp_path: Path, system: System
) -> None:
    conf = tmp_path / "several"
    # No interface has 203.0.113.9: nothing can be sent by such a line. 127.0.0.9 is a stub.
    conf.write_text("nameserver 127.0.0.9\nnameserver 9.9.9.9\n")
    by_address = line(interface=None, source_address="203.0.113.9")
    assert resolvers.of_line(by_address, system._replace(resolv_conf=conf)) == []
    assert resolvers.of_line(by_address, system._replace(resolv_conf=tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("resolvectl-252-vnpt", ["192.168.1.1", "fe80::1"]),
        ("resolvectl-252-viettel", ["192.168.2.1", "203.0.113.53"]),
        ("resolvectl-252-none", []),
        ("nmcli-1.42.4-vnpt", ["192.168.1.1", "203.0.113.53", "2001:db8::1", "fe80::1"]),
        ("nmcli-1.42.4-none", []),
    ],
)
def test_what_network_managers_print_is_read(name: str, found: list[str]) -> None:
    text = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert link_resolvers.addresses_in(text) == found


def test_a_zone_and_a_name_for_tls_are_read_and_a_port_is_not() -> None:
    text = "Link 2 (eth0): fe80::1%lo 9.9.9.9#dns.quad9.net 1.1.1.1:853\n"
    assert link_resolvers.addresses_in(text) == ["fe80::1%lo", "9.9.9.9"]
    number = socket.if_nametoindex("lo")
    assert resolvers.socket_address("fe80::1%lo", 53) == ("fe80::1", 53, number)
    assert resolvers.socket_address(f"fe80::1%{number}", 53) == ("fe80::1", 53, number)
    assert resolvers.socket_address("fe80::1%none", 53) == ("fe80::1", 53, 0)


def test_the_plan_reckons_with_the_resolvers_that_are_asked(system: System) -> None:
    config = office_config(line(), [ServerConfig(name="hn-1", host="192.0.2.1")])

    def dns_bytes(routes: Path) -> float:
        known = resolvers.with_resolvers(config, system._replace(routes=routes))
        return next(
            one.day_bytes for one in light_kinds(known, known.lines[0]) if one.kind == "dns"
        )

    by_router = dns_bytes(system.routes)
    assert dns_bytes(system.resolv_conf.with_name("none")) == by_router * 3 / 2, "2 and the public"
    public = structs.replace(config, lines=[line(resolvers=["8.8.8.8"])])
    (alone,) = (one for one in light_kinds(public, public.lines[0]) if one.kind == "dns")
    assert alone.day_bytes == by_router / 2, "the public one is asked once"


# Who is asked next


class UdpResolver:
    """A resolver on a socket of its own: `edns` is what it says to EDNS, `plain` to the rest."""

    def __init__(self, sock: socket.socket, edns: dns.rcode.Rcode, plain: dns.rcode.Rcode) -> None:
        self._sock = sock
        self._edns, self._plain = edns, plain
        self.asked: list[bool] = []  # whether by EDNS

    def serve(self) -> None:
        while True:
            try:
                packet, sender = self._sock.recvfrom(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            if not packet:
                return
            self._sock.sendto(self._answer(dns.message.from_wire(packet)), sender)

    def _answer(self, query: dns.message.Message) -> bytes:
        self.asked.append(query.edns >= 0)
        rcode = self._edns if query.edns >= 0 else self._plain
        if rcode == dns.rcode.FORMERR:  # as old resolvers do: the header alone
            return query.id.to_bytes(2, "big") + b"\x80\x01" + bytes(8)
        answer = dns.message.make_response(query)
        answer.set_rcode(rcode)
        if rcode == dns.rcode.NOERROR:
            name = query.question[0].name
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", FOUND))
        return answer.to_wire()


OK, FORMERR, NOTIMP = dns.rcode.NOERROR, dns.rcode.FORMERR, dns.rcode.NOTIMP
SERVFAIL, REFUSED, NXDOMAIN = dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NXDOMAIN


@contextmanager
def served(*rcodes: tuple[dns.rcode.Rcode, dns.rcode.Rcode]) -> Iterator[list[UdpResolver]]:
    """Resolvers on 127.0.0.1, 127.0.0.2 …, at one port."""
    with ExitStack() as stack:
        port, found = 0, []
        for number, (edns, plain) in enumerate(rcodes, 1):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind((f"127.0.0.{number}", port))
            port = sock.getsockname()[1]
            found.append(UdpResolver(sock, edns, plain))
            thread = threading.Thread(target=found[-1].serve, daemon=True)
            thread.start()
            stack.callback(_end, sock, thread)
        yield found


def _end(sock: socket.socket, thread: threading.Thread) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"", sock.getsockname())
    thread.join(5)
    assert not thread.is_alive()


def port_of(servers: Sequence[UdpResolver]) -> int:
    return int(servers[0]._sock.getsockname()[1])


def resolved(servers: Sequence[UdpResolver], host: str = "chinhphu.vn") -> ResolvedName:
    own = line(interface="lo", resolvers=[FIRST, SECOND][: len(servers)])
    return LineResolver(own, port_of(servers), 2.0, threading.Event()).resolve(host, Family.IPV4)


@pytest.mark.parametrize("rcode", [SERVFAIL, REFUSED, NOTIMP, FORMERR])
def test_the_next_one_is_asked_after_one_that_cannot_say(rcode: dns.rcode.Rcode) -> None:
    with served((rcode, rcode), (OK, OK)) as servers:
        assert resolved(servers) == ((FOUND,), SECOND, None)


def test_no_such_name_is_an_answer_and_ends_the_search() -> None:
    with served((NXDOMAIN, NXDOMAIN), (OK, OK)) as servers:
        found = resolved(servers)
        assert (found.addresses, found.resolver) == ((), FIRST)
        assert found.failure is not None
        assert found.failure.reason is Reason.NAME_NOT_FOUND
        assert servers[1].asked == []


def test_where_none_can_say_the_last_one_s_reason_holds() -> None:
    with served((REFUSED, REFUSED), (SERVFAIL, SERVFAIL)) as servers:
        found = resolved(servers)
        assert found.resolver == SECOND
        assert found.failure is not None
        assert found.failure.reason is Reason.SERVER_FAILURE


def round_of(servers: Sequence[UdpResolver]) -> tuple[DnsValues, dict[str, object]]:
    dns_config = DnsConfig(
        names=["a.vn", "b.vn"], repeats=1, random_labels=0, public_resolver=None,
        port=port_of(servers), timeout_s=2,
    )  # fmt: skip
    own = line(interface="lo", resolvers=[FIRST])
    request = line_request(own, [ServerConfig(name="hn-1", host=FIRST)], dns=dns_config)
    (raw,) = dns_probe.measure(request)
    assert isinstance(raw.values, DnsValues)
    assert raw.method is not None
    assert (raw.outcome is Outcome.OK) == (raw.values.answered > 0)
    return raw.values, dict(raw.method.settings)


@pytest.mark.parametrize("rcode", [FORMERR, NOTIMP])
def test_a_resolver_without_edns_is_asked_once_more_and_then_without(
    rcode: dns.rcode.Rcode,
) -> None:
    with served((rcode, OK)) as servers:
        values, settings = round_of(servers)
        assert servers[0].asked == [True, False, False]
    assert (values.sent, values.answered, values.failure_ratio) == (2, 2, 0.0)
    assert settings["edns_bytes"] == 0
    assert values.resolver == FIRST


def test_a_resolver_that_fails_without_edns_too_is_asked_by_it_again() -> None:
    with served((FORMERR, FORMERR)) as servers:
        values, settings = round_of(servers)
        assert servers[0].asked == [True, False, True, False]
    assert {query.ending for query in values.queries} == {DnsEnding.SERVER_FAILURE}
    assert settings["edns_bytes"] == 1232


def test_a_failure_that_is_not_about_edns_is_asked_once() -> None:
    with served((SERVFAIL, OK)) as servers:
        values, _ = round_of(servers)
        assert servers[0].asked == [True, True]
    assert values.server_failures == 2
