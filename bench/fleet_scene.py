"""Floor 3. What a fleet is tried with: broker, collector, store, and the count at the end.

The broker is Mosquitto as deploy/broker renders it, with TLS and a certificate for each probe from
an authority of our own, or a plain one; the collector is the real one, on SQLite or PostgreSQL.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self

from msgspec import structs

from bench.fleet_probe import probe_name, token_of
from bench.report import CannotMeasureError
from collector.store.postgresql import PostgresqlStore
from collector.store.sqlite import SqliteStore
from collector.store.store import Store
from deploy.authority import certificates
from deploy.authority.register import IssuedCertificate, Purpose
from deploy.broker.cluster import ClusterSettings, Node
from deploy.broker.limits import BrokerLimits
from runtime.broker import BrokerConfig
from tests.broker import Broker
from tests.chaos.reckoning import Numbered, Stored, Verdict, reckon
from tests.lab.namespace import PREFIX, Namespace, connect_root, remove_root_link
from tests.nats import NatsCluster
from tests.secured_broker import COLLECTOR, COMMANDER, HOST, Identity, Office, SecuredBroker

_LIFETIME = timedelta(days=90)
_CHUNK = 5_000
_OTHER_FILES = 500
_COLLECTORS = ("collector-0", "collector-1")


class FleetBroker(SecuredBroker):
    """Mosquitto for so many probes, each by its certificate.

    Args:
        directory: its files.
        office: the authority.
        tenant: the fleet's.
        probes: how many.
        namespace: where it runs, reached by its management address; None: on loopback.
    """

    def __init__(
        self,
        directory: Path,
        office: Office,
        tenant: str,
        probes: int,
        namespace: Namespace | None = None,
    ) -> None:
        limits = BrokerLimits(probes=max(1_000, probes), memory_limit_bytes=16 * 2**30)
        super().__init__(directory, office, limits)
        room, self._host = 2 * probes + 100, HOST
        changed: dict[str, object] = {}
        if namespace is not None and namespace.management_address is not None:
            self._prefix = ["ip", "netns", "exec", namespace.name]
            changed["address"] = self._host = namespace.management_address
            own = office.authority.server([self._host], datetime.now(UTC))
            self.settings = structs.replace(
                self.settings, certificate_file=str(own), key_file=str(own.with_suffix(".key"))
            )
        self.settings = structs.replace(
            self.settings,
            tenant=tenant,
            listeners=[
                structs.replace(one, max_connections=max(one.max_connections, room), **changed)
                for one in self.settings.listeners
                if one.protocol == "mqtt"
            ],
        )
        # A file descriptor a connection; the broker takes this limit over.
        allow_files(probes + _OTHER_FILES)

    def for_probes(self, reconnect_max_s: float = 120.0, keepalive_s: int = 60) -> BrokerConfig:
        """How probes reach it; their certificates come in addition."""
        return BrokerConfig(
            host=self._host,
            port=self.ports["certificate"],
            ca_file=str(self.office.ca_file),
            reconnect_max_s=reconnect_max_s,
            keepalive_s=keepalive_s,
        )

    def for_collector(self, number: int = 0, keepalive_s: int = 60) -> BrokerConfig:
        """How a collector reaches it: one of two, each by a name of its own."""
        user = (COLLECTOR, COMMANDER)[number]
        return self.by_password(user, host=self._host, keepalive_s=keepalive_s)

    @property
    def pid(self) -> int:
        """Its process now."""
        assert self._process is not None
        return self._process.pid


def certify(office: Office, folder: Path, probes: int) -> None:
    """Keys and certificates of a fleet by the office's authority, half a millisecond each.

    Without the authority's register, which is written anew for each.
    """
    folder.mkdir(parents=True)
    signer = certificates.load_authority(
        office.ca_file.read_bytes(), (office.authority_path / "ca.key").read_bytes(), None
    )
    now = datetime.now(UTC)
    for number in range(probes):
        name = probe_name(number)
        key = certificates.new_key()
        public, fingerprint = certificates.public_part(key)
        record = IssuedCertificate(
            serial=certificates.new_serial(),
            name=name,
            purpose=Purpose.PROBE,
            key_sha256=fingerprint,
            not_before=now - timedelta(days=1),
            not_after=now + _LIFETIME,
        )
        identity = Identity(folder / f"{name}.pem", folder / f"{name}.key")
        identity.key.touch(0o600)
        identity.key.write_bytes(key)
        identity.certificate.write_bytes(certificates.new_certificate(signer, record, public))


class ClusterBroker:
    """Three nodes of NATS as deploy/broker renders them, everybody by certificate.

    Args:
        directory: their files.
        office: the authority.
        tenant: the fleet's.
        probes: how many.
    """

    def __init__(self, directory: Path, office: Office, tenant: str, probes: int) -> None:
        self._collectors = {name: office.probe(name) for name in _COLLECTORS}
        who = ClusterSettings(
            tenant=tenant,
            nodes=[Node(name="any", cluster_host="127.0.0.1")],
            probes=[probe_name(number) for number in range(probes)],
            collectors=list(self._collectors),
        )
        self.cluster = NatsCluster(directory, office, 3, who)
        allow_files(probes + _OTHER_FILES)

    def __enter__(self) -> Self:
        self.cluster.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.__exit__()

    def for_probes(self, reconnect_max_s: float = 120.0, keepalive_s: int = 60) -> BrokerConfig:
        """How probes reach it; their certificates come in addition."""
        return BrokerConfig(
            addresses=[f"{HOST}:{node.port}" for node in self.cluster.settings.nodes],
            protocol=311,
            ca_file=str(self.cluster.office.ca_file),
            reconnect_max_s=reconnect_max_s,
            keepalive_s=keepalive_s,
        )

    def for_collector(self, number: int = 0, keepalive_s: int = 60) -> BrokerConfig:
        """How a collector reaches it."""
        identity = self._collectors[_COLLECTORS[number]]
        return self.cluster.config(identity, keepalive_s=keepalive_s)


def allow_files(count: int) -> None:
    """Let this process and those it starts open so many files, as far as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard < count:
            raise CannotMeasureError(
                f"{count} open files are needed, {hard} are allowed (ulimit -n)"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


@contextmanager
def broker_namespace() -> Iterator[Namespace]:
    """A network namespace for a broker, joined to this one by a cable."""
    tag = f"{os.getpid() % 10**6}"
    namespace = Namespace(f"{PREFIX}-fleet-{tag}", management_address="10.215.15.2")
    root_link = f"tf{tag}"
    namespace.create()
    try:
        connect_root(namespace, "centre", root_link, "10.215.15.1/30")
        yield namespace
    finally:
        remove_root_link(root_link)
        namespace.delete()


def split(namespace: Namespace, port: int) -> None:
    """Drop every packet of a port's connections without a word, until `join`."""
    namespace.nft(
        "table inet split {\n"
        f"  chain in {{ type filter hook input priority 0; tcp dport {port} drop; }}\n"
        f"  chain out {{ type filter hook output priority 0; tcp sport {port} drop; }}\n"
        "}\n"
    )


def join(namespace: Namespace) -> None:
    """The end of a split."""
    namespace.nft("delete table inet split\n")


class PlainBroker(Broker):
    """Mosquitto without TLS: where the collector alone is compared."""

    def for_probes(self, reconnect_max_s: float = 120.0, keepalive_s: int = 60) -> BrokerConfig:
        """How probes reach it."""
        return self.config(
            reconnect_max_s=reconnect_max_s, keepalive_s=keepalive_s, connect_timeout_s=20.0
        )

    def for_collector(self, number: int = 0, keepalive_s: int = 60) -> BrokerConfig:
        """How a collector reaches it; its name is its client identifier."""
        del number
        return self.config(keepalive_s=keepalive_s)

    @property
    def pid(self) -> int:
        """Its process now."""
        assert self._process is not None
        return self._process.pid


class Count(NamedTuple):
    """The count at the end, number by number.

    `unnumbered` results were handed over and have no number; `unconfirmed` probes have results
    that no receipt covers.
    """

    verdict: Verdict
    unnumbered: int
    unconfirmed: int

    @property
    def is_whole(self) -> bool:
        """Each result that was handed over is stored exactly once and confirmed."""
        verdict = self.verdict
        wrong = verdict.lost or verdict.doubled or verdict.findings
        return not (wrong or self.unnumbered or self.unconfirmed)


def count(store: Store, numbered: Numbered, submitted: int, unconfirmed: int) -> Count:
    """Compare what the fleet was given and has numbered with what is stored."""
    verdict = reckon(numbered, stored_of(store), {})
    return Count(verdict, submitted - verdict.sent, unconfirmed)


def stored_of(store: Store) -> Iterator[Stored]:
    """Every stored result."""
    after = 0
    while rows := store.results_after(after, _CHUNK):
        yield from (Stored(str(row.epoch), row.seq, token_of(row.body)) for row in rows)
        after = rows[-1].number


def open_store(settings: dict[str, str]) -> Store:
    """The store of a collector's `[store]` table."""
    if "postgresql" in settings:
        return PostgresqlStore(settings["postgresql"])
    return SqliteStore(Path(settings["path"]))


def percentile(values: Iterable[float], ratio: float) -> float | None:
    """The smallest value with so large a share at or below it; None of none."""
    ordered = sorted(values)
    return ordered[min(int(ratio * len(ordered)), len(ordered) - 1)] if ordered else None
