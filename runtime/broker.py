"""Floor 1. Settings of an MQTT broker: the `[broker]` table of every program of Tramdo.

MQTT 3.1.1 (`protocol = 311`) is for brokers that speak nothing newer. It has no reason codes: a
publish that the access list denies is acknowledged like any other, so that a refusal cannot be
detected. The collector's receipt does not come then, and the result stays pending. The broker
decides when a session that is never used again is dropped.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from runtime.value_errors import RuleError, require_pair

Port = Annotated[int, Meta(ge=1, le=65535)]
Path = Annotated[str, Meta(min_length=1, max_length=1000)]


class ProxyConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A proxy between the office and the Internet, which resolves the broker's name."""

    host: Annotated[str, Meta(min_length=1)]
    port: Port
    type: Literal["http", "socks4", "socks5"] = "http"


class BrokerConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The MQTT broker. A password is read from a file, never from the settings."""

    host: Annotated[str, Meta(min_length=1)]
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
        """Check that credentials are complete."""
        require_pair(self, "certificate_file", "key_file")
        require_pair(self, "username", "password_file")
        if not self.tls and (self.ca_file or self.certificate_file):
            raise RuleError("chứng thư số cần `tls = true`", "certificates need `tls = true`")
