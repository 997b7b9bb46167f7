"""Floor 1. Which receipts are accepted, and which epochs are named in `info` to ask for receipts.

A receipt speaks of one epoch, and the file may hold rows of many (one for each opening). A centre
whose store was restored from a backup may not know some of them at all, and then it has no reason
to speak of them. So the probe names its epochs in each `info`, the centre answers with a receipt of
each, and a receipt of a newer generation (the centre has opened its store anew, perhaps another
one) makes the probe ask again. What was not answered is asked again at growing intervals.

Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from wire.messages import MAX_NAMED_EPOCHS, Receipt
from wire.record import Count

# Between two `info` messages that ask, but after a connect.
MIN_GAP_S = 5.0
MAX_RETRY_S = 3600.0


class ReceiptOrder(Struct, frozen=True, order=True):
    """What orders receipts: the generation of the centre's store, then the receipt's number."""

    generation: Count = 0
    number: Count = 0


class ReceiptTracker:
    """The receipts of one probe. Not thread-safe: the publisher's thread owns it.

    Args:
        retry_after_s: how long an answer may take before it is asked for again.
        newest: the highest receipt accepted before, None where there was none with a number.
    """

    def __init__(self, retry_after_s: float, newest: ReceiptOrder | None = None) -> None:
        self.newest = newest
        self._retry_after_s = self._retry_s = retry_after_s
        # None: all that are kept, at the next asking.
        self._awaited: dict[UUID, None] | None = None
        self._named: frozenset[UUID] = frozenset()
        self._asked_at_s = float("-inf")
        self._due_s = 0.0
        self._unnumbered_from_s = float("inf")

    @property
    def is_waiting(self) -> bool:
        """Whether the centre gives numbers and has still to speak of an epoch."""
        return self.newest is not None and self._awaited != {}

    def merge(self, newest: ReceiptOrder | None) -> None:
        """Take in what a file that was opened later remembers."""
        if newest is not None:
            self.newest = max(newest, self.newest or newest)

    def on_connected(self, now_s: float) -> None:
        """A new connection, on which an `info` asks about every epoch."""
        self._awaited = None
        self._unnumbered_from_s = now_s + self._retry_after_s
        self._retry_s = self._retry_after_s

    def accepts(self, receipt: Receipt, now_s: float, *, retained: bool) -> bool:
        """Whether a receipt of an epoch of ours is to be accepted; it is recorded then.

        One that is older than the newest is not: a broker, or another node of it, may have kept it
        from before the centre's store was restored. For the same reason one without a number is
        not, once there was one with a number; unless the centre has given none on this connection
        for as long as an answer may take: then its version is older than before.
        """
        if receipt.order is None:
            if self.newest is None or (not retained and now_s >= self._unnumbered_from_s):
                return True
            if not retained:
                # A centre that was sent an older `info` last does not know that we read numbers.
                self._ask_about_all(now_s)
            return False
        order = ReceiptOrder(*receipt.order)
        if self.newest is not None and order < self.newest:
            if not retained:
                # The centre has to learn which generation it must exceed.
                self._ask_about_all(now_s)
            return False
        if self.newest is None or order.generation > self.newest.generation:
            self._retry_s = self._retry_after_s
            self._ask_about_all(now_s)
        self.newest = order
        if not retained:
            # A retained one may be of a centre that is gone.
            self._unnumbered_from_s = float("inf")
        self._on_answer(receipt.epoch, now_s)
        return True

    def is_due(self, now_s: float) -> bool:
        """Whether an `info` is to be published now to ask for receipts."""
        return self.is_waiting and now_s >= self._due_s

    def name(self, kept: Sequence[UUID], now_s: float) -> list[UUID]:
        """The epochs to name in an `info` that is published now.

        Args:
            kept: the epochs of which there are rows, the newest first.
            now_s: monotonic seconds.
        """
        waiting = dict.fromkeys(kept) if self._awaited is None else self._awaited
        self._awaited = {epoch: None for epoch in kept if epoch in waiting}
        others = (epoch for epoch in kept if epoch not in waiting)
        named = [*self._awaited, *others][:MAX_NAMED_EPOCHS]
        self._named = frozenset(named)
        self._asked_at_s = now_s
        self._due_s = now_s + self._retry_s
        self._retry_s = min(2 * self._retry_s, MAX_RETRY_S)
        return named

    def _ask_about_all(self, now_s: float) -> None:
        self._awaited = None
        self._due_s = max(now_s, self._asked_at_s + MIN_GAP_S)

    def _on_answer(self, epoch: UUID, now_s: float) -> None:
        if self._awaited is None:
            return
        self._awaited.pop(epoch, None)
        if self._awaited and self._named.isdisjoint(self._awaited):
            # All that an `info` had room for are answered: the next ones.
            self._retry_s = self._retry_after_s
            self._due_s = max(now_s, self._asked_at_s + MIN_GAP_S)
