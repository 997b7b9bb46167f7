"""A reload, as systemd hears it: a daemon that takes new settings is not one that ends.

After STOPPING=1 systemd gives a service `TimeoutStopSec=` to be gone, then kills it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.ports import free_port

_WAIT_S = 60.0
_MAIN = "import sys; from probe.cli import main; sys.exit(main())"


def test_a_reload_is_no_stopping(tmp_path: Path) -> None:
    settings = tmp_path / "probe.toml"
    settings.write_text(_toml(tmp_path, "trước"), encoding="utf-8")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(_WAIT_S)
        probe = subprocess.Popen(
            [sys.executable, "-c", _MAIN, "run", "--config", str(settings)],
            env=dict(os.environ) | {"NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.DEVNULL,
        )
        try:
            assert _next(manager) == "READY=1"
            settings.write_text(_toml(tmp_path, "sau"), encoding="utf-8")
            probe.send_signal(signal.SIGHUP)
            assert _next(manager) == "READY=1", "under the new settings, and never stopping"
            probe.send_signal(signal.SIGTERM)
            assert _next(manager) == "STOPPING=1"
            assert probe.wait(_WAIT_S) == 0
        finally:
            probe.kill()
            probe.wait()


def _next(manager: socket.socket) -> str:
    """What it says next, the watchdog's feed left out."""
    while (said := manager.recv(500).decode()) == "WATCHDOG=1":
        pass
    return said


def _toml(folder: Path, office: str) -> str:
    return f"""
tenant = "bach-thong"
probe = "phu-thong-01"
state_dir = "{folder}/state"
runtime_dir = "{folder}/run"
[site]
commune_code = "01969"
office = "{office}"
[[lines]]
id = "vnpt"
isp = "VNPT"
source_address = "127.0.0.1"
[[servers]]
name = "hn-1"
host = "127.0.0.1"
[broker]
host = "127.0.0.1"
port = {free_port()}
tls = false
[latency]
enabled = false
[plan]
samples_per_month = 0
weekly_minimum = 0
[leds]
driver = "none"
"""
