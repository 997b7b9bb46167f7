"""Floor 3. The slot dispatcher: queues each slot that the timetable fires at its time.

The timetable goes by the wall clock, so a clock that jumped and a host that slept fire slots far
from their times. Those become skipped results.
"""

from __future__ import annotations

from collections.abc import Callable

from probe.clock import HOST_CLOCKS, Clocks
from probe.config import Config
from probe.measure.families import family_of_slot
from probe.measure.runner import Runner
from probe.plan.slots import Slot
from probe.schedule.admission import QueuedMeasurement
from wire.result import Reason, Result

# A slot that fires earlier or later than this is not measured (ours).
SLOT_TOLERANCE_S = 120.0


class SlotDispatcher:
    """Takes slots as they fire.

    Args:
        config: the probe's configuration.
        runner: makes the skipped results.
        enqueue: called with the measurement of a slot that fires in time.
        on_result: called with the skipped result of one that does not.
        clocks: the wall clock that slots are compared with.
    """

    def __init__(
        self,
        config: Config,
        runner: Runner,
        enqueue: Callable[[QueuedMeasurement], None],
        on_result: Callable[[Result], None],
        clocks: Clocks = HOST_CLOCKS,
    ) -> None:
        self._config = config
        self._runner = runner
        self._enqueue = enqueue
        self._on_result = on_result
        self._clocks = clocks

    def fire(self, slot: Slot) -> None:
        """Queue the slot's measurement, or report it as missed."""
        line = self._config.line(slot.line_id)
        server = next(one for one in self._config.servers if one.name == slot.server_name)
        if line is None:
            return
        late_s = (self._clocks.utc_now() - slot.at).total_seconds()
        if abs(late_s) > SLOT_TOLERANCE_S:
            detail = f"the slot came {late_s:.0f} s away from its time: the clock has jumped"
            self._on_result(
                self._runner.skipped(
                    slot.kind,
                    line,
                    Reason.SLOT_MISSED,
                    detail,
                    slot.at,
                    family_of_slot(line, slot.family),
                )
            )
            return
        self._enqueue(
            QueuedMeasurement(
                kind=slot.kind,
                line=line,
                server=server,
                slot_at=slot.at,
                family=slot.family,
                until=slot.until,
                kept=slot.kept,
            )
        )
