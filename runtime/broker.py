"""Floor 1. Settings of an MQTT broker: the `[broker]` table of every program of Tramdo.

MQTT 3.1.1 (`protocol = 311`) is for brokers that speak nothing newer. It has no reason codes: a
publish that the access list denies is acknowledged like any other, so that a refusal cannot be
detected. The collector's receipt does not come then, and the result stays pending. The broker
decides when a session that is never used again is dropped.

A cluster has several addresses. Each client has its own order of them, by rendezvous hashing
(Thaler and Ravishankar, 1998): it is the same after every restart, a fleet spreads evenly over all
nodes, and the clients of a node that is gone spread evenly over the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

from runtime.ip_address import is_ip_address
from runtime.value_errors import RuleError, require_pair

Port = Annotated[int, Meta(ge=1, le=65535)]
Path = Annotated[str, Meta(min_length=1, max_length=1000)]
_Address = Annotated[
    str,
    Meta(pattern=r"^(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,253})(:[0-9]{1,5})?\Z"),
]
_HIGHEST_PORT = 65_535


class Endpoint(Struct, frozen=True):
    """One node's host, without brackets, and port."""

    host: str
    port: int

    def __str__(self) -> str:
        """As a URI has it (RFC 3986, 3.2.2)."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ProxyConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A proxy between the office and the Internet, which resolves the broker's name."""

    host: Annotated[str, Meta(min_length=1)]
    port: Port
    type: Literal["http", "socks4", "socks5"] = "http"


class BrokerConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The MQTT broker. A password is read from a file, never from the settings.

    `addresses` are of the nodes of one cluster, in the place of `host`; `port` holds for those that
    have none. What one node takes must reach the clients of the others.
    """

    host: Annotated[str, Meta(min_length=1)] | None = None
    addresses: Annotated[list[_Address], Meta(min_length=1, max_length=16)] | None = None
    port: Port = 8883
    protocol: Literal[5, 311] = 5
    transport: Literal["tcp", "websockets"] = "tcp"
    websocket_path: Annotated[str, Meta(pattern=r"^/\S*\Z")] = "/mqtt"
    proxy: ProxyConfig | None = None
    tls: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    keepalive_s: Annotated[int, Meta(ge=5, le=1200)] = 60
    connect_timeout_s: Annotated[float, Meta(ge=1, le=120)] = 20.0
    reconnect_max_s: Annotated[float, Meta(ge=1, le=3600)] = 120.0

    def __post_init__(self) -> None:
        """Check that there is an address, and that credentials are complete."""
        _require_one_way(self.host, self.addresses)
        _require_sound(self.endpoints())
        require_pair(self, "certificate_file", "key_file")
        require_pair(self, "username", "password_file")
        if not self.tls and (self.ca_file or self.certificate_file):
            raise RuleError("chứng thư số cần `tls = true`", "certificates need `tls = true`")

    def endpoints(self) -> list[Endpoint]:
        """Every node, as the settings list them."""
        if self.addresses is None:
            return [Endpoint(self.host or "", self.port)]
        return [_endpoint(address, self.port) for address in self.addresses]

    def endpoints_of(self, client_id: str) -> list[Endpoint]:
        """Every node, in the order in which this client tries them."""
        return sorted(self.endpoints(), key=lambda endpoint: _weight(client_id, endpoint))

    def each(self) -> Iterator[BrokerConfig]:
        """The same settings for each node alone."""
        for endpoint in self.endpoints():
            yield structs.replace(self, host=endpoint.host, port=endpoint.port, addresses=None)


def _endpoint(address: str, port: int) -> Endpoint:
    host, _, given = address.rpartition(":")
    if not given or address.endswith("]") or not host:
        host, given = address, ""
    return Endpoint(host.removeprefix("[").removesuffix("]"), int(given) if given else port)


def _weight(client_id: str, endpoint: Endpoint) -> bytes:
    return hashlib.sha256(f"{client_id} {endpoint}".encode()).digest()


def _require_one_way(host: str | None, addresses: list[str] | None) -> None:
    if host is None and addresses is None:
        raise RuleError(
            "cần `host`, hoặc `addresses` nếu có nhiều địa chỉ",
            "needs `host`, or `addresses` where there are several",
        )
    if host is not None and addresses is not None:
        raise RuleError(
            "chỉ dùng một trong hai khóa `host` và `addresses`",
            "`host` and `addresses` exclude each other: put every node into `addresses`",
        )


def _require_sound(endpoints: list[Endpoint]) -> None:
    for endpoint in endpoints:
        if not 0 < endpoint.port <= _HIGHEST_PORT:
            raise RuleError(f"cổng không hợp lệ: {endpoint}", f"{endpoint} has no valid port")
        if ":" in endpoint.host and not is_ip_address(endpoint.host):
            raise RuleError(
                f"{endpoint.host} không phải địa chỉ IPv6", f"{endpoint.host} is no IPv6 address"
            )
    if len(set(endpoints)) < len(endpoints):
        raise RuleError("có địa chỉ ghi hai lần", "one of `addresses` is there twice")
