"""The measurement server's answer to "what is my address?", by a real nginx on loopback."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.nginx import Nginx, why_not
from tests.ports import free_port
from tests.system.test_http import root, server
from wire.http import ADDRESS_PATH

__all__ = ["root", "server"]

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

_TIMEOUT_S = 60.0


def asked(
    server: Nginx, source: str = "127.0.0.1", host: str = "127.0.0.1", **headers: str
) -> tuple[dict[str, Any], int, HTTPResponse]:
    """The answer, the port that was asked from, and the response."""
    connection = HTTPConnection(host, server.port, _TIMEOUT_S, source_address=(source, 0))
    connection.connect()
    port = connection.sock.getsockname()[1]
    connection.request("GET", ADDRESS_PATH, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return (json.loads(body) if response.status == 200 else {}), port, response


def test_it_states_the_address_and_port_that_asked(server: Nginx) -> None:
    for source in ("127.0.0.1", "127.0.0.9"):
        answer, port, response = asked(server, source)
        assert answer == {"ip": source, "port": port}
        assert response.getheader("Content-Type") == "application/json"
        assert "no-store" in str(response.getheader("Cache-Control"))


def test_it_answers_over_ipv6(tmp_path: Path, root: Path) -> None:
    port = free_port()
    with Nginx(
        tmp_path, root=root, port=port, listen=[f"127.0.0.1:{port}", f"[::1]:{port}"]
    ) as server:
        answer, from_port, _ = asked(server, "::1", "::1")
        assert answer == {"ip": "::1", "port": from_port}
        assert asked(server)[0]["ip"] == "127.0.0.1"


def test_what_a_client_says_of_itself_is_ignored(server: Nginx) -> None:
    answer, port, _ = asked(
        server, **{"X-Forwarded-For": "203.0.113.7", "X-Real-IP": "203.0.113.7"}
    )
    assert answer == {"ip": "127.0.0.1", "port": port}


def test_a_trusted_proxy_states_the_client(tmp_path: Path, root: Path) -> None:
    with Nginx(tmp_path, root=root, trusted_proxies=["127.0.0.2/32"]) as server:
        # The client's own claim stands before what the proxy has added.
        forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
        assert asked(server, "127.0.0.2", **forwarded)[0] == {"ip": "203.0.113.7", "port": None}
        answer, port, _ = asked(server, "127.0.0.3", **forwarded)
        assert answer == {"ip": "127.0.0.3", "port": port}, "no proxy of ours"


def test_it_is_limited_like_pings_and_only_reads(tmp_path: Path, root: Path) -> None:
    with Nginx(tmp_path, root=root, pings_per_second=1) as server:
        statuses = [asked(server)[2].status for _ in range(100)]
        assert statuses[0] == 200
        assert 503 in statuses
        connection = HTTPConnection(
            server.host, server.port, _TIMEOUT_S, source_address=("127.0.0.7", 0)
        )
        connection.request("POST", ADDRESS_PATH, body=b"x")
        assert connection.getresponse().status in (403, 405)
        connection.close()
