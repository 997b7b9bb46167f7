"""Floor 1. The settings of a Mosquitto: listeners, limits, and access control list.

A certificate says which probe it is, not whose. So where one broker serves one tenant, patterns are
enough, and where it serves several, each probe is listed with its tenant: by a pattern it could
write below its own name in another tenant's tree. Knows no file and no template.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal, Protocol

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
from runtime.value_errors import RuleError
from wire.result import KINDS
from wire.topics import ROOT

# Every text ends up in a line of a configuration file: no blank, no line break, nor one at its end,
# which `$` would let pass.
Word = Annotated[str, Meta(pattern=r"^\S{1,200}\Z")]
AbsolutePath = Annotated[str, Meta(pattern=r"^/\S{1,1000}\Z")]
TenantName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]
# The dot is what no probe's name can have: a user is never taken for a probe.
UserName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\.[a-z0-9-]{1,40}\Z")]

ClientName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]


class TenantClients(Protocol):
    """A tenant of a broker, and its clients by name."""

    @property
    def name(self) -> str:
        """The tenant's."""

    @property
    def probes(self) -> Sequence[str]:
        """Each is of one tenant alone."""

    @property
    def collectors(self) -> Sequence[str]:
        """They may be those of several tenants."""

    @property
    def subscribers(self) -> Sequence[str]:
        """They too."""


class Tenant(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of several tenants, with its probes by name and its users by password."""

    name: TenantName
    probes: list[ClientName] = []
    collectors: list[UserName] = []
    subscribers: list[UserName] = []


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

    # One tenant, with `collectors` and `subscribers`, or several, each with its own.
    tenant: TenantName | None = None
    tenants: list[Tenant] = []
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
        require_one_or_several(self.tenant, self.tenants, [*self.collectors, *self.subscribers])
        users = [*self.collectors, *self.subscribers]
        if twice := sorted({user for user in users if users.count(user) > 1}):
            raise ValueError(f"`{twice[0]}` is there twice among `collectors` and `subscribers`")
        require_distinct(self.tenants)
        if self.syntax == "2.0":
            self._refuse_what_2_0_cannot()
        self._refuse_too_little_memory()

    def memory_budget(self) -> MemoryBudget:
        """What the broker's users can make it hold at most."""
        users = [*self.collectors, *self.subscribers]
        for tenant in self.tenants:
            users += [*tenant.collectors, *tenant.subscribers]
        return memory_budget(self.limits, len(set(users)))

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


class User(Struct, frozen=True):
    """A client by its name, and its rules."""

    name: str
    acl: list[AclRule]
    is_collector: bool = False

    def topics(self, access: Literal["read", "write"]) -> list[str]:
        """The topic filters that it may read or write."""
        return [rule.topic.replace("%u", self.name) for rule in self.acl if rule.access == access]


def users_of(tenants: Iterable[TenantClients]) -> list[User]:
    """Every client once, with its rights in all of its tenants: probes, collectors, subscribers."""
    every = list(tenants)
    return [
        *(User(name, probe_acl(one.name)) for one in every for name in one.probes),
        *(
            User(name, [rule for tenant in names for rule in collector_acl(tenant)], True)
            for name, names in _by_client((one.name, one.collectors) for one in every)
        ),
        *(
            User(name, [rule for tenant in names for rule in subscriber_acl(tenant)])
            for name, names in _by_client((one.name, one.subscribers) for one in every)
        ),
    ]


def _by_client(
    clients: Iterable[tuple[str, Sequence[str]]],
) -> Iterator[tuple[str, list[str]]]:
    """Each client with its tenants, in the order in which it comes first."""
    found: dict[str, list[str]] = {}
    for tenant, names in clients:
        for name in names:
            found.setdefault(name, []).append(tenant)
    yield from found.items()


def require_one_or_several(
    tenant: str | None, tenants: Sequence[TenantClients], clients: Sequence[str]
) -> None:
    """Refuse settings of no tenant, and those of one tenant beside those of several.

    Raises:
        RuleError: so it is.
    """
    if (tenant is None) == (not tenants):
        raise RuleError(
            "cần `tenant`, hoặc các bảng `[[tenants]]`, không phải cả hai",
            "give `tenant`, or tables `[[tenants]]`, and not both",
        )
    if tenants and clients:
        raise RuleError(
            f"có `[[tenants]]` thì `{clients[0]}` thuộc về bảng của tenant",
            f"with `[[tenants]]`, `{clients[0]}` belongs to the table of its tenant",
        )


def require_distinct(tenants: Sequence[TenantClients]) -> None:
    """Refuse a tenant twice, a probe of two, and a name that is of two sorts of clients.

    Raises:
        RuleError: so it is.
    """
    require_once([one.name for one in tenants])
    for one in tenants:
        require_once(one.collectors)
        require_once(one.subscribers)
    sorts = (
        [name for one in tenants for name in one.probes],
        sorted({name for one in tenants for name in one.collectors}),
        sorted({name for one in tenants for name in one.subscribers}),
    )
    require_once([name for names in sorts for name in names])


def require_once(names: Sequence[str]) -> None:
    """Refuse a name that is there twice. Raises RuleError."""
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise RuleError(f"tên `{name}` có hai lần", f"`{name}` is there twice")


def title_of(tenants: Sequence[str]) -> str:
    """Whose broker it is, for the first line of a file."""
    shown = ", ".join(tenants[:5]) + (" …" if len(tenants) > 5 else "")
    return f"tenant {shown}" if len(tenants) == 1 else f"tenants {shown}"


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
