"""Ports for the tests' servers: nothing else gets them."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.ports import block, free_port

# Each holds its ports until all have answered.
PROGRAM = """
from tests.ports import free_port
print(*(free_port() for _ in range(500)), flush=True)
input()
"""


def test_no_two_processes_get_the_same_port_and_no_connection_gets_one() -> None:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", PROGRAM],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(3)
        ]
        given = [int(port) for process in processes for port in _line_of(process).split()]
        for process in processes:
            process.communicate("\n", timeout=60)
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(given)) == len(given) == 1_500
    assert max(given) < ephemeral


def test_browsers_would_open_each_port() -> None:
    ports = list(block(10_064))
    assert 10_080 not in ports
    assert len(ports) == 31


def _line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_port_in_use_is_not_given() -> None:
    seen = []
    for _ in range(64):
        port = free_port()
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))
            server.listen()
            seen.append(port)
            assert free_port() != port
    assert len(set(seen)) == len(seen)
