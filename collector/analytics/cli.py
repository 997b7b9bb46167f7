"""Floor 3. The command `tramdo-collector analytics ddl | create | export`."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from collections.abc import Callable

from collector.analytics import tables
from collector.analytics.clickhouse import AnalyticsError
from collector.analytics.exporter import Exporter
from collector.analytics.http_client import HttpClient
from collector.analytics.metrics_file import Metrics
from collector.analytics.settings import AnalyticsConfig
from collector.store.records import StoredResult
from collector.store.store import Store, StoreError
from runtime import systemd_notify

OK, FAILED = 0, 1
log = logging.getLogger(__name__)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `analytics`."""
    command.add_argument(
        "action",
        choices=("ddl", "create", "export"),
        help="ddl: print the SQL of the tables; create: make them, and add new columns to those "
        "that are there; export: follow the store until stopped (SIGTERM)",
    )
    command.add_argument(
        "--cluster", action="store_true", help="(ddl) of a replicated, sharded cluster"
    )
    command.add_argument(
        "--once", action="store_true", help="(export) end when all that is stored is exported"
    )


def print_tables(config: AnalyticsConfig | None, *, cluster: bool) -> int:
    """Print the SQL of the tables. Returns the exit code."""
    cluster = cluster or (config is not None and config.cluster)
    print(tables.script("tramdo" if config is None else config.database, cluster=cluster), end="")
    return OK


def create_tables(config: AnalyticsConfig) -> int:
    """Make the tables and add new columns. Returns the exit code."""
    try:
        client = HttpClient(config)
        for statements in (tables.creation, tables.new_columns):
            for statement in statements(config.database, cluster=config.cluster):
                client.execute(statement)
    except AnalyticsError as error:
        log.error("%s", error)  # noqa: TRY400 - a setting or a server failed, not this code
        return FAILED
    print(f"the tables are in {config.database} at {config.url}")
    return OK


def export(
    store: Store,
    config: AnalyticsConfig,
    body_of: Callable[[StoredResult], bytes],
    *,
    once: bool,
) -> int:
    """Export until SIGTERM or SIGINT, or until nothing is left. Returns the exit code."""
    try:
        client = HttpClient(config)
    except AnalyticsError as error:
        log.error("%s", error)  # noqa: TRY400 - as above
        return FAILED
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    following = Following(
        Exporter(store, client, body_of, config.range_results), Metrics(config.metrics_file)
    )
    try:
        if once:
            return OK if following.export_all(stopping) else FAILED
        systemd_notify.ready()
        while not stopping.is_set():
            following.export_all(stopping)
            stopping.wait(config.every_s)
    finally:
        client.close()
    systemd_notify.stopping()
    return OK


class Following:
    """Follows a store, and reports what comes of it: log, systemd, metrics."""

    def __init__(self, exporter: Exporter, metrics: Metrics) -> None:
        self._exporter = exporter
        self._metrics = metrics
        self._trouble: str | None = None

    def export_all(self, stopping: threading.Event) -> bool:
        """Export range after range until nothing is left; False where it failed."""
        try:
            self._exporter.export_lines()
            while not stopping.is_set() and (done := self._exporter.export_range()) is not None:
                self._metrics.exported(done)
                systemd_notify.watchdog()
                log.info("exported %d results, up to number %d", done.results, done.range.last)
            pending = self._exporter.pending()
        except (AnalyticsError, StoreError) as error:
            self._failed(str(error))
            return False
        if pending < 0:
            self._failed(
                f"ClickHouse has results up to a number {-pending} above the store's last one: "
                "a restored store goes on above it; another store needs a database of its own"
            )
            return False
        self._trouble = None
        self._metrics.up_to_date(pending)
        systemd_notify.watchdog()
        systemd_notify.status(f"up to date, {pending} results to come")
        return True

    def _failed(self, trouble: str) -> None:
        """Log it once, and go on."""
        if trouble != self._trouble:
            log.error("cannot export, trying again: %s", trouble)
        self._trouble = trouble
        self._metrics.failed()
        # It waits for others, and works: systemd must not end it.
        systemd_notify.watchdog()
        systemd_notify.status(trouble)
