"""Floor 3. Exports the store's results to ClickHouse, range of numbers by range of numbers.

A range is written down in ClickHouse (`begun`) before its first insert and again (`done`) after its
last one. Each insert has the range as its deduplication token: whoever repeats it, after a crash or
an answer that was lost, stores nothing twice. That holds for `begun` too: of two exporters that
begin at the same number, ClickHouse keeps the first one's range, and both then insert that one.

The store is only read, by `results_after`. Its ledgers are not touched: what a probe is receipted
for does not depend on ClickHouse.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from collector.analytics import row_binary
from collector.analytics.clickhouse import ClickHouse
from collector.analytics.line_columns import line_rows
from collector.analytics.ranges import Exported, Range
from collector.analytics.result_columns import rows
from collector.analytics.tables import RANGE_COLUMNS
from collector.registry.registry import Registry
from collector.store.records import StoredResult
from collector.store.store import Store
from wire.result import Result, decode_result

# Results in one query of the store.
_AT_A_TIME = 1_000
# A range ends early where its results are large: an insert is in memory whole.
_RANGE_BYTES = 32 << 20
_BEGUN, _DONE = "begun", "done"
log = logging.getLogger(__name__)


class Exporter:
    """Exports from one store to one ClickHouse.

    Args:
        store: is only read.
        clickhouse: with the tables of `collector.analytics.tables`.
        body_of: the JSON of a result as it is exported (`collector.web.personal_data`).
        range_results: the most results of a range.
    """

    def __init__(
        self,
        store: Store,
        clickhouse: ClickHouse,
        body_of: Callable[[StoredResult], bytes],
        range_results: int,
    ) -> None:
        self._store = store
        self._clickhouse = clickhouse
        self._body_of = body_of
        self._range_results = range_results
        self._registry: Registry | None = None

    def done_through(self) -> int:
        """The number up to which all is exported, 0 for none. Raises AnalyticsError."""
        return self._clickhouse.query("SELECT max(last) FROM ranges WHERE state = 'done'")[0][0]

    def pending(self) -> int:
        """About how many results are not exported yet; negative where the store is another one.

        Raises:
            AnalyticsError: ClickHouse does not answer.
            StoreError: the store does not.
        """
        newest = self._store.newest_results(1)
        return (newest[-1].number if newest else 0) - self.done_through()

    def export_lines(self) -> None:
        """Export the registry, unless it is as it was. Raises AnalyticsError and StoreError."""
        registry = self._store.registry.read()
        if registry == self._registry:
            return
        if registry.probes:
            self._clickhouse.insert("lines", line_rows(registry, datetime.now(UTC)), None)
        self._registry = registry

    def export_range(self) -> Exported | None:
        """Export the next range, or the one that was begun; None where nothing is left.

        Raises:
            AnalyticsError: ClickHouse did not take it; the same call repeats the same range.
            StoreError: the store cannot be read.
        """
        after = self.done_through()
        begun = self._begun(after)
        if begun is not None:
            return self._export(begun, self._read(after, begun.last))
        results = self._read(after, None)
        if not results:
            return None
        wanted = Range(after + 1, results[-1].number)
        self._note(wanted, _BEGUN, 0, 0)
        # Another exporter may have been faster.
        begun = self._begun(after) or wanted
        return self._export(begun, results if begun == wanted else self._read(after, begun.last))

    def _export(self, of: Range, results: Sequence[StoredResult]) -> Exported:
        by_kind, unreadable = self._decoded(results)
        for kind, decoded in by_kind.items():
            self._clickhouse.insert(kind, rows(kind, decoded), of.token)
        self._note(of, _DONE, len(results), unreadable)
        return Exported(of, len(results), unreadable)

    def _decoded(
        self, results: Sequence[StoredResult]
    ) -> tuple[dict[str, list[tuple[StoredResult, Result]]], int]:
        by_kind: dict[str, list[tuple[StoredResult, Result]]] = {}
        unreadable = 0
        for stored in results:
            try:
                result = decode_result(self._body_of(stored))
            except msgspec.DecodeError as error:
                unreadable += 1
                log.warning("result %d cannot be read, left out: %s", stored.number, error)
            else:
                by_kind.setdefault(stored.kind, []).append((stored, result))
        return by_kind, unreadable

    def _read(self, after: int, last: int | None) -> list[StoredResult]:
        """The results after a number: up to `last`, or else as many as a range may have."""
        found: list[StoredResult] = []
        size = 0
        while last is not None or (len(found) < self._range_results and size < _RANGE_BYTES):
            limit = _AT_A_TIME
            if last is None:
                limit = min(limit, self._range_results - len(found))
            some = self._store.results_after(after, limit)
            found += (one for one in some if last is None or one.number <= last)
            if len(some) < limit or (last is not None and some[-1].number >= last):
                break
            after = some[-1].number
            size += sum(len(one.body) for one in some)
        return found

    def _begun(self, after: int) -> Range | None:
        """The range that was begun after a number and is not done."""
        found = self._clickhouse.query(
            f"SELECT first, last FROM ranges WHERE state = 'begun' AND first = {after + 1} "  # noqa: S608 - numbers of ours
            "ORDER BY at LIMIT 1"
        )
        return Range(*found[0]) if found else None

    def _note(self, of: Range, state: str, results: int, unreadable: int) -> None:
        numbers = {_BEGUN: 1, _DONE: 2}
        cells = (
            row_binary.uint64(of.first),
            row_binary.uint64(of.last),
            row_binary.enum8(numbers)(state),
            row_binary.uint64(results),
            row_binary.uint64(unreadable),
            row_binary.time(datetime.now(UTC)),
        )
        body = row_binary.head(RANGE_COLUMNS) + b"".join(cells)
        self._clickhouse.insert("ranges", body, f"{state} {of.first}")
