"""Floor 1. The settings of a broker of several nodes, NATS or RabbitMQ, for one tenant.

Every client has a certificate whose common name is its name, collectors and subscribers too: NATS
has one MQTT listener, and on one that wants certificates a password does not count. With RabbitMQ
it is the same list. Knows no file and no template.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from deploy.broker.configuration import (
    AbsolutePath,
    AclRule,
    TenantName,
    collector_acl,
    probe_acl,
    subscriber_acl,
)
from runtime.broker import Port
from runtime.value_errors import RuleError

ClientName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]
Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$")]


class Node(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A machine of the cluster, by the address that the other nodes reach it by."""

    name: ClientName
    cluster_host: Host
    cluster_port: Port = 6222
    port: Port = 8883
    address: Host = "0.0.0.0"


class ClusterSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings that a cluster's files are rendered from."""

    tenant: TenantName
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
        _require_once([node.name for node in self.nodes])
        _require_once([*self.probes, *self.collectors, *self.subscribers])
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

    def users(self) -> list[ClusterUser]:
        """Every client with its rights."""
        return [
            *(ClusterUser(name, probe_acl(self.tenant)) for name in self.probes),
            *(ClusterUser(name, collector_acl(self.tenant), True) for name in self.collectors),
            *(ClusterUser(name, subscriber_acl(self.tenant)) for name in self.subscribers),
        ]


class ClusterUser(Struct, frozen=True):
    """A client and its rules."""

    name: str
    acl: list[AclRule]
    is_collector: bool = False

    def topics(self, access: Literal["read", "write"]) -> list[str]:
        """The topic filters that it may read or write."""
        return [rule.topic.replace("%u", self.name) for rule in self.acl if rule.access == access]

    def subjects(self, access: Literal["read", "write"]) -> list[str]:
        """The same as NATS subjects: `.` between levels, `*` for `+`, `>` for `#`."""
        return [subject(topic) for topic in self.topics(access)]


def subject(topic: str) -> str:
    """An MQTT topic filter as a NATS subject (levels of ours have no dot)."""
    return topic.replace("/", ".").replace("+", "*").replace("#", ">")


def _require_once(names: Sequence[str]) -> None:
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise RuleError(f"tên `{name}` có hai lần", f"`{name}` is there twice")
