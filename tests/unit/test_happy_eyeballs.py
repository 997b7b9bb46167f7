"""Kind `web` over both families: the order of addresses, and who is asked and connected to when."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from probe import clock
from probe.config import DnsConfig, LineConfig, ServerConfig, WebConfig
from probe.measure.measurement import RawResult
from probe.measure.web import probe as web_probe
from probe.measure.web.destinations import Destination, in_order
from probe.measure.web.happy_eyeballs import ATTEMPT_DELAY_S, Race
from probe.measure.web.lookups import RESOLUTION_DELAY_S, Lookups
from probe.measure.web.resolver import LineResolver
from tests.client import eventually
from tests.line_request import line_request
from tests.page_server import PageServer
from wire.record import Family
from wire.result import Outcome, Reason, WebPhase, WebValues

SITE = "trang.vn"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntrang"
V4, V6 = "127.0.0.1", "::1"
LINE = LineConfig(
    id="vnpt", isp="x", interface="lo", resolvers=[V4], families=[Family.IPV4, Family.IPV6]
)
SILENT_S = 20.0  # how long a resolver is waited for: nothing below may wait so long


# RFC 6724 §10.2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("2001:db8:1::1", "2001:db8:1::2"), ("198.51.100.121", "198.51.100.117")),
        (("198.51.100.121", "198.51.100.117"), ("2001:db8:1::1", "fe80::1")),
        (("198.51.100.121", "198.51.100.117"), ("2001:db8:1::1", None)),
        (("2001:db8:1::1", "2001:db8:1::2"), ("10.1.2.3", "10.1.2.4")),
        (("fe80::1", "fe80::2"), ("2001:db8:1::1", "2001:db8:1::2")),
        (("2001:db8:1::1", "2001:db8:1::2"), ("2001:db8:3ffe::1", "2001:db8:3f44::2")),
        (("2002:c633:6401::1", "2002:c633:6401::2"), ("2001:db8:1::1", "2002:c633:6401::2")),
        (("2001:db8:1::1", "2001:db8:1::2"), ("2002:c633:6401::1", "2002:c633:6401::2")),
        # A line with unique local addresses only reaches the Internet over IPv4.
        (("198.51.100.121", "192.168.1.2"), ("2001:db8:1::1", "fd00::2")),
    ],
)
def test_the_order_of_two_addresses(
    first: tuple[str, str | None], second: tuple[str, str | None]
) -> None:
    expected = [Destination(*first), Destination(*second)]
    assert in_order(expected) == expected
    assert in_order(expected[::-1]) == expected


def test_the_families_take_turns() -> None:
    ipv6 = [Destination(f"2001:db8::{number}", "2001:db8::f") for number in (1, 2, 3)]
    ipv4 = [Destination(f"192.0.2.{number}", "192.0.2.9") for number in (2, 1)]
    order = in_order([*ipv4, *ipv6])
    assert [one.family for one in order] == [Family.IPV6, Family.IPV4] * 2 + [Family.IPV6]
    assert [one.ip for one in order if one.family is Family.IPV4] == ["192.0.2.2", "192.0.2.1"]
    assert in_order([]) == []


# Who is asked


class Resolver:
    """A resolver that knows addresses by type, and is silent about the types that it lacks."""

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self.asked: list[str] = []
        self._addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((V4, 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (V4, self.port))
        self._thread.join(60)
        self._socket.close()

    def _serve(self) -> None:
        while packet := self._socket.recvfrom(4096):
            octets, sender = packet
            if not octets:
                return
            query = dns.message.from_wire(octets)
            name, kind = query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype)
            self.asked.append(kind)
            if kind in self._addresses:
                answer = dns.message.make_response(query)
                if found := self._addresses[kind]:
                    answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
                self._socket.sendto(answer.to_wire(), sender)


class Site(NamedTuple):
    """A host with a page in both families, or in those that listen."""

    resolver: Resolver
    port: int
    servers: dict[str, PageServer]

    def race(self) -> Race:
        """Once both answers have come."""
        names = LineResolver(LINE, self.resolver.port, SILENT_S, threading.Event())
        lookups = Lookups(SITE, names, tuple(Family))
        eventually(lambda: lookups.are_over, "both answers are there", 60)
        return Race(LINE, lookups, self.port, clock.monotonic_s() + 60)

    def fetch(self) -> tuple[RawResult, WebValues]:
        web = WebConfig(pages=[f"http://{SITE}:{self.port}/"], timeout_s=60)
        dns_config = DnsConfig(port=self.resolver.port, timeout_s=SILENT_S)
        servers = [ServerConfig(name="hn-1", host=V4)]
        (raw,) = web_probe.measure(line_request(LINE, servers, web=web, dns=dns_config))
        assert isinstance(raw.values, WebValues), raw
        return raw, raw.values


@contextmanager
def site(
    addresses: Mapping[str, Sequence[str]], listening: Sequence[str] = (V4, V6)
) -> Iterator[Site]:
    with ExitStack() as stack:
        resolver = Resolver(addresses)
        stack.callback(resolver.close)
        # A port that is free in both families, also for who does not listen.
        with socket.create_server((V6, 0), family=socket.AF_INET6) as taken:
            port = taken.getsockname()[1]
        servers = {
            host: stack.enter_context(PageServer(lambda _: PAGE, host=host, port=port))
            for host in listening
        }
        yield Site(resolver, port, servers)


BOTH = {"A": [V4], "AAAA": [V6]}


def test_ipv6_is_taken_and_ipv4_is_timed_after_the_page() -> None:
    with site(BOTH) as found:
        raw, values = found.fetch()
        assert sorted(found.resolver.asked) == ["A", "AAAA"]
        assert (raw.outcome, raw.family, values.address) == (Outcome.OK, Family.IPV6, V6)
        assert [len(found.servers[host].requests) for host in (V6, V4)] == [1, 0]
        v4 = found.servers[V4]
        eventually(lambda: len(v4.accepted_s) == 1, "connected to for its connect time", 60)
        assert len(found.servers[V6].accepted_s) == 1
    assert values.tcp_ipv6_ms is not None
    assert values.tcp_ipv4_ms is not None


def test_without_an_answer_about_ipv6_ipv4_waits_for_the_resolution_delay_alone() -> None:
    with site({"A": [V4]}) as found:
        raw, values = found.fetch()
    assert (raw.family, values.address, values.tcp_ipv6_ms) == (Family.IPV4, V4, None)
    assert values.dns_ms is not None
    assert RESOLUTION_DELAY_S * 1000 <= values.dns_ms < SILENT_S * 1000


def test_ipv6_does_not_wait_for_an_answer_about_ipv4() -> None:
    with site({"AAAA": [V6]}) as found:
        raw, values = found.fetch()
    assert (raw.family, values.address, values.tcp_ipv4_ms) == (Family.IPV6, V6, None)
    assert values.dns_ms is not None
    assert values.dns_ms < SILENT_S * 1000


def test_a_name_without_ipv6_is_an_ipv4_page() -> None:
    with site({"A": [V4], "AAAA": []}) as found:
        raw, values = found.fetch()
    assert (raw.outcome, raw.family, values.tcp_ipv6_ms) == (Outcome.OK, Family.IPV4, None)


def test_after_a_refusal_the_other_family_is_tried_at_once() -> None:
    gaps = []
    for _ in range(5):
        with site(BOTH, listening=[V4]) as found:
            race = found.race()
            winner = race.run()
            assert winner is not None
            assert winner.sock is not None
            winner.sock.close()
            first, second = race.attempts
            assert (first.family, winner is second) == (Family.IPV6, True)
            assert first.failure is not None
            assert first.failure.reason is Reason.CONNECTION_REFUSED
            assert race.connect_ms(Family.IPV6) is None
            gaps.append(second.began_s - first.began_s)
    assert min(gaps) < ATTEMPT_DELAY_S


def test_a_page_that_both_refuse_is_refused() -> None:
    with site(BOTH, listening=[]) as found:
        raw, values = found.fetch()
    assert (raw.outcome, raw.reason) == (Outcome.FAILED, Reason.CONNECTION_REFUSED)
    assert values.failed_phase is WebPhase.TCP
    assert raw.family is Family.IPV6


def test_a_name_with_many_addresses_is_tried_in_bounds() -> None:
    many = {
        "A": [f"127.1.0.{n}" for n in range(1, 31)],
        "AAAA": [f"2001:db8::{n}" for n in range(1, 31)],
    }
    with site(many, listening=[]) as found:
        race = found.race()
        assert race.run() is None
    assert len(race.attempts) == 16
    assert {attempt.family for attempt in race.attempts[:2]} == set(Family)
