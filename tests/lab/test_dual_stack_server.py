"""A server with several addresses, over one dual-stack line: which is measured, and what is said.

The whole program runs in the office's namespace, so that a name is resolved as there: `ip netns
exec` puts the files of /etc/netns/NAME over those of /etc.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import namespace
from tests.lab.namespace import PREFIX, Namespace, connect_veth
from tests.nginx import Nginx
from tests.nginx import why_not as why_no_nginx
from tests.unit.test_config import GOOD

V4, OTHER_V4, V6 = "198.51.100.1", "198.51.100.3", "2001:db8:7::1"
# Two, because a starved iperf3 may take seconds between its tests, in which its port refuses.
IPERF3_PORTS, HTTP_PORT = (5201, 5202), 8080
HOSTS = f"""{V4} dual.example.vn two.example.vn v4.example.vn
{OTHER_V4} two.example.vn
{V6} dual.example.vn
"""
SETTINGS = """
[latency]
enabled = false
[throughput]
warm_up_s = 0
duration_s = 3
streams = 1
connect_timeout_s = 30.0
busy_limit_s = 0.0
[http]
warm_up_s = 0
duration_s = 1
connections = 1
pings = 2
early_stop = false
timeout_s = 30.0
"""


class Lab:
    """An office and a server, one cable apart."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.office = Namespace(f"{PREFIX}-dual-{os.getpid()}-office")
        self.server = Namespace(f"{PREFIX}-dual-{os.getpid()}-server")
        self._etc = Path("/etc/netns", self.office.name)

    def create(self) -> None:
        for made in (self.office, self.server):
            made.create()
            made.sysctl({f"ipv6/conf/{name}/disable_ipv6": "0" for name in ("all", "default")})
        connect_veth(self.office, "line", self.server, "office")
        self.server.ip(
            f"addr add {V4}/24 dev office",
            f"addr add {OTHER_V4}/24 dev office",
            f"addr add {V6}/64 dev office nodad",
        )
        self.office.ip(
            "addr add 198.51.100.7/24 dev line",
            "addr add 2001:db8:7::7/64 dev line nodad",
            f"route add default via {V4} dev line",
            f"route add default via {V6} dev line",
        )
        self._etc.mkdir(parents=True)
        (self._etc / "hosts").write_text(HOSTS, "utf-8")
        (self._etc / "nsswitch.conf").write_text("hosts: files\n", "utf-8")

    def delete(self) -> None:
        shutil.rmtree(self._etc, ignore_errors=True)
        for made in (self.office, self.server):
            made.delete()

    @contextmanager
    def serving(self, *addresses: str) -> Iterator[None]:
        """An iperf3 and an nginx on each of these addresses, and on no other one."""
        with ExitStack() as running:
            for number, address in enumerate(addresses):
                for port in IPERF3_PORTS:
                    running.enter_context(self._iperf3(address, port))
                running.enter_context(
                    Nginx(
                        self.directory / f"nginx-{number}",
                        host=f"[{address}]" if ":" in address else address,
                        port=HTTP_PORT,
                        prefix=["ip", "netns", "exec", self.server.name],
                    )
                )
            yield

    @contextmanager
    def _iperf3(self, address: str, port: int) -> Iterator[None]:
        argv = ["iperf3", "-s", "-B", address, "-p", str(port)]
        with self.server.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                self._wait_for(address, port, process)
                yield
            finally:
                process.kill()

    def _wait_for(self, address: str, port: int, process: subprocess.Popen[str]) -> None:
        listening = f"{f'[{address}]' if ':' in address else address}:{port}"
        deadline_s = time.monotonic() + 60
        while listening not in self.server.run(["ss", "-Hltn"]).stdout:
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < deadline_s, f"iperf3 does not listen on {listening}"
            time.sleep(0.05)

    def measure(self, kind: str, host: str, *options: str) -> dict[str, Any]:
        """The result of `tramdo-probe measure` against a server of that name."""
        config = self.directory / f"{host}.toml"
        text = GOOD.replace('interface = "eth0"', 'interface = "line"')
        before, _, after = text.partition("[[servers]]")
        rest = after[after.index("[broker]") :]
        server = (
            f'[[servers]]\nname = "may-chu-1"\nhost = "{host}"\n'
            f"iperf3_ports = {list(IPERF3_PORTS)}\nhttp_port = {HTTP_PORT}\n\n"
        )
        config.write_text(before + server + rest + SETTINGS, "utf-8")
        argv = [sys.executable, "-m", "probe", "measure", kind, "-c", str(config)]
        ended = self.office.run(
            [*argv, "--line", "vnpt", "--json", *options], timeout_s=300, check=False
        )
        assert ended.stdout, ended.stderr
        (result,) = json.loads(ended.stdout)
        return dict(result)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if (why := namespace.why_not() or why_no_nginx()) is not None:
        pytest.skip(why)
    made = Lab(tmp_path_factory.mktemp("dual"))
    try:
        made.create()
        yield made
    finally:
        made.delete()


def told(result: dict[str, Any]) -> tuple[object, ...]:
    """How it ended, and what was measured over which address."""
    values = result["values"] or {}
    return result["outcome"], result["reason"], result["family"], values.get("address")


KINDS = ("throughput", "http")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("family", "address"), [("ipv4", V4), ("ipv6", V6)])
def test_each_family_is_measured_where_it_is_asked_for(
    lab: Lab, kind: str, family: str, address: str
) -> None:
    with lab.serving(V4, V6):
        result = lab.measure(kind, "dual.example.vn", "--family", family)
    assert told(result) == ("ok", None, family, address), result["detail"]
    assert result["values"]["download_bps"] > 0
    assert result["values"]["upload_bps"] > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("family", "address"), [("ipv4", V4), ("ipv6", V6)])
def test_a_name_whose_one_family_is_not_served_is_measured_over_the_other(
    lab: Lab, kind: str, family: str, address: str
) -> None:
    with lab.serving(address):
        result = lab.measure(kind, "dual.example.vn")
    assert told(result) == ("ok", None, family, address), result["detail"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_measurement_of_one_family_is_never_made_over_the_other(lab: Lab, kind: str) -> None:
    with lab.serving(V4):
        result = lab.measure(kind, "dual.example.vn", "--family", "ipv6")
        unknown = lab.measure(kind, "v4.example.vn", "--family", "ipv6")
    assert told(result) == ("failed", "connection_refused", "ipv6", V6)
    assert result["values"]["download_bps"] is None
    assert told(unknown) == ("failed", "name_resolution", "ipv6", None)
    assert "has no IPv6 address" in unknown["detail"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("served", [V4, OTHER_V4])
def test_a_first_address_that_refuses_ends_nothing(lab: Lab, kind: str, served: str) -> None:
    """One of the two is the name's first address, whichever the system puts first."""
    with lab.serving(served):
        result = lab.measure(kind, "two.example.vn", "--family", "ipv4")
    assert told(result) == ("ok", None, "ipv4", served), result["detail"]
