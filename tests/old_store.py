"""A SQLite store as a version before the blocks has left it, of any size."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.centre_load import measured
from collector.store.batch import utc_text
from collector.store.kind_tables import kind_tables
from collector.store.migrate import packaged
from collector.store.sqlite import SqliteStore
from tests import samples
from wire.result import encode_result

BEFORE_BLOCKS = 6
_BODIES = 500
_START = datetime(2026, 7, 25, 5, tzinfo=UTC)


def make(path: Path, results: int) -> None:
    """A store with so many latency results in envelopes of two, and nothing else."""
    SqliteStore(path, migrations=packaged("sqlite")[:BEFORE_BLOCKS]).close()
    kind = kind_tables()["latency"]
    rng = random.Random(8)
    made = [measured(rng, _START, 60)[1] for _ in range(_BODIES)]
    bodies = [encode_result(one).decode() for one in made]
    started = utc_text(_START)
    names = (samples.TENANT, samples.PROBE)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            f"CREATE TABLE latency_results ({', '.join(kind.columns)}, PRIMARY KEY (number))"
        )
        connection.executemany(
            f"INSERT INTO results VALUES ({', '.join('?' * 14)})",
            (
                (number, *names, str(samples.EPOCH), number, "latency", "vnpt", made[0].target,
                 "ok", None, started, at := utc_text(_START + timedelta(seconds=number // 2)), at,
                 bodies[number % _BODIES])
                for number in range(1, results + 1)
            ),
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO latency_results (number, tenant, probe, line, started_at, duration_s, "
            "outcome, validity) VALUES (?, ?, ?, 'vnpt', ?, 60.0, 'ok', '')",
            ((number, *names, started) for number in range(1, results + 1)),
        )
        connection.execute("UPDATE totals SET count = ? WHERE name = 'number'", (results,))
