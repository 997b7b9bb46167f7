"""Which targets are measured over which family, and a line whose interface is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.config import DnsConfig, LatencyConfig, LineConfig, ServerConfig
from probe.measure import gateway
from probe.measure.latency.probe import target_specs
from probe.measure.runner import Runner
from tests.line_request import line_request, office_config
from wire.result import Family, Outcome, Reason

V4, V6 = Family.IPV4, Family.IPV6
LINE = LineConfig(id="vnpt", isp="VNPT", interface="tramdo-none0", gateway="192.168.1.1")
NAMED = ServerConfig(name="hn-1", host="do.example.vn")
FIXED = ServerConfig(name="hcm-1", host="203.0.113.5")
LATENCY = LatencyConfig(icmp_targets=["8.8.8.8", "2001:4860:4860::8888"])


@pytest.mark.parametrize(
    ("families", "expected"),
    [
        (
            (V4, V6),
            [
                ("stamp:hn-1", V4), ("icmp:gateway", V4), ("icmp:8.8.8.8", V4),
                ("icmp:do.example.vn", V4), ("icmp:203.0.113.5", V4), ("stamp:hn-1", V6),
                ("icmp:2001:4860:4860::8888", V6), ("icmp:do.example.vn", V6),
            ],
        ),
        # Of another's family only a server is tried: that it cannot be reached has to be stated.
        (
            (V6,),
            [
                ("stamp:hn-1", V6), ("icmp:2001:4860:4860::8888", V6),
                ("icmp:do.example.vn", V6), ("icmp:203.0.113.5", V4),
            ],
        ),
        (
            (),
            [
                ("stamp:hn-1", None), ("icmp:gateway", None), ("icmp:8.8.8.8", None),
                ("icmp:2001:4860:4860::8888", None), ("icmp:do.example.vn", None),
                ("icmp:203.0.113.5", None),
            ],
        ),
    ],
)  # fmt: skip
def test_each_target_is_measured_over_the_families_that_it_and_its_line_have(
    families: tuple[Family, ...], expected: list[tuple[str, Family | None]]
) -> None:
    request = line_request(LINE, [NAMED, FIXED], latency=LATENCY)
    assert [(spec.name, spec.family) for spec in target_specs(request, families)] == expected


@pytest.mark.parametrize("kind", ["latency", "path", "dns"])
def test_a_line_without_an_interface_says_so_and_has_no_figures(kind: str) -> None:
    """A window would last five minutes, and then say that 100 % was lost."""
    latency = LatencyConfig(window_s=300, icmp_targets=["8.8.8.8"])
    dns = DnsConfig(names=["vnnic.vn"])
    config = office_config(LINE, [FIXED], latency=latency, dns=dns)
    stop = line_request(LINE, [FIXED]).stop
    found = list(Runner(config, lambda _: None).run(kind, LINE, FIXED, stop))
    assert found
    for result in found:
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.LINE_DOWN)
        assert result.values is None
        assert result.detail == "There is no interface tramdo-none0."
        assert result.duration_s < latency.window_s


def test_a_window_in_which_the_interface_was_not_there_has_no_figures() -> None:
    """The daemon's own latency, which goes on for ever: a window ends all the same."""
    latency = LatencyConfig(window_s=1, mean_gap_s=0.05, timeout_s=0.1)
    config = office_config(LINE, [FIXED], latency=latency)
    stop = line_request(LINE, [FIXED]).stop
    results = Runner(config, lambda _: None).run("latency", LINE, FIXED, stop, continuous=True)
    found = next(results)
    results.close()  # type: ignore[attr-defined]  # a generator
    assert (found.outcome, found.reason, found.values) == (Outcome.FAILED, Reason.LINE_DOWN, None)


ROUTES = """\
20010db8000100010000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     vnpt
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003     vnpt
00000000000000000000000000000000 00 00000000000000000000000000000000 00 20010db8000200010000000000000001 00000400 00000001 00000000 00000003  viettel
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
"""  # noqa: E501 - as the kernel has it


def test_an_ipv6_gateway_is_read_from_the_kernel_s_routes(tmp_path: Path) -> None:
    routes = tmp_path / "ipv6_route"
    routes.write_text(ROUTES)

    def of(family: Family | None, **fields: str | None) -> str | None:
        line = LineConfig(id="a", isp="A", **fields)  # type: ignore[arg-type]  # by name
        return gateway.of_family(line, family, tmp_path / "none", routes)

    assert of(V6, interface="vnpt") == "fe80::1%vnpt"
    assert of(V6, interface="viettel") == "2001:db8:2:1::1"
    assert of(V6, interface="lo") is None
    assert of(V6, interface="vnpt", gateway="192.168.1.1") == "fe80::1%vnpt"
    assert of(V6, interface="vnpt", gateway="2001:db8::9") == "2001:db8::9"
    assert of(V4, interface="vnpt", gateway="192.168.1.1") == "192.168.1.1"
    assert of(V4, interface="vnpt") is None
    assert of(None, interface="vnpt", gateway="192.168.1.1") == "192.168.1.1"
    assert of(V6, source_address="2001:db8::7") is None
