"""Floor 2. Metrics of the export, as a file for node_exporter's textfile collector (Prometheus).

The export has no port of its own. The file is replaced as a whole.
"""

from __future__ import annotations

import logging
import os
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, write_to_textfile

from collector.analytics.ranges import Exported

log = logging.getLogger(__name__)


class Metrics:
    """The metrics, written after each change; nothing is written where `path` is None."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._registry = CollectorRegistry()
        self._results = Counter(
            "tramdo_analytics_results_exported",
            "Results exported since the start",
            registry=self._registry,
        )
        self._unreadable = Counter(
            "tramdo_analytics_results_unreadable",
            "Results left out, of another version of the contract",
            registry=self._registry,
        )
        self._failures = Counter(
            "tramdo_analytics_failures", "Exports that failed", registry=self._registry
        )
        self._last = Gauge(
            "tramdo_analytics_last_number",
            "Number of the last result exported",
            registry=self._registry,
        )
        self._pending = Gauge(
            "tramdo_analytics_pending_results",
            "Stored results that are not exported yet",
            registry=self._registry,
        )
        self._at = Gauge(
            "tramdo_analytics_up_to_date_timestamp_seconds",
            "When all that was stored was exported",
            registry=self._registry,
        )

    def exported(self, done: Exported) -> None:
        """A range was exported."""
        self._results.inc(done.results)
        self._unreadable.inc(done.unreadable)
        self._last.set(done.range.last)
        self._write()

    def up_to_date(self, pending: int) -> None:
        """Nothing was left; `pending` came meanwhile."""
        self._pending.set(pending)
        self._at.set(time.time())
        self._write()

    def failed(self) -> None:
        """An export failed."""
        self._failures.inc()
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            write_to_textfile(self._path, self._registry)
            # node_exporter is another user.
            os.chmod(self._path, 0o644)
        except OSError as error:
            log.warning("metrics are not written: %s", error)
