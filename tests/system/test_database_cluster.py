"""A real Patroni cluster as deploy/database renders it: who may connect; its primary dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from msgspec import structs

from probe import config
from tests import broker as brokers
from tests import patroni
from tests.broker import Broker
from tests.client import eventually
from tests.cluster import Delivery
from tests.collector_process import CollectorProcess
from tests.patroni import COLLECTOR, WITHIN_S, PatroniCluster
from tests.system.test_publisher import Office
from tests.unit.test_config import GOOD

WHY_NOT = brokers.why_not() or patroni.why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.fixture(scope="module")
def cluster() -> Iterator[PatroniCluster]:
    # Sooner than it is deployed: a test waits for a leader's key to expire.
    with patroni.running(ttl_s=7, loop_wait_s=1, retry_timeout_s=3) as running:
        yield running


def test_only_a_listed_collector_s_certificate_comes_into_the_database(
    cluster: PatroniCluster,
) -> None:
    with psycopg.connect(cluster.conninfo) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("tramdo",)
    plain = cluster.conninfo.partition(" sslcert=")[0]
    member = cluster.certificate("db-1")
    as_member = f"{plain} sslcert={member.certificate} sslkey={member.key}"
    for conninfo in (
        plain,
        as_member,
        cluster.conninfo.replace("user=tramdo", "user=postgres"),
        cluster.conninfo.replace("user=tramdo", "user=replicator"),
        cluster.conninfo.replace("sslmode=verify-full", "sslmode=disable"),
    ):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(conninfo, connect_timeout=10)


def test_a_collector_s_certificate_reaches_neither_etcd_nor_patroni(
    cluster: PatroniCluster,
) -> None:
    member = cluster.settings.members[0]
    for port in (member.patroni_port, member.etcd_client_port):
        assert cluster.reaches("db-1", port)
        assert not cluster.reaches(COLLECTOR, port)


def test_the_primary_dies_and_what_was_sent_meanwhile_is_stored_once(
    cluster: PatroniCluster, tmp_path: Path
) -> None:
    settings = config.parse(GOOD.encode(), "probe.toml")
    with (
        Broker(tmp_path / "broker") as broker,
        CollectorProcess(
            tmp_path / "collector",
            broker.config(),
            tables={"store": {"postgresql": cluster.conninfo}},
        ) as collector,
    ):
        probe = Office(
            structs.replace(
                settings,
                broker=broker.config(),
                delivery=config.DeliveryConfig(resend_after_s=2.0, clock_wait_s=0.0),
            ),
            tmp_path,
        )
        running = Delivery(collector, probe)
        try:
            running.submit(20)
            running.until_stored()
            dead = cluster.primary()
            assert dead is not None
            cluster.kill(dead)
            running.submit(20)
            eventually(lambda: cluster.primary() not in (None, dead), "a new primary", WITHIN_S)
            eventually(lambda: collector.get("/api/results")[0] == 200, "it reads", WITHIN_S)
            running.until_stored()
            # It comes back as the other one's standby, and so without what nobody confirmed.
            cluster.start(dead)
            cluster.until_whole()
            assert cluster.primary() != dead
            running.submit(5)
            running.until_stored()
        finally:
            probe.publisher.stop()
