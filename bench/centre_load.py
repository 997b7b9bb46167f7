"""Floor 2. Ten million results of 3,321 communes for `bench.centre`, loaded by SQL.

What is loaded is what ingest would have written: rows in the tables of two kinds and all roll-ups,
whose Summaries were folded from real results. The results' JSON is left out: no question that is
asked here reads it. Eleven hours of each day have a throughput and a latency result on each line.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import msgspec

from collector.registry.communes import official
from collector.registry.registry import Isp, Line, LineKey, Probe, Registry
from collector.rollup.periods import Step, bucket_start, start_of_day
from collector.rollup.summary import Summary, fold, merge_summaries
from collector.store.batch import utc_text
from collector.store.database import Database, Transaction
from collector.store.rollup_tables import BODIES, FIGURE_COLUMNS, FIGURES, encode, figures
from collector.store.sql_store import SqlStore
from tests import samples
from wire.result import Result

TENANT = "toan-quoc"
ISPS = ("vnpt", "viettel")
HOURS = tuple(range(7, 18))
RESULTS_PER_LINE_AND_DAY = 2 * len(HOURS)
_TEMPLATES = 200
_FIGURE_NAMES = ", ".join(column.name for column in FIGURE_COLUMNS)


class Nation(NamedTuple):
    """Who is measured."""

    communes: tuple[str, ...]

    @property
    def lines(self) -> list[LineKey]:
        """Two of each commune."""
        return [LineKey(TENANT, f"tram-{code}", isp) for code in self.communes for isp in ISPS]

    def registry(self) -> Registry:
        """As a centre would have it."""
        return Registry(
            communes=dict(official()),
            isps={isp: Isp(id=isp, name=isp.upper()) for isp in ISPS},
            probes={
                (TENANT, f"tram-{code}"): Probe(
                    tenant=TENANT,
                    probe=f"tram-{code}",
                    commune=code,
                    office=f"UBND {official()[code].name}",
                    lines=tuple(
                        Line(id=isp, isp=isp, plan_down_bps=300e6, plan_up_bps=200e6)
                        for isp in ISPS
                    ),
                )
                for code in self.communes
            },
        )


def measured(rng: random.Random, at: datetime, latency_packets: int = 40) -> tuple[Result, Result]:
    """What a line measures in an hour."""
    throughput = samples.throughput(
        started_at=at, download_bps=rng.gauss(240e6, 40e6), upload_bps=rng.gauss(170e6, 30e6)
    )
    window = samples.latency(started_at=at, rtt_ms=rng.uniform(4, 40), lost=int(rng.random() < 0.1))
    assert window.values is not None
    rtt_us = [int(rng.lognormvariate(9.5, 0.3)) for _ in range(latency_packets)]
    values = msgspec.structs.replace(window.values, rtt_us=rtt_us, rtt_samples=latency_packets)
    return throughput, msgspec.structs.replace(window, values=values)


class Loader:
    """Loads days into one store."""

    def __init__(self, store: SqlStore, database: Database, nation: Nation, today: date) -> None:
        self._store, self._database = store, database
        self._nation, self._today = nation, today
        self._lines = len(nation.lines)
        self._loaded: set[int] = set()
        rng = random.Random(20_260_725)
        with database.transaction() as session:
            self._prepare(session, rng)

    def load(self, days: int) -> int:
        """Load what is missing of the last `days` days; how many results there are then."""
        for back in range(days - 1, -1, -1):
            if back not in self._loaded:
                self._load_day(back)
                self._loaded.add(back)
        with self._database.transaction() as session:
            self._load_months(session)
            session.execute("DELETE FROM totals WHERE name = 'rollup_revision'")
            session.execute("INSERT INTO totals VALUES ('rollup_revision', 1)")
        return len(self._loaded) * self._lines * RESULTS_PER_LINE_AND_DAY

    def _prepare(self, session: Transaction, rng: random.Random) -> None:
        binary = "BLOB" if type(self._database).__name__.startswith("Sqlite") else "bytea"
        numbers = ", ".join(f"{column.name} double precision" for column in FIGURE_COLUMNS)
        marks = ", ".join("?" * (2 + len(FIGURE_COLUMNS)))
        rows = _templates(rng)
        for step in Step:
            session.execute(
                f"CREATE TABLE bench_{step} (id integer PRIMARY KEY, {numbers}, body {binary})"
            )
            session.execute_many(f"INSERT INTO bench_{step} VALUES ({marks})", rows[step])
        session.execute("CREATE TABLE bench_days (hour bigint, start_s bigint, at text)")
        session.execute_many(
            "INSERT INTO lines (tenant, probe, line) VALUES (?, ?, ?)", self._nation.lines
        )
        self._load_dimensions(session)

    def _load_day(self, back: int) -> None:
        day = self._today - timedelta(days=back)
        start = start_of_day(day)
        hours = [(hour, start + timedelta(hours=hour)) for hour in HOURS]
        with self._database.transaction() as session:
            session.execute("DELETE FROM bench_days")
            session.execute_many(
                "INSERT INTO bench_days VALUES (?, ?, ?)",
                [(hour, int(at.timestamp()), utc_text(at)) for hour, at in hours],
            )
            self._load_raw(session, back, [at for _, at in hours])
            now = utc_text(datetime.now(UTC))
            for step, rows in ((Step.HOUR, "bench_days"), (Step.DAY, None)):
                source = rows or f"(SELECT 0 AS hour, {int(start.timestamp())} AS start_s) AS day"
                _load_buckets(session, step, source, f"hour * 31 + {back}", now)

    def _load_raw(self, session: Transaction, back: int, hours: Sequence[datetime]) -> None:
        if hasattr(session, "create_partition"):
            for day in sorted({at.date() for at in hours}):
                for kind in ("throughput", "latency"):
                    session.create_partition(f"{kind}_facts", day)
        at = "d.at::timestamptz" if hasattr(session, "create_partition") else "d.start_s * 1000000"
        common = "number, started_at, place, duration_s, dimension_id"
        number = f"({back} * 24 + d.hour) * 1000000 + line_id * 2"
        source = (
            "FROM lines AS l CROSS JOIN bench_days AS d JOIN bench_hour AS t "
            f"ON t.id = (l.line_id * 7 + d.hour * 31) % {_TEMPLATES}"
        )
        session.execute(
            f"INSERT INTO throughput_facts ({common}, download_bps, download_whole_bps, "
            f"upload_bps, upload_whole_bps) SELECT {number}, {at}, 0, 26.4, l.line_id * 2, "
            "t.throughput_download_bps_sum, t.throughput_download_whole_bps_sum, "
            "t.throughput_upload_bps_sum, t.throughput_upload_whole_bps_sum "
            f"{source}"
        )
        session.execute(
            f"INSERT INTO latency_facts ({common}, rtt_mean_ms) SELECT {number} + 1, {at}, 0, 60.0,"
            " l.line_id * 2 + CASE WHEN t.latency_lost > 0 THEN 1 ELSE 0 END, "
            f"t.latency_rtt_mean_ms_sum {source}"
        )

    def _load_dimensions(self, session: Transaction) -> None:
        """Of each line, one of throughput, and of latency one without loss and one with."""
        as_bytes = "int8send" if hasattr(session, "create_partition") else "zeroblob"
        common = "dimension_id, month, digest, tenant, probe, line, isp, target, outcome, validity"
        whose = "tenant, probe, line, upper(line)"
        session.execute(
            f"INSERT INTO throughput_dimensions ({common}) SELECT line_id * 2, 0, "
            f"{as_bytes}(line_id), {whose}, 'iperf3:1', 'ok', '' FROM lines"
        )
        for lost in (0, 1):
            session.execute(
                f"INSERT INTO latency_dimensions ({common}, sent, received, lost, loss_ratio) "
                f"SELECT line_id * 2 + {lost}, 0, {as_bytes}(line_id), {whose}, 'stamp:1', "
                f"'ok', '', 60, {60 - lost}, {lost}, {lost / 60} FROM lines"
            )

    def _load_months(self, session: Transaction) -> None:
        starts = {
            int(bucket_start(start_of_day(self._today - timedelta(days=b)), Step.MONTH).timestamp())
            for b in self._loaded
        }
        for table in (FIGURES[Step.MONTH], BODIES[Step.MONTH]):
            session.execute(f"DELETE FROM {table.name}")
        for start_s in starts:
            source = f"(SELECT 0 AS hour, {start_s} AS start_s) AS month"
            _load_buckets(session, Step.MONTH, source, "3", utc_text(datetime.now(UTC)))


def _load_buckets(session: Transaction, step: Step, source: str, seed: str, now: str) -> None:
    cast = "::timestamptz" if hasattr(session, "create_partition") else ""
    chosen = f"t.id = (l.line_id * 7 + {seed}) % {_TEMPLATES}"
    where = f"FROM lines AS l CROSS JOIN {source} JOIN bench_{step} AS t ON {chosen}"
    key = f"SELECT l.line_id, start_s, 1, '{now}'{cast}"
    session.execute(
        f"INSERT INTO {BODIES[step].name} (line_id, start_s, revision, changed_at, body) "
        f"{key}, t.body {where}"
    )
    values = ", ".join(f"CAST(t.{c.name} AS {_SQL[c.type]})" for c in FIGURE_COLUMNS)
    session.execute(
        f"INSERT INTO {FIGURES[step].name} (line_id, start_s, revision, changed_at, "
        f"{_FIGURE_NAMES}) {key}, {values} {where}"
    )


_SQL = {"integer": "bigint", "real": "double precision"}


def _templates(rng: random.Random) -> dict[Step, list[list[object]]]:
    def hour(at: datetime) -> Summary:
        results = measured(rng, at)
        (summary,) = fold((TENANT, "p", result) for result in results).values()
        return summary

    noon = datetime(2026, 7, 25, 5, tzinfo=UTC)
    hours = [hour(noon) for _ in range(_TEMPLATES)]
    days = [merge_summaries(rng.choices(hours, k=len(HOURS))) for _ in range(_TEMPLATES)]
    months = [merge_summaries(rng.choices(days, k=30)) for _ in range(_TEMPLATES)]
    return {
        step: [[place, *figures(summary), encode(summary)] for place, summary in enumerate(made)]
        for step, made in ((Step.HOUR, hours), (Step.DAY, days), (Step.MONTH, months))
    }
