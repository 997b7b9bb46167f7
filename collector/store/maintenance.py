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

from collector.config import StoreConfig
from collector.store.store import Store, StoreError, Upkeep
from runtime.clock_stability import ClockStability

# How long a result waits at most until pages show it.
_ROLL_EVERY_S = 2.0
_KEEP_EVERY_S = 3_600.0
# Of a backlog as much as some seconds roll up.
_ROLLS_A_TURN = 50

log = logging.getLogger(__name__)


class Keeper:
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
        self._kept_at: datetime | None = None
        self._clock_stability = ClockStability()
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
                if self.turn(datetime.now(UTC)):
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

    def turn(self, now: datetime) -> bool:
        """Roll up what waits; keep up when an hour has passed.

        Where results come without a pause something always waits: keeping up has its turn too.
        Nothing is forgotten by a clock that has just jumped: it would be every result at once.

        Returns:
            Whether something may wait still.

        Raises:
            StoreError: the store did not do it.
        """
        is_stable = self._clock_stability.is_stable(now.timestamp(), monotonic())
        rolls = 0
        while rolls < _ROLLS_A_TURN and not self._stopping.is_set() and self._store.roll_up(now):
            rolls += 1
        if rolls:
            self._on_rolled()
        if self._kept_at is None or abs((now - self._kept_at).total_seconds()) >= _KEEP_EVERY_S:
            while not self._stopping.is_set() and self._keep_up(now, is_stable) != Upkeep():
                pass
            self._kept_at = now
        return rolls == _ROLLS_A_TURN

    def _keep_up(self, now: datetime, forget: bool) -> Upkeep:
        raw_days, rollup_days = self._config.raw_days, self._config.rollup_days
        return self._store.keep_up(
            now, (raw_days or None) if forget else None, (rollup_days or None) if forget else None
        )
