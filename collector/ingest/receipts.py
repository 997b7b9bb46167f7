"""Floor 1. When the receipt of a changed ledger is published. Knows no store and no broker."""

from __future__ import annotations

from collector.store.messages import EpochKey
from wire.ledger import Ledger


class ReceiptPacer:
    """Which receipts are due: at once for an idle probe, at most one each `min_gap_s` under load.

    Receipts that wait for the same epoch become one, the last. Time comes from the caller
    (monotonic seconds).
    """

    def __init__(self, min_gap_s: float) -> None:
        self._min_gap_s = min_gap_s
        self._waiting: dict[EpochKey, Ledger] = {}
        self._last_s: dict[tuple[str, str], float] = {}

    def queue(self, epoch: EpochKey, ledger: Ledger) -> None:
        """Queue a receipt for a ledger that has changed."""
        self._waiting.pop(epoch, None)
        self._waiting[epoch] = ledger

    def take_due(self, now_s: float, *, all_of_them: bool = False) -> list[tuple[EpochKey, Ledger]]:
        """Remove and return the receipts to publish now, oldest first."""
        recent_s = now_s - self._min_gap_s
        self._last_s = {probe: at_s for probe, at_s in self._last_s.items() if at_s > recent_s}
        due = [
            (epoch, ledger)
            for epoch, ledger in self._waiting.items()
            if all_of_them or (epoch.tenant, epoch.probe) not in self._last_s
        ]
        for epoch, _ in due:
            del self._waiting[epoch]
            self._last_s[epoch.tenant, epoch.probe] = now_s
        return due

    def next_due_s(self) -> float | None:
        """When the next receipt is due (monotonic s), None when none is queued."""
        return min(
            (
                self._last_s.get((epoch.tenant, epoch.probe), 0.0) + self._min_gap_s
                for epoch in self._waiting
            ),
            default=None,
        )
