"""Every kind over each address family: on dual-stack, IPv6-only and broken-IPv6 lines.

The real command, in the office's namespace, against real servers that listen on both families.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from bench.probe_command import COMMAND, IPERF3_PORT, ROOT, STAMP_PORT, write_config
from tests import nginx, services
from tests.lab import nat64
from tests.lab.addresses import translated
from tests.lab.nat64 import Dns64, Nat64
from tests.lab.network import (
    SERVER_ADDRESSES,
    SERVER_ADDRESSES_IPV6,
    Ipv6Fault,
    LineShape,
    OfficeNetwork,
    Stack,
)
from tests.lab.yardstick import iperf3_server
from tests.nginx import Nginx
from tests.reflector_process import ReflectorProcess
from tests.services import Names, Pages
from wire.result import (
    AnyResult,
    Family,
    FaultLocation,
    LatencyValues,
    Outcome,
    PathValues,
    Reason,
)

WHY_NOT = services.why_not() or nginx.why_not()
pytestmark = [
    pytest.mark.usefixtures("_namespaces", "_iperf3"),
    pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or ""),
]

V4, V6 = Family.IPV4, Family.IPV6
DUAL, OLD, SITE, OLD_SITE = "dual.vn", "cu.vn", "dichvucong.gov.vn", "cu.gov.vn"
IPV4, IPV6 = SERVER_ADDRESSES[0], SERVER_ADDRESSES_IPV6[0]
BOTH = [IPV4, IPV6]
HTTP_PORT = 8080
# Made once and kept, as the demo's.
HTTP_FILES = ROOT / "out" / "http-files"
NAMES = {DUAL: BOTH, OLD: [IPV4], SITE: BOTH, OLD_SITE: [IPV4]}
SHORT: dict[str, Any] = {
    "throughput": {
        "warm_up_s": 0, "duration_s": 1, "streams": 1, "connect_timeout_s": 3.0,
        "busy_limit_s": 0.0,
    },
    "http": {
        "warm_up_s": 0, "duration_s": 1, "connections": 1, "pings": 2, "early_stop": False,
    },
    "latency": {"window_s": 2.0, "mean_gap_s": 0.05, "timeout_s": 1.0},
    "path": {"timeout_s": 1.0, "max_hops": 5},
}  # fmt: skip
# A path measurement asks more often than Linux answers by default.
LIMITS = {"ipv4/icmp_ratelimit": "0", "ipv6/icmp/ratelimit": "0"}


class Lab(NamedTuple):
    """An office, and what it is measured against."""

    network: OfficeNetwork
    folder: Path
    ca_file: str

    def measure(
        self, kind: str, line: str, *options: str, host: str = DUAL, site: str = SITE,
        resolvers: Sequence[str] = BOTH,
    ) -> list[AnyResult]:  # fmt: skip
        """What the command says of one kind."""
        built = self.network.line(line)
        config = write_config(
            self.folder / "probe.toml",
            [built],
            lines=[
                {"id": line, "isp": "x", "interface": built.interface, "resolvers": resolvers}
            ],
            servers=[
                {
                    "name": "s", "host": host, "iperf3_ports": [IPERF3_PORT],
                    "stamp_port": STAMP_PORT, "http_port": HTTP_PORT,
                }
            ],
            dns={
                "names": [site], "random_labels": 0, "repeats": 1, "timeout_s": 1.0,
                "public_resolver": resolvers[0],
            },
            web={
                "pages": [f"https://{site}/p/home/trang-chu.html"], "ca_file": self.ca_file,
                "timeout_s": 10.0,
            },
            **SHORT,
        )  # fmt: skip
        argv = [*COMMAND, "measure", kind, "--line", line, "--json", "-c", str(config), *options]
        with self.network.office.popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
        ) as probe:
            printed, said = probe.communicate(timeout=300)
        assert printed, said
        return msgspec.json.decode(printed, type=list[AnyResult])


@contextmanager
def built(folder: Path, shape: LineShape, tag: str) -> Iterator[Lab]:
    with OfficeNetwork([shape], tag=f"{tag}{os.getpid()}") as network, ExitStack() as stack:
        for namespace in (network.centre, network.lines[0].isp):
            namespace.sysctl(LIMITS)
        inside = ["ip", "netns", "exec", network.centre.name]
        listen = [f"0.0.0.0:{HTTP_PORT}", f"[::]:{HTTP_PORT}"]
        pages = Pages(
            folder / "pages", host=IPV4, port=443, sites=[SITE, OLD_SITE], also=[IPV6],
            prefix=inside,
        )  # fmt: skip
        for server in (
            iperf3_server(network.centre, IPERF3_PORT),
            ReflectorProcess(BOTH, port=STAMP_PORT, prefix=inside),
            Nginx(folder / "nginx", root=HTTP_FILES, port=HTTP_PORT, listen=listen, prefix=inside),
            pages,
            Names(folder / "names", hosts=BOTH, port=53, addresses=NAMES, prefix=inside),
        ):
            stack.enter_context(server)
        yield Lab(network, folder, str(pages.ca_file))


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    shape = LineShape("vnpt", stack=Stack.DUAL)
    with built(tmp_path_factory.mktemp("dual"), shape, "f") as lab:
        lab.network.office.name_hosts(NAMES)
        yield lab


@contextmanager
def broken(lab: Lab, fault: Ipv6Fault) -> Iterator[None]:
    lab.network.break_ipv6("vnpt", fault)
    try:
        yield
    finally:
        lab.network.mend_ipv6("vnpt")


def endings(results: Sequence[AnyResult]) -> dict[tuple[str | None, Family | None], str]:
    """What each result says: "ok", or its reason, by target and family."""
    return {
        (one.target, one.family): "ok" if one.outcome is Outcome.OK else str(one.reason)
        for one in results
    }


def address_of(result: AnyResult) -> str | None:
    address: str | None = getattr(result.values, "address", None)
    return address


def fault_of(result: AnyResult) -> FaultLocation | None:
    assert isinstance(result.values, PathValues), result.detail
    return result.values.fault


@pytest.mark.parametrize("kind", ["throughput", "http"])
@pytest.mark.parametrize(("family", "address"), [(V4, IPV4), (V6, IPV6)])
def test_a_bulk_test_goes_over_the_family_that_is_asked_for(
    dual: Lab, kind: str, family: Family, address: str
) -> None:
    (result,) = dual.measure(kind, "vnpt", "--family", family)
    assert (result.outcome, result.family) == (Outcome.OK, family), result.detail
    assert address_of(result) == address


def test_latency_is_measured_over_both_families(dual: Lab) -> None:
    results = dual.measure("latency", "vnpt")
    targets = ("stamp:s", f"icmp:{DUAL}", "icmp:gateway")
    assert endings(results) == {(target, family): "ok" for target in targets for family in Family}
    for result in results:
        assert isinstance(result.values, LatencyValues)
        assert Family.of(result.values.address) is result.family


def test_names_path_and_pages_over_both_families(dual: Lab) -> None:
    assert endings(dual.measure("dns", "vnpt")) == {
        (f"dns:{address}", Family.of(address)): "ok" for address in BOTH
    }
    assert endings(dual.measure("path", "vnpt")) == {("path:s", family): "ok" for family in Family}
    (page,) = dual.measure("web", "vnpt")
    assert page.outcome is Outcome.OK, page.detail
    assert address_of(page) in BOTH


# What is lost without a word takes time; what is refused says so.
SILENT = {Ipv6Fault.BLACKHOLED: ("timeout", "no_reply", "timeout"),
          Ipv6Fault.REFUSED: ("connection_refused",) * 3}  # fmt: skip


@pytest.mark.parametrize("fault", list(SILENT))
def test_broken_ipv6_is_stated_beside_ipv4_that_works(dual: Lab, fault: Ipv6Fault) -> None:
    bulk, latency, dns = SILENT[fault]
    with broken(dual, fault):
        for kind in ("throughput", "http"):
            (bound,) = dual.measure(kind, "vnpt", "--family", V6)
            assert (bound.family, bound.reason) == (V6, bulk), bound.detail
        (free,) = dual.measure("throughput", "vnpt")
        assert (free.outcome, free.family) == (Outcome.OK, V4), free.detail
        assert endings(dual.measure("latency", "vnpt")) == {
            ("stamp:s", V4): "ok", (f"icmp:{DUAL}", V4): "ok", ("icmp:gateway", V4): "ok",
            ("stamp:s", V6): latency, (f"icmp:{DUAL}", V6): latency, ("icmp:gateway", V6): "ok",
        }  # fmt: skip
        assert endings(dual.measure("dns", "vnpt")) == {
            (f"dns:{IPV4}", V4): "ok", (f"dns:{IPV6}", V6): dns,
        }  # fmt: skip
        faults = {one.family: fault_of(one) for one in dual.measure("path", "vnpt")}
        assert faults == {V4: FaultLocation.NONE, V6: FaultLocation.ISP_ACCESS}
        # As a browser: by the family that works.
        (page,) = dual.measure("web", "vnpt")
        assert (page.outcome, address_of(page)) == (Outcome.OK, IPV4), page.detail


def test_a_lost_packet_too_big_fails_transfers_and_is_no_figure_of_zero(dual: Lab) -> None:
    """Small packets pass: the handshake, pings and questions are answered, and bulk is not."""
    with broken(dual, Ipv6Fault.TOO_BIG_LOST):
        for kind in ("throughput", "http"):
            (bulk,) = dual.measure(kind, "vnpt", "--family", V6)
            assert (bulk.outcome, bulk.reason) == (Outcome.FAILED, Reason.TIMEOUT), bulk.detail
            assert "full size" in str(bulk.detail)
            assert getattr(bulk.values, "download_bps", None) is None
        assert set(endings(dual.measure("latency", "vnpt")).values()) == {"ok"}
        assert set(endings(dual.measure("dns", "vnpt")).values()) == {"ok"}


@pytest.mark.usefixtures("_tun_devices")
@pytest.mark.skipif(nat64.why_not() is not None, reason=nat64.why_not() or "")
def test_an_ipv6_only_line_measures_ipv4_servers_by_nat64(tmp_path: Path) -> None:
    with built(tmp_path, LineShape("vnpt", stack=Stack.IPV6), "g") as lab:
        line, office = lab.network.line("vnpt"), lab.network.office
        own: dict[str, Any] = {"resolvers": [line.gateway_address], "host": OLD}
        with Nat64(lab.network, "vnpt"), Dns64(line, upstream=IPV4):
            office.use_resolvers([line.gateway_address])
            (bulk,) = lab.measure("throughput", "vnpt", **own)
            assert (bulk.outcome, bulk.family) == (Outcome.OK, V6), bulk.detail
            assert ip_address(str(address_of(bulk))) == ip_address(translated(IPV4))
            assert endings(lab.measure("latency", "vnpt", **own)) == {
                (target, V6): "ok" for target in ("stamp:s", f"icmp:{OLD}", "icmp:gateway")
            }
            assert endings(lab.measure("path", "vnpt", **own)) == {("path:s", V6): "ok"}
            resolver = f"dns:{line.gateway_address}"
            assert endings(lab.measure("dns", "vnpt", **own)) == {(resolver, V6): "ok"}


def test_an_ipv6_only_line_without_nat64_states_that_a_server_has_no_ipv6(tmp_path: Path) -> None:
    with built(tmp_path, LineShape("vnpt", stack=Stack.IPV6), "h") as lab:
        lab.network.office.name_hosts(NAMES)
        (old,) = lab.measure("throughput", "vnpt", host=OLD, resolvers=[IPV6])
        assert (old.family, old.reason) == (V6, Reason.NAME_RESOLUTION)
        assert "no IPv6 address" in str(old.detail)
        (both,) = lab.measure("throughput", "vnpt", resolvers=[IPV6])
        assert (both.outcome, address_of(both)) == (Outcome.OK, IPV6), both.detail
