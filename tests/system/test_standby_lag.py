"""What a centre sees of a standby of its database: a real one, by streaming replication."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from collector.domain.centre_health import CentreFigures, Check, CheckName, CheckState, checks
from collector.store.postgresql import PostgresqlStore
from tests import postgresql
from tests.client import eventually
from tests.postgresql import PostgresqlServer
from tests.unit.test_centre_pages import NOW


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresqlServer]:
    """A server of its own: the suite's has no standby, and a base backup copies all of one."""
    with postgresql.running() as server:
        yield server


def replication(conninfo: str) -> Check | None:
    """The check of a centre on that database; None without a standby."""
    with closing(PostgresqlStore(conninfo)) as store:
        found = checks(CentreFigures(at=NOW, store=store.status()))
    return next((one for one in found if one.name is CheckName.REPLICATION), None)


def test_a_standby_that_stands_still_falls_behind_and_catches_up(
    primary: PostgresqlServer,
) -> None:
    name = primary.new_database()
    conninfo = primary.conninfo(name)
    assert replication(conninfo) is None
    with (
        primary.standby() as standby,
        psycopg.connect(conninfo, autocommit=True) as writer,
        psycopg.connect(standby.conninfo(name), autocommit=True) as replaying,
    ):

        def lag_bytes() -> int:
            check = replication(conninfo)
            assert check is not None
            return int(check.figures["lag_bytes"])

        eventually(lambda: lag_bytes() == 0, "a standby that has all")
        replaying.execute("SELECT pg_wal_replay_pause()")
        writer.execute("CREATE TABLE ballast AS SELECT generate_series(1, 50000) AS number")
        eventually(lambda: lag_bytes() > 1_000_000, "a standby that is behind")
        # A role that may use the database and is no monitor sees that there is one, and no more.
        writer.execute("CREATE ROLE reader LOGIN")
        writer.execute("GRANT ALL ON SCHEMA public TO reader")
        writer.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO reader")
        least = conninfo.replace("user=tramdo", "user=reader")
        check = replication(least)
        assert check is not None
        assert check.state is CheckState.UNKNOWN
        writer.execute("GRANT pg_monitor TO reader")
        check = replication(least)
        assert check is not None
        assert int(check.figures["lag_bytes"]) > 1_000_000
        replaying.execute("SELECT pg_wal_replay_resume()")
        eventually(lambda: lag_bytes() == 0, "a standby that has caught up")
