"""Floor 3. Compares roll-ups with raw results at night, some lines each night.

In short portions, at half a core. What differs is noted in the store, where alerts are made of it
(`collector.alerts.monitor`) until the days have been rebuilt.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import date, datetime
from time import monotonic

from collector.store.rollup_sample import LineDay, of_night
from collector.store.store import RebuildRefusedError, Store

_PORTION_S = 2.0
log = logging.getLogger(__name__)


class RollUpCheck:
    """The check of one store.

    Args:
        store: the store.
        raw_days: so long raw results are kept; None: for ever.
        stopping: when it is set, the check pauses.
    """

    def __init__(self, store: Store, raw_days: int | None, stopping: threading.Event) -> None:
        self._store = store
        self._raw_days = raw_days
        self._stopping = stopping
        self._night: date | None = None
        self._left: Iterator[LineDay] = iter(())
        self._compared = 0

    def run_portion(self, night: date, now: datetime) -> bool:
        """Compare for a while; returns whether some of the night's lines are left.

        A collector that was started again begins its night's lines anew. Raises StoreError.
        """
        if night != self._night:
            lines = self._store.summaries.lines()
            self._night, self._compared = night, 0
            self._left = of_night(lines, night, self._raw_days)
        until_s = monotonic() + _PORTION_S
        for one in self._left:
            began_s = monotonic()
            self._compare(one, now)
            if self._stopping.wait(monotonic() - began_s) or monotonic() >= until_s:
                return True
        if self._compared:
            log.info("%d roll-ups of days and months compared with raw results", self._compared)
            self._compared = 0
        return False

    def _compare(self, one: LineDay, now: datetime) -> None:
        try:
            found = self._store.rollup_differences(one.line, one.day, whole_month=one.whole_month)
        except RebuildRefusedError as error:
            log.warning("%s cannot be compared: %s", "/".join(one.line), error)
            return
        self._compared += 1
        if found:
            log.error(
                "roll-ups of %s in %s differ from raw results: %s is %s, and not %s; "
                "`tramdo-collector rollup rebuild` mends it",
                "/".join(one.line),
                one.name,
                found[0].figures[0].figure,
                found[0].figures[0].rolled_up,
                found[0].figures[0].raw,
            )
        self._store.note_differences(one.line, one.name, found, now)
