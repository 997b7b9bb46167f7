"""Floor 3. The measurement queue: runs one measurement at a time, bulk tests on idle lines.

One queue for all kinds, so that no page or resolver is measured during our own bulk test. The
decisions are in `probe.schedule.admission`.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections.abc import Callable, Iterator
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import structs

from probe import clock
from probe.config import Config
from probe.measure.families import family_of_slot, family_to_measure
from probe.measure.interface_counters import counters_of
from probe.measure.kinds import MEASURES
from probe.measure.measurement import Stop
from probe.measure.runner import Runner
from probe.plan.budget import month_budget
from probe.plan.hours import idle_check_s
from probe.schedule import admission
from probe.schedule.admission import (
    AdmissionDecision,
    CrossTrafficLimits,
    QueuedMeasurement,
)
from probe.state.usage import UsageFile
from probe.version import VERSION
from wire.record import Reason, Result, Validity

log = logging.getLogger(__name__)
_TICK_S = 0.5


class MeasurementQueue:
    """A queue of measurements and the loop that runs them.

    Args:
        config: the probe's configuration.
        runner: runs the measurements.
        usage: counts the bytes of bulk tests.
        on_result: called with each result.
        pause: by line; set while a bulk test runs, to pause idle latency.
        on_command_done: called with the command's id when its measurement has ended.
    """

    def __init__(
        self,
        config: Config,
        runner: Runner,
        usage: UsageFile,
        on_result: Callable[[Result], None],
        pause: dict[str, threading.Event],
        on_command_done: Callable[[UUID], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._runner = runner
        self._usage = usage
        self._on_result = on_result
        self._pause = pause
        self._on_command_done = on_command_done
        self._servers = frozenset(server.name for server in config.servers)
        self._inbox: queue.SimpleQueue[QueuedMeasurement] = queue.SimpleQueue()
        self._waiting: list[QueuedMeasurement] = []

    def enqueue(self, wanted: QueuedMeasurement) -> None:
        """Add a measurement; from any thread."""
        self._inbox.put(wanted)

    def run(self, stopping: Stop, alive: Callable[[], None]) -> None:
        """Run queued measurements until `stopping`; calls `alive` at each step."""
        while not stopping.is_set():
            alive()
            due = admission.first_due(self._waiting, clock.monotonic_s())
            self._drain_inbox(0.0 if due else _TICK_S)
            if due is not None:
                self._waiting.remove(due)
                self._run_one(due, stopping, alive)
                if due.command_id is not None:
                    self._on_command_done(due.command_id)
        self._drain_inbox(0.0)
        for wanted in self._waiting:
            self._abandon(wanted, Reason.SHUTTING_DOWN, "the probe ended before its turn")

    def _drain_inbox(self, timeout_s: float) -> None:
        try:
            self._waiting.append(self._inbox.get(timeout=timeout_s))
            while True:
                self._waiting.append(self._inbox.get_nowait())
        except queue.Empty:
            return

    def _run_one(
        self, wanted: QueuedMeasurement, stopping: Stop, alive: Callable[[], None]
    ) -> None:
        if not MEASURES[wanted.kind].bulk:
            for result in self._results(wanted, stopping):
                self._on_result(result)
                alive()
            return
        pause = self._pause[wanted.line.id]
        pause.set()
        try:
            self._run_bulk(wanted, stopping, alive)
        finally:
            if not stopping.is_set():
                pause.clear()

    def _run_bulk(
        self, wanted: QueuedMeasurement, stopping: Stop, alive: Callable[[], None]
    ) -> None:
        left_s = None
        if self._is_over_budget(wanted):
            return
        if wanted.slot_at is not None:
            wanted, decision = self._with_idle_check(wanted, stopping)
            alive()
            if decision is AdmissionDecision.DEFER:
                self._defer(
                    admission.with_deferral(wanted, Reason.CROSS_TRAFFIC), Reason.CROSS_TRAFFIC
                )
                return
            left_s = admission.remaining_start_s(self._config, wanted, clock.utc_now())
            if left_s is not None and left_s < 0:
                self._abandon(wanted, Reason.SLOT_MISSED, admission.too_late_detail(wanted))
                return
        for result in self._results(wanted, stopping, left_s):
            alive()
            low = self._usage.count(result, self._today(), self._servers)
            deferred = admission.deferral_reason(result)
            if wanted.until is not None and deferred is not None:
                self._defer(admission.with_deferral(wanted, deferred), deferred)
            else:
                annotated = admission.with_admission_history(result, wanted, VERSION)
                self._on_result(
                    admission.with_flag(annotated, Validity.SERVER_LOW) if low else annotated
                )

    def _is_over_budget(self, wanted: QueuedMeasurement) -> bool:
        """Whether a slot is left out because the line has used up its month's budget.

        Asked for each test: a day has several, and the clock may have been set since its plan.
        """
        if wanted.slot_at is None or wanted.kept:
            return False
        self._usage.note_clock()
        today = self._today()
        budget = month_budget(self._config, wanted.line, today, self._usage.on(today))
        if budget.is_exhausted:
            log.info("%s on %s: the month's budget is used up", wanted.kind, wanted.line.id)
        return budget.is_exhausted

    def _with_idle_check(
        self, wanted: QueuedMeasurement, stopping: Stop
    ) -> tuple[QueuedMeasurement, AdmissionDecision]:
        """Compare the interface's counters over the idle check."""
        then = counters_of(wanted.line)
        stopping.wait(idle_check_s(self._config, clock.utc_now()))
        now = counters_of(wanted.line)
        plan = self._config.plan
        limits = CrossTrafficLimits(plan.cross_traffic_download_bps, plan.cross_traffic_upload_bps)
        rates_before = structs.replace(wanted, rates_before=admission.rates_between(then, now))
        return rates_before, admission.bulk_admission(then, now, limits)

    def _defer(self, wanted: QueuedMeasurement, reason: Reason) -> None:
        if reason is Reason.SERVER_BUSY:
            wanted = structs.replace(wanted, server=admission.next_server(self._config, wanted))
        now_s = clock.monotonic_s()
        again = admission.rescheduled(wanted, clock.utc_now(), now_s, random.random)
        if again is None:
            self._abandon(wanted, reason, admission.abandoned_detail(wanted, reason))
            return
        log.info(
            "%s on %s: %s; again in %.0f s",
            wanted.kind,
            wanted.line.id,
            reason,
            again.due_s - now_s,
        )
        self._waiting.append(again)

    def _abandon(self, wanted: QueuedMeasurement, reason: Reason, detail: str) -> None:
        if wanted.slot_at is not None:
            family = family_of_slot(wanted.line, wanted.family)
            result = self._runner.skipped(
                wanted.kind, wanted.line, reason, detail, wanted.slot_at, family
            )
            self._on_result(admission.with_admission_history(result, wanted, VERSION))

    def _results(
        self, wanted: QueuedMeasurement, stopping: Stop, patience_s: float | None = None
    ) -> Iterator[Result]:
        family = family_to_measure(wanted.line, wanted.server, wanted.family, stopping)
        return self._runner.run(
            wanted.kind,
            wanted.line,
            wanted.server,
            stopping,
            slot_at=wanted.slot_at,
            family=family,
            patience_s=patience_s,
        )

    def _today(self) -> date:
        return clock.utc_now().astimezone(ZoneInfo(self._config.timezone)).date()
