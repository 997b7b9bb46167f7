"""Floor 3. What the pages read: probes, roll-ups, registry, thresholds; remembered for a moment.

Nothing here reads a raw result. What costs a query over every line is kept for some seconds, so
that a hundred visitors cost as much as one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from collector.domain.lines import KnownLine, LineState, known_lines, line_state
from collector.domain.thresholds import Thresholds
from collector.registry.registry import LineKey, Registry
from collector.rollup.periods import Period, last_days, local_day
from collector.rollup.summary import Summary
from collector.store.records import StoredProbe
from collector.store.store import Store, StoreError

log = logging.getLogger(__name__)
T = TypeVar("T")
_CACHE_S = 20.0
_MAX_STALE_S = 180.0
_MAX_CACHED = 64


class ReadModel:
    """One for all pages. Any thread may ask."""

    def __init__(
        self,
        store: Store,
        thresholds: Thresholds,
    ) -> None:
        self.store = store
        self.summaries = store.summaries
        self.thresholds = thresholds
        self._registry: tuple[int, Registry] | None = None
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._cached: dict[Any, tuple[float, Any]] = {}
        self._probes: dict[tuple[str, str], StoredProbe] = {}
        self._revision = 0
        self._refreshing: set[Any] = set()

    def now(self) -> datetime:
        """The centre's clock, UTC."""
        return datetime.now(UTC)

    def today(self) -> date:
        """The local day."""
        return local_day(self.now())

    def last_days(self, count: int) -> Period:
        """The last so many days, today included."""
        return last_days(count, self.today())

    def registry(self) -> Registry:
        """The registry; read anew when it has changed."""

        def read() -> Registry:
            revision = self.store.registry.revision()
            if self._registry is None or self._registry[0] != revision:
                self._registry = (revision, self.store.registry.read())
            return self._registry[1]

        return self.cached("registry", read, 2.0)

    def probes(self) -> Mapping[tuple[str, str], StoredProbe]:
        """Every probe, by tenant and name; only those that changed are read anew."""
        with self._reading:
            if self._revision > self.store.revision():
                # A store that came back from a backup counts anew from there.
                self._probes, self._revision = {}, 0
            for probe in self.store.probes(self._revision):
                self._probes[probe.tenant, probe.probe] = probe
                self._revision = max(self._revision, probe.revision)
            return dict(self._probes)

    def lines(self) -> list[KnownLine]:
        """Every line that is known."""
        return self.cached("lines", lambda: known_lines(self.registry(), self.probes().values()))

    def states(self) -> dict[LineKey, LineState]:
        """What each line is like now."""

        def read() -> dict[LineKey, LineState]:
            probes, now = self.probes(), self.now()
            return {
                line.key: line_state(probes.get(line.key[:2]), line.key.line, now)
                for line in self.lines()
            }

        return self.cached("states", read, 5.0)

    def overview(self, period: Period) -> Mapping[LineKey, Summary]:
        """Every line's figures of a period, without percentiles."""
        return self.cached(("overview", period), lambda: self.summaries.overview(period))

    def week_counts(self, period: Period, kind: str) -> Mapping[LineKey, Mapping[date, int]]:
        """Of each line the good results of a kind by week."""
        return self.cached(
            ("weeks", period, kind), lambda: self.summaries.week_counts(period, kind)
        )

    def cached(self, key: Any, query: Callable[[], T], cache_s: float = _CACHE_S) -> T:  # noqa: ANN401
        """What `query` said within the last seconds, or says now.

        What is a little older is given all the same while it is asked anew behind the visitor's
        back: nobody waits for a query over the nation but the first after a quiet while.
        """
        now_s = time.monotonic()
        found = self._cached.get(key)
        if found is not None:
            value: T = found[1]
            if now_s - found[0] < cache_s:
                return value
            if now_s - found[0] < _MAX_STALE_S:
                self._refresh(key, query)
                return value
        value = query()
        self._put(key, value)
        return value

    def _refresh(self, key: Any, query: Callable[[], T]) -> None:  # noqa: ANN401
        with self._lock:
            if key in self._refreshing:
                return
            self._refreshing.add(key)

        def refresh() -> None:
            try:
                self._put(key, query())
            except StoreError as error:
                log.warning("a page's figures are not renewed: %s", error)
            finally:
                with self._lock:
                    self._refreshing.discard(key)

        threading.Thread(target=refresh, name="figures", daemon=True).start()

    def _put(self, key: Any, value: object) -> None:  # noqa: ANN401
        self._cached[key] = (time.monotonic(), value)
        if len(self._cached) > _MAX_CACHED:
            oldest = min(list(self._cached.items()), key=lambda item: item[1][0])[0]
            self._cached.pop(oldest, None)

    def invalidate(self) -> None:
        """Ask anew: the registry was changed."""
        self._cached.clear()
