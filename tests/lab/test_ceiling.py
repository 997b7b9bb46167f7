"""`tramdo-probe ceiling` on a host whose ceiling is known: a port shaped to 50 Mbit/s."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.network import SERVER_ADDRESSES, LineShape, OfficeNetwork, theoretical_goodput_bps
from tests.lab.yardstick import iperf3_server

pytestmark = pytest.mark.usefixtures("_namespaces", "_iperf3")

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from probe.cli import main; raise SystemExit(main())"]
PEER, PORT = SERVER_ADDRESSES[0], 5209
RATE_BPS = 50_000_000
CONFIG = """
tenant = "bach-thong"
probe = "tram-1"
state_dir = "{state}"
site = {{commune_code = "01969", office = "Phủ Thông"}}
servers = [{{name = "may-chu-1", host = "{peer}", iperf3_ports = [{port}]}}]
broker = {{host = "localhost"}}
latency = {{timeout_s = 0.5}}
throughput = {{warm_up_s = 1, duration_s = 2, congestion_control = "cubic"}}
[[lines]]
id = "vnpt"
isp = "VNPT"
interface = "vnpt"
plan_download_bps = 40e6
plan_upload_bps = 100e6
"""


@pytest.fixture(scope="module")
def network() -> Iterator[OfficeNetwork]:
    with OfficeNetwork([LineShape("vnpt", RATE_BPS, RATE_BPS)], tag=f"c{os.getpid()}") as lab:
        yield lab


def command(network: OfficeNetwork, *words: str) -> tuple[int, str]:
    with network.office.popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        printed = process.communicate(timeout=60)[0]
    return process.returncode, printed


def test_what_the_host_can_do_is_told_kept_and_held_beside_results(
    network: OfficeNetwork, tmp_path: Path
) -> None:
    config = tmp_path / "probe.toml"
    config.write_text(CONFIG.format(state=tmp_path / "state", peer=PEER, port=PORT))
    of_peer = ["ceiling", "--peer", PEER, "--port", str(PORT), "-c", str(config)]
    of_line = ["measure", "throughput", "--line", "vnpt", "-c", str(config)]

    code, printed = command(network, *of_peer, "--json")  # nobody serves yet
    assert code == 1
    assert json.loads(printed)["lines"][0]["reason"] == "connection_refused"
    assert not (tmp_path / "state" / "ceilings.json").exists()

    with iperf3_server(network.centre, PORT):
        code, printed = command(network, *of_peer, "--json")
        _, measured = command(network, *of_line, "--json")

    # Too low for the upload's plan, so it does not end well.
    assert code == 1
    (line,) = json.loads(printed)["lines"]
    assert line["outcome"] == "ok", line["detail"]
    assert line["download"]["ceiling_bps"] == pytest.approx(theory(), rel=0.15)
    assert (line["download"]["enough"], line["upload"]["enough"]) == (True, False)
    for cores in ("cpu_per_core_ratio", "cpu_download_per_core_ratio", "cpu_upload_per_core_ratio"):
        assert line["host"][cores], cores

    result: dict[str, Any] = json.loads(measured)[0]
    assert result["host"]["ceiling_download_bps"] == line["download"]["ceiling_bps"]
    assert result["host"]["ceiling_upload_bps"] == line["upload"]["ceiling_bps"]
    assert "link_below_plan" in result["validity"]

    _, checked = command(network, "check", "-c", str(config), "--lang", "en")
    assert "in upload is too low to assess a plan of 100.0 Mbit/s" in checked


def theory() -> float:
    return theoretical_goodput_bps(RATE_BPS)
