"""Floor 3. One probe of a fleet: the product's publisher, outbox and plan, on a `Loop`.

It measures nothing: what its lines give is in `fleet_values`. When results come is the product's
plan (light kinds and bulk tests) and a latency window a minute on each line, from a phase of its
own. Each result has a boot and a time since boot that no other has, by which it is found again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, structs

from bench import workload
from bench.fleet_loop import Loop, PolledSession
from bench.fleet_values import IspFault, LineValues, backlog
from probe import clock, config, events
from probe.config import Config, DeliveryConfig, LatencyConfig, LineConfig, ServerConfig
from probe.deliver.outbox import Outbox
from probe.deliver.publisher import Publisher
from probe.deliver.writer import OutboxWriter
from probe.plan.slots import Slot, day_plan, light_slots
from probe.plan.spread import fraction
from runtime.broker import BrokerConfig
from tests import samples
from wire.messages import Health, Info
from wire.record import Clock, Line
from wire.result import Result, encode_result
from wire.site import Site

LINES = (Line("vnpt", "VNPT", "eth0"), Line("viettel", "Viettel", "eth1"))
_LIGHT = ("dns", "web", "path")
# A turn where nothing has come: the product takes one each half second.
_IDLE_S, _WAITING_S = 10.0, 1.0
_CLOCK_OFF = timedelta(days=400)


class FleetSpec(Struct, frozen=True, kw_only=True):
    """What every probe of a fleet is like.

    Attributes:
        seed: of all values, phases and troubles.
        tenant: of all.
        broker: how they reach it; with certificates, `{name}.pem` and `{name}.key` of a folder.
        certificates: that folder, None without.
        folder: of their outboxes.
        window_s: how often each line has latency windows.
        faults: of their ISPs.
        bulk_plans: so many probes have their bulk tests planned (17 ms of processor time each).
        backlog: so many results are in the outboxes of `backlog_ratio` of the probes at the start.
        wrong_clock_ratio: so many have a clock that is off for `wrong_clock_s`.
        resend_after_s: as `delivery.resend_after_s`.
        as_version_0_1_0: whether results have that version's fields alone, for an older centre.
    """

    seed: int
    tenant: str
    broker: BrokerConfig
    certificates: Path | None = None
    folder: Path
    window_s: float = 60.0
    faults: tuple[IspFault, ...] = ()
    bulk_plans: int = 1_000
    backlog: int = 0
    backlog_ratio: float = 0.05
    wrong_clock_ratio: float = 0.02
    wrong_clock_s: float = 20.0
    resend_after_s: float = 60.0
    as_version_0_1_0: bool = False


class _OlderWriter(OutboxWriter):
    """Writes results as version 0.1.0 had them."""

    def _store(self, outbox: Outbox, results: Sequence[Result]) -> None:
        ordered = sorted(results, key=lambda result: result.kind)
        outbox.put([(one.kind, workload.body(one)) for one in ordered], time.time())
        self.pending += len(ordered)


class PolledPublisher(Publisher):
    """The publisher without its thread; its owner calls `run_once`."""

    @property
    def writer(self) -> OutboxWriter:
        """What owns the outbox."""
        return self._writer

    @property
    def session(self) -> PolledSession:
        """The session."""
        assert isinstance(self._session, PolledSession)
        return self._session

    def as_version_0_1_0(self, path: Path, settings: DeliveryConfig) -> None:
        """Write results as that version did."""
        self._writer = _OlderWriter(path, settings, self._chain)

    def start(self) -> None:
        """Start the session alone."""
        self._session.start()

    def end(self) -> None:
        """Close the outbox, then the session."""
        self._stopping.set()
        while self.run_once(0.0):
            continue
        self._session.stop()


class FleetProbe:
    """One probe.

    Args:
        loop: whose thread it lives in.
        spec: what it is like.
        number: which one it is.
    """

    def __init__(self, loop: Loop, spec: FleetSpec, number: int) -> None:
        self._loop, self._spec, self.name = loop, spec, probe_name(number)
        self._boot = str(UUID(int=spec.seed * 10**9 + number, version=4))
        # By a boot and a time since it results are found again: none has another's.
        self._boot_offset_s = clock.boottime_s() - 1.0
        self._last_boottime_s = 0.0
        self._lines = [LineValues(spec.seed, self.name, line, spec.faults) for line in LINES]
        self._path = spec.folder / f"{self.name}.sqlite"
        self._config = _config(spec, self.name)
        self._clock_is_wrong = self._draw("clock") < spec.wrong_clock_ratio
        self._awaited: deque[tuple[int, float]] = deque()
        self.submitted = 0
        self.confirmed_s: list[float] = []
        self.is_connected = False
        self.waits_s: list[float] = []
        self._down_since_s: float | None = None
        self._is_cut_until_s = 0.0
        self._produces = True
        self._is_finished = False
        self._turn_due_s = float("inf")
        self._later: list[Slot] = []
        self.filled = self._fill_backlog()
        self.publisher = self._publisher()

    def start(self) -> None:
        """Connect; results come from now on."""
        self._down_since_s = time.monotonic()
        self.publisher.start()
        now_s, wall_s = time.monotonic(), time.time()
        for line in self._lines:
            phase = fraction(f"{self.name}/{line.line.id}/window")
            self._loop.at(now_s + phase * self._spec.window_s, partial(self._minute, line))
        self._later = [one for one in self._slots() if one.at.timestamp() > wall_s]
        self._later.sort(key=lambda slot: slot.at, reverse=True)
        self._await_slot()
        if self._clock_is_wrong:
            self._loop.at(now_s + self._spec.wrong_clock_s, self._mend_clock)
        self.turn()

    def produce(self, *, on: bool) -> None:
        """Whether results come."""
        self._produces = on

    def cut(self, seconds: float) -> None:
        """Both lines are down: nothing connects, and windows lose all."""
        self._is_cut_until_s = time.monotonic() + seconds
        self.publisher.session.cut(seconds)

    def turn(self) -> None:
        """Store and send what is due, and note what was confirmed."""
        if self._is_finished:
            return
        writer = self.publisher.writer
        self.publisher.run_once(0.0)
        self.publisher.session.flush()
        outbox = writer.outbox
        if outbox is not None and self._awaited:
            self._note_confirmed(outbox)
        idle_s = _WAITING_S if self._awaited or writer.pending else _IDLE_S
        self._turn_at(time.monotonic() + writer.patience_s(idle_s))

    @property
    def is_delivered(self) -> bool:
        """Whether the centre has confirmed everything."""
        return self.publisher.writer.idle

    def finish(self) -> tuple[dict[str, int], dict[tuple[str, int], str]]:
        """End; the last number of each epoch of the outbox, and the token under each number."""
        last: dict[str, int] = {}
        tokens: dict[tuple[str, int], str] = {}
        outbox = self.publisher.writer.outbox
        assert outbox is not None
        for epoch in outbox.epochs:
            if (rows := outbox.epochs.rows(epoch, outbox.last_row)) is not None:
                last[str(epoch)] = rows[1] - rows[0] + 1
                for one in outbox.kept(*rows, rows[1] - rows[0] + 1):
                    tokens[str(epoch), one.row - rows[0] + 1] = token_of(one.body)
        self._is_finished = True
        self.publisher.end()
        return last, tokens

    def _minute(self, values: LineValues) -> None:
        now_s = time.monotonic()
        self._loop.at(now_s + self._spec.window_s, partial(self._minute, values))
        if self._produces:
            at = self._now() - timedelta(seconds=60)
            for result in values.windows(at, is_down=now_s < self._is_cut_until_s):
                self._submit(result)
            self.turn()

    def _await_slot(self) -> None:
        if self._later:
            slot = self._later.pop()
            wait_s = slot.at.timestamp() - time.time()
            self._loop.at(time.monotonic() + wait_s, partial(self._fire, slot))

    def _fire(self, slot: Slot) -> None:
        self._await_slot()
        if self._produces:
            values = next(one for one in self._lines if one.line.id == slot.line_id)
            self._submit(values.of_slot(slot, self._now()))
            self.turn()

    def _slots(self) -> list[Slot]:
        """The plan of the present day."""
        day = datetime.now(ZoneInfo(self._config.timezone)).date()
        slots = light_slots(self._config, _LIGHT, day)
        if int(self.name.split("-")[1]) < self._spec.bulk_plans:
            slots += day_plan(self._config, day).slots
        return slots

    def _submit(self, result: Result) -> None:
        self.submitted += 1
        self._awaited.append((self.filled + self.submitted, time.monotonic()))
        self.publisher.submit(self._stamped(result))

    def _stamped(self, result: Result) -> Result:
        """With this probe's clock, at a time since boot that no other result has."""
        boottime_s = max(round(self._boottime_s(), 3), round(self._last_boottime_s + 0.001, 3))
        self._last_boottime_s = boottime_s
        reading = Clock(not self._clock_is_wrong, self._boot, boottime_s)
        return structs.replace(result, clock=reading)

    def _now(self) -> datetime:
        now = clock.utc_now()
        return now - _CLOCK_OFF if self._clock_is_wrong else now

    def _boottime_s(self) -> float:
        return clock.boottime_s() - self._boot_offset_s

    def _reading(self) -> Clock:
        return Clock(not self._clock_is_wrong, self._boot, self._boottime_s())

    def _mend_clock(self) -> None:
        self._clock_is_wrong = False
        self.turn()

    def _fill_backlog(self) -> int:
        """What waits from before the start, in an epoch of its own; how many."""
        if not self._spec.backlog or self._draw("backlog") >= self._spec.backlog_ratio:
            return 0
        results = backlog(self._lines[0], clock.utc_now(), self._spec.backlog)
        # Before this boot, so that the times since boot are another's.
        boot = str(UUID(int=UUID(self._boot).int ^ (1 << 64)))
        stamped = (
            structs.replace(one, clock=Clock(True, boot, float(place)))
            for place, one in enumerate(results, start=1)
        )
        encode = workload.body if self._spec.as_version_0_1_0 else encode_result
        with closing(Outbox(self._path)) as outbox:
            outbox.put([(one.kind, encode(one)) for one in stamped], time.time())
        return len(results)

    def _publisher(self) -> PolledPublisher:
        publisher = PolledPublisher(
            self._config,
            self._path,
            self._on_event,
            self._info,
            self._health,
            read_clock=self._reading,
            new_session=partial(PolledSession, self._loop, self.turn),
        )
        if self._spec.as_version_0_1_0:
            publisher.as_version_0_1_0(self._path, self._config.delivery)
        return publisher

    def _on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.DeliveryStatus) or event.connected == self.is_connected:
            return
        self.is_connected = event.connected
        now_s = time.monotonic()
        if event.connected and self._down_since_s is not None:
            self.waits_s.append(now_s - self._down_since_s)
        self._down_since_s = None if event.connected else now_s

    def _note_confirmed(self, outbox: Outbox) -> None:
        covered, now_s = outbox.coverage, time.monotonic()
        while self._awaited and self._awaited[0][0] <= covered.through:
            row, since_s = self._awaited[0]
            if any(first <= row <= last for first, last in covered.missing):
                break
            self._awaited.popleft()
            self.confirmed_s.append(now_s - since_s)

    def _turn_at(self, when_s: float) -> None:
        """One turn is due at a time: an earlier one takes the place of a later one."""
        if when_s < self._turn_due_s:
            self._turn_due_s = when_s
            self._loop.at(when_s, partial(self._due, when_s))

    def _due(self, when_s: float) -> None:
        if when_s == self._turn_due_s:
            self._turn_due_s = float("inf")
            self.turn()

    def _info(self, epoch: UUID) -> Info:
        site = self._config.site
        return structs.replace(samples.info(lines=LINES, epoch=epoch), site=site)

    def _health(self, pending: int, outbox_bytes: int) -> Health:
        return structs.replace(
            samples.health(pending=pending, at=clock.utc_now()), outbox_bytes=outbox_bytes
        )

    def _draw(self, what: str) -> float:
        return fraction(f"{self._spec.seed} {self.name} {what}")


def probe_name(number: int) -> str:
    """The name of a fleet's probe."""
    return f"tram-{number:05d}-1"


def token_of(body: bytes) -> str:
    """By what a result is found again: its boot, and the time since it."""
    stamp = msgspec.json.decode(body, type=_Stamped).clock
    return f"{stamp.boot_id}/{stamp.boottime_s}"


def _config(spec: FleetSpec, name: str) -> Config:
    broker = spec.broker
    if spec.certificates is not None:
        broker = structs.replace(
            broker,
            certificate_file=str(spec.certificates / f"{name}.pem"),
            key_file=str(spec.certificates / f"{name}.key"),
        )
    return config.Config(
        tenant=spec.tenant,
        probe=name,
        site=Site(name[5:10], "Văn phòng UBND xã Phủ Thông", "Bạch Thông (cũ)"),
        lines=[
            LineConfig(id=one.id, isp=one.isp or one.id, interface=one.interface) for one in LINES
        ],
        servers=[ServerConfig(name="hn-1", host="203.0.113.5")],
        broker=broker,
        delivery=DeliveryConfig(resend_after_s=spec.resend_after_s),
        latency=LatencyConfig(window_s=spec.window_s),
    )


class _Stamp(Struct):
    boot_id: str
    boottime_s: float


class _Stamped(Struct):
    clock: _Stamp
