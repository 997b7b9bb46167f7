"""Floor 3. The read model of pages, API and alerts: probes, roll-ups, registry, thresholds; cached.

It reads no raw results. Queries over every line are cached for some seconds, so that many visitors
cost as much as one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from collector.domain.assessment import INTERVAL_DAYS
from collector.domain.lines import KnownLine, LineState, known_lines, line_state
from collector.domain.planned_tests import MonthlyPlans, monthly_plans
from collector.domain.probe_snapshot import ProbeSnapshot
from collector.domain.shared_cache import SharedCache
from collector.domain.thresholds import Thresholds
from collector.registry.planned_maintenance import PlannedMaintenance
from collector.registry.registry import LineKey, Registry
from collector.rollup.periods import Period, Step, last_days, local_day
from collector.rollup.queries import HoursOfWeek, LineDays, hours_of_week
from collector.rollup.summary import Summary
from collector.store.messages import EpochKey
from collector.store.records import StoredProbe
from collector.store.store import Store, StoreError
from wire.ledger import Ledger
from wire.result import Family

log = logging.getLogger(__name__)
T = TypeVar("T")
_CACHE_S = 20.0
# A query that costs much is asked again less often, so that all its readers together take a
# hundredth of a processor at most: a nation's month takes a second.
_CACHED_FOR_COST, _CACHED_FOR_COST_MOST_S = 100.0, 60.0
# Beyond the time for which a value is cached: of a page that nobody asks for, it is read anew.
_MAX_STALE_S = 180.0
_MAX_CACHED = 64


class _Cached(NamedTuple):
    """A value, when it was read (monotonic clock), and the processor time that this took."""

    read_s: float
    cost_s: float
    value: Any

    def fresh_s(self, cache_s: float) -> float:
        """The age at which it is read anew."""
        return max(cache_s, min(_CACHED_FOR_COST * self.cost_s, _CACHED_FOR_COST_MOST_S))


class ReadModel:
    """One for the process. Thread-safe."""

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
        # What was used last is at the end.
        self._cached: OrderedDict[Any, _Cached] = OrderedDict()
        self._snapshot = ProbeSnapshot()
        self._invalidations = 0
        self._shared = SharedCache(1)
        # What is being read now, which all who want it wait for.
        self._being_read: dict[Any, Future[Any]] = {}
        # What is read anew, one after the other, while its older value is returned.
        self._refreshes: OrderedDict[Any, Callable[[], Any]] = OrderedDict()
        self._is_refreshing = False

    def now(self) -> datetime:
        """The centre's clock, UTC."""
        return datetime.now(UTC)

    def today(self) -> date:
        """The current local day."""
        return local_day(self.now())

    def last_days(self, count: int) -> Period:
        """The last `count` local days, today included."""
        return last_days(count, self.today())

    def registry(self) -> Registry:
        """The registry; read from the store when its revision has changed."""

        def read() -> Registry:
            revision = self.store.registry.revision()
            if self._registry is None or self._registry[0] != revision:
                self._registry = (revision, self.store.registry.read())
            return self._registry[1]

        return self.cached("registry", read, 2.0)

    def registry_revision(self) -> int:
        """The revision of `registry()`, for what is made of it."""
        self.registry()
        return self._registry[0] if self._registry else 0

    def maintenance(self) -> list[PlannedMaintenance]:
        """What was announced of planned maintenance."""
        return self.cached("maintenance", self.store.maintenance.read, 2.0)

    def snapshot(self) -> ProbeSnapshot:
        """Every probe as the store has it now; all callers share it.

        Only the probes that changed are read from the store.
        """
        with self._reading:
            revision = self.store.revision()
            if self._snapshot.revision > revision:
                # A store restored from a backup has a lower revision.
                self._snapshot = ProbeSnapshot()
            if self._snapshot.revision < revision:
                changed = self.store.probes(self._snapshot.revision)
                self._snapshot = self._snapshot.with_changes(revision, changed)
            return self._snapshot

    def probes(self) -> Mapping[tuple[str, str], StoredProbe]:
        """Every probe, by (tenant, name): those of the snapshot."""
        return self.snapshot().probes

    def ledgers(self) -> Mapping[EpochKey, Ledger]:
        """The ledger of each probe's current epoch."""
        return self._shared.get("ledgers", self.store.revision, self.store.ledgers)

    def lines(self) -> list[KnownLine]:
        """Every known line."""
        return self.cached("lines", lambda: known_lines(self.registry(), self.probes().values()))

    def states(self) -> dict[LineKey, LineState]:
        """The current state of each line."""

        def read() -> dict[LineKey, LineState]:
            probes, now = self.probes(), self.now()
            return {
                line.key: line_state(probes.get(line.key[:2]), line.key.line, now)
                for line in self.lines()
            }

        return self.cached("states", read, 5.0)

    def overview(self, period: Period) -> Mapping[LineKey, Summary]:
        """The Summary of each line over a period, without percentiles."""
        return self.cached(("overview", period), lambda: self.summaries.overview(period))

    def overview_by_family(
        self, period: Period
    ) -> Mapping[LineKey, Mapping[Family | None, Summary]]:
        """The same for each address family of each line."""
        return self.cached(("families", period), lambda: self.summaries.overview_by_family(period))

    def daily(self, lines: Sequence[LineKey], period: Period, metric: str) -> LineDays:
        """The samples of some lines by day, which an interval is made of; of no short period."""
        if period.days < INTERVAL_DAYS or not lines:
            return {}
        return self.cached(
            ("daily", tuple(lines), period, metric),
            lambda: self.summaries.daily_by_family(lines, period, metric),
        )

    def daily_of_verdicts(self, lines: Iterable[LineKey], period: Period, metric: str) -> LineDays:
        """The same of those lines that have samples enough for a verdict: seldom many."""
        overview, needed = self.overview(period), self.thresholds.speed_samples.limit
        return self.daily(
            [
                key
                for key in lines
                if key in overview and overview[key].metric(metric).count >= needed
            ],
            period,
            metric,
        )

    def hours_of_week(self, line: LineKey, period: Period) -> HoursOfWeek:
        """A line's hours of all address families by hour of the week."""
        families = self.summaries.series_by_family(line, period, Step.HOUR)
        return hours_of_week(chain.from_iterable(families.values()))

    def plans(self, period: Period) -> MonthlyPlans:
        """The plans of the months of a period."""
        return self.cached(("plans", period), lambda: monthly_plans(self.store.plans, period))

    def week_counts(self, period: Period, kind: str) -> Mapping[LineKey, Mapping[date, int]]:
        """For each line, the number of `ok` results of a kind by week (its Monday)."""
        return self.cached(
            ("weeks", period, kind), lambda: self.summaries.week_counts(period, kind)
        )

    def cached(self, key: Any, query: Callable[[], T], cache_s: float = _CACHE_S) -> T:  # noqa: ANN401
        """The cached value of `key` if it is fresh, else that of `query()`.

        It is fresh for `cache_s` seconds, or for `_CACHED_FOR_COST` times the processor time of its
        query if that is more. For `_MAX_STALE_S` more an older value is returned while a thread
        refreshes it (stale while revalidate, RFC 5861): only the first request after a pause waits
        for the query, and all who want it then wait for the same one.
        """
        found = self._found(key)
        if found is not None:
            value: T = found.value
            stale_s = time.monotonic() - found.read_s - found.fresh_s(cache_s)
            if stale_s < 0:
                return value
            if stale_s < _MAX_STALE_S:
                self._refresh(key, query)
                return value
        return self._read(key, query)

    def _found(self, key: Any) -> _Cached | None:  # noqa: ANN401
        """The cached value of `key`, now the last one to be dropped."""
        with self._lock:
            if key in self._cached:
                self._cached.move_to_end(key)
            return self._cached.get(key)

    def _read(self, key: Any, query: Callable[[], T]) -> T:  # noqa: ANN401
        """The value of `query()`, which is cached; of one that runs already, its value."""
        with self._lock:
            running: Future[T] | None = self._being_read.get(key)
            if running is None:
                mine: Future[T] = Future()
                self._being_read[key] = mine
        if running is not None:
            return running.result()
        began_s = time.thread_time()
        try:
            value = query()
        except BaseException as error:
            self._end_reading(key, mine)
            mine.set_exception(error)
            raise
        cost_s = time.thread_time() - began_s
        self._end_reading(key, mine, _Cached(time.monotonic(), cost_s, value))
        mine.set_result(value)
        return value

    def _end_reading(self, key: Any, reading: Future[Any], found: _Cached | None = None) -> None:  # noqa: ANN401
        """Cache what was found, unless the cached values were dropped while it was read."""
        with self._lock:
            if self._being_read.get(key) is not reading:
                return
            del self._being_read[key]
            if found is not None:
                self._put(key, found)

    def _put(self, key: Any, found: _Cached) -> None:  # noqa: ANN401
        self._cached[key] = found
        self._cached.move_to_end(key)
        if len(self._cached) > _MAX_CACHED:
            self._cached.popitem(last=False)

    def _refresh(self, key: Any, query: Callable[[], object]) -> None:  # noqa: ANN401
        """Have a thread read it anew: one thread for all, so that pages wait for one at most."""
        with self._lock:
            if key in self._being_read:
                return
            self._refreshes.setdefault(key, query)
            if self._is_refreshing:
                return
            self._is_refreshing = True
        threading.Thread(target=self._run_refreshes, name="figures", daemon=True).start()

    def _run_refreshes(self) -> None:
        while (wanted := self._next_refresh()) is not None:
            try:
                self._read(*wanted)
            except StoreError as error:
                log.warning("a page's figures are not renewed: %s", error)
            except Exception:
                # A fault of one query: the others are refreshed all the same.
                log.exception("a page's figures cannot be renewed")

    def _next_refresh(self) -> tuple[Any, Callable[[], object]] | None:
        """What is to be refreshed next: what costs the least, for most pages need it."""
        with self._lock:
            if not self._refreshes:
                self._is_refreshing = False
                return None
            key = min(self._refreshes, key=self._cost_s)
            return key, self._refreshes.pop(key)

    def _cost_s(self, key: Any) -> float:  # noqa: ANN401
        found = self._cached.get(key)
        return 0.0 if found is None else found.cost_s

    def invalidate(self) -> None:
        """Drop all cached values; called when the registry was changed.

        What is being read meanwhile is not cached, and nobody else waits for it.
        """
        with self._lock:
            self._cached.clear()
            self._being_read.clear()
        self._invalidations += 1

    @property
    def invalidations(self) -> int:
        """How often the cached values were dropped."""
        return self._invalidations
