"""Floor 3. What the store needs beside ingest: rolling up every few seconds, retention by the hour.

One thread. It takes the store's lock for short transactions, so ingest waits for one of them at
most; when it cannot, it says so once and tries again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

from collector.store.records import MaintenanceResult
from collector.store.settings import StoreConfig
from collector.store.store import Store, StoreError
from runtime.clock_stability import ClockStability

# How long a result waits at most until pages show it.
_ROLL_EVERY_S = 2.0
_MAINTAIN_EVERY_S = 3_600.0
# Of a backlog as much as some seconds roll up.
_MAX_ROLLUPS = 50

log = logging.getLogger(__name__)


class Maintenance:
    """Runs until `stop`.

    Args:
        store: what is kept up.
        config: how long what is kept.
        on_rolled: called when roll-ups have changed, from this thread; must not block.
    """

    def __init__(self, store: Store, config: StoreConfig, on_rolled: Callable[[], None]) -> None:
        self._store = store
        self._config = config
        self._on_rolled = on_rolled
        self._stopping = threading.Event()
        self._maintained_at: datetime | None = None
        self._clock = ClockStability()
        self.trouble: str | None = None

    def run(self) -> None:
        """Roll and keep up until `stop`, from one thread; what waits then waits in the store.

        What nobody foresaw is logged and tried again too: a thread that ended would leave pages
        and papers at the figures of that moment, and nobody would see it.
        """
        wait_s = _ROLL_EVERY_S
        while not self._stopping.wait(wait_s):
            wait_s = _ROLL_EVERY_S
            try:
                if self.run_once(datetime.now(UTC)):
                    wait_s = 0.0
            except StoreError as error:
                if self.trouble is None:
                    log.error("cannot roll up, trying again: %s", error)  # noqa: TRY400
                self.trouble = str(error)
            except Exception as error:
                if self.trouble != repr(error):
                    log.exception("cannot roll up, trying again: this is a fault of ours")
                self.trouble = repr(error)
            else:
                self.trouble = None

    def stop(self) -> None:
        """End after the transaction in hand. From any thread."""
        self._stopping.set()

    def run_once(self, now: datetime) -> bool:
        """Roll up what waits; keep up when an hour has passed.

        Where results come without a pause something always waits: keeping up has its turn too.
        Nothing is forgotten by a clock that has just jumped: it would be every result at once.

        Returns:
            Whether something may wait still.

        Raises:
            StoreError: the store did not do it.
        """
        clock_is_stable = self._clock.is_stable(now.timestamp(), monotonic())
        rolls = 0
        while rolls < _MAX_ROLLUPS and not self._stopping.is_set() and self._store.roll_up(now):
            rolls += 1
        if rolls:
            self._on_rolled()
        if (
            self._maintained_at is None
            or abs((now - self._maintained_at).total_seconds()) >= _MAINTAIN_EVERY_S
        ):
            while (
                not self._stopping.is_set()
                and self._maintain(now, clock_is_stable) != MaintenanceResult()
            ):
                pass
            self._maintained_at = now
        return rolls == _MAX_ROLLUPS

    def _maintain(self, now: datetime, delete_old: bool) -> MaintenanceResult:
        raw_days, rollup_days = self._config.raw_days, self._config.rollup_days
        return self._store.maintain(
            now,
            (raw_days or None) if delete_old else None,
            (rollup_days or None) if delete_old else None,
        )
