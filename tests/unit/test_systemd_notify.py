"""systemd's notification socket: a real datagram socket on the other end."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import systemd_notify


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """What systemd listens on, named in the environment."""
    name = str(tmp_path / "notify")
    if request.param == "abstract":
        name = f"@tramdo-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name[1:] if name.startswith("@") else name)
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def test_each_state_is_one_datagram(manager: socket.socket) -> None:
    systemd_notify.ready()
    systemd_notify.watchdog()
    systemd_notify.status("two lines\nREADY=1  and Bạch Thông")
    systemd_notify.stopping()
    assert [manager.recv(500).decode() for _ in range(4)] == [
        "READY=1",
        "WATCHDOG=1",
        "STATUS=two lines READY=1 and Bạch Thông",
        "STOPPING=1",
    ]


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "relative/path"])
def test_without_a_socket_of_ours_nothing_happens(
    address: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd_notify.ready()
    assert caplog.records == []


def test_a_manager_that_is_gone_does_not_end_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with caplog.at_level(logging.WARNING):
        systemd_notify.watchdog()
    assert "systemd was not notified of WATCHDOG" in caplog.text


def test_a_manager_that_does_not_read_does_not_stop_the_program(manager: socket.socket) -> None:
    for _ in range(10_000):  # far beyond any socket's queue
        systemd_notify.watchdog()
    assert manager.recv(500) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("usec", "pid", "interval_s"),
    [
        ("30000000", None, 15.0),
        ("30000000", "self", 15.0),
        ("30000000", "1", None),  # meant for another process
        ("0", None, None),
        ("often", None, None),
        ("30000000", "me", None),
        (None, None, None),
    ],
)
def test_half_of_what_systemd_waits(
    usec: str | None, pid: str | None, interval_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(os.getpid()) if value == "self" else value)
    assert systemd_notify.watchdog_interval_s() == interval_s
