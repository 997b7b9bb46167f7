"""Floor 1. Results that were just stored, as they were encoded: sent without a look at the file.

Reading them back, comparing the checksum and unpacking would cost as much as packing did. What is
sent later (a backlog, a repetition) is read from the file.
"""

from __future__ import annotations

from collections.abc import Sequence

from probe.deliver.batch import NumberedResult

# A burst's; what is measured minute by minute is sent, and released, at once.
MAX_RECENT = 1_000


class RecentResults:
    """Consecutive rows, the newest of the outbox; not more than `MAX_RECENT`."""

    def __init__(self) -> None:
        self._results: list[NumberedResult] = []

    def add(self, results: Sequence[NumberedResult]) -> None:
        """Results were stored, in order."""
        if results and self._results and self._results[-1].row + 1 != results[0].row:
            self._results.clear()
        self._results += results
        del self._results[:-MAX_RECENT]

    def between(self, first: int, last: int, limit: int) -> list[NumberedResult] | None:
        """At most `limit` of `first <= row <= last`, in order; None where one is not here."""
        if not self._results or first > last:
            return None
        begin = self._results[0].row
        if first < begin or self._results[-1].row < last:
            return None
        return self._results[first - begin : min(last - begin + 1, first - begin + limit)]

    def release(self, through: int) -> None:
        """Rows up to this one are not needed any more."""
        if self._results:
            del self._results[: max(through - self._results[0].row + 1, 0)]
