"""Results that were just stored are sent from memory, and only where all of them are there."""

from __future__ import annotations

from pathlib import Path

from probe.deliver.batch import NumberedResult
from probe.deliver.outbox import Outbox
from probe.deliver.recent import MAX_RECENT, RecentResults


def results(first: int, count: int) -> list[NumberedResult]:
    return [NumberedResult(row, "latency", b"{}") for row in range(first, first + count)]


def bodies(count: int) -> list[tuple[str, bytes]]:
    return [("latency", b'{"number":%d}' % number) for number in range(count)]


def rows(recent: RecentResults, first: int, last: int, limit: int = 100) -> list[int] | None:
    found = recent.between(first, last, limit)
    return None if found is None else [one.row for one in found]


def test_rows_are_given_in_order_within_bounds_and_limit() -> None:
    recent = RecentResults()
    assert rows(recent, 1, 1) is None
    recent.add(results(5, 4))
    recent.add(results(9, 2))
    assert rows(recent, 5, 10) == [5, 6, 7, 8, 9, 10]
    assert rows(recent, 6, 9, limit=2) == [6, 7]
    assert rows(recent, 6, 6) == [6]
    assert rows(recent, 4, 10) is None, "what is older is in the file alone"
    assert rows(recent, 9, 11) is None, "so is what was stored by another way"


def test_what_was_sent_is_released() -> None:
    recent = RecentResults()
    recent.add(results(1, 4))
    recent.release(2)
    assert rows(recent, 2, 4) is None
    assert rows(recent, 3, 4) == [3, 4]
    recent.release(100)
    assert rows(recent, 3, 4) is None


def test_a_burst_is_bounded_and_a_gap_begins_anew() -> None:
    recent = RecentResults()
    recent.add(results(1, MAX_RECENT + 5))
    assert rows(recent, 5, 6) is None
    assert rows(recent, 6, 7) == [6, 7]
    recent.add(results(MAX_RECENT + 7, 1))
    assert rows(recent, 6, 7) is None
    assert rows(recent, MAX_RECENT + 7, MAX_RECENT + 7) == [MAX_RECENT + 7]


def test_from_memory_and_from_the_file_results_are_the_same(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    outbox.put(bodies(30), 0.0)
    outbox.put(bodies(10), 0.0)
    from_memory = [outbox.pending(after, 40, 25) for after in (0, 10, 38, 40)]
    outbox.release(40)
    assert [outbox.pending(after, 40, 25) for after in (0, 10, 38, 40)] == from_memory
    assert [len(found) for found in from_memory] == [25, 25, 2, 0]
    outbox.close()
