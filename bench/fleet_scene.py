"""Floor 3. What a fleet is tried with: broker, collector, store, and the count at the end.

The broker is Mosquitto as deploy/broker renders it, with TLS and a certificate for each probe from
an authority of our own, or a plain one; the collector is the real one, on SQLite or PostgreSQL.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from bench.fleet_probe import probe_name, token_of
from collector.store.postgresql import PostgresqlStore
from collector.store.sqlite import SqliteStore
from collector.store.store import Store
from deploy.authority import certificates
from deploy.authority.register import IssuedCertificate, Purpose
from deploy.broker.limits import BrokerLimits
from runtime.broker import BrokerConfig
from tests.broker import Broker
from tests.chaos.reckoning import Numbered, Stored, Verdict, reckon
from tests.secured_broker import COLLECTOR, COMMANDER, HOST, Identity, Office, SecuredBroker

_LIFETIME = timedelta(days=90)
_CHUNK = 5_000


class FleetBroker(SecuredBroker):
    """Mosquitto for so many probes, each by its certificate.

    Args:
        directory: its files.
        office: the authority.
        tenant: the fleet's.
        probes: how many.
    """

    def __init__(self, directory: Path, office: Office, tenant: str, probes: int) -> None:
        limits = BrokerLimits(probes=max(1_000, probes), memory_limit_bytes=8 * 2**30)
        super().__init__(directory, office, limits)
        room = 2 * probes + 100
        self.settings = structs.replace(
            self.settings,
            tenant=tenant,
            listeners=[
                structs.replace(one, max_connections=max(one.max_connections, room))
                for one in self.settings.listeners
            ],
        )
        # It takes this limit over: a file descriptor a connection.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, room), max(hard, room)))

    def for_probes(self, reconnect_max_s: float = 120.0) -> BrokerConfig:
        """How probes reach it; their certificates come in addition."""
        return BrokerConfig(
            host=HOST,
            port=self.ports["certificate"],
            ca_file=str(self.office.ca_file),
            reconnect_max_s=reconnect_max_s,
        )

    def for_collector(self, number: int = 0) -> BrokerConfig:
        """How a collector reaches it: one of two, each by a name of its own."""
        return self.by_password((COLLECTOR, COMMANDER)[number])

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


class PlainBroker(Broker):
    """Mosquitto without TLS: where the collector alone is compared."""

    def for_probes(self, reconnect_max_s: float = 120.0) -> BrokerConfig:
        """How probes reach it."""
        return self.config(reconnect_max_s=reconnect_max_s, connect_timeout_s=20.0)

    def for_collector(self, number: int = 0) -> BrokerConfig:
        """How a collector reaches it."""
        del number
        return self.config()

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
