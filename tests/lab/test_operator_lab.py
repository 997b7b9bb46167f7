"""Who carries a line: through real NAT (nftables), a real router (miniupnpd), asked of nginx."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import structs

from probe.config import Config, LatencyConfig, LineConfig, ServerConfig
from probe.measure.operator import external, nat_pmp
from probe.measure.operator.answer import Operator
from probe.measure.operator.watch import OperatorWatch
from tests import nginx, samples
from tests.lab.network import SERVER_ADDRESSES, LineShape, OfficeNetwork
from tests.lab.polling import wait_until
from tests.nginx import Nginx
from tests.unit.test_plan import PARSED
from wire.http import ADDRESS_PATH
from wire.result import GATEWAY_TARGET, Family, LineOperator, Nat, Outcome, Reason

pytestmark = [
    pytest.mark.usefixtures("_namespaces"),
    pytest.mark.skipif(nginx.why_not() is not None, reason=nginx.why_not() or ""),
    pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed (nftables)"),
]

PORT = 8080
PUBLIC = {"vnpt": "198.51.100.7", "viettel": "192.0.2.9"}
# miniupnpd refuses documentation and private addresses as its own. Nothing leaves the lab.
ROUTER_OUTSIDE = "8.8.4.4"
OFFICE_IPV6, CENTRE_IPV6, NATTED_IPV6 = "2001:db8:7::2", "2001:db8:ffff::1", "2001:db8:99::9"


@pytest.fixture(scope="module")
def network() -> Iterator[OfficeNetwork]:
    with OfficeNetwork([LineShape("vnpt"), LineShape("viettel")], tag=f"o{os.getpid()}") as network:
        _add_ipv6(network)
        yield network


@pytest.fixture(scope="module", autouse=True)
def _server(network: OfficeNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    prefix = ["ip", "netns", "exec", network.centre.name]
    listen = [f"{SERVER_ADDRESSES[0]}:{PORT}", f"[{CENTRE_IPV6}]:{PORT}"]
    with Nginx(tmp_path_factory.mktemp("nginx"), port=PORT, prefix=prefix, listen=listen):
        yield


def _add_ipv6(network: OfficeNetwork) -> None:
    """Line vnpt has IPv6, viettel has none. `nodad`: an address that may be used at once."""
    line = network.line("vnpt")
    for namespace in (network.office, line.isp, network.centre):
        namespace.sysctl({"ipv6/conf/all/disable_ipv6": "0"})
    line.isp.sysctl({"ipv6/conf/all/forwarding": "1"})
    network.office.ip(
        f"addr add {OFFICE_IPV6}/64 dev vnpt nodad",
        "route add default via 2001:db8:7::1 dev vnpt",
    )
    line.isp.ip(
        "addr add 2001:db8:7::1/64 dev lan nodad",
        "addr add 2001:db8:8::1/64 dev wan nodad",
        f"route add {CENTRE_IPV6}/128 via 2001:db8:8::2",
    )
    network.centre.ip(
        "addr add 2001:db8:8::2/64 dev vnpt nodad",
        f"addr add {CENTRE_IPV6}/128 dev lo nodad",
        "route add 2001:db8:7::/64 via 2001:db8:8::1",
        "route add 2001:db8:99::/64 via 2001:db8:8::1",
    )


@contextmanager
def natted(network: OfficeNetwork, name: str, public: str) -> Iterator[None]:
    """The ISP translates the line's addresses to a public one."""
    isp = network.line(name).isp
    family, wan = ("ip6", "2001:db8:8::1") if ":" in public else ("ip", _wan(network, name))
    rules = (
        f"table {family} lab {{ chain out {{ type nat hook postrouting priority srcnat; "
        f"oifname wan snat to {public}; }}; }}"
    )
    isp.run(["nft", rules])
    if family == "ip":
        network.centre.ip(f"route replace {public}/32 via {wan}")
    try:
        yield
    finally:
        isp.run(["nft", f"delete table {family} lab"])


@contextmanager
def router(network: OfficeNetwork, name: str, directory: Path) -> Iterator[None]:
    """The line's router states ROUTER_OUTSIDE as its own address, by NAT-PMP."""
    program = shutil.which("miniupnpd") or shutil.which("miniupnpd", path="/usr/sbin")
    if program is None:
        pytest.skip("miniupnpd is not installed (Debian: apt-get install miniupnpd-nftables)")
    settings = directory / "miniupnpd.conf"
    settings.write_text(
        "ext_ifname=wan\nlistening_ip=lan\nenable_natpmp=yes\nenable_upnp=no\nport=0\n"
        f"ext_ip={ROUTER_OUTSIDE}\nallow 1024-65535 0.0.0.0/0 1024-65535\n"
    )
    log = directory / "miniupnpd.log"
    with log.open("wb") as output:
        process = network.line(name).isp.popen(
            [program, "-d", "-f", str(settings), "-P", str(directory / "pid")],
            stdout=output,
            stderr=output,
        )
    try:
        line = lines(network)[name]
        gateway = network.line(name).gateway_address
        wait_until(
            lambda: (
                network.office.inside(lambda: nat_pmp.router_address(line, gateway)) is not None
            ),
            what=f"NAT-PMP of {gateway}",
            timeout_s=60,
        )
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wan(network: OfficeNetwork, name: str) -> str:
    return f"100.64.{[line.interface for line in network.lines].index(name) + 1}.1"


def lines(network: OfficeNetwork) -> dict[str, LineConfig]:
    return {
        line.interface: LineConfig(id=line.interface, isp="x", interface=line.interface)
        for line in network.lines
    }


def watch(network: OfficeNetwork, *names: str) -> OperatorWatch:
    config: Config = structs.replace(
        PARSED,
        lines=[lines(network)[name] for name in names],
        servers=[
            ServerConfig(name="no-http", host=SERVER_ADDRESSES[1]),
            ServerConfig(name="hanoi", host=SERVER_ADDRESSES[0], http_port=PORT),
        ],
    )
    return OperatorWatch(config)


def seen(network: OfficeNetwork, name: str, family: Family = Family.IPV4) -> LineOperator:
    """What a new watch finds of a line."""
    one = watch(network, name)
    if family is Family.IPV6:
        one = OperatorWatch(
            structs.replace(
                one._config,
                servers=[ServerConfig(name="hanoi", host=CENTRE_IPV6, http_port=PORT)],
            )
        )
    network.office.inside(lambda: one.ask_due(threading.Event()))
    found = one.of(name, family)
    assert found is not None
    return found


def test_each_line_is_asked_by_its_own_way(network: OfficeNetwork) -> None:
    with (
        natted(network, "vnpt", PUBLIC["vnpt"]),
        natted(network, "viettel", PUBLIC["viettel"]),
    ):
        one = watch(network, "vnpt", "viettel")
        network.office.inside(lambda: one.ask_due(threading.Event()))
        found = {name: one.of(name, None) for name in PUBLIC}
        assert {name: (x and (x.public_address, x.nat)) for name, x in found.items()} == {
            name: (address, Nat.NAT) for name, address in PUBLIC.items()
        }
        assert {name: len(each) for name, each in one.operators().items()} == {
            "vnpt": 1,
            "viettel": 1,
        }
    assert found["vnpt"] is not None
    assert found["vnpt"].observed_at.microsecond == 0


def test_a_line_without_nat(network: OfficeNetwork) -> None:
    found = seen(network, "vnpt")
    assert (found.public_address, found.nat) == (network.line("vnpt").source_address, Nat.NONE)


def test_a_shared_address_on_the_interface_is_carrier_grade(network: OfficeNetwork) -> None:
    network.office.ip(
        "addr add 100.64.77.2/24 dev viettel",
        "route replace default via 192.168.2.1 dev viettel src 100.64.77.2 table 2",
    )
    network.line("viettel").isp.ip("addr add 100.64.77.1/24 dev lan")
    try:
        with natted(network, "viettel", PUBLIC["viettel"]):
            found = seen(network, "viettel")
        assert (found.public_address, found.nat) == (PUBLIC["viettel"], Nat.CARRIER_GRADE)
    finally:
        network.office.ip(
            "route replace default via 192.168.2.1 dev viettel table 2",
            "addr del 100.64.77.2/24 dev viettel",
        )
        network.line("viettel").isp.ip("addr del 100.64.77.1/24 dev lan")


@pytest.mark.parametrize(
    ("public", "nat"),
    [
        (ROUTER_OUTSIDE, Nat.NAT),  # the office's router alone translates
        (PUBLIC["vnpt"], Nat.CARRIER_GRADE),  # the ISP translates the router's address once more
    ],
)
def test_the_router_s_own_address_shows_the_isp_s_nat(
    network: OfficeNetwork, tmp_path: Path, public: str, nat: Nat
) -> None:
    with natted(network, "vnpt", public), router(network, "vnpt", tmp_path):
        found = seen(network, "vnpt")
    assert (found.public_address, found.nat) == (public, nat)


def test_ipv6_is_asked_apart(network: OfficeNetwork) -> None:
    found = seen(network, "vnpt", Family.IPV6)
    assert (found.public_address, found.nat) == (OFFICE_IPV6, Nat.NONE)
    with natted(network, "vnpt", NATTED_IPV6):
        found = seen(network, "vnpt", Family.IPV6)
    assert (found.public_address, found.nat) == (NATTED_IPV6, Nat.NAT)


def test_a_new_address_on_the_interface_is_asked_for_anew(network: OfficeNetwork) -> None:
    one = watch(network, "viettel")
    network.office.inside(lambda: one.ask_due(threading.Event()))
    assert one.of("viettel", Family.IPV4) is not None
    network.office.ip(
        "addr add 192.168.2.77/24 dev viettel",
        "route replace default via 192.168.2.1 dev viettel src 192.168.2.77 table 2",
    )
    try:
        # Asked a moment ago: what was known is gone at once, and asked for a minute later.
        network.office.inside(lambda: one.ask_due(threading.Event()))
        assert one.of("viettel", Family.IPV4) is None
        assert seen(network, "viettel").public_address == "192.168.2.77"
    finally:
        network.office.ip(
            "route replace default via 192.168.2.1 dev viettel table 2",
            "addr del 192.168.2.77/24 dev viettel",
        )


def test_a_configured_url_is_asked_over_line_and_family(network: OfficeNetwork) -> None:
    url = f"http://{SERVER_ADDRESSES[0]}:{PORT}{ADDRESS_PATH}"
    settings = structs.replace(PARSED.operator, url=url)
    line = lines(network)["vnpt"]
    with natted(network, "vnpt", PUBLIC["vnpt"]):
        found = network.office.inside(lambda: external.look_up(line, settings, Family.IPV4))
        other = network.office.inside(lambda: external.look_up(line, settings, Family.IPV6))
    assert found == Operator(PUBLIC["vnpt"], None)
    assert not isinstance(other, Operator), "its address is IPv4's"


def test_a_line_that_answers_again_is_asked_anew_over_that_family(network: OfficeNetwork) -> None:
    """By latency windows of a second, with an outage of two of them."""
    config: Config = structs.replace(
        watch(network, "vnpt")._config,
        latency=LatencyConfig(window_s=1.0, mean_gap_s=0.5),
        servers=[ServerConfig(name="hanoi", host=CENTRE_IPV6, http_port=PORT)],
    )
    one = OperatorWatch(config)
    network.office.inside(lambda: one.ask_due(threading.Event()))
    before = one.of("vnpt", Family.IPV6)
    assert before is not None
    answered = structs.replace(samples.latency(), family=Family.IPV6)
    failed = structs.replace(answered, outcome=Outcome.FAILED, reason=Reason.NO_REPLY, values=None)
    assert answered.line.id == "vnpt"
    one.note(answered)
    time.sleep(2.0)
    one.note(failed)
    one.note(structs.replace(answered, target=GATEWAY_TARGET))
    one.note(structs.replace(answered, family=Family.IPV4))
    assert one.of("vnpt", Family.IPV6) == before, (
        "the router's answer, or IPv4's, is not this one's"
    )
    one.note(answered)
    assert one.of("vnpt", Family.IPV6) is None
    assert one.operators() == {"vnpt": []}
