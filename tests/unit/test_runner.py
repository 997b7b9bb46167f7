"""The runner's promises, with a clock and a kind of measurement made by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from probe import events
from probe.clock import Clocks
from probe.config import Config
from probe.measure.kinds import MeasureKind
from probe.measure.measurement import MeasureFunction, MeasurementRequest, RawResult
from probe.measure.runner import Runner
from probe.plan.slots import Slot
from probe.schedule.admission import QueuedMeasurement
from probe.schedule.slot_dispatcher import SlotDispatcher
from tests.unit.test_plan import PARSED
from wire.messages import Ceiling
from wire.result import Family, LineOperator, Nat, Outcome, Reason, Result, Validity

CONFIG: Config = structs.replace(
    PARSED, lines=[structs.replace(PARSED.lines[0], interface=None, source_address="127.0.0.1")]
)
LINE, SERVER = CONFIG.lines[0], CONFIG.servers[0]
BEGAN = datetime(2026, 7, 25, 5, tzinfo=UTC)
OK = RawResult(outcome=Outcome.OK)
# A kind of the contract that fills no line, and one that does.
LIGHT, BULK = "dns", "throughput"


class HandClock:
    """Moves when it is told to, its wall time by a step more."""

    def __init__(self, kernel: bool | None = True) -> None:
        self.wall, self.monotonic_s = BEGAN, 5_000.0
        self.clocks = Clocks(
            utc_now=lambda: self.wall,
            monotonic_s=lambda: self.monotonic_s,
            boottime_s=lambda: self.monotonic_s + 70.0,
            synchronised=lambda: kernel,
        )

    def advance(self, seconds: float, *, step_s: float = 0.0) -> None:
        """Let time pass, and step the wall clock."""
        self.monotonic_s += seconds
        self.wall += timedelta(seconds=seconds + step_s)


def runner_of(
    measure: MeasureFunction,
    clock: HandClock | None = None,
    *,
    emit: Callable[[events.Event], None] = lambda _: None,
    ceilings: dict[str, Ceiling] | None = None,
) -> Runner:
    """A runner whose kinds are all the given function."""
    return Runner(
        CONFIG,
        emit,
        ceilings or {},
        clocks=(clock or HandClock()).clocks,
        measures={LIGHT: MeasureKind(measure), BULK: MeasureKind(measure, bulk=True)},
    )


def run(runner: Runner, kind: str = LIGHT) -> list[Result]:
    return list(runner.run(kind, LINE, SERVER, threading.Event()))


@pytest.mark.parametrize(
    ("wanted", "found", "stated"),
    [
        (Family.IPV6, None, Family.IPV6),
        (Family.IPV6, Family.IPV4, Family.IPV4),
        (None, Family.IPV4, Family.IPV4),
        (None, None, None),
    ],
)
def test_a_result_states_the_family_that_was_measured_else_the_one_asked_for(
    wanted: Family | None, found: Family | None, stated: Family | None
) -> None:
    def measure(request: MeasurementRequest) -> Iterator[RawResult]:
        assert request.family is wanted
        yield structs.replace(OK, family=found)
        raise RuntimeError

    runner = runner_of(measure)
    results = list(runner.run(BULK, LINE, SERVER, threading.Event(), family=wanted))
    # The second is the failed result of the exception, which no measurement has spoken for.
    assert [result.family for result in results] == [stated, wanted]


def test_a_skipped_result_states_the_family_of_its_slot() -> None:
    runner = runner_of(lambda _: iter(()))
    skipped = runner.skipped(BULK, LINE, Reason.SLOT_MISSED, "late", BEGAN, Family.IPV6)
    assert (skipped.outcome, skipped.family) == (Outcome.SKIPPED, Family.IPV6)


def test_every_result_states_who_carried_its_line_over_its_family() -> None:
    known = {
        (LINE.id, Family.IPV6): LineOperator("2001:db8::7", Nat.NONE, BEGAN),
        (LINE.id, None): LineOperator("203.0.113.7", Nat.NAT, BEGAN),
    }

    def measure(_: MeasurementRequest) -> Iterator[RawResult]:
        yield structs.replace(OK, family=Family.IPV6)
        yield structs.replace(OK, family=Family.IPV4)
        raise RuntimeError

    clock = HandClock()
    runner = Runner(
        CONFIG,
        lambda _: None,
        clocks=clock.clocks,
        measures={LIGHT: MeasureKind(measure)},
        operator_of=lambda line_id, family: known.get((line_id, family)),
    )
    results = run(runner)
    assert [one.operator for one in results] == [
        known[LINE.id, Family.IPV6],
        None,
        known[LINE.id, None],
    ]
    assert results[-1].outcome is Outcome.FAILED
    skipped = runner.skipped(LIGHT, LINE, Reason.SLOT_MISSED, "late", BEGAN, Family.IPV6)
    assert skipped.operator == known[LINE.id, Family.IPV6]


@pytest.mark.parametrize("kind", [LIGHT, BULK])
@pytest.mark.parametrize("before", [0, 2])
def test_an_exception_becomes_a_failed_result_and_those_before_it_stay(
    before: int, kind: str
) -> None:
    def measure(_: MeasurementRequest) -> Iterator[RawResult]:
        yield from [OK] * before
        raise ValueError("no such thing")

    *earlier, last = run(runner_of(measure), kind)
    assert [one.outcome for one in earlier] == [Outcome.OK] * before
    assert (last.outcome, last.reason) == (Outcome.FAILED, Reason.TOOL_FAILED)
    assert last.detail == "the probe itself failed: ValueError: no such thing"


@pytest.mark.parametrize(("kernel", "flagged"), [(True, []), (None, []), (False, [True])])
def test_an_unsynchronised_clock_is_flagged_and_an_unknown_one_is_not(
    kernel: bool | None, flagged: list[bool]
) -> None:
    """docs/method.md#clock, K2."""
    (result,) = run(runner_of(lambda _: iter([OK]), HandClock(kernel)))
    assert result.clock.synchronised is kernel
    assert [one is Validity.CLOCK_UNSYNCED for one in result.validity] == flagged


@pytest.mark.parametrize(
    ("step_s", "flagged"), [(0.0, False), (0.5, False), (0.75, True), (-0.75, True), (9e6, True)]
)
def test_a_step_flags_the_result_that_it_fell_into_and_no_other(
    step_s: float, flagged: bool
) -> None:
    """docs/method.md#clock, K3."""
    clock = HandClock()

    def measure(_: MeasurementRequest) -> Iterator[RawResult]:
        for step in (0.0, step_s, 0.0):
            clock.advance(10, step_s=step)
            yield OK

    found = [Validity.CLOCK_STEPPED in one.validity for one in run(runner_of(measure, clock))]
    assert found == [False, flagged, False]


@pytest.mark.parametrize("step_s", [0.0, 3_600.0])
def test_durations_are_by_the_monotonic_clock_and_starts_by_the_wall_clock_at_the_end(
    step_s: float,
) -> None:
    clock = HandClock()

    def measure(_: MeasurementRequest) -> Iterator[RawResult]:
        clock.advance(13, step_s=step_s)
        yield OK

    (result,) = run(runner_of(measure, clock))
    assert result.duration_s == 13
    assert result.started_at == BEGAN + timedelta(seconds=step_s)
    assert result.clock.boottime_s == 5_070


def test_a_measurement_s_own_times_and_flags_are_kept() -> None:
    clock = HandClock(kernel=False)
    clock.advance(100)
    raw = structs.replace(OK, began_s=5_040.0, duration_s=30.0, validity=[Validity.SHORT])
    (result,) = run(runner_of(lambda _: iter([raw]), clock))
    assert (result.started_at, result.duration_s) == (BEGAN + timedelta(seconds=40), 30)
    assert result.clock.boottime_s == 5_110
    assert result.validity == sorted([Validity.CLOCK_UNSYNCED, Validity.SHORT])


def test_two_bulk_tests_never_run_at_once_and_a_light_one_waits_for_none() -> None:
    began = {name: threading.Event() for name in ("first", "second", "light")}
    go_on = threading.Event()

    def measure(request: MeasurementRequest) -> Iterator[RawResult]:
        began[request.server.name].set()
        assert request.server.name != "first" or go_on.wait(20)
        yield OK

    runner = runner_of(measure)

    def start(name: str, kind: str) -> threading.Thread:
        server = structs.replace(SERVER, name=name)
        thread = threading.Thread(
            target=lambda: list(runner.run(kind, LINE, server, threading.Event()))
        )
        thread.start()
        return thread

    threads = [start("first", BULK)]
    assert began["first"].wait(20)
    threads += [start("second", BULK), start("light", LIGHT)]
    assert began["light"].wait(20)
    assert not began["second"].wait(0.3)
    go_on.set()
    assert began["second"].wait(20)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize("abandoned", [False, True], ids=["raises", "left by its reader"])
def test_a_bulk_test_s_end_is_announced_however_it_ends(abandoned: bool) -> None:
    seen: list[events.Event] = []

    def measure(_: MeasurementRequest) -> Iterator[RawResult]:
        yield OK
        raise OSError("gone")

    results = runner_of(measure, emit=seen.append).run(BULK, LINE, SERVER, threading.Event())
    next(results)
    assert seen == [events.MeasurementStarted(LINE.id, BULK)]
    if abandoned:
        assert hasattr(results, "close")
        results.close()
    else:
        assert len(list(results)) == 1
    assert seen[1:] == [events.MeasurementEnded(LINE.id, BULK)]


def test_a_measurement_gets_what_was_asked_for_and_its_result_names_it() -> None:
    asked: list[MeasurementRequest] = []

    def measure(request: MeasurementRequest) -> Iterator[RawResult]:
        asked.append(request)
        yield OK

    stop = threading.Event()
    (result,) = runner_of(measure).run(
        BULK, LINE, SERVER, stop, slot_at=BEGAN - timedelta(seconds=9), patience_s=12.5
    )
    (request,) = asked
    assert (request.line, request.server, request.config) == (LINE, SERVER, CONFIG)
    assert request.stop is stop
    assert (request.slot_at, request.patience_s) == (BEGAN - timedelta(seconds=9), 12.5)
    assert (result.slot_at, result.line) == (request.slot_at, LINE.identity)


def test_the_ceiling_is_evidence_of_bulk_tests_alone() -> None:
    ceiling = Ceiling(
        line=LINE.id, measured_at=BEGAN, peer="192.0.2.9", download_bps=940e6, upload_bps=930e6
    )
    runner = runner_of(lambda _: iter([OK]), ceilings={LINE.id: ceiling})
    (bulk,), (light,) = run(runner, BULK), run(runner, LIGHT)
    assert bulk.host is not None
    assert light.host is not None
    assert (bulk.host.ceiling_download_bps, bulk.host.ceiling_upload_bps) == (940e6, 930e6)
    assert (light.host.ceiling_download_bps, light.host.ceiling_upload_bps) == (None, None)


def fired(late_s: float) -> tuple[list[QueuedMeasurement], list[Result]]:
    """What becomes of a slot that fires this late."""
    clock = HandClock()
    queued: list[QueuedMeasurement] = []
    results: list[Result] = []

    def measure(_: MeasurementRequest) -> Iterator[RawResult]:
        raise AssertionError("measured by the dispatcher itself")

    dispatcher = SlotDispatcher(
        CONFIG, runner_of(measure, clock), queued.append, results.append, clock.clocks
    )
    clock.advance(late_s)
    dispatcher.fire(
        Slot(
            at=BEGAN,
            line_id=LINE.id,
            server_name=SERVER.name,
            kind=BULK,
            until=BEGAN + timedelta(hours=1),
            family=Family.IPV6,
        )
    )
    return queued, results


@pytest.mark.parametrize("kept", [True, False])
def test_a_slot_of_the_weekly_minimum_is_queued_as_one(kept: bool) -> None:
    clock = HandClock()
    queued: list[QueuedMeasurement] = []
    runner = runner_of(lambda _: iter([]), clock)
    dispatcher = SlotDispatcher(CONFIG, runner, queued.append, lambda _: None, clock.clocks)
    dispatcher.fire(Slot(at=BEGAN, line_id=LINE.id, server_name=SERVER.name, kind=BULK, kept=kept))
    assert [one.kept for one in queued] == [kept]


@pytest.mark.parametrize("late_s", [-120, 0, 120])
def test_a_slot_that_fires_near_its_time_is_queued(late_s: float) -> None:
    queued, results = fired(late_s)
    assert results == []
    assert queued == [
        QueuedMeasurement(
            kind=BULK,
            line=LINE,
            server=SERVER,
            slot_at=BEGAN,
            family=Family.IPV6,
            until=BEGAN + timedelta(hours=1),
        )
    ]


@pytest.mark.parametrize("late_s", [-86_400, -121, 121, 7_200])
def test_a_slot_that_fires_far_from_its_time_is_skipped_and_reported(late_s: int) -> None:
    queued, (result,) = fired(late_s)
    assert queued == []
    assert (result.kind, result.outcome, result.reason) == (
        BULK,
        Outcome.SKIPPED,
        Reason.SLOT_MISSED,
    )
    assert (result.slot_at, result.line) == (BEGAN, LINE.identity)
    assert f"{late_s} s away" in (result.detail or "")
