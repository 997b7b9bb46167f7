"""Floor 1. The settings of a broker of several nodes, NATS or RabbitMQ, for one tenant or several.

Every client has a certificate whose common name is its name, collectors and subscribers too: NATS
has one MQTT listener, and on one that wants certificates a password does not count. With RabbitMQ
it is the same list. Knows no file and no template.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from deploy.broker.configuration import (
    AbsolutePath,
    ClientName,
    TenantName,
    User,
    require_distinct,
    require_once,
    require_one_or_several,
    title_of,
    users_of,
)
from runtime.broker import Port
from runtime.value_errors import RuleError

Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$")]


class Node(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A machine of the cluster, by the address that the other nodes reach it by."""

    name: ClientName
    cluster_host: Host
    cluster_port: Port = 6222
    port: Port = 8883
    address: Host = "0.0.0.0"


class ClusterTenant(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tenant, and its clients by the common names of their certificates."""

    name: TenantName
    probes: list[ClientName] = []
    collectors: list[ClientName] = []
    subscribers: list[ClientName] = []


class ClusterSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings that a cluster's files are rendered from."""

    # One tenant, with the three lists below, or several, each with its own.
    tenant: TenantName | None = None
    tenants: list[ClusterTenant] = []
    # JetStream and quorum queues need a majority: one node to try, three or five to run.
    nodes: Annotated[list[Node], Meta(min_length=1, max_length=5)]
    probes: list[ClientName] = []
    collectors: list[ClientName] = []
    subscribers: list[ClientName] = []
    ca_file: AbsolutePath = "/etc/tramdo-broker/ca.pem"
    certificate_file: AbsolutePath = "/etc/tramdo-broker/server.pem"
    key_file: AbsolutePath = "/etc/tramdo-broker/server.key"
    store_directory: AbsolutePath = "/var/lib/tramdo-broker"
    # JetStream's, on each node. What is full refuses, and the probes keep it.
    max_file_bytes: Annotated[int, Meta(ge=2**20)] = 8 * 2**30
    max_memory_bytes: Annotated[int, Meta(ge=2**20)] = 2**30
    # RabbitMQ's: its release (3.10 is alone), and for each client that is away. The oldest goes,
    # for that client.
    rabbitmq_release: Literal["3.10", "4"] = "4"
    max_queued_messages: Annotated[int, Meta(ge=1)] = 100_000
    max_queued_bytes: Annotated[int, Meta(ge=2**20)] = 2**27
    session_days: Annotated[int, Meta(ge=1, le=90)] = 7
    definitions_file: AbsolutePath = "/etc/rabbitmq/definitions.json"

    def __post_init__(self) -> None:
        """Refuse two of one name, and nodes that gain nothing."""
        require_once([node.name for node in self.nodes])
        clients = [*self.probes, *self.collectors, *self.subscribers]
        require_one_or_several(self.tenant, self.tenants, clients)
        require_distinct(self.each_tenant)
        if len(self.nodes) % 2 == 0:
            raise RuleError(
                f"{len(self.nodes)} nút không chịu được nhiều nút hỏng hơn "
                f"{len(self.nodes) - 1} nút: cần số lẻ",
                f"{len(self.nodes)} nodes outlive no more deaths than {len(self.nodes) - 1}: "
                "take an odd number",
            )

        if self.rabbitmq_release == "3.10" and len(self.nodes) > 1:
            # It makes a durable queue on one node for a clean session too (seen with 3.10.8).
            raise RuleError(
                "RabbitMQ 3.10 chỉ chạy một nút: khi một nút hỏng, trạm đo của nút đó không vào "
                "được nút khác; cần bản 4",
                "RabbitMQ 3.10 has one node: when a node is gone, its probes cannot come in at "
                "another; take 4",
            )

    @property
    def replicas(self) -> int:
        """On how many nodes each message is."""
        return min(3, len(self.nodes))

    @property
    def each_tenant(self) -> list[ClusterTenant]:
        """The tenants with their clients, also where there is one."""
        if self.tenant is None:
            return self.tenants
        return [
            ClusterTenant(
                name=self.tenant,
                probes=self.probes,
                collectors=self.collectors,
                subscribers=self.subscribers,
            )
        ]

    @property
    def title(self) -> str:
        """Whose cluster it is, for the first line of a file."""
        return title_of([one.name for one in self.each_tenant])

    @property
    def cluster_name(self) -> str:
        """NATS' name of the cluster; a node of another name is not let in."""
        return "tramdo" if self.tenant is None else f"tramdo-{self.tenant}"

    def users(self) -> list[User]:
        """Every client with its rights."""
        return users_of(self.each_tenant)


def subjects(user: User, access: Literal["read", "write"]) -> list[str]:
    """What a client may read or write as NATS subjects: `.` between levels, `*`, `>`."""
    return [subject(topic) for topic in user.topics(access)]


def subject(topic: str) -> str:
    """An MQTT topic filter as a NATS subject (levels of ours have no dot)."""
    return topic.replace("/", ".").replace("+", "*").replace("#", ">")
