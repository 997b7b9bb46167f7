"""Floor 3. Maintenance of the store: roll-ups every few seconds, retention; packing and the check
of roll-ups against raw results at night.

One thread with short transactions, so that ingest waits for one of them at most. An error is logged
once and the work retried.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic, thread_time

from collector.rollup.periods import VIETNAM
from collector.store.leases import LeaseLostError, SoleCollector, TenantLeases
from collector.store.records import MaintenanceResult, Night
from collector.store.rollup_check import RollUpCheck
from collector.store.settings import StoreConfig
from collector.store.store import ROLL_UP_HOURS, Store, StoreError
from runtime.clock_stability import ClockStability

# The delay after which pages show a result. Where roll-ups take more than a fiftieth of a core's
# time, it is longer: a line's results of some minutes cost as much as one of them (decision 121).
_ROLL_EVERY_S, _ROLL_EVERY_MOST_S = 2.0, 180.0
_ROLL_UP_SHARE = 0.02
_MAINTAIN_EVERY_S = 3_600.0
# Roll-ups in one run; some seconds of work.
_MAX_ROLLUPS = 50
# Results of an older version are carried over for so long between two roll-ups.
_CARRY_OVER_S = 1.0
# And packed at night, for half of so long, so that half a core is left to ingest.
_REPACK_S = 2.0
NIGHT_BEGINS, NIGHT_ENDS = time(1), time(5)
# A probe may send again what it has sent since; repeats of packed results cost more to compare.
REPACK_AFTER = timedelta(hours=12)

log = logging.getLogger(__name__)


def roll_up_pause_s(took_s: float) -> float:
    """How long to wait after roll-ups that took so much of a processor's time."""
    return min(max(took_s / _ROLL_UP_SHARE, _ROLL_EVERY_S), _ROLL_EVERY_MOST_S)


class Maintenance:
    """Runs until `stop`.

    Args:
        store: the store to maintain.
        config: the retention.
        on_rolled: called after roll-ups have changed, from this thread; must not block.
        leases: with which this collector may hold the maintenance; by default it does.
    """

    def __init__(
        self,
        store: Store,
        config: StoreConfig,
        on_rolled: Callable[[], None],
        leases: TenantLeases | None = None,
    ) -> None:
        self._store = store
        self._leases = leases or SoleCollector(())
        self._config = config
        self._on_rolled = on_rolled
        self._stopping = threading.Event()
        self._maintained_at: datetime | None = None
        self._repacked_on: date | None = None
        self._check = RollUpCheck(store, config.raw_days or None, self._stopping)
        self._clock = ClockStability()
        self.trouble: str | None = None
        self.night: Night | None = None

    def run(self) -> None:
        """Roll up and maintain until `stop`, in the calling thread.

        Unexpected exceptions are logged and retried too: without this thread, pages and reports
        would silently stay as they are.
        """
        wait_s = _ROLL_EVERY_S
        while not self._stopping.wait(wait_s):
            wait_s = _ROLL_EVERY_S
            began_s = thread_time()
            try:
                if self._leases.holds_maintenance():
                    more = self.run_once(datetime.now(UTC))
                    wait_s = 0.0 if more else roll_up_pause_s(thread_time() - began_s)
            except LeaseLostError as error:
                self._leases.lost(error)
                self.trouble = None
            except StoreError as error:
                if self.trouble is None:
                    log.error("cannot roll up, trying again: %s", error)  # noqa: TRY400
                self.trouble = str(error)
                self._note_night(datetime.now(UTC), done=False, failure=self.trouble)
            except Exception as error:
                if self.trouble != repr(error):
                    log.exception("cannot roll up, trying again: this is a fault of ours")
                self.trouble = repr(error)
                self._note_night(datetime.now(UTC), done=False, failure=self.trouble)
            else:
                self.trouble = None

    def stop(self) -> None:
        """End after the current transaction. Thread-safe."""
        self._stopping.set()

    def run_once(self, now: datetime) -> bool:
        """Roll up what waits, or a part of it; maintain where an hour has passed.

        Nothing is deleted while the clock is not stable: after a jump it could be every result.

        Returns:
            Whether much may be left to roll up, to carry over, to pack, or to check.

        Raises:
            StoreError: the store cannot do it.
        """
        clock_is_stable = self._clock.is_stable(now.timestamp(), monotonic())
        more = self._roll_up(now)
        if (
            self._maintained_at is None
            or abs((now - self._maintained_at).total_seconds()) >= _MAINTAIN_EVERY_S
        ):
            while (
                not self._stopping.is_set()
                and self._maintain(now, clock_is_stable) != MaintenanceResult()
            ):
                pass
            while not self._stopping.is_set() and self._store.recheck_signatures():
                pass
            self._maintained_at = now
        left = self._carry_over() or self._repack(now) or self._check_some(now)
        self._note_night(now, done=not left)
        return left or more

    def _note_night(self, now: datetime, *, done: bool, failure: str | None = None) -> None:
        """Note in `night` that its work begins, has failed or has ended."""
        local, night = now.astimezone(VIETNAM), self.night
        if not _is_night(local):
            return
        if night is None or night.began_at.astimezone(VIETNAM).date() != local.date():
            night = Night(began_at=now)
        if night.ended_at is None:
            night = Night(
                began_at=night.began_at,
                ended_at=now if done else None,
                failure=None if done else failure or night.failure,
            )
        self.night = night

    def _carry_over(self) -> bool:
        """Carry old results over for a while; returns whether some may be left."""
        until_s = monotonic() + _CARRY_OVER_S
        while monotonic() < until_s and not self._stopping.is_set():
            if not self._store.carry_over():
                return False
        return True

    def _check_some(self, now: datetime) -> bool:
        """Compare roll-ups with raw results for a while at night; whether some may be left."""
        local = now.astimezone(VIETNAM)
        return _is_night(local) and self._check.run_portion(local.date(), now)

    def _repack(self, now: datetime) -> bool:
        """Pack old results for a while at night; returns whether some may be left."""
        local = now.astimezone(VIETNAM)
        if not self._config.repack or self._repacked_on == local.date() or not _is_night(local):
            return False
        until_s = monotonic() + _REPACK_S
        while monotonic() < until_s:
            began_s = monotonic()
            if not self._store.repack(now - REPACK_AFTER):
                self._repacked_on = local.date()
                return False
            if self._stopping.wait(monotonic() - began_s):
                break
        return True

    def _roll_up(self, now: datetime) -> bool:
        """Roll up, a number of times at most; returns whether much may be left."""
        rolled, rolls = ROLL_UP_HOURS, 0
        # What arrives meanwhile waits for more.
        while rolled >= ROLL_UP_HOURS and rolls < _MAX_ROLLUPS and not self._stopping.is_set():
            rolled = self._store.roll_up(now)
            rolls += rolled > 0
        if rolls:
            self._on_rolled()
        return rolled >= ROLL_UP_HOURS

    def _maintain(self, now: datetime, delete_old: bool) -> MaintenanceResult:
        raw_days, rollup_days = self._config.raw_days, self._config.rollup_days
        return self._store.maintain(
            now,
            (raw_days or None) if delete_old else None,
            (rollup_days or None) if delete_old else None,
        )


def _is_night(local: datetime) -> bool:
    return NIGHT_BEGINS <= local.time() < NIGHT_ENDS
