"""Floor 1. When receipts are published, and with which numbers. Knows no store and no broker."""

from __future__ import annotations

from msgspec import structs

from collector.store.messages import EpochKey
from collector.store.records import NamedEpochs
from wire.ledger import Ledger
from wire.messages import Receipt

# Between two answers to one probe, and longer after one of many ranges (35 bytes of a receipt
# each): what a probe that asks without end can cost.
ANSWER_GAP_S = 2.0
RANGES_PER_S = 2_500
# Looked up in one turn, so that results do not wait for the answers to a whole fleet.
_MAX_ANSWERED = 1_000
_MAX_GENERATION = 2**53 - 1


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


class ReceiptNumbers:
    """The generation and number of each receipt, for the probes that read them.

    The generation is that of the store's opening (`Store.open_generation`). A probe that has seen a
    higher one, because the centre's clock was ahead when the store that is lost was opened, says so
    in its `info`, and its receipts get the next higher. What a probe states costs itself alone.
    """

    def __init__(self) -> None:
        self.generation: int | None = None
        self._published = 0
        self._generations: dict[tuple[str, str], int] = {}
        self._numbered: set[tuple[str, str]] = set()

    def learn(self, named: NamedEpochs) -> None:
        """Take in what a probe says of itself in its `info`."""
        probe = named.tenant, named.probe
        if not named.reads_numbers:
            self._numbered.discard(probe)
            return
        self._numbered.add(probe)
        if named.receipt_generation > self._generation_for(probe):
            self._generations[probe] = min(named.receipt_generation + 1, _MAX_GENERATION)

    def reads_numbers(self, key: EpochKey) -> bool:
        """Whether a probe is known to read numbered receipts; older ones refuse them."""
        return (key.tenant, key.probe) in self._numbered

    def numbered(self, key: EpochKey, receipt: Receipt) -> Receipt:
        """The receipt with its generation and the next number."""
        self._published += 1
        return structs.replace(
            receipt,
            generation=self._generation_for((key.tenant, key.probe)),
            number=self._published,
        )

    def _generation_for(self, probe: tuple[str, str]) -> int:
        return max(self.generation or 0, self._generations.get(probe, 0))


class EpochRequests:
    """The epochs that probes have named and await receipts of, answered at intervals.

    A later `info` replaces the one before it. Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], NamedEpochs] = {}
        self._closed_until_s: dict[tuple[str, str], float] = {}

    def add(self, named: NamedEpochs) -> None:
        """Record what a probe has named."""
        self._waiting[named.tenant, named.probe] = named

    def due(self, now_s: float) -> list[NamedEpochs]:
        """What is to be answered now, as much as one turn may take; it stays until `answered`."""
        closed = self._closed_until_s.items()
        self._closed_until_s = {probe: until_s for probe, until_s in closed if until_s > now_s}
        found, count = [], 0
        for probe, named in self._waiting.items():
            if count >= _MAX_ANSWERED:
                break
            if probe not in self._closed_until_s:
                found.append(named)
                count += len(named.epochs)
        return found

    def answered(self, named: NamedEpochs, ranges: int, now_s: float) -> None:
        """Remove what was answered, by ledgers of so many ranges together."""
        probe = named.tenant, named.probe
        self._waiting.pop(probe, None)
        self._closed_until_s[probe] = now_s + ANSWER_GAP_S + ranges / RANGES_PER_S

    def next_due_s(self) -> float | None:
        """When the next answer is due (monotonic s), None when nothing is asked."""
        return min(
            (self._closed_until_s.get(probe, 0.0) for probe in self._waiting),
            default=None,
        )
