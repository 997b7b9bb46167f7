"""Floor 1. The settings of a tenant's broker: listeners, limits, and access control list.

One broker serves one tenant: a certificate says which probe it is, not whose, so on a shared broker
a probe could write below its own name in another tenant's tree. Knows no file and no template.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from deploy.broker.limits import (
    HOSTILE_SHARE,
    PROBE_CHANNELS,
    BrokerLimits,
    Count,
    MemoryBudget,
    memory_budget,
)
from runtime.broker import Port
from wire.result import KINDS
from wire.topics import ROOT

# Every text ends up in a line of a configuration file: no blank, no line break, nor one at its end,
# which `$` would let pass.
Word = Annotated[str, Meta(pattern=r"^\S{1,200}\Z")]
AbsolutePath = Annotated[str, Meta(pattern=r"^/\S{1,1000}\Z")]
TenantName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]
# The dot is what no probe's name can have: a user is never taken for a probe.
UserName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\.[a-z0-9-]{1,40}\Z")]


class Listener(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A port, and how clients authenticate: by certificate, password, or both."""

    port: Port
    credential: Literal["certificate", "password", "both"]
    protocol: Literal["mqtt", "websockets"] = "mqtt"
    address: Word | None = None
    # Mosquitto 2.0 binds a WebSocket listener by interface only.
    interface: Word | None = None
    max_connections: Count = 5_000


def _listeners() -> list[Listener]:
    return [
        Listener(port=8883, credential="certificate"),
        Listener(port=8884, credential="password"),
        Listener(port=443, credential="password", protocol="websockets"),
    ]


class BrokerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings that the broker's files are rendered from."""

    tenant: TenantName
    # Mosquitto's release: 2.1 has plugins where 2.0 has `acl_file` and `password_file`.
    syntax: Literal["2.0", "2.1"] = "2.0"
    collectors: list[UserName] = []
    subscribers: list[UserName] = []
    listeners: Annotated[list[Listener], Meta(min_length=1)] = field(default_factory=_listeners)
    limits: BrokerLimits = BrokerLimits()
    ca_file: AbsolutePath = "/etc/mosquitto/tramdo/ca.pem"
    crl_file: AbsolutePath = "/etc/mosquitto/tramdo/crl.pem"
    certificate_file: AbsolutePath = "/etc/mosquitto/tramdo/server.pem"
    key_file: AbsolutePath = "/etc/mosquitto/tramdo/server.key"
    password_file: AbsolutePath = "/etc/mosquitto/tramdo/passwords"
    acl_file: AbsolutePath = "/etc/mosquitto/tramdo/acl"
    # Only 2.1 loads plugins from there; the folder is named after the machine's architecture.
    plugin_directory: AbsolutePath = "/usr/lib/x86_64-linux-gnu/mosquitto"
    persistence_directory: AbsolutePath = "/var/lib/mosquitto/"
    log_file: AbsolutePath | None = None
    user: Word = "mosquitto"

    def __post_init__(self) -> None:
        """Refuse repeated ports and users, and what the Mosquitto release cannot do."""
        ports = [listener.port for listener in self.listeners]
        if repeated := sorted({port for port in ports if ports.count(port) > 1}):
            raise ValueError(f"two listeners have port {repeated[0]}")
        users = [*self.collectors, *self.subscribers]
        if twice := sorted({user for user in users if users.count(user) > 1}):
            raise ValueError(f"`{twice[0]}` is there twice among `collectors` and `subscribers`")
        if self.syntax == "2.0":
            self._refuse_what_2_0_cannot()
        self._refuse_too_little_memory()

    def memory_budget(self) -> MemoryBudget:
        """What the broker's users can make it hold at most."""
        return memory_budget(self.limits, len(self.collectors) + len(self.subscribers))

    def _refuse_too_little_memory(self) -> None:
        """Refuse a limit that the worst case would reach: the broker could not start again."""
        budget = self.memory_budget()
        if budget.required_bytes > budget.available_bytes:
            raise ValueError(
                f"limits.memory_limit_bytes is {budget.limit_bytes}, but {budget.sessions} users "
                f"that are away and {HOSTILE_SHARE:.0%} of {self.limits.probes} probes can make "
                f"the broker hold {budget.required_bytes}: give it "
                f"{budget.smallest_limit_bytes}, or lower max_queued_bytes or "
                "max_queued_messages"
            )

    def _refuse_what_2_0_cannot(self) -> None:
        """Refuse what Mosquitto 2.0 does wrong (seen with 2.0.11, libwebsockets)."""
        websockets = [each for each in self.listeners if each.protocol == "websockets"]
        if len(websockets) == len(self.listeners):
            raise ValueError("without a listener of protocol `mqtt`, Mosquitto 2.0 does not start")
        if any(each.credential != "password" for each in websockets):
            # A revoked certificate comes in, and SIGHUP while one is connected is a SIGSEGV.
            raise ValueError(
                "on `websockets`, Mosquitto 2.0 ignores the revocation list: make it "
                '`credential = "password"`, or `protocol = "mqtt"`, or use Mosquitto 2.1'
            )


class AclRule(Struct, frozen=True):
    """One rule of the access control list; `%u` is the user name, for a probe its name."""

    access: Literal["read", "write"]
    topic: str


def probe_acl(tenant: str) -> list[AclRule]:
    """A probe writes its own channels and reads its own receipts and commands."""
    own = f"{ROOT}/{tenant}/%u"
    return [
        *(AclRule("write", f"{own}/{channel}") for channel in _PROBE_WRITES),
        *(AclRule("read", f"{own}/{channel}") for channel in _CENTRE_WRITES),
    ]


def collector_acl(tenant: str) -> list[AclRule]:
    """A collector reads all of its tenant and writes receipts and commands."""
    return [
        AclRule("read", f"{ROOT}/{tenant}/#"),
        *(AclRule("write", f"{ROOT}/{tenant}/+/{channel}") for channel in _CENTRE_WRITES),
    ]


def subscriber_acl(tenant: str) -> list[AclRule]:
    """A subscriber reads what probes publish, without commands and replies."""
    return [AclRule("read", f"{ROOT}/{tenant}/+/{channel}") for channel in _PUBLISHED]


_PUBLISHED = ("m/+", "state", "info", "health")
# A closed list: a retained message stays on each topic that may be written, so `m/+` would let one
# probe fill the broker's memory.
_PROBE_WRITES = (*(f"m/{kind}" for kind in KINDS), *PROBE_CHANNELS)
_CENTRE_WRITES = ("receipt", "cmd/#")
