"""Floor 3. The daemon: wires the parts together, runs the main loop and shuts down.

Threads: one for each line's latency, one for the measurement queue, the publisher, the display, the
lines' operators; the main thread has the timetable, the watchdog and the signals. When a thread
makes no progress the watchdog is not fed, and systemd restarts the daemon.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from functools import partial
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import structs

from probe import clock, config_file, events
from probe.availability import minutes
from probe.availability.monitor import AVAILABILITY, AvailabilityMonitor
from probe.commands.executor import CommandActions, CommandExecutor
from probe.config import Config, LineConfig
from probe.deliver.publisher import Publisher
from probe.measure import host, line_networks, resolvers
from probe.measure.families import family_to_measure
from probe.measure.kinds import MEASURES
from probe.measure.measurement import Stop
from probe.measure.operator.watch import OperatorWatch
from probe.measure.runner import Runner
from probe.plan.budget import bulk_kinds, published_plan
from probe.plan.family_rotation import planned_families
from probe.plan.slots import day_plan, light_slots
from probe.plan.usage import Usage
from probe.schedule.admission import QueuedMeasurement
from probe.schedule.queue import MeasurementQueue
from probe.schedule.slot_dispatcher import SlotDispatcher
from probe.schedule.timetable import Timetable
from probe.show.display import Display
from probe.state import ceilings
from probe.state.usage import UsageFile
from probe.version import VERSION
from runtime import systemd_notify
from runtime.mqtt import Received
from runtime.settings import SettingsError
from wire.messages import Ceiling, Info, PlannedKind
from wire.result import LatencyResult, Outcome, Result, kind_of

log = logging.getLogger(__name__)

LATENCY = kind_of(LatencyResult)
# How long LEDs flash for `tramdo-probe identify`.
IDENTIFY_S = 60.0
_TICK_S = 0.5
_MINUTES_A_DAY = 1440
# Added to the longest time that a thread's work may take before it counts as hung.
_GRACE_S = 60.0


class Daemon:
    """The running probe with one configuration, until `stop` or `reload`.

    Args:
        config: what it measures.
        digest: the configuration's.
        config_path: its file.
        slots_checked: until when the daemon before a reload has fired its slots.

    Raises:
        OSError: the state or runtime directory cannot be made.
    """

    def __init__(
        self,
        config: Config,
        digest: str,
        config_path: Path,
        slots_checked: datetime | None = None,
    ) -> None:
        self._config = config
        self._config_path = config_path
        Path(config.state_dir).mkdir(parents=True, exist_ok=True)
        Path(config.runtime_dir).mkdir(parents=True, exist_ok=True)
        self._display = Display(config, VERSION)
        known = ceilings.read(config.state_dir)
        self._operators = OperatorWatch(config)
        self._runner = Runner(config, self._display.emit, known, operator_of=self._operators.of)
        health = partial(
            host.health,
            directory=config.state_dir,
            leds=self._display.leds,
            lines=self._display.line_states,
            operators=self._operators.operators,
            certificate_file=config.broker.certificate_file,
        )
        self._usage = UsageFile(config.state_dir, ZoneInfo(config.timezone))
        self._publisher = Publisher(
            config,
            Path(config.state_dir) / "outbox.sqlite",
            self._display.emit,
            partial(_info, config, digest, clock.utc_now(), list(known.values()), self._usage.on),
            health,
            self._on_command,
        )
        self._planned: date | None = None
        self._stopping = threading.Event()
        self._reload = threading.Event()
        self._identify = threading.Event()
        self._alive_at_s: dict[str, float] = {}
        # Idle latency pauses while a bulk test fills its line (docs/method.md#latency, L14).
        self._pause = {line.id: threading.Event() for line in config.lines}
        self._queue = MeasurementQueue(
            config,
            self._runner,
            self._usage,
            self._on_result,
            self._pause,
            self._on_command_measured,
        )
        dispatcher = SlotDispatcher(config, self._runner, self._queue.enqueue, self._on_result)
        self._timetable = Timetable(dispatcher.fire, slots_checked)
        self._commands = CommandExecutor(
            config,
            config_path,
            self._usage,
            CommandActions(
                measure=self._queue.enqueue,
                replay=self._publisher.replay,
                reload=self.reload,
                emit=self._display.emit,
                reply=self._publisher.reply,
            ),
        )
        self._availability = AvailabilityMonitor(
            config, self._runner.derived, self._queue.enqueue, self._on_result
        )

    @property
    def slots_checked(self) -> datetime | None:
        """Until when slots have been fired; for the daemon after a reload."""
        return self._timetable.checked

    def stop(self) -> None:
        """Stop soon; safe in a signal handler."""
        self._stopping.set()

    def reload(self) -> None:
        """Load a new configuration if it is valid; safe in a signal handler."""
        self._reload.set()

    def identify(self) -> None:
        """Flash the LEDs for a minute; safe in a signal handler."""
        self._identify.set()

    def run(self, *, round_now: bool = False) -> bool:
        """Measure and deliver until `stop`.

        Returns:
            True where a valid new configuration is to be loaded, False to exit.
        """
        threads = self._start()
        if round_now:
            self._enqueue_round()
        systemd_notify.ready()
        takes_new = False
        try:
            while not self._stopping.wait(_TICK_S):
                self._plan_day()
                self._timetable.run_due(clock.utc_now())
                self._availability.tick()
                self._feed_watchdog()
                if self._identify.is_set():
                    self._identify.clear()
                    until_s = clock.monotonic_s() + IDENTIFY_S
                    self._display.emit(events.IdentifyRequested(until_s))
                if self._reload.is_set() and self._accepts_reload():
                    takes_new = True
                    break
            return takes_new
        finally:
            # After STOPPING=1 systemd kills the service in a while, and a reload goes on.
            if not takes_new:
                systemd_notify.stopping()
            self._end(threads)

    def run_once(self, deliver_within_s: float) -> list[str]:
        """Run one round of every kind on every line, deliver it, and stop.

        Returns:
            A sentence for each failure; empty where all went well.
        """
        self._display.start()
        self._publisher.start()
        problems: list[str] = []
        try:
            self._operators.ask_due(self._stopping)
            for wanted in self._round(
                kind for kind, one in MEASURES.items() if one.enabled(self._config)
            ):
                problems += [
                    f"{result.line.id}: {result.kind} {result.target or ''}: "
                    f"{result.outcome} ({result.reason}): {result.detail}"
                    for result in self._measure(wanted, self._stopping)
                    if result.outcome is not Outcome.OK
                ]
                if self._stopping.is_set():
                    return [*problems, "stopped before the round was complete"]
            self._availability.close()
            if not self._publisher.wait_delivered(deliver_within_s, self._stopping):
                problems.append(f"the centre did not confirm all results in {deliver_within_s} s")
            return problems
        finally:
            self._end([])

    def _on_command(self, received: Received) -> None:
        self._commands.on_message(received)

    def _on_command_measured(self, command_id: UUID) -> None:
        self._commands.on_measured(command_id)

    def _start(self) -> list[threading.Thread]:
        self._display.start()
        self._publisher.start()
        self._commands.send_pending_done()
        alive = partial(self._alive, "scheduled")
        threads = [
            threading.Thread(
                target=self._queue.run,
                args=(self._stopping, alive),
                name="scheduled",
                daemon=True,
            )
        ]
        if self._operators.enabled:
            # Not watched: it waits for servers and routers, and nothing waits for it.
            threading.Thread(
                target=self._operators.run,
                args=(self._stopping,),
                name="operators",
                daemon=True,
            ).start()
        if self._config.latency.enabled:
            threads += [
                threading.Thread(
                    target=self._latency_loop, args=(line,), name=f"latency-{line.id}", daemon=True
                )
                for line in self._config.lines
            ]
        for thread in threads:
            self._alive(thread.name)
            thread.start()
        return threads

    def _end(self, threads: Iterable[threading.Thread]) -> None:
        self._stopping.set()
        for pause in self._pause.values():
            pause.set()
        for thread in threads:
            thread.join(10)
        self._availability.close()
        self._publisher.stop()
        self._display.stop()

    def _latency_loop(self, line: LineConfig) -> None:
        wanted = QueuedMeasurement(kind=LATENCY, line=line, server=self._config.servers[0])
        pause = self._pause[line.id]
        while not self._stopping.is_set():
            self._alive(threading.current_thread().name)
            if pause.is_set():
                self._stopping.wait(_TICK_S)
                continue
            for _ in self._measure(wanted, pause, continuous=True):
                self._alive(threading.current_thread().name)

    def _measure(
        self, wanted: QueuedMeasurement, stop: Stop, *, continuous: bool = False
    ) -> Iterator[Result]:
        for result in self._runner.run(
            wanted.kind,
            wanted.line,
            wanted.server,
            stop,
            slot_at=wanted.slot_at,
            continuous=continuous,
            family=family_to_measure(wanted.line, wanted.server, wanted.family, stop),
        ):
            self._on_result(result)
            yield result

    def _on_result(self, result: Result) -> None:
        self._publisher.submit(result)
        self._availability.note(result)
        line = self._config.line(result.line.id)
        within = line is not None and minutes.is_within_office(result, line_networks.of_line(line))
        if not within:
            self._operators.note(result)
        self._display.emit(events.ResultProduced(result, within))

    def _plan_day(self) -> None:
        now = clock.utc_now()
        today = now.astimezone(ZoneInfo(self._config.timezone)).date()
        if today != self._planned:
            # Each month has a plan of its own, by which the centre counts what is missing.
            if self._planned is not None:
                self._publisher.republish_info()
            self._planned = today
            # What is left of a budget is asked when a slot's turn comes: by then the clock is set.
            usage = structs.replace(self._usage.on(today), used_bytes={})
            bulk = day_plan(resolvers.with_resolvers(self._config), today, usage).slots
            light = light_slots(self._config, _light_kinds(self._config), today)
            self._timetable.load([*bulk, *light], now)
            log.info("planned %s; next slot at %s", today, self._timetable.next_at())

    def _round(self, kinds: Iterable[str]) -> Iterator[QueuedMeasurement]:
        # Bulk kinds alternate between families, so that one round has both.
        for place, kind in enumerate(kinds):
            for number, line in enumerate(self._config.lines):
                server = self._config.servers[number % len(self._config.servers)]
                families = planned_families(line)
                family = families[(place + number) % len(families)] if MEASURES[kind].bulk else None
                yield QueuedMeasurement(kind=kind, line=line, server=server, family=family)

    def _enqueue_round(self) -> None:
        # With a slot, so that it waits for an idle line and counts in the centre's means.
        now = clock.utc_now()
        for wanted in self._round(kind for kind, one in MEASURES.items() if one.bulk):
            self._queue.enqueue(structs.replace(wanted, slot_at=now, kept=True))

    def _alive(self, thread_name: str) -> None:
        self._alive_at_s[thread_name] = clock.monotonic_s()

    def _feed_watchdog(self) -> None:
        """Feed the watchdog while every thread makes progress."""
        now_s = clock.monotonic_s()
        window_s = self._config.latency.window_s + self._config.latency.timeout_s
        bulk_s = max((one.longest_s for one in bulk_kinds(self._config)), default=0.0)
        bulk_s += self._config.throughput.busy_limit_s
        allowed_s = max(window_s, bulk_s) + _GRACE_S
        ages = {name: now_s - at_s for name, at_s in self._alive_at_s.items()}
        ages["publisher"] = now_s - self._publisher.alive_at_s
        hung = [name for name, age_s in ages.items() if age_s > allowed_s]
        if hung:
            log.error("no progress for %d s in: %s", allowed_s, ", ".join(sorted(hung)))
        else:
            systemd_notify.watchdog()

    def _accepts_reload(self) -> bool:
        self._reload.clear()
        try:
            config_file.load(self._config_path)
        except SettingsError as error:
            log.error("the new configuration is refused, the old one stays: %s", error)  # noqa: TRY400 - the sentence says it all
            self._display.emit(events.Fault("config", error.phrase()))
            return False
        return True


def _light_kinds(config: Config) -> list[str]:
    """The light kinds that have slots; a continuous kind needs none."""
    return [
        kind
        for kind, one in MEASURES.items()
        if not one.bulk and one.continuous is None and one.enabled(config)
    ]


def _info(
    config: Config,
    digest: str,
    started_at: datetime,
    known_ceilings: list[Ceiling],
    usage_on: Callable[[date], Usage],
    epoch: UUID,
) -> Info:
    today = clock.utc_now().astimezone(ZoneInfo(config.timezone)).date()
    per_day: dict[str, float] = dict.fromkeys(
        _light_kinds(config), _MINUTES_A_DAY // config.plan.light_every_min
    )
    if config.latency.enabled:
        per_day[LATENCY] = round(86_400 / config.latency.window_s, 4)
        per_day[AVAILABILITY] = _MINUTES_A_DAY // config.availability.report_every_min
    return Info(
        probe_version=VERSION,
        epoch=epoch,
        site=config.site,
        lines=[line.identity for line in config.lines],
        plan=[
            *published_plan(resolvers.with_resolvers(config), today, usage_on(today)),
            *(PlannedKind(kind, count) for kind, count in per_day.items()),
        ],
        config_hash=digest,
        started_at=started_at,
        ceilings=known_ceilings,
    )
